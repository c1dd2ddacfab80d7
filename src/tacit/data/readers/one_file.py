"""One file: its name says the format, its first bytes have to agree."""

from __future__ import annotations

import zlib
from pathlib import Path

from tacit.data.raw import RawTable
from tacit.data.readers.magic import check_magic
from tacit.errors import DataError, one_line

_KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".csv": "csv",
}


def kind_of(path: Path) -> str:
    """The format by the name: "jsonl", "json", "parquet", "csv", or "" for another."""
    return _KINDS.get(Path(path.name.lower().removesuffix(".gz")).suffix, "")


def read_file(path: Path) -> RawTable:
    """Read one file.

    Raises:
        DataError: an unknown kind of file, or one that is not what its name says.
    """
    kind = kind_of(path)
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
        raise DataError(f"{path}: cannot be read: {one_line(error)}") from error
