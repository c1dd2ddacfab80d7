"""`snips`: inverse propensities that sum to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.ips import IPS
from tacit.methods.method import Claim, Logits
from tacit.methods.observations import Observations


@dataclass(frozen=True)
class SNIPS(IPS):
    """As `ips`, with weights divided by their mean: no batch counts more because rare labels fell into it.

    | Inputs | Labels |
    |---|---|
    | f: text; p: text and context | an explicit label 0/1, missing where none was given |

    Loss: Σ w·bce(f, r) / Σ w over the batch, w = o/max(p̂, clip). Multiplying p̂ by a constant changes nothing while
    nothing is clipped. Over a whole log its minimiser is that of `ips`; over batches the ratio has a bias of order
    1/n, and less variance.

    Args:
        clip: propensities below it count as this.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs, p = observations(torch.tensor([1.0, 0.0, float("nan")])), torch.tensor([0.25, 0.5, 0.5])
        >>> heads = {"reward": torch.zeros(3)}
        >>> SNIPS().loss(heads, obs.with_columns(p=p))  # w = 4, 2, 0, of mean 2: 2·log 2, log 2
        tensor([1.3863, 0.6931, 0.0000])
        >>> SNIPS().loss(heads, obs.with_columns(p=p / 2))  # 8, 4, 0, of mean 4: the same
        tensor([1.3863, 0.6931, 0.0000])
    """

    key: ClassVar[str] = "snips"
    claims: ClassVar[Claim] = "consistent"
    citation: ClassVar[str] = (
        "Swaminathan, Joachims, The self-normalized estimator for counterfactual learning, NeurIPS 2015"
    )

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """(w/mean(w))·bce(f, r), w = o/p [..., B]."""
        return self.criterion(logits, obs)
