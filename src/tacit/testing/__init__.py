"""Is this an estimator? `check_method` holds any `Method`, ours or yours, to the rules that all of them keep."""

from __future__ import annotations

from typing import cast, get_args

from tacit.errors import shown
from tacit.methods import Method
from tacit.methods.method import Claim, Level, Setting
from tacit.testing.arithmetic import (
    check_declared_gold,
    check_direction,
    check_finite_gradients,
    check_member_independence,
    check_shapes,
)
from tacit.testing.devices import check_devices
from tacit.testing.expectation import check_expectation
from tacit.testing.fits import (
    check_declared_needs,
    check_determinism,
    check_gold_blind,
    check_refit_starts_afresh,
    check_save_load,
    check_seed_matters,
)
from tacit.testing.population import Population
from tacit.testing.trials import ConformanceError, refuse

__all__ = [
    "ConformanceError",
    "Population",
    "check_declaration",
    "check_declared_gold",
    "check_declared_needs",
    "check_determinism",
    "check_devices",
    "check_direction",
    "check_expectation",
    "check_finite_gradients",
    "check_gold_blind",
    "check_member_independence",
    "check_method",
    "check_refit_starts_afresh",
    "check_save_load",
    "check_seed_matters",
    "check_shapes",
]

NEEDS = ("signal", "label", "context", "propensity", "several answers per prompt", "gold", "prior")
"""The words of `Method.needs`."""


def check_method(method: Method | type[Method], *, quick: bool = False) -> None:
    """Run every check; the first that fails raises.

    Args:
        method: an estimator, or its class to be taken with its defaults.
        quick: leave out the checks that fit, which take a second or so: declaration, shapes, finite numbers,
            independence of members, devices, direction and expectation remain.

    Raises:
        ConformanceError: an AssertionError that names the check and what was found.

    Example:
        >>> from tacit.methods import ImplicitRM
        >>> check_method(ImplicitRM(), quick=True)
    """
    estimator = _estimator(method)
    for check in (*ARITHMETIC, *(() if quick else FITS)):
        try:
            check(estimator)
        except ConformanceError:
            raise
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            raise refuse(check.__name__, estimator, found) from error


def _estimator(method: object) -> Method:
    """The estimator itself, or one of its class with the defaults."""
    kind = method if isinstance(method, type) else type(method)
    if not issubclass(kind, Method):
        raise ConformanceError(
            f"check_declaration: found {shown(method)}, expected an estimator or its class, such as Naive()"
        )
    try:
        return kind() if isinstance(method, type) else cast(Method, method)
    except Exception as error:
        raise ConformanceError(
            f"check_declaration: {kind.__name__} cannot be made with its defaults ({type(error).__name__}: {error}); "
            "pass an instance with its parameters"
        ) from error


def check_declaration(method: Method) -> None:
    """Class attributes are there and hold words that tables and other checks know.

    Raises:
        ConformanceError: one is missing, empty or unknown.
    """
    check = "check_declaration"
    for name in ("key", "assumes", "not_identified", "citation"):
        text = getattr(method, name, None)
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            raise refuse(check, method, f"{name} is {text!r}, expected a line of text")
    for name, allowed in (("setting", Setting), ("level", Level), ("claims", Claim)):
        if getattr(method, name) not in get_args(allowed):
            raise refuse(
                check, method, f"{name} is {getattr(method, name)!r}, expected one of {get_args(allowed)}"
            )
    unknown = sorted(set(method.needs) - set(NEEDS))
    if not isinstance(method.needs, tuple) or unknown:
        raise refuse(check, method, f"needs {method.needs!r}, expected a tuple of words from {NEEDS}")
    if not (type(method).__doc__ or "").strip():
        raise refuse(check, method, "the class has no docstring; its first sentence goes into tables")
    if method.reads_gold != ("gold" in method.needs):
        raise refuse(
            check, method, f"reads_gold is {method.reads_gold} but needs are {method.needs}; they go together"
        )
    if method.reads_gold and not method.uses_gold:
        raise refuse(check, method, "reads_gold without uses_gold; what cannot do without gold uses it")


ARITHMETIC = (
    check_declaration,
    check_shapes,
    check_finite_gradients,
    check_member_independence,
    check_devices,
    check_direction,
    check_expectation,
)
"""The checks of a quick run."""
FITS = (
    check_declared_needs,
    check_determinism,
    check_refit_starts_afresh,
    check_seed_matters,
    check_gold_blind,
    check_declared_gold,  # does not fit, but a leak is to be called a leak first
    check_save_load,
)
"""The other checks, which fit."""
