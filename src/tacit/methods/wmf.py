"""`wmf`: weighted regression of the signal, silence counting less (Hu, Koren & Volinsky 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.method import Level, Logits
from tacit.methods.observations import Observations
from tacit.methods.positive_unlabelled import PositiveUnlabelled


@dataclass(frozen=True)
class WMF(PositiveUnlabelled):
    """Squared error on the signal, in which silence counts less than a signal.

    | Inputs | Labels |
    |---|---|
    | text | any positive signal fired |

    Loss, s = σ(f): Σ[y(1−s)² + w(1−y)s²] / Σ[y + w(1−y)]. Its minimiser is P/(P + w(1−P)), P = P(y=1|x): the order of r
    where users act alike on every response; the level is a choice of w. With w = 1 it is the Brier score of the signal.

    Args:
        weight: w of silent rows, above 0; .05 to 1 are usual.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> WMF(weight=0.5).loss({"reward": torch.zeros(2)}, obs)  # (½)² and ½·(½)², over the mean weight ¾
        tensor([0.3333, 0.1667])
    """

    weight: float = 0.8

    key: ClassVar[str] = "wmf"
    level: ClassVar[Level] = "rank"
    assumes: ClassVar[str] = "activity the same on all liked responses"
    not_identified: ClassVar[str] = "the level; preference apart from activity"
    citation: ClassVar[str] = (
        "Hu, Koren, Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.weight > 0:
            raise ConfigError(
                f"method wmf: weight is {self.weight}, expected a number above 0, usually .05 to 1"
            )

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """[y(1−s)² + w(1−y)s²] / mean[y + w(1−y)] [..., B]."""
        y_B, known_B = obs.any_positive()
        weight_B = y_B + self.weight * (1 - y_B)
        total = obs.mean(weight_B, known_B)
        f_B = logits["reward"]
        error_B = y_B * torch.sigmoid(-f_B).square() + self.weight * (1 - y_B) * torch.sigmoid(f_B).square()
        return error_B / torch.where(total > 0, total, torch.ones_like(total))
