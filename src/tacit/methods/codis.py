"""`codis`: co-teaching that prefers rows on which its two networks disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods.co_teaching import CoTeaching
from tacit.methods.parameters import refuse_negative
from tacit.methods.primitives import log_sigmoid


@dataclass(frozen=True)
class CoDis(CoTeaching):
    """Co-teaching that keeps believable labels, and among them those on which the two networks differ.

    | Inputs | Labels |
    |---|---|
    | f1, f2: text | an explicit label 0/1, missing where none was given |

    Rows are ranked by bce(f, r) − discrepancy·JS(σ(f1), σ(f2)), the Jensen–Shannon divergence of two Bernoullis in
    nats; what is minimised is the bce of the kept rows alone. Everything else is as in `co_teaching`, which it equals
    at discrepancy = 0; what is assumed and what stays open, too.

    Reference: Xia et al., "Combating noisy labels with sample selection by mining high-discrepancy examples", ICCV
    2023.

    Args:
        tau: share of labels to drop, in [0, 1); None: the overall flip rate that `noise` estimates.
        noise: rule by which an unknown tau is estimated.
        discrepancy: weight of the divergence.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 1.0]))
        >>> f1, f2 = torch.tensor([[1.0, 2 / 3], [1.0, 9.0]]).log()  # σ = ½, .4; ½, .9: JS = 0, 0.1484
        >>> heads = {"reward": f1, "reward2": f2}
        >>> CoDis(tau=0.5, discrepancy=0.0).loss(heads, obs)  # f1 keeps row 0: 2·log 2; f2 row 1: −2·log .4
        tensor([1.3863, 1.8326])
        >>> CoDis(tau=0.5, discrepancy=2.0).loss(heads, obs)  # −log .4 − 2·JS < log 2: both keep row 1
        tensor([0.0000, 2.0433])
    """

    discrepancy: float = 0.1

    key: ClassVar[str] = "codis"
    citation: ClassVar[str] = "Xia, Han, Zhan, Yu, Gong, Gong & Liu, ICCV 2023"

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, discrepancy=self.discrepancy)

    def bonus(self, f_B: Tensor, g_B: Tensor) -> Tensor:
        """discrepancy·JS [..., B]."""
        return self.discrepancy * jensen_shannon(f_B, g_B)


def jensen_shannon(f_B: Tensor, g_B: Tensor) -> Tensor:
    """H(m) − (H(σ(f)) + H(σ(g)))/2 with m the mean probability; nats, between 0 and log 2.

    Example:
        >>> jensen_shannon(torch.tensor([0.3, 50.0]), torch.tensor([0.3, -50.0])).tolist()
        [0.0, 0.693...]
    """
    between = _entropy(_mean_logit(f_B, g_B)) - (_entropy(f_B) + _entropy(g_B)) / 2
    return between.clamp(min=0)  # rounding


def _entropy(f_B: Tensor) -> Tensor:
    return -torch.sigmoid(f_B) * log_sigmoid(f_B) + torch.sigmoid(-f_B) * softplus(f_B)


def _mean_logit(f_B: Tensor, g_B: Tensor) -> Tensor:
    """Logit of the mean of two probabilities, in log space."""
    liked = torch.logaddexp(log_sigmoid(f_B), log_sigmoid(g_B))
    return liked - torch.logaddexp(log_sigmoid(-f_B), log_sigmoid(-g_B))
