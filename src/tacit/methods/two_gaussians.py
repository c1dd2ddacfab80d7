"""Which of two groups a loss belongs to: a mixture of two Gaussians on the line, for all members at once."""

from __future__ import annotations

import torch
from torch import Tensor

_BINS = 512
_STEPS = 50
_FLOOR = 5e-4
"""Added to both variances, as DivideMix does; a bin's own spread (1/512)²/12 is 1600 times smaller."""


def low_posterior(value_MN: Tensor, where_MN: Tensor) -> Tensor:
    """P(a row belongs to the component of lower mean) [M, N]; 1 where the values of a member do not differ.

    Values are brought to [0, 1] by the smallest and largest counted one and counted in 512 bins; EM runs on the counts,
    so that its cost does not grow with N. Components start from two means (Lloyd's algorithm).

    Args:
        value_MN: real numbers.
        where_MN: bool, rows that the mixture is fitted on; the others get a posterior too.

    Example:
        >>> value = torch.tensor([[0.0, 0.1, 0.2, 2.8, 2.9, 3.0]])
        >>> low_posterior(value, torch.ones_like(value) > 0).round().tolist()
        [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]]
    """
    low = torch.where(where_MN, value_MN, torch.inf).amin(-1, keepdim=True)
    span = torch.where(where_MN, value_MN, -torch.inf).amax(-1, keepdim=True) - low
    apart = torch.isfinite(span) & (span > 0)
    z_MN = torch.where(apart, (value_MN - low) / torch.where(apart, span, 1.0), 0.0).clamp(0, 1).double()
    count = z_MN.new_zeros(z_MN.shape[0], _BINS)
    count.scatter_add_(-1, (z_MN * _BINS).long().clamp(max=_BINS - 1), where_MN.double())
    count = count / count.sum(-1, keepdim=True).clamp(min=1)
    share, mean, variance = _fit(count)
    posterior = _responsibility(z_MN, share, mean, variance)
    return torch.where(apart, posterior, torch.ones_like(posterior)).to(value_MN.dtype)


def _fit(count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shares, means and variances [M, 2] from bin shares [M, bins]; the first component has the lower mean."""
    centre = (torch.arange(_BINS, dtype=torch.float64, device=count.device) + 0.5) / _BINS
    threshold = count.new_full((count.shape[0], 1), 0.5)
    for _ in range(10):
        share, mean, variance = _moments(count, centre, (centre < threshold).double())
        threshold = mean.mean(-1, keepdim=True)
    for _ in range(_STEPS):
        share, mean, variance = _moments(count, centre, _responsibility(centre, share, mean, variance))
    order = mean.argsort(dim=-1)
    return share.gather(-1, order), mean.gather(-1, order), variance.gather(-1, order)


def _moments(count: Tensor, centre: Tensor, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    weight = torch.stack([count * first, count * (1 - first)], dim=-2)  # [M, 2, bins]
    total = weight.sum(-1).clamp(min=1e-12)
    mean = (weight * centre).sum(-1) / total
    variance = (weight * (centre - mean[..., None]).square()).sum(-1) / total + _FLOOR
    return total, mean, variance


def _responsibility(z: Tensor, share: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """P(first component | z), from the difference of log densities [M, n]."""

    def log_density(k: int) -> Tensor:
        own = variance[:, k, None]
        return share[:, k, None].log() - ((z - mean[:, k, None]).square() / own + own.log()) / 2

    return torch.sigmoid(log_density(0) - log_density(1))
