"""The roles of one log on another: the log of a fit says how a log that judges the model is read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tacit.data.roles import USER_ACTIVITY, Roles

_TEXTS = ("prompt", "response")
_OTHERS = ("prompt_id", "user_id", "session_id", "timestamp", "policy")
_USUAL_TEXTS = (("prompt", "response"), ("prompt", "completion"))
"""What sources call their texts, too."""


def names_its_texts(like: Roles | None, columns: Collection[str]) -> bool:
    """Whether prompt and response of `like` are there under names that somebody chose, and no source of its own."""
    texts = (like.prompt, like.response) if like is not None else _USUAL_TEXTS[0]
    return texts not in _USUAL_TEXTS and set(texts) <= set(columns)


def carried(
    like: Roles, columns: Collection[str], *, texts: bool, partly: bool, empty: Collection[str] = ()
) -> dict[str, Any]:
    """The roles of `like` that a log with these columns takes over, by name; gold and rank never.

    Args:
        like: roles of the other log.
        columns: of this log.
        texts: whether prompt and response are taken over, where their columns are there.
        partly: take over only those signals and that context whose columns are there; else all, there or not, so that
            a missing one is refused.
        empty: columns without a value in any row: ids, times and policies are not taken over from them.
    """
    filled = set(columns) - set(empty)
    found: dict[str, Any] = {part: name for part in _OTHERS if (name := getattr(like, part)) in filled}
    if texts:
        found |= {part: name for part in _TEXTS if (name := getattr(like, part)) in columns}
    signals = tuple(
        signal
        for signal in like.signals
        if not partly or {signal.name, signal.exposure or signal.name} <= set(columns)
    )
    there = set(columns) | ({USER_ACTIVITY} if signals and "user_id" in found else set())
    context = tuple(name for name in like.context if not partly or name in there)
    return found | {"signals": signals, "context": context}
