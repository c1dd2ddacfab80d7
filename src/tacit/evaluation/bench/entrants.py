"""Who is asked for: names of the bench, and estimators of one's own, each with a name for its row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace

from tacit import methods
from tacit.errors import ConfigError
from tacit.evaluation.bench.contenders import Contender, known_names, refuse_unknown
from tacit.methods import Method
from tacit.methods.method import require_method

Asked = str | Method | Contender


def is_own(method: Method) -> bool:
    """Whether an estimator is not tacit's, so that nothing tells if its code is still what an earlier result is of."""
    return any(kind.__module__.split(".")[0] not in ("tacit", "builtins") for kind in type(method).__mro__)


def entrants(asked: Asked | Sequence[Asked]) -> tuple[tuple[str, ...], tuple[Contender, ...]]:
    """What a run is asked for, as names that the bench knows, and contenders of one's own.

    An estimator's row is called like its key, and its parameters where they are not the defaults: those of tacit may
    take part once more with others.

    Raises:
        ConfigError: a name that nobody has, an object that is no estimator or has no key of its own, or two contenders
            of one name.

    Example:
        >>> from tacit.methods import ImplicitRM
        >>> names, own = entrants(["naive", ImplicitRM(objective="em")])
        >>> names, [one.name for one in own]
        (('naive',), ["implicit_rm(objective='em')"])
    """
    everything = [asked] if isinstance(asked, str | Method | Contender) else list(asked)
    known = known_names()
    names: list[str] = []
    own: list[Contender] = []
    for one in everything:
        if not isinstance(one, str | Contender):
            one = Contender(row_name(require_method(one)), one)  # noqa: PLW2901
        if isinstance(one, str):
            refuse_unknown(one, known)
            names.append(one)
        elif one == Contender(one.name, one.method) and type(one.method) is methods.available().get(one.name):
            names.append(one.name)
        else:
            own.append(_entrant(one, known))
    everyone = [*dict.fromkeys(names), *(one.name for one in own)]
    for name in everyone:
        if everyone.count(name) > 1:
            raise ConfigError(
                f"two contenders are called {name!r}; give one of them another key, or leave it out"
            )
    return tuple(names), tuple(own)


def row_name(method: Method) -> str:
    """The key of an estimator, with the parameters that are not the defaults.

    Raises:
        ConfigError: it has none, or the key of another class.
    """
    if not isinstance(getattr(method, "key", None), str):
        kind = type(method).__name__
        raise ConfigError(
            f"{kind} has no key, the name of its row; write key = {kind.lower()!r} in the class"
        )
    methods.refuse_borrowed_key(method)
    given = {field.name: getattr(method, field.name) for field in fields(method)}
    told = [f"{f.name}={given[f.name]!r}" for f in fields(method) if given[f.name] != f.default]
    return f"{method.key}({', '.join(told)})" if told else method.key


def _entrant(one: Contender, known: set[str]) -> Contender:
    """One of one's own, whose row says so if it reads what no log holds."""
    row_name(require_method(one.method))
    if one.name in known:
        raise ConfigError(
            f"{one.name!r} is a contender of the bench already; give {type(one.method).__name__} another key"
        )
    try:
        json.dumps(one.method.parameters())
    except TypeError as error:
        raise ConfigError(
            f"{one.name}: a parameter is nothing that JSON holds ({error}); expected numbers, text, lists of them"
        ) from None
    seeing = bool(one.given) or one.method.reads_gold
    return replace(one, protocol="oracle") if seeing else one
