"""The two flip rates of a label as data, what they cannot be (guard G5), and the published code's names for them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tacit.errors import ConfigError, IdentificationError, IdentificationWarning

logger = logging.getLogger("tacit")

Interval = tuple[float, float]


@dataclass(frozen=True)
class NoiseRates:
    """The two flip rates of a binary label, constant over rows (guard G5).

    Args:
        rho01: P(r=0|r*=1), false negatives.
        rho10: P(r=1|r*=0), false positives.
        rho01_interval: its 95 % interval, or the band that the data allow.
        rho10_interval: the same for rho10.

    Raises:
        IdentificationError: a rate is negative or NaN, or their sum reaches 1.

    Warns:
        IdentificationWarning: 1 − rho01 − rho10 is below .2; variance grows with its inverse square.

    Example:
        >>> NoiseRates(0.1, 0.2).signal
        0.7
    """

    rho01: float
    rho10: float
    rho01_interval: Interval | None = None
    rho10_interval: Interval | None = None

    def __post_init__(self) -> None:
        # A sum that misses 1 by rounding alone is 1: nothing may be divided by what is left of it.
        if not (self.rho01 >= 0 and self.rho10 >= 0 and self.signal > 1e-9):
            raise IdentificationError(
                f"rho01={self.rho01:.6g} and rho10={self.rho10:.6g}: labels carry no or inverted information; expected "
                "rates of 0 or more with a sum below 1, check the label's polarity"
            )
        if self.signal < 0.2:
            warnings.warn(
                f"rho01={self.rho01:.3g} and rho10={self.rho10:.3g} leave {self.signal:.3g} of the signal; the "
                f"variance of a corrected loss grows {self.signal**-2:.0f}-fold, expected .2 or more, get gold labels",
                IdentificationWarning,
                stacklevel=3,
            )

    @property
    def signal(self) -> float:
        """1 − rho01 − rho10: how much of a change in P(r*=1) shows in P(r=1)."""
        return 1 - self.rho01 - self.rho10


def from_published(config: Mapping[str, Any]) -> NoiseRates:
    """Rates from a configuration of the published code, whose `r10` is our rho01 and whose `r01` is our rho10.

    There the digits say what flips into what: 1 to 0, and 0 to 1. Rates taken the wrong way round bias the loss.

    Args:
        config: has `r10` and `r01`; other keys are not read.

    Raises:
        ConfigError: one of the two is missing or no number, or our own names stand beside them.

    Example:
        >>> from_published({"r10": 0.1, "r01": 0.2})
        NoiseRates(rho01=0.1, rho10=0.2, rho01_interval=None, rho10_interval=None)
    """
    if {"rho01", "rho10"} & config.keys():
        raise ConfigError(
            "the configuration holds rho01 or rho10 already; expected r10 and r01 only, use NoiseRates(...)"
        )
    try:
        rho01, rho10 = float(config["r10"]), float(config["r01"])
    except (KeyError, TypeError, ValueError):
        found = ", ".join(f"{key}={config[key]!r}" for key in ("r10", "r01") if key in config) or "neither"
        raise ConfigError(f"the configuration has {found}; expected the two numbers r10 and r01") from None
    logger.warning(
        "noise rates: r10=%g read as rho01 (1 flips to 0), r01=%g as rho10 (0 flips to 1)", rho01, rho10
    )
    return NoiseRates(rho01, rho10)
