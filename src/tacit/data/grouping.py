"""Groups of rows, and splits that never cut through a group."""

from __future__ import annotations

import heapq
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tacit.errors import ConfigError, DataError

Codes = npt.NDArray[np.int64]


def encode(column: Any) -> Codes:
    """Group number of each row, int64 [N], counted from 0 in order of first appearance; null is a group too.

    Example:
        >>> encode(pa.chunked_array([["b", "a", "b", None]])).tolist()
        [0, 1, 0, 2]
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_nested(array.type):
        texts = [
            None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in array.to_pylist()
        ]
        array = pa.array(texts, pa.large_string())
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode(null_encoding="encode")
        codes: Codes = array.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return codes
    return encode(array.cast(array.type.value_type))


def fold_of_groups(codes: Codes, k: int, seed: int) -> Codes:
    """Fold 0..k-1 of each row, int64 [N]: whole groups, dealt so that the folds are even in rows.

    Raises:
        ConfigError: k below 2.
        DataError: fewer groups than folds.
    """
    if k < 2:
        raise ConfigError(f"{k} folds asked for, expected at least 2")
    sizes = np.bincount(codes)
    if len(sizes) < k:
        raise DataError(
            f"{len(sizes)} groups cannot fill {k} folds; ask for fewer folds or bring more groups"
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    # Largest first into the emptiest fold; the shuffle decides among groups of one size.
    order = order[np.argsort(-sizes[order], kind="stable")]
    folds = [(0, 0, fold) for fold in range(k)]
    fold_of = np.empty(len(sizes), dtype=np.int64)
    for group in order:
        rows, groups, fold = heapq.heappop(folds)
        fold_of[group] = fold
        heapq.heappush(folds, (rows + int(sizes[group]), groups + 1, fold))
    return fold_of[codes]


def held_out(codes: Codes, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Rows to hold out, bool [N]: whole groups drawn at random until `share` of the rows is reached.

    Raises:
        ConfigError: a share outside (0, 1).
        DataError: fewer than two groups.
    """
    if not 0 < share < 1:
        raise ConfigError(f"a test share of {share:g} was asked for, expected a number between 0 and 1")
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        raise DataError(
            "the log has one group of rows only, and a split never cuts a group; bring more prompts"
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    taken = np.cumsum(sizes[order])
    groups = int(np.searchsorted(taken, share * len(codes))) + 1
    chosen = np.zeros(len(sizes), dtype=bool)
    chosen[order[: min(groups, len(sizes) - 1)]] = True
    mask: npt.NDArray[np.bool_] = chosen[codes]
    return mask
