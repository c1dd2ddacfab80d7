"""What parameters of estimators may be: each function raises `ConfigError`, in one line, where one is out of range."""

from __future__ import annotations

import math
from collections.abc import Container
from types import UnionType
from typing import Any, Union, get_args, get_origin

from tacit.errors import ConfigError, shown


def require_number(key: str, name: str, value: Any, hint: Any) -> None:
    """A finite number, or None, where the parameter's type says so; other types are not looked at.

    Example:
        >>> require_number("ips", "clip", 0.05, float)
        >>> require_number("ips", "clip", "a", float)
        Traceback (most recent call last):
        tacit.errors.ConfigError: method ips: clip is 'a' (str), expected a finite number
    """
    kinds = set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}
    optional = type(None) in kinds
    if kinds - {type(None)} not in ({int}, {float}, {int, float}) or (optional and value is None):
        return
    whole = float not in kinds
    sound = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not sound or not math.isfinite(value):
        expected = "a whole number" if whole else "a finite number"
        raise ConfigError(
            f"method {key}: {name} is {shown(value)}, expected {expected}{' or None' if optional else ''}"
        )


def refuse_clip(key: str, clip: float) -> None:
    """Propensities can be clipped in (0, 1]."""
    if not 0 < clip <= 1:
        raise ConfigError(f"method {key}: clip is {clip!r}, expected a propensity above 0 and at most 1")


def refuse_selection_clip(key: str, clip: float) -> None:
    """Propensities of giving a label, which are diagnosed by what the clip touches, can be clipped in (0, 1)."""
    if not 0 < clip < 1:
        raise ConfigError(
            f"method {key}: clip is {clip!r}, expected a propensity above 0 and below 1; where all labels are to weigh "
            "alike use naive_observed"
        )


def refuse_e_max(key: str, e_max: float | None) -> None:
    """An estimated propensity can be scaled to (0, 1]."""
    if e_max is not None and not 0 < e_max <= 1:
        raise ConfigError(
            f"method {key}: e_max is {e_max!r}, expected a probability above 0 and at most 1 (None: e as estimated)"
        )


def refuse_scaled_and_known(key: str, e_max: float | None, known: Container[str]) -> None:
    """Where a propensity is supplied there is none to be estimated and scaled."""
    if e_max is not None and "e" in known:
        raise ConfigError(
            f"method {key}: e_max is {e_max!r}, which scales an estimated e, and e is supplied as well; expected "
            "one of them"
        )


def refuse_prior(key: str, prior: float | None) -> None:
    """A known share of liked responses is inside (0, 1)."""
    if prior is not None and not 0 < prior < 1:
        raise ConfigError(
            f"method {key}: prior is {prior!r}, expected a share above 0 and below 1, or None to have it estimated"
        )


def refuse_quantile(key: str, quantile: float) -> None:
    """Anchors lie in (.5, 1]: at the other half they would change places."""
    if not 0.5 < quantile <= 1:
        raise ConfigError(
            f"method {key}: quantile is {quantile!r}, expected one above .5 and at most 1, usually .97"
        )


def refuse_negative(key: str, **weights: float) -> None:
    """What weighs a term of a loss is 0 or more: below, the term would be made worse."""
    for name, weight in weights.items():
        if not weight >= 0:
            raise ConfigError(f"method {key}: {name} is {weight!r}, expected a weight of 0 or more")


def refuse_weightless(key: str, **weights: float) -> None:
    """What weighs all terms of a loss is 0 or more, and not all 0: nothing would be learned."""
    refuse_negative(key, **weights)
    if not any(weights.values()):
        raise ConfigError(
            f"method {key}: {' and '.join(weights)} are 0, so that nothing would be learned; expected one above 0"
        )
