"""Rows that a pipeline may have logged twice: those alike in every column of a log's table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_PER_TIME = 1 << 16  # values of nested columns that are Python objects at once


def count_copies(table: Any) -> int:
    """Rows of an Arrow table that are copies of an earlier one, every column alike (null like null).

    Columns that cost little are compared first, texts last and only of rows that still have a twin.

    Example:
        >>> count_copies(pa.table({"prompt": ["a", "a", "a", "b"], "copied": [1, 1, None, 1]}))
        1
    """
    twin_N, group_n = np.ones(table.num_rows, dtype=bool), np.zeros(table.num_rows, dtype=np.int64)
    for column in _cheap_first(table):
        if not len(group_n):
            return 0
        code_n = _codes(column if twin_N.all() else column.filter(pa.array(twin_N)))
        _, group_n, counts = np.unique(
            group_n * (code_n.max() + 1) + code_n, return_inverse=True, return_counts=True
        )
        twin_n = counts[group_n] > 1
        twin_N[twin_N], group_n = twin_n, group_n[twin_n]
    return len(group_n) - len(np.unique(group_n))


def _cheap_first(table: Any) -> list[Any]:
    """The columns in order of their size; before texts, their lengths."""
    columns = sorted((_plain(column) for column in table.columns), key=lambda column: column.nbytes)
    texts = [column for column in columns if _is_text(column.type)]
    others = [column for column in columns if not _is_text(column.type)]
    return [*others, *(pc.binary_length(column) for column in texts), *texts]


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(column: Any) -> Any:
    """Values that Arrow can tell apart as they stand; of lists and objects their spelling."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))
    if pa.types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(column))
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if not pa.types.is_nested(kind):
        return column
    spelled = [
        pa.array([repr(value) for value in column.slice(start, _PER_TIME).to_pylist()], pa.large_string())
        for start in range(0, len(column), _PER_TIME)
    ]
    return pa.chunked_array(spelled, pa.large_string())


def _codes(column: Any) -> npt.NDArray[np.int64]:
    """A number per value, the same for the same value."""
    codes = [
        chunk.indices.to_numpy() for chunk in column.dictionary_encode("encode").chunks
    ]  # of one dictionary
    return np.concatenate([np.zeros(0, dtype=np.int64), *codes]).astype(np.int64)
