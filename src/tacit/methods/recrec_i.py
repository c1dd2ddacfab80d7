"""`recrec_i`: ReCRec with exposure from an identifier alone: one rate per slot (Lin et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.exposure_model import ExposureModel
from tacit.methods.method import Claim, Level, Logits, View
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_negative
from tacit.methods.recrec_f import recrec_loss


@dataclass(frozen=True)
class ReCRecI(ExposureModel):
    """`recrec_f` whose activity depends on the context alone: a rate per slot, or one rate without context.

    | Inputs | Labels |
    |---|---|
    | f: text; g: context alone, a table where it is one-hot | any positive signal fired |

    Loss: that of `recrec_f` + l2·g². Slots that the same responses met make this an exclusion restriction: ratios of
    rates between slots are identified. Without context, r = P(y=1|x)/c with one c for all, which only the shape of the
    reward network decides; the order is that of `naive`.

    Args:
        l2: pull of each row's activity logit to 0, a rate of one half; it acts on the table's entries by how often they
            occur, where the paper penalises each entry alike.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> [head.view for head in ReCRecI().heads(obs)]
        ['reward', 'context']
        >>> heads = {"reward": torch.zeros(2), "propensity": torch.zeros(2)}
        >>> ReCRecI().loss(heads, obs)  # 2·log 2 − log ¼, and 2·log 2 − log ¾; no pull at g = 0
        tensor([2.7726, 1.6740])
    """

    l2: float = 1e-3

    key: ClassVar[str] = "recrec_i"
    level: ClassVar[Level] = "prob_scaled"
    propensity_view: ClassVar[View] = "context"
    exchangeable: ClassVar[bool] = False
    claims: ClassVar[Claim] = "none"
    assumes: ClassVar[str] = "no misclicks; activity depends on the context alone, and preference does not"
    not_identified: ClassVar[str] = "one constant: r = P(y=1|x)/c, c by the reward's shape alone"
    citation: ClassVar[str] = (
        "Lin, Zhou, Chen, Feng, Shi, Chen, Li, Wang, ReCRec: reasoning the causes of implicit feedback for debiased "
        "recommendation, ACM TOIS 42(6), 2024, doi 10.1145/3672275"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, l2=self.l2)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """The loss of `recrec_f` with a pull on the activity logits [..., B]."""
        return recrec_loss(logits, obs) + self.l2 * logits["propensity"].square()
