"""Is a file what its name says? Decided by its first bytes, before a parser fails with a riddle."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from tacit.errors import DataError

_MAGIC = {
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip archive",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF",
    b"BZh": "a bzip2 file",
    b"\x28\xb5\x2f\xfd": "a zstandard file",
    b"\xfd7zXZ": "an xz file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_EXPECTED = {
    "jsonl": "one JSON object per line",
    "json": "one JSON array of objects",
    "csv": "comma-separated text",
    "parquet": "a Parquet file",
}
_HEAD = 4096


def check_magic(path: Path, kind: str) -> None:
    """Refuse a file whose first bytes contradict `kind` ("jsonl", "json", "csv" or "parquet").

    Raises:
        DataError: saying what the file seems to be.
    """
    zipped = path.name.lower().endswith(".gz")
    with path.open("rb") as handle:
        head = handle.read(_HEAD)
    if zipped:
        if head and not head.startswith(b"\x1f\x8b"):
            found = magic_of(head) or "plain text"
            raise DataError(
                f"{path}: not what its name says: it holds {found}, expected gzip; take .gz off its name"
            )
        if kind == "parquet":
            raise DataError(f"{path}: Parquet is compressed inside; unzip the file and name it .parquet")
        with gzip.open(path) as stream:
            head = stream.read(_HEAD)
    found = magic_of(head)
    if kind == "parquet":
        if found != "a Parquet file":
            raise _refusal(path, found or "text", kind)
        return
    if found:
        raise _refusal(path, found, kind)
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if kind == "jsonl" and first and first != b"{" and not _some_line_is_object(head):
        seems = "one JSON array; name it .json" if first == b"[" else "CSV or other text"
        raise _refusal(path, seems, kind)
    if kind == "json" and first and first not in b"[{":
        raise _refusal(path, "CSV or other text", kind)
    if kind == "csv" and first == b"{":
        raise _refusal(path, "JSON; name it .jsonl", kind)
    if kind == "csv" and re.match(rb"\s*\[\s*\{", head):  # a bracket alone may open the name of a column
        raise _refusal(path, "JSON; name it .json", kind)


def _some_line_is_object(head: bytes) -> bool:
    """A damaged first line is one bad row, not another format."""
    return any(line.lstrip().startswith(b"{") for line in head.splitlines()[1:])


def magic_of(head: bytes) -> str:
    """What the first bytes say a file is, if they are those of a binary format; else nothing."""
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    return "binary data" if b"\0" in head else ""


def _refusal(path: Path, found: str, kind: str) -> DataError:
    return DataError(f"{path}: not what its name says: it holds {found}, expected {_EXPECTED[kind]}")
