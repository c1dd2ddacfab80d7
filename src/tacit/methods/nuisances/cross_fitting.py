"""Scores of rows by classifiers that have not seen them: what every nuisance fitted from features stands on."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tacit.errors import ConfigError, DataError, DegenerateDataError
from tacit.methods.nuisances.checks import Bools, Floats, features, labels_or_nan
from tacit.methods.nuisances.logistic import logistic, logit, sigmoid, softened

Calibration = Literal["temperature", "isotonic", "none"]


def fold_of(group_N: ArrayLike, label_N: Floats, *, folds: int, seed: int) -> NDArray[np.int64]:
    """A fold per row. Groups stay whole; the folds get alike numbers of rows and of ones.

    Groups of alike size and content are dealt to the folds in turn, in random order.

    Raises:
        DegenerateDataError: fewer groups than folds.
        ConfigError: fewer than two folds.
        DataError: not one group per row, or groups that are NaN or None.
    """
    if folds < 2:
        raise ConfigError(f"folds={folds}; expected at least 2: one to learn from and one to judge")
    at_N = group_codes(group_N, len(label_N))
    count = int(at_N.max()) + 1
    if count < folds:
        raise DegenerateDataError(
            f"{count} groups cannot fill {folds} folds; pass folds={max(count, 2)} or more groups"
        )
    size_G = np.bincount(at_N)
    ones_G = np.bincount(at_N, weights=np.nan_to_num(label_N))
    rng = np.random.default_rng(seed)
    dealt_G = np.lexsort((rng.random(count), ones_G, size_G))[::-1]
    rounds = -(-count // folds)
    turns = rng.permuted(np.tile(np.arange(folds), (rounds, 1)), axis=1).ravel()[:count]
    fold_G = np.empty(count, dtype=np.int64)
    fold_G[dealt_G] = turns
    return fold_G[at_N]


def group_codes(group_N: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Groups numbered from 0, [N]; what is missing is no group, least of all one that all such rows share.

    Raises:
        DataError: not one group per row, or groups that are NaN, None or of several types.
    """
    groups = np.asarray(group_N)
    if groups.shape != (rows,):
        raise DataError(
            f"groups have shape {groups.shape}, there are {rows} rows; expected one group per row"
        )
    if groups.dtype.kind == "f" and np.isnan(groups).any():
        row = int(np.isnan(groups).argmax())
        raise DataError(f"groups, row {row}: found NaN, expected a group; give rows without one their own")
    try:
        return np.unique(groups, return_inverse=True)[1].astype(np.int64)
    except TypeError:
        raise DataError("groups mix types or hold None; expected all texts or all numbers") from None


def checked_classifier(classifier: Any) -> Any:
    """A classifier to clone: the one given, or a logistic regression on standardised features.

    Raises:
        ConfigError: it gives no probabilities, or is no scikit-learn estimator.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if classifier is None:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    if isinstance(classifier, type):
        raise ConfigError(
            f"the classifier is the class {classifier.__name__}; pass an instance, {classifier.__name__}()"
        )
    for needed in ("fit", "predict_proba", "get_params"):
        if not hasattr(classifier, needed):
            raise ConfigError(
                f"{type(classifier).__name__} has no {needed}; expected a scikit-learn classifier with predict_proba, "
                "wrap it in CalibratedClassifierCV"
            )
    return classifier


def out_of_fold(
    x_ND: ArrayLike,
    label_N: ArrayLike,
    group_N: ArrayLike,
    *,
    classifier: Any = None,
    calibration: Calibration = "temperature",
    folds: int = 5,
    seed: int = 0,
) -> tuple[Floats, NDArray[np.int64]]:
    """P(label=1|x) of every row from a classifier that saw no row of its group.

    The map that calibrates a fold is fitted to the out-of-fold scores of the *other* folds, so no row sets its own
    level either.

    Args:
        x_ND: features.
        label_N: 0, 1, or NaN where nothing was observed; such rows are scored but not learned from.
        group_N: what must stay together: prompts, or prompts joined with their users.
        classifier: any scikit-learn classifier with predict_proba; cloned per fold, never changed. Default: logistic
            regression on standardised features.
        calibration: "temperature" sets scale and level of the logits; "isotonic" any non-decreasing map (it wants
            1,000 rows); "none" takes the classifier at its word.
        folds: how many.
        seed: of the folds.

    Returns:
        Probabilities [N] and the fold of each row [N].

    Raises:
        DegenerateDataError: only one kind of label, or too few groups.
        DataError: malformed features, labels or groups.
        ConfigError: no such calibration, or a classifier without predict_proba.
    """
    from sklearn.base import clone

    if calibration not in get_args(Calibration):
        raise ConfigError(f"calibration={calibration!r}; expected one of {', '.join(get_args(Calibration))}")
    model = checked_classifier(classifier)
    label = labels_or_nan(label_N)
    x = features(x_ND, len(label))
    fold = fold_of(group_N, label, folds=folds, seed=seed)
    seen = ~np.isnan(label)
    refuse_one_kind(label, "in the rows")
    raw = np.empty(len(label))
    for k in range(folds):
        learn = seen & (fold != k)
        refuse_one_kind(label[learn], f"outside fold {k}")
        fitted = clone(model).fit(x[learn], label[learn].astype(np.int64))
        judged = fold == k
        raw[judged] = fitted.predict_proba(x[judged])[:, list(fitted.classes_).index(1)]
    if calibration == "none":
        return raw, fold
    f, p = logit(raw), np.empty(len(label))
    for k in range(folds):
        learn, judged = seen & (fold != k), fold == k
        p[judged] = _calibrated(f[learn], label[learn] == 1, f[judged], calibration)
    return p, fold


def refuse_one_kind(label_N: Floats, where: str) -> None:
    """Refuse labels that are all alike: nothing can be learned from them (guards G2, G3, G7)."""
    ones, zeros = int((label_N == 1).sum()), int((label_N == 0).sum())
    if ones == 0 or zeros == 0:
        raise DegenerateDataError(f"{ones} ones and {zeros} zeros {where}; expected both kinds of rows")


def _calibrated(f_n: Floats, label_n: Bools, judged_M: Floats, calibration: Calibration) -> Floats:
    if calibration == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        floor = 1 / (len(f_n) + 2)  # a plateau of zeros would divide by zero
        rising = IsotonicRegression(y_min=floor, y_max=1 - floor, out_of_bounds="clip")
        return np.asarray(rising.fit(f_n, label_n).predict(judged_M), dtype=np.float64)
    target_n = softened(label_n)
    scale, level = logistic(np.column_stack([f_n, np.ones_like(f_n)]), target_n)
    # Scores against the labels, out of fold, are chance: the mean is the best that is known.
    if scale <= 0:
        return np.full(len(judged_M), target_n.mean())
    return sigmoid(scale * judged_M + level)
