"""From what was shown and what users then did, two tables, to one row per response: 1 it happened, 0 it did not.

A row is final only when its window has passed: an hour after an answer was shown nobody knows yet whether it will be
copied on the next day. Legend: N responses shown, E events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tacit.data.quarantine import Quarantine
from tacit.data.raw import RawTable, need_columns
from tacit.data.readers import open_raw
from tacit.data.times import epoch_seconds
from tacit.errors import ConfigError, DataError

_MOST_EVENTS = 20  # kinds that become columns unasked


@dataclass(frozen=True)
class Names:
    """Columns of the two tables.

    Args:
        id: of the response, in both.
        event: what happened.
        at: when it happened.
        shown_at: when the response was shown.
    """

    id: str = "response_id"
    event: str = "event"
    at: str = "at"
    shown_at: str = "shown_at"


@dataclass(frozen=True)
class Attributed:
    """What came of it.

    Attributes:
        rows: the responses whose window has passed, with a column of 1 and 0 for each kind of event.
        events: by kind: how many count, on how many rows, and after how many seconds half and 95 % of them came (NaN
            without times).
        late: events that came after the window, by kind.
        left_out: of the events, by reason.
    """

    rows: RawTable
    events: Mapping[str, Mapping[str, float]]
    late: Mapping[str, int]
    left_out: Quarantine


def attribute(
    shown: Any,
    events: Any,
    *,
    signals: Sequence[str] | None = None,
    window: float | None = None,
    names: Names | None = None,
) -> Attributed:
    """Join events to the responses they speak of.

    An event counts if it names a response that was shown, did not come before it was, and came within the window. Each
    response counts once, at its first row; several events of one kind on it are one.

    Args:
        shown: a log or table as `FeedbackLog.read` takes it, a row per response.
        events: another, a row per event.
        signals: kinds of events that become columns; None takes all.
        window: seconds that an event may come after the response. A response that was shown less before the latest
            time in either table is left out: whether anything happens to it is not known yet. None lets events come at
            any time, and needs no times.
        names: of the columns.

    Raises:
        DataError: a column that is missing, times that are none, or a kind of event that is a column already.
        ConfigError: an impossible window, or more than 20 kinds of events of which none is named.

    Example:
        >>> shown = {"response_id": ["a", "b", "c"], "prompt": ["Hi"] * 3, "response": ["1", "2", "3"]}
        >>> shown |= {"shown_at": [0, 50, 990]}
        >>> events = {"response_id": ["a", "b", "c"], "event": ["copied"] * 3, "at": [5, 500, 1000]}
        >>> done = attribute(shown, events, window=60)  # b's copy is late, and c was shown just now
        >>> done.rows.table.select(["response_id", "copied"]).to_pylist()
        [{'response_id': 'a', 'copied': 1}, {'response_id': 'b', 'copied': 0}]
        >>> dict(done.late)
        {'copied': 1}
    """
    if window is not None and not 0 < window < float("inf"):
        raise ConfigError(f"window is {window}, expected seconds above 0, or None")
    names = names or Names()
    rows, acts = open_raw(shown), open_raw(events)
    timed = window is not None
    need_columns(rows, [(names.id, "id"), *([(names.shown_at, "shown-at")] if timed else [])], by_option=True)
    wanted = [(names.id, "id"), (names.event, "event"), *([(names.at, "at")] if timed else [])]
    need_columns(acts, wanted, by_option=True)
    kinds = _kinds(acts, names.event, signals)
    _refuse_taken(rows, kinds)
    times = _times(rows, acts, names, needed=timed)
    end = max((float(np.nanmax(t)) for t in times or () if np.isfinite(t).any()), default=0.0)
    rows, known, kept_N = _once(rows, names.id)
    times = None if times is None else (times[0][kept_N], times[1])
    row_E = _positions(acts, names.id, known)
    kind_E = (
        pc.index_in(_text(acts, names.event), value_set=pa.array(kinds, pa.string()))
        .fill_null(-1)
        .to_numpy(zero_copy_only=False)
    )
    acts, counts_E, after_E = _countable(acts, row_E, kind_E, times)
    late_E = counts_E & (after_E > window) if window is not None else np.zeros(len(acts), dtype=bool)
    counts_E &= ~late_E
    columns, told = {}, {}
    for k, kind in enumerate(kinds):
        mine_E = counts_E & (kind_E == k)
        fired_N = np.zeros(len(rows), dtype=np.int8)
        fired_N[row_E[mine_E]] = 1
        columns[kind] = fired_N
        told[kind] = {"events": int(mine_E.sum()), **_delays(after_E[mine_E])}
    final_N = np.ones(len(rows), dtype=bool)
    if window is not None and times is not None:
        unknown_N, final_N = np.isnan(times[0]), times[0] + window <= end
        reasons = {
            f"{names.shown_at} is null": unknown_N,
            "its window has not passed yet": ~final_N & ~unknown_N,
        }
        rows = rows.keep(final_N, reasons)
    if not len(rows):
        raise DataError(
            f"{rows.name}: no response is left ({rows.quarantine.describe() or 'the table is empty'}); give a shorter "
            "window, or more of the log"
        )
    table = rows.table
    for kind, fired_N in columns.items():
        kept_n = fired_N[final_N]
        told[kind]["rows"] = int(kept_n.sum())
        table = table.append_column(kind, pa.array(kept_n))
    late = {kind: int((late_E & (kind_E == k)).sum()) for k, kind in enumerate(kinds)}
    return Attributed(replace(rows, table=table), told, late, acts.quarantine)


def _times(
    rows: RawTable, acts: RawTable, names: Names, *, needed: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """When responses were shown and events came; None where that is not told and not needed."""
    if names.shown_at not in rows.columns or names.at not in acts.columns:
        return None
    try:
        return epoch_seconds(rows, names.shown_at), epoch_seconds(acts, names.at)
    except DataError:
        if needed:
            raise
        return None


def _once(raw: RawTable, name: str) -> tuple[RawTable, Any, npt.NDArray[np.bool_]]:
    """The first row of each response, their ids, and which rows these are."""
    ids = _text(raw, name)
    named_N = ids.is_valid().to_numpy(zero_copy_only=False)
    codes_N = ids.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    first_N = np.zeros(len(raw), dtype=bool)
    first_N[np.unique(codes_N, return_index=True)[1]] = True
    kept_N = first_N & named_N
    reasons = {f"{name} is null": ~named_N, f"{name} stands in a row before": named_N & ~first_N}
    return raw.keep(kept_N, reasons), ids.filter(pa.array(kept_N)), kept_N


def _positions(acts: RawTable, name: str, known: Any) -> npt.NDArray[np.int64]:
    """Row of the response that each event names, -1 of none."""
    found = pc.index_in(_text(acts, name), value_set=known, skip_nulls=True)
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _countable(
    acts: RawTable,
    row_E: npt.NDArray[np.int64],
    kind_E: npt.NDArray[np.int64],
    times: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None,
) -> tuple[RawTable, npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Events with a response, and not before it; with the seconds after it, NaN where a time is missing."""
    wanted_E, placed_E = kind_E >= 0, row_E >= 0
    after_E = np.full(len(row_E), np.nan)
    if times is not None:
        after_E[placed_E] = times[1][placed_E] - times[0][row_E[placed_E]]
    early_E = after_E < 0
    bad = {
        "names no response that was shown": wanted_E & ~placed_E,
        "comes before the response was shown": wanted_E & early_E,
    }
    told = acts.with_bad({reason: np.flatnonzero(mask) for reason, mask in bad.items() if mask.any()})
    return told, wanted_E & placed_E & ~early_E, after_E


def _delays(after_n: npt.NDArray[np.float64]) -> dict[str, float]:
    known = after_n[np.isfinite(after_n)]
    half, most = np.quantile(known, [0.5, 0.95]).tolist() if len(known) else (float("nan"),) * 2
    return {"half_within": half, "most_within": most}


def _kinds(acts: RawTable, name: str, signals: Sequence[str] | None) -> list[str]:
    found = [kind for kind in pc.unique(_text(acts, name)).to_pylist() if kind is not None]
    if signals is None:
        if len(found) > _MOST_EVENTS:
            raise ConfigError(
                f"{acts.name}: column {name!r} holds {len(found)} kinds of events ({', '.join(found[:5])}, …); name "
                "those that are feedback: --signal NAME"
            )
        return found
    for signal in signals:
        if signal not in found:
            raise DataError(
                f"{acts.name}: no event {signal!r}; column {name!r} holds {', '.join(found[:20]) or 'nothing'}"
            )
    return list(dict.fromkeys(signals))


def _refuse_taken(rows: RawTable, kinds: Sequence[str]) -> None:
    for kind in kinds:
        if kind in rows.columns:
            raise DataError(
                f"{rows.name}: has a column {kind!r} already, which is a kind of event too; rename one of them"
            )


def _text(raw: RawTable, name: str) -> Any:
    """A column as text, in one piece: ids are numbers in one table and text in another."""
    column = raw.column(name)
    if isinstance(column, list):
        return pa.array([None if value is None else str(value) for value in column], pa.string())
    return column.cast(pa.string()).combine_chunks()
