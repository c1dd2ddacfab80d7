"""What methods with two heads and one signal share: y = r*·a, the observed likelihood, and the E-step's posteriors.

r* ~ Bernoulli(σ(f)), a ~ Bernoulli(σ(g)), independent given what the heads see: the mixture of `implicit_rm`, read here
from any number of signals as "any positive one fired".
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from tacit.methods.latent import implicit_nll, strata
from tacit.methods.method import Head, Logits, Method, View, mean_rate, refuse_complaints
from tacit.methods.observations import Observations
from tacit.methods.primitives import logit


class Posterior(NamedTuple):
    """P(r*=1 | y) and P(a=1 | y), each [..., B], without gradient."""

    liked_B: Tensor
    active_B: Tensor


def posterior(logits: Logits, obs: Observations) -> Posterior:
    """1 and 1 where a signal fired; else P(r*=1 | y=0) = r(1−e)/(1−re) and P(a=1 | y=0) = (1−r)e/(1−re)."""
    y_B = obs.any_positive()[0]
    phi = strata(logits["reward"].detach(), logits["propensity"].detach(), y_B)
    return Posterior(phi[..., 0] + phi[..., 2], phi[..., 0] + phi[..., 1])


class ExposureModel(Method):
    """Base: heads for preference and activity, judged by −log P(y)."""

    propensity_view: ClassVar[View] = "propensity"
    exchangeable: ClassVar[bool] = True
    assumes: ClassVar[str] = (
        "no misclicks; activity independent of preference given context and style; context moves activity only"
    )
    not_identified: ClassVar[str] = (
        "a factor between liking and acting, one per group of linked contexts; without context, one from the other"
    )

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """Reward head at 0, propensity head at twice the click rate (half of the rows are liked)."""
        start = logit(min(0.9, 2 * mean_rate(*obs.any_positive())))
        return (Head("reward", "reward", (0.0,)), Head("propensity", self.propensity_view, (start,)))

    def check(self, obs: Observations) -> None:
        """Positives and silence.

        Raises:
            DegenerateDataError: no positive signal, no positive row, or nothing but positives.
        """
        refuse_complaints(self.key, obs)
        super().check(obs)

    def counts(self, obs: Observations) -> Tensor:
        """Rows on which a deciding signal was visible."""
        return obs.any_positive()[1]

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y) [..., B]."""
        return implicit_nll(logits["reward"], logits["propensity"], obs.any_positive()[0])

    def log_likelihood(self, logits: Logits, obs: Observations) -> Tensor | None:
        """log P(y) [..., B], 0 where not visible; for one signal, the log-likelihood of the log."""
        if obs.n_signals != 1:
            return None
        nll_B = implicit_nll(logits["reward"], logits["propensity"], obs.any_positive()[0])
        return torch.where(self.counts(obs), -nll_B, torch.zeros_like(nll_B))
