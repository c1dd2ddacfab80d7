"""Which estimator reads a log when nobody said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tacit import methods
from tacit.data import FeedbackLog
from tacit.methods import Method
from tacit.methods.method import require_method


def choose_method(log: FeedbackLog, known: Collection[str] = ()) -> Method:
    """The default estimator: `implicit_rm` for one positive signal, `latent_ml` for several or negative ones.

    A single label that users were asked for, missing where they gave none, is read by `causal_fwd`; one click whose
    propensity `e` is among the nuisances that are known, by `known_propensity`.
    """
    signals = log.roles.signals
    if len(signals) == 1 and signals[0].kind == "explicit":
        return methods.get("causal_fwd")
    if len(signals) == 1 and "e" in known:
        return methods.get("known_propensity")
    single = len(signals) == 1 and signals[0].polarity > 0 and not signals[0].misclick
    return methods.get("implicit_rm" if single else "latent_ml")


def resolve_method(
    method: str | Method,
    log: FeedbackLog,
    parameters: Mapping[str, Any] | None = None,
    known: Collection[str] = (),
) -> Method:
    """A method from its key ("auto": see `choose_method`) and parameters, or itself.

    Args:
        method: key, "auto" or a method.
        log: its signals decide.
        parameters: of the method.
        known: names of nuisances that are given.

    Raises:
        ConfigError: an unknown key or parameter, or an object that is no method or has another class's key.
    """
    if not isinstance(method, str):
        methods.refuse_borrowed_key(require_method(method))
        return method
    if method != "auto":
        return methods.get(method, parameters)
    chosen = choose_method(log, known)
    return methods.get(chosen.key, parameters) if parameters else chosen
