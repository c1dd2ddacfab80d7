"""What methods for positive and unlabelled rows share: means over the positives, the two partial risks, the prior.

A log is one sample: the rows with a signal are part of the population whose mean is wanted, so that mean_A runs over
all rows, those with a signal included (du Plessis, Niu & Sugiyama 2014 write the case-control form, in which the
unlabelled rows are a sample of their own).

    mean_P[g] = Σ y·g / Σ y,     mean_A[g] = mean over all rows

Both are means of the batch, over the rows that count. Shapes: B rows, M members.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.errors import ConfigError
from tacit.methods.latent import implicit_nll
from tacit.methods.method import Head, Method, mean_rate, refuse_complaints
from tacit.methods.nuisances.class_prior import check_prior
from tacit.methods.observations import Observations
from tacit.methods.primitives import logit

_RAREST = 1e-6
"""A frequency of 0 or 1 has no logit."""


class PositiveUnlabelled(Method):
    """Base of methods that read a log as sure positives and silence: one reward head, rows with a visible signal."""

    not_identified: ClassVar[str] = "preference apart from activity, unless activity is the same on all rows"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from 0."""
        return (Head("reward", "reward", (0.0,)),)

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


def per_positive(obs: Observations) -> tuple[Tensor, Tensor]:
    """y / mean(y) [..., B], whose product with g has the mean mean_P[g]; and whether there is a positive [..., 1].

    Without a positive in the batch the first is 0 everywhere.

    Example:
        >>> from tacit.methods.observations import observations
        >>> per_positive(observations(torch.tensor([1.0, 0.0, 0.0, 1.0])))
        (tensor([2., 0., 0., 2.]), tensor([True]))
    """
    y_B, known_B = obs.any_positive()
    share = obs.mean(y_B, known_B)
    some = share > 0
    return y_B / torch.where(some, share, torch.ones_like(share)), some


def positives(obs: Observations) -> Tensor:
    """Known rows with a positive signal, bool [..., B]: without one, a mean over the positives says nothing."""
    y_B, known_B = obs.any_positive()
    return known_B & (y_B > 0)


def partial_risks(f_B: Tensor, prior: Tensor | float, obs: Observations) -> tuple[Tensor, Tensor]:
    """Rows [..., B] whose means are the risks on liked rows and on disliked ones, logistic loss.

        Rp = π·mean_P[softplus(−f)],     Rn = mean_A[softplus(f)] − π·mean_P[softplus(f)]

    Rp + Rn is the risk on r* if activity is the same on all liked rows. Both are 0 in a batch without a positive.
    """
    positive_B, some = per_positive(obs)
    weight_B = prior * positive_B
    everywhere = softplus(f_B)
    return weight_B * softplus(-f_B), torch.where(
        some, everywhere - weight_B * everywhere, torch.zeros_like(everywhere)
    )


def prior_nll(f_B: Tensor, prior: Tensor | float, obs: Observations) -> Tensor:
    """−log P(y) with P(y=1 | x) = c·σ(f), c = P(y=1)/π [..., B]: bounded below, proper, and it reads the signal alone.

    What a held-out row is judged by where π is known. The non-negative risk Rp + max(Rn, 0) agrees with it in large
    samples and is noisier; with the sigmoid loss, as Kiryo et al. (2017) stop by it, it cannot tell a probability from
    its side of one half, and leaves networks over-confident.
    """
    y_B, known_B = obs.any_positive()
    c = (obs.mean(y_B, known_B) / prior).clamp(min=_RAREST, max=1 - _RAREST)
    return implicit_nll(f_B, torch.logit(c), y_B)


def starting_logit(prior: float | None, obs: Observations) -> float:
    """Where the reward starts: at the prior if it is known by now, else at 0."""
    value = prior if prior is not None else _column(obs, "prior")
    return 0.0 if value is None else logit(value)


def check_known_prior(prior: float | None, obs: Observations) -> None:
    """Refuse a prior that somebody supplied and that cannot be (guard G6).

    Raises:
        IdentificationError: outside (0, 1), or not above the share of rows with a signal.
    """
    value = prior if prior is not None else _column(obs, "prior")
    if value is not None:
        check_prior(value, mean_rate(*obs.any_positive()))


def refuse_prior_and_frequency(key: str, prior: float | None, obs: Observations) -> None:
    """Refuse two numbers of which one would be left unread.

    Raises:
        ConfigError: the prior and the frequency are both supplied.
    """
    if "frequency" in obs.columns and (prior is not None or "prior" in obs.columns):
        raise ConfigError(
            f"{key}: prior and frequency are both given, and each follows from the other; expected one of them"
        )


def _column(obs: Observations, name: str) -> float | None:
    return float(obs.columns[name].mean()) if name in obs.columns else None
