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

Floats = npt.NDArray[np.float64]

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
    _need(rows, acts, names, timed=window is not None)
    kinds = _kinds(acts, names.event, signals)
    _refuse_taken(rows, kinds)
    times = _times(rows, acts, names, needed=window is not None)
    rows, known, kept_N = _once(rows, names.id)
    row_E = _positions(_text(acts, names.id), known)
    kind_E = _positions(_text(acts, names.event), pa.array(kinds, pa.string()))
    after_E = np.full(len(acts), np.nan)
    if times is not None:
        placed_E = row_E >= 0
        after_E[placed_E] = times[1][placed_E] - times[0][kept_N][row_E[placed_E]]
    untimed_E = (
        np.isnan(times[1]) if times is not None and window is not None else np.zeros(len(acts), dtype=bool)
    )
    bad = {
        "names no response that was shown": row_E < 0,
        "comes before the response was shown": after_E < 0,
        f"{names.at} is null": (row_E >= 0) & untimed_E,
    }
    counts_E = (kind_E >= 0) & ~np.logical_or.reduce(list(bad.values()))
    acts = acts.with_bad(
        {why: np.flatnonzero(found & (kind_E >= 0)) for why, found in bad.items() if found.any()}
    )
    late_E = counts_E & (after_E > (np.inf if window is None else window))
    fired_KN = np.zeros((len(kinds), len(rows)), dtype=np.int8)
    fired_KN[kind_E[counts_E & ~late_E], row_E[counts_E & ~late_E]] = 1
    if window is not None and times is not None:
        rows, final_N = _final(rows, times[0][kept_N], names.shown_at, _end(times) - window)
        fired_KN = fired_KN[:, final_N]
    if not len(rows):
        raise DataError(
            f"{rows.name}: no response is left ({rows.quarantine.describe()}); give a shorter window, or more of the "
            "log"
        )
    table, told, late = rows.table, {}, {}
    for k, kind in enumerate(kinds):
        mine_E = counts_E & ~late_E & (kind_E == k)
        table = table.append_column(kind, pa.array(fired_KN[k]))
        told[kind] = {"events": int(mine_E.sum()), "rows": int(fired_KN[k].sum()), **_delays(after_E[mine_E])}
        late[kind] = int((late_E & (kind_E == k)).sum())
    return Attributed(replace(rows, table=table), told, late, acts.quarantine)


def _need(rows: RawTable, acts: RawTable, names: Names, *, timed: bool) -> None:
    """Refuse tables that lack a column."""
    need_columns(rows, [(names.id, "id"), *[(names.shown_at, "shown-at")] * timed], by_option=True)
    need_columns(
        acts, [(names.id, "id"), (names.event, "event"), *[(names.at, "at")] * timed], by_option=True
    )


def _end(times: tuple[Floats, Floats]) -> float:
    """The latest time in either table."""
    return max((float(np.nanmax(times_n)) for times_n in times if np.isfinite(times_n).any()), default=0.0)


def _final(
    rows: RawTable, shown_at_N: Floats, name: str, last: float
) -> tuple[RawTable, npt.NDArray[np.bool_]]:
    """Responses that were shown early enough for their window to have passed, and which rows these are."""
    unknown_N, final_N = np.isnan(shown_at_N), shown_at_N <= last
    reasons = {f"{name} is null": unknown_N, "its window has not passed yet": ~final_N & ~unknown_N}
    return rows.keep(final_N, reasons), final_N


def _times(rows: RawTable, acts: RawTable, names: Names, *, needed: bool) -> tuple[Floats, Floats] | None:
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


def _positions(values: Any, among: Any) -> npt.NDArray[np.int64]:
    """Where each value stands in another column, -1 if nowhere."""
    found = pc.index_in(values, value_set=among, skip_nulls=True)
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _delays(after_n: Floats) -> dict[str, float]:
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
