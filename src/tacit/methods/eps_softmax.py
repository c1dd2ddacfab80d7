"""`eps_softmax`: predictions pushed towards one-hot before the cross-entropy, plus the mean absolute error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.method import Level, Logits, Setting
from tacit.methods.noisy_labels import NoisyLabels
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_weightless
from tacit.methods.primitives import log_sigmoid


@dataclass(frozen=True)
class EpsSoftmax(NoisyLabels):
    """Labels that the network has come to doubt pull on it no harder than all others.

    | Inputs | Labels |
    |---|---|
    | f: text | an explicit label 0/1, missing where none was given |

    Loss: alpha·(−log P̃_r) + beta·2(1 − P_r), with P = (1−σ(f), σ(f)), k = argmax P and P̃ = (P + m·e_k)/(m+1).
    A large m leaves a cross-entropy gradient only on rows that the network gets wrong; the second term is the mean
    absolute error, which symmetric noise does not move. Both drive σ(f) to 0 or 1: it finds on which side of ½ a
    response lies, and its numbers are no probabilities before they are calibrated. With m = 0 and beta = 0 it is alpha
    times `naive_observed`.

    Reference: Wang, Zhou, Zhai, Jiang, Ji, Liu, "ε-Softmax: approximating one-hot vectors for mitigating label noise",
    NeurIPS 2024, arXiv 2508.02387.

    Args:
        m: weight of the one-hot vector, 0 or more.
        alpha: weight of the cross-entropy.
        beta: weight of the absolute error.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> heads = {"reward": torch.tensor([3.0, 3.0]).log()}  # P = (¼, ¾), and P̃ = (⅛, ⅞) with m = 1
        >>> EpsSoftmax(m=1.0, alpha=1.0).loss(heads, obs)  # −log ⅞ + 2·¼, and −log ⅛ + 2·¾
        tensor([0.6335, 3.5794])
    """

    m: float = 1e4
    alpha: float = 0.05
    beta: float = 1.0

    key: ClassVar[str] = "eps_softmax"
    setting: ClassVar[Setting] = "explicit"
    needs: ClassVar[tuple[str, ...]] = ("label",)
    level: ClassVar[Level] = "rank"
    assumes: ClassVar[str] = "symmetric noise below one half; labels given at random given text"
    not_identified: ClassVar[str] = "the level: only on which side of one half a response lies; selection"
    citation: ClassVar[str] = "Wang et al., NeurIPS 2024, arXiv 2508.02387"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.m >= 0:
            raise ConfigError(f"method {self.key}: m is {self.m}, expected 0 or more")
        refuse_weightless(self.key, alpha=self.alpha, beta=self.beta)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """alpha·(−log P̃_r) + beta·2(1 − P_r) [..., B]."""
        margin_B = (2 * obs.explicit()[0] - 1) * logits["reward"]
        return self.alpha * eps_cross_entropy(margin_B, self.m) + self.beta * 2 * torch.sigmoid(-margin_B)


def eps_cross_entropy(margin_B: Tensor, m: float) -> Tensor:
    """−log P̃_r [..., B] from the label's logit margin log P_r − log(1−P_r).

    Right side of ½: −log((P_r + m)/(m+1)) = −log1p(−(1−P_r)/(m+1)), which does not lose the tiny difference of two
    logarithms; wrong side: log(m+1) − log P_r.

    Example:
        >>> eps_cross_entropy(torch.tensor([-1.0, 1.0]), 0.0).tolist()  # plain cross-entropy
        [1.313..., 0.313...]
    """
    right_B = -torch.log1p(-torch.sigmoid(-margin_B.clamp(min=0)) / (m + 1))
    return torch.where(margin_B >= 0, right_B, math.log1p(m) - log_sigmoid(margin_B))
