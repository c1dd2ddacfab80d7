"""Explicit labels by enumeration: every text three times (no label, 0, 1), weighted by the probability of each."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tacit.methods import Method, Observations, observations
from tacit.methods.primitives import bce

X = 40
EXACT = {"rtol": 0.0, "atol": 1e-12}
RHO01, RHO10 = 0.1, 0.2


def uniform(low: float, high: float, seed: int, rows: int = X) -> Tensor:
    unit = torch.rand(rows, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return low + (high - low) * unit


TRUE_R, TRUE_P, WRONG_P = uniform(0.05, 0.95, 1), uniform(0.2, 1.0, 2), uniform(0.2, 1.0, 3)
F = uniform(-4, 4, 4)
CLEAN_RISK = TRUE_R * bce(F, torch.ones(X)) + (1 - TRUE_R) * bce(F, torch.zeros(X))
NOISY = RHO10 + (1 - RHO01 - RHO10) * TRUE_R


def cells(rate_X: Tensor, **columns: Tensor | float) -> Observations:
    """Every x three times: no label, label 0, label 1. `weight_B` is the probability of each cell given x."""
    label = torch.tensor([float("nan"), 0.0, 1.0], dtype=torch.float64).repeat(X)
    weight = torch.stack([1 - TRUE_P, TRUE_P * (1 - rate_X), TRUE_P * rate_X], -1).reshape(-1)
    wide = {
        name: torch.tensor([value], dtype=torch.float64)
        if isinstance(value, float)
        else value.repeat_interleave(3)
        for name, value in columns.items()
    }
    return replace(observations(label, columns=wide), weight_B=weight)


def by_x(value_B: Tensor, obs: Observations) -> Tensor:
    """E[value | x], [X]."""
    assert obs.weight_B is not None
    return (value_B * obs.weight_B).view(X, 3).sum(-1)


def expected(method: Method, obs: Observations, f_X: Tensor = F) -> Tensor:
    return by_x(method.loss({"reward": f_X.repeat_interleave(3)}, obs), obs)


def noisy_cells(p_X: Tensor = TRUE_P, m_X: Tensor = NOISY, **rates: float) -> Observations:
    return cells(NOISY, p=p_X, noisy=m_X, **{"rho01": RHO01, "rho10": RHO10, **rates})


def slope(method: Method, obs: Observations, logits: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradient of the expected loss over all x, by head."""
    wanted = {name: value.clone().requires_grad_() for name, value in logits.items()}
    spread = {name: value.repeat_interleave(3, dim=0) for name, value in wanted.items()}
    total = by_x(method.loss(spread, obs), obs).mean()
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    return {name: g for name, g in zip(wanted, found, strict=True) if g is not None}
