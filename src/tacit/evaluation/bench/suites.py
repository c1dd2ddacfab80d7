"""The suites: which worlds are made, with which parameters. Real logs have a suite of their own (`real.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.5)
CAUSAL_ALPHAS = (0.1, 0.5)
"""How steeply the chance of feedback falls with the rating: it is proportional to α^(5 − rating)."""
NOISES = {"scenario 1": (0.2, 0.1), "scenario 2": (0.1, 0.2)}
"""(ρ01, ρ10) of the two noise settings of CausalRM."""


@dataclass(frozen=True)
class Case:
    """One world of a suite.

    Attributes:
        name: in tables.
        mechanism: of `tacit.worlds.make`.
        parameters: of the mechanism.
        labels: columns of the tidy table that tell cases apart, such as alpha.
    """

    name: str
    mechanism: str
    parameters: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)


def _implicit() -> tuple[Case, ...]:
    return tuple(
        Case(f"α={alpha:g}", "alpha_pu", {"alpha": alpha, "rate": 0.5}, {"alpha": alpha}) for alpha in ALPHAS
    )


def _causal() -> tuple[Case, ...]:
    published = tuple(
        Case(
            f"{noise}, α={alpha:g}",
            "alpha_noisy",
            {"alpha": alpha, "rate": 0.2, "rho01": rho01, "rho10": rho10},
            {"alpha": alpha, "noise": noise},
        )
        for noise, (rho01, rho10) in NOISES.items()
        for alpha in CAUSAL_ALPHAS
    )
    # The papers' selection depends on the rating, which breaks CausalRM's own assumption; here it holds.
    at_random = tuple(
        Case(
            f"{noise}, selection by style",
            "mar_noisy",
            {"rate": 0.2, "rho01": rho01, "rho10": rho10},
            {"noise": noise, "selection": "style"},
        )
        for noise, (rho01, rho10) in NOISES.items()
    )
    return published + at_random


def _worlds() -> tuple[Case, ...]:
    return tuple(Case(name, name) for name in ("context", "style", "both", "several", "misclicks"))


SUITES: dict[str, tuple[Case, ...]] = {"implicit": _implicit(), "causal": _causal(), "worlds": _worlds()}
