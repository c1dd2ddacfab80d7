"""`rel_mf`: unbiased squared error for implicit feedback with known exposure (Saito et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.exposure_weighted import ExposureWeighted, inverse_exposure
from tacit.methods.method import Claim, Logits
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_clip

_JUDGED_FROM = 0.1
"""Held-out rows are judged with propensities of at least this: a handful of tiny ones would decide alone."""


@dataclass(frozen=True)
class RelMF(ExposureWeighted):
    """The squared twin of `sar_ipw`: error against what was liked, undone for the likes that did not show.

    | Inputs | Labels |
    |---|---|
    | text; e = P(y=1 | r*=1, x, z), known or estimated first from context and style | any positive signal fired |

    Loss, s = σ(f): (y/e)(1−s)² + (1−y/e)s² = s² − (y/e)(2s−1), e ← max(e, clip). Its expectation is the squared error
    on r*, given the true e. With e = 1 it is the Brier score of the signal. Where e is not supplied it is estimated by
    the likelihood of `implicit_rm` (`tacit.methods.stages.exposure`).

    Published code for reward models took e from the label itself, which leaves the naive loss; a "dual" form that also
    divides 1−y by 1−e is not unbiased, and is not offered.

    Args:
        clip: propensities below it count as this.
        e_max: scale an estimated e so that its .99 quantile is this; None: as estimated.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0])).with_columns(e=torch.tensor([0.25, 0.25]))
        >>> RelMF().loss({"reward": torch.tensor([3.0, 3.0]).log()}, obs)  # s = ¾: 9/16 − 4·½, and 9/16
        tensor([-1.4375,  0.5625])
    """

    clip: float = 0.1

    key: ClassVar[str] = "rel_mf"
    claims: ClassVar[Claim] = "clean_squared"
    citation: ClassVar[str] = (
        "Saito, Yaginuma, Nishino, Sakata, Nakata, Unbiased recommender learning from missing-not-at-random implicit "
        "feedback, WSDM 2020, arXiv 1909.03601"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_clip(self.key, self.clip)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """s² − (y/e)(2s−1) [..., B]."""
        return _squared(logits, inverse_exposure(obs, self.clip))

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """The loss with e of .1 or more [..., B]."""
        return _squared(logits, inverse_exposure(obs, max(self.clip, _JUDGED_FROM)))


def _squared(logits: Logits, target_B: Tensor) -> Tensor:
    s_B = torch.sigmoid(logits["reward"])
    return s_B.square() - target_B * (2 * s_B - 1)
