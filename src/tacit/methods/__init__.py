"""What feedback means: one estimator per file. Tensors in, tensors out: no files, no logs, no loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tacit.errors import ConfigError
from tacit.methods.constant import Constant
from tacit.methods.identification import Identifiability, identifiability_rank
from tacit.methods.implicit_rm import ImplicitRM
from tacit.methods.latent import STRATA, strata
from tacit.methods.latent_ml import LatentML
from tacit.methods.length import Length
from tacit.methods.method import Head, Method
from tacit.methods.naive import Naive
from tacit.methods.observations import Observations, observations
from tacit.methods.oracle import Oracle

__all__ = [
    "STRATA",
    "Constant",
    "Head",
    "Identifiability",
    "ImplicitRM",
    "LatentML",
    "Length",
    "Method",
    "Naive",
    "Observations",
    "Oracle",
    "available",
    "get",
    "identifiability_rank",
    "observations",
    "strata",
]

_METHODS: tuple[type[Method], ...] = (Naive, ImplicitRM, LatentML, Oracle, Constant, Length)


def available() -> dict[str, type[Method]]:
    """Every estimator by key."""
    return {method.key: method for method in _METHODS}


def get(key: str, parameters: Mapping[str, Any] | None = None) -> Method:
    """The estimator of that key, with its parameters.

    Raises:
        ConfigError: unknown key or parameter.

    Example:
        >>> get("implicit_rm", {"objective": "em"})
        ImplicitRM(objective='em')
    """
    known = available()
    if key not in known:
        raise ConfigError(f"unknown method {key!r}; expected one of {', '.join(sorted(known))}")
    try:
        return known[key](**(parameters or {}))
    except TypeError as error:
        raise ConfigError(f"method {key}: {error}") from None
