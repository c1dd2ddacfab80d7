"""A figure with its 95 % interval, the currency of all nuisances that are one number."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tacit.errors import DataError, DegenerateDataError

Z95 = 1.959963984540054
"""The .975 quantile of the standard normal law."""


@dataclass(frozen=True)
class Estimate:
    """A value between the ends of its 95 % interval. The interval covers chance, not a wrong assumption.

    Raises:
        DataError: an end or the value is not finite, or the value lies outside its interval.

    Example:
        >>> Estimate(0.5, low=0.4, high=0.8).high
        0.8
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.value <= self.high):
            raise DataError(
                f"estimate {self.value:g} with interval [{self.low:g}, {self.high:g}]; expected finite numbers with "
                "low <= value <= high"
            )


def normal(value: float, se: float, *, least: float = -math.inf, most: float = math.inf) -> Estimate:
    """The value ± 1.96 standard errors, cut to what is possible; a value beyond it is moved to the border."""
    value = min(max(value, least), most)
    return Estimate(value, max(value - Z95 * se, least), min(value + Z95 * se, most))


def wilson(successes: float, n: int) -> Estimate:
    """A share with Wilson's score interval: the p with (share − p)² = z²·p(1−p)/n (Wilson, JASA 1927).

    Args:
        successes: how many of the trials succeeded; a part of one where a trial is a mean.
        n: trials.

    Raises:
        DegenerateDataError: no trial.
        DataError: more successes than trials, or fewer than none.

    Example:
        >>> share = wilson(8, 10)
        >>> share.value, round(share.low, 3), round(share.high, 3)
        (0.8, 0.49, 0.943)
    """
    if n < 1:
        raise DegenerateDataError(f"{n} rows to take a share of; expected at least one")
    if not 0 <= successes <= n:
        raise DataError(f"{successes} successes of {n} trials; expected 0 to {n}")
    share, pull = successes / n, Z95**2 / n
    middle = (share + pull / 2) / (1 + pull)
    half = math.sqrt(pull * share * (1 - share) + pull**2 / 4) / (1 + pull)
    # At 0 and n successes one end is the share itself, up to rounding.
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == n else middle + half
    return Estimate(share, low, high)
