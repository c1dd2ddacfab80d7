"""`ips`: labels weighted by the inverse of how likely they were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.explicit import Explicit
from tacit.methods.labels import inverse_propensity, snips_bce
from tacit.methods.method import Claim, Logits, Stage
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_selection_clip
from tacit.methods.primitives import bce
from tacit.methods.stages import Selection


@dataclass(frozen=True)
class IPS(Explicit):
    """Labels are given by choice: a label from where few are given stands for many that are missing.

    | Inputs | Labels |
    |---|---|
    | f: text; p: text and context | an explicit label 0/1, missing where none was given |

    Loss: (o/max(p̂, clip))·bce(f, r). Unbiased for the loss on all rows given the true p, but for clipping, whose bias
    is −E[(1 − p/clip)₊·l]. Held-out rows are judged by the self-normalised form (`snips`), the whole family alike.

    Args:
        clip: propensities below it count as this.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
        >>> obs = obs.with_columns(p=torch.tensor([0.25, 1.0, 0.5]))
        >>> IPS().loss({"reward": torch.zeros(3)}, obs)  # 4·log 2, as if there were four; log 2; no label
        tensor([2.7726, 0.6931, 0.0000])
    """

    clip: float = 0.05

    key: ClassVar[str] = "ips"
    claims: ClassVar[Claim] = "clean_risk"
    assumes: ClassVar[str] = "clean labels, given at random given text and context, everywhere possible"
    not_identified: ClassVar[str] = "selection by the preference itself"
    citation: ClassVar[str] = (
        "Schnabel, Swaminathan, Singh, Chandak, Joachims, Recommendations as treatments: debiasing learning and "
        "evaluation, ICML 2016, arXiv 1602.05352"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_selection_clip(self.key, self.clip)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The propensity."""
        return (Stage(Selection(clip=self.clip), ("p",)),)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """(o/p)·bce(f, r) [..., B]."""
        return inverse_propensity(obs, self.clip) * bce(self.reward(logits), obs.explicit()[0])

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """(w/mean(w))·bce(f, r), w = o/p [..., B]."""
        return snips_bce(self.reward(logits), obs, self.clip)
