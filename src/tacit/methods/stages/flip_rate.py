"""Share of labels that are wrong, P(r ≠ r*) among labelled rows: makes the column `flip_rate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.method import Logits, mean_rate
from tacit.methods.observations import Observations
from tacit.methods.stages.surrogate import Surrogate


@dataclass(frozen=True)
class FlipRate(Surrogate):
    """One number from the surrogate's two noise rates and the rate of positive labels.

    P(r=1) = π(1−ρ01) + (1−π)ρ10 gives π among labelled rows; the flip rate is π·ρ01 + (1−π)·ρ10.
    """

    key: ClassVar[str] = "flip_rate"

    def nuisances(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """The surrogate's columns, and `flip_rate` [1]."""
        made = super().nuisances(logits, obs)
        r_B, o_B = obs.explicit()
        mine = o_B if obs.weight_B is None else o_B & (obs.weight_B > 0)
        return {**made, "flip_rate": flip_rate(made["rho01"], made["rho10"], mean_rate(r_B, mine))}


def flip_rate(rho01: Tensor, rho10: Tensor, label_rate: float) -> Tensor:
    """P(r ≠ r*) from P(r=0|r*=1), P(r=1|r*=0) and P(r=1); shape of the rates.

    Example:
        >>> import torch
        >>> flip_rate(torch.tensor(0.2), torch.tensor(0.1), 0.5 * 0.8 + 0.5 * 0.1).item()  # half are liked
        0.15...
    """
    liked = ((label_rate - rho10) / (1 - rho01 - rho10)).clamp(0, 1)
    return liked * rho01 + (1 - liked) * rho10
