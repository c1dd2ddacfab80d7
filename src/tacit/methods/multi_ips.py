"""`multi_ips`: reward and propensity from one trunk (MT-IPS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.ips import IPS
from tacit.methods.labels import observed
from tacit.methods.method import Claim, Head, Logits
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce, logit


@dataclass(frozen=True)
class MultiIPS(IPS):
    """As `ips`, with the propensity read off the same trunk as the reward, both learning at once.

    | Inputs | Labels |
    |---|---|
    | one network, two outputs f and u: text | an explicit label 0/1, missing where none was given |

    Loss: bce(u, o) + (o/p̂)·bce(f, r), p̂ = σ(u) as a constant; bce(u, o) alone in the first ten epochs, which cannot be
    selected. (The published code selects among them, too: its rows with AUROC near .2 come from such a state; and it
    fits u by squares.) The trunk holds what moves selection and what moves preference alike, and negative transfer is
    common. With a linear head there is nothing to share.

    Held-out rows are judged as in `ips`, by a propensity from a stage of its own: judged by its own u, a temperature
    could choose the weights under which it looks best.

    Args:
        clip: propensities below it count as this.

    Example:
        >>> import torch
        >>> from dataclasses import replace
        >>> from tacit.methods import observations
        >>> obs, heads = observations(torch.tensor([1.0, float("nan")])), {"reward": torch.zeros(2, 2)}
        >>> MultiIPS().loss(heads, obs)  # p̂ = σ(0) = ½: log 2 + 2·log 2 with a label, log 2 without
        tensor([2.0794, 0.6931])
        >>> MultiIPS().loss(heads, replace(obs, epoch=0))  # the propensity alone, at first
        tensor([0.6931, 0.6931])
    """

    key: ClassVar[str] = "multi_ips"
    claims: ClassVar[Claim] = "consistent"
    warm_up: ClassVar[int] = 10
    waits: ClassVar[bool] = True
    citation: ClassVar[str] = (
        "Zhang, Bao, Liu, Yang, Lin, Wen, Ramezani, Large-scale causal approaches to debiasing post-click conversion "
        "rate estimation with multi-task learning, WWW 2020, arXiv 1910.09337"
    )

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head, whose outputs are the reward, from 0, and the propensity, from the share of labelled rows."""
        o_B = observed(obs)
        return (Head("reward", "reward", (0.0, logit(float(o_B.mean()))), scalar=False),)

    def reward(self, logits: Logits) -> Tensor:
        """The first output."""
        return logits["reward"][..., 0]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(u, o) + (o/p)·bce(f, r); the first term alone while warming up [..., B]."""
        u_B, o_B = logits["reward"][..., 1], observed(obs)
        chosen_B = bce(u_B, o_B)
        if 0 <= obs.epoch < self.warm_up:
            return chosen_B
        weight_B = o_B / torch.sigmoid(u_B.detach()).clamp(min=self.clip)
        return chosen_B + self.reward_loss(logits, weight_B, obs)

    def reward_loss(self, logits: Logits, weight_B: Tensor, obs: Observations) -> Tensor:
        """w·bce(f, r) [..., B]."""
        return weight_B * bce(self.reward(logits), obs.explicit()[0])
