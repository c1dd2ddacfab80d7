"""One row of results per method, with intervals over prompts and paired differences, ready for print or JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tacit.evaluation.bootstrap import (
    Drawn,
    Interval,
    Weighted,
    averaged,
    weighted_auroc,
    weighted_mean,
    weighted_over_prompts,
    weighted_pearson,
    weighted_spearman,
    weighted_within_prompt,
)
from tacit.evaluation.metrics import ece, prompt_ndcg, prompt_regrets

Floats = NDArray[np.floating]
Protocol = Literal["honest", "calibrated", "oracle", "in-sample", "partly in-sample"]


LOWER_IS_BETTER = ("brier", "ece", "best_of_n_regret")
"""Metrics that count errors; of all others more is better."""
MORE = ("within_prompt_ndcg", "best_of_n_regret", "pearson")
"""What `compare(more=True)` adds: tables have no room for it, and no verdict hangs on it."""


Measure = tuple[Any, NDArray[np.int64]]


@dataclass(frozen=True)
class Predictions:
    """What one method says of N held-out rows.

    Attributes:
        method: its name in the table.
        protocol: "oracle" if it read clean labels; "calibrated" if only two numbers of it did, which move no order
            (`tacit.calibrate`); "in-sample" if it was trained or calibrated on these rows, "partly in-sample" on some
            of them; else "honest".
        score_N: logits of P(liked).
        log_likelihood_N: log P(signals) of each row, or None where the method does not model them.
        has_level: whether σ(score) is a probability; of scores that only order, none is judged.
        rewards_N: rewards, where they are not `score_N`.
    """

    method: str
    protocol: Protocol
    score_N: Floats
    log_likelihood_N: Floats | None = None
    has_level: bool = True
    rewards_N: Floats | None = None

    @property
    def reward_N(self) -> Floats:
        """Rewards: logits as the fit gave them, where these are others than `score_N`."""
        return self.score_N if self.rewards_N is None else self.rewards_N

    @property
    def probability_N(self) -> Floats:
        """σ(score)."""
        from scipy.special import expit

        return np.asarray(expit(self.score_N.astype(np.float64)))


@dataclass(frozen=True)
class Truths:
    """What the rows are judged against.

    Attributes:
        prompts_N: int64, groups within which responses are ranked.
        units_N: int64, what the bootstrap draws: prompts, or sessions or users where folds were made of those.
        gold_N: float in [0, 1], NaN where unknown; or None.
        rank_N: float, smaller is better, NaN where unknown; or None. Preferred to gold for order within prompts.
        seen_N: bool, rows with a visible signal: those the log-likelihood is averaged over.
        threshold: gold above it counts as liked for AUROC.
    """

    prompts_N: NDArray[np.int64]
    units_N: NDArray[np.int64]
    gold_N: Floats | None = None
    rank_N: Floats | None = None
    seen_N: NDArray[np.bool_] | None = None
    threshold: float = 0.5


@dataclass(frozen=True)
class Row:
    """Metrics of one method, and its differences from reference methods on the same draws."""

    method: str
    protocol: Protocol
    metrics: dict[str, Interval]
    against: dict[str, dict[str, Interval]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Numbers with "low" and "high" beside them; None where a metric is not defined."""
        return {
            "method": self.method,
            "protocol": self.protocol,
            **{name: interval.to_json() for name, interval in self.metrics.items()},
            "difference": {
                other: {name: i.to_json() for name, i in intervals.items()}
                for other, intervals in self.against.items()
            },
        }


def compare(
    predictions: list[Predictions],
    truth: Truths,
    *,
    references: tuple[str, ...] = ("naive", "oracle", "constant"),
    draws: int = 1000,
    more: bool = False,
) -> list[Row]:
    """Judge every method on the same rows and the same bootstrap draws.

    Args:
        predictions: one per method; of several of one method, which repeated cross-validations make, metrics are means.
        truth: what to judge against; metrics without their truth are left out.
        references: methods from which differences are taken.
        draws: of the bootstrap. ECE and its differences come without bounds, see `tacit.evaluation.bootstrap`.
        more: with the metrics of `MORE`, where there is gold.
    """
    # Drawn once each: intervals and differences are read off the same draws.
    same: dict[str, list[Predictions]] = {}
    for p in predictions:
        same.setdefault(p.method, []).append(p)
    drawn = {
        method: {
            name: Drawn.of(metric, units, draws=_draws(name, draws))
            for name, (metric, units) in _averaged(
                [_measures(p, truth) | (_more(p, truth) if more else {}) for p in repeats]
            ).items()
        }
        for method, repeats in same.items()
    }
    return [
        Row(
            p.method,
            p.protocol,
            {name: own.interval() for name, own in drawn[p.method].items()},
            {
                other: _difference(drawn[p.method], drawn[other])
                for other in references
                if other != p.method and other in drawn
            },
        )
        for p in (repeats[0] for repeats in same.values())
    ]


def _averaged(repeats: Sequence[Mapping[str, Measure]]) -> Mapping[str, Measure]:
    """Each metric in the mean over repeats; all are of the same rows."""
    first, *others = repeats
    if not others:
        return first
    found: dict[str, Measure] = {}
    for name, (metric, units) in first.items():
        parts = [metric, *(other[name][0] for other in others)]
        mean = averaged(parts) if isinstance(metric, Weighted) else partial(_mean_of, parts)
        found[name] = (mean, units)
    return found


def _mean_of(parts: Sequence[Callable[[NDArray[np.int64]], float]], rows: NDArray[np.int64]) -> float:
    return float(np.mean([part(rows) for part in parts]))


def _difference(own: Mapping[str, Drawn], other: Mapping[str, Drawn]) -> dict[str, Interval]:
    return {
        name: one.minus(other[name]) for name, one in own.items() if name in other and name != "base_rate"
    }


def _draws(metric: str, draws: int) -> int:
    return 0 if metric == "ece" else draws  # the bootstrap has no sound interval for it


def _measures(p: Predictions, truth: Truths) -> dict[str, Measure]:
    measures: dict[str, Measure] = {}
    order = _order(truth)
    if order is not None:
        known = np.isfinite(order)
        measures["within_prompt_accuracy"] = (
            weighted_within_prompt(
                p.score_N[known], order[known], truth.prompts_N[known], truth.units_N[known]
            ),
            truth.units_N[known],
        )
    if truth.gold_N is not None:
        known = np.isfinite(truth.gold_N)
        gold, score, probability = truth.gold_N[known], p.score_N[known], p.probability_N[known]
        units = truth.units_N[known]
        liked = (gold > truth.threshold).astype(np.float64)
        measures["auroc"] = (weighted_auroc(score, liked), units)
        measures["spearman"] = (weighted_spearman(score, gold), units)
        if p.has_level:
            measures["brier"] = (weighted_mean((probability - gold) ** 2), units)
            measures["ece"] = (lambda rows: ece(probability[rows], gold[rows]), units)
    if p.log_likelihood_N is not None:
        seen = np.ones(len(p.score_N), dtype=bool) if truth.seen_N is None else truth.seen_N
        if seen.any():
            measures["log_likelihood"] = (weighted_mean(p.log_likelihood_N[seen]), truth.units_N[seen])
    if p.has_level:
        measures["base_rate"] = (weighted_mean(p.probability_N), truth.units_N)
    return measures


def _more(p: Predictions, truth: Truths) -> dict[str, Measure]:
    """NDCG and regret within prompts, and where there are probabilities, their correlation with gold."""
    if truth.gold_N is None:
        return {}
    known = np.isfinite(truth.gold_N)
    gold, score, units = truth.gold_N[known], p.score_N[known], truth.units_N[known]
    within = (score, gold, truth.prompts_N[known], units)
    measures: dict[str, Measure] = {
        "within_prompt_ndcg": (weighted_over_prompts(prompt_ndcg, *within), units),
        "best_of_n_regret": (weighted_over_prompts(prompt_regrets, *within), units),
    }
    if p.has_level:
        measures["pearson"] = (weighted_pearson(p.probability_N[known], gold), units)
    return measures


def _order(truth: Truths) -> Floats | None:
    return -truth.rank_N if truth.rank_N is not None else truth.gold_N


__all__ = ["LOWER_IS_BETTER", "MORE", "Predictions", "Row", "Truths", "Weighted", "compare"]
