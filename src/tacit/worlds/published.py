"""The simulators of the CausalRM and ImplicitRM papers: who gives feedback depends on the rating itself.

METHODS §11.2, corrected: propensities are capped at 1 *before* their level is set, so the rate asked for is the
rate that comes out, and a label that nobody gave is missing rather than clean.

What follows for every result: selection depends on the rating, hence on r* given x, which violates both
CausalRM's missing-at-random and ImplicitRM's independence of activity and r*. And the propensity takes few
values among the positives, close to SCAR, which flatters class-prior corrections.

Legend: N rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tacit.data import FeedbackLog
from tacit.errors import ConfigError, DataError
from tacit.worlds.explicit import labelled
from tacit.worlds.implicit import Soft
from tacit.worlds.scene import Scene, check_unit, one_signal
from tacit.worlds.world import FloatArray, World

Ends = tuple[float, float] | None


def alpha_pu(
    base: FeedbackLog,
    seeds: int,
    *,
    alpha: float = 0.5,
    rate: float = 0.5,
    scale: Ends = None,
    soft: Soft = None,
) -> World:
    """ImplicitRM's simulator: o ~ Bern(p), p = min(1, k·alpha^(5 - l')), and the log holds y = r*·o everywhere.

    Args:
        base: a log with gold; its column `rating`, if there is one, gives the levels.
        seeds: how often users react.
        alpha: how much rarer feedback gets with each level of the rating, in (0, 1]; 1 is SCAR.
        rate: the mean of p.
        scale: the ends of the rating's scale, as in `levels`.
        soft: (lo, hi), to which gold is scaled before r* is drawn.

    Raises:
        ConfigError, DataError: a number outside its range; a log without gold, a row without a rating.
    """
    scene = Scene.of(base, seeds, soft)
    return one_signal(scene, "alpha_pu", alpha_propensity(levels(base, scale), alpha, rate), {})


def alpha_noisy(
    base: FeedbackLog,
    seeds: int,
    *,
    alpha: float = 0.5,
    rate: float = 0.2,
    rho01: float = 0.1,
    rho10: float = 0.2,
    scale: Ends = None,
    soft: Soft = None,
) -> World:
    """CausalRM's simulator: one explicit label, given with probability p as in `alpha_pu`, null elsewhere.

    The label is r* flipped, 1 to 0 with `rho01` and 0 to 1 with `rho10`. The papers' scenario 1 is (.2, .1),
    scenario 2 the default.

    Args:
        base: as in `alpha_pu`.
        seeds: as there.
        alpha: as there.
        rate: as there.
        rho01: P(label 0 | liked).
        rho10: P(label 1 | not liked).
        scale: as there.
        soft: as there.

    Raises:
        ConfigError, DataError: as `alpha_pu`.
    """
    check_unit("alpha_noisy", rho01=rho01, rho10=rho10)
    scene = Scene.of(base, seeds, soft)
    propensity_N = alpha_propensity(levels(base, scale), alpha, rate)
    return labelled(scene, "alpha_noisy", propensity_N, rho01, rho10)


def levels(base: FeedbackLog, scale: Ends = None) -> FloatArray:
    """l' = 1 + 4 (l - low)/(high - low), float64 [N], from the column `rating`; from gold where there is none.

    Args:
        base: the log.
        scale: (low, high); None takes the lowest and the highest rating that occur, and 0 and 1 for gold.

    Raises:
        ConfigError: a scale whose ends are not finite or do not enclose the ratings.
        DataError: a row without a rating or gold, a rating that is no finite number, or one rating only and no scale.
    """
    name = _RATING if _RATING in base.table.column_names else base.roles.gold
    if name is None:
        raise DataError(f"{base.name}: no column {_RATING!r} and no gold; read the log with gold=")
    rating_N = _numbers(base, name)
    least, most = float(rating_N.min()), float(rating_N.max())
    low, high = scale or ((0.0, 1.0) if name != _RATING else (least, most))
    if scale and not (-np.inf < low < high < np.inf and low <= least and most <= high):
        raise ConfigError(
            f"{base.name}: scale is {scale}, expected finite low < high around the values of {name!r}, "
            f"{least:g} to {most:g}"
        )
    if low == high:
        raise DataError(
            f"{base.name}: every {name} is {low:g}, expected two different ones or more; {_OR_GOLD}, or pass "
            "scale=(low, high) in Python"
        )
    level_N: FloatArray = 1 + 4 * (rating_N - low) / (high - low)
    return level_N


_RATING = "rating"
_OR_GOLD = f"rename or drop the column {_RATING!r}, and gold gives the levels"


def _numbers(base: FeedbackLog, name: str) -> FloatArray:
    values = base.column(name)
    number_N = np.array([_number(value) for value in values])
    missing = [row for row, value in enumerate(values) if value is None]
    if missing:
        raise DataError(
            f"{base.where(missing[0])}: column {name!r} is missing, expected a number on every row ({len(missing)} of "
            f"{len(values)} rows have none); drop these rows"
            + (f", or {_OR_GOLD}" if name == _RATING else "")
        )
    wrong_N = ~np.isfinite(number_N)
    if wrong_N.any():
        row = int(np.argmax(wrong_N))
        raise DataError(
            f"{base.where(row)}: column {name!r} is {values[row]!r:.60}, expected a finite number on every row; "
            f"{_OR_GOLD}"
        )
    return number_N


def _number(value: Any) -> float:
    """A rating as a number, NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def alpha_propensity(level_N: FloatArray, alpha: float, rate: float) -> FloatArray:
    """p = min(1, k q), q = alpha^(5 - l'), with k such that p has the mean `rate`; float64 [N].

    Args:
        level_N: l', ratings mapped to 1 to 5.
        alpha: in (0, 1].
        rate: in (0, 1].

    Raises:
        ConfigError: a number outside its range.

    Example:
        >>> alpha_propensity(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 0.5, 0.5).round(4).tolist()
        [0.1, 0.2, 0.4, 0.8, 1.0]
    """
    if not (0 < alpha <= 1 and 0 < rate <= 1):
        raise ConfigError(f"alpha worlds: alpha={alpha}, rate={rate}, expected both above 0 and at most 1")
    q_N = alpha ** (5 - level_N)
    low, high = 0.0, 1 / float(q_N.min())  # every p is 1 at the upper end
    for _ in range(100):
        half = (low + high) / 2
        low, high = (half, high) if np.minimum(1, half * q_N).mean() < rate else (low, half)
    propensity_N: FloatArray = np.minimum(1, high * q_N)
    return propensity_N
