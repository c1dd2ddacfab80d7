"""How sure a log makes the share of liked responses: its likelihood while that share is moved by force.

Scale and level of every head are a few numbers, fitted to the rows that members held out (`recalibrate`). Hold the
level of the reward where it is not at its best, let all the others make up for it, and see what likelihood is lost:
nothing, where the log cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tacit.methods import Method, Observations, open_level
from tacit.methods.level import is_liking_times_acting
from tacit.training.temperature import moved, theta_sizes

NATS = 1.9207
"""Half the 95 % point of chi-squared with one degree of freedom: what a level may lose and still be believed."""

SHIFTS = (0.5, 1.0)
"""Logits by which the level is moved, up and down, for the losses that are kept."""

_FARTHEST = 8.0  # logits: from a share of .5 to .0003 or .9997
_HALVINGS = 8  # of a step, to find where the interval ends


@dataclass(frozen=True)
class LevelProfile:
    """What the log loses when the level of the reward is moved, and the shares of likes that it does not rule out.

    Attributes:
        nats: by shift of the reward logit, in order: log-likelihood lost in all, all other levels and scales refitted,
            within the fitted form. Empty of one signal without `exclusion`: nothing but that form would speak in it.
        interval: least and greatest share of liked responses, 95 %; None where one signal is not all there is. Of
            several, the level rests on how they fall together, and an error in the shape of any head moves it: such
            intervals held too seldom where the truth is known.
    """

    nats: Mapping[float, float]
    interval: tuple[float, float] | None


def level_profile(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, *, exclusion: bool = True
) -> LevelProfile | None:
    """Profile likelihood of the reward's level, and its 95 % interval (Wilks 1938); None of methods without likelihood.

    The level's shift c is held; scales and shifts of all heads besides are at their best for it. The interval holds
    the shares of all c that lose at most `NATS`. Of one signal, it also holds what `open_level` leaves open at each of
    these, which no number of rows would settle. A standard normal prior on each log-scale, worth one observation, keeps
    scales finite where nothing decides them; shifts are free. The shape of the heads is taken as it is.

    Args:
        method: whose criterion is the −log-likelihood, in nats, of preference and propensity, learned or given.
        logits: by head, [n] or [n, K]; each row by members that did not train on it.
        obs: of the same rows.
        exclusion: as in `open_level`.

    Example:
        >>> from tacit.methods import ImplicitRM, observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0, 0.0] * 25))
        >>> even = {"reward": torch.zeros(100), "propensity": torch.zeros(100)}  # nothing tells two rows apart
        >>> found = level_profile(ImplicitRM(), even, obs)
        >>> found.nats  # liked less often, acted on more often: the clicks are the same
        {-1.0: 0.0, -0.5: 0.0, 0.5: 0.0, 1.0: 0.0}
        >>> [round(share, 2) for share in found.interval]  # from the least click rate that 25 of 100 leave possible
        [0.17, 1.0]
    """
    given = "e" in method.reads  # who acts is known, and with it the level
    if not (method.exchangeable or given) or "reward" not in logits:
        return None
    if method.log_likelihood(logits, obs) is None:
        return None
    refit = _Refit.of(method, logits, obs)
    best = refit.best()
    one_signal = is_liking_times_acting(method, logits, obs)
    shifts = (
        [] if one_signal and not exclusion else sorted(sign * size for sign in (-1, 1) for size in SHIFTS)
    )
    nats = {shift: round(max(0.0, refit.at(best, shift)[1]), 2) for shift in shifts}
    if not (one_signal or given):
        return LevelProfile(nats, None)
    believed = [*refit.within(best, -1), *refit.within(best, 1)]
    shares = [share for theta in believed for share in refit.shares(theta, exclusion=exclusion)]
    return LevelProfile(nats, (min(shares), max(shares)))


@dataclass(frozen=True)
class _Refit:
    """Rows, and numbers theta that scale and shift their logits (`moved`); one of them is the reward's level.

    Logits are taken about their means, so that a scale does not move a level.
    """

    method: Method
    logits: Mapping[str, Tensor]
    obs: Observations
    counts_n: Tensor
    names: tuple[str, ...]
    start: Tensor

    @property
    def sizes(self) -> list[int]:
        """How many numbers of theta each head has."""
        return theta_sizes(self.logits, self.names)

    @classmethod
    def of(cls, method: Method, logits: Mapping[str, Tensor], obs: Observations) -> _Refit:
        names = tuple(sorted(logits))
        about = {name: value.double() - value.double().mean(0) for name, value in logits.items()}
        counts_n = method.counts(obs)
        seen = replace(obs, weight_B=counts_n.double())
        start = [
            part for name in names for part in (torch.zeros(1), logits[name].double().mean(0).reshape(-1))
        ]
        return cls(method, about, seen, counts_n, names, torch.cat(start))

    @property
    def level(self) -> int:
        """Where the reward's shift lies in theta."""
        return sum(self.sizes[: self.names.index("reward")]) + 1

    def best(self) -> Tensor:
        """The theta of greatest likelihood."""
        return self._minimised(self.start, held=False)

    def at(self, best: Tensor, shift: float, start: Tensor | None = None) -> tuple[Tensor, float]:
        """The best theta whose level is `shift` above that of `best`, and the nats that it loses against `best`."""
        begin = (best if start is None else start).clone()
        begin[self.level] = best[self.level] + shift
        theta = self._minimised(begin, held=True)
        return theta, float(self._loss(theta) - self._loss(best))

    def within(self, best: Tensor, sign: int) -> list[Tensor]:
        """What is met on the way from `best` to the last theta that loses no more than `NATS`."""
        met, reached, outside = [best], 0.0, 0.5
        while outside <= _FARTHEST:
            theta, lost = self.at(best, sign * outside, met[-1])
            if lost > NATS:
                break
            met.append(theta)
            reached, outside = outside, 2 * outside
        else:
            return met
        for _ in range(_HALVINGS):
            middle = (reached + outside) / 2
            theta, lost = self.at(best, sign * middle, met[-1])
            if lost > NATS:
                outside = middle
            else:
                met.append(theta)
                reached = middle
        return met

    def shares(self, theta: Tensor, *, exclusion: bool) -> tuple[float, ...]:
        """The share of liked responses, and from where to where one signal leaves it open."""
        trial = {name: value[None] for name, value in moved(self.logits, self.names, theta).items()}
        share = float(torch.sigmoid(self.method.reward(trial)).mean())
        return (share, *(open_level(self.method, trial, self.obs, exclusion=exclusion) or ()))

    def _loss(self, theta: Tensor) -> Tensor:
        rows_n = self.method.criterion(moved(self.logits, self.names, theta), self.obs)
        scales = torch.stack([own[0] for own in theta.split(self.sizes)])
        return (rows_n * self.counts_n).sum() + scales.square().sum() / 2

    def _minimised(self, start: Tensor, *, held: bool) -> Tensor:
        moves = torch.ones_like(start)
        if held:
            moves[self.level] = 0
        step = torch.zeros_like(start, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [step], max_iter=100, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
        )

        def mean_loss() -> Tensor:
            optimizer.zero_grad()
            value = self._loss(start + moves * step) / self.counts_n.sum().clamp(min=1)
            value.backward()
            return value

        optimizer.step(mean_loss)
        found = (start + moves * step).detach()
        return found if bool(torch.isfinite(found).all()) else start
