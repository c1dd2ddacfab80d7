"""Label frequency from subsets in which nearly every row is good: a reconstruction of TIcE with shallow trees."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tacit.errors import DegenerateDataError
from tacit.methods.nuisances.checks import features, positives_and_others
from tacit.methods.nuisances.cross_fitting import fold_of
from tacit.methods.nuisances.estimate import Estimate

DEPTH = 4


def tice(
    x_ND: ArrayLike, y_N: ArrayLike, group_N: ArrayLike | None = None, *, folds: int = 5, seed: int = 0
) -> Estimate:
    """A lower bound on c = P(y=1|r*=1) from the subset with the most labels (Bekker & Davis, AAAI 2018).

    c >= (labelled in S)/|S| − √((1−d)/(d·|S|)) for each S, with d = max(.025, 1/(1 + .004·n)). This is a
    reconstruction: the subsets are the nodes of a shallow tree, grown on one fold and counted on the others, and the
    bound is the mean over folds of the largest. `value` equals `low`; `high` adds the margin instead, and is a bound on
    c only if all rows of the subset are good.

    Args:
        x_ND: features.
        y_N: 1 where labelled positive, else 0.
        group_N: what must stay together; by default each row is alone.
        folds: how many.
        seed: of the folds and trees.

    Raises:
        DegenerateDataError: no positives, or positives only, or rows too few for a bound above 0.
        DataError: malformed rows.
    """
    from sklearn.tree import DecisionTreeClassifier

    y = positives_and_others(y_N)
    x = features(x_ND, len(y))
    groups = np.arange(len(y)) if group_N is None else group_N
    fold = fold_of(groups, y.astype(np.float64), folds=folds, seed=seed)
    bounds = []
    for k in range(folds):
        grown, counted = fold == k, fold != k
        n = int(counted.sum())
        d = max(0.025, 1 / (1 + 0.004 * n))
        tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=max(1, n // 1000), random_state=seed)
        path = tree.fit(x[grown], y[grown]).decision_path(
            x[counted]
        )  # [n, nodes]: which subsets a row lies in
        size = np.asarray(path.sum(axis=0), dtype=np.float64).ravel()
        share = (path.T @ y[counted].astype(np.float64))[size > 0] / size[size > 0]
        margin = np.sqrt((1 - d) / (d * size[size > 0]))
        best = int(np.argmax(share - margin))
        bounds.append((share[best] - margin[best], share[best] + margin[best]))
    low, high = (float(end) for end in np.mean(bounds, axis=0))
    if low <= 0 or math.isnan(low):
        raise DegenerateDataError(
            f"{len(y)} rows with {int(y.sum())} positives bound the label frequency by {low:.3g}; expected above 0, "
            "more rows are needed"
        )
    return Estimate(low, low, min(high, 1.0))
