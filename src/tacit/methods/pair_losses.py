"""Losses of a pair of answers, from the two reward logits alone: shared by log-based estimators and fine-tuning.

All have the form bce(d, t) with d = f_w − f_l, the difference of preferred and other:
    t = 1: Bradley–Terry;  t = ½: a tie;  t = (1 − ε)/(1 − 2ε): unbiased when a share ε of pairs is turned round;
    t = 1 − ε: label smoothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.errors import IdentificationError
from tacit.methods.labels import forward_nll
from tacit.methods.primitives import bce


def pair_loss(
    preferred_P: Tensor, other_P: Tensor, target: Tensor | float = 1.0, margin: Tensor | float = 0.0
) -> Tensor:
    """bce(f_w − f_l − margin, target), per pair [..., P].

    Bradley & Terry 1952; as reward-model loss Ouyang et al. 2022, arXiv 2203.02155.

    Args:
        preferred_P: f_w, logits of the preferred answers.
        other_P: f_l, logits of the others.
        target: 1; ½ for a tie; `robust_target` where pairs may be turned round.
        margin: by how much f_w should exceed f_l.

    Example:
        >>> import torch
        >>> pair_loss(torch.tensor([2.0]), torch.tensor([2.0]))  # log 2
        tensor([0.6931])
    """
    difference_P = preferred_P - other_P - margin
    return bce(difference_P, torch.as_tensor(target, dtype=difference_P.dtype, device=difference_P.device))


def centring(preferred_P: Tensor, other_P: Tensor) -> Tensor:
    """(f_w + f_l)², per pair: the only term that sees a constant added to both, so that the level stays near 0."""
    return (preferred_P + other_P).square()


def robust_target(flip_rate: float, conservative: bool = False) -> float:
    """The target that undoes flips, (1 − ε)/(1 − 2ε); or the smoothed one, 1 − ε.

    Chowdhury, Kini, Natarajan, "Provably robust DPO", ICML 2024, arXiv 2403.00409; conservative: Mitchell 2023.

    Args:
        flip_rate: ε, the share of pairs that are turned round.
        conservative: smooth instead.

    Raises:
        IdentificationError: ε is not in [0, ½): from ½ on, pairs carry no or inverted information.

    Example:
        >>> robust_target(0.1), robust_target(0.1, conservative=True)
        (1.125, 0.9)
    """
    if not 0 <= flip_rate < 0.5:
        raise IdentificationError(
            f"flip rate is {flip_rate}, expected one in [0, 0.5): half of the pairs turned round carry no information"
        )
    return 1 - flip_rate if conservative else (1 - flip_rate) / (1 - 2 * flip_rate)


def flipped_nll(preferred_P: Tensor, other_P: Tensor, flip_rate: float) -> Tensor:
    """−log[(1 − ε)·σ(d) + ε·σ(−d)], per pair: the likelihood of what may be turned round; bounded below."""
    difference_P = preferred_P - other_P
    return forward_nll(difference_P, torch.ones_like(difference_P), flip_rate, flip_rate)
