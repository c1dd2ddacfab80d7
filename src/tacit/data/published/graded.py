"""What the graded sets share: a rating per response, its scale, and the binary gold that follows from it.

These sets were made by asking raters. Nobody used anything, so they hold no implicit signal: their logs have
gold for evaluation, and ratings from which the simulators make feedback.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit.data.raw import RawTable


@dataclass(frozen=True)
class Scale:
    """How a set rates a response.

    Args:
        what: the rating's name as published, for messages.
        low, high: the ends of the published scale.
        cut: gold is 1 where the rating lies above it.
        gold: the name of the gold column, which says what a 1 means.
        harm: the published number counts harm, and the rating is turned round, `low + high - value`.
    """

    what: str
    low: float
    high: float
    cut: float
    gold: str
    harm: bool = False


def rated(
    raw: RawTable,
    columns: Mapping[str, Sequence[Any]],
    rows: Sequence[int],
    values: Sequence[Any],
    scale: Scale,
    bad: Mapping[str, Sequence[int]] | None = None,
) -> RawTable:
    """A table of one rated response per row, with `rating` and `scale.gold`; unrated ones are quarantined.

    Args:
        raw: the table as published.
        columns: the columns made, N values each.
        rows: the row of `raw`, from 0, that each of the N responses comes from.
        values: the N published ratings, null where there is none.
        scale: what the ratings mean.
        bad: rows of `raw`, from 0, that gave no response, by reason.
    """
    numbers = [_number(value) for value in values]
    missing = np.array([number is None for number in numbers], dtype=bool)
    outside = np.array(
        [number is not None and not scale.low <= number <= scale.high for number in numbers], dtype=bool
    )
    ratings = [
        number if number is None or not scale.harm else scale.low + scale.high - number for number in numbers
    ]
    golds = [None if rating is None else float(rating > scale.cut) for rating in ratings]
    made = raw.made_of({**columns, "rating": ratings, scale.gold: golds}, rows, bad)
    return made.keep(
        ~(missing | outside),
        {
            f"{scale.what} is null": missing,
            f"{scale.what} is not a number from {scale.low:g} to {scale.high:g}": outside,
        },
    )


def _number(value: Any) -> float | None:
    """The number in a cell, also of a CSV; None where there is none, NaN being none; inf for what is no number."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return math.inf
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.inf
    return None if math.isnan(number) else number
