"""Phoenix's exports: OpenInference spans in one table, annotations in another, as lists and as data frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import made_exports
import pandas as pd
import pytest
from made_exports import by_trace

from tacit import FeedbackLog
from tacit.data.exports import phoenix
from tacit.errors import DataError

Row = dict[str, Any]

CALL = {"tool_call": {"id": "c1", "function": {"name": "sum", "arguments": '{"of": [1, 2]}'}}}


def span(number: int, name: str = "", **more: Any) -> Row:
    """A span at the top, or one of a name within it."""
    told = {
        "input.value": f"Question {number}?",
        "output.value": f"Answer {number}{name}.",
        "user.id": "ann" if number % 2 else "bob",
        "session.id": "c1",
        "llm.model_name": "small" if name else None,
    }
    return {
        "name": name or "agent",
        "context": {"trace_id": f"t{number}", "span_id": f"s{number}{name}"},
        "span_kind": "LLM" if name else "CHAIN",
        "parent_id": f"s{number}" if name else None,
        "start_time": f"2026-01-0{number}T10:00:00+00:00",
        "end_time": f"2026-01-0{number}T10:00:01+00:00",
        "status_code": "OK",
        "attributes": told,
    } | more


def annotation(number: int, score: Any, name: str = "", **more: Any) -> Row:
    return {
        "id": f"a{number}{score}",
        "created_at": f"2026-01-0{number}T11:00:00+00:00",
        "updated_at": f"2026-01-0{number}T11:00:00+00:00",
        "source": "API",
        "user_id": None,
        "name": "thumb",
        "annotator_kind": "HUMAN",
        "result": {"score": score, "label": None, "explanation": None},
        "metadata": {},
        "span_id": f"s{number}{name}",
    } | more


def as_lists(path: Path, rows: list[Row]) -> None:
    path.with_suffix(".json").write_text(json.dumps(rows), encoding="utf-8")


def frame(rows: list[Row]) -> pd.DataFrame:
    """As the client makes data frames: objects as dotted columns, and the annotation's name under another name."""
    made = pd.json_normalize(rows)
    return made.rename(columns={"name": "annotation_name"}) if "annotator_kind" in made else made


def as_csv(path: Path, rows: list[Row]) -> None:
    frame(rows).to_csv(path.with_suffix(".csv"), index=False)


def as_parquet(path: Path, rows: list[Row]) -> None:
    frame(rows).to_parquet(path.with_suffix(".parquet"), index=False)


export = partial(made_exports.export, write=as_lists)


@pytest.mark.parametrize("write", [as_lists, as_csv, as_parquet])
def test_root_spans_are_the_responses_and_annotations_of_people_their_signals(
    tmp_path: Path, write: Callable[[Path, list[Row]], None]
) -> None:
    spans = [span(1), span(1, "llm"), span(2), span(3)]
    said = [annotation(1, 1.0), annotation(2, 0.0), annotation(3, 1.0, annotator_kind="LLM")]
    log = FeedbackLog.read(export(tmp_path, spans, said, write=write))
    assert log.column("prompt") == ["Question 1?", "Question 2?", "Question 3?"]
    assert log.column("response") == ["Answer 1.", "Answer 2.", "Answer 3."]
    assert by_trace(log, "thumb_up") == {"t1": 1, "t2": 0, "t3": 0}
    assert by_trace(log, "thumb_down") == {"t1": 0, "t2": 1, "t3": 0}
    assert by_trace(log, "user_id") == {"t1": "ann", "t2": "bob", "t3": "ann"}
    assert by_trace(log, "model") == {"t1": "small", "t2": None, "t3": None}
    assert log.column("session_id") == ["c1"] * 3 and log.roles.context == ("user_activity",)
    assert not log.quarantine.total


MESSAGES: list[Row] = [
    {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "Add 1 and 2.",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "sum",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"of": [1, 2]}',
        "input.value": '{"messages": 1}',
        "output.value": "…",
    },
    {
        "llm.input_messages": [{"message.role": "user", "message.content": "Add 1 and 2."}],
        "llm.output_messages": [{"message.role": "assistant", "message.tool_calls": [CALL]}],
    },
    {
        "llm": {
            "input_messages": [
                {
                    "message": {
                        "role": "user",
                        "contents": [{"message_content": {"type": "text", "text": "Add 1 and 2."}}],
                    }
                }
            ],
            "output_messages": [{"message": {"role": "assistant", "tool_calls": [CALL]}}],
        },
        "output": {"value": "…"},
    },
    {
        "llm.input_messages": '[{"message.role": "user", "message.content": "Add 1 and 2."}]',
        "llm.output_messages": json.dumps([{"message": {"role": "assistant", "tool_calls": [CALL]}}]),
    },
]


@pytest.mark.parametrize("told", MESSAGES)
def test_messages_are_read_from_each_form_of_attributes(tmp_path: Path, told: Row) -> None:
    log = FeedbackLog.read(export(tmp_path, [span(1, attributes=told)], [annotation(1, 1)]))
    assert log.column("prompt") == [[{"role": "user", "content": "Add 1 and 2."}]]
    assert log.column("response") == ['{"name": "sum", "arguments": {"of": [1, 2]}}']


def test_more_than_ten_messages_keep_their_order(tmp_path: Path) -> None:
    told: Row = {"output.value": "Bye."}
    for i in range(12):
        told |= {
            f"llm.input_messages.{i}.message.role": "user",
            f"llm.input_messages.{i}.message.content": f"{i}",
        }
    log = FeedbackLog.read(export(tmp_path, [span(1, attributes=told)], [annotation(1, 1)]))
    assert [turn["content"] for turn in log.column("prompt")[0]] == [str(i) for i in range(12)]


@pytest.mark.parametrize("kind", ["LLM", "CODE", "AGENT"])
def test_only_people_give_signals(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tacit")
    log = FeedbackLog.read(export(tmp_path, [span(1)], [annotation(1, 1, annotator_kind=kind)]))
    assert log.roles.signals == ()
    assert f"left out annotations that users did not give: 1 of source {kind}" in caplog.text


def test_people_who_annotate_in_the_tool_itself_are_reviewers(tmp_path: Path) -> None:
    said = [annotation(1, 1, source="APP"), annotation(1, 0)]
    log = FeedbackLog.read(export(tmp_path, [span(1)], said), gold="thumb_reviewed")
    assert log.column("thumb_reviewed") == [1.0] and log.column("thumb_down") == [1]


def test_a_label_counts_where_there_is_no_score(tmp_path: Path) -> None:
    said = [
        annotation(n, None, result={"label": label}) for n, label in ((1, "thumbs-up"), (2, "thumbs-down"))
    ]
    log = FeedbackLog.read(export(tmp_path, [span(1), span(2), span(3)], [*said, annotation(3, None)]))
    assert by_trace(log, "thumb_up") == {"t1": 1, "t2": 0, "t3": 0}
    assert "annotations: has no value (1;" in log.quarantine.describe()


@pytest.mark.parametrize("form", ["score", "label", "result.score", "result.label"])
def test_scores_and_labels_are_read_from_columns_of_their_own(tmp_path: Path, form: str) -> None:
    words = ("up", "down") if form.endswith("label") else (1, 0)
    said = [
        {key: value for key, value in annotation(n, 1).items() if key != "result"} | {form: word}
        for n, word in enumerate(words, 1)
    ]
    log = FeedbackLog.read(export(tmp_path, [span(1), span(2)], said))
    assert log.column("thumb_up") == [1, 0] and log.column("thumb_down") == [0, 1]
    assert log.column("timestamp") == [f"2026-01-0{n}T10:00:00+00:00" for n in (1, 2)]


@pytest.mark.parametrize("clock", ["updated_at", "created_at"])
def test_the_annotation_last_changed_counts(tmp_path: Path, clock: str) -> None:
    none = {"updated_at": None, "created_at": None}
    said = [
        annotation(1, 1) | none | {clock: "2026-02-02T00:00:00Z"},
        annotation(1, 0) | none | {clock: "2026-02-01T00:00:00Z"},
    ]
    assert FeedbackLog.read(export(tmp_path, [span(1)], said)).column("thumb") == [1]


def test_a_trace_whose_top_tells_nothing_has_its_one_call_of_a_model(tmp_path: Path) -> None:
    spans = [span(1, attributes={}), span(1, "llm"), span(1, "tool", span_kind="TOOL")]
    assert FeedbackLog.read(export(tmp_path, spans, [annotation(1, 1)])).column("response") == [
        "Answer 1llm."
    ]


def test_annotations_of_traces_are_read_and_those_of_documents_are_not(tmp_path: Path) -> None:
    said = [
        {key: value for key, value in annotation(1, 1).items() if key != "span_id"} | {"trace_id": "t1"},
        annotation(2, 1, document_position=0),
    ]
    log = FeedbackLog.read(export(tmp_path, [span(1), span(2)], said))
    assert by_trace(log, "thumb") == {"t1": 1, "t2": 0}
    assert "annotations: of a document, not of a response (1;" in log.quarantine.describe()


def test_where_annotations_name_spans_within_those_are_the_responses(tmp_path: Path) -> None:
    spans = [span(1), span(1, "llm"), span(2), span(2, "llm")]
    log = FeedbackLog.read(export(tmp_path, spans, [annotation(1, 1, "llm")]))
    assert log.column("response") == ["Answer 1llm.", "Answer 2llm."] and log.column("thumb") == [1, 0]


def test_a_span_whose_parent_another_service_holds_is_at_the_top(tmp_path: Path) -> None:
    spans = [span(1, parent_id="elsewhere"), span(1, "llm")]
    assert FeedbackLog.read(export(tmp_path, spans, [annotation(1, 1)])).column("response") == ["Answer 1."]


def test_a_span_that_failed_is_no_response(tmp_path: Path) -> None:
    spans = [span(1), span(2, status_code="ERROR"), {"name": "stray"}]
    log = FeedbackLog.read(export(tmp_path, spans, [annotation(1, 1)]))
    assert log.column("trace_id") == ["t1"]
    assert log.quarantine.counts == {
        "the response is an error or was not finished": 1,
        "is neither a span nor an annotation": 1,
    }


def test_annotations_alone_are_refused_and_spans_alone_are_a_log_without_signals(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"Phoenix's annotations and no spans .*read the folder that holds both"
    ):
        FeedbackLog.read(export(tmp_path / "annotations", [annotation(1, 1)]))
    assert FeedbackLog.read(export(tmp_path / "spans", [span(1)])).roles.signals == ()


def test_attributes_are_put_together_from_both_forms(tmp_path: Path) -> None:
    told = {
        "llm.model_name": "m",
        "llm": {"input_messages": [{"message": {"role": "user", "content": "Hi"}}]},
        "output": None,
        "output.value": "Hello!",
    }
    log = FeedbackLog.read(export(tmp_path, [span(1, attributes=told)], [annotation(1, 1)]))
    assert log.column("prompt") == [[{"role": "user", "content": "Hi"}]] and log.column("model") == ["m"]


@pytest.mark.parametrize(
    "messages", [7, [], ["x"], [{"message": {"content": "Hi"}}], [{"message": "Hi"}], {"a": 1}]
)
def test_where_there_are_no_messages_the_value_counts(tmp_path: Path, messages: Any) -> None:
    told = {"input.value": "Hi", "output.value": "Hello!", "llm.input_messages": messages}
    log = FeedbackLog.read(export(tmp_path, [span(1, attributes=told)], [annotation(1, 1)]))
    assert log.column("prompt") == ["Hi"]


def test_attributes_that_contradict_each_other_or_have_no_end_are_no_error(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(600):
        deep = [deep]
    odd = [
        {"input": "x", "input.value": "y", "output.value": "z"},
        {"0": "x"},
        {"llm.model_name": "m", "llm": "x"},
        {"²": "x"},
    ]
    text = json.dumps({"input.value": "Hi", "output.value": "Hello!", "deep": deep})
    spans = [span(n, attributes=told) for n, told in enumerate([text, "{", *odd], 1)]
    log = FeedbackLog.read(export(tmp_path, spans))
    assert log.column("response") == ["Hello!"] and log.quarantine.total == 5


def test_each_table_is_recognised_by_itself() -> None:
    assert all(phoenix.detect(list(row)) for row in (span(1), annotation(1, 1)))
    assert all(phoenix.detect(list(frame([row]))) for row in (span(1), annotation(1, 1)))
    assert phoenix.detect(["context.span_id", "context.trace_id", "span_kind"])
    assert phoenix.detect(["context", "span_kind", "status_code", "attributes"])
    assert not phoenix.detect(["annotator_kind", "prompt", "response"])
