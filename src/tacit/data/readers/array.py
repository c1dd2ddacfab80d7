"""A `.json` file: one array of objects, as export buttons write it, one object, or JSON lines under that name."""

from __future__ import annotations

import json
from pathlib import Path

from tacit.data.raw import RawTable
from tacit.data.readers.jsonl import read_jsonl_bytes
from tacit.data.readers.records import from_records, json_bytes, object_or_reason
from tacit.errors import DataError


def read_json(path: Path) -> RawTable:
    """Read an array of JSON objects, plain or gzipped; items that are none are quarantined, counted from 1.

    One object alone is one row, over however many lines it is written.

    Raises:
        DataError: it is not JSON, or not one item is an object.
    """
    return read_json_bytes(json_bytes(path), str(path))


def read_json_bytes(data: bytes, name: str) -> RawTable:
    """Read the content of such a file, in UTF-8 without a byte order mark.

    Raises:
        DataError: as `read_json`.
    """
    if data.lstrip()[:1] != b"[":
        return _read_lines(data, name)
    try:
        items = json.loads(data)
    except (ValueError, RecursionError) as error:  # an encoding error is a ValueError
        raise DataError(f"{name}: is not JSON: {error}; expected one array of objects") from None
    escaped = b"\\ud" in data.lower()
    records = (
        (number, object_or_reason(item, "item", escaped=escaped)) for number, item in enumerate(items, 1)
    )
    return from_records(records, name, "item")


def _read_lines(data: bytes, name: str) -> RawTable:
    try:
        whole = json.loads(data) if data.strip() else None
    except (ValueError, RecursionError):
        whole = None  # several objects, a line each
    if isinstance(whole, dict) and data.strip().count(b"\n"):
        return from_records(
            [(1, object_or_reason(whole, "item", escaped=b"\\ud" in data.lower()))], name, "item"
        )
    return read_jsonl_bytes(data, name)
