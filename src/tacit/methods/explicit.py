"""What estimators for asked-for labels have in common: one reward head, both labels, noise known or learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.labels import refuse_unlabelled
from tacit.methods.method import Head, Level, Method, Setting, Stage
from tacit.methods.nuisances.rates import NoiseRates
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_quantile
from tacit.methods.stages import Surrogate
from tacit.methods.stages.surrogate import NoiseRule


@dataclass(frozen=True)
class Explicit(Method):
    """Base: labels 0/1, missing where nobody gave one; averages run over labelled and unlabelled rows."""

    setting: ClassVar[Setting] = "explicit"
    needs: ClassVar[tuple[str, ...]] = ("label",)
    level: ClassVar[Level] = "prob"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from 0."""
        return (Head("reward", "reward", (0.0,)),)

    def check(self, obs: Observations) -> None:
        """Labels of both kinds."""
        refuse_unlabelled(self.key, obs)

    def counts(self, obs: Observations) -> Tensor:
        """Every row: the mean runs over labelled and unlabelled ones."""
        return torch.ones_like(obs.explicit()[1])

    def judges(self, obs: Observations) -> Tensor:
        """Rows with a label."""
        return obs.explicit()[1]


@dataclass(frozen=True)
class NoiseCorrected(Explicit):
    """Base: labels are wrong at two constant rates, which are known or read off a surrogate.

    Args:
        rho01: false-negative rate P(r=0 | r*=1) if known; None: estimated by `noise`.
        rho10: false-positive rate P(r=1 | r*=0) if known; None: estimated by `noise`.
        noise: rule by which unknown rates are estimated.
        quantile: of the anchors.
    """

    rho01: float | None = None
    rho10: float | None = None
    noise: NoiseRule = "quantile_anchor"
    quantile: float = 0.97

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_quantile(self.key, self.quantile)
        for name in ("rho01", "rho10"):
            rate = getattr(self, name)
            if rate is not None and not 0 <= rate < 1:
                raise ConfigError(f"method {self.key}: {name} is {rate!r}, expected a rate from 0 to below 1")

    def check(self, obs: Observations) -> None:
        """Labels of both kinds; known noise rates that leave a signal (guard G5)."""
        super().check(obs)
        low, high = (self._known(name, obs) for name in ("rho01", "rho10"))
        NoiseRates(0.0 if low is None else float(low), 0.0 if high is None else float(high))

    def rates(self, obs: Observations) -> tuple[Tensor | float, Tensor | float]:
        """ρ01 and ρ10, as known or as estimated."""
        return (
            obs.column("rho01") if self.rho01 is None else self.rho01,
            obs.column("rho10") if self.rho10 is None else self.rho10,
        )

    def surrogate_stage(self, obs: Observations, *needed: str) -> tuple[Stage, ...]:
        """The stage that makes the columns `needed` and the noise rates that nobody knows; none if there are none."""
        unknown = tuple(name for name in ("rho01", "rho10") if self._known(name, obs) is None)
        makes = (*(name for name in needed if name not in obs.columns), *unknown)
        rule = self.noise if unknown else None
        surrogate = Surrogate(rule, self.quantile, self.rho01, self.rho10)
        return (Stage(surrogate, makes),) if makes else ()

    def _known(self, name: str, obs: Observations) -> Tensor | float | None:
        rate: float | None = getattr(self, name)
        return obs.columns.get(name) if rate is None else rate
