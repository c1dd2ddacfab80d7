"""Scores that tracing tools keep beside traces: what users said becomes signals, what reviewers said may be gold."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tacit.data.signal import Signal
from tacit.data.times import seconds_of

USERS, REVIEWERS = "users", "reviewers"

_FOR = (
    "up",
    "thumbsup",
    "thumbup",
    "upvote",
    "like",
    "liked",
    "positive",
    "good",
    "helpful",
    "yes",
    "correct",
    "true",
)
_AGAINST = (
    "down",
    "thumbsdown",
    "thumbdown",
    "downvote",
    "dislike",
    "disliked",
    "negative",
    "bad",
    "unhelpful",
    "nothelpful",
    "no",
    "incorrect",
    "false",
)
_WORDS = dict.fromkeys(_FOR, 1) | dict.fromkeys(_AGAINST, -1) | {"👍": 1, "👎": -1, "neutral": 0}
# Names that say what users do, and not how they rate: 0 there is that it did not happen.
_EVENTS = dict.fromkeys(("copied", "clicked", "shared", "saved", "downloaded"), 1) | dict.fromkeys(
    ("down", "downvote", "downvoted", "dislike", "disliked", "flagged", "reported", "regenerated", "retried"),
    -1,
)


@dataclass(frozen=True)
class Score:
    """What somebody or something said of a response.

    Args:
        row: position in the export.
        trace, span: what it was said of; None where that is not told.
        name: of what it measures.
        value: a number, true or false, a word.
        at: seconds.
        by: USERS, REVIEWERS (people who audit), or what else the tool calls its source.
    """

    row: int
    trace: str | None
    span: str | None
    name: str
    value: Any
    at: float
    by: str


@dataclass
class Columns:
    """What scores are in a log: columns, which of them are signals, and which say nothing by themselves."""

    taken: set[str]
    values: dict[str, list[Any]] = field(default_factory=dict)
    signals: list[Signal] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    gold: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, values: list[Any]) -> str:
        """Add a column under a name that no other has, and say it."""
        while name in self.taken:
            name += "_score"
        self.taken.add(name)
        self.values[name] = values
        return name

    def add_signal(self, name: str, values: list[int], polarity: int) -> None:
        """Add a column that is a signal."""
        self.signals.append(Signal(self.add(name, values), polarity))


def columns_of(found: Iterable[tuple[int, Score]], rows: int, taken: set[str]) -> Columns:
    """Columns of scores, each with the row of the log that it is on; the last of one name on one row counts.

    Args:
        found: row of the log, and score.
        rows: of the log.
        taken: names of its other columns.
    """
    said: dict[tuple[str, str], dict[int, Any]] = {}
    for row, score in sorted(found, key=lambda pair: pair[1].at):  # those of one time stay in their order
        said.setdefault((score.name, score.by), {})[row] = score.value
    columns = Columns(set(taken))
    for name, by in sorted(said, key=lambda pair: (pair[1] != USERS, pair[0])):
        if by == USERS:
            _add_said_by_users(columns, name, said[name, by], rows)
        elif by == REVIEWERS:
            _add_said_by_reviewers(columns, name, said[name, by], rows)
    return columns


def _add_said_by_users(columns: Columns, name: str, said: Mapping[int, Any], rows: int) -> None:
    ways = directions(said)
    if ways is None:
        columns.plain.append(columns.add(name, _column(said, rows)))
        return
    up, down = (_fired(ways, rows, way) for way in (1, -1))
    event = _event(name)
    if event:
        columns.add_signal(name, up, event)
    elif any(up) and any(down):
        columns.add_signal(f"{name}_up", up, 1)
        columns.add_signal(f"{name}_down", down, -1)
    elif any(down):
        columns.add_signal(f"{name}_down", down, -1)
    elif any(up):
        columns.add_signal(name, up, 1)
    else:  # nobody was for or against
        columns.plain.append(columns.add(name, _column(said, rows)))


def _add_said_by_reviewers(columns: Columns, name: str, said: Mapping[int, Any], rows: int) -> None:
    degrees = {row: _degree(value) for row, value in said.items()}
    if any(degree is None for degree in degrees.values()):
        columns.left_out.append(name)
    else:
        columns.gold.append(columns.add(f"{name}_reviewed", [degrees.get(row) for row in range(rows)]))


def directions(said: Mapping[int, Any]) -> dict[int, int] | None:
    """1 for what speaks for a response, -1 against, 0 neither, where the values of one name can be read so.

    Numbers are 0 and 1, where 0 speaks against, or -1, 0 and 1; words are the usual ones.

    Example:
        >>> directions({0: 1, 1: 0}), directions({0: 1, 1: -1, 2: 0}), directions({0: "thumbs_up", 1: "Thumbs-Down"})
        ({0: 1, 1: -1}, {0: 1, 1: -1, 2: 0}, {0: 1, 1: -1})
        >>> directions({0: 4, 1: 5}), directions({0: "fast"})
        (None, None)
    """
    words = {row: _word(value) for row, value in said.items()}
    if all(word is not None for word in words.values()):
        return {row: word for row, word in words.items() if word is not None}
    numbers = {row: number(value) for row, value in said.items()}
    known = set(numbers.values())
    if not known <= {-1.0, 0.0, 1.0}:
        return None
    zero = 0 if -1.0 in known else -1
    return {row: int(value) if value else zero for row, value in numbers.items()}


def number(value: Any) -> float | None:
    """A number, true or false, or text that is a number (cells of CSV are text); None for anything else.

    Example:
        >>> number("1.0"), number(True), number("up"), number(float("nan"))
        (1.0, 1.0, None, None)
    """
    try:
        found = float(value) if isinstance(value, bool | int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def moment(value: Any) -> float:
    """A time in seconds, UTC where it does not say; minus infinity for none.

    Example:
        >>> moment("2026-01-01 00:00:00.5") - moment("2026-01-01T01:00:00+01:00"), moment("soon")
        (0.5, -inf)
    """
    found = seconds_of(value) if isinstance(value, str | int | float | date) else None
    return found if found is not None and math.isfinite(found) else -math.inf


def _word(value: Any) -> int | None:
    """A usual word, however it is spelt."""
    return _WORDS.get(re.sub(r"[^a-z👍👎]", "", value.lower())) if isinstance(value, str) else None


def _event(name: str) -> int:
    """1 or -1 for a name that says what users do for or against a response; 0 for one that does not, or says both."""
    words = re.findall("[a-z]+", re.sub("([a-z])([A-Z])", r"\1 \2", name).lower())
    return 0 if {"up", "like"} & set(words) else next((_EVENTS[word] for word in words if word in _EVENTS), 0)


def _degree(value: Any) -> float | None:
    """How good a reviewer found it, from 0 to 1."""
    word, found = _word(value), number(value)
    if word is not None:
        return {1: 1.0, -1: 0.0}.get(word)
    return found if found is not None and 0 <= found <= 1 else None


def _fired(ways: Mapping[int, int], rows: int, way: int) -> list[int]:
    return [int(ways.get(row) == way) for row in range(rows)]


def _column(said: Mapping[int, Any], rows: int) -> list[Any]:
    """Numbers where all are, text otherwise."""
    numbers = {row: number(value) for row, value in said.items()}
    if all(value is not None for value in numbers.values()):
        return [numbers.get(row) for row in range(rows)]
    return [_text(said[row]) if row in said else None for row in range(rows)]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode(errors="replace").decode()
