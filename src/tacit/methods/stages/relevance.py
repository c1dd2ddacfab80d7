"""Pointwise relevance q(x) = P(r*=1 | x) from clicks and a known propensity: makes the column `relevance`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.latent import implicit_nll
from tacit.methods.method import Head, Logits, Method
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce

_NEARLY_ONE = 1 - 1e-6


@dataclass(frozen=True)
class Relevance(Method):
    """How probable it is that an answer is liked, from clicks weighted by inverse propensities.

    Loss: bce(f, y/e), whose expectation is the loss on r* if e is right. It is unbounded below, so held-out rows are
    judged by −log P(y), y ~ Bernoulli(σ(f)·e). Reads the column `e`.

    Args:
        clip: propensities below it count as this.
    """

    clip: float = 0.1

    key: ClassVar[str] = "relevance"
    reads: ClassVar[tuple[str, ...]] = ("e",)
    needs: ClassVar[tuple[str, ...]] = ("signal", "propensity")
    assumes: ClassVar[str] = "e right; no misclicks"
    not_identified: ClassVar[str] = "e from the signal alone"
    citation: ClassVar[str] = "Bekker, Robberechts, Davis, ECML-PKDD 2019, arXiv 1809.03207"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head that sees the text, from 0."""
        return (Head("reward", "reward", (0.0,)),)

    def counts(self, obs: Observations) -> Tensor:
        """Rows on which a deciding signal was visible."""
        return obs.any_positive()[1]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, y/e) [..., B]."""
        return bce(logits["reward"], obs.any_positive()[0] / self._propensity(obs))

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y) given e [..., B]; bounded below."""
        e_B = self._propensity(obs).clamp(max=_NEARLY_ONE)
        y_B = obs.any_positive()[0]
        return implicit_nll(logits["reward"], torch.logit(e_B), y_B)

    def nuisances(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """`relevance` [B]."""
        return {"relevance": torch.sigmoid(logits["reward"])}

    def _propensity(self, obs: Observations) -> Tensor:
        return obs.column("e").clamp(min=self.clip)
