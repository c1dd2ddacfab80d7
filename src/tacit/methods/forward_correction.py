"""`forward_correction`: the likelihood of noisy labels on the rows that have one (arXiv 1609.03683)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.explicit import NoiseCorrected
from tacit.methods.labels import forward_nll, observed
from tacit.methods.method import Claim, Logits, Stage
from tacit.methods.observations import Observations


@dataclass(frozen=True)
class ForwardCorrection(NoiseCorrected):
    """Labels are wrong at known rates: predict the true opinion, and compare what noise makes of it with the label.

    | Inputs | Labels |
    |---|---|
    | text | an explicit label 0/1, missing where none was given |

    Loss: −log P(r | x) on labelled rows,  P(r=1 | x) = (1 − ρ01)σ(f) + ρ10(1 − σ(f)). Bounded below, and least at r(x)
    where the rates are right. With selection weights it is `causal_fwd`.

    Args:
        rho01: false-negative rate P(r=0 | r*=1) if known; None: estimated by `noise`.
        rho10: false-positive rate P(r=1 | r*=0) if known; None: estimated by `noise`.
        noise: rule by which unknown rates are estimated.
        quantile: of the anchors.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
        >>> obs = obs.with_columns(rho01=torch.tensor([0.3]), rho10=torch.tensor([0.2]))
        >>> ForwardCorrection().loss({"reward": torch.zeros(3)}, obs)  # P(r=1) = ½·0.7 + ½·0.2 = 0.45: −log P
        tensor([0.7985, 0.5978, 0.0000])
    """

    key: ClassVar[str] = "forward_correction"
    claims: ClassVar[Claim] = "consistent"
    assumes: ClassVar[str] = (
        "constant noise rates, known or with anchors; labels given at random given the text"
    )
    not_identified: ClassVar[str] = "noise rates without anchors or gold"
    citation: ClassVar[str] = (
        "Patrini, Rozza, Menon, Nock, Qu, Making deep neural networks robust to label noise: a loss correction "
        "approach, CVPR 2017, arXiv 1609.03683"
    )

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The noisy surrogate, unless both rates are known."""
        return self.surrogate_stage(obs)

    def counts(self, obs: Observations) -> Tensor:
        """Labelled rows."""
        return obs.explicit()[1]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """−o·log P(r | x) [..., B]."""
        return observed(obs) * forward_nll(logits["reward"], obs.explicit()[0], *self.rates(obs))
