"""How often labels lie: rho01 = P(r=0|r*=1), a missed like, and rho10 = P(r=1|r*=0), a false one.

No rule that sees only labels is right when people disagree about a response; a gold slice is.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from tacit.errors import ConfigError, DegenerateDataError
from tacit.methods.nuisances.checks import Bools, Floats, labels, labels_or_nan, probabilities
from tacit.methods.nuisances.cross_fitting import Calibration, out_of_fold
from tacit.methods.nuisances.rates import Interval, NoiseRates, from_published

__all__ = [
    "NoiseRates",
    "bounds",
    "confident_learning",
    "dual_t",
    "from_gold",
    "from_published",
    "noise_rates",
    "quantile_anchor",
]

Rule = Literal["quantile_anchor", "confident_learning", "dual_t"]


def quantile_anchor(s_N: ArrayLike, *, quantile: float = 0.97) -> NoiseRates:
    """rho01 = 1 − the quantile of s, rho10 = its mirror image: the largest noise the data allow (Liu & Tao 2016).

    Right where some rows are certainly good and some certainly bad. Where people disagree everywhere, it overstates
    both rates and sharpens the reward.

    Args:
        s_N: P(r=1|x), out-of-fold and calibrated.
        quantile: 1 takes the extremes, .97 spares outliers.

    Raises:
        IdentificationError: scores too alike to leave a signal (guard G5).
        DataError: a score outside [0, 1].
        ConfigError: a quantile outside (.5, 1].

    Example:
        >>> rates = quantile_anchor([0.25, 0.5, 0.75], quantile=1.0)
        >>> rates.rho01, rates.rho10
        (0.25, 0.25)
    """
    low, high = _anchors(probabilities(s_N, "score"), quantile)
    return NoiseRates(1 - high, low)


def bounds(s_N: ArrayLike, *, quantile: float = 0.97) -> tuple[NoiseRates, NoiseRates]:
    """Both ends of what the data allow: no noise, and the anchors'. A result that differs between them is not known.

    Args:
        s_N: P(r=1|x), out-of-fold and calibrated.
        quantile: as in `quantile_anchor`.

    Raises:
        As `quantile_anchor`.

    Example:
        >>> none, most = bounds([0.25, 0.5, 0.75], quantile=1.0)
        >>> none.rho01, most.rho01, none.rho01_interval
        (0.0, 0.25, (0.0, 0.25))
    """
    low, high = _anchors(probabilities(s_N, "score"), quantile)
    band01, band10 = (0.0, 1 - high), (0.0, low)
    return NoiseRates(0.0, 0.0, band01, band10), NoiseRates(1 - high, low, band01, band10)


def confident_learning(s_N: ArrayLike, r_N: ArrayLike) -> NoiseRates:
    """Rates from the rows that the surrogate is sure of (Northcutt, Jiang & Chuang, JAIR 2021, arXiv 1911.00068).

    A row counts as class j where P_j reaches its mean over the rows labelled j. The counts by label and class, with
    each label's row scaled to its true number, estimate the joint law. Right for nearly separable classes.

    Args:
        s_N: P(r=1|x), out-of-fold and calibrated.
        r_N: labels.

    Raises:
        DegenerateDataError: one kind of label, or no row that is surely of a class.
        IdentificationError: guard G5 on the estimate.
        DataError: malformed rows.
    """
    s, r = _scores_and_labels(s_N, r_N)
    sure1, sure0 = s >= s[r].mean(), 1 - s >= (1 - s[~r]).mean()
    both = sure1 & sure0  # the likelier class takes the row
    sure1, sure0 = sure1 & ~(both & (s < 0.5)), sure0 & ~(both & (s >= 0.5))
    count_22 = np.array(
        [[np.sum(sure0 & ~r), np.sum(sure1 & ~r)], [np.sum(sure0 & r), np.sum(sure1 & r)]], float
    )
    if not (count_22.sum(axis=0).all() and count_22.sum(axis=1).all()):
        raise DegenerateDataError(
            "no row is surely of one of the classes or labels; expected some, use quantile_anchor"
        )
    joint_22 = count_22 / count_22.sum(axis=1, keepdims=True) * np.array([[np.sum(~r)], [np.sum(r)]])
    return NoiseRates(
        float(joint_22[0, 1] / joint_22[:, 1].sum()), float(joint_22[1, 0] / joint_22[:, 0].sum())
    )


def dual_t(s_N: ArrayLike, r_N: ArrayLike) -> NoiseRates:
    """Product of two transitions: to the surrogate's class, and on to the label (Yao et al. 2020, arXiv 2006.07805).

    Right for networks that have memorised their labels. On calibrated scores it counts the uncertainty twice and is
    the worst of the rules; here for comparison.

    Args:
        s_N: P(r=1|x).
        r_N: labels.

    Raises:
        DegenerateDataError: one kind of label, or no score on one of both sides of .5.
        IdentificationError: guard G5 on the estimate.
        DataError: malformed rows.
    """
    s, r = _scores_and_labels(s_N, r_N)
    above = s > 0.5
    if above.all() or not above.any():
        raise DegenerateDataError(
            f"{int(above.sum())} of {len(s)} scores are above .5; expected some on both sides"
        )
    low, high = _anchors(s, 1.0)
    one_below, one_above = float(r[~above].mean()), float(r[above].mean())
    # Rows of the first matrix: (1−s, s) at the anchors. Column r=1 of the second: label shares on each side of .5.
    rho10 = (1 - low) * one_below + low * one_above
    rho01 = (1 - high) * (1 - one_below) + high * (1 - one_above)
    return NoiseRates(rho01, rho10)


def from_gold(r_N: ArrayLike, gold_N: ArrayLike) -> NoiseRates:
    """Rates counted on rows with both a label and a trusted one; the rule to prefer.

    The intervals are those of Jeffreys' Beta(½, ½) posterior, closed at 0 and 1 where nothing or everything flipped
    (Brown, Cai & DasGupta, Statistical Science 2001). Pass them on by fitting again at their ends.

    Args:
        r_N: labels, NaN where unobserved.
        gold_N: trusted labels, NaN where missing. They must be missing at random given (r, x).

    Raises:
        DegenerateDataError: gold rows with a label are not of both classes.
        IdentificationError: guard G5.
        DataError: malformed rows.

    Example:
        >>> from_gold([0, 1, 0, 0], [1, 1, 0, 0]).rho01
        0.5
    """
    r, gold = labels_or_nan(r_N), labels_or_nan(gold_N, "gold label", np.size(r_N))
    known = ~(np.isnan(r) | np.isnan(gold))
    said, truth = r[known] == 1, gold[known] == 1
    good, bad = int(truth.sum()), int((~truth).sum())
    if not (good and bad):
        raise DegenerateDataError(f"{good} good and {bad} bad gold rows with a label; expected both classes")
    missed, invented = int((~said & truth).sum()), int((said & ~truth).sum())
    return NoiseRates(missed / good, invented / bad, _jeffreys(missed, good), _jeffreys(invented, bad))


def noise_rates(
    x_ND: ArrayLike,
    r_N: ArrayLike,
    group_N: ArrayLike,
    *,
    rule: Rule = "quantile_anchor",
    classifier: Any = None,
    calibration: Calibration = "temperature",
    folds: int = 5,
    seed: int = 0,
) -> NoiseRates:
    """Rates from features and labels: a cross-fitted, calibrated surrogate of P(r=1|x), then a rule.

    The surrogate must be able to level off at rho10 and 1 − rho01. A logistic one with the default calibration cannot
    and may find too little noise: give a tree, or calibration="isotonic".

    Args:
        x_ND: features.
        r_N: labels, NaN where unobserved: such rows are scored for the anchors but not learned from.
        group_N: what must stay together: prompts, or prompts joined with their users.
        rule: one of the label-only rules above.
        classifier: any scikit-learn classifier with predict_proba; cloned, never changed.
        calibration: of the surrogate, as in `propensity.cross_fitted`.
        folds: how many.
        seed: of the folds.

    Raises:
        ConfigError: no such rule, or a classifier without predict_proba.
        DegenerateDataError: one kind of label, or too few groups.
        IdentificationError: guard G5 on the estimate.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x_ND = rng.normal(size=(4000, 1))
        >>> r_N = rng.random(4000) < np.where(x_ND[:, 0] > 0, 0.9, 0.2)
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> rates = noise_rates(x_ND, r_N, np.arange(4000), classifier=DecisionTreeClassifier(max_depth=1))
        >>> round(rates.rho01, 1), round(rates.rho10, 1)
        (0.1, 0.2)
    """
    if rule not in get_args(Rule):
        raise ConfigError(f"rule={rule!r}; expected one of {', '.join(get_args(Rule))}, or use from_gold")
    r = labels_or_nan(r_N)
    s_N, _ = out_of_fold(
        x_ND, r, group_N, classifier=classifier, calibration=calibration, folds=folds, seed=seed
    )
    if rule == "quantile_anchor":
        return quantile_anchor(s_N)
    seen = ~np.isnan(r)
    return (confident_learning if rule == "confident_learning" else dual_t)(s_N[seen], r[seen])


def _scores_and_labels(s_N: ArrayLike, r_N: ArrayLike) -> tuple[Floats, Bools]:
    s = probabilities(s_N, "score")
    r = labels(r_N, "label", len(s))
    if r.all() or not r.any():
        raise DegenerateDataError(f"{int(r.sum())} of {len(r)} labels are 1; expected both labels")
    return s, r


def _anchors(s: Floats, quantile: float) -> Interval:
    if not 0.5 < quantile <= 1:
        raise ConfigError(f"quantile={quantile:g}; expected above .5 and at most 1, usually .97")
    low, high = np.quantile(s, [1 - quantile, quantile])
    return float(low), float(high)


def _jeffreys(k: int, n: int) -> Interval:
    from scipy.stats import beta

    low, high = (float(beta.ppf(at, k + 0.5, n - k + 0.5)) for at in (0.025, 0.975))
    return 0.0 if k == 0 else min(low, k / n), 1.0 if k == n else max(high, k / n)
