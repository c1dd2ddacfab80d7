"""From what a file holds to what a role needs: signals of 0, 1 and null; numbers; categories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tacit.data.raw import RawTable
from tacit.data.signal import Signal
from tacit.data.texts import TEXT, is_text
from tacit.errors import DataError

_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false")
_NULL_CELLS = ("", "null", "none", "nan", "na", "n/a")


def binary(raw: RawTable, name: str, part: str) -> Any:
    """A signal or exposure column as int8 [N] of 1, 0 and null.

    Raises:
        DataError: any other value, with its row.
    """
    column = raw.column(name)
    if not isinstance(column, list):
        if pa.types.is_float16(column.type) or pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())  # Arrow compares no halves, and decimals only with decimals
        kind = column.type
        if pa.types.is_boolean(kind) or pa.types.is_null(kind):
            return column.cast(pa.int8()).combine_chunks()
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            known = pc.or_(pc.equal(column, 0), pc.equal(column, 1))
            bad = pc.index(pc.fill_null(known, True), False).as_py()
            if bad < 0:
                return pc.cast(column, pa.int8()).combine_chunks()
            raise _not_binary(raw, name, part, bad, column[bad].as_py())
        if is_text(kind) and raw.text_cells:
            return _binary_cells(raw, name, part, column)
        column = column.to_pylist()
    for index, value in enumerate(column):
        if value is not None and not (isinstance(value, bool | int | float) and value in (0, 1)):
            raise _not_binary(raw, name, part, index, value)
    return pa.array([None if value is None else int(value) for value in column], pa.int8())


def _null_cells(lowered: Any) -> Any:
    return pc.is_in(lowered, pa.array(_NULL_CELLS, lowered.type))


def _binary_cells(raw: RawTable, name: str, part: str, column: Any) -> Any:
    lowered = pc.fill_null(pc.utf8_lower(pc.utf8_trim_whitespace(column)), "").combine_chunks()
    null = _null_cells(lowered)
    one = pc.is_in(lowered, pa.array(_TRUE, lowered.type))
    zero = pc.is_in(lowered, pa.array(_FALSE, lowered.type))
    bad = pc.index(pc.or_(pc.or_(one, zero), null), False).as_py()
    if bad >= 0:
        raise _not_binary(raw, name, part, bad, column[bad].as_py())
    return pc.if_else(null, pa.scalar(None, pa.int8()), one.cast(pa.int8()))


def _not_binary(raw: RawTable, name: str, part: str, index: int, value: Any) -> DataError:
    return DataError(
        f"{raw.where(index)}: column {name!r} ({part}) holds {_short(value)}, expected 1, 0, true, "
        f"false or null; turn counts and ratings into 0/1 columns first"
    )


def number(raw: RawTable, name: str, part: str) -> Any:
    """A numeric column as float64 [N], nulls kept.

    Raises:
        DataError: text that is no number, or NaN or infinity, with its row.
    """
    values = _number_or_none(raw, name)
    if values is None:
        index, value = _first_not_number(raw, name)
        raise DataError(
            f"{raw.where(index)}: column {name!r} ({part}) holds {_short(value)}, expected a number"
        )
    bad = pc.index(pc.fill_null(pc.is_finite(values), True), False).as_py()
    if bad >= 0:
        raise DataError(
            f"{raw.where(bad)}: column {name!r} ({part}) holds {values[bad].as_py()}, expected a finite "
            f"number; {'fill it before reading' if part == 'context' else 'write null where there is none'}"
        )
    return values


def unit_interval(raw: RawTable, name: str, part: str) -> Any:
    """A column of numbers in [0, 1], nulls kept.

    Raises:
        DataError: anything else, with its row.
    """
    values = number(raw, name, part)
    inside = pc.and_(pc.greater_equal(values, 0.0), pc.less_equal(values, 1.0))
    bad = pc.index(pc.fill_null(inside, True), False).as_py()
    if bad >= 0:
        raise DataError(
            f"{raw.where(bad)}: column {name!r} ({part}) holds {values[bad].as_py():g}, expected a number "
            f"from 0 to 1; rescale it, for instance stars from 1 to 5 as (stars - 1) / 4"
        )
    return values


def context(raw: RawTable, name: str) -> Any:
    """A context column: float64 [N] without nulls, or text [N] whose nulls are the level "missing".

    In CSV, "NA" and the like are null among numbers and levels like any other among words.

    Raises:
        DataError: NaN, infinity or null among numbers, nothing but nulls, or a type that is neither.
    """
    column = raw.column(name)
    values = _number_or_none(raw, name)
    if values is not None and not (
        values.null_count == len(values) > column.null_count
    ):  # "none" on every row
        values = number(raw, name, "context")
        if values.null_count == len(values):
            raise DataError(f"{raw.name}: column {name!r} (context) holds nothing but null; leave it out")
        bad = pc.index(pc.is_null(values), True).as_py()
        if bad >= 0:
            raise DataError(
                f"{raw.where(bad)}: column {name!r} (context) holds null among numbers; fill it, or write "
                f"its values as text to make 'missing' a level of its own"
            )
        return values
    if isinstance(column, list) or not is_text(column.type):
        index, value = _first_not_number(raw, name)
        raise DataError(
            f"{raw.where(index)}: column {name!r} (context) holds {_short(value)}, expected all "
            f"numbers or all text"
        )
    return pc.fill_null(column.cast(TEXT), "missing").combine_chunks()


def identity(raw: RawTable, name: str) -> Any:
    """A column of ids [N], all of one type that reads as text: binary ids as hex, several types (7, "7b") as text."""
    column = raw.column(name)
    if isinstance(column, list):
        return pa.array([None if value is None else str(value) for value in column], TEXT)
    kind = column.type
    if pa.types.is_nested(kind):
        return column
    if any(
        test(kind)
        for test in (
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
            pa.types.is_binary_view,
        )
    ):
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], TEXT)
    try:
        column.slice(0, 0).cast(TEXT)
    except pa.ArrowNotImplementedError:  # calendar intervals
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], TEXT)
    return column


def _number_or_none(raw: RawTable, name: str) -> Any:
    """The column as float64 when all of it is numbers (in CSV: reads as numbers), else None."""
    column = raw.column(name)
    if isinstance(column, list):
        if not all(value is None or isinstance(value, bool | int | float) for value in column):
            return None
        return pa.array([None if value is None else _as_float(value) for value in column], pa.float64())
    kind = column.type
    if is_text(kind) and raw.text_cells:
        trimmed = pc.utf8_trim_whitespace(column)
        null = _null_cells(pc.utf8_lower(trimmed))
        try:
            return (
                pc.if_else(null, pa.scalar(None, trimmed.type), trimmed).cast(pa.float64()).combine_chunks()
            )
        except pa.ArrowInvalid:
            return None
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        return None
    return column.cast(pa.float64(), safe=False).combine_chunks()


def _as_float(value: bool | int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf


def _first_not_number(raw: RawTable, name: str) -> tuple[int, Any]:
    column = raw.column(name)
    for index, value in enumerate(column if isinstance(column, list) else column.to_pylist()):
        if value is not None and not _reads_as_number(value, raw.text_cells):
            return index, value
    return 0, column[0] if isinstance(column, list) else column[0].as_py()


def _reads_as_number(value: Any, text_cells: bool) -> bool:
    if isinstance(value, bool | int | float):
        return True
    if not (text_cells and isinstance(value, str)):
        return False
    try:
        pa.scalar(value.strip()).cast(pa.float64())  # Python reads more as a number: 1_000
    except pa.ArrowInvalid:
        return value.strip().lower() in _NULL_CELLS
    return True


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def to_numpy(values: Any, fill: float) -> tuple[Any, Any]:
    """Values as float32 [N] with `fill` where null, and a bool [N] of the others."""
    mask = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False), dtype=bool)
    filled = pc.fill_null(values, pa.scalar(fill, values.type))
    return np.asarray(filled.to_numpy(zero_copy_only=False)).astype(np.float32), mask


def signal_values(table: Any, signal: Signal) -> tuple[Any, Any]:
    """A signal of a validated table as float32 [N], 0 where missing, and bool [N] of where it was recorded."""
    value_N, visible_N = to_numpy(table.column(signal.name), 0)
    visible_N = visible_N & exposed(table, signal)
    value_N[~visible_N] = 0
    return value_N, visible_N


def exposed(table: Any, signal: Signal) -> Any:
    """Where a signal could have been recorded by its exposure column, bool [N]; everywhere if it names none."""
    if signal.exposure is None:
        return np.ones(table.num_rows, dtype=bool)
    shown_N, known_N = to_numpy(table.column(signal.exposure), 0)
    return known_N & (shown_N == 1)
