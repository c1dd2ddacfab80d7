"""Readers: any supported file, several files, folder, hub id or table object becomes a `RawTable`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tacit.data.raw import RawTable
from tacit.data.readers.one_file import kind_of, read_file
from tacit.data.readers.several import (
    files_below,
    is_pattern,
    matches,
    read_several,
    readable,
    split_pattern,
    would_match,
)
from tacit.errors import DataError

STANDARD_INPUT = "-"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def open_raw(source: str | Path | Any) -> RawTable:
    """Read `source`, a path, a pattern, a hub id or a table object, without interpreting its columns.

    Raises:
        DataError: nothing there, an unknown kind of file, or a file that is not what its name says.
    """
    if isinstance(source, RawTable):
        return source
    if isinstance(source, list) and source and all(isinstance(item, str | Path) for item in source):
        return _read_list([Path(item) for item in source])
    if not isinstance(source, str | Path):
        from tacit.data.readers.objects import read_object

        return read_object(source)
    if source == STANDARD_INPUT:
        from tacit.data.readers.piped import read_standard_input

        return read_standard_input()
    return _read_path(source)


def _read_path(source: str | Path) -> RawTable:
    path = Path(source)
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return read_file(path)
    if is_pattern(source):
        return _read_pattern(source)
    if isinstance(source, str) and kind_of(path) == "" and _HUB_ID.fullmatch(source):
        from tacit.data.readers.hub import read_hub

        return read_hub(source)
    if path.exists():
        raise DataError(
            f"{source}: a pipe or a device, expected a file; write it to a file first, or pipe it into -"
        )
    raise DataError(
        f"{source}: no such file or folder; expected a log file, a folder of them, a pattern in quotes or a hub id "
        f"owner/name"
    )


def _read_folder(path: Path) -> RawTable:
    from tacit.data.readers.hub import is_dataset, read_folder

    if is_dataset(path):
        return read_folder(path)
    files, passed = readable(files_below(path))
    if files:
        return read_several(files, str(path), path, passed=passed)
    raise DataError(
        f"{path}: a folder without state.json and without log files; expected a folder of Dataset.save_to_disk or "
        f"one of .jsonl, .json, .csv or .parquet files"
    )


def _read_pattern(source: str | Path) -> RawTable:
    files, passed = readable(matches(source))
    if not files:
        raise DataError(
            f"{source}: no file matches this pattern; expected .jsonl, .ndjson, .json, .parquet or .csv files, the "
            f"text forms also as .gz"
        )
    return read_several(files, str(source), split_pattern(source)[0], passed=passed)


def _read_list(files: list[Path]) -> RawTable:
    for file in files:
        if not file.is_file():
            raise DataError(f"{file}: no such file; in a list of paths, expected log files")
        if not kind_of(file):
            read_file(file)  # says what it cannot tell
        if files.count(file) > 1:
            raise DataError(f"{file}: stands twice in the list of paths; drop one")
    if len(files) == 1:
        return read_file(files[0])
    return read_several(files, f"{files[0]} and {len(files) - 1} more", None)


__all__ = ["STANDARD_INPUT", "open_raw", "would_match"]
