"""JSON lines. Arrow parses the common case; a line parser takes over for bad lines and mixed types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from tacit.data.raw import RawTable, holds_maps
from tacit.data.readers.records import from_records, json_bytes, object_or_reason

_BLOCK = 1 << 25  # bytes that Arrow parses at once; a line has to fit
_SNIFFED = 200  # lines that decide which columns are text
_EXACT = 2.0**53  # whole numbers beyond this lose digits as float64


def read_jsonl(path: Path) -> RawTable:
    """Read a file of one JSON object per line, plain or gzipped; lines that are not are quarantined.

    Raises:
        DataError: not one line is a JSON object.
    """
    return read_jsonl_bytes(json_bytes(path), str(path))


def read_jsonl_bytes(data: bytes, name: str) -> RawTable:
    """Read the content of such a file, in UTF-8 without a byte order mark.

    Raises:
        DataError: not one line is a JSON object.
    """
    table = _fast(data)
    if table is not None:
        return RawTable(table=table, name=name, places=np.arange(1, table.num_rows + 1), unit="line")
    return _slow(data, name)


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number (from 1) and bytes of each line, without copying the file twice."""
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        number += 1
        yield number, data[start:end]
        start = end + 1


def _fast(data: bytes) -> Any:
    """The table as Arrow parses it, or None where its reading could differ from JSON's."""
    text_columns = _sniff(data)
    if text_columns is None:
        return None
    # Said explicitly because Arrow turns text that looks like a date into a timestamp.
    schema = pa.schema([(name, pa.string()) for name in text_columns])
    try:
        table = pa.json.read_json(
            pa.BufferReader(data),
            read_options=pa.json.ReadOptions(block_size=_BLOCK),
            parse_options=pa.json.ParseOptions(explicit_schema=schema),
        )
        table.validate(full=True)
        if any(_needs_care(table.column(name)) for name in table.column_names):
            return None
    except (pa.ArrowException, RecursionError):
        return None
    # A blank line, or two objects in one, would shift the line numbers of every message.
    if table.num_rows != data.count(b"\n") + (not data.endswith(b"\n")):
        return None
    return table


def _sniff(data: bytes) -> list[str] | None:
    """Columns that hold text in the first lines, or None when a first line is no object or they hold maps from ids."""
    text: dict[str, bool] = {}
    rows: list[dict[str, Any]] = []
    for number, line in _lines(data):
        if number > _SNIFFED:
            break
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(row, dict):
            return None
        rows.append(row)
        for name, value in row.items():
            if value is not None:
                text[name] = isinstance(value, str) and text.get(name, True)
    return None if holds_maps(rows) else [name for name, holds in text.items() if holds]


def _holds_dates(kind: Any) -> bool:
    return pa.types.is_temporal(kind) or any(_holds_dates(kind.field(i).type) for i in range(kind.num_fields))


def _needs_care(column: Any) -> bool:
    if _holds_dates(column.type):
        return True
    if not pa.types.is_floating(column.type):
        return False
    largest = pc.max(pc.abs(column)).as_py()
    return largest is not None and not largest < _EXACT


def _slow(data: bytes, name: str) -> RawTable:
    return from_records(_parsed(data), name, "line")


def _parsed(data: bytes) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in _lines(data):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except UnicodeError:
            yield number, "line is not UTF-8"
        except (ValueError, RecursionError):
            yield number, "line is not JSON"
        else:
            yield number, object_or_reason(value, "line", escaped=b"\\ud" in line.lower())
