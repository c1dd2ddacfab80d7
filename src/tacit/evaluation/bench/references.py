"""The mixture likelihood when the propensity is known: what this likelihood makes of clicks with nothing else to learn.

Nobody has such a log. It is a mark, not a bound: an estimator that had to learn the propensity as well may land on
either side of it by luck, by its calibration, or by what its heads leave out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.latent import marginal_log_likelihood, signal_log_likelihoods, signal_logits
from tacit.methods.method import Head, Level, Logits, Method
from tacit.methods.observations import Observations


@dataclass(frozen=True)
class KnownPropensity(Method):
    """−log P(y) of P(y=1) = r·e + (1−r)·ε with the true e and ε; only r is learned.

    | Inputs | Labels |
    |---|---|
    | f: text | one positive signal; columns `e` and `misclick`, the truth |
    """

    key: ClassVar[str] = "oracle_likelihood"
    level: ClassVar[Level] = "prob"
    reads: ClassVar[tuple[str, ...]] = ("e", "misclick")
    assumes: ClassVar[str] = "propensity and misclick rate are known"
    not_identified: ClassVar[str] = "nothing; a reference, it reads what others must not"
    citation: ClassVar[str] = "reference"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head."""
        return (Head("reward", "reward", (0.0,)),)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y) [..., B]."""
        hit_BK = torch.logit(obs.columns["e"], eps=1e-6)[..., None]
        alarm_BK = torch.logit(obs.columns["misclick"], eps=1e-6)[..., None]
        pair = signal_logits(hit_BK, alarm_BK, obs.polarity_K)
        L1_B, L0_B = signal_log_likelihoods(pair, obs.signals_BK, obs.visible_BK)
        return -marginal_log_likelihood(logits["reward"], L1_B, L0_B)
