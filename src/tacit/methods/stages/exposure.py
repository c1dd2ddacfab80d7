"""Label propensity e(x, z) = P(y=1 | r*=1, x, z), from the signal itself: makes the column `e`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.exposure_model import ExposureModel
from tacit.methods.method import Logits
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_e_max


@dataclass(frozen=True)
class Exposure(ExposureModel):
    """How likely someone who likes a response is to show it, from context and style.

    Fitted with a preference beside it by the likelihood of `implicit_rm`, log P(y=1) = log σ(f) + log σ(g); the
    preference is then dropped. Only ratios between contexts are identified, so the level is what the likelihood's
    curvature says, or an assumption: at `e_max` = 1 the later reward is a lower bound.

    Args:
        e_max: scale e so that its .99 quantile is this; None: as estimated. Report results at 1, .7 and .5.
    """

    e_max: float | None = None

    key: ClassVar[str] = "exposure"
    citation: ClassVar[str] = "Wang et al. 2026, arXiv 2603.23184; Chen et al., ICML 2024, arXiv 2309.15560"
    reward_heads: ClassVar[tuple[str, ...]] = ("propensity",)
    linear: ClassVar[bool] = True  # a network that knows its rows by heart leaves nothing for the propensity

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_e_max(self.key, self.e_max)

    def reward(self, logits: Logits) -> Tensor:
        """The propensity's logit."""
        return logits["propensity"]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y) [..., B]."""
        return self.criterion(logits, obs)

    def nuisances(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """`e` [B]."""
        e_B = torch.sigmoid(logits["propensity"])
        if self.e_max is None:
            return {"e": e_B}
        mine_B = obs.any_positive()[1] if obs.weight_B is None else obs.weight_B > 0
        top = torch.quantile(e_B[mine_B].double(), 0.99)
        return {"e": (e_B * (self.e_max / top)).clamp(max=1.0)}
