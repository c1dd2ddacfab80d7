"""The one optimiser of the nuisances: logistic regression on a handful of columns, to machine precision."""

from __future__ import annotations

import numpy as np

from tacit.methods.nuisances.checks import Bools, Floats

_NOTHING = 1e-150
"""A column below is taken for zeros: its size could not be squared."""


def sigmoid(f: Floats) -> Floats:
    """1/(1+exp(−f)) without overflow. scipy's differs in the last bit, and with it what fits store.

    Example:
        >>> sigmoid(np.array([-800.0, 0.0, 800.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(f))
    return np.where(f >= 0, 1.0, small) / (1.0 + small)


def logit(p: Floats, floor: float = 1e-9) -> Floats:
    """log(p/(1−p)), with p held within [floor, 1−floor] so that it stays finite."""
    p = np.clip(p, floor, 1 - floor)
    return np.log(p) - np.log1p(-p)


def softened(label_n: Bools) -> Floats:
    """Platt's targets: (n1+1)/(n1+2) for a one and 1/(n0+2) for a zero. They keep separable rows finite."""
    ones = int(label_n.sum())
    zeros = len(label_n) - ones
    return np.where(label_n, (ones + 1) / (ones + 2), 1 / (zeros + 2))


def logistic(
    x_nF: Floats, target_n: Floats, *, ridge_F: Floats | None = None, start_F: Floats | None = None
) -> Floats:
    """Coefficients [F] that minimise the summed cross-entropy of sigmoid(x·w) to the targets, plus ridge·w²/2 of each.

    Newton steps, halved until the loss falls: the loss is convex and has to grow in every direction. It does where no
    target is 0 or 1; where some are, by a ridge. Columns that are combinations of others get the smallest coefficients.

    Args:
        x_nF: the columns.
        target_n: from 0 to 1.
        ridge_F: of each coefficient, 0 or more; none by default.
        start_F: where to begin; 0 by default.
    """
    # Columns of one size, so that the tolerance below means the same for logits of 1e-3 and of 1e3.
    size_F = np.abs(x_nF).max(axis=0)
    size_F[size_F < _NOTHING] = 1.0  # a column of zeros, whose ridge would be infinite in its size
    x_nF = x_nF / size_F
    w_F = np.zeros(x_nF.shape[1]) if start_F is None else start_F * size_F
    # In the units of the mean loss and of the scaled columns.
    ridge_F = np.zeros_like(w_F) if ridge_F is None else ridge_F / size_F**2 / len(x_nF)

    def loss(w_F: Floats) -> float:
        f_n = x_nF @ w_F
        return float(np.mean(np.logaddexp(0.0, f_n) - target_n * f_n) + (ridge_F * w_F**2).sum() / 2)

    now = loss(w_F)
    for _ in range(200):
        p_n = sigmoid(x_nF @ w_F)
        slope_F = x_nF.T @ (p_n - target_n) / len(x_nF) + ridge_F * w_F
        if np.abs(slope_F).max() < 1e-13:
            break
        bend_FF = (x_nF.T * (p_n * (1 - p_n))) @ x_nF / len(x_nF) + np.diag(ridge_F)
        step_F = np.linalg.lstsq(bend_FF, slope_F, rcond=1e-14)[0]
        for _ in range(40):
            after = loss(w_F - step_F)
            if after <= now:
                break
            step_F = step_F / 2
        else:
            break  # no descent left that float64 can see
        w_F, now = w_F - step_F, after
        if np.abs(step_F).max() < 1e-14 * np.abs(w_F).max():
            break  # rounding moves the coefficients by more
    return np.asarray(w_F / size_F)
