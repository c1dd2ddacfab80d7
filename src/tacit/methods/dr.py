"""`dr`: doubly robust: an imputed label everywhere, corrected by weighted labels where they exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.ips import IPS
from tacit.methods.labels import inverse_propensity
from tacit.methods.method import Claim, Logits, Stage
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce
from tacit.methods.stages import Surrogate


@dataclass(frozen=True)
class DR(IPS):
    """Labels are given by choice: guess every label, and let the given ones correct the guess.

    | Inputs | Labels |
    |---|---|
    | f and the guess m: text; p: text and context | an explicit label 0/1, missing where none was given |

    Loss: bce(f, m + (o/p̂)(r − m)), m = P(r=1 | x) by a surrogate fitted out of fold on labelled rows. Unbiased for the
    loss on all rows when p̂ is right or m is. The same with label noise: `causal_dr`.

    Args:
        clip: propensities below it count as this.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, float("nan")]))
        >>> obs = obs.with_columns(p=torch.tensor([0.5, 0.5]), noisy=torch.tensor([0.25, 0.25]))
        >>> DR().loss({"reward": torch.ones(2)}, obs)  # softplus(1) less ¼ + 2·(1 − ¼) = 1.75; less ¼
        tensor([-0.4367,  1.0633])
    """

    key: ClassVar[str] = "dr"
    claims: ClassVar[Claim] = "clean_risk"
    assumes: ClassVar[str] = (
        "clean labels, given at random given text and context; the propensity or the imputation is right"
    )
    citation: ClassVar[str] = (
        "Robins, Rotnitzky, Zhao, JASA 1994; Wang, Zhang, Sun, Qi, Doubly robust joint learning for recommendation on "
        "data missing not at random, ICML 2019"
    )

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The propensity, and the imputation."""
        return (*super().stages(obs), Stage(Surrogate(None), ("noisy",)))

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, m + (o/p)(r − m)) [..., B]."""
        return doubly_robust_bce(
            logits["reward"], obs.column("noisy"), inverse_propensity(obs, self.clip), obs
        )


def doubly_robust_bce(f_B: Tensor, m_B: Tensor, weight_B: Tensor, obs: Observations) -> Tensor:
    """bce(f, m + w(r − m)) [..., B] = bce(f, m) + w(bce(f, r) − bce(f, m)): the loss is linear in its target."""
    return bce(f_B, m_B + weight_B * (obs.explicit()[0] - m_B))
