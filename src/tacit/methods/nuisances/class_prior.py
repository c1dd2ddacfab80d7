"""How many rows are good when only some of the good ones say so: pi = P(r*=1), and c = P(y=1|r*=1) = P(y=1)/pi.

All rules need labels that are set at random among the good rows (SCAR), at least within the cell they are used in. The
label-only ones also need a region where every row is good; without it pi comes out as pi/max r, too high.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from tacit.errors import (
    ConfigError,
    DataError,
    DegenerateDataError,
)
from tacit.methods.nuisances.checks import labels_or_nan, positives_and_others, probabilities, scores
from tacit.methods.nuisances.cross_fitting import out_of_fold
from tacit.methods.nuisances.estimate import Z95, Estimate, normal, wilson
from tacit.methods.nuisances.prior import (
    check_prior,
    frequency_of_prior,
    prior_of_frequency,
    warn_of_overshoot,
)
from tacit.methods.nuisances.tice import tice

__all__ = [
    "bbe",
    "check_prior",
    "class_prior",
    "elkan_noto",
    "frequency_of_prior",
    "from_gold",
    "known",
    "negative_channel",
    "prior_of_frequency",
    "tice",
    "warn_of_overshoot",
]

FrequencyRule = Literal["e1", "e2", "max"]
Rule = Literal["bbe", "e1", "e2", "max", "tice"]


def bbe(positive_scores_P: ArrayLike, all_scores_N: ArrayLike) -> Estimate:
    """The prior pi by best bin estimation (Garg et al., NeurIPS 2021, arXiv 2111.00980).

    With qp(t), qa(t) the shares of labelled and of all rows with a score of t or more, pi = qa/qp at the t with the
    smallest upper bound qa/qp + (1.01/qp)·(√(log 40/2n_a) + √(log 40/2n_p)). The interval holds qa/qp at all t at once
    with 90 % (Dvoretzky, Kiefer & Wolfowitz).

    Args:
        positive_scores_P: held-out scores of labelled rows, on any scale that rises with r.
        all_scores_N: held-out scores of *all* rows, the labelled among them.

    Raises:
        DataError: a score is not finite.
        DegenerateDataError: no scores.

    Example:
        >>> bbe([0.9] * 500, [0.9] * 500 + [0.1] * 500).value
        0.5
    """
    positive, mixture = np.sort(scores(positive_scores_P)), np.sort(scores(all_scores_N))
    at = np.unique(positive)
    qp = 1 - np.searchsorted(positive, at, side="left") / len(positive)
    qa = 1 - np.searchsorted(mixture, at, side="left") / len(mixture)
    off_p, off_a = (math.sqrt(math.log(40) / (2 * len(part))) for part in (positive, mixture))
    best = int(np.argmin((qa + 1.01 * (off_a + off_p)) / qp))
    p, a = float(qp[best]), float(qa[best])
    high = (a + off_a) / (p - off_p) if p > off_p else 1.0
    value = min(a / p, 1.0)
    return Estimate(value, min(max(a - off_a, 0.0) / (p + off_p), value), min(max(high, value), 1.0))


def elkan_noto(s_N: ArrayLike, y_N: ArrayLike, *, rule: FrequencyRule = "e1") -> Estimate:
    """The label frequency c = P(y=1|r*=1) from s = P(y=1|x) (Elkan & Noto, KDD 2008).

    `e1` is the mean of s over labelled rows, `e2` the sum of s over labelled rows by that over all rows: both are
    c·E[r²]/E[r], too low unless every row is surely good or surely bad. `max` is the .99 quantile of s, right where
    some rows are surely good; a plain logistic s overshoots it. The intervals cover chance alone, `max` only
    the chance of which rows came, not that of s.

    Args:
        s_N: held-out and calibrated.
        y_N: 1 where labelled positive, else 0.
        rule: which.

    Raises:
        DegenerateDataError: no positives, or positives only (guards G2, G3).
        ConfigError: no such rule.
        DataError: malformed rows.

    Example:
        >>> elkan_noto([0.4, 0.4, 0.4, 0.0], [1, 0, 0, 0]).value
        0.4
    """
    if rule not in get_args(FrequencyRule):
        raise ConfigError(f"rule={rule!r}; expected one of {', '.join(get_args(FrequencyRule))}")
    s = probabilities(s_N, "score")
    y = positives_and_others(y_N, len(s))
    if rule != "max":
        total = float(y.sum()) if rule == "e1" else float(s.sum())
        if total == 0:
            raise DegenerateDataError("all scores are 0; expected P(y=1|x) of a model that was fitted")
        c = float(s[y].sum()) / total
        # Both estimate E[s²]/E[s]; its influence function, with s learned from y freely, is (2sy − s² − cy)/E[s].
        se = math.sqrt(float(np.sum(np.square(2 * s * y - s**2 - c * y)))) / total
        return normal(c, se, least=0, most=1)
    spread = Z95 * math.sqrt(0.99 * 0.01 / len(s))  # how far the .99 quantile's own rank wanders
    low, value, high = np.quantile(s, [max(0.99 - spread, 0.0), 0.99, min(0.99 + spread, 1.0)])
    return Estimate(float(value), float(low), float(high))


def negative_channel(up_N: ArrayLike, down_N: ArrayLike) -> Estimate:
    """The prior pi from thumbs up and down that are given equally readily: ups / (ups + downs), Wilson interval.

    If contented users answer k times as readily as the others, the odds of this pi are k times too high.

    Args:
        up_N: 1 where approved, NaN where the button was not shown.
        down_N: 1 where disapproved, likewise. Rows count where both could be seen.

    Raises:
        DegenerateDataError: no thumb at all.
        DataError: malformed rows, or a row that says both.

    Example:
        >>> negative_channel([1, 1, 1, 0, 0], [0, 0, 0, 1, 0]).value
        0.75
    """
    up, down = labels_or_nan(up_N, "thumb up"), labels_or_nan(down_N, "thumb down", np.size(up_N))
    torn = (up == 1) & (down == 1)
    if torn.any():
        raise DataError(
            f"row {int(np.argmax(torn))} has both thumbs; expected one at most, keep the later one"
        )
    shown = ~(np.isnan(up) | np.isnan(down))
    ups, downs = int(up[shown].sum()), int(down[shown].sum())
    return wilson(ups, ups + downs)


def from_gold(gold_N: ArrayLike) -> Estimate:
    """The prior pi as the share of good rows among trusted labels, Wilson interval.

    Args:
        gold_N: trusted labels of rows drawn at random, NaN where missing.

    Raises:
        DegenerateDataError: no gold row.
        DataError: malformed rows.

    Example:
        >>> from_gold([1, 0, float("nan"), 1, 1]).value
        0.75
    """
    gold = labels_or_nan(gold_N, "gold label")
    return wilson(int(np.nansum(gold)), int((~np.isnan(gold)).sum()))


def known(value: float, se: float) -> Estimate:
    """A prior from elsewhere with its standard error.

    Raises:
        IdentificationError: not inside (0, 1) (guard G6).
        ConfigError: a standard error that is negative or not finite.

    Example:
        >>> known(0.5, 0.0)
        Estimate(value=0.5, low=0.5, high=0.5)
    """
    if not 0 <= se < math.inf:
        raise ConfigError(f"se={se:g}; expected 0 or more")
    check_prior(value)
    return normal(value, se, least=0, most=1)


def class_prior(
    x_ND: ArrayLike,
    y_N: ArrayLike,
    group_N: ArrayLike,
    *,
    rule: Rule = "bbe",
    classifier: Any = None,
    folds: int = 5,
    seed: int = 0,
) -> Estimate:
    """The prior pi from features and positive labels: a cross-fitted, calibrated s = P(y=1|x), then a rule.

    Args:
        x_ND: features.
        y_N: 1 where labelled positive, else 0; one sample.
        group_N: what must stay together: prompts, or prompts joined with their users.
        rule: `bbe`, one of `elkan_noto`'s, or `tice` (which needs no classifier).
        classifier: any scikit-learn classifier with predict_proba; cloned, never changed.
        folds: how many.
        seed: of the folds.

    Raises:
        ConfigError: no such rule, or a classifier without predict_proba.
        DegenerateDataError: no positives, or positives only, or too few groups.
        IdentificationError: guard G6 on the estimate.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x_ND = np.sign(rng.normal(size=(20_000, 1)))
        >>> y_N = (x_ND[:, 0] > 0) & (rng.random(20_000) < 0.3)
        >>> round(class_prior(x_ND, y_N, np.arange(20_000)).value, 1)
        0.5
    """
    if rule not in get_args(Rule):
        raise ConfigError(f"rule={rule!r}; expected one of {', '.join(get_args(Rule))}, or use from_gold")
    y = positives_and_others(y_N)
    share = float(y.mean())
    if rule == "tice":
        return prior_of_frequency(tice(x_ND, y, group_N, folds=folds, seed=seed), share)
    s_N, _ = out_of_fold(x_ND, y, group_N, classifier=classifier, folds=folds, seed=seed)
    if rule == "bbe":
        found = bbe(s_N[y], s_N)
        check_prior(found.value, share)
        return found
    frequency = elkan_noto(s_N, y, rule=rule)
    warn_of_overshoot(s_N, frequency.high)  # by chance alone, half of the rows could lie above the value
    return prior_of_frequency(frequency, share)
