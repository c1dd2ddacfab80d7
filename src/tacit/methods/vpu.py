"""`vpu`: the variational approach to positive-unlabelled learning, which needs no class prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.method import Level, Logits
from tacit.methods.observations import Observations
from tacit.methods.positive_unlabelled import PositiveUnlabelled, per_positive, positives
from tacit.methods.primitives import log_sigmoid

_OUT = -1e9
"""Log-weight of a row that does not count; −inf would give NaN where none counts."""


@dataclass(frozen=True)
class VPU(PositiveUnlabelled):
    """Find the score by which all rows, weighted, look like the rows with a signal; no share of likes is needed.

    | Inputs | Labels |
    |---|---|
    | text | any positive signal fired |

    Loss, Φ = σ(f): log mean_A[Φ] − mean_P[log Φ]. Minimised where Φ is proportional to r, if activity is the same on
    all liked rows. The factor is open: adding a constant to log Φ changes nothing, and the paper takes the largest r to
    be 1. The mean inside the logarithm is the batch's: use batches of 512 or more.

    Left out: the paper's mixup penalty λ·(log(t + (1−t)·Φ(x_A)) − log Φ(t·x_P + (1−t)·x_A))². It needs the network's
    answer to mixed features, and a loss of this library sees answers to the rows of the log alone. Mixing answers
    instead is the same for a linear head only; for others it would be another method, so this is λ = 0, and weight
    decay and early stopping do what λ was for.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> VPU().loss({"reward": torch.tensor([3.0, 1 / 3]).log()}, obs).mean()  # Φ = ¾ and ¼: log ½ − log ¾
        tensor(-0.4055)
        >>> VPU().loss({"reward": torch.tensor([3 / 5, 1 / 7]).log()}, obs).mean()  # halved: log ¼ − log ⅜
        tensor(-0.4055)
    """

    key: ClassVar[str] = "vpu"
    level: ClassVar[Level] = "prob_scaled"
    assumes: ClassVar[str] = (
        "activity the same on all liked responses; some response that everybody likes, for the level"
    )
    not_identified: ClassVar[str] = "the level: Φ is r times one unknown constant"
    citation: ClassVar[str] = (
        "Chen, Liu, Wang, Zhao, Wu, A variational approach for learning from positive and unlabeled data, "
        "NeurIPS 2020, arXiv 1906.00642"
    )

    def judges(self, obs: Observations) -> Tensor:
        """Rows with a signal: where there is none, the criterion is a constant."""
        return positives(obs)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """log mean_A[Φ] − (y/mean(y))·log Φ [..., B], whose mean is the objective; 0 in a batch without a positive.

        Bounded below by log P(y=1): mean_A[Φ] ≥ P(y=1)·mean_P[Φ] ≥ P(y=1)·exp(mean_P[log Φ]).
        """
        log_phi_B = log_sigmoid(logits["reward"])
        positive_B, some = per_positive(obs)
        loss_B = log_mean_exp(log_phi_B, obs) - positive_B * log_phi_B
        return torch.where(some, loss_B, torch.zeros_like(loss_B))


def log_mean_exp(value_B: Tensor, obs: Observations) -> Tensor:
    """log of the mean of exp(value) over the rows that count, [..., 1]; a number that says nothing if none does."""
    counts_B = obs.any_positive()[1].to(value_B.dtype)
    weight_B = counts_B if obs.weight_B is None else counts_B * obs.weight_B.to(value_B.dtype)
    here = weight_B > 0
    log_weight_B = torch.where(here, torch.where(here, weight_B, torch.ones_like(weight_B)).log(), _OUT)
    value_B, log_weight_B = torch.broadcast_tensors(value_B, log_weight_B)
    total = torch.logsumexp(log_weight_B, -1, keepdim=True)
    return torch.logsumexp(value_B + log_weight_B, -1, keepdim=True) - total
