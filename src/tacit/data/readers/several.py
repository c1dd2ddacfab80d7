"""A log in several files of one format, a day each, say: a folder, a pattern or a list of paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from tacit.data.quarantine import Quarantine
from tacit.data.raw import TEXT_CELLS, Part, RawTable, logger
from tacit.data.readers.one_file import kind_of, read_file
from tacit.errors import DataError, one_line

_WIDEN = "permissive"  # one null makes pandas write a column of 0 and 1 as floats
_FORMATS = {"jsonl": "JSON", "json": "JSON", "csv": "CSV", "parquet": "Parquet"}
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"-?[0-9]{1,18}")


def is_pattern(source: str | Path) -> bool:
    """Whether a path that is none stands for many."""
    return any(mark in str(source) for mark in "*?[")


def split_pattern(source: str | Path) -> tuple[Path, str]:
    """The folder that a pattern starts from, and the pattern below it; `~`, kept from the shell by quotes, is home.

    Example:
        >>> folder, pattern = split_pattern("logs/dt=*/part-?.jsonl")
        >>> folder.name, pattern
        ('logs', 'dt=*/part-?.jsonl')
    """
    parts = Path(source).expanduser().parts
    first = next(i for i, part in enumerate(parts) if is_pattern(part))
    return Path(*parts[:first]), "/".join(parts[first:])


def files_below(folder: Path) -> set[Path]:
    """Files below a folder; hidden ones (`.tmp`, `_temporary/`) are none."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path for path in found if not _hidden(path.relative_to(folder))}


def matches(source: str | Path) -> set[Path]:
    """Files that a pattern matches, or that lie below a folder it matches.

    Names that begin with `.` or `_` are passed over unless the pattern has one that does.

    Raises:
        DataError: `**` within a name.
    """
    base, pattern = split_pattern(source)
    try:
        found = list(base.glob(pattern))
    except ValueError as error:  # "**" within a name
        raise DataError(f"{source}: not a pattern that can be read: {error}") from error
    asked = _hidden(Path(pattern))
    files: set[Path] = set()
    for path in found:
        if _hidden(path.relative_to(base)) and not asked:
            continue
        files |= files_below(path) if path.is_dir() else {path}
    return files


def readable(found: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Files of a known format in order of their paths, each once whatever links lead to it; and those passed over."""
    files: list[Path] = []
    passed: list[Path] = []
    seen: set[Path] = set()
    for path in sorted(found):
        (files if kind_of(path) and path.resolve() not in seen else passed).append(path)
        seen.add(path.resolve())
    return files, passed


def would_match(source: str | Path, new: Path) -> bool:
    """Whether a file, once written, would be read by a pattern (or lie in a folder that is), or may be.

    Example:
        >>> would_match("logs/*.jsonl", Path("logs/scores.jsonl")), would_match("logs/*.jsonl", Path("scores.jsonl"))
        (True, False)
    """
    if not is_pattern(source) or Path(source).exists():
        return False
    base, pattern = split_pattern(source)
    meant, place = base.resolve() / pattern, new.resolve()
    return any(fnmatch(str(path), str(meant)) for path in (place, *place.parents))


def read_several(
    files: Sequence[Path], name: str, base: Path | None, *, passed: Sequence[Path] = ()
) -> RawTable:
    """Read `files` as one table; folders below `base` called `key=value` are columns, as Hive writes them.

    A column that a file lacks is null there. Numbers of several widths take the widest; a column of types that do not
    go together is kept value by value, as one of several types within a file is.

    Args:
        files: of one format, in the order of their rows.
        name: what messages about the whole call it.
        base: where folders begin to be columns; None makes none of any.
        passed: files that lie there too and are not read; told.

    Raises:
        DataError: files of two formats, one that cannot be read, or a whole number that no float holds among floats.
    """
    _refuse_formats(files, name)
    # Without a byte: a day on which nothing happened.
    files = [file for file in files if kind_of(file) == "parquet" or file.stat().st_size]
    if not files:
        return RawTable(pa.table({}), name, np.zeros(0, dtype=np.int64))
    text = kind_of(files[0]) == "csv"
    keys = _keys(files, base, text=text)
    raws = [read_file(file) for file in files]
    others = f", others passed over: {len(passed)} ({passed[0]}{', …' * (len(passed) > 1)})" if passed else ""
    logger.info("%s: read %d %s files%s", name, len(files), _FORMATS[kind_of(files[0])], others)
    mixed = _values_of([name for name in _mixed(raws) if name not in keys], raws)
    tables = [
        _with_keys(raw.table, {key: values[index] for key, values in keys.items()}, mixed)
        for index, raw in enumerate(raws)
    ]
    try:
        table = pa.concat_tables(tables, promote_options=_WIDEN)
    except pa.ArrowException as error:  # a whole number of more digits than a float has
        raise DataError(
            f"{name}: its files are not readable as one table: {one_line(error)}; write each column with "
            f"one type"
        ) from error
    return _placed(raws, table.replace_schema_metadata(TEXT_CELLS if text else None), mixed, name)


def _placed(raws: Sequence[RawTable], table: Any, mixed: Mapping[str, list[Any]], name: str) -> RawTable:
    """The table of all files, with every place counted on from the last of the file before."""
    parts: list[Part] = []
    quarantine, before = Quarantine(), 0
    for raw in raws:
        parts.append(Part(raw.name, raw.unit, before))
        quarantine = quarantine.and_then(raw.quarantine)
        before += int(max(raw.places.max(initial=0), raw.unread.max(initial=0)))
    counted = list(zip(raws, parts, strict=True))
    return RawTable(
        table,
        name,
        np.concatenate([raw.places + part.before for raw, part in counted]),
        raws[0].unit,
        mixed,
        quarantine,
        parts=tuple(parts),
        unread=np.concatenate([raw.unread + part.before for raw, part in counted]),
    )


def _hidden(path: Path) -> bool:
    return any(part[0] in "._" for part in path.parts if part != "..")


def _refuse_formats(files: Sequence[Path], name: str) -> None:
    first: dict[str, Path] = {}
    for file in files:
        first.setdefault(_FORMATS[kind_of(file)], file)
    if len(first) > 1:
        found = " and ".join(f"{kind} ({file})" for kind, file in first.items())
        raise DataError(
            f"{name}: holds files of {len(first)} formats, {found}, expected one; name those "
            f"you mean by a pattern, such as 'logs/*.jsonl'"
        )


def _keys(files: Sequence[Path], base: Path | None, *, text: bool) -> dict[str, Any]:
    """Columns of folders called `key=value`: a value for each file, null where its path has none."""
    found: dict[str, list[str | None]] = {}
    for index, file in enumerate(files if base is not None else ()):
        for folder in file.relative_to(base or ".").parts[:-1]:
            key, equals, value = folder.partition("=")
            if key and equals:
                values = found.setdefault(unquote(key), [None] * len(files))
                values[index] = None if value == _NO_VALUE else unquote(value)
    return {key: _typed(values, text=text) for key, values in found.items()}


def _typed(values: Sequence[str | None], *, text: bool) -> Any:
    """Whole numbers where all are; cells of CSV are text."""
    if not text and all(value is None or _WHOLE.fullmatch(value) for value in values):
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    return pa.array(values, pa.string())


def _mixed(raws: Iterable[RawTable]) -> list[str]:
    """Columns whose values have several types in some file, or types that do not go together in two."""
    found: dict[str, None] = {}
    types: dict[str, Any] = {}
    for raw in raws:
        found |= dict.fromkeys(raw.mixed)
        for column in raw.table.schema.remove_metadata():
            try:
                both = [pa.schema([types.get(column.name, column)]), pa.schema([column])]
                types[column.name] = pa.unify_schemas(both, promote_options=_WIDEN).field(0)
            except pa.ArrowException:
                found[column.name] = None
    return list(found)


def _values_of(names: Iterable[str], raws: Sequence[RawTable]) -> dict[str, list[Any]]:
    """Columns over all files, as Python objects."""
    return {
        column: [
            value
            for raw in raws
            for value in (raw.values(column) if column in raw.columns else [None] * len(raw))
        ]
        for column in names
    }


def _with_keys(table: Any, keys: Mapping[str, Any], mixed: Iterable[str]) -> Any:
    """A file's columns, less those that are kept as Python objects, and the values of its folders."""
    table = table.drop_columns([column for column in mixed if column in table.column_names])
    for key, value in keys.items():
        column = pa.repeat(value, table.num_rows)
        if key in table.column_names:
            table = table.drop_columns([key])
        table = table.append_column(key, column)
    return table
