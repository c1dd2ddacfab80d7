"""The prior and the label frequency, tied by c = P(y=1)/pi, and what neither can be (guard G6)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from tacit.errors import IdentificationError, IdentificationWarning
from tacit.methods.nuisances.checks import probabilities
from tacit.methods.nuisances.estimate import Estimate


def check_prior(prior: float, share: float | None = None) -> float:
    """The prior, if it is possible (guard G6).

    Args:
        prior: pi.
        share: P(y=1) if labelled and unlabelled rows are one sample.

    Raises:
        IdentificationError: not inside (0, 1), or not above the labelled share.

    Example:
        >>> check_prior(0.4, 0.1)
        0.4
    """
    if not 0 < prior < 1:
        raise IdentificationError(
            f"prior {prior:g}; expected inside (0, 1), check the scores or give a known prior"
        )
    if share is not None and not prior > share:
        raise IdentificationError(
            f"prior {prior:g} is not above the labelled share {share:g}; all labelled rows are good, expected more"
        )
    return prior


def prior_of_frequency(frequency: Estimate, share: float) -> Estimate:
    """pi = P(y=1)/c, ends turned round.

    Args:
        frequency: c.
        share: P(y=1), above 0.

    Raises:
        IdentificationError: c is 1 or more, or not above the share, so that pi would reach 1 (guard G6).

    Example:
        >>> prior_of_frequency(Estimate(0.5, 0.25, 1.0), 0.125)
        Estimate(value=0.25, low=0.125, high=0.5)
    """
    if not 0 < share < frequency.value < 1:
        raise IdentificationError(
            f"label frequency {frequency.value:g} with labelled share {share:g}; expected 0 < share < frequency < 1"
        )
    most = share / frequency.low if frequency.low > share else 1.0
    return Estimate(share / frequency.value, share / min(frequency.high, 1.0), most)


def frequency_of_prior(prior: Estimate, share: float) -> Estimate:
    """c = P(y=1)/pi, ends turned round.

    Args:
        prior: pi.
        share: P(y=1), above 0.

    Raises:
        IdentificationError: pi not inside (0, 1), or not above the share (guard G6).

    Example:
        >>> frequency_of_prior(Estimate(0.5, 0.25, 1.0), 0.125)
        Estimate(value=0.25, low=0.125, high=0.5)
    """
    check_prior(prior.value, share)
    return prior_of_frequency(prior, share)  # the same division


def warn_of_overshoot(s_N: ArrayLike, frequency: float) -> None:
    """Warn where more than a tenth of the rows have P(y=1|x) above c, which r = s/c <= 1 forbids.

    Args:
        s_N: P(y=1|x).
        frequency: c.

    Warns:
        IdentificationWarning: so many rows; either SCAR or c is wrong.

    Raises:
        DataError: malformed scores.
    """
    over = float(np.mean(probabilities(s_N, "score") > frequency))
    if over > 0.1:
        warnings.warn(
            f"{over:.0%} of rows score above the label frequency {frequency:g}, expected 10% at most; "
            "SCAR or c is wrong",
            IdentificationWarning,
            stacklevel=2,
        )
