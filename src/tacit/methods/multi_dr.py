"""`multi_dr`: reward, propensity and imputation from one trunk (MT-DR)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.dr import doubly_robust_bce
from tacit.methods.labels import observed
from tacit.methods.method import Head, Logits, mean_rate
from tacit.methods.multi_ips import MultiIPS
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce, logit


@dataclass(frozen=True)
class MultiDR(MultiIPS):
    """As `dr`, with propensity and imputation read off the same trunk as the reward, all learning at once.

    | Inputs | Labels |
    |---|---|
    | one network, three outputs f, u and b: text | an explicit label 0/1, missing where none was given |

    Loss: bce(u, o) + o·bce(b, r) + bce(f, m̄ + (o/p̂)(r − m̄)), m = σ(b), p̂ = σ(u), both constants in the last term;
    bce(u, o) alone in the first ten epochs, which cannot be selected. Held-out rows are judged as in `multi_ips`.

    Args:
        clip: propensities below it count as this.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, float("nan")]))
        >>> heads = {"reward": torch.tensor([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])}  # f; p̂ = m = ½
        >>> MultiDR().loss(heads, obs)  # softplus(2) = 2.1269: 2·log 2 + 2.1269 − 2·1.5, log 2 + 2.1269 − 2·½
        tensor([0.5132, 1.8201])
    """

    key: ClassVar[str] = "multi_dr"
    assumes: ClassVar[str] = (
        "clean labels, given at random given the text; the propensity or the imputation is right"
    )

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head: reward, propensity, and imputation from the rate of positive labels."""
        (head,) = super().heads(obs)
        start = (*head.bias, logit(mean_rate(*obs.explicit())))
        return (Head("reward", "reward", start, scalar=False),)

    def reward_loss(self, logits: Logits, weight_B: Tensor, obs: Observations) -> Tensor:
        """o·bce(b, r) + bce(f, m + w(r − m)) [..., B]."""
        b_B = logits["reward"][..., 2]
        imputing_B = observed(obs) * bce(b_B, obs.explicit()[0])
        m_B = torch.sigmoid(b_B).detach()
        return imputing_B + doubly_robust_bce(self.reward(logits), m_B, weight_B, obs)
