"""`ilde`: cross-entropy on the label and on a label distribution made from the network's own confusions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.method import Level, Logits, Setting
from tacit.methods.noisy_labels import NoisyLabels
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_negative
from tacit.methods.primitives import bce


@dataclass(frozen=True)
class ILDE(NoisyLabels):
    """Labels softened by how often the network mixes the two classes up; a RECONSTRUCTION from the paper's abstract.

    | Inputs | Labels |
    |---|---|
    | f: text | an explicit label 0/1, missing where none was given |

    After 10 epochs of plain bce(f, r): P = (1−σ(f), σ(f)) detached; C = mean P'P over the labelled rows of the batch;
    T̂ = C with rows normalised; label distribution L = P·T̂; loss bce(f, r) + lam·bce(f, L_1).

    Nothing identifies a noise that depends on the response from one label per row: the level is that of the noisy
    label, in name only a probability of preference. With lam = 0 it is `naive_observed`. The full text was not at
    hand when this was written; do not report it as the published method.

    Reference: Liao, Hu, Xie, Xia, "Instance-dependent label distribution estimation for learning with label noise",
    IJCV 2024/25, arXiv 2212.08380.

    Args:
        lam: weight of the estimated distribution.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> heads = {"reward": torch.tensor([3.0, 3.0]).log()}  # P = (¼, ¾), both rows of T̂ too: L_1 = ¾
        >>> ILDE(lam=1.0).loss(heads, obs)  # −log ¾ and −log ¼, each + log 4 − ¾·log 3 = 0.5623
        tensor([0.8500, 1.9486])
    """

    lam: float = 0.5

    key: ClassVar[str] = "ilde"
    setting: ClassVar[Setting] = "explicit"
    needs: ClassVar[tuple[str, ...]] = ("label",)
    level: ClassVar[Level] = "prob"
    warm_up: ClassVar[int] = 10
    assumes: ClassVar[str] = (
        "the network's own confusions resemble the labels' (a reconstruction of the method)"
    )
    not_identified: ClassVar[str] = "noise apart from disagreement: the level is nominal; selection"
    citation: ClassVar[str] = (
        "Liao, Hu, Xie & Xia, IJCV 2025, arXiv 2212.08380; reconstructed from its abstract"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, lam=self.lam)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, r) + lam·bce(f, L_1) after the warm-up [..., B]."""
        f_B = logits["reward"]
        plain_B = bce(f_B, obs.explicit()[0])
        if self.lam == 0 or 0 <= obs.epoch < self.warm_up:
            return plain_B
        s_B = torch.sigmoid(f_B.detach())
        T_122 = confusion(s_B, obs)
        target_B = (1 - s_B) * T_122[..., 0, 1] + s_B * T_122[..., 1, 1]
        return plain_B + self.lam * bce(f_B, target_B)


def confusion(s_B: Tensor, obs: Observations) -> Tensor:
    """T̂ [..., 1, 2, 2], rows sum to 1: the batch's class correlation P'P over labelled rows.

    Args:
        s_B: probabilities [..., B].
        obs: of the same rows; `weight_B` says which of them the member may use.
    """
    o_B = obs.explicit()[1]
    both = obs.mean(s_B * (1 - s_B), o_B)
    C = torch.stack([obs.mean((1 - s_B).square(), o_B), both, both, obs.mean(s_B.square(), o_B)], dim=-1)
    C = C.unflatten(-1, (2, 2)) + 1e-12 * torch.eye(2, dtype=C.dtype, device=C.device)
    normalised: Tensor = C / C.sum(-1, keepdim=True)
    return normalised
