"""The simulators by name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from tacit.data import FeedbackLog
from tacit.errors import ConfigError, did_you_mean
from tacit.worlds import explicit, implicit, people, published, several
from tacit.worlds.world import World

_MECHANISMS: dict[str, Callable[..., World]] = {
    mechanism.__name__: mechanism
    for mechanism in (
        implicit.scar,
        implicit.context,
        implicit.style,
        implicit.both,
        implicit.misclicks,
        several.several,
        several.gate_multi,
        people.users,
        implicit.delayed,
        implicit.forced_arm,
        published.alpha_pu,
        published.alpha_noisy,
        explicit.mar_noisy,
        explicit.instance_noise,
    )
}


def names() -> tuple[str, ...]:
    """The names that `make` knows.

    Example:
        >>> names()[:5]
        ('scar', 'context', 'style', 'both', 'misclicks')
    """
    return tuple(_MECHANISMS)


def make(name: str, base: FeedbackLog, seeds: int = 5, **parameters: Any) -> World:
    """Let simulated users react to the texts of a rated log.

    Args:
        name: one of `names()`.
        base: a log with gold in [0, 1] on every row: a rated set, or `stdlib_base()`.
        seeds: how many times users react to the same answers, each time with fresh luck.
        parameters: of the mechanism, see the function of that name; `soft=(lo, hi)` for all of them.

    Raises:
        ConfigError: an unknown name or parameter, or a value outside its range.
        DataError: a base without gold.

    Example:
        >>> from tacit.worlds import make, stdlib_base
        >>> world = make("misclicks", stdlib_base(limit=4), seeds=2, soft=(0.1, 0.9))
        >>> world.log.roles.context, world.truth.misclick_K.tolist()
        (('slot', 'device', 'activity'), [0.03])
    """
    if name not in _MECHANISMS:
        hint = did_you_mean(name, _MECHANISMS)
        raise ConfigError(f"no world is called {name!r}{hint}; worlds are {', '.join(_MECHANISMS)}")
    mechanism = _MECHANISMS[name]
    known = list(inspect.signature(mechanism).parameters)[2:]
    unknown = [parameter for parameter in parameters if parameter not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise ConfigError(f"world {name!r} has no parameter {unknown[0]!r}{hint}; it has {', '.join(known)}")
    for parameter, value in parameters.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"world {name!r}: {parameter} is {value}, expected a finite number")
    return mechanism(base, seeds, **parameters)
