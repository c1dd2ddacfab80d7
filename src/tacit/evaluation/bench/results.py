"""From test scores to numbers: one tidy row per case, method, seed and metric; intervals over prompts.

Level metrics (Brier, R², ECE …) are given only where a method's score is a probability, or where the protocol
calibrated it by clean labels; a pair loss has no level, and a number would say otherwise.
Shapes: S seeds, n test rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.evaluation import metrics as m
from tacit.evaluation.bench.run import BenchResult, Judged, Score
from tacit.evaluation.bootstrap import (
    Drawn,
    Interval,
    Weighted,
    averaged,
    weighted_auroc,
    weighted_mean,
    weighted_within_prompt,
)
from tacit.files import atomic_path

ORDER = ("within_prompt_accuracy", "auroc", "regret")
LEVEL = ("brier", "nll", "r2", "mae", "rmse", "ece", "base_rate")
DRAWS = 300
NO_DISTANCE = 0.01
"""From naive to oracle: a share of less than that is a share of chance."""
NAIVE = ("naive_one_signal", "naive", "naive_observed")
"""The first that took part is what a case is compared with."""


@dataclass(frozen=True)
class Line:
    """One row of a table: a contender on a case, with intervals.

    Attributes:
        score: where it comes from.
        by_seed: every metric of every seed; NaN where it is not defined.
        intervals: within-prompt accuracy, AUROC, Brier and base rate, mean over seeds, drawn over prompts.
        against: differences from other rows by their name, on the same draws; metric → interval.
        recovered: share of the distance from naive to oracle in within-prompt accuracy; NaN where that is below .01.
    """

    score: Score
    by_seed: dict[str, list[float]]
    intervals: dict[str, Interval]
    against: dict[str, dict[str, Interval]]
    recovered: float

    def mean(self, metric: str) -> float:
        """Mean over seeds."""
        return float(np.mean(self.by_seed[metric]))

    def spread(self, metric: str) -> float:
        """Standard deviation over seeds; NaN of one seed alone, which says nothing of it."""
        return spread(self.by_seed[metric])


def spread(values: Sequence[float]) -> float:
    """Standard deviation over seeds; NaN of one alone.

    Example:
        >>> spread([0.0, 1.0]), spread([0.5])
        (0.5, nan)
    """
    return float(np.std(values)) if len(values) > 1 else float("nan")


def has_level(score: Score) -> bool:
    """Whether σ(score) may be read as a probability."""
    return score.contender.method.level == "prob" or score.contender.protocol == "oracle"


def naive_of(scores: Sequence[Score]) -> int | None:
    """Position of the naive that a case is compared with: of one signal where there are several, honest if it ran."""
    found = [
        (NAIVE.index(score.contender.name), score.contender.protocol != "honest", i)
        for i, score in enumerate(scores)
        if score.contender.name in NAIVE
    ]
    return min(found)[2] if found else None


def lines(result: BenchResult, *, draws: int = DRAWS) -> dict[str, list[Line]]:
    """The rows of every case, best within-prompt accuracy first (AUROC, where no prompt has two answers to compare).

    Args:
        result: of a run.
        draws: of the bootstrap over test prompts.
    """
    table: dict[str, list[Line]] = {}
    for case, judged in result.judged.items():
        scores = [score for score in result.scores if score.case.name == case]
        measured = [
            {
                name: Drawn.of(metric, judged.prompts_n, draws=draws)
                for name, metric in _weighted(score, judged).items()
            }
            for score in scores
        ]
        names = [score.contender.name for score in scores]
        naive = naive_of(scores)
        oracle = names.index("oracle") if "oracle" in names else None
        seeds = [_by_seed(score, judged) for score in scores]
        rows = []
        for i, score in enumerate(scores):
            intervals = {name: drawn.interval() for name, drawn in measured[i].items()}
            against = {
                label: {
                    name: drawn.minus(measured[other][name])
                    for name, drawn in measured[i].items()
                    if name in ("within_prompt_accuracy", "brier") and name in measured[other]
                }
                for label, other in (("naive", naive), ("oracle", oracle))
                if other is not None and other != i
            }
            recovered = float("nan")
            if naive is not None and oracle is not None:
                low, high, own = (np.mean(seeds[k]["within_prompt_accuracy"]) for k in (naive, oracle, i))
                recovered = float((own - low) / (high - low)) if high - low >= NO_DISTANCE else float("nan")
            rows.append(Line(score, seeds[i], intervals, against, recovered))
        table[case] = sorted(rows, key=_standing)
    return table


def _standing(line: Line) -> float:
    """By within-prompt accuracy, or by AUROC where no two answers to a prompt can be compared."""
    accuracy = line.mean("within_prompt_accuracy")
    return -line.mean("auroc") if np.isnan(accuracy) else -accuracy


def tidy(result: BenchResult) -> Iterator[dict[str, Any]]:
    """One row per case, contender, seed and metric."""
    for score in result.scores:
        values = _by_seed(score, result.judged[score.case.name])
        for metric, by_seed in values.items():
            for seed, value in enumerate(by_seed):
                yield {
                    "suite": result.suite,
                    "data": result.data,
                    "case": score.case.name,
                    "alpha": score.case.labels.get("alpha"),
                    "noise": score.case.labels.get("noise"),
                    "method": score.contender.name,
                    "level": score.contender.method.level,
                    "protocol": score.contender.protocol,
                    "seed": seed,
                    "metric": metric,
                    "value": None if np.isnan(value) else float(value),
                    "seconds": score.seconds,
                    "config_hash": score.hash,
                }


def write_rows(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write a tidy table as Parquet, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows)), temporary)


def probability(scores_Sn: NDArray[np.float32]) -> NDArray[np.float64]:
    """σ(score), in float64."""
    from scipy.special import expit

    return np.asarray(expit(scores_Sn.astype(np.float64)))


def _by_seed(score: Score, judged: Judged) -> dict[str, list[float]]:
    liked_Sn, prompts_n = judged.liked_Sn.astype(np.float64), judged.prompts_n
    p_Sn = probability(score.scores_Sn)
    level = has_level(score)
    metrics: dict[str, Callable[[int], float]] = {
        "within_prompt_accuracy": lambda s: m.within_prompt_accuracy(
            score.scores_Sn[s], liked_Sn[s], prompts_n
        ),
        "auroc": lambda s: m.auroc(score.scores_Sn[s], liked_Sn[s]),
        "regret": lambda s: m.best_of_n_regret(score.scores_Sn[s], liked_Sn[s], prompts_n),
    }
    if level:
        metrics |= {
            "brier": lambda s: m.brier(p_Sn[s], liked_Sn[s]),
            "nll": lambda s: m.nll(score.scores_Sn[s], liked_Sn[s]),
            "r2": lambda s: m.r2(p_Sn[s], liked_Sn[s]),
            "mae": lambda s: m.mae(p_Sn[s], liked_Sn[s]),
            "rmse": lambda s: m.rmse(p_Sn[s], liked_Sn[s]),
            "ece": lambda s: m.ece(p_Sn[s], liked_Sn[s]),
            "base_rate": lambda s: float(p_Sn[s].mean()),
        }
    seeds = range(len(liked_Sn))
    values = {name: [metric(s) for s in seeds] for name, metric in metrics.items()}
    return values | {name: [float("nan")] * len(seeds) for name in LEVEL if name not in values}


def _weighted(score: Score, judged: Judged) -> dict[str, Weighted]:
    """Metrics that the bootstrap can draw, each the mean over seeds on the same prompts."""
    liked_Sn = judged.liked_Sn.astype(np.float64)
    p_Sn = probability(score.scores_Sn)
    seeds = range(len(liked_Sn))
    found = {
        "within_prompt_accuracy": averaged(
            [weighted_within_prompt(score.scores_Sn[s], liked_Sn[s], judged.prompts_n) for s in seeds]
        ),
        "auroc": averaged([weighted_auroc(score.scores_Sn[s], liked_Sn[s]) for s in seeds]),
    }
    if has_level(score):
        # Seeds share the rows: the mean over seeds of a mean over rows is one mean.
        found["brier"] = weighted_mean(((p_Sn - liked_Sn) ** 2).mean(0))
        found["r2"] = averaged([_r2(p_Sn[s], liked_Sn[s]) for s in seeds])
        found["base_rate"] = weighted_mean(p_Sn.mean(0))
    return found


def _r2(p_n: NDArray[np.float64], liked_n: NDArray[np.float64]) -> Weighted:
    error, rate = weighted_mean((p_n - liked_n) ** 2), weighted_mean(liked_n)

    def over(weights_DN: NDArray[np.float64]) -> NDArray[np.float64]:
        rate_D = rate.over(weights_DN)
        spread_D = np.where(
            (rate_D > 0) & (rate_D < 1), rate_D * (1 - rate_D), np.nan
        )  # as `metrics.r2` has it
        r2_D: NDArray[np.float64] = 1 - error.over(weights_DN) / spread_D
        return r2_D

    return Weighted(over)
