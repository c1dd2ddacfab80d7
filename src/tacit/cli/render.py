"""How results are printed: JSON on standard output, or a table that fits a terminal."""

from __future__ import annotations

import codecs
import json
import math
import re
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tacit.evaluation.bootstrap import Interval


_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""All but line breaks: terminals act on them, write text backwards, or cannot encode them."""


def print_json(value: Any) -> None:
    """One line of JSON; NaN becomes null. Where standard output is not UTF-8, other letters are escaped, not lost."""
    print(json.dumps(_finite(value), ensure_ascii=not speaks_unicode(sys.stdout), allow_nan=False))


def speaks_unicode(stream: TextIO) -> bool:
    """Whether a stream can write every letter."""
    return codecs.lookup(stream.encoding or "ascii").name.startswith("utf")


def never_fail(*streams: TextIO) -> None:
    """Let text streams put ? for what their encoding lacks, a user's letters or our own ±, instead of failing."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper) and not speaks_unicode(stream):
            stream.reconfigure(errors="replace")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
    """A table whose first column is text and the others numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A pipe has no width: give it room instead of cutting names.
    console = Console() if Console().is_terminal else Console(width=140)
    console.print(printable(title), style="bold", soft_wrap=True, highlight=False, markup=False)
    table = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        table.add_column(Text(column), justify="left" if i == 0 else "right", no_wrap=i == 0)
    for row in rows:
        table.add_row(
            *(Text(printable(cell)) for cell in row)
        )  # nothing in it is markup, nor an emoji's name
    console.print(table)
    if caption:
        console.print(printable(caption), soft_wrap=True, highlight=False, markup=False)


def printable(text: str) -> str:
    """Text of a log or a model as a terminal may show it: what would move the cursor or change colours becomes �.

    Example:
        >>> printable("\\x1b[31mred\\x00")
        '�[31mred�'
    """
    return _CONTROLS.sub("�", text)


def number(value: float | None, digits: int = 3) -> str:
    """A number as it stands in a table; – where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def with_interval(interval: Interval | None, digits: int = 3) -> str:
    """The value, and its interval on a second line: a table of seven metrics stays within a terminal."""
    if interval is None or not math.isfinite(interval.value):
        return "–"
    if not math.isfinite(interval.low) or interval.low == interval.high:
        return number(interval.value, digits)
    return (
        f"{number(interval.value, digits)}\n[{number(interval.low, digits)}, {number(interval.high, digits)}]"
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
