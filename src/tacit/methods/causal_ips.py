"""`causal_ips`: CausalRM (arXiv 2603.18736) with inverse propensities: noisy labels, given selectively."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from tacit.methods.explicit import NoiseCorrected
from tacit.methods.labels import (
    corrected_label,
    forward_nll,
    inverse_propensity,
    self_normalised,
)
from tacit.methods.method import Claim, Logits, Stage
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_selection_clip
from tacit.methods.primitives import bce
from tacit.methods.stages import Selection


@dataclass(frozen=True)
class CausalIPS(NoiseCorrected):
    """Ratings are noisy and given by choice: undo the noise in the target and the choice in the weight.

    | Inputs | Labels |
    |---|---|
    | f: text; p: text and context | an explicit label 0/1, missing where none was given |

    Loss: (o/p̂)·bce(f, t),  t = (r − ρ10)/(1 − ρ01 − ρ10). Its expectation is the loss on r* of all rows, given the
    true p and ρ. A row's loss is unbounded below, so held-out rows are judged by the forward likelihood, weighted
    the same (the published code stops by training loss or by clean labels).

    Args:
        rho01: false-negative rate P(r=0 | r*=1) if known; None: estimated by `noise`.
        rho10: false-positive rate P(r=1 | r*=0) if known; None: estimated by `noise`.
        noise: rule by which unknown rates are estimated.
        quantile: of the anchors.
        clip: propensities below it count as this; .1 as published.
        propensity: loss of the propensity stage; "mse" as published.
        self_normalised: divide by the sum of weights instead of the number of rows.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
        >>> half, rho01, rho10 = torch.tensor([[0.5], [0.3], [0.2]])
        >>> obs = obs.with_columns(p=half, rho01=rho01, rho10=rho10)
        >>> CausalIPS().loss({"reward": torch.ones(3)}, obs)  # t = 0.8/½ and −0.2/½: 2·(softplus(1) − t)
        tensor([-0.5735,  3.4265,  0.0000])
    """

    clip: float = 0.05
    propensity: Literal["bce", "mse"] = "bce"
    self_normalised: bool = False

    key: ClassVar[str] = "causal_ips"
    claims: ClassVar[Claim] = "clean_risk"
    assumes: ClassVar[str] = (
        "labels given at random given text and context, everywhere possible; constant noise rates, with anchors"
    )
    not_identified: ClassVar[str] = "selection by the preference itself; noise rates without anchors or gold"
    citation: ClassVar[str] = (
        "Wang, Pan, Chen, Zheng, Chu, Li, Lu, Liu, Li, Lin, CausalRM: Causal-Theoretic Reward Modeling for RLHF from "
        "Observational User Feedbacks, 2026, arXiv 2603.18736"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_selection_clip(self.key, self.clip)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """Propensity; and the noisy surrogate unless both rates are known."""
        return (Stage(Selection(self.propensity, self.clip), ("p",)), *self.surrogate_stage(obs))

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """(o/p)·bce(f, t) [..., B]."""
        return self.weights(obs) * bce(logits["reward"], corrected_label(obs, *self.rates(obs)))

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """(o/p)·(−log P(r | x)), bounded below [..., B]."""
        return self.weights(obs) * forward_nll(logits["reward"], obs.explicit()[0], *self.rates(obs))

    def weights(self, obs: Observations) -> Tensor:
        """o / max(p, clip) [..., B], divided by its mean where `self_normalised`."""
        weight_B = inverse_propensity(obs, self.clip)
        return self_normalised(weight_B, obs) if self.self_normalised else weight_B
