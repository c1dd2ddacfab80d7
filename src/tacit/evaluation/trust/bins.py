"""Rows put into bins that a person can name: the levels of a column, or ranges of its numbers.

N rows, J bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEVELS = 10
"""Levels that are shown; the rarer ones share a bin."""

_RANGES = 5
_WIDEST = 40  # letters of a level's name


@dataclass(frozen=True, eq=False)
class Bins:
    """The bin of each row.

    Attributes:
        name: of the column.
        labels: of the J bins, in the order in which they are shown.
        at_N: int64 [N], 0 … J − 1.
    """

    name: str
    labels: tuple[str, ...]
    at_N: NDArray[np.int64]

    @property
    def rows(self) -> list[int]:
        """How many rows each bin holds; together all of them."""
        return [int(count) for count in np.bincount(self.at_N, minlength=len(self.labels))]


def bins_of(name: str, values_N: NDArray[Any], *, ranges: int = _RANGES) -> Bins:
    """The levels of text and of few numbers, most frequent first (numbers: in their order); ranges of many numbers.

    Ranges hold about as many rows each; rows of one value stay together, so that there may be fewer.

    Args:
        name: of the column.
        values_N: text, or numbers, of which NaN is a level of its own.
        ranges: how many.

    Example:
        >>> found = bins_of("slot", np.array([0.0, 2.0, 0.0, 1.0]))
        >>> found.labels, found.rows
        (('0', '1', '2'), [2, 1, 1])
        >>> bins_of("hour", np.arange(100.0)).labels
        ('0 to 19', '20 to 39', '40 to 59', '60 to 79', '80 to 99')
    """
    if values_N.dtype.kind in "biuf":
        return _of_numbers(name, values_N.astype(np.float64), ranges)
    text_N = np.array([" ".join(str(value).split())[:_WIDEST] for value in values_N], dtype=object)
    levels, at_N, counts = np.unique(text_N, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = order if len(order) <= _LEVELS else order[: _LEVELS - 1]
    place = np.full(len(levels), len(kept))
    place[kept] = np.arange(len(kept))
    others = (f"{len(levels) - len(kept):,} others",) if len(kept) < len(levels) else ()
    return Bins(name, (*(str(levels[i]) for i in kept), *others), place[at_N].astype(np.int64))


def _of_numbers(name: str, values_N: NDArray[np.float64], ranges: int) -> Bins:
    known_N = np.isfinite(values_N)
    numbers = values_N[known_N]
    distinct = np.unique(numbers)
    at_N = np.zeros(len(values_N), dtype=np.int64)
    if len(distinct) <= min(ranges + 3, _LEVELS):
        at_N[known_N] = np.searchsorted(distinct, numbers)
        labels = [plain(value) for value in distinct]
    else:
        ends = np.unique(np.quantile(numbers, np.arange(1, ranges) / ranges, method="inverted_cdf"))
        used, at_N[known_N] = np.unique(np.searchsorted(ends, numbers), return_inverse=True)
        parts = [numbers[at_N[known_N] == j] for j in range(len(used))]
        labels = [_range(float(part.min()), float(part.max())) for part in parts]
    if not known_N.all():
        at_N[~known_N] = len(labels)
        labels.append("missing")
    return Bins(name, tuple(labels), at_N)


def _range(low: float, high: float) -> str:
    return plain(low) if low == high else f"{plain(low)} to {plain(high)}"


def plain(value: float) -> str:
    """A number of a log as a person writes it: three digits, and no fraction where there is none.

    Example:
        >>> plain(3.0), plain(0.20554), plain(12345.6)
        ('3', '0.206', '12,346')
    """
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"
