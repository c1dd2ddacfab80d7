"""A population small enough to be written down: every response, every preference, every activity, with its chance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tacit.methods.observations import Observations, observations


@dataclass(frozen=True)
class Population:
    """Cells (x, r*, a) with y = r*·a. `obs` carries the cells' chances as weights; all float64.

    Attributes:
        r_X: P(r*=1 | x).
        e_X: P(a=1 | x).
        x_B: response of each cell.
        liked_B: r* of each cell.
        obs: the signals, with true nuisances as columns.
        prior: P(r*=1).
        share: P(y=1).
    """

    r_X: Tensor
    e_X: Tensor
    x_B: Tensor
    liked_B: Tensor
    obs: Observations
    prior: float
    share: float

    def expect(self, rows_B: Tensor) -> Tensor:
        """The mean over the population."""
        return (rows_B * self.obs.weight_B).sum(-1)


def population(activity: float | None = None, responses: int = 6, seed: int = 0) -> Population:
    """Random chances; the same `activity` on all responses, or one for each if None."""
    generator = torch.Generator().manual_seed(seed)
    p_X, r_X, e_X = 0.1 + 0.8 * torch.rand(3, responses, generator=generator, dtype=torch.float64)
    p_X = p_X / p_X.sum()
    if activity is not None:
        e_X = torch.full_like(e_X, activity)
    x_B, liked_B, active_B = (
        axis.reshape(-1)
        for axis in torch.meshgrid(torch.arange(responses), *[torch.arange(2)] * 2, indexing="ij")
    )
    liked_B, active_B = liked_B.double(), active_B.double()
    r_B, e_B = r_X[x_B], e_X[x_B]
    weight_B = p_X[x_B] * torch.where(liked_B > 0, r_B, 1 - r_B) * torch.where(active_B > 0, e_B, 1 - e_B)
    y_B = liked_B * active_B
    prior, share = float((p_X * r_X).sum()), float((weight_B * y_B).sum())
    columns = {
        "e": e_B,
        "prior": torch.tensor([prior], dtype=torch.float64),
        "frequency": torch.tensor([share / prior], dtype=torch.float64),
        "clicked": r_B * e_B,
    }
    obs = replace(observations(y_B, columns=columns), weight_B=weight_B)
    return Population(r_X, e_X, x_B, liked_B, obs, prior, share)


def some_logits(*shape: int, seed: int = 1, scale: float = 2.0) -> Tensor:
    """Normal draws in float64."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
