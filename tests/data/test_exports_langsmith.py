"""LangSmith's exports: runs in one table, feedback in another."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import made_exports
import pyarrow as pa
import pyarrow.parquet
import pytest
from made_exports import by_trace

from tacit import FeedbackLog
from tacit.data.exports import langsmith
from tacit.errors import DataError

Row = dict[str, Any]


def run(number: int, name: str = "", **more: Any) -> Row:
    """A run at the top, or one of a name within it."""
    metadata = {"user_id": "ann" if number % 2 else "bob", "thread_id": "c1", "ls_model_name": "small"}
    return {
        "id": f"r{number}{name}",
        "trace_id": f"r{number}",
        "name": name or "agent",
        "run_type": "llm" if name else "chain",
        "parent_run_id": f"r{number}" if name else None,
        "session_id": "project",
        "start_time": f"2026-01-0{number}T10:00:00",
        "inputs": {"messages": [{"type": "human", "content": f"Question {number}?"}]},
        "outputs": {"messages": [{"type": "ai", "content": f"Answer {number}{name}."}]},
        "error": None,
        "extra": {"metadata": metadata},
    } | more


def feedback(number: int, score: Any, name: str = "", **more: Any) -> Row:
    return {
        "id": f"f{number}{score}",
        "created_at": f"2026-01-0{number}T11:00:00",
        "modified_at": f"2026-01-0{number}T11:00:00",
        "run_id": f"r{number}{name}",
        "trace_id": f"r{number}",
        "session_id": "project",
        "key": "thumb",
        "score": score,
        "value": None,
        "comment": None,
        "correction": None,
        "feedback_source": {"type": "api", "metadata": {"a": 1}, "user_id": None},
    } | more


def as_json(path: Path, rows: list[Row]) -> None:
    path.with_suffix(".json").write_text(json.dumps(rows), encoding="utf-8")


def as_frame(path: Path, rows: list[Row]) -> None:
    """As pandas writes objects into cells."""
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        writer.writerows([["" if value is None else value for value in row.values()] for row in rows])


def as_bulk_export(path: Path, rows: list[Row]) -> None:
    """Objects as JSON text, and no parent but whether the run is at the top."""
    made = []
    for row in rows:
        cells = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()}
        if "run_type" in row:
            cells["is_root"] = cells.pop("parent_run_id") is None
        made.append(cells)
    pyarrow.parquet.write_table(pa.Table.from_pylist(made), path.with_suffix(".parquet"))


export = partial(made_exports.export, write=as_json)


@pytest.mark.parametrize("write", [as_json, as_frame, as_bulk_export])
def test_root_runs_are_the_responses_and_feedback_their_signals(
    tmp_path: Path, write: Callable[[Path, list[Row]], None]
) -> None:
    runs = [run(1), run(1, "llm"), run(2), run(3)]
    log = FeedbackLog.read(export(tmp_path, runs, [feedback(1, 1), feedback(2, 0)], write=write))
    assert log.column("prompt")[0] == [{"role": "user", "content": "Question 1?"}]
    assert log.column("response") == ["Answer 1.", "Answer 2.", "Answer 3."]
    assert by_trace(log, "thumb_up") == {"r1": 1, "r2": 0, "r3": 0}
    assert by_trace(log, "thumb_down") == {"r1": 0, "r2": 1, "r3": 0}
    assert by_trace(log, "user_id") == {"r1": "ann", "r2": "bob", "r3": "ann"}
    assert log.column("model") == ["small"] * 3 and log.roles.context == ("user_activity",)
    assert not log.quarantine.total


def test_a_session_is_the_conversation_and_not_the_project(tmp_path: Path) -> None:
    told = [{"session_id": "a"}, {"thread_id": "b"}, {"conversation_id": "c"}, {}]
    runs = [run(n, extra={"metadata": metadata}) for n, metadata in enumerate(told, 1)]
    log = FeedbackLog.read(export(tmp_path, runs, [feedback(1, 1)]))
    assert log.column("session_id") == ["a", "b", "c", None] and log.roles.session_id == "session_id"


def test_the_model_is_also_found_among_the_parameters_of_a_call(tmp_path: Path) -> None:
    extra = {"invocation_params": {"model_name": "large"}, "metadata": {}}
    log = FeedbackLog.read(export(tmp_path, [run(1, extra={}), run(1, "llm", extra=extra)], [feedback(1, 1)]))
    assert log.column("model") == ["large"]


@pytest.mark.parametrize("kind", ["model", "auto_eval", "evaluator", None])
@pytest.mark.parametrize("told", [dict, json.dumps, "flat", "bare"])
def test_what_models_say_is_never_a_signal(
    tmp_path: Path, kind: Any, told: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tacit")
    source = {"feedback_source": kind}
    if told == "flat":
        source = {"feedback_source": None, "feedback_source.type": kind}
    elif told != "bare":
        source = {"feedback_source": told({"type": kind})}
    log = FeedbackLog.read(export(tmp_path, [run(1)], [feedback(1, 1) | source]))
    assert log.roles.signals == () and "thumb" not in log.table.column_names
    assert f"left out feedback that users did not give: 1 of source {kind or 'unknown'}" in caplog.text


def test_what_reviewers_say_in_the_tool_itself_can_be_named_as_gold(tmp_path: Path) -> None:
    said = [feedback(1, 1, feedback_source={"type": "app"}), feedback(1, 0)]
    log = FeedbackLog.read(export(tmp_path, [run(1), run(2)], said), gold="thumb_reviewed")
    assert by_trace(log, "thumb_reviewed") == {"r1": 1.0, "r2": None}
    assert by_trace(log, "thumb_down") == {"r1": 1, "r2": 0}


def test_a_value_counts_where_there_is_no_score(tmp_path: Path) -> None:
    said = [
        feedback(1, None, value="thumbs-up"),
        feedback(2, None, value="thumbs-down"),
        feedback(3, None, comment="?"),
    ]
    log = FeedbackLog.read(export(tmp_path, [run(1), run(2), run(3)], said))
    assert by_trace(log, "thumb_up") == {"r1": 1, "r2": 0, "r3": 0}
    assert "feedback: has no value (1" in log.quarantine.describe()


def test_where_feedback_names_runs_within_those_are_the_responses(tmp_path: Path) -> None:
    runs = [run(1), run(1, "plan"), run(1, "llm"), run(2), run(2, "plan"), run(2, "llm")]
    log = FeedbackLog.read(export(tmp_path, runs, [feedback(1, 1, "llm")]))
    assert log.column("response") == ["Answer 1llm.", "Answer 2llm."] and log.column("thumb") == [1, 0]


def test_runs_need_not_name_a_trace_and_may_have_metadata_of_their_own(tmp_path: Path) -> None:
    runs = [
        run(n, trace_id=None, extra=None, metadata={"user_id": f"u{n}", "thread_id": "c2"}) for n in (1, 2)
    ]
    log = FeedbackLog.read(export(tmp_path, runs, [feedback(1, 1, trace_id=None)]))
    assert log.column("trace_id") == ["r1", "r2"] and log.column("thumb") == [1, 0]
    assert log.column("user_id") == ["u1", "u2"] and log.column("session_id") == ["c2", "c2"]


def test_feedback_need_not_name_the_trace(tmp_path: Path) -> None:
    log = FeedbackLog.read(export(tmp_path, [run(1)], [feedback(1, 1, trace_id=None)]))
    assert log.column("thumb") == [1]


def test_the_feedback_last_changed_counts(tmp_path: Path) -> None:
    said = [
        feedback(1, 1, modified_at="2026-02-02T00:00:00"),
        feedback(1, 0, created_at="2026-02-01T00:00:00"),
    ]
    assert FeedbackLog.read(export(tmp_path, [run(1)], said)).column("thumb") == [1]


def test_a_run_that_failed_or_that_an_experiment_made_is_no_response(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tacit")
    runs = [run(1), run(2, error="Timeout", outputs=None), run(2, "llm"), run(3, reference_example_id="e1")]
    log = FeedbackLog.read(export(tmp_path, runs, [feedback(1, 1), feedback(3, 1)]))
    assert log.column("trace_id") == ["r1"]
    assert log.quarantine.counts == {"the response is an error or was not finished": 1}
    assert "left out runs of evaluations or experiments, which no user saw: 1" in caplog.text


def test_calls_of_models_alone_stand_for_their_traces_where_there_is_one_in_each(tmp_path: Path) -> None:
    runs = [run(1, "llm"), run(2, "llm"), run(3, "llm"), run(3, "more")]
    log = FeedbackLog.read(export(tmp_path, runs, [feedback(1, 1), feedback(2, 0)]))
    assert by_trace(log, "response") == {"r1": "Answer 1llm.", "r2": "Answer 2llm."}
    assert by_trace(log, "thumb_up") == {"r1": 1, "r2": 0}
    assert log.quarantine.total == 1


def test_feedback_alone_is_refused_and_runs_alone_are_a_log_without_signals(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"LangSmith's feedback and no runs .*read the folder that holds both"
    ):
        FeedbackLog.read(export(tmp_path / "feedback", [feedback(1, 1)]))
    assert FeedbackLog.read(export(tmp_path / "runs", [run(1)])).roles.signals == ()


def test_each_table_is_recognised_by_itself() -> None:
    flat = feedback(1, 1)
    flat["feedback_source.type"] = flat.pop("feedback_source")
    assert all(langsmith.detect(list(row)) for row in (run(1), feedback(1, 1), flat))


def test_rows_of_no_table_are_quarantined(tmp_path: Path) -> None:
    rows = [run(1), {"id": "x"}, {"name": "y"}, run(2, id=None), run(3, id=[1])]
    told = FeedbackLog.read(export(tmp_path, rows)).quarantine.describe()
    assert "is neither a run nor feedback (4;" in told
