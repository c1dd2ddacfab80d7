"""`causal_ips`: CausalRM (arXiv 2603.18736) with inverse propensities: noisy labels, given selectively."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tacit.methods.labels import (
    corrected_label,
    forward_nll,
    inverse_propensity,
    refuse_unlabelled,
)
from tacit.methods.method import Claim, Head, Level, Logits, Method, Setting, Stage
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce
from tacit.methods.stages import Selection, Surrogate
from tacit.methods.stages.surrogate import NoiseRule


@dataclass(frozen=True)
class CausalIPS(Method):
    """Ratings are noisy and given by choice: undo the noise in the target and the choice in the weight.

    | Inputs | Labels |
    |---|---|
    | f: text; p: text and context | an explicit label 0/1, missing where none was given |

    Loss: (o/p̂)·bce(f, t),  t = (r − ρ10)/(1 − ρ01 − ρ10). Its expectation is the loss on r* of all rows, given the
    true p and ρ. A row's loss is unbounded below, so held-out rows are judged by the forward likelihood, weighted
    the same (METHODS of the paper stop by training loss or clean labels; we do not).

    Args:
        rho01: false-negative rate P(r=0 | r*=1) if known; None: estimated by `noise`.
        rho10: false-positive rate P(r=1 | r*=0) if known; None: estimated by `noise`.
        noise: rule by which unknown rates are estimated.
        quantile: of the anchors.
        clip: propensities below it count as this.
        propensity: loss of the propensity stage; "mse" as published.
        self_normalised: divide by the sum of weights instead of the number of rows.
    """

    rho01: float | None = None
    rho10: float | None = None
    noise: NoiseRule = "quantile_anchor"
    quantile: float = 0.97
    clip: float = 0.05
    propensity: Literal["bce", "mse"] = "bce"
    self_normalised: bool = False

    key: ClassVar[str] = "causal_ips"
    setting: ClassVar[Setting] = "explicit"
    needs: ClassVar[tuple[str, ...]] = ("label",)
    level: ClassVar[Level] = "prob"
    claims: ClassVar[Claim] = "clean_risk"
    assumes: ClassVar[str] = (
        "labels given at random given text and context, everywhere possible; constant noise rates, with anchors"
    )
    not_identified: ClassVar[str] = "selection by the preference itself; noise rates without anchors or gold"
    citation: ClassVar[str] = "Wang et al. 2026, arXiv 2603.18736"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from 0."""
        return (Head("reward", "reward", (0.0,)),)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """Propensity; and the noisy surrogate unless both rates are known."""
        chosen = Stage(Selection(self.propensity), ("p",))
        if self.rho01 is not None and self.rho10 is not None:
            return (chosen,)
        return (chosen, Stage(Surrogate(self.noise, self.quantile), ("noisy", "rho01", "rho10")))

    def check(self, obs: Observations) -> None:
        """Labels of both kinds."""
        refuse_unlabelled(self.key, obs)

    def counts(self, obs: Observations) -> Tensor:
        """Every row: the mean runs over labelled and unlabelled ones."""
        return torch.ones_like(obs.explicit()[1])

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """(o/p)·bce(f, t) [..., B]."""
        weight_B = self._weights(obs)
        return weight_B * bce(logits["reward"], corrected_label(obs, *self._rates(obs)))

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """(o/p)·(−log P(r | x)), bounded below [..., B]."""
        return self._weights(obs) * forward_nll(logits["reward"], obs.explicit()[0], *self._rates(obs))

    def _weights(self, obs: Observations) -> Tensor:
        weight_B = inverse_propensity(obs, self.clip)
        return weight_B / obs.mean(weight_B).clamp(min=1e-9) if self.self_normalised else weight_B

    def _rates(self, obs: Observations) -> tuple[Tensor | float, Tensor | float]:
        return (
            obs.column("rho01") if self.rho01 is None else self.rho01,
            obs.column("rho10") if self.rho10 is None else self.rho10,
        )
