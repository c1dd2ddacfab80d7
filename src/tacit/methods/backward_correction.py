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
