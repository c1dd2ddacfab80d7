"""What a reader hands on: columns as they stood in the file, with the place of every row kept for messages.

Readers fill a `RawTable`, published sets reshape it, `conform` turns it into the table of a `FeedbackLog`.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tacit.data.quarantine import Quarantine
from tacit.errors import DataError, did_you_mean

logger = logging.getLogger("tacit")

# Objects that have more names than this among so many rows are maps from ids, of which Arrow would make a column each.
_NAMES, _ROWS_LOOKED_AT = 1000, 1000

# CSV knows no types. The mark travels in the table's schema, so that roles given later read cells alike.
TEXT_CELLS = {b"tacit.cells": b"text"}


class NotUtf8:
    """Stands for a value whose text is not UTF-8: what Parquet files hold unchecked, or half a surrogate pair."""

    def __repr__(self) -> str:
        return "text that is not UTF-8"


@dataclass(frozen=True)
class Part:
    """One file of a log in several: place `before + 1` of the log is its place 1.

    Args:
        name: the file, as messages call it.
        unit: what its places count, "line" for JSONL.
        before: places in the files before it.
    """

    name: str
    unit: str
    before: int


def part_of(parts: Sequence[Part], place: int) -> Part:
    """The file that holds a place of the log, from 1."""
    return parts[bisect_left(parts, place, key=lambda part: part.before) - 1]


def told_place(name: str, unit: str, parts: Sequence[Part], place: int) -> str:
    """File and place in it, for a message; of a log in several files, the file that holds the row.

    Example:
        >>> told_place("logs", "line", [Part("logs/a.jsonl", "line", 0), Part("logs/b.jsonl", "line", 7)], 9)
        'logs/b.jsonl, line 2'
    """
    if not parts:
        return f"{name}, {unit} {place}"
    part = part_of(parts, place)
    return f"{part.name}, {part.unit} {place - part.before}"


@dataclass(frozen=True)
class RawTable:
    """Columns before validation.

    Args:
        table: the columns that Arrow can hold.
        name: file or dataset, as messages call it.
        places: int64 [N], where each row stands in its source, from 1; of several files, counted on through them.
        unit: "line" for JSONL, "row" elsewhere.
        mixed: columns whose values have several types, as Python objects; `conform` sorts them out or
            refuses.
        quarantine: rows that the reader could not parse.
        index: names of a data frame's index, which is no column.
        parts: the files, where there are several.
        unread: int64, places of the rows that the reader could not parse.
    """

    table: Any
    name: str
    places: npt.NDArray[np.int64]
    unit: str = "row"
    mixed: Mapping[str, list[Any]] = field(default_factory=dict)
    quarantine: Quarantine = field(default_factory=Quarantine)
    index: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    unread: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def text_cells(self) -> bool:
        """Whether every cell is text because the format has no types (CSV)."""
        return bool((self.table.schema.metadata or {}).get(b"tacit.cells") == b"text")

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return [*self.table.column_names, *self.mixed]

    @property
    def empty_columns(self) -> list[str]:
        """Names of those without a value in any row."""
        columns = zip(self.table.column_names, self.table.columns, strict=True)
        return [name for name, values in columns if values.null_count == len(values)]

    def where(self, index: int) -> str:
        """File and row of the row at `index`, for a message."""
        return told_place(self.name, self.unit, self.parts, int(self.places[index]))

    def column(self, name: str) -> Any:
        """A column: an Arrow chunked array, or a Python list when its values have several types."""
        if name in self.mixed:
            return self.mixed[name]
        return _plain(self.table.column(name))

    def values(self, name: str, first: int | None = None) -> list[Any]:
        """A column as Python objects; of its `first` rows alone, if given."""
        values = self.column(name)[:first]
        return values if isinstance(values, list) else list(values.to_pylist())

    def keep(self, mask: npt.NDArray[np.bool_], reasons: Mapping[str, npt.NDArray[np.bool_]]) -> RawTable:
        """Only the rows of `mask`; the others are quarantined under the `reasons` whose masks hold them."""
        if mask.all():
            return self
        return replace(
            self.with_bad({reason: np.flatnonzero(rows) for reason, rows in reasons.items()}),
            table=self.table.filter(pa.array(mask)),
            places=self.places[mask],
            mixed={
                name: [value for value, kept in zip(values, mask, strict=True) if kept]
                for name, values in self.mixed.items()
            },
        )

    def with_bad(self, reasons: Mapping[str, Sequence[int] | npt.NDArray[np.int64]]) -> RawTable:
        """The same rows, with those at these positions, from 0, in quarantine as well, by file and place in it."""
        quarantine = self.quarantine
        for reason, rows in reasons.items():
            places = self.places[np.asarray(rows, dtype=np.int64)]
            if not self.parts:
                quarantine = quarantine.plus(self.name, reason, places)
                continue
            for part, ends in zip(self.parts, self._ends(), strict=True):
                inside = places[(places > part.before) & (places <= ends)]
                quarantine = quarantine.plus(part.name, reason, inside - part.before)
        return replace(self, quarantine=quarantine)

    def _ends(self) -> list[float]:
        return [*(part.before for part in self.parts[1:]), math.inf]

    def made_of(
        self,
        columns: Mapping[str, Sequence[Any]],
        rows: Sequence[int],
        bad: Mapping[str, Sequence[int]] | None = None,
    ) -> RawTable:
        """A table made of this one, row by row: the columns, and for each row made the position of the one it is from.

        Args:
            columns: M values each.
            rows: M positions from 0.
            bad: positions from 0 of rows that gave none, by reason.
        """
        places = self.places[np.array(rows, dtype=np.int64)]
        made = from_lists(columns, self.name, places, self.unit)
        return replace(self.with_bad(bad or {}), table=made.table, places=places, mixed=made.mixed, index=())


def _plain(column: Any) -> Any:
    """An Arrow column as its values, however it packs or labels them; a UUID as text, as every other format has it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_decode(column)
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return pa.chunked_array(
                [[None if value is None else str(value) for value in column.to_pylist()]], pa.string()
            )
        return column.cast(kind.storage_type)
    return column


def from_arrow(table: Any, name: str) -> RawTable:
    """A `RawTable` over an Arrow table, rows counted from 1; columns of text that is not UTF-8 become mixed ones.

    Raises:
        DataError: two columns of one name.
    """
    twice = {column for column in table.column_names if table.column_names.count(column) > 1}
    if twice:
        raise DataError(f"{name}: column {min(twice)!r} stands twice; rename one of them")
    mixed = {}
    for index, column in enumerate(table.column_names):
        values = table.column(column)
        try:
            values.validate(full=True)
            kind = _without_views(values.type)
            if kind != values.type:
                table = table.set_column(index, column, values.cast(kind))
        except pa.ArrowInvalid:
            mixed[column] = [_value(scalar) for scalar in _plain(values)]
    return RawTable(table.drop_columns(list(mixed)), name, np.arange(1, table.num_rows + 1), mixed=mixed)


def _without_views(kind: Any) -> Any:
    """An Arrow type with plain text in the place of views, which polars hands out and Arrow cannot filter."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _without_views(kind.value_type), kind.ordered)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        listed = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return listed(_field_without_views(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([_field_without_views(kind.field(i)) for i in range(kind.num_fields)])
    return kind


def _field_without_views(field: Any) -> Any:
    return field.with_type(_without_views(field.type))


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return NotUtf8()


def from_lists(
    columns: Mapping[str, Sequence[Any]], name: str, places: npt.NDArray[np.int64], unit: str = "row"
) -> RawTable:
    """A `RawTable` from Python sequences or numpy arrays of one length.

    Columns that Arrow refuses, and maps from ids, stay Python lists; whole numbers beyond 64 bits, which only ids
    have, become text.

    Raises:
        DataError: columns of different lengths.
    """
    arrays: dict[str, Any] = {}
    mixed: dict[str, list[Any]] = {}
    for column, values in columns.items():
        if len(values) != len(places):
            raise DataError(
                f"{name}: column {column!r} has {len(values)} rows, the first column {len(places)}; "
                f"give all columns one length"
            )
        if holds_maps(values):
            mixed[column] = list(values)
            continue
        try:
            arrays[column] = pa.array(values)
        except UnicodeEncodeError:  # half a surrogate pair
            mixed[column] = [value if _encodes(value) else NotUtf8() for value in values]
        except OverflowError:
            if all(value is None or isinstance(value, int) for value in values):  # ids beyond 64 bits
                arrays[column] = pa.array([None if value is None else str(value) for value in values])
            else:
                mixed[column] = list(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            mixed[column] = list(values)
    # Without a column Arrow would forget the number of rows.
    table = pa.table(arrays) if arrays else pa.table({"": pa.nulls(len(places))}).select([])
    return RawTable(table=table, name=name, places=places, unit=unit, mixed=mixed)


def holds_maps(values: Sequence[Any]) -> bool:
    """Whether objects among the first values have names by the thousand, as messages by their ids do.

    Example:
        >>> holds_maps([{"role": "user"}] * 2000), holds_maps([{"by_id": {str(i): {}}} for i in range(2000)])
        (False, True)
    """
    if not any(isinstance(value, dict | list) for value in values[:_ROWS_LOOKED_AT]):
        return False
    names: set[tuple[int, Any]] = set()
    below = [(0, value) for value in values[:_ROWS_LOOKED_AT]]
    while below and len(names) <= _NAMES:
        depth, value = below.pop()
        if isinstance(value, dict):
            names |= {(depth, name) for name in value}
            below += [(depth + 1, one) for one in value.values()]
        elif isinstance(value, list):
            below += [(depth + 1, one) for one in value]
    return len(names) > _NAMES


def _encodes(value: Any) -> bool:
    try:
        pa.array([value])
    except UnicodeEncodeError:
        return False
    except (pa.ArrowException, OverflowError):
        pass
    return True


def _wrapped(raw: RawTable) -> str:
    """What to do with a file whose rows stand in a list within one object."""
    for name in raw.columns if len(raw) == 1 else ():
        value = raw.values(name)[0]
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            return f"; or, if they are the rows, write the list {name!r} to a file of its own"
    return ""


def need_columns(raw: RawTable, wanted: Iterable[tuple[str, str]], *, by_option: bool = False) -> None:
    """Refuse a log that lacks one of the (column, part) in `wanted`.

    Args:
        raw: the table as it was read.
        wanted: columns and what they are for.
        by_option: another column can be named for a part, by an option that is called like it.

    Raises:
        DataError: naming the column, its near matches and what there is.
    """
    available = raw.columns
    for column, part in wanted:
        if column in available:
            continue
        hint = did_you_mean(column, available)
        name, _, meaning = column.rpartition(":")
        if part == "signal" and meaning in ("positive", "negative", "explicit") and name in available:
            hint = (
                f"; Signal takes the column's name alone: write Signal.parse({column!r}), or the text itself"
            )
        elif column in raw.index:
            hint = "; it is in the frame's index: read frame.reset_index()"
        elif by_option and column == part:  # a default that nobody wrote
            hint += f"; name yours: --{part} COLUMN, in Python {part}=COLUMN"
        if part in ("prompt", "response"):
            hint += _wrapped(raw)
        shown = ", ".join(available[:20]) + (", …" if len(available) > 20 else "")
        raise DataError(
            f"{raw.name}: no column {column!r} (wanted as {part}){hint}; columns: {shown or 'none'}"
        )
