"""Events of users joined to the responses they speak of."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit import FeedbackLog
from tacit.data.attribution import Names, attribute
from tacit.data.raw import RawTable, from_lists
from tacit.data.times import epoch_seconds, span
from tacit.errors import ConfigError, DataError

IDS = st.sampled_from(["a", "b", "c", "d"])
SHOWN = st.lists(st.tuples(IDS | st.none(), st.integers(0, 6) | st.none()), min_size=1, max_size=8)
EVENTS = st.lists(
    st.tuples(
        IDS | st.just("unknown") | st.none(),
        st.sampled_from(["copied", "shared"]) | st.none(),
        st.integers(0, 9) | st.none(),
    ),
    max_size=12,
)


def tables(shown: list[Any], events: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    told = {"response_id": [i for i, _ in shown], "shown_at": [t for _, t in shown]}
    texts = {name: [f"{name} {i}" for i in range(len(shown))] for name in ("prompt", "response")}
    acts = {name: [row[k] for row in events] for k, name in enumerate(("response_id", "event", "at"))}
    return told | texts, acts


@settings(max_examples=300, deadline=None)
@given(SHOWN, EVENTS, st.none() | st.integers(1, 5))
def test_it_is_what_counting_by_hand_gives(shown: list[Any], events: list[Any], window: int | None) -> None:
    end = max([t for _, t in shown if t is not None] + [t for *_, t in events if t is not None], default=0)
    wanted, seen = [], set()
    for name, time in shown:
        if name is None or name in seen:
            continue
        seen.add(name)
        if window is not None and (time is None or time + window > end):
            continue
        mine = [
            kind
            for other, kind, at in events
            if other == name
            and not (time is not None and at is not None and at < time)
            and not (window is not None and (at is None or at - time > window))
        ]
        wanted.append((name, int("copied" in mine), int("shared" in mine)))
    kinds = {kind for _, kind, _ in events}
    try:
        found = attribute(*tables(shown, events), window=window).rows
    except DataError as error:
        assert not wanted and "no response is left" in str(error)
        return
    values = [
        found.values(name) if name == "response_id" or name in kinds else [0] * len(found)
        for name in ("response_id", "copied", "shared")
    ]
    assert list(zip(*values, strict=True)) == wanted
    assert len(found) + found.quarantine.total == len(shown)


def test_what_is_left_out_is_counted_by_table_and_place(tmp_path: Path) -> None:
    shown, events = tables(
        [("a", 0), ("a", 1), (None, 2), ("b", 90)],
        [
            ("a", "copied", 5),
            ("a", "copied", 6),
            ("nobody", "copied", 7),
            ("b", "copied", 80),
            ("a", "shared", 50),
        ],
    )
    for name, table in (("shown", shown), ("events", events)):
        rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = attribute(tmp_path / "shown.jsonl", tmp_path / "events.jsonl", window=20)
    assert done.rows.values("copied") == [1] and done.rows.values("shared") == [0]
    assert dict(done.rows.quarantine.counts) == {
        "response_id is null": 1,
        "response_id stands in a row before": 1,
        "its window has not passed yet": 1,
    }
    assert dict(done.left_out.counts) == {
        "names no response that was shown": 1,
        "comes before the response was shown": 1,
    }
    assert "events.jsonl row 3" in done.left_out.describe()
    assert dict(done.late) == {"copied": 0, "shared": 1}
    assert done.events["copied"] == {
        "events": 2,
        "rows": 1,
        "half_within": 5.5,
        "most_within": pytest.approx(5.95),
    }


def test_ids_that_are_numbers_here_and_text_there_meet() -> None:
    shown = {"response_id": [1, 2], "prompt": ["p", "p"], "response": ["a", "b"]}
    done = attribute(shown, {"response_id": ["2"], "event": ["copied"]})
    assert done.rows.values("copied") == [0, 1]
    assert math.isnan(done.events["copied"]["half_within"])


def test_columns_may_have_other_names_and_the_log_reads_like_any() -> None:
    shown = {"rid": [1, 2], "q": ["p", "p"], "a": ["x", "y"], "t": [0, 1], "slot": [0, 1]}
    events = {"rid": [1, 1], "kind": ["copied", "scrolled"], "when": [2, 3]}
    done = attribute(shown, events, signals=["copied"], window=1.5, names=Names("rid", "kind", "when", "t"))
    log = FeedbackLog.read(done.rows, prompt="q", response="a", signals="copied", context="slot")
    assert log.column("copied") == [0, 0] and "scrolled" not in log.table.column_names


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"signals": ["liked"]}, r"no event 'liked'; column 'event' holds copied"),
        ({"window": 0.0}, "window is 0.0, expected seconds above 0"),
        ({"names": Names(id="id")}, r"no column 'id' \(wanted as id\)"),
        ({"names": Names(shown_at="seen"), "window": 5}, r"no column 'seen' \(wanted as shown-at\)"),
        ({"window": 1000}, r"no response is left .*its window has not passed yet \(2"),
    ],
)
def test_what_cannot_be_joined_is_one_line(change: dict[str, Any], said: str) -> None:
    shown, events = tables([("a", 0), ("b", 1)], [("a", "copied", 5)])
    with pytest.raises((DataError, ConfigError), match=said):
        attribute(shown, events, **change)


def test_a_kind_of_event_that_is_a_column_already_is_refused() -> None:
    shown, events = tables([("a", 0)], [("a", "prompt", 5)])
    with pytest.raises(DataError, match="has a column 'prompt' already, which is a kind of event too"):
        attribute(shown, events)


def test_many_kinds_of_events_are_not_taken_unasked() -> None:
    shown, events = tables([("a", 0)], [("a", f"kind {i}", 5) for i in range(21)])
    with pytest.raises(ConfigError, match="holds 21 kinds of events"):
        attribute(shown, events)
    assert attribute(shown, events, signals=["kind 3"]).rows.values("kind 3") == [1]


MOMENT = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "values",
    [
        [MOMENT.timestamp()],
        [int(MOMENT.timestamp()) * 1000],
        [int(MOMENT.timestamp()) * 1_000_000],
        [int(MOMENT.timestamp()) * 1_000_000_000],
        ["2026-11-28T09:30:00Z"],
        ["2026-11-28 09:30:00.000000"],
        ["2026-11-28 09:30:00 UTC"],
        ["2026-11-28T11:30:00+02:00"],
        [str(MOMENT.timestamp())],
        [MOMENT],
        [MOMENT.replace(tzinfo=None)],
    ],
)
def test_a_moment_is_the_same_however_it_is_written(values: list[Any]) -> None:
    raw = from_lists({"at": [*values, None]}, "t", np.array([1, 2]))
    seconds = epoch_seconds(raw, "at")
    assert seconds[0] == pytest.approx(MOMENT.timestamp(), abs=1e-3) and math.isnan(seconds[1])


def test_a_day_is_its_beginning_and_no_time_is_told_by_row() -> None:
    day = RawTable(pa.table({"at": [MOMENT.date()]}), "t", np.array([1]))
    assert epoch_seconds(day, "at").tolist() == [MOMENT.replace(hour=0, minute=0).timestamp()]
    with pytest.raises(DataError, match=r"t, row 2: column 'at' holds 'soon', expected a time"):
        epoch_seconds(from_lists({"at": ["2026-11-28", "soon"]}, "t", np.array([1, 2])), "at")


@pytest.mark.parametrize("text", ["30", "m", "-5m", "0s", "1 week", ""])
def test_a_span_of_time_needs_a_number_and_a_unit(text: str) -> None:
    with pytest.raises(DataError, match="is no span of time"):
        span(text)
