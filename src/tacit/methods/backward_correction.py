"""`backward_correction`: a target whose expectation is the clean label, on the rows that have one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.forward_correction import ForwardCorrection
from tacit.methods.labels import corrected_label, observed
from tacit.methods.method import Claim, Logits
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce


@dataclass(frozen=True)
class BackwardCorrection(ForwardCorrection):
    """Labels are wrong at known rates: stretch them beyond 0 and 1 so that the noise averages out.

    | Inputs | Labels |
    |---|---|
    | text | an explicit label 0/1, missing where none was given |

    Loss: bce(f, t) on labelled rows,  t = (r − ρ10)/(1 − ρ01 − ρ10), E[t | r*] = r*: unbiased for the loss on clean
    labels, unbounded below on a single row. Held-out rows are judged by the likelihood of `forward_correction`. With
    selection weights it is `causal_ips`.

    Args:
        rho01: false-negative rate P(r=0 | r*=1) if known; None: estimated by `noise`.
        rho10: false-positive rate P(r=1 | r*=0) if known; None: estimated by `noise`.
        noise: rule by which unknown rates are estimated.
        quantile: of the anchors.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
        >>> obs = obs.with_columns(rho01=torch.tensor([0.3]), rho10=torch.tensor([0.2]))
        >>> BackwardCorrection().loss({"reward": torch.ones(3)}, obs)  # t = 0.8/½ and −0.2/½: softplus(1) − t
        tensor([-0.2867,  1.7133,  0.0000])
    """

    key: ClassVar[str] = "backward_correction"
    claims: ClassVar[Claim] = "consistent"
    citation: ClassVar[str] = (
        "Natarajan, Dhillon, Ravikumar, Tewari, Learning with noisy labels, NeurIPS 2013; Patrini et al., CVPR 2017, "
        "arXiv 1609.03683"
    )

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """o·bce(f, t) [..., B]."""
        return observed(obs) * bce(logits["reward"], corrected_label(obs, *self.rates(obs)))

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """−o·log P(r | x) [..., B]."""
        return super().loss(logits, obs)
