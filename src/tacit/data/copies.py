"""Rows that a pipeline may have logged twice: those alike in every column of a log's table.

Rows are told apart by 64-bit hashes of their cells, cheap columns first, texts last and only of rows that still have a
twin; no copy of the texts is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

_ROWS = 1 << 16  # looked at at once
_BLOCK = 1 << 20  # characters, or items of lists, hashed at once
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_BASE, -1, 2**64)
_NULL = np.uint64(0xD1B54A32D192ED03)
_OF_BYTES = np.random.default_rng(0).integers(0, 2**64, 256, dtype=np.uint64)


def count_copies(table: Any) -> int:
    """Rows of an Arrow table that are copies of an earlier one, every column alike (null like null).

    Columns whose values have no hash here (maps, unions) are read as text.

    Example:
        >>> count_copies(pa.table({"prompt": ["a", "a", "a", "b"], "copied": [1, 1, None, 1]}))
        1
    """
    key_N = np.zeros(table.num_rows, dtype=np.uint64)
    tied_n = np.arange(table.num_rows)
    for hashed in _cheap_first(table):
        if not len(tied_n):
            return 0
        key_n = _mixed(key_N[tied_n], _of_rows(hashed, tied_n))
        key_N[tied_n] = key_n
        _, first_n, counts = np.unique(key_n, return_inverse=True, return_counts=True)
        tied_n = tied_n[counts[first_n] > 1]
    return len(tied_n) - len(np.unique(key_N[tied_n]))


def _cheap_first(table: Any) -> list[Any]:
    """The columns in order of their size; before texts and lists, their lengths."""
    plain = [pc.run_end_decode(c) if pa.types.is_run_end_encoded(c.type) else c for c in table.columns]
    columns = sorted(plain, key=lambda column: column.nbytes)
    lengths = [pc.binary_length(column) for column in columns if _is_bytes(column.type)]
    lengths += [pc.list_value_length(column) for column in columns if _is_list(column.type)]
    fixed = [column for column in columns if not (_is_bytes(column.type) or _is_list(column.type))]
    return [
        *fixed,
        *lengths,
        *(column for column in columns if _is_bytes(column.type) or _is_list(column.type)),
    ]


def _of_rows(column: Any, rows_n: npt.NDArray[np.int64]) -> Hashes:
    """Hashes of some rows of a column, in order."""
    if not isinstance(column, pa.ChunkedArray):
        column = pa.chunked_array([column])
    found = [np.zeros(0, dtype=np.uint64)]
    for start in range(0, len(column), _ROWS):
        here = rows_n[np.searchsorted(rows_n, start) : np.searchsorted(rows_n, start + _ROWS)]
        if len(here):
            part = column.slice(start, _ROWS)
            part = part if len(here) == len(part) else part.take(pa.array(here - start))
            found.append(_of_array(_whole(part)))
    return np.concatenate(found)


def _of_array(array: Any) -> Hashes:
    """Hashes of the cells of one array [N]."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _of_array(array.storage)
    if pa.types.is_dictionary(kind):
        return _of_array(_whole(array.cast(kind.value_type)))
    if pa.types.is_null(kind):
        return np.full(len(array), _NULL)
    if _is_bytes(kind):
        found = _of_bytes(array)
    elif _is_list(kind):
        found = _of_lists(array)
    elif pa.types.is_struct(kind):
        found = np.zeros(len(array), dtype=np.uint64)
        for field in array.flatten():
            found = _mixed(found, _of_array(field))
    else:
        found = _of_numbers(array)
    return np.where(array.is_null().to_numpy(zero_copy_only=False), _NULL, found)


def _of_numbers(array: Any) -> Hashes:
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        wide = array.cast(pa.float64() if pa.types.is_floating(kind) else pa.int64(), safe=False)
        values = np.array(pc.fill_null(wide, pa.scalar(0, wide.type)))
        return _mixed(np.zeros(len(values), dtype=np.uint64), values.view(np.uint64))
    try:
        return _of_array(_whole(array.cast(pa.large_string())))  # dates, decimals
    except pa.ArrowNotImplementedError:
        spelled = [None if value is None else str(value) for value in array.to_pylist()]
        return _of_array(pa.array(spelled, pa.large_string()))


def _of_bytes(array: Any) -> Hashes:
    if pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary())
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, ends, data = array.buffers()
    if ends is None or not len(array):
        return np.zeros(len(array), dtype=np.uint64)
    offset_N1 = np.frombuffer(ends, dtype=np.int64 if wide else np.int32)[array.offset :][: len(array) + 1]
    byte_C = np.frombuffer(data if data is not None else b"", dtype=np.uint8)
    return _of_runs(lambda start, stop: _OF_BYTES[byte_C[start:stop]], offset_N1)


def _of_lists(array: Any) -> Hashes:
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    offset_N1 = array.offsets.to_numpy()
    first, last = int(offset_N1[0]), int(offset_N1[-1])
    item_C = _of_array(array.values.slice(first, last - first))
    return _of_runs(lambda start, stop: item_C[start:stop], offset_N1 - first)


def _of_runs(hashes: Callable[[int, int], Hashes], offset_N1: npt.NDArray[Any]) -> Hashes:
    """Σ h_j · B^(j − start) modulo 2^64 over each run of items, mixed with its length: differences of one sum.

    Args:
        hashes: of the items from a place to another.
        offset_N1: [N + 1], where each run begins, and the last one ends.
    """
    at_N1 = offset_N1.astype(np.int64)
    begin, end = int(at_N1[0]), int(at_N1[-1])
    power_B = np.full(min(_BLOCK, max(end - begin, 1)), _BASE, dtype=np.uint64)
    power_B[0] = 1
    power_B = np.multiply.accumulate(power_B)
    sum_N1 = np.zeros(len(at_N1), dtype=np.uint64)
    total, scale = 0, 1
    for start in range(begin, end, _BLOCK):
        stop = min(start + _BLOCK, end)
        sum_B = np.cumsum(hashes(start, stop) * power_B[: stop - start])
        here = slice(np.searchsorted(at_N1, start, "right"), np.searchsorted(at_N1, stop, "right"))
        sum_N1[here] = sum_B[at_N1[here] - start - 1] * np.uint64(scale) + np.uint64(total)
        total = (total + scale * int(sum_B[-1])) % 2**64
        scale = scale * pow(_BASE, stop - start, 2**64) % 2**64
    return _mixed(
        (sum_N1[1:] - sum_N1[:-1]) * _powers(_INVERSE, at_N1[:-1] - begin), np.diff(at_N1).view(np.uint64)
    )


def _powers(base: int, exponent_N: npt.NDArray[np.int64]) -> Hashes:
    result, left_N = np.ones(len(exponent_N), dtype=np.uint64), exponent_N.copy()
    while left_N.any():
        result[(left_N & 1) > 0] *= np.uint64(base)
        base, left_N = base * base % 2**64, left_N >> 1
    return result


def _mixed(key_N: Hashes, value_N: Hashes) -> Hashes:
    """Both in one, every bit of which depends on all of theirs."""
    x = key_N * np.uint64(0xBF58476D1CE4E5B9) + value_N
    for shift, factor in ((32, 0x94D049BB133111EB), (29, 0xBF58476D1CE4E5B9), (32, 1)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x


def _is_bytes(kind: Any) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in (*tests, pa.types.is_fixed_size_binary))


def _is_list(kind: Any) -> bool:
    return any(test(kind) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _whole(column: Any) -> Any:
    """One array of a chunked one."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    found = column.combine_chunks()
    if isinstance(found, pa.ChunkedArray):  # of no rows, or too many characters for one
        return pa.concat_arrays(found.chunks) if found.num_chunks else pa.array([], column.type)
    return found
