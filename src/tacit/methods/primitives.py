"""Logistic building blocks in log space: every loss of the house is written with these.

Sources: METHODS identities (I1)–(I3) are restated in the docstrings that use them. Logits are unbounded
reals; nothing here takes the logarithm of a rounded probability.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

FLOOR_LOGIT = -60.0
"""A probability of e⁻⁶⁰ stands for 'never': −inf would give 0·inf = NaN in the loss or its gradient."""


def log_sigmoid(logit: Tensor) -> Tensor:
    """log σ(t) = −softplus(−t)."""
    return -softplus(-logit)


def bce(logit: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy softplus(f) − t·f, per element.

    Args:
        logit: any shape, logits.
        target: same shape; usually in [0, 1], but valid (and convex in f) for every real target.

    Example:
        >>> import torch
        >>> bce(torch.tensor(0.0), torch.tensor(1.0)).item()  # log 2
        0.693...
    """
    return softplus(logit) - target * logit


def log_bernoulli(value: Tensor, logit: Tensor) -> Tensor:
    """log Bernoulli(y; σ(g)) = y·g − softplus(g)."""
    return value * logit - softplus(logit)


def logit(probability: float, low: float = 1e-4) -> float:
    """The logit of a scalar probability, clipped to [low, 1 − low]."""
    p = torch.tensor(min(max(probability, low), 1 - low), dtype=torch.float64)
    return float(torch.log(p) - torch.log1p(-p))
