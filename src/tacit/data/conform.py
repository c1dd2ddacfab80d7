"""The border: a raw table and its roles become a table that the house can trust, or one clear error."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tacit.data import activity, columns
from tacit.data.raw import NotUtf8, RawTable, logger, need_columns
from tacit.data.roles import Roles
from tacit.data.texts import Bad, is_text, read_texts
from tacit.errors import DataError

# How JSON and Python write a list of messages.
_SPELLED = r"""^\s*\[\s*\{\s*["'](role|content)["']\s*:"""


def conform(raw: RawTable, roles: Roles, max_bad: int | None = None) -> RawTable:
    """Validate `raw` against `roles`: rows without usable text are quarantined, columns get their types.

    Afterwards prompt and response are text or chat arrays, signals and exposures int8 with nulls, gold and
    rank float64 with nulls, context float64 or text without nulls; other columns stay as they were.

    Raises:
        DataError: an empty log, a missing column, a value outside its role's range, more than `max_bad` rows
            quarantined, or all of them.
    """
    found = len(raw) + raw.quarantine.total
    if not found:
        raise DataError(f"{raw.name}: the log is empty; expected at least one row")
    named = activity.without_computed(raw, roles) if len(raw) else roles
    if len(raw):
        need_columns(raw, named.columns(), by_option=True)
        _import_pandas()
        raw = _read_texts(raw, roles)
    quarantine = raw.quarantine
    if max_bad is not None and quarantine.total > max_bad:
        raise DataError(
            f"{raw.name}: {quarantine.total} of {found} rows cannot be used, more than max_bad={max_bad} (--max-bad); "
            f"commonest reason: {_commonest(raw)}"
        )
    if not len(raw):
        raise DataError(
            f"{raw.name}: none of the {found} rows can be used; commonest reason: {_commonest(raw)}"
        )
    raw = _with_columns(raw, _read_values(raw, named))
    if named != roles:
        raw = _with_columns(raw, activity.computed(raw.table, roles))
        raw = replace(raw, table=activity.marked(raw.table))
    for name in raw.mixed:
        logger.info("%s: column %r has values of several types and no role; left out", raw.name, name)
    return replace(raw, mixed={})


def _import_pandas() -> None:
    """Import pandas in Python, where Ctrl-C ends the import and the command.

    Arrow imports it anyway, within its first conversion to numpy and in C++, which takes any error, Ctrl-C too, to say
    that there is no pandas.
    """
    with suppress(ImportError):
        import_module("pandas")


def note_spelled_messages(raw: RawTable, roles: Roles) -> None:
    """Say once that texts spell out messages: as CSV has no lists, conversations are easily written so."""
    for name, part in ((roles.prompt, "prompt"), (roles.response, "response")):
        column = raw.column(name)
        if is_text(column.type):
            first = pc.index(pc.match_substring_regex(column, _SPELLED), True).as_py()
            if first >= 0:
                logger.warning(
                    "%s: column %r (%s) is text that spells a list of messages and is read as plain text; for "
                    "conversations write the list itself, as JSON lines or Parquet",
                    raw.where(first),
                    name,
                    part,
                )


def _commonest(raw: RawTable) -> str:
    reason = raw.quarantine.commonest
    first = next(example for example in raw.quarantine.examples if example.reason == reason)
    place = f"{raw.unit} {first.row}"
    if raw.parts:
        unit = next(part.unit for part in raw.parts if part.name == first.file)
        place = f"{first.file}, {unit} {first.row}"
    return f"{reason} ({raw.quarantine.counts[reason]}, first in {place})"


def _read_texts(raw: RawTable, roles: Roles) -> RawTable:
    bad: Bad = {}
    fixed = {}
    taken = np.zeros(len(raw), dtype=bool)
    for name, part in ((roles.prompt, "prompt"), (roles.response, "response")):
        fixed[name], reasons = read_texts(raw.column(name), part, f"{raw.name}, column {name!r}")
        for reason, mask in reasons.items():
            bad[reason] = mask & ~taken
            taken |= mask
    return _with_columns(raw, fixed).keep(~taken, bad)


def _check_utf8(raw: RawTable, roles: Roles) -> None:
    for name, part in roles.columns():
        for index, value in enumerate(raw.mixed.get(name, ())):
            if isinstance(value, NotUtf8):
                raise DataError(
                    f"{raw.where(index)}: column {name!r} ({part}) holds {value}, expected UTF-8; write it anew"
                )


def _read_values(raw: RawTable, roles: Roles) -> dict[str, Any]:
    fixed: dict[str, Any] = {}
    _check_utf8(raw, roles)
    for signal in roles.signals:
        fixed[signal.name] = columns.binary(raw, signal.name, "signal")
    for name in roles.context:
        fixed[name] = columns.context(raw, name)
    for signal in roles.signals:
        # A column that is context too keeps the context's form: 0.0 and 1.0 say the same.
        if signal.exposure is not None and signal.exposure not in fixed:
            fixed[signal.exposure] = columns.binary(raw, signal.exposure, "exposure")
        elif signal.exposure is not None:
            columns.binary(raw, signal.exposure, "exposure")
    if roles.gold is not None:
        fixed[roles.gold] = columns.unit_interval(raw, roles.gold, "gold")
    if roles.rank is not None:
        fixed[roles.rank] = columns.number(raw, roles.rank, "rank")
    for part in ("prompt_id", "user_id", "session_id", "timestamp", "policy"):
        name = getattr(roles, part)
        if name is not None and name not in fixed:
            _read_id(raw, name, part, fixed)
    return fixed


def _read_id(raw: RawTable, name: str, part: str, fixed: dict[str, Any]) -> None:
    fixed[name] = column = columns.identity(raw, name)
    if part == "prompt_id":
        bad = pc.index(pc.is_null(column), True).as_py()
        if bad >= 0:
            raise DataError(
                f"{raw.where(bad)}: column {name!r} (prompt_id) is null; give every row its group, or leave "
                f"prompt_id out to group equal prompts"
            )


def _with_columns(raw: RawTable, fixed: dict[str, Any]) -> RawTable:
    table = raw.table
    metadata = table.schema.metadata
    for name, array in fixed.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, array)
        else:
            table = table.append_column(name, array)
    mixed = {name: values for name, values in raw.mixed.items() if name not in fixed}
    return replace(raw, table=table.replace_schema_metadata(metadata), mixed=mixed)
