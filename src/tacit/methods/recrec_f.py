"""`recrec_f`: ReCRec with exposure from features: was silence dislike or was nobody looking? (Lin et al. 2024)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.exposure_model import ExposureModel, posterior
from tacit.methods.latent import implicit_nll
from tacit.methods.method import Claim, Level, Logits
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_negative
from tacit.methods.primitives import bce


@dataclass(frozen=True)
class ReCRecF(ExposureModel):
    """Infer for every silence how likely it is dislike and how likely inactivity, and fit each head to its guess.

    | Inputs | Labels |
    |---|---|
    | f: text; g: context and style | any positive signal fired; optionally an outside guess of exposure |

    Loss: [bce(f, q) − log P(y; f, stop g)] + [bce(g, p) + λ·(σ(g) − score)²],
    q = P(r*=1|y) and p = P(a=1|y) without gradient.

    Relation: the f-gradient is exactly twice that of `implicit_rm`, by Fisher's identity, and the g-gradient equals
    its own: without `exposure_score` this is `implicit_rm` with another step size. An outside score is the one thing
    here that tells f from g where both see the same features. The paper's resampling of silent rows changes P(y=1)
    and so the level; it is left out. Its code stops by clean validation labels; here held-out rows are judged by
    −log P(y).

    Args:
        lamp: λ, weight of the column `exposure_score` = an outside P(a=1) per row; without the column nothing is added.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0])).with_columns(exposure_score=torch.tensor([1.0, 0.5]))
        >>> heads = {"reward": torch.zeros(2), "propensity": torch.zeros(2)}
        >>> ReCRecF(lamp=1.0).loss(heads, obs)  # 2·log 2 − log ¼ + (½ − 1)², and 2·log 2 − log ¾ + (½ − ½)²
        tensor([3.0226, 1.6740])
    """

    lamp: float = 0.1

    key: ClassVar[str] = "recrec_f"
    level: ClassVar[Level] = "prob"
    claims: ClassVar[Claim] = "consistent"
    reads: ClassVar[tuple[str, ...]] = ("exposure_score",)
    citation: ClassVar[str] = (
        "Lin, Zhou, Chen, Feng, Shi, Chen, Li, Wang, ReCRec: reasoning the causes of implicit feedback for debiased "
        "recommendation, ACM TOIS 42(6), 2024, doi 10.1145/3672275"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, lamp=self.lamp)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """The f-step and the g-step in one; heads share no parameter [..., B]."""
        loss_B = recrec_loss(logits, obs)
        if self.lamp and "exposure_score" in obs.columns:
            gap_B = torch.sigmoid(logits["propensity"]) - obs.column("exposure_score")
            loss_B = loss_B + self.lamp * gap_B.square()
        return loss_B


def recrec_loss(logits: Logits, obs: Observations) -> Tensor:
    """bce(f, q) − log P(y; f, stop g) + bce(g, p) [..., B]."""
    f_B, g_B, y_B = logits["reward"], logits["propensity"], obs.any_positive()[0]
    q_B, p_B = posterior(logits, obs)
    return bce(f_B, q_B) + implicit_nll(f_B, g_B.detach(), y_B) + bce(g_B, p_B)
