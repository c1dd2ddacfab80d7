"""Nuisances that the caller knows, checked and turned into the columns that losses read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.errors import ConfigError, DataError, IdentificationError
from tacit.methods.method import Method
from tacit.methods.observations import Observations

ABOVE_ZERO = ("p", "e", "frequency", "prior")
"""Probabilities that are divided by: in (0, 1]."""
FROM_ZERO = ("rho01", "rho10", "noisy", "relevance")
"""Probabilities in [0, 1]."""
WHOLE_LOG = ("rho01", "rho10", "frequency", "prior")
"""One number for all rows."""


def nuisance_columns(
    nuisances: Mapping[str, Any] | None, method: Method, obs: Observations
) -> dict[str, Tensor]:
    """Columns by name, float32 [N], or [1] for one number that all rows share.

    Args:
        nuisances: by name: `p` P(a label is given), `e` P(the user acts | liked), `rho01` P(label 0 | liked), `rho10`
            P(label 1 | not liked), `prior` P(liked), `frequency` P(signal | liked), `noisy` P(label 1), `relevance`
            P(liked) of each row; or whatever else a stage of the method makes. A number, or N of them.
        method: whose stages are asked what they make.
        obs: N rows.

    Raises:
        ConfigError: a name that no estimator reads.
        DataError: another length, a value that is not a number, or outside the range of probabilities.
        IdentificationError: rho01 + rho10 ≥ 1.

    Example:
        >>> import torch
        >>> from tacit.methods import Naive, observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> nuisance_columns({"e": [0.5, 0.25], "prior": 0.5}, Naive(), obs)
        {'e': tensor([0.5000, 0.2500]), 'prior': tensor([0.5000])}
    """
    given = dict(nuisances or {})
    known: tuple[str, ...] = (*ABOVE_ZERO, *FROM_ZERO)
    if set(given) - set(known):  # stages are asked only where a name is not one of the common ones
        known = (*known, *_made(method, obs))
    columns = {}
    for name, values in given.items():
        if name not in known:
            raise ConfigError(f"unknown nuisance {name!r}; expected one of {', '.join(sorted(set(known)))}")
        columns[name] = torch.from_numpy(_checked(name, values, obs.n_rows))
    if {"rho01", "rho10"} <= columns.keys() and float(columns["rho01"] + columns["rho10"]) >= 1:
        raise IdentificationError(
            f"nuisances rho01 and rho10 add up to {float(columns['rho01'] + columns['rho10']):g}, expected less "
            "than 1: such labels say nothing, or the opposite"
        )
    return columns


def _checked(name: str, values: Any, rows: int) -> NDArray[np.float32]:
    try:
        found = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise DataError(f"nuisance {name}: found values that are not numbers, expected numbers") from None
    found = np.array(found, ndmin=1)  # a copy: the caller's array may be written to, or be read-only
    lengths = (1,) if name in WHOLE_LOG else (1, rows)
    if found.ndim != 1 or len(found) not in lengths:
        expected = (
            "one number" if name in WHOLE_LOG else f"one number, or {rows}: one per usable row of the log"
        )
        raise DataError(f"nuisance {name} has shape {found.shape}, expected {expected}")
    bad = ~np.isfinite(found)
    expected = "a number"
    if name in ABOVE_ZERO:
        bad, expected = bad | (found <= 0) | (found > 1), "a probability above 0 and at most 1"
    elif name in FROM_ZERO:
        bad, expected = bad | (found < 0) | (found > 1), "a probability from 0 to 1"
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"nuisance {name}, row {row}: found {found[row]:g}, expected {expected}")
    return found


def _made(method: Method, obs: Observations) -> Iterator[str]:
    """Names of the columns that the stages of a method make, and theirs."""
    for stage in method.stages(obs):
        yield from stage.makes
        yield from _made(stage.method, obs)
