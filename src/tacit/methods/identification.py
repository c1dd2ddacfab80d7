"""What K signals identify, at one response and across several: the rank of the likelihood's Jacobian.

Roots: Kruskal 1977; Allman, Matias & Rhodes 2009 (arXiv 0809.5032). The table it makes is in docs/methods.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Identifiability:
    """Parameters of the model, rank of the pattern probabilities in them, and whether r itself is determined.

    Example:
        >>> identifiability_rank([1, -1])  # r, e₁ and e₂; seen are r·e₁ and (1 − r)·e₂
        Identifiability(parameters=3, rank=2, preference_identified=False)
    """

    parameters: int
    rank: int
    preference_identified: bool


def identifiability_rank(
    polarity: Sequence[int],
    *,
    gate: bool = False,
    misclicks: bool = False,
    responses: int = 1,
    draws: int = 5,
) -> Identifiability:
    """How much the 2^K signal patterns tell about r, the hit rates, the misclick rates and the activity.

    r is locally identified when its unit vector lies in the row space of the Jacobian, that of every response. The
    rank is taken at random interior points and the largest is reported: it is the generic one.

    Several responses that share all rates tell more than one. Thumbs: P(up) = r·e₊ and P(down) = (1 − r)·e₋ make
    P(up)/e₊ + P(down)/e₋ = 1, which two responses solve for both rates. Two signals that can misfire, on two groups
    of different prevalence: Hui & Walter, Biometrics 1980.

    Args:
        polarity: K values of ±1.
        gate: one activity switches all signals off together.
        misclicks: signals can fire by mistake.
        responses: that differ in r alone: the text moves signals through preference.
        draws: random parameter points.

    Example:
        >>> identifiability_rank([1]).preference_identified
        False
        >>> identifiability_rank([1, 1, 1], misclicks=True)
        Identifiability(parameters=7, rank=7, preference_identified=True)
        >>> identifiability_rank([1, -1], responses=2)
        Identifiability(parameters=4, rank=4, preference_identified=True)
    """
    K, X = len(polarity), responses
    size = X + K + (K if misclicks else 0) + (1 if gate else 0)
    patterns = torch.tensor(list(itertools.product([0.0, 1.0], repeat=K)), dtype=torch.float64)
    positive = torch.tensor([p > 0 for p in polarity])
    generator = torch.Generator().manual_seed(0)
    best_rank, identified = 0, False

    def pattern_probabilities(theta: Tensor) -> Tensor:
        r, hit = theta[:X, None], theta[X : X + K]
        alarm = theta[X + K : X + 2 * K] if misclicks else torch.zeros_like(hit)
        liked, disliked = torch.where(positive, hit, alarm), torch.where(positive, alarm, hit)

        def product(rate: Tensor) -> Tensor:
            return torch.where(patterns > 0, rate, 1 - rate).prod(-1)

        active = r * product(liked) + (1 - r) * product(disliked)  # [X, 2^K]
        if not gate:
            return active.flatten()
        silent = (patterns.sum(-1) == 0).to(torch.float64)
        return (theta[-1] * active + (1 - theta[-1]) * silent).flatten()

    for _ in range(draws):
        theta = 0.15 + 0.7 * torch.rand(size, generator=generator, dtype=torch.float64)
        if misclicks:  # below its hit rate
            theta[X + K : X + 2 * K] = theta[X : X + K] * (0.1 + 0.5 * torch.rand(K, generator=generator))
        jacobian = torch.autograd.functional.jacobian(pattern_probabilities, theta)
        _, values, rows = torch.linalg.svd(jacobian)
        rank = int((values > 1e-9 * values[0]).sum())
        if rank >= best_rank:
            best_rank = rank
            identified = bool((rows[:rank, :X].square().sum(0) > 1 - 1e-9).all())
    return Identifiability(size, best_rank, identified)
