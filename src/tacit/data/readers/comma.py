"""CSV. Every cell is read as text, because only its column's role tells how: "123" may be a prompt."""

from __future__ import annotations

import csv
import gzip
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tacit.data.raw import TEXT_CELLS, RawTable, from_arrow
from tacit.errors import DataError, one_line

_BLOCK = 1 << 25
_HEADER = 1 << 20  # bytes in which the header has to end
_QUOTES = re.compile(rb'""*')  # a pattern that begins with a plain character is found four times as fast


def read_csv(path: Path) -> RawTable:
    """Read a CSV file with a header, plain or gzipped; an empty cell is null, a ragged row is quarantined.

    Raises:
        DataError: no header, a column named twice, a quoted cell left open, or text that is not UTF-8.
    """
    data = path.read_bytes()
    if path.suffix.lower() == ".gz":
        data = gzip.decompress(data)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise DataError(f"{path}: the log is empty; expected a header and at least one row")
    header = _header(data, path)
    _check_quotes(data, path)
    bad: list[int] = []

    def note(row: Any) -> str:
        bad.append(row.number - 1)  # Arrow counts the header
        return "skip"

    try:
        table = pa.csv.read_csv(
            pa.BufferReader(data),
            # One thread, because only then does Arrow know the numbers of the rows it skips.
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
        raw = from_arrow(table.replace_schema_metadata(TEXT_CELLS), str(path))
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        _check_utf8(data, path)
        raise DataError(f"{path}: not readable as CSV: {one_line(error)}") from error
    if not bad:
        return raw
    rows = np.arange(1, table.num_rows + len(bad) + 1)
    reason = f"row has not the header's {table.num_columns} cells"
    unread = np.array(bad, dtype=np.int64)
    return replace(
        raw,
        places=np.setdiff1d(rows, unread),
        quarantine=raw.quarantine.plus(raw.name, reason, bad),
        unread=unread,
    )


def _header(data: bytes, path: Path) -> list[str]:
    """Names of the columns: the first record, blank lines passed over as Arrow does."""
    text = io.StringIO(data[:_HEADER].decode(errors="replace"), newline="")
    try:
        header = next(record for record in csv.reader(text) if record)
    except csv.Error as error:
        _check_quotes(data, path)
        raise DataError(f"{path}: the header is not readable: {error}; expected names of columns") from error
    other = next((mark for mark in (";", "\t", "|") if mark in header[0]), None)
    if other is not None and len(header) == 1 and "," not in header[0]:
        raise DataError(
            f"{path}: the header is one cell that holds {other!r}, expected cells between commas; write the file anew "
            f"with commas"
        )
    return header


def _check_utf8(data: bytes, path: Path) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        found = data[error.start]
        raise DataError(
            f"{path}, line {_line(data, error.start)}: not UTF-8: holds the byte 0x{found:02x}; save the file as UTF-8"
        ) from error


def _line(data: bytes, at: int) -> int:
    """The line of the file, as editors count, that holds the byte at `at`."""
    return len(data[: at + 1].splitlines())


def _check_quotes(data: bytes, path: Path) -> None:
    """Refuse a quoted cell that does not end where a cell ends: it may have swallowed rows, and Arrow does not say."""
    opened = None
    for run in _QUOTES.finditer(data):
        start, end = run.span()
        if opened is None:
            if start and data[start - 1] not in b",\r\n":
                continue  # a quote amid plain text is a character like any other
            opened = start
            start += 1
        if (end - start) % 2:  # two quotes stand for one, the odd one closes
            if data[end : end + 1] not in (b"", b",", b"\r", b"\n"):
                break
            opened = None
    if opened is not None:
        raise DataError(
            f"{path}, line {_line(data, opened)}: a quoted cell opens here and does not close before a comma or "
            f'the end of a line; close it, or write a quote within a cell as "" and the cell in quotes'
        )
