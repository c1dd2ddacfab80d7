"""The rows of a log's file as they stood there, those in quarantine too: what results are written beside."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from logging import LogRecord
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from tacit.data.log import FeedbackLog
from tacit.data.raw import NotUtf8, RawTable, logger
from tacit.data.readers import open_raw
from tacit.errors import ConfigError, DataError, one_line
from tacit.files import atomic_path

_BATCH = 4096  # rows turned into Python objects at once


@dataclass(frozen=True, eq=False)
class InputRows:
    """Every row of the file that a log was read from, in its order.

    Args:
        raw: the rows that the reader could parse, with the columns of the file.
        parsed: int64, place of each of these among all rows, from 0.
        used: int64 [N], place of each row of the log.
        total: of the rows, those that hold nothing included; blank lines are none.

    Example:
        >>> from tacit.data import Roles
        >>> log = FeedbackLog.from_columns({"prompt": ["a", "b"], "response": ["", "yes"]}, Roles())
        >>> rows = InputRows.of(log, pa.table({"prompt": ["a", "b"], "response": ["", "yes"]}))
        >>> rows.spread([0.5])
        [None, 0.5]
    """

    raw: RawTable
    parsed: npt.NDArray[np.int64]
    used: npt.NDArray[np.int64]
    total: int

    @classmethod
    def of(cls, log: FeedbackLog, source: str | Path | Any) -> InputRows:
        """The rows of `source`, from which `log` was read.

        A published set of which one row becomes several is taken as the log holds it.

        Raises:
            DataError: rows of such a set are in quarantine, which leaves their places open.
        """
        with _silence():  # the notes were made when the log was read
            raw = open_raw(source)
        total = len(raw) + raw.quarantine.total
        places = np.arange(1, len(log) + 1) if log.places is None else log.places
        told = {log.roles.prompt, log.roles.response} <= set(raw.columns)
        if told and len(log) + log.quarantine.total == total and (np.diff(places) > 0).all():
            number = np.sort(np.concatenate([raw.places, raw.unread]))
            return cls(raw, np.searchsorted(number, raw.places), np.searchsorted(number, places), total)
        if log.quarantine.total:
            raise DataError(
                f"{log.name}: {log.quarantine.describe()}, and in this set a row may hold several responses, so their "
                "places are open; mend them"
            )
        every = np.arange(len(log))
        return cls(RawTable(log.table, log.name, every + 1), every, every, len(log))

    def spread(self, values: Sequence[Any] | npt.NDArray[Any]) -> list[Any]:
        """Values of the log's rows [N] as values of all rows, None where a row could not be used."""
        result: list[Any] = [None] * self.total
        for place, value in zip(self.used.tolist(), values, strict=True):
            result[place] = value
        return result

    def write(self, out: Path, more: Mapping[str, Sequence[float | None]]) -> list[str]:
        """Write all rows with further columns, as Parquet or JSON lines by the name's ending, whole or not at all.

        Args:
            out: a file; one that is there is replaced.
            more: columns by name, a value for each of all rows.

        Returns:
            Names of columns that hold values of several types, and stand in Parquet as text: what is not text as JSON.

        Raises:
            ConfigError: Parquet cannot hold a column.
        """
        parquet = ending(out) == ".parquet"
        mixed = list(self.raw.mixed) if parquet else []
        with atomic_path(out.resolve()) as temporary:  # of a link, what it leads to is written
            if parquet:
                self._write_parquet(temporary, out, more)
            else:
                self._write_lines(temporary, more)
        return mixed

    def _write_parquet(self, temporary: Path, out: Path, more: Mapping[str, Sequence[float | None]]) -> None:
        rows = self._rows()
        columns = {
            name: pa.array([_text(value) for value in self._mixed(name)], pa.string())
            if name in self.raw.mixed
            else self.raw.column(name).take(rows)
            for name in self.raw.columns
        }
        columns |= {name: pa.array(values, pa.float32()) for name, values in more.items()}
        try:
            pa.parquet.write_table(pa.table(columns), temporary)
        except pa.ArrowException as error:
            raise ConfigError(
                f"{out}: Parquet cannot hold these rows: {one_line(error)}; name a file that ends in .jsonl"
            ) from None

    def _write_lines(self, temporary: Path, more: Mapping[str, Sequence[float | None]]) -> None:
        rows = self._rows()
        columns = {name: self.raw.column(name) for name in self.raw.columns if name not in self.raw.mixed}
        others = {name: self._mixed(name) for name in self.raw.mixed} | {
            name: list(values) for name, values in more.items()
        }
        with temporary.open("w", encoding="utf-8") as file:
            for start in range(0, self.total, _BATCH):
                part = slice(start, start + _BATCH)
                values = {name: column.take(rows[part]).to_pylist() for name, column in columns.items()}
                values |= {name: column[part] for name, column in others.items()}
                for row in zip(*values.values(), strict=True):
                    line = {name: _plain(value) for name, value in zip(values, row, strict=True)}
                    file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")

    def _rows(self) -> Any:
        """Position of every row in `raw`, null where the reader could not parse it."""
        position = np.full(self.total, -1)
        position[self.parsed] = np.arange(len(self.parsed))
        return pa.array(position, mask=position < 0)

    def _mixed(self, name: str) -> list[Any]:
        result: list[Any] = [None] * self.total
        for place, value in zip(self.parsed.tolist(), self.raw.mixed[name], strict=True):
            result[place] = value
        return result


@contextmanager
def _silence() -> Iterator[None]:
    def nothing(record: LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def ending(out: Path) -> str:
    """The ending of a file of rows: ".parquet" or ".jsonl".

    Raises:
        ConfigError: another.

    Example:
        >>> ending(Path("scores.JSONL"))
        '.jsonl'
    """
    found = out.suffix.lower()
    if found not in (".parquet", ".jsonl"):
        raise ConfigError(
            f"--out {out}: the name ends in {found or 'nothing'!r}, expected .parquet or .jsonl"
        )
    return found


def _text(value: Any) -> str | None:
    plain = _plain(value)
    return plain if plain is None or isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it; text that is none, and numbers that are none, become null."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _spelled(value)


def _spelled(value: Any) -> str | None:
    """A value that JSON has no form for, as text."""
    if isinstance(value, NotUtf8):
        return None
    if isinstance(value, bytes):
        return value.hex()
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


__all__ = ["InputRows", "ending"]
