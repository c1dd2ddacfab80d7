"""`rel_mf_noclip`: `rel_mf` with propensities as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tacit.methods.rel_mf import RelMF


@dataclass(frozen=True)
class RelMFNoClip(RelMF):
    """`rel_mf` that divides by every propensity, however small: no bias from clipping, all of its variance.

    Published code calls it RMF, and calls the clipped one NCRMF.

    Args:
        clip: 1e-8, against division by 0 alone.
        e_max: scale an estimated e so that its .99 quantile is this; None: as estimated.

    Example:
        >>> import torch
        >>> from tacit.methods import RelMF, observations
        >>> obs = observations(torch.tensor([1.0])).with_columns(e=torch.tensor([0.02]))
        >>> heads = {"reward": torch.tensor([3.0]).log()}  # s = ¾
        >>> RelMFNoClip().loss(heads, obs), RelMF().loss(heads, obs)  # 9/16 − 50·½; 9/16 − 10·½ with e = .1
        (tensor([-24.4375]), tensor([-4.4375]))
    """

    clip: float = 1e-8

    key: ClassVar[str] = "rel_mf_noclip"
    assumes: ClassVar[str] = (
        "no misclicks; e is right, estimated from context and style by the likelihood of implicit_rm unless supplied"
    )
