"""`robust_divide_mix`: DivideMix against labels that were chosen to look believable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.divide_mix import DivideMix


@dataclass(frozen=True)
class RobustDivideMix(DivideMix):
    """DivideMix that tries the opposite label where a network is very sure of the given one, before it sorts.

    | Inputs | Labels |
    |---|---|
    | f1, f2: text | an explicit label 0/1, missing where none was given |

    In the sorting step alone, r becomes argmax_c(1[c = r] − s·log P_c): exactly the labels whose logit margin exceeds
    1/s are turned round. Training targets use the labels as given. What the perturbation is for is a RECONSTRUCTION:
    the paper's rule was known, its place in the loop was not. Everything else is as in `divide_mix`, mixup left out
    too.

    Reference: Zhang et al., "BadLabel: a robust perspective on evaluating and enhancing label-noise learning", TPAMI
    2024, arXiv 2305.18377.

    Args:
        temperature: T of the sharpening, above 0; 1 leaves targets as they are.
        unlabelled: final weight of the squared error on guessed labels.
        balance: weight of the penalty on a mean prediction away from the prior.
        perturbation: s, above 0; labels with a margin beyond 1/s are turned round.

    Example:
        >>> import torch
        >>> from tacit.methods import DivideMix
        >>> f, r = torch.tensor([4.0, 6.0]), torch.tensor([1.0, 1.0])
        >>> RobustDivideMix().judged_label(f, r)  # the margin 6 exceeds 1/0.2 = 5
        tensor([1., 0.])
        >>> DivideMix().judged_label(f, r)
        tensor([1., 1.])
    """

    perturbation: float = 0.2

    key: ClassVar[str] = "robust_divide_mix"
    citation: ClassVar[str] = "Zhang et al., TPAMI 2024, arXiv 2305.18377 (without feature mixup)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.perturbation > 0:
            raise ConfigError(
                f"method {self.key}: perturbation is {self.perturbation}, expected a number above 0"
            )

    def judged_label(self, f_B: Tensor, r_B: Tensor) -> Tensor:
        """The label, turned round where the network's margin for it exceeds 1/s."""
        return perturbed_label(f_B, r_B, self.perturbation)


def perturbed_label(f_B: Tensor, r_B: Tensor, s: float) -> Tensor:
    """argmax_c(1[c = r] − s·log P_c): log P_r − log P_other is the logit margin, so r loses beyond 1/s.

    Example:
        >>> f = torch.tensor([4.0, 6.0, -6.0, 6.0])
        >>> perturbed_label(f, torch.tensor([1.0, 1.0, 0.0, 0.0]), 0.2).tolist()
        [1.0, 0.0, 1.0, 0.0]
    """
    margin_B = (2 * r_B - 1) * f_B
    return torch.where(s * margin_B > 1, 1 - r_B, r_B)
