"""Tables already in memory: whatever hands out Arrow data, `datasets.Dataset`, pandas frames, rows, columns.

Of their libraries only Arrow is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tacit.data.raw import RawTable, from_arrow, from_lists, logger
from tacit.data.readers.records import from_records
from tacit.errors import DataError, one_line, shown


def read_object(value: Any, name: str | None = None) -> RawTable:
    """Read a table object; a dictionary of dataset splits is read through its only split, or "train".

    Anything with Arrow's `__arrow_c_stream__` is one: polars, DuckDB, ibis, a stream of batches (read to its end).

    Raises:
        DataError: an object of another kind, or splits of which none is "train".
    """
    if isinstance(value, pa.Table):
        return from_arrow(value.replace_schema_metadata(None), name or "Arrow table")
    kind = f"{type(value).__module__}.{type(value).__name__}"
    if kind.startswith("datasets.") and isinstance(value, Mapping):
        return _read_split(value, name or "dataset")
    if kind.startswith("datasets.") and hasattr(value, "with_format") and hasattr(value, "num_rows"):
        table = value.with_format("arrow")[:]  # follows a shuffle or a selection, unlike the raw storage
        return from_arrow(table.replace_schema_metadata(None), name or "dataset")
    if kind.startswith("pandas.") and hasattr(value, "columns"):
        return _read_frame(value, name or "data frame")
    if hasattr(value, "__arrow_c_stream__"):
        return _read_stream(value, name or type(value).__name__)
    if isinstance(value, list | Mapping):
        return _read_rows(value, name) if isinstance(value, list) else _read_columns(value, name)
    raise DataError(
        f"cannot read a log from {kind}; expected a path, a hub id, a Dataset, an Arrow table, a data frame, a list "
        f"of rows or a mapping of columns"
    )


def _read_stream(value: Any, name: str) -> RawTable:
    try:
        table = pa.table(value)
    except Exception as error:  # a query runs only now, and its library has errors of its own
        raise DataError(
            f"{name}: not readable as a table: {one_line(error)}; expected columns as Arrow data"
        ) from error
    return from_arrow(table.replace_schema_metadata(None), name)


def _read_rows(rows: list[Any], name: str | None) -> RawTable:
    """Mappings of column to value; a column that a row lacks is null there."""
    name = name or "rows"
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise DataError(
                f"{name}, row {number}: found {shown(row)}, expected a mapping of columns to values, such as "
                f"{{'prompt': …, 'response': …}}"
            )
        _check_names(row, f"{name}, row {number}")
    return from_records(((number, dict(row)) for number, row in enumerate(rows, 1)), name, "row")


def _read_columns(columns: Mapping[Any, Any], name: str | None) -> RawTable:
    name = name or "columns"
    _check_names(columns, name)
    for column, values in columns.items():
        if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
            raise DataError(
                f"{name}: column {column!r} is {shown(values)}, expected a list with a value for each row; write one "
                f"row as a list of one mapping"
            )
    rows = len(next(iter(columns.values()), ()))
    return from_lists(columns, name, np.arange(1, rows + 1))


def _check_names(columns: Mapping[Any, Any], place: str) -> None:
    for column in columns:
        if not isinstance(column, str):
            raise DataError(f"{place}: a column is named {shown(column)}, expected text; rename it")


def _read_frame(frame: Any, name: str) -> RawTable:
    """Columns that Arrow refuses (several types, complex numbers) are handed on as Python objects."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{name}: column {twice[0]!r} stands twice; rename one of them")
    table = _arrow(frame)
    if table is not None:
        index = tuple(str(level) for level in frame.index.names if level is not None)
        return replace(from_arrow(table.replace_schema_metadata(None), name), index=index)
    refused = [index for index in range(frame.shape[1]) if _arrow(frame.iloc[:, [index]]) is None]
    raw = _read_frame(frame.drop(columns=frame.columns[refused]), name)
    columns = {}
    for column in (frame.iloc[:, index] for index in refused):
        columns[str(column.name)] = column.astype(object).where(column.notna(), None).tolist()
    others = from_lists(columns, name, raw.places)
    table = raw.table
    for column in others.table.column_names:
        table = table.append_column(column, others.table.column(column))
    return replace(raw, table=table, mixed={**raw.mixed, **others.mixed})


def _arrow(frame: Any) -> Any:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, OverflowError, UnicodeEncodeError):
        return None


def _read_split(splits: Mapping[str, Any], name: str) -> RawTable:
    chosen = next(iter(splits)) if len(splits) == 1 else "train"
    if chosen not in splits:
        first = next(iter(splits))
        part = Path(name) / first
        hint = f"the folder {part}" if part.is_dir() else f"dataset[{first!r}]"
        raise DataError(
            f"{name}: has splits {', '.join(splits)} and no 'train'; pass one of them, e.g. {hint}"
        )
    if len(splits) > 1:
        logger.info("%s: read split 'train' of %s", name, ", ".join(splits))
    return read_object(splits[chosen], f"{name}[{chosen}]")
