"""Where a benchmark's texts come from: a path, a hub id, a published set by name, or Python's own documentation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tacit.data import FeedbackLog
from tacit.errors import ConfigError
from tacit.worlds import stdlib_base

PUBLISHED = {
    "truthfulqa": "truthfulqa/finetune_truth.jsonl",
    "oasst1": "oasst1/en-validation.jsonl",
    "realhumaneval": "realhumaneval/chat_data.csv",
}
"""Names that need no path, and the file looked for in every data folder."""
DEMO = "demo"


def is_named(name: str) -> bool:
    """Whether `name` stands for the same texts wherever it is used: the demo, or a published set; a file goes first."""
    return name == DEMO or (name in PUBLISHED and not Path(name).is_file())


def find_data(name: str, limit: int | None = None, *, roles: Mapping[str, Any] | None = None) -> FeedbackLog:
    """The log that `name` stands for.

    A name of `PUBLISHED` is looked for in `$TACIT_DATA`, and in `data` and `shared/data` of the working folder and the
    one above; `demo` makes answers from Python's own documentation; anything else is a path or a hub id.

    Args:
        name: see above.
        limit: at most this many prompts of the demo's texts.
        roles: which column means what, as `FeedbackLog.read` takes them; a published set has its own for the rest, and
            the demo's texts take none.

    Raises:
        ConfigError: a published set that is nowhere.
        DataError: a file that cannot be read.

    Example:
        >>> find_data("demo", limit=3).roles.gold
        'gold'
    """
    if name == DEMO:
        return stdlib_base(limit)
    if not is_named(name):
        return FeedbackLog.read(name, **(roles or {}))
    for root in _roots():
        path = root / PUBLISHED[name]
        if path.is_file():
            return FeedbackLog.read(str(path), **(roles or {}))
    looked = ", ".join(str(root) for root in _roots())
    raise ConfigError(
        f"--data {name}: no {PUBLISHED[name]} in {looked}; set TACIT_DATA to the folder that holds it, or give its path"
    )


def _roots() -> list[Path]:
    named = os.environ.get("TACIT_DATA")
    here = [Path(start) / folder for start in (".", "..") for folder in ("data", "shared/data")]
    return ([Path(named)] if named else []) + here
