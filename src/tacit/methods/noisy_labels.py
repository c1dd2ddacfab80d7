"""What the noisy-label baselines share: labelled rows, judged by the noisy label itself; small losses; two networks."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.methods.labels import refuse_unlabelled
from tacit.methods.method import Head, Logits, Method, mean_rate
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce, logit


class NoisyLabels(Method):
    """Base of methods that learn from labelled rows alone and leave selection uncorrected.

    Held-out rows are judged by bce(reward, noisy label) under a temperature (METHODS 12.3): the only bounded
    criterion that needs neither clean labels nor noise rates. The served level is therefore that of the label.

    Where there are two networks the reward is the mean of their logits. The papers average probabilities; a
    temperature per network can then switch one of them off (seen: scales .02 and 4), and half a reward is lost.
    """

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head per network, its bias at the rate of positive labels."""
        start = (logit(mean_rate(*obs.explicit())),)
        return tuple(Head(name, "reward", start) for name in self.reward_heads)

    def reward(self, logits: Logits) -> Tensor:
        """The mean of the networks' logits."""
        total = sum((logits[name] for name in self.reward_heads[1:]), logits[self.reward_heads[0]])
        return total / len(self.reward_heads)

    def check(self, obs: Observations) -> None:
        """Labels of both kinds."""
        refuse_unlabelled(self.key, obs)

    def counts(self, obs: Observations) -> Tensor:
        """Labelled rows."""
        return obs.explicit()[1]

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(reward, r) of the noisy label [..., B]."""
        return bce(self.reward(logits), obs.explicit()[0])


def eligible(obs: Observations) -> Tensor:
    """Labelled rows that the member may train on, bool [B] or [M, B]; a batch also holds rows that members hold out."""
    o_B = obs.explicit()[1]
    return o_B if obs.weight_B is None else o_B & (obs.weight_B > 0)


def smallest(score_B: Tensor, eligible_B: Tensor, share: Tensor | float) -> Tensor:
    """The floor(share·n) rows of smallest score among the n eligible ones, bool [..., B].

    At least one row; none where n < 2, from which nothing can be chosen. Of equal scores the first rows are taken.

    Args:
        score_B: any real number per row.
        eligible_B: bool, broadcastable to `score_B`.
        share: in [0, 1]; a number, or a tensor that broadcasts to [..., 1].

    Example:
        >>> score, labelled = torch.tensor([4.0, 1.0, 3.0, 2.0, 0.0]), torch.tensor([True] * 4 + [False])
        >>> smallest(score, labelled, 0.5).tolist()
        [False, True, False, True, False]
    """
    eligible_B = eligible_B.expand_as(score_B)
    n = eligible_B.sum(-1, keepdim=True)
    # A share that went through float32 must not lose a row: 0.8·10 is 8, not 7.9999998.
    kept = (torch.as_tensor(share, dtype=torch.float64, device=n.device) * n + 1e-4).floor().clamp(min=1)
    kept = torch.where(n < 2, torch.zeros_like(kept), kept)
    order = torch.where(eligible_B, score_B, torch.inf).argsort(dim=-1, stable=True)
    place = torch.arange(score_B.shape[-1], device=score_B.device).expand_as(order)
    rank_B = torch.empty_like(order).scatter_(-1, order, place)
    return eligible_B & (rank_B < kept)


def mean_over(value_B: Tensor, kept_B: Tensor, obs: Observations) -> Tensor:
    """Row terms [..., B] whose average over the member's rows of the batch is the mean of `value_B` over kept rows.

    0 where nothing is kept.
    """
    kept = kept_B.to(value_B.dtype)
    share = obs.mean(kept, obs.explicit()[1])
    return value_B * kept / torch.where(share > 0, share, torch.ones_like(share))
