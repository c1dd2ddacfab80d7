"""The simulator: from what users like and how active they are to the clicks that a log would hold.

Legend: N rows, K signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.errors import ConfigError

FloatArray = npt.NDArray[np.float64]
Bits = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Outcome:
    """What happened in one run of a world: `clicks_NK` is what a log records, the rest is hidden truth."""

    liked_N: Bits
    """r*: whether the user liked the answer."""
    active_NK: Bits
    """a: whether the user would have given this signal on an answer that calls for it."""
    clicks_NK: Bits
    """y: the signals as recorded."""


def simulate(
    preference_N: FloatArray,
    propensity_NK: FloatArray,
    *,
    misclick_K: Sequence[float] | None = None,
    polarity_K: Sequence[int] | None = None,
    seed: int = 0,
) -> Outcome:
    """Draw r* ~ Bern(preference), a ~ Bern(propensity), and the signals that follow.

    A positive signal appears where the answer is liked and the user active, and, by mistake, with the
    misclick rate where it is not liked. A negative signal (thumbs down) swaps the roles of liked and not
    liked. Given `preference_N` and `propensity_NK`, activity does not depend on r*.

    Each cause has its own random stream: changing the misclick rate leaves r* and activity as they were.

    Args:
        preference_N: r(x), the chance that each answer is liked, [N] in [0, 1].
        propensity_NK: e_k(x, z), the chance of each signal where it is due, [N, K] in [0, 1].
        misclick_K: chance of each signal where it is not due; 0 if not given.
        polarity_K: +1 or -1 for each signal; +1 if not given.
        seed: of the run.

    Raises:
        ConfigError: a probability outside [0, 1] or NaN, a polarity other than ±1, or shapes that do not fit.

    Example:
        >>> import numpy as np
        >>> world = simulate(np.array([1.0, 1.0, 0.0]), np.array([[1.0], [0.0], [1.0]]))
        >>> world.liked_N.tolist(), world.clicks_NK[:, 0].tolist()
        ([1, 1, 0], [1, 0, 0])
    """
    rows, signals = propensity_NK.shape if propensity_NK.ndim == 2 else (-1, 0)
    misclicks = np.zeros(signals) if misclick_K is None else np.asarray(misclick_K, dtype=np.float64)
    polarity = np.ones(signals) if polarity_K is None else np.asarray(polarity_K)
    if preference_N.shape != (rows,) or misclicks.shape != (signals,) or polarity.shape != (signals,):
        raise ConfigError(
            "simulate: shapes "
            f"{preference_N.shape}, {propensity_NK.shape}, {misclicks.shape}, {polarity.shape} "
            "of preference, propensity, misclick and polarity, expected [N], [N, K], [K], [K]"
        )
    for name, values in (
        ("preference", preference_N),
        ("propensity", propensity_NK),
        ("misclick", misclicks),
    ):
        if not np.all((values >= 0) & (values <= 1)):
            raise ConfigError(f"simulate: {name} holds a value outside [0, 1], expected probabilities")
    if not np.all(np.abs(polarity) == 1):
        raise ConfigError(f"simulate: polarity is {polarity.tolist()}, expected +1 or -1 for each signal")

    taste, activity, slips = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    liked_N = taste.random(rows) < preference_N
    active_NK = activity.random((rows, signals)) < propensity_NK
    slipped_NK = slips.random((rows, signals)) < misclicks
    due_NK = liked_N[:, None] == (polarity > 0)
    clicks_NK = np.where(due_NK, active_NK, slipped_NK)
    return Outcome(liked_N.astype(np.int8), active_NK.astype(np.int8), clicks_NK.astype(np.int8))
