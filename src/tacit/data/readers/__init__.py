"""Readers: any supported file, folder, hub id or table object becomes a `RawTable`."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

from tacit.data.raw import RawTable
from tacit.data.readers.magic import check_magic
from tacit.errors import DataError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def open_raw(source: str | Path | Any) -> RawTable:
    """Read `source`, a path, a hub id or a table object, without interpreting its columns.

    Raises:
        DataError: nothing there, an unknown kind of file, or a file that is not what its name says.
    """
    if not isinstance(source, str | Path):
        from tacit.data.readers.objects import read_object

        return read_object(source)
    path = Path(source)
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return _read_file(path)
    kind = _kind(path)
    if isinstance(source, str) and kind == "" and _HUB_ID.fullmatch(source):
        from tacit.data.readers.hub import read_hub

        return read_hub(source)
    if path.exists():
        raise DataError(f"{source}: a pipe or a device, expected a file; write it to a file first")
    if any(mark in str(source) for mark in "*?["):
        raise DataError(
            f"{source}: no such file, and patterns are not read; name one file, or the folder of the Parquet files"
        )
    raise DataError(
        f"{source}: no such file or folder; expected a log file, a dataset folder or a hub id owner/name"
    )


def _read_folder(path: Path) -> RawTable:
    from tacit.data.readers.hub import is_dataset, read_folder

    if is_dataset(path):
        return read_folder(path)
    from tacit.data.readers.parquet import parquet_files, read_parquet_folder

    files = parquet_files(path)
    if files:
        return read_parquet_folder(path, files)
    raise DataError(
        f"{path}: a folder without state.json and without Parquet files; expected a log file, a folder of "
        f"Dataset.save_to_disk or one of Parquet files"
    )


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return {
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".json": "json",
        ".parquet": "parquet",
        ".csv": "csv",
    }.get(Path(name).suffix, "")


def _read_file(path: Path) -> RawTable:
    kind = _kind(path)
    if not kind:
        raise DataError(
            f"{path}: cannot tell the format from the name; expected .jsonl, .ndjson, .json, .parquet or .csv, "
            f"the text forms also as .gz"
        )
    try:
        check_magic(path, kind)
        if kind == "jsonl":
            from tacit.data.readers.jsonl import read_jsonl

            return read_jsonl(path)
        if kind == "json":
            from tacit.data.readers.array import read_json

            return read_json(path)
        if kind == "csv":
            from tacit.data.readers.comma import read_csv

            return read_csv(path)
        from tacit.data.readers.parquet import read_parquet

        return read_parquet(path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
