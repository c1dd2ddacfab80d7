"""`implicit_rm`: ImplicitRM (arXiv 2603.23184), an unbiased reward model from one implicit signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tacit.errors import DegenerateDataError
from tacit.methods.latent import (
    complete_log_likelihood,
    implicit_em_objective,
    implicit_nll,
    signal_log_likelihoods,
    signal_logits,
)
from tacit.methods.method import Claim, Head, Level, Logits, Method
from tacit.methods.observations import Observations
from tacit.methods.primitives import logit


@dataclass(frozen=True)
class ImplicitRM(Method):
    """A click is a sure like; silence is a mixture of dislike and passivity, and is modelled as one.

    y = r*·a with r* ~ Bernoulli(σ(f)), a ~ Bernoulli(σ(g)), independent given what the heads see.

    | Inputs | Labels |
    |---|---|
    | f: text; g: context and style | one positive signal, 0/1/missing; gold optional |

    Loss (`objective="marginal"`), −log P(y):
        y=1: softplus(−f) + softplus(−g);   y=0: softplus(f) + softplus(g) − logsumexp(f, g, 0).
    `objective="em"` is the published E_pref + E_prop (Eq. 7) with the strata of the corrected Eq. (6). Its
    gradient is the same, by Fisher's identity; held-out rows are judged by the likelihood either way.

    Not identified when both heads see the same features: f and g can be exchanged. Context that only the
    propensity head sees breaks the tie, up to one constant per connected component of contexts.

    Relations: the one-signal, no-misclick case of `latent_ml`; with e = 1 it is `naive`.

    Args:
        objective: "marginal" or "em".

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> heads = {"reward": torch.zeros(2), "propensity": torch.zeros(2)}
        >>> ImplicitRM().loss(heads, obs)  # −log ¼ and −log ¾
        tensor([1.3863, 0.2877])
    """

    objective: Literal["marginal", "em"] = "marginal"

    key: ClassVar[str] = "implicit_rm"
    level: ClassVar[Level] = "prob"
    claims: ClassVar[Claim] = "consistent"
    exchangeable: ClassVar[bool] = True
    uses_gold: ClassVar[bool] = True
    assumes: ClassVar[str] = (
        "no misclicks; activity independent of preference given context and style; context moves activity only"
    )
    not_identified: ClassVar[str] = (
        "a factor between liking and acting, one per group of linked contexts; without context, one from the other"
    )
    citation: ClassVar[str] = "Wang et al. 2026, arXiv 2603.23184"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """Reward head at 0, propensity head at twice the click rate (half of the rows are liked)."""
        start = logit(min(0.9, 2 * obs.signal_rates()[0]))
        return (Head("reward", "reward", (0.0,)), Head("propensity", "propensity", (start,)))

    def check(self, obs: Observations) -> None:
        """One positive signal with both values."""
        if obs.n_signals != 1 or obs.polarity[0] != 1:
            raise DegenerateDataError(
                f"implicit_rm: found {obs.n_signals} signals with polarity {obs.polarity}, expected one positive "
                "signal; use method latent_ml for several or negative signals"
            )
        super().check(obs)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y), or the EM objective with the same gradient; gold rows use log P(y, r*) [..., B]."""
        objective = implicit_em_objective if self.objective == "em" else implicit_nll
        return _with_gold(
            logits, obs, objective(logits["reward"], logits["propensity"], obs.signals_BK[..., 0])
        )

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y) whatever the objective: the EM objective's value is not comparable between epochs."""
        return _with_gold(
            logits, obs, implicit_nll(logits["reward"], logits["propensity"], obs.signals_BK[..., 0])
        )

    def counts(self, obs: Observations) -> Tensor:
        """Rows with a visible signal or a gold label."""
        seen = obs.visible_BK[..., 0]
        return seen if obs.gold_known_B is None else seen | obs.gold_known_B

    def log_likelihood(self, logits: Logits, obs: Observations) -> Tensor | None:
        """log P(y) [..., B]; 0 where the signal was not visible."""
        nll = implicit_nll(logits["reward"], logits["propensity"], obs.signals_BK[..., 0])
        return torch.where(obs.visible_BK[..., 0], -nll, torch.zeros_like(nll))


def _with_gold(logits: Logits, obs: Observations, loss_B: Tensor) -> Tensor:
    """Drop rows whose signal was not visible; use the complete-data likelihood where gold is known."""
    loss_B = torch.where(obs.visible_BK[..., 0], loss_B, torch.zeros_like(loss_B))
    if obs.gold_B is None or obs.gold_known_B is None:
        return loss_B
    pair = signal_logits(logits["propensity"][..., None], None, obs.polarity_K)
    # Where gold contradicts a click (liked = 0, clicked = 1) this is the floor, e⁻⁶⁰: an outlier, not a NaN.
    L1_B, L0_B = signal_log_likelihoods(pair, obs.signals_BK, obs.visible_BK)
    gold_loss_B = -complete_log_likelihood(logits["reward"], L1_B, L0_B, obs.gold_B)
    return torch.where(obs.gold_known_B, gold_loss_B, loss_B)
