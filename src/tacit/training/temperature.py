"""A temperature per head, fitted on held-out rows by the observed-data likelihood.

Networks grow over-confident long before they stop learning to rank. Judging an epoch by its likelihood *after* one
scale per head removes that, reads no clean label, and leaves a calibrated model. The scale acts about the head's
mean held-out logit c, so that it changes confidence and not the level:  logit ← c + s·(logit − c).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.methods.method import Method
from tacit.methods.observations import Observations

CROSSFIT_BELOW = 1000
"""Held-out rows under which a temperature is judged on other rows than it was fitted on."""

_STEPS = torch.tensor([-1.0, -0.4, -0.15, -0.05, 0.0, 0.05, 0.15, 0.4, 1.0])
_LIMITS = (-4.0, 1.5)  # log scale


@dataclass(frozen=True)
class Temperatures:
    """Per head: log scale [M] and centre [M]."""

    log_scale: dict[str, Tensor]
    centre: dict[str, Tensor]

    def apply(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Calibrated logits; heads without a temperature pass unchanged."""
        return {name: self._scaled(name, value) for name, value in logits.items()}

    def _scaled(self, name: str, value: Tensor) -> Tensor:
        if name not in self.log_scale:
            return value
        shape = (-1,) + (1,) * (value.ndim - 1)
        centre = self.centre[name].view(shape)
        return centre + self.log_scale[name].exp().view(shape) * (value - centre)


def neutral(names: tuple[str, ...], members: int) -> Temperatures:
    """Scale 1 about 0."""
    return Temperatures({n: torch.zeros(members) for n in names}, {n: torch.zeros(members) for n in names})


def mean_criterion(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, keep_B: Tensor | None = None
) -> Tensor:
    """Mean held-out criterion over the rows that count, shape of the leading dimensions."""
    counts = method.counts(obs)
    if keep_B is not None:
        counts = counts & keep_B
    rows = method.criterion(logits, obs)
    weight = counts.to(rows.dtype)
    return (rows * weight).sum(-1) / weight.sum(-1).clamp(min=1)


def fit_temperatures(
    method: Method,
    logits: Mapping[str, Tensor],
    obs: Observations,
    start: Temperatures,
    keep_B: Tensor | None = None,
    sweeps: int = 2,
) -> Temperatures:
    """Coordinate search of one log-scale per head and member, from `start`.

    Args:
        method: whose criterion is minimised.
        logits: held-out logits by head, [M, n] or [M, n, K].
        obs: of the same rows.
        keep_B: bool [n], rows to use.
        sweeps: passes over the heads.
    """
    centre = {name: logits[name].mean(dim=tuple(range(1, logits[name].ndim))) for name in start.log_scale}
    log_scale = dict(start.log_scale)
    for _ in range(sweeps):
        for name in start.log_scale:
            now = Temperatures(log_scale, centre).apply(logits)
            candidates = (log_scale[name] + _STEPS[:, None]).clamp(*_LIMITS)  # [C, M]
            shape = (*candidates.shape, *(1,) * (logits[name].ndim - 1))
            c = centre[name].view(shape[1:])
            trial = dict(now)
            trial[name] = c + candidates.exp().view(shape) * (logits[name] - c)
            value = mean_criterion(method, trial, obs, keep_B)  # [C, M]
            best = value.argmin(0)
            log_scale[name] = candidates.gather(0, best[None])[0]
    return Temperatures(log_scale, centre)


def judge(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, start: Temperatures, half_B: Tensor
) -> tuple[Temperatures, Tensor]:
    """Fit the temperatures on all held-out rows and return them with each member's criterion [M].

    With fewer than `CROSSFIT_BELOW` rows each half is judged with temperatures from the other half.
    """
    fitted = fit_temperatures(method, logits, obs, start)
    if half_B.numel() >= CROSSFIT_BELOW or half_B.all() or not half_B.any():
        return fitted, mean_criterion(method, fitted.apply(logits), obs)
    value, total = torch.zeros(()), torch.zeros(())
    for half in (half_B, ~half_B):
        other = fit_temperatures(method, logits, obs, fitted, keep_B=~half)
        share = (method.counts(obs) & half).sum(-1)
        value = value + share * mean_criterion(method, other.apply(logits), obs, half)
        total = total + share
    return fitted, value / total.clamp(min=1)
