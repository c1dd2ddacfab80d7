"""One assumption as the table states it, and what there is to check it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tacit.evaluation.trust.biases import Bias
from tacit.evaluation.trust.predictive import Predictive
from tacit.evaluation.trust.reading import Reading
from tacit.evaluation.trust.statement import Statement
from tacit.model import FittedScorer

Verdict = Literal["holds", "doubtful", "cannot be checked from this log", "not checked"]
"""The last: it can be checked, and was not, for want of a log, of rows or of gold."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Assumption:
    """One row of the table.

    Attributes:
        claim: in plain words; of the method's declaration, its own.
        checked: how.
        verdict: what came of it.
        found: the numbers.
        do: what follows.
    """

    claim: str
    checked: str
    verdict: Verdict
    found: str
    do: str


@dataclass(frozen=True)
class Known:
    """What can be looked at."""

    rm: FittedScorer
    said: Statement
    reading: Reading | None
    biases: tuple[Bias, ...]
    fit: Predictive | None

    def gold(self) -> tuple[Floats, NDArray[np.bool_]] | None:
        """Gold and where it is, of a log that has any."""
        if self.reading is None:
            return None
        gold_N, known_N = self.reading.log.gold_values()
        return (gold_N.astype(np.float64), known_N) if known_N.any() else None


def without_log(claim: str, checked: str, why: str | None = None) -> Assumption:
    """What could be checked if a log were named; `why` where it is something else that is missing."""
    return Assumption(
        claim, checked, "not checked", why or "no log was named", "Name the log: `tacit report MODEL LOG`."
    )
