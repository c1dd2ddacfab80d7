"""Tables already in memory: Arrow tables, `datasets.Dataset`, pandas data frames; imports none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from tacit.data.raw import RawTable, from_arrow, from_lists, logger
from tacit.errors import DataError


def read_object(value: Any, name: str | None = None) -> RawTable:
    """Read a table object; a dictionary of dataset splits is read through its only split, or "train".

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
    raise DataError(
        f"cannot read a log from {kind}; expected a path, a hub id, a Dataset, an Arrow table or a data frame"
    )


def _read_frame(frame: Any, name: str) -> RawTable:
    """Columns that Arrow refuses (several types, complex numbers) are handed on as Python objects."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{name}: column {twice[0]!r} stands twice; rename one of them")
    table = _arrow(frame)
    if table is not None:
        return from_arrow(table.replace_schema_metadata(None), name)
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
