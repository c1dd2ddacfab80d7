"""Nuisances that the caller knows, checked and turned into the columns that losses read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.errors import ConfigError, DataError, IdentificationError, shown
from tacit.methods.method import Method
from tacit.methods.observations import Observations

ABOVE_ZERO = ("p", "e", "frequency", "prior")
"""Probabilities that are divided by: in (0, 1]."""
FROM_ZERO = ("rho01", "rho10", "noisy", "relevance", "exposure_score", "flip_rate", "clicked")
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
            P(liked) of each row, `exposure_score` P(the user acts); or whatever else a stage of the method makes. A
            number, or N of them.
        method: which has to read them; see `names_read`.
        obs: N rows.

    Raises:
        ConfigError: no mapping, or a name that the method does not read.
        DataError: another length, a value that is not a number, or outside the range of probabilities.
        IdentificationError: rho01 + rho10 ≥ 1.

    Example:
        >>> import torch
        >>> from tacit.methods import UPL, observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> nuisance_columns({"e": [0.5, 0.25], "relevance": 0.5}, UPL(), obs)
        {'e': tensor([0.5000, 0.2500]), 'relevance': tensor([0.5000])}
    """
    if nuisances is not None and not isinstance(nuisances, Mapping):
        raise ConfigError(f"nuisances is {shown(nuisances)}, expected numbers by name, such as {{'p': 0.5}}")
    given = dict(nuisances or {})
    read = names_read(method, obs) if given else ()
    columns = {}
    for name, values in given.items():
        if name not in read:
            raise ConfigError(
                f"{method.key} does not read the nuisance {name!r}, which would change nothing; it reads "
                f"{', '.join(read) or 'none'}"
            )
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


def names_read(method: Method, obs: Observations) -> tuple[str, ...]:
    """Names of the nuisances that a method, as parametrised, takes from outside; sorted.

    They are what its stages make, what it declares in `reads`, and the same of its stages, without those that a
    parameter of that name settles.

    Example:
        >>> import torch
        >>> from tacit.methods import CausalIPS, Naive, observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> names_read(CausalIPS(rho10=0.0), obs), names_read(Naive(), obs)
        (('p', 'rho01'), ())
    """
    return tuple(sorted(set(_read(method, obs))))


def _read(method: Method, obs: Observations) -> Iterator[str]:
    parameters = method.parameters()
    yield from (name for name in method.reads if parameters.get(name) is None)
    for stage in method.stages(obs):
        yield from stage.makes
        yield from _read(stage.method, obs)
