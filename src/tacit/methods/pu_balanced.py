"""`pu_balanced`: rows with and without a signal as two classes of equal weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods.method import Level, Logits
from tacit.methods.observations import Observations
from tacit.methods.positive_unlabelled import PositiveUnlabelled


@dataclass(frozen=True)
class PUBalanced(PositiveUnlabelled):
    """Rows with a signal against rows without one, each side counted as half of the log.

    | Inputs | Labels |
    |---|---|
    | text | any positive signal fired |

    Loss: mean_P[softplus(−f)] + mean_U[softplus(f)], U the rows without a signal. Its minimiser is
    P(x|y=1)/(P(x|y=1) + P(x|y=0)): the order of r where users act alike on every response, never its level. More
    silent rows of the same kind change nothing. Relation: `naive` with classes reweighted. Published tables call it
    "pu_naive".

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        >>> PUBalanced().loss({"reward": torch.zeros(4)}, obs)  # 4·log 2 on one, 4/3·log 2 on each of three
        tensor([2.7726, 0.9242, 0.9242, 0.9242])
    """

    key: ClassVar[str] = "pu_balanced"
    level: ClassVar[Level] = "rank"
    assumes: ClassVar[str] = "activity the same on all liked responses"
    not_identified: ClassVar[str] = "the level; preference apart from activity"
    citation: ClassVar[str] = "the usual reweighting of classes"

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """y·softplus(−f)/mean(y) + (1−y)·softplus(f)/mean(1−y) [..., B]; a side without rows gives 0."""
        y_B, known_B = obs.any_positive()
        share = obs.mean(y_B, known_B)
        positive_B = y_B / torch.where(share > 0, share, torch.ones_like(share))
        silent_B = (1 - y_B) / torch.where(share < 1, 1 - share, torch.ones_like(share))
        return positive_B * softplus(-logits["reward"]) + silent_B * softplus(logits["reward"])
