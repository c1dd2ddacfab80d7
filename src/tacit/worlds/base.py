"""A base log for the simulators that needs no download: the answers about Python, with gold."""

from __future__ import annotations

from tacit.data import FeedbackLog, Roles
from tacit.worlds.users import demo_world


def stdlib_base(limit: int | None = None) -> FeedbackLog:
    """Answers about Python's standard library; gold is how likely each is to be liked in the demonstration world.

    Args:
        limit: at most this many questions, about five answers each; 1,200 if not given.

    Raises:
        DataError: this build of Python has no docstrings, or the limit is below 1.

    Example:
        >>> log = stdlib_base(limit=4)
        >>> gold_N, known_N = log.gold_values()
        >>> bool(known_N.all()), bool(((gold_N > 0) & (gold_N < 1)).all())
        (True, True)
    """
    demo = demo_world(1, limit=limit)
    columns = {name: demo.log.column(name) for name in ("prompt", "response", "prompt_id")}
    columns["gold"] = demo.truth.preference_N.tolist()
    return FeedbackLog.from_columns(columns, Roles(prompt_id="prompt_id", gold="gold"), name="stdlib")
