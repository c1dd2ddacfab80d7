"""The mixture likelihood when the propensity is known: what this likelihood makes of clicks with nothing else to learn.

It is a mark, not a bound: an estimator that had to learn the propensity as well may land on either side of it by luck,
by its calibration, or by what its heads leave out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods import KnownPropensity, Observations


@dataclass(frozen=True)
class OracleLikelihood(KnownPropensity):
    """`known_propensity` with the true e, and the true rate of misclicks from a column too."""

    key: ClassVar[str] = "oracle_likelihood"
    reads: ClassVar[tuple[str, ...]] = ("e", "misclick")
    assumes: ClassVar[str] = "propensity and misclick rate are known"
    not_identified: ClassVar[str] = "nothing; a reference, it reads what others must not"
    citation: ClassVar[str] = "reference"

    def _mistakes(self, obs: Observations) -> Tensor:
        """The true rate."""
        return obs.columns["misclick"]
