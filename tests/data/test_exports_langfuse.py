"""Langfuse's exports: traces or observations in one table, scores in another, in each of the ways they are written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from made_exports import by_trace

from tacit import FeedbackLog
from tacit.data.exports import SOURCES, langfuse
from tacit.errors import DataError

Row = dict[str, Any]


def trace(number: int, **more: Any) -> Row:
    return {
        "id": f"t{number}",
        "timestamp": f"2026-01-0{number} 10:00:00.000000",
        "name": "chat",
        "environment": "production",
        "project_id": "p",
        "metadata": {"region": "eu"},
        "user_id": "ann" if number % 2 else "bob",
        "session_id": "s1",
        "release": None,
        "version": None,
        "public": False,
        "bookmarked": False,
        "tags": ["a"],
        "input": json.dumps({"messages": [{"role": "user", "content": f"Question {number}?"}]}),
        "output": json.dumps({"role": "assistant", "content": f"Answer {number}."}),
    } | more


def observation(number: int, name: str, **more: Any) -> Row:
    return {
        "id": f"o{number}-{name}",
        "trace_id": f"t{number}",
        "project_id": "p",
        "environment": "production",
        "type": "SPAN",
        "parent_observation_id": "",
        "start_time": f"2026-01-0{number} 10:00:00.000000",
        "name": name,
        "level": "DEFAULT",
        "input": f"{name} {number}?",
        "output": f"{name} {number}!",
        "provided_model_name": "",
        "user_id": "ann" if number % 2 else "bob",
        "session_id": "",
    } | more


def score(number: int, value: Any, **more: Any) -> Row:
    return {
        "id": f"s{number}{value}{more.get('name', '')}",
        "timestamp": f"2026-01-0{number} 11:00:00.000000",
        "project_id": "p",
        "environment": "production",
        "trace_id": f"t{number}",
        "observation_id": None,
        "session_id": None,
        "dataset_run_id": None,
        "name": "thumb",
        "value": value,
        "source": "API",
        "comment": None,
        "data_type": "NUMERIC",
        "string_value": None,
    } | more


def as_jsonl(path: Path, rows: list[Row]) -> None:
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def as_json(path: Path, rows: list[Row]) -> None:
    path.with_suffix(".json").write_text(json.dumps(rows), encoding="utf-8")


def as_csv(path: Path, rows: list[Row]) -> None:
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(rows[0])
        for row in rows:
            cells = ["" if value is None else value for value in row.values()]
            writer.writerow([cell if isinstance(cell, str) else json.dumps(cell) for cell in cells])


def as_parquet(path: Path, rows: list[Row]) -> None:
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path.with_suffix(".parquet"))


def export(folder: Path, write: Callable[[Path, list[Row]], None] = as_jsonl, **tables: list[Row]) -> Path:
    for name, rows in tables.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        write(folder / name / "2026-01-09T00-00-00", rows)
    return folder


@pytest.mark.parametrize("write", [as_jsonl, as_json, as_csv, as_parquet])
def test_traces_and_scores_below_one_folder_are_one_log(
    tmp_path: Path, write: Callable[[Path, list[Row]], None]
) -> None:
    scores = [score(1, 1.0), score(2, 0.0), score(2, 4.0, name="stars")]
    log = FeedbackLog.read(export(tmp_path, write, traces=[trace(1), trace(2), trace(3)], scores=scores))
    assert log.column("prompt")[1] == [{"role": "user", "content": "Question 2?"}]
    assert log.column("response") == ["Answer 1.", "Answer 2.", "Answer 3."]
    assert by_trace(log, "thumb_up") == {"t1": 1, "t2": 0, "t3": 0}
    assert by_trace(log, "thumb_down") == {"t1": 0, "t2": 1, "t3": 0}
    assert by_trace(log, "stars") == {"t1": None, "t2": 4.0, "t3": None}
    assert [(signal.name, signal.polarity) for signal in log.roles.signals] == [
        ("thumb_up", 1),
        ("thumb_down", -1),
    ]
    assert by_trace(log, "user_id") == {"t1": "ann", "t2": "bob", "t3": "ann"}
    assert log.column("name") == ["chat"] * 3 and log.column("session_id") == ["s1"] * 3
    roles = log.roles
    assert (roles.user_id, roles.session_id, roles.timestamp, roles.policy) == (
        "user_id",
        "session_id",
        "timestamp",
        None,
    )
    assert roles.context == ("user_activity",) and not log.quarantine.total
    assert log.where(2).startswith(f"{tmp_path}/traces/2026-01-09T00-00-00.") and log.where(2).endswith(" 3")


def camel(row: Row) -> Row:
    """A row as the interface and the API write it."""
    words = {name: name.split("_") for name in row}
    return {first + "".join(map(str.title, rest)): row[name] for name, (first, *rest) in words.items()}


@pytest.mark.parametrize("write", [as_json, as_csv])
def test_the_interfaces_exports_are_read_alike(
    tmp_path: Path, write: Callable[[Path, list[Row]], None]
) -> None:
    # Traces have a column for each score, which does not say who gave it.
    traces = [camel(trace(n)) | {"thumb": [0.5], "judge": None} for n in (1, 2, 3)]
    scores = [camel(score(1, 1)), camel(score(2, 0)), camel(score(3, 1, source="EVAL"))]
    log = FeedbackLog.read(export(tmp_path, write, traces=traces, scores=scores))
    assert by_trace(log, "thumb_up") == {"t1": 1, "t2": 0, "t3": 0}
    assert by_trace(log, "user_id") == {"t1": "ann", "t2": "bob", "t3": "ann"}
    assert log.column("session_id") == ["s1"] * 3
    assert "judge" not in log.table.column_names


def test_traces_with_scores_and_observations_inside_are_read_from_one_file(tmp_path: Path) -> None:
    inside = [camel(observation(n, "llm", type="GENERATION", provided_model_name="small")) for n in (1, 2)]
    inside[1]["traceId"] = None
    rows = [
        camel(trace(1)) | {"htmlPath": "/", "observations": [inside[0]], "scores": [camel(score(1, 1))]},
        camel(trace(2)) | {"htmlPath": "/", "observations": [inside[1]], "scores": [camel(score(2, 0))]},
        camel(trace(3)) | {"htmlPath": "/", "observations": [], "scores": []},
    ]
    as_json(tmp_path / "traces", rows)
    log = FeedbackLog.read(tmp_path / "traces.json")
    assert by_trace(log, "thumb_up") == {"t1": 1, "t2": 0, "t3": 0}
    assert (
        by_trace(log, "model") == {"t1": "small", "t2": "small", "t3": None} and log.roles.policy == "model"
    )
    assert log.where(2) == f"{tmp_path}/traces.json, item 3"


def test_the_api_may_list_the_ids_of_what_is_inside(tmp_path: Path) -> None:
    rows = [camel(trace(1)) | {"htmlPath": "/", "observations": ["o1"], "scores": ["s1"]}]
    as_json(tmp_path / "traces", rows)
    assert len(FeedbackLog.read(tmp_path / "traces.json")) == 1


def test_scores_of_the_third_api_name_what_they_are_on_in_an_object(tmp_path: Path) -> None:
    scores = [
        {
            "id": "s1",
            "name": "thumb",
            "source": "API",
            "dataType": "BOOLEAN",
            "value": True,
            "timestamp": "2026-01-01",
        }
        | {"subject": {"kind": "trace", "id": "t1", "traceId": None}},
        {
            "id": "s2",
            "name": "thumb",
            "source": "API",
            "dataType": "BOOLEAN",
            "value": False,
            "timestamp": "2026-01-01",
        }
        | {"subject": {"kind": "observation", "id": "o2", "traceId": "t2"}},
        {
            "id": "s3",
            "name": "tone",
            "source": "API",
            "dataType": "CATEGORICAL",
            "value": "warm",
            "timestamp": "2026",
        }
        | {"subject": {"kind": "session", "id": "s1"}},
    ]
    log = FeedbackLog.read(export(tmp_path, traces=[trace(1), trace(2)], scores=scores))
    assert log.column("thumb_up") == [1, 0] and log.column("thumb_down") == [0, 1]
    assert log.quarantine.counts == {"scores: on nothing that is a response in the export": 1}
    steps = [observation(n, name, id=f"{name}{n}") for n in (1, 2) for name in ("o", "other")]
    scores[1]["subject"] |= {"traceId": None}
    folder = export(tmp_path / "steps", traces=[trace(1), trace(2)], observations=steps, scores=scores)
    log = FeedbackLog.read(folder)
    assert log.column("step_id") == ["o1", "o2"] and log.column("thumb_down") == [0, 1]


def test_what_judges_say_is_never_a_signal_and_told_by_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tacit")
    scores = [score(1, 1), score(1, 0, source="EVAL"), score(2, 1, source="EVAL"), score(2, 1, source=None)]
    scores += [score(9, 1, source="EVAL"), score(2, None, source="EVAL")]
    log = FeedbackLog.read(export(tmp_path, traces=[trace(1), trace(2)], scores=scores))
    assert by_trace(log, "thumb") == {"t1": 1, "t2": 0} and not log.quarantine.total
    assert "left out scores that users did not give: 4 of source EVAL, 1 of source unknown\n" in caplog.text
    assert "read as signals: thumb (+); those that code of yours gave look the same" in caplog.text


def test_what_reviewers_say_can_be_named_as_gold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tacit")
    scores = [
        score(1, 0.75, name="quality", source="ANNOTATION"),
        score(1, 4, name="stars", source="ANNOTATION"),
        score(2, 1),
    ]
    folder = export(tmp_path, traces=[trace(1), trace(2)], scores=scores)
    log = FeedbackLog.read(folder)
    assert [signal.name for signal in log.roles.signals] == ["thumb"] and log.roles.gold is None
    assert "gold='quality_reviewed'" in caplog.text and "left out reviewers' scores 'stars'" in caplog.text
    gold, known = FeedbackLog.read(folder, gold="quality_reviewed").gold_values()
    assert gold.tolist() == [0.75, 0] and known.tolist() == [True, False]


def test_a_category_is_its_word_and_not_its_number(tmp_path: Path) -> None:
    scores = [
        score(1, 0, data_type="CATEGORICAL", string_value="thumbs_up"),
        score(2, 1, data_type="CATEGORICAL", string_value="thumbs_down"),
        score(1, 0, name="said", data_type="TEXT", string_value="Thanks!"),
        score(1, 0, name="mended", data_type="CORRECTION", string_value="Better."),
        score(1, None, name="read", data_type=None, string_value="yes"),
        score(1, 1, name="kept", data_type="BOOLEAN", string_value="True"),
    ]
    log = FeedbackLog.read(export(tmp_path, traces=[trace(1), trace(2)], scores=scores))
    assert by_trace(log, "thumb_up") == {"t1": 1, "t2": 0} and by_trace(log, "kept") == {"t1": 1, "t2": 0}
    assert by_trace(log, "said") == {"t1": "Thanks!", "t2": None}
    assert by_trace(log, "mended") == {"t1": "Better.", "t2": None} and by_trace(log, "read") == {
        "t1": 1,
        "t2": 0,
    }


def test_the_last_score_counts_wherever_it_stands(tmp_path: Path) -> None:
    late, early = (score(1, value, timestamp=f"2026-01-01 1{value}:00:00.000000") for value in (1, 0))
    log = FeedbackLog.read(export(tmp_path, traces=[trace(1)], scores=[late, early]))
    assert log.column("thumb") == [1]


def test_a_score_on_nothing_in_the_export_is_quarantined_with_its_place(tmp_path: Path) -> None:
    scores = [score(1, 1), score(9, 1), score(1, None), score(1, 1, name=None)]
    log = FeedbackLog.read(export(tmp_path, traces=[trace(1)], scores=scores))
    told = log.quarantine.describe()
    file = f"{tmp_path}/scores/2026-01-09T00-00-00.jsonl"
    assert f"scores: on nothing that is a response in the export (1; {file} row 2)" in told
    assert f"scores: has no value (1; {file} row 3)" in told
    assert f"scores: has no name (1; {file} row 4)" in told


def test_without_traces_an_observation_at_the_top_stands_for_its_trace(tmp_path: Path) -> None:
    steps = [
        row
        for n in (1, 2)
        for row in (
            observation(n, "chat", session_id="s1"),
            observation(n, "search", parent_observation_id=f"o{n}-chat"),
            observation(
                n, "llm", parent_observation_id=f"o{n}-chat", type="GENERATION", provided_model_name=f"m{n}"
            ),
        )
    ]
    log = FeedbackLog.read(export(tmp_path, observations_v2=steps, scores=[score(1, 1), score(2, 0)]))
    assert log.column("prompt") == ["chat 1?", "chat 2?"] and log.column("response") == ["chat 1!", "chat 2!"]
    assert by_trace(log, "thumb_up") == {"t1": 1, "t2": 0} and by_trace(log, "model") == {
        "t1": "m1",
        "t2": "m2",
    }
    assert "step_id" not in log.table.column_names and not log.quarantine.total


def test_the_interfaces_observations_are_read_alike(tmp_path: Path) -> None:
    steps = [
        camel(step)
        for n in (1, 2)
        for step in (
            observation(n, "chat"),
            observation(
                n, "llm", parent_observation_id=f"o{n}-chat", type="GENERATION", provided_model_name="m"
            ),
        )
    ]
    for step in steps[2:]:
        step["model"] = step.pop("providedModelName")
    steps = [{"model": "", "providedModelName": ""} | step for step in steps]
    scores = [camel(score(1, 0, data_type="CATEGORICAL", string_value="yes", observation_id="o1-chat"))]
    log = FeedbackLog.read(export(tmp_path, as_csv, observations=steps, scores=scores))
    assert log.column("response") == ["chat 1!", "chat 2!"] and by_trace(log, "thumb") == {"t1": 1, "t2": 0}
    assert log.column("timestamp") == [f"2026-01-0{n} 10:00:00.000000" for n in (1, 2)]
    assert log.column("model") == ["m", "m"] and log.column("user_id") == ["ann", "bob"]


def test_a_score_on_the_observation_at_the_top_is_on_the_trace(tmp_path: Path) -> None:
    steps = [observation(1, "chat"), observation(1, "llm", parent_observation_id="o1-chat")]
    scores = [score(1, 1, observation_id="o1-chat")]
    log = FeedbackLog.read(export(tmp_path, observations_v2=steps, scores=scores))
    assert log.column("thumb") == [1] and log.column("response") == ["chat 1!"]


@pytest.mark.parametrize("written", [dict, camel])
def test_where_users_score_observations_those_called_alike_are_the_responses(
    tmp_path: Path, written: Callable[[Row], Row], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tacit")
    steps = [
        observation(n, name, parent_observation_id="gone", type="GENERATION", user_id="")
        for n in (1, 2, 3)
        for name in ("plan", "answer")
    ]
    scores = [
        score(1, 1, observation_id="o1-answer"),
        score(2, 0, observation_id="o2-answer"),
        score(3, 1),  # on the trace, of which one step is a response
    ]
    tables = {"traces": [trace(1), trace(2), trace(3)], "observations": steps, "scores": scores}
    log = FeedbackLog.read(
        export(tmp_path, **{name: list(map(written, rows)) for name, rows in tables.items()})
    )
    assert log.column("response") == ["answer 1!", "answer 2!", "answer 3!"]
    assert log.column("step_id") == ["o1-answer", "o2-answer", "o3-answer"]
    assert by_trace(log, "thumb_up") == {"t1": 1, "t2": 0, "t3": 1}
    assert by_trace(log, "user_id") == {"t1": "ann", "t2": "bob", "t3": "ann"}  # the trace's
    assert "users' scores name steps called answer; each is a response" in caplog.text
    assert "read as signals: thumb_up (+), thumb_down (-); those" in caplog.text
    caplog.clear()
    both = [score(1, 1, observation_id="o1-answer"), score(2, 0, observation_id="o2-plan")]
    FeedbackLog.read(export(tmp_path / "both", traces=[trace(1)], observations=steps, scores=both))
    assert "users' scores name steps called answer, plan; each is a response" in caplog.text


def test_beside_scored_observations_a_trace_without_one_counts_only_where_it_was_scored(
    tmp_path: Path,
) -> None:
    scores = [score(1, 1, observation_id="o1-answer"), score(2, 0)]
    tables = {"first": [trace(1), trace(2), trace(3)], "second": [observation(1, "answer")], "third": scores}
    folder = export(tmp_path, **tables)
    log = FeedbackLog.read(folder)
    assert log.column("response") == ["Answer 2.", "answer 1!"]  # in the order of the files
    assert "trace has no step of those that users score (1;" in log.quarantine.describe()


def test_a_score_on_a_trace_of_several_scored_observations_is_on_none_of_them(tmp_path: Path) -> None:
    steps = [observation(1, "answer", id="a"), observation(1, "answer", id="b")]
    scores = [score(1, 1, observation_id="a"), score(1, 0)]
    log = FeedbackLog.read(export(tmp_path, traces=[trace(1)], observations=steps, scores=scores))
    assert log.column("step_id") == ["a", "b"] and log.column("thumb") == [1, 0]
    assert "scores: on a trace of several responses, none of them named (1" in log.quarantine.describe()


def test_a_few_scores_on_observations_are_on_their_traces(tmp_path: Path) -> None:
    steps = [observation(n, "search") for n in (1, 2, 3)]
    scores = [score(1, 1, observation_id="o1-search"), score(2, 0), score(3, 1)]
    log = FeedbackLog.read(
        export(tmp_path, traces=[trace(1), trace(2), trace(3)], observations=steps, scores=scores)
    )
    assert log.column("response") == ["Answer 1.", "Answer 2.", "Answer 3."]
    assert by_trace(log, "thumb_up") == {"t1": 1, "t2": 0, "t3": 1}


def test_a_score_on_an_observation_without_input_and_output_is_on_its_trace(tmp_path: Path) -> None:
    steps = [observation(1, "answer", input=None, output=None)]
    folder = export(
        tmp_path, traces=[trace(1)], observations=steps, scores=[score(1, 1, observation_id="o1-answer")]
    )
    log = FeedbackLog.read(folder)
    assert log.column("thumb") == [1] and log.column("response") == ["Answer 1."]


def test_a_trace_without_texts_has_those_of_its_top_or_of_its_one_generation_or_is_quarantined(
    tmp_path: Path,
) -> None:
    traces = [trace(n, input=None, output="") for n in (1, 2, 3, 4)]
    steps = [
        observation(1, "chat", parent_observation_id=None),
        observation(1, "llm", parent_observation_id="o1-chat", type="GENERATION"),
        observation(2, "chat", input=None),
        observation(2, "llm", parent_observation_id="o2-chat", type="GENERATION"),
        observation(2, "search", parent_observation_id="o2-chat"),
        observation(3, "one"),
        observation(3, "two"),
    ]
    log = FeedbackLog.read(export(tmp_path, traces=traces, observations=steps, scores=[score(1, 1)]))
    assert by_trace(log, "response") == {"t1": "chat 1!", "t2": "llm 2!"}
    reason = "trace has no input and output, and no single step at its top that has (2;"
    assert reason in log.quarantine.describe()


def test_what_ended_in_an_error_is_no_response(tmp_path: Path) -> None:
    steps = [
        observation(1, "chat"),
        observation(
            1, "tool", parent_observation_id="o1-chat", level="ERROR"
        ),  # the answer came all the same
        observation(2, "chat", level="ERROR", output=None),
        observation(2, "llm", parent_observation_id="o2-chat", type="GENERATION"),
    ]
    log = FeedbackLog.read(export(tmp_path, observations_v2=steps, scores=[score(1, 1)]))
    assert log.column("response") == ["chat 1!"]
    assert "the response is an error or was not finished (1;" in log.quarantine.describe()


def test_traces_of_judges_and_experiments_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tacit")
    traces = [
        trace(1),
        trace(2, environment="langfuse-llm-as-a-judge"),
        trace(3, environment="sdk-experiment"),
    ]
    folder = export(tmp_path, traces=traces, scores=[score(1, 1), score(3, 1)])
    log = FeedbackLog.read(folder)
    assert log.column("trace_id") == ["t1"] and not log.quarantine.total
    assert "left out traces of evaluations or experiments, which no user saw: 2" in caplog.text
    alone = "holds nothing but traces of evaluations or experiments, which no user saw: 2; export those of your users"
    with pytest.raises(DataError, match=alone):
        FeedbackLog.read(export(tmp_path / "other", traces=traces[1:], scores=[score(3, 1)]))


def test_kinds_of_traces_that_nobody_scored_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tacit")
    traces = [
        trace(1),
        trace(2),
        trace(3, name="title"),
        trace(4, name="title"),
        trace(5, name=None),
        trace(6, name="tags"),
    ]
    FeedbackLog.read(export(tmp_path, traces=traces, scores=[score(1, 1)]))
    assert (
        "no user's scores are on responses called tags (1), title (2); if users never saw those"
        in caplog.text
    )
    caplog.clear()
    many = [trace(n % 9 + 1, id=f"t{n}", name=f"Question {n}?") for n in range(30)]
    FeedbackLog.read(export(tmp_path / "many", traces=many, scores=[score(1, 1)]))
    assert "no user's scores" not in caplog.text


def test_a_trace_written_twice_is_one_response_and_its_texts_are_kept(tmp_path: Path) -> None:
    steps = {
        "observations": [observation(1, "chat")],
        "observations_v2": [observation(1, "chat", output=None)],
    }
    log = FeedbackLog.read(export(tmp_path, scores=[score(1, 1)], **steps))
    assert log.column("response") == ["chat 1!"]
    twice = export(tmp_path / "twice", traces=[trace(1), trace(1, output="Better.")], scores=[score(1, 1)])
    assert FeedbackLog.read(twice).column("response") == ["Better."]


def test_scores_alone_are_refused_with_what_else_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        FeedbackLog.read(export(tmp_path, scores=[score(1, 1), score(2, 0, source="EVAL")]))
    assert str(error.value) == (
        f"{tmp_path}: holds Langfuse's scores and no traces to join them to; export the traces too, in the same "
        "format, and read the folder that holds both"
    )


def test_traces_alone_are_a_log_without_signals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tacit")
    log = FeedbackLog.read(export(tmp_path, traces=[trace(1), trace(2)]))
    assert len(log) == 2 and log.roles.signals == () and log.roles.context == ()
    assert "no scores of users, and so no signals; export them too" in caplog.text


def test_what_is_neither_text_nor_messages_is_quarantined_with_its_keys(tmp_path: Path) -> None:
    traces = [trace(1), trace(2, output='{"title": "a", "body": "b"}'), trace(3, input={"x": 1})]
    log = FeedbackLog.read(export(tmp_path, traces=traces, scores=[score(1, 1), score(2, 1)]))
    told = log.quarantine.describe()
    assert "output is neither text nor messages but an object with title, body (1;" in told
    assert "input is neither text nor messages but an object with x (1;" in told
    assert log.column("thumb") == [1]
    odd = [trace(n % 9 + 1, id=f"x{n}", input=json.dumps({f"k{n % 35}": n})) for n in range(40)]
    log = FeedbackLog.read(export(tmp_path / "odd", traces=[trace(1), *odd]))
    assert log.quarantine.counts["input is neither text nor messages but an object with k0"] == 2
    assert log.quarantine.counts["input or output is not in a shape that can be read"] == 23
    assert log.quarantine.total == 40


def test_rows_of_no_table_are_quarantined(tmp_path: Path) -> None:
    folder = export(
        tmp_path, traces=[trace(1)], manifests=[{"version": 1, "files": [{"key": "a"}]}], other=[{"id": [1]}]
    )
    told = FeedbackLog.read(folder).quarantine.describe()
    assert "is neither a trace nor an observation nor a score (1;" in told
    assert "has an id that is neither text nor a whole number (1;" in told


def test_one_user_alone_has_no_activity_to_compare(tmp_path: Path) -> None:
    log = FeedbackLog.read(export(tmp_path, traces=[trace(1), trace(3)], scores=[score(1, 1)]))
    assert log.roles.user_id == "user_id" and log.roles.context == ()


def test_signals_can_be_chosen_by_name(tmp_path: Path) -> None:
    scores = [score(1, 1), score(2, 0), score(1, 1, name="guardrail")]
    folder = export(tmp_path, traces=[trace(1), trace(2)], scores=scores)
    log = FeedbackLog.read(folder, signals=["thumb_down"])
    assert [(signal.name, signal.polarity) for signal in log.roles.signals] == [("thumb_down", -1)]


@pytest.mark.parametrize(
    "columns",
    [
        ("prompt", "response", "copied", "user_id", "session_id", "timestamp", "source", "value"),
        ("id", "name", "input", "output", "user_id", "session_id", "timestamp", "trace_id"),
        ("input", "output", "score", "metadata", "tags", "public"),
        ("conversation_id", "model", "turn", "conversation", "value", "dataType"),
    ],
)
def test_logs_of_ones_own_are_no_export(columns: tuple[str, ...]) -> None:
    assert not any(source.detect(columns) for source in SOURCES.values())


def test_each_table_is_recognised_by_itself() -> None:
    rows = [trace(1), score(1, 1), observation(1, "a")]
    for row in (*rows, *map(camel, rows)):
        assert langfuse.detect(list(row)), row


def test_nothing_is_told_that_is_not_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tacit")
    folder = export(
        tmp_path, traces=[trace(1), trace(2)], observations=[observation(1, "a")], scores=[score(1, 1)]
    )
    FeedbackLog.read(folder)
    notes = [record.message.removeprefix(f"{tmp_path}: ") for record in caplog.records]
    assert notes == [
        "read 3 JSON files",
        "scores read as signals: thumb (+); those that code of yours gave look the same: name the signals that you "
        "mean",
        "read as Langfuse traces and scores",
    ]
    caplog.clear()
    FeedbackLog.read(export(tmp_path / "alone", traces=[trace(1), trace(2, name="title")]))
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "read 1 JSON files",
        "no scores of users, and so no signals; export them too, in the same format, and read the folder that holds "
        "both",
        "read as Langfuse traces and scores",
    ]


def test_what_reviewers_score_does_not_say_what_a_response_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tacit")
    steps = [observation(n, "answer") for n in (1, 2)]
    reviewed = [score(n, 1, source="ANNOTATION", observation_id=f"o{n}-answer") for n in (1, 2)]
    tables = {"traces": [trace(1), trace(2)], "observations": steps}
    log = FeedbackLog.read(export(tmp_path, scores=[*reviewed, score(1, 1)], **tables))
    assert log.column("response") == ["Answer 1.", "Answer 2."] and log.column("thumb_reviewed") == [1.0, 1.0]
    log = FeedbackLog.read(export(tmp_path / "only", scores=reviewed, **tables))
    assert log.column("response") == ["Answer 1.", "Answer 2."]
    assert "no scores of users" in caplog.text
    half = [score(1, 1, observation_id="o1-answer"), score(2, 1), score(3, 1, source="ANNOTATION")]
    tables["traces"] = [trace(1), trace(2), trace(3)]
    log = FeedbackLog.read(export(tmp_path / "half", scores=half, **tables))
    assert log.column("response") == ["answer 1!", "answer 2!"]


def test_each_step_has_its_own_model(tmp_path: Path) -> None:
    steps = [
        observation(1, "answer", id=name, provided_model_name=name, parent_observation_id="x")
        for name in ("a", "b")
    ]
    scores = [score(1, 1, observation_id="a"), score(1, 0, observation_id="b")]
    log = FeedbackLog.read(export(tmp_path, traces=[trace(1)], observations=steps, scores=scores))
    assert log.column("model") == ["a", "b"]
    log = FeedbackLog.read(
        export(tmp_path / "whole", traces=[trace(1)], observations=steps, scores=[score(1, 1)])
    )
    assert "model" not in log.table.column_names  # one of two


def test_scores_may_be_called_like_any_column(tmp_path: Path) -> None:
    names = ("prompt", "response", "user_activity", "trace_id", "name")
    folder = export(tmp_path, traces=[trace(1), trace(2)], scores=[score(1, 1, name=name) for name in names])
    log = FeedbackLog.read(folder)
    assert sorted(signal.name for signal in log.roles.signals) == sorted(f"{name}_score" for name in names)
    assert log.column("response") == ["Answer 1.", "Answer 2."]


def test_an_export_of_which_no_row_can_be_used_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the 1 rows can be used; .* an id that is neither text nor"):
        FeedbackLog.read(export(tmp_path, traces=[trace(1) | {"id": [1]}]))
