"""`cvib`: labelled and unlabelled rows are to be liked equally on average; no propensity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods.explicit import Explicit
from tacit.methods.labels import observed
from tacit.methods.method import Level, Logits
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_negative
from tacit.methods.primitives import bce, log_sigmoid

_ABSENT = -1e9
"""Logarithm of the weight of a row that is not averaged; −inf would have no gradient where all rows are absent."""


@dataclass(frozen=True)
class CVIB(Explicit):
    """Fit the labels that were given, while the average prediction on all other rows is drawn to theirs.

    | Inputs | Labels |
    |---|---|
    | text | an explicit label 0/1, missing where none was given |

    Loss: mean o·bce(f, r) + alpha·C + gamma·H. A and B are the means of σ(f) over labelled and unlabelled rows,
    C = −A·log B − (1 − A)·log(1 − B), and H = mean over labelled rows of s·log s + (1 − s)·log(1 − s), s = σ(f), a
    penalty on confidence. Wrong by construction where good responses are rated more: the means are not equal then.
    (The published code takes B over all rows and half of H, which draws s to .37.) With alpha = gamma = 0 it is
    `naive_observed`, by whose loss held-out rows are judged.

    Args:
        alpha: weight of C.
        gamma: weight of H.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, float("nan")]))
        >>> heads = {"reward": torch.tensor([1.0, 1 / 3]).log()}  # A = ½, B = ¼
        >>> CVIB(alpha=1.0, gamma=0.0).loss(heads, obs)  # log 2 + C and C, C = −½·log ¼ − ½·log ¾ = 0.8370
        tensor([1.5301, 0.8370])
    """

    alpha: float = 0.1
    gamma: float = 0.1

    key: ClassVar[str] = "cvib"
    level: ClassVar[Level] = "rank"
    assumes: ClassVar[str] = "clean labels; labelled and unlabelled rows are liked equally on average"
    not_identified: ClassVar[str] = "the level; nothing is promised where labels follow liking"
    citation: ClassVar[str] = (
        "Wang, Chen, Wen, Huang, Kuruoglu, Zheng, Information theoretic counterfactual learning from "
        "missing-not-at-random feedback, NeurIPS 2020, arXiv 2009.02623"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, alpha=self.alpha, gamma=self.gamma)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """o·bce(f, r) + alpha·C + gamma·o·h/mean(o) [..., B]."""
        f_B, o_B = logits["reward"], observed(obs)
        s_B = torch.sigmoid(f_B)
        entropy_B = s_B * log_sigmoid(f_B) - torch.sigmoid(-f_B) * softplus(f_B)
        share = obs.mean(o_B)
        confidence_B = o_B * entropy_B / torch.where(share > 0, share, torch.ones_like(share))
        return self.criterion(logits, obs) + self.alpha * contrast(f_B, obs) + self.gamma * confidence_B

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """o·bce(f, r) [..., B]."""
        return observed(obs) * bce(logits["reward"], obs.explicit()[0])


def contrast(f_B: Tensor, obs: Observations) -> Tensor:
    """C = −A·log B − (1 − A)·log(1 − B) [..., 1]; 0 without a labelled or without an unlabelled row."""
    o_B = observed(obs)
    weight_B = torch.ones_like(o_B) if obs.weight_B is None else obs.weight_B
    labelled, other = (weight_B * o_B).sum(-1, keepdim=True), (weight_B * (1 - o_B)).sum(-1, keepdim=True)
    mean_seen = obs.mean(torch.sigmoid(f_B), o_B)
    mean_not = obs.mean(torch.sigmoid(-f_B), o_B)
    log_liked = _log_mean(log_sigmoid(f_B), weight_B * (1 - o_B))
    log_not = _log_mean(-softplus(f_B), weight_B * (1 - o_B))
    value = -mean_seen * log_liked - mean_not * log_not
    return torch.where((labelled > 0) & (other > 0), value, torch.zeros_like(value))


def _log_mean(log_value_B: Tensor, weight_B: Tensor) -> Tensor:
    """log of the weighted mean of exp(value) [..., 1]."""
    present = weight_B > 0
    log_weight_B = torch.where(present, torch.where(present, weight_B, 1).log(), _ABSENT)
    total = torch.logsumexp(log_weight_B, -1, keepdim=True)
    return torch.logsumexp(log_value_B + log_weight_B, -1, keepdim=True) - total
