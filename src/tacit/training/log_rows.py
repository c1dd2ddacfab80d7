"""A log as the tensors that methods read, and the groups that a hold-out must not tear apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.data import FeedbackLog
from tacit.errors import ConfigError, DataError, shown
from tacit.methods import Observations
from tacit.methods.columns import WHOLE_LOG


def observe(log: FeedbackLog) -> Observations:
    """Signals, visibility and gold of a log as tensors."""
    y_NK, visible_NK = log.signal_matrix()
    gold_N, known_N = log.gold_values()
    has_gold = log.roles.gold is not None
    return Observations(
        torch.from_numpy(y_NK),
        torch.from_numpy(visible_NK),
        tuple(s.polarity for s in log.roles.signals),
        torch.from_numpy(np.where(known_N, gold_N, 0).astype(np.float32)) if has_gold else None,
        torch.from_numpy(known_N) if has_gold else None,
        tuple(s.misclick for s in log.roles.signals),
        torch.from_numpy(log.prompt_codes()),
        names=tuple(s.name for s in log.roles.signals),
    )


def holdout_groups(log: FeedbackLog) -> NDArray[np.int64]:
    """Groups that a hold-out must not tear apart, int64 [N]: prompts, and the sessions (or users) they come from.

    Rows that share a prompt or a session belong together, so groups are the connected components of both; a row
    whose session is not known belongs to its prompt alone. Where that ties more than a fifth of the log into one
    component (a greeting that everybody sends), prompts alone count.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    prompts_N = log.prompt_codes()
    role = "session_id" if log.roles.session_id is not None else "user_id"
    column = getattr(log.roles, role)
    if column is None:
        return prompts_N
    known_N = np.array([value is not None for value in log.column(column)])
    others_N = log.codes(role) + int(prompts_N.max()) + 1
    size = int(others_N.max()) + 1
    links = coo_array(
        (np.ones(int(known_N.sum())), (prompts_N[known_N], others_N[known_N])), shape=(size, size)
    )
    _, component_of = connected_components(links, directed=False)
    components_N = component_of[prompts_N].astype(np.int64)
    return components_N if np.bincount(components_N).max() <= len(log) / 5 else prompts_N


def resolved(log: FeedbackLog, nuisances: Mapping[str, Any] | None) -> dict[str, Any]:
    """Known nuisances by name, each as one number or one per row; see `tacit.methods.columns.nuisance_columns`.

    Args:
        log: N rows.
        nuisances: by name, a column of the log, or numbers.

    Raises:
        ConfigError: no mapping.
        DataError: a column that the log does not have, or that has empty cells, or several numbers where all rows of
            a log share one.
    """
    if nuisances is not None and not isinstance(nuisances, Mapping):
        raise ConfigError(
            f"nuisances is {shown(nuisances)}, expected numbers or columns by name, such as {{'p': 0.5}}"
        )
    given: dict[str, Any] = {}
    for name, source in (nuisances or {}).items():
        if isinstance(source, str):
            values = log.column(source)
            if any(value is None for value in values):
                raise DataError(
                    f"{log.name}: column {source!r} (nuisance {name}) has empty cells, expected a number in each row"
                )
            given[name] = _one_number(log, name, source, values) if name in WHOLE_LOG and values else values
        else:
            given[name] = source
    return given


def _one_number(log: FeedbackLog, name: str, source: str, values: Sequence[Any]) -> Any:
    """The number that all rows share: losses take one of these nuisances for a whole log."""
    other = next((row for row, value in enumerate(values) if value != values[0]), None)
    if other is not None:
        raise DataError(
            f"{log.where(other)}: column {source!r} (nuisance {name}) holds {values[other]:g} and before it "
            f"{values[0]:g}; expected the same number in all rows, since {name} is one of the whole log"
        )
    return values[0]
