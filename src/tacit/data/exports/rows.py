"""Rows of an export in which tables of several kinds stand together: what each row holds, and in which type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from tacit.data.exports.payloads import is_utf8, parsed
from tacit.data.raw import RawTable


def records(raw: RawTable, wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """Each row as what it holds of the wanted columns, nulls left out."""
    names = [name for name in raw.columns if wanted(name)]
    columns = [raw.values(name) for name in names]
    for row in range(len(raw)):
        yield {
            name: values[row] for name, values in zip(names, columns, strict=True) if is_there(values[row])
        }


def first(record: Mapping[str, Any], *names: str) -> Any:
    """The first of these members that is there."""
    return next((record[name] for name in names if is_there(record.get(name))), None)


def name_of(value: Any) -> str | None:
    """An id or another short text, or None where it is none."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        return None
    return str(value) if is_utf8(str(value)) else None


def time_of(value: Any) -> Any:
    """A time as it stands, or None where it is none."""
    return value if isinstance(value, float | datetime) else name_of(value) and value


def members(value: Any) -> dict[str, Any]:
    """An object, also as JSON, and nothing in the place of anything else."""
    found = parsed(value)
    return found if isinstance(found, dict) else {}


def is_there(value: Any) -> bool:
    """Whether there is a value; an empty cell is none."""
    return value is not None and value != ""
