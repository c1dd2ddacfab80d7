"""Predictors that do not learn, to check an estimator's loss against the loss that it estimates (METHODS §11.4).

They are the error patterns of Schnabel et al., "Recommendations as Treatments", ICML 2016, §6.1, on ratings
l' of 1 to 5. Each gives the probability that an answer is liked, (prediction - 1)/4 clipped to [.02, .98], which
is our own adaptation. Legend: N rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tacit.errors import ConfigError
from tacit.worlds.scene import stream
from tacit.worlds.world import FloatArray


def one(level_N: FloatArray, *, share: float = 0.5, seed: int = 0) -> FloatArray:
    """True ratings, but a share of the 1s predicted as 5; probabilities float64 [N].

    Args:
        level_N: true ratings l' in [1, 5].
        share: of the rows rated 1.
        seed: of the choice of these rows.

    Raises:
        ConfigError: a rating outside [1, 5], a share outside [0, 1].

    Example:
        >>> one(np.array([1.0, 3.0, 5.0]), share=1).tolist()
        [0.98, 0.5, 0.98]
    """
    return _some_as_five(level_N, 1, share, seed)


def four(level_N: FloatArray, *, share: float = 0.5, seed: int = 0) -> FloatArray:
    """True ratings, but a share of the 4s predicted as 5; arguments and errors as `one`."""
    return _some_as_five(level_N, 4, share, seed)


def rotate(level_N: FloatArray, *, seed: int = 0) -> FloatArray:
    """One level too low, and 1 predicted as 5; ratings below 2 that are not 1 become 1. `seed` is not used.

    Raises:
        ConfigError: a rating outside [1, 5].

    Example:
        >>> rotate(np.array([1.0, 3.0, 5.0])).tolist()
        [0.98, 0.25, 0.75]
    """
    _check(level_N)
    return _probability(np.where(level_N == 1, 5, np.maximum(level_N - 1, 1)))


def skew(level_N: FloatArray, *, seed: int = 0) -> FloatArray:
    """N(l', sd (6 - l')/2) clipped to [0, 6]: the worse the answer, the less is known about it.

    Raises:
        ConfigError: a rating outside [1, 5].
    """
    _check(level_N)
    noise_N = stream("pick", seed).normal(size=len(level_N))
    return _probability(np.clip(level_N + noise_N * (6 - level_N) / 2, 0, 6))


PREDICTORS: dict[str, Callable[..., FloatArray]] = {"one": one, "four": four, "rotate": rotate, "skew": skew}
"""All of them by name; each takes `level_N` and `seed`."""


def _some_as_five(level_N: FloatArray, level: int, share: float, seed: int) -> FloatArray:
    _check(level_N)
    if not 0 <= share <= 1:
        raise ConfigError(f"predictors: share is {share}, expected a number from 0 to 1")
    rows = np.flatnonzero(level_N == level)
    chosen = stream("pick", seed).permutation(rows)[: round(share * len(rows))]
    predicted_N = level_N.astype(np.float64)
    predicted_N[chosen] = 5
    return _probability(predicted_N)


def _check(level_N: FloatArray) -> None:
    if not np.all((level_N >= 1) & (level_N <= 5)):
        raise ConfigError(
            "predictors: a rating lies outside [1, 5]; map ratings with tacit.worlds.published.levels"
        )


def _probability(predicted_N: FloatArray) -> FloatArray:
    probability_N: FloatArray = np.clip((predicted_N - 1) / 4, 0.02, 0.98)
    return probability_N
