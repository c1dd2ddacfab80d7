"""The scores of a log: how they are spread, and how far the members of the ensemble differ about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tacit.evaluation.trust.reading import Reading
from tacit.evaluation.trust.words import rate

_BARS = 20
_APART = 1.0  # logits: odds that differ by a factor of 2.7
_NAMED = 10
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Scores:
    """How scores are spread.

    Attributes:
        of: "P(liked)", or "reward" where scores only order.
        edges: of the bars, one more than there are.
        rows: in each bar; together the log.
        quantiles: 5, 25, 50, 75 and 95 %.
        disagreement: the same of the members' standard deviation, in logits; None of one member.
        apart: share of the rows on which it is above 1.
        most: the ten rows on which it is largest, (row number from 1, standard deviation).
        told: in a sentence.
        do: what follows.
    """

    of: str
    edges: tuple[float, ...]
    rows: tuple[int, ...]
    quantiles: tuple[float, ...]
    disagreement: tuple[float, ...] | None
    apart: float | None
    most: tuple[tuple[int, float], ...]
    told: str
    do: str


def scores(reading: Reading) -> Scores:
    """Count them.

    Args:
        reading: of the log.
    """
    liked = reading.liked_N is not None
    value_N = reading.reward_N if reading.liked_N is None else reading.liked_N
    rows, edges = np.histogram(value_N, bins=_BARS, range=(0.0, 1.0) if liked else None)
    spread_N = reading.spread_N
    most: list[tuple[int, float]] = []
    apart = None
    if spread_N is not None:
        first = np.argsort(-spread_N, kind="stable")[:_NAMED]
        most = [(int(i) + 1, float(spread_N[i])) for i in first]
        apart = float((spread_N > _APART).mean())
    of = "P(liked)" if liked else "reward"
    quantiles = tuple(float(q) for q in np.quantile(value_N, _QUANTILES))
    told = f"Nine of ten responses have a {of} from {rate(quantiles[0])} to {rate(quantiles[-1])}"
    if apart is None:
        told += "; one member says nothing of how sure that is."
        do = "Fit with several members to see where they differ."
    else:
        told += f"; the members differ by more than a logit on {rate(apart)} of them."
        do = (
            "Nothing to do."
            if apart <= 0.05
            else "Those are the rows to audit first if you want to know where the model is wrong; never for its level."
        )
    return Scores(
        of,
        tuple(float(e) for e in edges),
        tuple(int(r) for r in rows),
        quantiles,
        None if spread_N is None else tuple(float(q) for q in np.quantile(spread_N, _QUANTILES)),
        apart,
        tuple(most),
        told,
        do,
    )
