"""Does the model foretell what the log shows? Observed and predicted signal rates, cell by cell.

A cell is a tenth of the rows by predicted rate, a level of a context column, or a range of response lengths. In each,
the mean of y − p̂ is compared with 0:

    z = Σ (y − p̂) / s,     s² = max( Σ_g (Σ_{i in g} (y_i − p̂_i))²,  Σ p̂(1 − p̂) )

with g the prompts (sessions, users) whose rows hang together: the cluster-robust variance, and never less than what
independent draws would have. Of m cells the largest |z| is compared with the normal quantile at .05/2m (Bonferroni).

N rows, m cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from tacit.evaluation.trust.biases import LENGTH
from tacit.evaluation.trust.bins import Bins, bins_of
from tacit.evaluation.trust.reading import Reading

Floats = NDArray[np.float64]

_TENTHS = 10
_LEAST = 10  # rows of a cell: of fewer the sum of y − p̂ is far from normal
_DEVIATIONS = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Cell:
    """Some rows of one signal.

    Attributes:
        signal: its name.
        by: "predicted rate", or the column.
        label: of the bin.
        rows: where the signal could have been recorded.
        observed: the share on which it fired.
        predicted: the mean predicted rate.
        error: standard error of observed − predicted.
    """

    signal: str
    by: str
    label: str
    rows: int
    observed: float
    predicted: float
    error: float

    @property
    def z(self) -> float:
        """The difference in standard errors."""
        return (self.observed - self.predicted) / self.error if self.error > 0 else 0.0

    @property
    def low(self) -> float:
        """The observed rate less 1.96 standard errors."""
        return max(0.0, self.observed - _DEVIATIONS * self.error)

    @property
    def high(self) -> float:
        """The observed rate and 1.96 standard errors."""
        return min(1.0, self.observed + _DEVIATIONS * self.error)


@dataclass(frozen=True)
class Predictive:
    """All cells of all signals.

    Attributes:
        cells: in the order of signals, and of bins.
        held_out: predicted by members that did not train on the row.
    """

    cells: tuple[Cell, ...]
    held_out: bool

    @property
    def bound(self) -> float:
        """|z| beyond which some cell lies in one of twenty logs of a model that is right."""
        return float(norm.isf(0.025 / max(1, len(self.cells))))

    @property
    def off(self) -> tuple[Cell, ...]:
        """Cells beyond it, farthest first."""
        return tuple(sorted((c for c in self.cells if abs(c.z) > self.bound), key=lambda c: -abs(c.z)))

    def worst(self) -> Cell:
        """The cell that lies farthest off, in standard errors."""
        return max(self.cells, key=lambda cell: abs(cell.z))

    def of(self, signal: str, by: str) -> list[Cell]:
        """The cells of one signal and one cut."""
        return [cell for cell in self.cells if (cell.signal, cell.by) == (signal, by)]


def predictive(reading: Reading) -> Predictive | None:
    """Compare every signal with its prediction; None where the model predicts none, or no cell has ten rows.

    Args:
        reading: of the log.
    """
    cells: list[Cell] = []
    cuts = [bins_of(name, values) for name, values in reading.log.context_columns().items()]
    cuts.append(bins_of(LENGTH, reading.words_N))
    for one in reading.signals:
        if one.predicted_N is None:
            continue
        told_N = one.seen_N & np.isfinite(one.predicted_N)
        if not told_N.any():
            continue
        tenths = bins_of(PREDICTED, one.predicted_N[told_N], ranges=_TENTHS)
        rows = (one.fired_N[told_N].astype(np.float64), one.predicted_N[told_N], reading.unit_N[told_N])
        for cut in (tenths, *(Bins(c.name, c.labels, c.at_N[told_N]) for c in cuts)):
            cells += _cells(one.signal.name, cut, *rows)
    return Predictive(tuple(cells), reading.held_out) if cells else None


PREDICTED = "predicted rate"


def _cells(
    signal: str, cut: Bins, fired_n: Floats, predicted_n: Floats, unit_n: NDArray[np.int64]
) -> Iterable[Cell]:
    for j, label in enumerate(cut.labels):
        rows = cut.at_N == j
        if rows.sum() < _LEAST:
            continue
        y, p = fired_n[rows], predicted_n[rows]
        yield Cell(
            signal, cut.name, label, len(y), float(y.mean()), float(p.mean()), mean_error(y, p, unit_n[rows])
        )


def mean_error(y_n: Floats, p_n: Floats, unit_n: NDArray[np.int64]) -> float:
    """Standard error of mean(y − p̂), units drawn together; see the module for the formula.

    Args:
        y_n: what happened, 0 or 1, or between.
        p_n: what was expected.
        unit_n: prompt, session or user of each row.

    Example:
        >>> y, p = np.array([1.0, 1.0, 0.0, 0.0]), np.full(4, 0.5)
        >>> mean_error(y, p, np.arange(4)), mean_error(y, p, np.array([0, 0, 1, 1]))  # √(4·¼)/4 and √(1 + 1)/4
        (0.25, 0.3535533905932738)
    """
    _, group_n = np.unique(unit_n, return_inverse=True)
    clustered = float(np.square(np.bincount(group_n, weights=y_n - p_n)).sum())
    return float(np.sqrt(max(clustered, float((p_n * (1 - p_n)).sum())))) / len(y_n)
