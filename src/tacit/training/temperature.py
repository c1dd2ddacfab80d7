"""A temperature per head, fitted on held-out rows by the observed-data likelihood.

Networks grow over-confident long before they stop learning to rank. Judging an epoch by its likelihood *after* one
scale per head removes that, reads no clean label, and leaves a calibrated model. While training, the scale acts about
the head's mean held-out logit, so that it changes confidence and not the level. When training is over, the members'
pooled held-out rows, every row of the log once, set both scale and level of each head: `recalibrate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tacit.methods.method import Method
from tacit.methods.observations import Observations

CROSSFIT_BELOW = 1000
"""Held-out rows under which a temperature is judged on other rows than it was fitted on."""

# No change first: argmin takes the first of equals, and a scale that nothing decides must not drift away.
_STEPS = torch.tensor([0.0, -1.0, -0.4, -0.15, -0.05, 0.05, 0.15, 0.4, 1.0])
_LIMITS = (-4.0, 1.5)  # log scale


@dataclass(frozen=True)
class Calibration:
    """Per head and member, calibrated logit = scale·logit + shift.

    Scales are [M]; shifts are [M] for scalar heads and [M, K] for heads with one output per signal.
    """

    scale: dict[str, Tensor]
    shift: dict[str, Tensor]

    def apply(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Calibrated logits [M, B] or [M, B, K] by head; heads without a temperature pass unchanged."""
        calibrated = dict(logits)
        for name in sorted(self.scale.keys() & logits.keys()):
            scale_M, shift = self.scale[name], self.shift[name]
            shape = (-1,) + (1,) * (logits[name].ndim - 1)
            calibrated[name] = scale_M.view(shape) * logits[name] + shift[:, None]
        return calibrated

    def pick(self, members: Tensor) -> Calibration:
        """Of some members (int64 index)."""
        return Calibration(
            {name: value[members] for name, value in self.scale.items()},
            {name: value[members] for name, value in self.shift.items()},
        )

    def assign(self, source: Calibration, members: Tensor) -> None:
        """Copy some members from `source`, which has just those, in place."""
        for name in self.scale:
            self.scale[name][members] = source.scale[name]
            self.shift[name][members] = source.shift[name]

    def then(self, scale: Mapping[str, float], shift: Mapping[str, float | Tensor]) -> Calibration:
        """This calibration followed by another one, the same for all members."""
        return Calibration(
            {name: value * scale[name] for name, value in self.scale.items()},
            {name: value * scale[name] + shift[name] for name, value in self.shift.items()},
        )


def neutral(shapes: Mapping[str, tuple[int, ...]]) -> Calibration:
    """Scale 1, shift 0; `shapes` by head: (M,) for scalar heads, else (M, K)."""
    return Calibration(
        {name: torch.ones(shape[0]) for name, shape in shapes.items()},
        {name: torch.zeros(shape) for name, shape in shapes.items()},
    )


def mean_criterion(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, keep_B: Tensor | None = None
) -> Tensor:
    """Mean criterion over the rows that count, shape of the leading dimensions."""
    counts = method.counts(obs)
    if keep_B is not None:
        counts = counts & keep_B
    weight = counts.to(torch.float32)
    rows = method.criterion(logits, replace(obs, weight_B=weight))
    weight = weight.to(rows.dtype)
    return (rows * weight).sum(-1) / weight.sum(-1).clamp(min=1)


def fit_temperatures(
    method: Method,
    logits: Mapping[str, Tensor],
    obs: Observations,
    start: Calibration,
    keep_B: Tensor | None = None,
) -> Calibration:
    """One sweep of coordinate search over the log-scales of every head and member, from `start`.

    Args:
        method: whose criterion is minimised.
        logits: held-out logits by head, [M, n] or [M, n, K].
        obs: of the same rows.
        start: its scales are where the search begins; epochs pass it on, so that it follows the training.
        keep_B: bool [n], rows to use.
    """
    centre = {name: logits[name].mean(dim=1) for name in start.scale}  # [M] or [M, K]: the level is kept

    def about_centre(name: str, scale: Tensor) -> Tensor:  # [.., M] -> shift [.., M] or [.., M, K]
        return (1 - scale.reshape(*scale.shape, *(1,) * (centre[name].ndim - 1))) * centre[name]

    scale = dict(start.scale)
    shift = {name: about_centre(name, scale[name]) for name in scale}
    for name in start.scale:
        now = Calibration(scale, shift).apply(logits)
        candidates = (scale[name].log() + _STEPS[:, None]).clamp(*_LIMITS).exp()  # [C, M]
        shape = (*candidates.shape, *(1,) * (logits[name].ndim - 1))
        now[name] = candidates.view(shape) * logits[name] + about_centre(name, candidates).unsqueeze(2)
        value = mean_criterion(method, now, obs, keep_B)  # [C, M]
        scale[name] = candidates.gather(0, value.argmin(0)[None])[0]
        shift[name] = about_centre(name, scale[name])
    return Calibration(scale, shift)


def judge(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, start: Calibration, half_B: Tensor
) -> tuple[Calibration, Tensor]:
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


def recalibrate(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, names: tuple[str, ...]
) -> tuple[dict[str, float], dict[str, float | Tensor]]:
    """Scale and shift of each head that maximise the observed-data likelihood of pooled held-out rows.

    A head with one output per signal has one scale and a shift per signal: with a shared one, signals of unlike
    rates could only be scaled at the price of their levels. A standard normal prior on log-scale and shifts, worth
    one observation, keeps small logs near the identity.

    Args:
        method: whose criterion is minimised.
        logits: by head [n] or [n, K], each row judged by a member that did not train on it.
        obs: of the same rows.
        names: heads to calibrate.

    Returns:
        Scale and shift by head name; the shift of a head with K outputs is a float tensor [K].
    """
    if not names:  # a constant has nothing to scale, and LBFGS takes no empty parameter
        return {}, {}
    wide = {name: value.double() for name, value in logits.items()}
    sizes = theta_sizes(wide, names)
    theta = torch.zeros(sum(sizes), dtype=torch.float64, requires_grad=True)
    counts = method.counts(obs)
    obs = replace(obs, weight_B=counts.double())
    optimizer = torch.optim.LBFGS([theta], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = (method.criterion(moved(wide, names, theta), obs) * counts).sum() + theta.square().sum() / 2
        value = value / counts.sum().clamp(min=1)
        value.backward()
        return value

    optimizer.step(loss)
    found = theta.detach()
    if not bool(torch.isfinite(found).all()):
        found = torch.zeros_like(found)
    parts = dict(zip(names, found.split(sizes), strict=True))
    return (
        {name: float(own[0].exp()) for name, own in parts.items()},
        {name: own[1:].float() if wide[name].ndim > 1 else float(own[1]) for name, own in parts.items()},
    )


def theta_sizes(logits: Mapping[str, Tensor], names: tuple[str, ...]) -> list[int]:
    """How many numbers move each head: a log-scale, and a shift per output."""
    return [1 + (logits[name].shape[1] if logits[name].ndim > 1 else 1) for name in names]


def moved(logits: Mapping[str, Tensor], names: tuple[str, ...], theta: Tensor) -> dict[str, Tensor]:
    """Logits [n] or [n, K] by head after the log-scale and the shifts in `theta`, laid out as by `theta_sizes`."""
    trial = dict(logits)
    for name, own in zip(names, theta.split(theta_sizes(logits, names)), strict=True):
        trial[name] = own[0].exp() * logits[name] + own[1:]  # [n] + [1], or [n, K] + [K]
    return trial
