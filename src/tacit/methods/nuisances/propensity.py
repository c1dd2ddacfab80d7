"""Who gives feedback at all: P(observed|x) for weights 1/p, judged by what those weights would do.

Roots: Rosenbaum & Rubin, Biometrika 1983; cross-fitting: Chernozhukov et al., Econometrics Journal 2018.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tacit.errors import ConfigError, DataError, DegenerateDataError, IdentificationWarning
from tacit.methods.nuisances.checks import Floats, column, labels
from tacit.methods.nuisances.cross_fitting import Calibration, out_of_fold


@dataclass(frozen=True)
class Diagnosis:
    """What weighting by 1/p would do to a log. Weights are 1/max(p, clip) on observed rows.

    Attributes:
        rows: all rows.
        observed: rows with feedback.
        clip: where p was cut.
        clipped: rows, observed or not, with p below the clip.
        clipped_weight_share: share of the total weight that lies on clipped rows.
        effective_rows: (Σw)²/Σw², what the weighted observed rows are worth in unweighted ones.
        effective_share: effective rows by observed rows.
        max_weight_share: share of the total weight on one row.
        mean_weight: Σw/rows. 1 for true propensities; more than .05 away says that the level is wrong.
        mean_weight_by_decile: the same within each tenth of the rows, from the least to the most likely observed; rows
            with the same p stay together, so where they are many there are fewer than ten.
        brier_skill: 1 − MSE(p)/MSE(mean). About 0: weighting does nothing. Below 0: worse than a constant.
        auroc: chance that an observed row has the higher p; NaN without both kinds. Above .95 overlap nearly fails.
    """

    rows: int
    observed: int
    clip: float
    clipped: int
    clipped_weight_share: float
    effective_rows: float
    effective_share: float
    max_weight_share: float
    mean_weight: float
    mean_weight_by_decile: tuple[float, ...]
    brier_skill: float
    auroc: float


@dataclass(frozen=True, eq=False)
class Propensity:
    """Out-of-fold probabilities of being observed (not clipped), the fold of each row, and what they would do."""

    p: Floats
    fold: NDArray[np.int64]
    diagnosis: Diagnosis


def cross_fitted(
    x_ND: ArrayLike,
    o_N: ArrayLike,
    group_N: ArrayLike,
    *,
    classifier: Any = None,
    calibration: Calibration = "temperature",
    folds: int = 5,
    seed: int = 0,
    clip: float = 0.05,
) -> Propensity:
    """P(observed|x) of every row, by a classifier that saw no row of its group.

    Args:
        x_ND: all that drives selection *and* the outcome, known before the outcome. A rating among the features is
            an error that no check can see.
        o_N: 1 where feedback was observed, else 0.
        group_N: what must stay together: prompts, or prompts joined with their users.
        classifier: any scikit-learn classifier with predict_proba; cloned, never changed. Default: logistic regression
            on standardised features.
        calibration: "temperature" sets scale and level of the logits, "isotonic" any non-decreasing map, "none" takes
            the classifier at its word.
        folds: how many.
        seed: of the folds.
        clip: where the diagnosis cuts p. The p that is returned is not cut: try several.

    Raises:
        DegenerateDataError: nothing observed, or everything, or too few groups (guard G7).
        DataError: malformed rows, or a probability of 0 (guard G4).
        ConfigError: no such calibration, or a classifier without predict_proba.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x_ND = rng.normal(size=(4000, 2))
        >>> o_N = rng.random(4000) < 1 / (1 + np.exp(-x_ND[:, 0]))
        >>> found = cross_fitted(x_ND, o_N, np.arange(4000))
        >>> round(found.diagnosis.mean_weight, 1), found.diagnosis.brier_skill > 0.1
        (1.0, True)
    """
    observed_N = labels(o_N, "observed")
    p_N, fold_N = out_of_fold(
        x_ND, observed_N, group_N, classifier=classifier, calibration=calibration, folds=folds, seed=seed
    )
    return Propensity(p_N, fold_N, diagnose(p_N, observed_N, clip=clip))


def check_propensity(p_N: ArrayLike) -> Floats:
    """Propensities that can be divided by (guard G4).

    Raises:
        DataError: one is 0 or less, above 1, or NaN; names its row.

    Example:
        >>> check_propensity([0.2, 1.0]).tolist()
        [0.2, 1.0]
    """
    p = column(p_N, "propensity")
    bad = ~((p > 0) & (p <= 1))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"propensity is {p[row]:g} in row {row}; expected above 0 and at most 1, calibrate or floor it first"
        )
    return p


def diagnose(p_N: ArrayLike, o_N: ArrayLike, *, clip: float = 0.05) -> Diagnosis:
    """What weights 1/max(p, clip) on the observed rows would do.

    Args:
        p_N: P(observed|x), above 0.
        o_N: 1 where feedback was observed, else 0.
        clip: where p is cut.

    Raises:
        DataError: a propensity that cannot divide (guard G4).
        DegenerateDataError: nothing observed (guard G7).

    Warns:
        IdentificationWarning: clipping touches more than 5 % of rows or 20 % of the weight, the effective rows are
            below a tenth of the observed ones, or AUROC is above .95.
    """
    p = check_propensity(p_N)
    o = labels(o_N, "observed", len(p))
    if not o.any():
        raise DegenerateDataError(f"none of {len(p)} rows is observed; expected at least one")
    cut = _clipped(p, clip)
    w = o / cut
    total = float(w.sum())
    touched = p < clip
    base = float(np.mean((o - o.mean()) ** 2))
    found = Diagnosis(
        rows=len(p),
        observed=int(o.sum()),
        clip=clip,
        clipped=int(touched.sum()),
        clipped_weight_share=float(w[touched].sum()) / total,
        effective_rows=total**2 / float(np.square(w).sum()),
        effective_share=total**2 / float(np.square(w).sum()) / int(o.sum()),
        max_weight_share=float(w.max()) / total,
        mean_weight=total / len(p),
        mean_weight_by_decile=_by_decile(p, w),
        brier_skill=1 - float(np.mean((o - p) ** 2)) / base if base else float("nan"),
        auroc=_auroc(p, o),
    )
    doubts = _doubts(found)
    if doubts:
        warnings.warn(f"propensities: {'; '.join(doubts)}", IdentificationWarning, stacklevel=2)
    return found


def mean_weight_by(p_N: ArrayLike, o_N: ArrayLike, z_N: ArrayLike, *, clip: float = 0.05) -> dict[Any, float]:
    """Mean of o/max(p, clip) within each level of a context; 1 everywhere for true propensities.

    Args:
        p_N: P(observed|x), above 0.
        o_N: 1 where feedback was observed, else 0.
        z_N: the level of each row, such as its slot or its device.
        clip: where p is cut.

    Raises:
        DataError: malformed columns (guard G4).

    Example:
        >>> mean_weight_by([0.5, 0.5, 0.25, 0.25], [1, 0, 1, 1], ["web", "web", "app", "app"])
        {'app': 4.0, 'web': 1.0}
    """
    p = check_propensity(p_N)
    o = labels(o_N, "observed", len(p))
    z = np.asarray(z_N)
    if z.shape != p.shape:
        raise DataError(f"levels have shape {z.shape}; expected one per row, {p.shape}")
    levels, at = np.unique(z, return_inverse=True)
    means = np.bincount(at, weights=o / _clipped(p, clip)) / np.bincount(at)
    return dict(zip(levels.tolist(), means.tolist(), strict=True))


def rescaled_to(e_N: ArrayLike, e_max: float = 1.0) -> Floats:
    """A label propensity, known up to a factor, scaled so that its largest value is e_max.

    From positive labels alone only ratios e(z1)/e(z0) are identified, unless some context makes everybody answer.
    e_max=1 gives the largest e and so a lower bound on r; report r at 1, .7 and .5.

    Args:
        e_N: P(labelled|good, z) up to a factor.
        e_max: what the most active context is assumed to reach.

    Raises:
        DataError: a propensity that cannot divide (guard G4).
        ConfigError: e_max outside (0, 1].

    Example:
        >>> rescaled_to([0.1, 0.2, 0.4], e_max=0.8).tolist()
        [0.2, 0.4, 0.8]
    """
    if not 0 < e_max <= 1:
        raise ConfigError(f"e_max={e_max:g}; expected above 0 and at most 1")
    e = check_propensity(e_N)
    return e * (e_max / float(e.max()))


def _clipped(p: Floats, clip: float) -> Floats:
    if not 0 <= clip < 1:
        raise ConfigError(f"clip={clip:g}; expected from 0 to below 1, usually .05")
    return np.maximum(p, clip)


def _by_decile(p: Floats, w: Floats) -> tuple[float, ...]:
    """Means of w by tenths of the rows. A tie that was torn apart would have means that hang on the order of rows."""
    _, at, count = np.unique(p, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - count
    _, tenth_N = np.unique((10 * below // len(p))[at], return_inverse=True)
    means: Floats = np.bincount(tenth_N, weights=w) / np.bincount(tenth_N)
    return tuple(means.tolist())


def _doubts(found: Diagnosis) -> list[str]:
    doubts = []
    if found.clipped > 0.05 * found.rows or found.clipped_weight_share > 0.2:
        doubts.append(
            f"clipping at {found.clip:g} touches {found.clipped} of {found.rows} rows and "
            f"{found.clipped_weight_share:.0%} of the weight, compare results at other clips"
        )
    if found.effective_share < 0.1:
        doubts.append(
            f"{found.observed} observed rows are worth {found.effective_rows:.1f}, expected a tenth or more, raise clip"
        )
    if found.auroc > 0.95:
        doubts.append(
            f"AUROC {found.auroc:.3f} is above .95, overlap nearly fails: look for a feature that gives selection away"
        )
    return doubts


def _auroc(p: Floats, o: NDArray[np.bool_]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(o, p)) if not o.all() else float("nan")
