"""What the tests of exports share: tables written below a folder, values by trace, and input that is half broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tacit import FeedbackLog

Row = dict[str, Any]


def export(folder: Path, *tables: list[Row], write: Callable[[Path, list[Row]], None]) -> Path:
    """A folder with a file for each table."""
    folder.mkdir(exist_ok=True)
    for number, rows in enumerate(tables):
        write(folder / f"{number}", rows)
    return folder


def by_trace(log: FeedbackLog, column: str) -> dict[str, Any]:
    """A column's values by the trace of their row."""
    return dict(zip(log.column("trace_id"), log.column(column), strict=True))


def broken(value: Any, chance: float, rng: random.Random, odd: Sequence[Any]) -> Any:
    """The value with parts of it lost or replaced by what does not belong there, at every level."""
    if rng.random() < chance:
        return rng.choice(odd)
    if isinstance(value, dict):
        return {
            key: broken(one, chance, rng, odd) for key, one in value.items() if rng.random() >= chance / 2
        }
    return [broken(one, chance, rng, odd) for one in value] if isinstance(value, list) else value
