"""What every simulator returns: a log as a product could keep it, the signals of all seeds, and the truth apart.

Legend: S seeds, N rows, K signals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tacit.data import FeedbackLog
from tacit.errors import ConfigError

FloatArray = npt.NDArray[np.float64]
Bits = npt.NDArray[np.int8]
Recorded = npt.NDArray[np.float32]


@dataclass(frozen=True)
class WorldTruth:
    """What a real log never holds; evaluation may read it, an estimator may not."""

    liked_SN: Bits
    """r*: whether the user liked the answer, for each seed."""
    preference_N: FloatArray
    """r(x) = P(r*=1), which a reward model is asked for."""
    propensity_SNK: FloatArray
    """P(signal k where it is due), [S, N, K] or [1, N, K]; P(a label is given) where labels are selected."""
    misclick_K: FloatArray
    """P(signal k where it is not due), averaged over rows where it differs between them."""
    rho01: float = 0.0
    """P(label 0 where liked), over all rows, labelled or not; 0 in worlds without explicit labels."""
    rho10: float = 0.0
    """P(label 1 where not liked), over all rows, labelled or not; 0 in worlds without explicit labels."""


@dataclass(frozen=True, eq=False)
class World:
    """Simulated feedback of S seeds on one set of texts; the seeds share texts and context.

    Raises:
        ConfigError: signals or truth of another shape than the log's.

    Example:
        >>> from tacit import worlds
        >>> world = worlds.make("scar", worlds.stdlib_base(limit=4), seeds=3)
        >>> world
        World('scar', rows=20, seeds=3, signals: copied)
        >>> world.signals_SNK.shape == (3, len(world.log), 1)
        True
        >>> bool((world.log_of(2).signal_matrix()[0] == world.signals_SNK[2]).all())
        True
    """

    name: str
    log: FeedbackLog
    """The texts with the signals of seed 0, their context and users; no gold and nothing of the truth."""
    signals_SNK: Recorded
    """1, 0, and NaN where a signal could not be recorded or no label was given."""
    truth: WorldTruth

    def __post_init__(self) -> None:
        S, N, K = len(self.signals_SNK), len(self.log), len(self.log.roles.signals)
        truth = self.truth
        for what, found, expected in (
            ("signals_SNK", self.signals_SNK.shape, ((S, N, K),)),
            ("truth.liked_SN", truth.liked_SN.shape, ((S, N),)),
            ("truth.preference_N", truth.preference_N.shape, ((N,),)),
            ("truth.propensity_SNK", truth.propensity_SNK.shape, ((S, N, K), (1, N, K))),
            ("truth.misclick_K", truth.misclick_K.shape, ((K,),)),
        ):
            if found not in expected:
                raise ConfigError(
                    f"world {self.name!r}: {what} has the shape {found}, expected {expected[0]} "
                    f"(S = {S} seeds, N = {N} rows and K = {K} signals of its log)"
                )

    def __repr__(self) -> str:
        signals = ", ".join(signal.name for signal in self.log.roles.signals)
        return (
            f"World({self.name!r}, rows={len(self.log)}, seeds={len(self.signals_SNK)}, signals: {signals})"
        )

    def log_of(self, seed: int) -> FeedbackLog:
        """The log with the signals of one seed, under the same roles.

        Raises:
            ConfigError: a seed that this world was not made with.
        """
        seeds = len(self.signals_SNK)
        if not 0 <= seed < seeds:
            raise ConfigError(
                f"log_of: seed is {seed}, expected 0 to {seeds - 1}; make the world with more seeds"
            )
        table = self.log.table
        for k, signal in enumerate(self.log.roles.signals):
            column = signal_column(self.signals_SNK[seed, :, k])
            table = table.set_column(table.column_names.index(signal.name), signal.name, column)
        return replace(self.log, table=table)


def signal_column(recorded_N: Recorded) -> Any:
    """A signal as an Arrow column of 1, 0 and null, the type that logs keep."""
    missing_N = np.isnan(recorded_N)
    return pa.array(np.where(missing_N, 0, recorded_N).astype(np.int8), mask=missing_N)
