"""The suites: which worlds are made, with which parameters. Real logs have a suite of their own (`real.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tacit.data import FeedbackLog
from tacit.errors import ConfigError, did_you_mean, shown
from tacit.worlds import World, make

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
        mechanism: of `tacit.worlds.make`, or a function of one's own: (base, seeds, **parameters) → World.
        parameters: of the mechanism.
        labels: columns of the tidy table that tell cases apart, such as alpha.

    Example:
        >>> from tacit.worlds import stdlib_base
        >>> Case("long answers", "style", {"length": 1.6}).world(stdlib_base(limit=4), seeds=2)
        World('style', rows=20, seeds=2, signals: copied)
    """

    name: str
    mechanism: str | Callable[..., World]
    parameters: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)

    def world(self, base: FeedbackLog, seeds: int) -> World:
        """Let users react to the texts of a base log.

        Raises:
            ConfigError: an unknown mechanism or parameter, or what a function returned is no world of these texts.
            DataError: a base without gold.
        """
        if isinstance(self.mechanism, str):
            return make(self.mechanism, base, seeds, **self.parameters)
        world = self.mechanism(base, seeds, **self.parameters)
        if not isinstance(world, World):
            raise ConfigError(f"case {self.name!r}: its function returned {shown(world)}, expected a World")
        if len(world.signals_SNK) != seeds:
            raise ConfigError(
                f"case {self.name!r}: its world has {len(world.signals_SNK)} seeds, expected the {seeds} asked for"
            )
        if world.log.prompts() != base.prompts() or world.log.responses() != base.responses():
            raise ConfigError(
                f"case {self.name!r}: its world holds other texts than {base.name}, expected its {len(base)} rows in "
                "their order; `assemble` keeps them"
            )
        return world


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


OWN = "own"
"""What tables and files call a suite that is a list of cases."""


def cases_of(suite: str | Case | Sequence[Case]) -> tuple[str, tuple[Case, ...]]:
    """The name of a suite and its cases.

    Raises:
        ConfigError: a suite that there is not, no case, something else than one, or two of one name.

    Example:
        >>> cases_of("worlds")[1][0].name, cases_of([Case("a", "scar")])[0]
        ('context', 'own')
    """
    if isinstance(suite, str):
        if suite in SUITES:
            return suite, SUITES[suite]
        hint = did_you_mean(suite, SUITES)
        raise ConfigError(
            f"unknown suite {suite!r}{hint}; expected one of {', '.join(SUITES)}, or a list of cases "
            "(logs without a simulated truth: run_real)"
        )
    cases = (suite,) if isinstance(suite, Case) else tuple(suite)
    for case in cases:
        if not isinstance(case, Case):
            raise ConfigError(f"a suite holds {shown(case)}, expected cases, such as Case('style', 'style')")
    names = [case.name for case in cases]
    twice = [name for name in names if names.count(name) > 1]
    if twice or not names:
        found = f"two cases are called {twice[0]!r}" if twice else "a suite holds no case"
        raise ConfigError(f"{found}, expected one or more, each with a name of its own")
    return OWN, cases
