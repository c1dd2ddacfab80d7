"""Numbers as they stand in the sentences of a report."""

from __future__ import annotations

import math


def rate(value: float | None, digits: int = 2) -> str:
    """A share: .52, and – where there is none.

    Example:
        >>> rate(0.5249), rate(1.0), rate(-0.031), rate(None), rate(0.004)
        ('.52', '1.00', '-.03', '–', '.004')
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    if value and float(text) == 0:
        text = f"{value:.{digits + 1}f}"
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def between(low: float | None, high: float | None, digits: int = 2) -> str:
    """A range: .47 to .55."""
    return f"{rate(low, digits)} to {rate(high, digits)}"


def count(number: int, what: str) -> str:
    """A number of things: 1 row, 2,000 rows.

    Example:
        >>> count(1, "row"), count(2000, "row")
        ('1 row', '2,000 rows')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
