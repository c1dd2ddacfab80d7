"""JSON objects, one after the other, as a table: what cannot be a row is quarantined with its place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tacit.data.quarantine import Quarantine
from tacit.data.raw import RawTable, from_lists
from tacit.errors import DataError


def json_bytes(path: Path) -> bytes:
    """What a file of JSON holds, unpacked and without a byte order mark."""
    data = path.read_bytes()
    if path.suffix.lower() == ".gz":
        data = gzip.decompress(data)
    return data.removeprefix(b"\xef\xbb\xbf")


def from_records(records: Iterable[tuple[int, dict[str, Any] | str]], name: str, unit: str) -> RawTable:
    """A `RawTable` of objects with their places; text in the place of an object is why there is none.

    Raises:
        DataError: there are records, and none is an object.
    """
    columns: dict[str, list[Any]] = {}
    places: list[int] = []
    bad: dict[str, list[int]] = {}
    for place, record in records:
        if isinstance(record, str):
            bad.setdefault(record, []).append(place)
            continue
        for column, value in record.items():
            if column not in columns:
                columns[column] = [None] * len(places)
            columns[column].append(value)
        places.append(place)
        for values in columns.values():
            if len(values) < len(places):
                values.append(None)
    quarantine = Quarantine()
    for reason, numbers in bad.items():
        quarantine = quarantine.plus(name, reason, numbers)
    if bad and not places:
        raise DataError(
            f"{name}: no {unit} holds a JSON object ({quarantine.describe()}); expected one per {unit}"
        )
    raw = from_lists(columns, name, np.array(places, dtype=np.int64), unit=unit)
    unread = np.array([number for numbers in bad.values() for number in numbers], dtype=np.int64)
    return replace(raw, quarantine=quarantine, unread=unread)


def object_or_reason(value: Any, unit: str, *, escaped: bool) -> dict[str, Any] | str:
    """A parsed value if it is an object of legal text, else why it cannot be a row.

    Args:
        value: what JSON gave.
        unit: what it is in its file: "line", "item".
        escaped: its text may hold half a surrogate pair (`\\ud800`), which is legal JSON and no text.
    """
    if not isinstance(value, dict):
        return f"{unit} is not a JSON object"
    if escaped:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeError:
            return f"{unit} is not UTF-8"
    return value
