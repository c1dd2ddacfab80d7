"""`divide_mix`: two networks that tell each other which labels to believe, and guess the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.method import Level, Logits, Setting
from tacit.methods.noisy_labels import NoisyLabels, eligible, mean_over
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_negative
from tacit.methods.primitives import bce, log_sigmoid
from tacit.methods.two_gaussians import low_posterior

_RAMP = 16
"""Epochs over which the weight of guessed labels grows."""


@dataclass(frozen=True)
class DivideMix(NoisyLabels):
    """Two networks sort the labels into believable and doubtful; doubtful ones are replaced by a joint guess.

    | Inputs | Labels |
    |---|---|
    | f1, f2: text | an explicit label 0/1, missing where none was given |

    Ten epochs of bce(f, r) plus s·log s + (1−s)·log(1−s), s = σ(f), which keeps networks unsure. Then, after every
    epoch, a mixture of two Gaussians on the losses of one network gives the other one w, P(low component) of each
    labelled row. With p̄ the mean of both probabilities and sharpened(s) = s^(1/T) / (s^(1/T) + (1−s)^(1/T)), all
    without gradient:

        w > ½:   bce(f, sharpened(w·r + (1−w)·p̄)),                     mean over such rows of the batch
        else:    unlabelled·ramp·(σ(f) − sharpened(p̄))²                mean over such rows of the batch
        and      balance·Σ_c prior_c·log(prior_c / mean σ_c)           prior: the rate of positive labels

    The ramp takes 16 epochs. Where either set is empty, w = 1: the labels as they are.

    LEFT OUT: the mixing of features of two rows (mixup), because a loss sees logits and not features; the
    regularisation that mixup gives is missing. Against the published code, clean targets are sharpened as the paper
    says, the prior is that of the labels and not ½, and the ramp is the paper's.

    Assumes that wrong labels have the larger losses early on; nothing is proven, sharpening loses the level. With all
    w = 1 and balance = 0 it is two `naive_observed` networks, once the first ten epochs are over.

    Reference: Li, Socher, Hoi, "DivideMix: learning with noisy labels as semi-supervised learning", ICLR 2020, arXiv
    2002.07394.

    Args:
        temperature: T of the sharpening, above 0; 1 leaves targets as they are.
        unlabelled: final weight of the squared error on guessed labels.
        balance: weight of the penalty on a mean prediction away from the prior.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> w = torch.tensor([1.0, 0.0])  # the second label is doubted
        >>> obs = obs.with_columns(clean=w, clean2=w, label_rate=torch.tensor([0.5]))
        >>> heads = {"reward": torch.tensor([1.0, 3.0]).log(), "reward2": torch.tensor([1.0, 3.0]).log()}
        >>> DivideMix(balance=0.0).loss(heads, obs)  # 2·2·log 2; ¾ is sharpened to .9: 2·2·25·(¾ − .9)²
        tensor([2.7726, 2.2500])
    """

    temperature: float = 0.5
    unlabelled: float = 25.0
    balance: float = 1.0

    key: ClassVar[str] = "divide_mix"
    setting: ClassVar[Setting] = "explicit"
    needs: ClassVar[tuple[str, ...]] = ("label",)
    level: ClassVar[Level] = "rank"
    refreshes: ClassVar[bool] = True
    warm_up: ClassVar[int] = 10
    reward_heads: ClassVar[tuple[str, ...]] = ("reward", "reward2")
    assumes: ClassVar[str] = (
        "wrong labels have the larger losses early in training; labels given at random given text"
    )
    not_identified: ClassVar[str] = "the level, which sharpening moves; selection"
    citation: ClassVar[str] = "Li, Socher & Hoi, ICLR 2020, arXiv 2002.07394 (without feature mixup)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature > 0:
            raise ConfigError(
                f"method {self.key}: temperature is {self.temperature}, expected a number above 0"
            )
        refuse_negative(self.key, unlabelled=self.unlabelled, balance=self.balance)

    def refresh(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """`clean` [M, N] for the first network, made by the second; `clean2` the other way; `label_rate` [M, 1]."""
        if obs.epoch < self.warm_up - 1:
            return {}
        f_MN, g_MN, r_MN = torch.broadcast_tensors(logits["reward"], logits["reward2"], obs.explicit()[0])
        mine_MN = eligible(obs).expand_as(f_MN)
        return {
            "clean": self._divide(g_MN, r_MN, mine_MN),
            "clean2": self._divide(f_MN, r_MN, mine_MN),
            "label_rate": obs.mean(r_MN, obs.explicit()[1]),
        }

    def judged_label(self, f_B: Tensor, r_B: Tensor) -> Tensor:
        """The label whose loss is sorted by: the one that was given."""
        return r_B

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """Sum of both networks' losses [..., B]."""
        f_B, g_B, r_B = torch.broadcast_tensors(logits["reward"], logits["reward2"], obs.explicit()[0])
        if 0 <= obs.epoch < self.warm_up:
            return _unsure(f_B, r_B) + _unsure(g_B, r_B)
        guess_B = (torch.sigmoid(f_B) + torch.sigmoid(g_B)).detach() / 2
        one_B = self._network(f_B, r_B, guess_B, obs.column("clean"), obs)
        return one_B + self._network(g_B, r_B, guess_B, obs.column("clean2"), obs)

    def _network(self, f_B: Tensor, r_B: Tensor, guess_B: Tensor, w_B: Tensor, obs: Observations) -> Tensor:
        """Loss of one network with the other one's w."""
        mine_B = eligible(obs).expand_as(f_B)
        refined_B = sharpened(w_B * r_B + (1 - w_B) * guess_B, self.temperature)
        guessed_B = (torch.sigmoid(f_B) - sharpened(guess_B, self.temperature)).square()
        ramp = 1.0 if obs.epoch < 0 else min((obs.epoch - self.warm_up) / _RAMP, 1.0)
        total_B = mean_over(bce(f_B, refined_B), mine_B & (w_B > 0.5), obs)
        total_B = total_B + self.unlabelled * ramp * mean_over(guessed_B, mine_B & (w_B <= 0.5), obs)
        return total_B + self.balance * self._imbalance(f_B, obs) if self.balance else total_B

    def _imbalance(self, f_B: Tensor, obs: Observations) -> Tensor:
        """Σ_c prior_c·log(prior_c / mean σ_c) of the batch, the same for its labelled rows [..., 1]; 0 without any."""
        o_B = obs.explicit()[1]
        prior, some = obs.column("label_rate"), obs.mean(torch.ones_like(f_B), o_B)
        penalty = torch.zeros_like(some)
        for share, logit_B in ((prior, f_B), (1 - prior, -f_B)):
            mean = obs.mean(torch.sigmoid(logit_B), o_B).clamp(min=1e-30)
            penalty = penalty + share * (share.clamp(min=1e-30).log() - mean.log())
        return penalty * (some > 0)

    def _divide(self, f_MN: Tensor, r_MN: Tensor, mine_MN: Tensor) -> Tensor:
        w_MN = low_posterior(bce(f_MN, self.judged_label(f_MN, r_MN)), mine_MN)
        believed_MN = mine_MN & (w_MN > 0.5)
        one_sided = ~believed_MN.any(-1, keepdim=True) | ~(mine_MN & ~believed_MN).any(-1, keepdim=True)
        return torch.where(one_sided, torch.ones_like(w_MN), w_MN)


def sharpened(s_B: Tensor, temperature: float) -> Tensor:
    """s^(1/T) / (s^(1/T) + (1−s)^(1/T)); leaves 0, ½ and 1 where they are.

    Example:
        >>> sharpened(torch.tensor([0.0, 0.5, 0.75, 1.0]), 0.5).tolist()
        [0.0, 0.5, 0.89..., 1.0]
    """
    liked, disliked = s_B ** (1 / temperature), (1 - s_B) ** (1 / temperature)
    total = liked + disliked
    lost = total == 0  # both powers are too small to be told from 0: the larger one is all
    return torch.where(
        lost, torch.heaviside(s_B - 0.5, torch.full_like(s_B, 0.5)), liked / total.masked_fill(lost, 1.0)
    )


def _unsure(f_B: Tensor, r_B: Tensor) -> Tensor:
    """bce(f, r) + s·log s + (1−s)·log(1−s)."""
    return bce(f_B, r_B) + torch.sigmoid(f_B) * log_sigmoid(f_B) + torch.sigmoid(-f_B) * log_sigmoid(-f_B)
