"""Calibration maps as data: numbers that turn a logit into a probability, and their form as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from tacit.errors import ModelError
from tacit.methods.nuisances.checks import Floats, scores
from tacit.methods.nuisances.logistic import sigmoid


@dataclass(frozen=True)
class _Map:
    """What all maps share: numbers in fields, a kind, and their form as JSON."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """The map as plain numbers; `from_json` reads it back bit for bit."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Affine(_Map):
    """sigmoid(scale·f + level)."""

    kind: ClassVar[str] = "affine"
    scale: float
    level: float

    def probability(self, f_N: ArrayLike) -> Floats:
        """P(good) from logits [N]."""
        return sigmoid(self.scale * scores(f_N) + self.level)


@dataclass(frozen=True)
class Beta(_Map):
    """sigmoid(a·log s − b·log(1−s) + c) with s = sigmoid(f)."""

    kind: ClassVar[str] = "beta"
    a: float
    b: float
    c: float

    def probability(self, f_N: ArrayLike) -> Floats:
        """P(good) from logits [N]."""
        log_s, minus_log_rest = beta_columns(scores(f_N))
        return sigmoid(self.a * log_s + self.b * minus_log_rest + self.c)


@dataclass(frozen=True)
class Isotonic(_Map):
    """Straight lines between knots, flat beyond them."""

    kind: ClassVar[str] = "isotonic"
    knots: tuple[float, ...]
    values: tuple[float, ...]

    def probability(self, f_N: ArrayLike) -> Floats:
        """P(good) from logits [N]."""
        return np.interp(scores(f_N), self.knots, self.values)


CalibrationMap = Affine | Beta | Isotonic


def from_json(saved: Mapping[str, Any]) -> CalibrationMap:
    """The map that `to_json` wrote.

    Raises:
        ModelError: an unknown kind, or numbers that are missing or none.

    Example:
        >>> from_json({"kind": "affine", "scale": 2.0, "level": 0.5})
        Affine(scale=2.0, level=0.5)
    """
    kind = saved.get("kind")
    fields = {key: value for key, value in saved.items() if key != "kind"}
    try:
        if kind == Affine.kind:
            return Affine(**{key: _number(value) for key, value in fields.items()})
        if kind == Beta.kind:
            return Beta(**{key: _number(value) for key, value in fields.items()})
        if kind == Isotonic.kind:
            found = Isotonic(**{key: tuple(_number(v) for v in value) for key, value in fields.items()})
            if (
                len(found.knots) != len(found.values)
                or not found.knots
                or list(found.knots) != sorted(found.knots)
            ):
                raise ValueError("knots and values do not match")
            return found
    except (TypeError, ValueError) as error:
        raise ModelError(f"calibration of kind {kind!r} is damaged: {error}; save the model again") from None
    raise ModelError(f"calibration of unknown kind {kind!r}; expected affine, beta or isotonic")


def beta_columns(f: Floats) -> tuple[Floats, Floats]:
    """log s and −log(1−s) of s = sigmoid(f), without rounding s."""
    return -np.logaddexp(0.0, -f), np.logaddexp(0.0, f)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} where a finite number was expected")
    return float(value)
