"""`dr_jl`: doubly robust joint learning: imputation and reward improve each other in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.dr import doubly_robust_bce
from tacit.methods.ips import IPS
from tacit.methods.labels import inverse_propensity
from tacit.methods.method import Claim, Head, Logits, mean_rate
from tacit.methods.observations import Observations
from tacit.methods.primitives import logit


@dataclass(frozen=True)
class DRJL(IPS):
    """As `dr`, but the guess learns along with the reward: it is to predict the loss of the reward as it stands.

    | Inputs | Labels |
    |---|---|
    | f and b: text; p: text and context | an explicit label 0/1, missing where none was given |

    Loss: (o/p̂)(bce(f̄, σ(b)) − bce(f̄, r))² for the imputation b, plus bce(f, m̄ + (o/p̂)(r − m̄)) for the reward f,
    m = σ(b); what carries a bar is a constant. Each head has its own parameters and moments, so that one optimiser does
    what the paper's two do.

    Args:
        clip: propensities below it count as this.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, float("nan")])).with_columns(p=torch.tensor([0.5, 0.5]))
        >>> heads = {"reward": torch.ones(2), "imputation": torch.tensor([1 / 3, 1 / 3]).log()}  # m = ¼
        >>> DRJL().loss(heads, obs)  # −0.4367 + 2·(1 − ¼)² and 1.0633, the first terms as in `dr`
        tensor([0.6883, 1.0633])
    """

    key: ClassVar[str] = "dr_jl"
    claims: ClassVar[Claim] = "consistent"
    # The yardstick of held-out rows does not read the imputation: a temperature for it would be decided by nothing.
    calibrated: ClassVar[tuple[str, ...] | None] = ("reward",)
    assumes: ClassVar[str] = (
        "clean labels, given at random given text and context; the propensity or the imputation is right"
    )
    citation: ClassVar[str] = (
        "Wang, Zhang, Sun, Qi, Doubly robust joint learning for recommendation on data missing not at random, ICML 2019"
    )

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """The reward, from 0, and the imputation, from the rate of positive labels."""
        start = (logit(mean_rate(*obs.explicit())),)
        return (Head("reward", "reward", (0.0,)), Head("imputation", "reward", start))

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """The imputation's squared error plus the reward's doubly robust loss [..., B]."""
        f_B, m_B = logits["reward"], torch.sigmoid(logits["imputation"])
        error_B = imputation_error(f_B, m_B, obs)
        corrected_B = doubly_robust_bce(f_B, m_B.detach(), inverse_propensity(obs, self.clip), obs)
        return self.imputation_weights(obs) * error_B.square() + corrected_B

    def imputation_weights(self, obs: Observations) -> Tensor:
        """o/p [..., B]."""
        return inverse_propensity(obs, self.clip)


def imputation_error(f_B: Tensor, m_B: Tensor, obs: Observations) -> Tensor:
    """bce(f̄, m) − bce(f̄, r) = f̄·(r − m) [..., B], f̄ constant: by how much the imputed loss is wrong."""
    return f_B.detach() * (obs.explicit()[0] - m_B)
