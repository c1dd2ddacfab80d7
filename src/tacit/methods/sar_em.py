"""`sar_em`: preference and propensity by expectation maximisation (Bekker, Robberechts & Davis 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.exposure_model import ExposureModel, posterior
from tacit.methods.method import Claim, Level, Logits
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce


@dataclass(frozen=True)
class SAREM(ExposureModel):
    """Guess which silent rows are liked, fit preference to the guess and propensity to the guessed likes; repeat.

    | Inputs | Labels |
    |---|---|
    | f: text; g: context and style | any positive signal fired |

    q = P(r*=1 | y) = y + (1−y)·r(1−e)/(1−re), without gradient.  Loss: bce(f, q) + q·bce(g, y).

    Relation: the observed likelihood and, for one signal, both gradients are those of `implicit_rm`; so is what stays
    open. It fits the propensity on expected likes where that one fits activity on all rows; at equal parameters the
    gradients agree.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> heads = {"reward": torch.zeros(2), "propensity": torch.zeros(2)}  # q = 1, and ½·½/(1 − ½·½) = ⅓
        >>> SAREM().loss(heads, obs)  # log 2 + 1·log 2, and log 2 + ⅓·log 2
        tensor([1.3863, 0.9242])
    """

    key: ClassVar[str] = "sar_em"
    level: ClassVar[Level] = "prob"
    claims: ClassVar[Claim] = "consistent"
    citation: ClassVar[str] = (
        "Bekker, Robberechts, Davis, Beyond the selected completely at random assumption for learning from positive "
        "and unlabeled data, ECML-PKDD 2019, arXiv 1809.03207"
    )

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, q) + q·bce(g, y) [..., B]."""
        q_B = posterior(logits, obs).liked_B
        return bce(logits["reward"], q_B) + q_B * bce(logits["propensity"], obs.any_positive()[0])
