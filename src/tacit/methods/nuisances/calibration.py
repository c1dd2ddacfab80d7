"""From a score that ranks to a probability that can be believed: maps fitted on a gold slice, saved as JSON.

A map belongs to the model that is exported: save it there. Gold rows that fitted it cannot judge it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tacit.errors import DegenerateDataError, IdentificationError
from tacit.methods.nuisances.checks import Bools, Floats, labels, scores
from tacit.methods.nuisances.estimate import Estimate, normal
from tacit.methods.nuisances.logistic import logistic, sigmoid, softened
from tacit.methods.nuisances.maps import Affine, Beta, CalibrationMap, Isotonic, beta_columns, from_json
from tacit.methods.nuisances.prior import check_prior

__all__ = [
    "Affine",
    "Beta",
    "CalibrationMap",
    "Isotonic",
    "beta",
    "from_json",
    "isotonic",
    "platt",
    "ppi_mean",
    "prior_shift",
    "temperature",
]


def platt(f_N: ArrayLike, gold_N: ArrayLike) -> Affine:
    """sigmoid(A·f + B) on targets (n1+1)/(n1+2) and 1/(n0+2) (Platt 1999). Keeps the order of scores.

    Args:
        f_N: logits of gold rows that did not train the model, 100 or more.
        gold_N: trusted labels.

    Raises:
        DegenerateDataError: too few rows, or one class.
        IdentificationError: scores are upside down.
        DataError: malformed rows.
    """
    f, gold = _slice(f_N, gold_N, 100, "platt")
    scale, level = logistic(np.column_stack([f, np.ones_like(f)]), softened(gold))
    _refuse_upside_down(scale > 0, f, gold)
    return Affine(float(scale), float(level))


def temperature(f_N: ArrayLike, gold_N: ArrayLike) -> Affine:
    """sigmoid(A·f) with A > 0 on Platt's targets: sets how sure the scores are, keeps where they are even.

    Args:
        f_N: logits of gold rows that did not train the model, 100 or more.
        gold_N: trusted labels.

    Raises:
        As `platt`.
    """
    f, gold = _slice(f_N, gold_N, 100, "temperature")
    scale = float(logistic(f[:, None], softened(gold))[0])
    _refuse_upside_down(scale > 0, f, gold)
    return Affine(scale, 0.0)


def beta(f_N: ArrayLike, gold_N: ArrayLike) -> Beta:
    """sigmoid(a·log s − b·log(1−s) + c), a, b >= 0, s = sigmoid(f) (Kull, Silva Filho & Flach, AISTATS 2017).

    Bends the two ends differently. Targets are Platt's, so that rows without overlap have an answer too.

    Args:
        f_N: logits of gold rows that did not train the model, 200 or more.
        gold_N: trusted labels.

    Raises:
        As `platt`.
    """
    f, gold = _slice(f_N, gold_N, 200, "beta")
    columns = np.column_stack([*beta_columns(f), np.ones_like(f)])
    target = softened(gold)
    w = logistic(columns, target)
    kept = w[:2] > 0
    _refuse_upside_down(bool(kept.any()), f, gold)
    if (
        not kept.all()
    ):  # the loss is convex: its best point within a, b >= 0 lies on the border that was crossed
        w = np.zeros(3)
        kept = np.append(kept, True)
        w[kept] = logistic(columns[:, kept], target)
        _refuse_upside_down(bool(w[:2].max() > 0), f, gold)
    return Beta(*(float(v) for v in w))


def isotonic(f_N: ArrayLike, gold_N: ArrayLike) -> Isotonic:
    """The best non-decreasing map, linear between its knots, within [1/(n+2), 1−1/(n+2)].

    Its plateaus make ties within a prompt: report with it, and keep f for training a policy.

    Args:
        f_N: logits of gold rows that did not train the model, 1,000 or more.
        gold_N: trusted labels.

    Raises:
        As `platt`.
    """
    from sklearn.isotonic import IsotonicRegression
    from sklearn.metrics import roc_auc_score

    f, gold = _slice(f_N, gold_N, 1000, "isotonic")
    _refuse_upside_down(roc_auc_score(gold, f) > 0.5, f, gold)
    floor = 1 / (len(f) + 2)
    found = IsotonicRegression(y_min=floor, y_max=1 - floor, out_of_bounds="clip").fit(f, gold)
    return Isotonic(tuple(found.X_thresholds_.tolist()), tuple(found.y_thresholds_.tolist()))


def prior_shift(f_N: ArrayLike, prior: float) -> Affine:
    """sigmoid(f + level) with the mean equal to a known prior. The level is unique and needs no gold rows.

    Args:
        f_N: logits of rows from the population of that prior.
        prior: share of good rows.

    Raises:
        IdentificationError: the prior is not inside (0, 1) (guard G6).
        DataError: a logit is not finite.

    Example:
        >>> f_N = np.array([-1.0, 2.0])
        >>> round(float(prior_shift(f_N, 0.3).probability(f_N).mean()), 9)
        0.3
    """
    f = scores(f_N)
    check_prior(prior)
    target = math.log(prior) - math.log1p(-prior)
    low, high = target - float(f.max()), target - float(f.min())  # all means lie below, and above, the prior
    for _ in range(200):
        middle = low + (high - low) / 2
        if middle in (low, high):
            break
        if sigmoid(f + middle).mean() < prior:
            low = middle
        else:
            high = middle
    return Affine(1.0, low + (high - low) / 2)


def ppi_mean(reward_N: ArrayLike, reward_n: ArrayLike, gold_n: ArrayLike) -> Estimate:
    """Mean true reward from many scored and few gold rows, however biased the scores (arXiv 2301.09633).

    mean_N(score) + mean_n(gold − score), with se² = var_N(score)/N + var_n(gold − score)/n.

    Args:
        reward_N: scored rows without gold.
        reward_n: scores of the gold rows, drawn at random from the same population and not used to fit the score.
        gold_n: their trusted rewards; grades are as good as labels.

    Raises:
        DegenerateDataError: fewer than two rows of either kind.
        DataError: malformed rows.

    Example:
        >>> round(ppi_mean([0.5, 0.7, 0.6], [0.5, 0.7], [1, 1]).value, 3)
        1.0
    """
    many, few = scores(reward_N, "reward"), scores(reward_n, "reward")
    gap = scores(gold_n, "gold", len(few)) - few
    if min(len(many), len(few)) < 2:
        raise DegenerateDataError(f"{len(many)} scored and {len(few)} gold rows; expected at least 2 of each")
    se = math.sqrt(many.var(ddof=1) / len(many) + gap.var(ddof=1) / len(gap))
    return normal(float(many.mean() + gap.mean()), se)


def _slice(f_N: ArrayLike, gold_N: ArrayLike, least: int, name: str) -> tuple[Floats, Bools]:
    f = scores(f_N)
    gold = labels(gold_N, "gold label", len(f))
    if len(f) < least:
        raise DegenerateDataError(
            f"{len(f)} gold rows; {name} needs at least {least}, use a map with fewer parameters"
        )
    if gold.all() or not gold.any():
        raise DegenerateDataError(f"{int(gold.sum())} of {len(f)} gold rows are good; expected both classes")
    return f, gold


def _refuse_upside_down(rises: bool, f: Floats, gold: Bools) -> None:
    if not rises:
        raise IdentificationError(
            f"scores are upside down or say nothing: good rows have mean {f[gold].mean():.3g}, bad ones "
            f"{f[~gold].mean():.3g}; expected scores that rise with quality, check the label's polarity"
        )
