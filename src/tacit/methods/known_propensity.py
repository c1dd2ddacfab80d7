"""`known_propensity`: the likelihood of one signal where it is known how likely it was to be given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import ConfigError, DegenerateDataError
from tacit.methods.latent import (
    complete_log_likelihood,
    marginal_log_likelihood,
    signal_log_likelihoods,
    signal_logits,
)
from tacit.methods.method import Claim, Head, Logits, Method
from tacit.methods.observations import Observations

_CERTAIN = 1e-6  # a rate of 0 or 1 counts as so much more or less: what should not be seen is no NaN


@dataclass(frozen=True)
class KnownPropensity(Method):
    """What a click is worth is read off how likely it was: positions drawn at random, or an experiment, tell that.

    y = 1 with probability r·e + (1−r)·ε: e is handed in, not learned, so nothing is left to exchange liking with, and
    the level is in the data too. Unlike inverse weights, a small e does not make a row count for many.

    | Inputs | Labels |
    |---|---|
    | text; e = P(the signal is given | it is due, x, z), of each row | one signal, 0/1/missing; gold optional |

    Loss, −log P(y) with σ(f) = r:
        y=1: −log(r·e + (1−r)·ε);   y=0: −log(r·(1−e) + (1−r)·(1−ε)),
    where r is the probability of a dislike if the signal is negative, and ε its known rate of mistakes
    (`Signal.misclick`), else 0. Gold rows use log P(y, r*).

    Relations: `implicit_rm` whose propensity is given; with e = 1 and ε = 0 it is `naive`. `sar_ipw` and `rel_mf` take
    the same e as a weight.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0])).with_columns(e=torch.tensor([0.5, 0.5]))
        >>> KnownPropensity().loss({"reward": torch.zeros(2)}, obs)  # r = ½: −log ¼ and −log ¾
        tensor([1.3863, 0.2877])
    """

    key: ClassVar[str] = "known_propensity"
    needs: ClassVar[tuple[str, ...]] = ("signal", "propensity")
    reads: ClassVar[tuple[str, ...]] = ("e",)
    claims: ClassVar[Claim] = "consistent"
    reads_misclicks: ClassVar[bool] = True
    uses_gold: ClassVar[bool] = True
    assumes: ClassVar[str] = "the propensity handed in is right; no misclicks but of the known rate"
    not_identified: ClassVar[str] = (
        "nothing, where the propensity is right; by what factor it is wrong, if it is"
    )
    citation: ClassVar[str] = "the mixture of Wang et al. 2026, arXiv 2603.23184, given its propensity"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, which starts from half of the rows liked."""
        return (Head("reward", "reward", (0.0,)),)

    def check(self, obs: Observations) -> None:
        """One signal with both values, and a propensity."""
        if obs.n_signals != 1:
            raise DegenerateDataError(
                f"known_propensity: found {obs.n_signals} signals, expected one; use latent_ml for several"
            )
        super().check(obs)
        self._propensity(obs)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y), of gold rows −log P(y, r*) [..., B]; 0 where the signal was not visible."""
        L1_B, L0_B = self._signal(obs)
        loss_B = -marginal_log_likelihood(logits["reward"], L1_B, L0_B)
        if obs.gold_B is None or obs.gold_known_B is None:
            return loss_B
        gold_loss_B = -complete_log_likelihood(logits["reward"], L1_B, L0_B, obs.gold_B)
        return torch.where(obs.gold_known_B, gold_loss_B, loss_B)

    def counts(self, obs: Observations) -> Tensor:
        """Rows with a visible signal or a gold label."""
        seen = obs.visible_BK[..., 0]
        return seen if obs.gold_known_B is None else seen | obs.gold_known_B

    def log_likelihood(self, logits: Logits, obs: Observations) -> Tensor | None:
        """log P(y) [..., B]; 0 where the signal was not visible."""
        return marginal_log_likelihood(logits["reward"], *self._signal(obs))

    def _signal(self, obs: Observations) -> tuple[Tensor, Tensor]:
        """log P(y | liked) and log P(y | not liked) of each row."""
        hit_BK = torch.logit(self._propensity(obs), eps=_CERTAIN)[..., None]
        mistakes = self._mistakes(obs)
        alarm_BK = None if mistakes is None else torch.logit(mistakes, eps=_CERTAIN)[..., None]
        pair = signal_logits(hit_BK, alarm_BK, obs.polarity_K)
        return signal_log_likelihoods(pair, obs.signals_BK, obs.visible_BK)

    def _mistakes(self, obs: Observations) -> Tensor | None:
        """ε, broadcastable to [..., B]; None where nobody gives the signal by mistake."""
        rate = obs.misclick[0] if obs.misclick else None
        return obs.signals_BK.new_tensor([rate]) if rate else None

    def _propensity(self, obs: Observations) -> Tensor:
        """e [..., B].

        Raises:
            ConfigError: none is given.
        """
        if "e" not in obs.columns:
            raise ConfigError(
                "known_propensity: no propensity e is given, the probability that the signal of a row is given where "
                "it is due; name it (--nuisance e=COLUMN, nuisances={'e': …}), or use implicit_rm, which learns it"
            )
        return obs.columns["e"]
