"""`stable_dr`: a propensity that balances the imputed loss, and weights that sum to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.dr_jl import imputation_error
from tacit.methods.ips import IPS
from tacit.methods.labels import observed, self_normalised
from tacit.methods.method import Claim, Head, Logits, mean_rate
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_negative
from tacit.methods.primitives import bce, logit

_FEWEST = 8
"""Labelled rows in a batch below which a ratio of sums says nothing of the reward."""


@dataclass(frozen=True)
class StableDR(IPS):
    """As `snips`, with a propensity that learns to balance what the imputation expects; bounded, doubly robust.

    | Inputs | Labels |
    |---|---|
    | f and b: text; u: text and context | an explicit label 0/1, missing where none was given |

    Loss, three terms, each moving one head (bars are constants), with l̂ = bce(f̄, σ(b)):

        b:  mean over labelled rows of (bce(f̄, r) − l̂)²/p̄
        u:  mean bce(u, o) + eta·(mean (1 − o/p)(l̂ − mean l̂))²,   p = clip(σ(u))
        f:  Σ (o/p̄)·bce(f, r) / Σ o/p̄,   0 in a batch of fewer than eight labelled rows

    Where Σ (o/p)(l̂ − mean l̂) = 0, the last equals mean l̂ + Σ w(l − l̂)/Σ w, which is right when p or l̂ is. (In the
    published code one of two files balances 1 − o·p, both square the whole of u's loss, f's step is not normalised, and
    l̂ has its arguments exchanged.) Held-out rows are judged as in `ips`, by a propensity from a stage of its own.

    Args:
        clip: propensities below it count as this.
        eta: weight of the balance.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0] * 8 + [float("nan")] * 8))
        >>> f = torch.tensor([2.0] * 8 + [0.0] * 8)  # l̂ = 1.1269 and log 2, ±0.2169 around their mean
        >>> heads = {"reward": f, "selection": torch.zeros(16), "imputation": torch.zeros(16)}  # p = m = ½
        >>> StableDR().loss(heads, obs).mean()  # b: (2·½)²/½; u: log 2 + 0.2169²; f: softplus(−2) = 0.1269
        tensor(2.8671)
    """

    eta: float = 1.0

    key: ClassVar[str] = "stable_dr"
    claims: ClassVar[Claim] = "consistent"
    # The yardstick of held-out rows reads the reward alone.
    calibrated: ClassVar[tuple[str, ...] | None] = ("reward",)
    assumes: ClassVar[str] = (
        "clean labels, given at random given text and context; the propensity or the imputation is right"
    )
    citation: ClassVar[str] = (
        "Li, Zheng, Wu, StableDR: stabilized doubly robust learning for recommendation on data missing not at random, "
        "ICLR 2023, arXiv 2205.04701"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, eta=self.eta)

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """Reward from 0, propensity and imputation from the observed rates."""
        return (
            Head("reward", "reward", (0.0,)),
            Head("selection", "all", (logit(float(observed(obs).mean())),)),
            Head("imputation", "reward", (logit(mean_rate(*obs.explicit())),)),
        )

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """The terms of imputation, propensity and reward, added [..., B]."""
        f_B, u_B, m_B = logits["reward"], logits["selection"], torch.sigmoid(logits["imputation"])
        o_B = observed(obs)
        p_B = torch.sigmoid(u_B).clamp(min=self.clip)
        weight_B = o_B / p_B.detach()

        imputing_B = weight_B * imputation_error(f_B, m_B, obs).square()
        share = obs.mean(o_B)
        imputing_B = imputing_B / torch.where(share > 0, share, torch.ones_like(share))

        imputed_B = bce(f_B, m_B).detach()
        choosing_B = bce(u_B, o_B) + self.eta * imbalance(p_B, imputed_B, obs).square()

        counted = obs.explicit()[1] if obs.weight_B is None else obs.explicit()[1] & (obs.weight_B > 0)
        enough = counted.sum(-1, keepdim=True) >= _FEWEST
        learning_B = self_normalised(weight_B, obs) * bce(f_B, obs.explicit()[0])
        return imputing_B + choosing_B + learning_B * enough


def imbalance(p_B: Tensor, imputed_B: Tensor, obs: Observations) -> Tensor:
    """mean (1 − o/p)(l̂ − mean l̂) [..., 1]: how far the weighted rows are from all rows, by what is imputed."""
    return obs.mean((1 - observed(obs) / p_B) * (imputed_B - obs.mean(imputed_B)))
