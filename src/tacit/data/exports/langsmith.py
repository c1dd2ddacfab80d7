"""LangSmith: runs and feedback, as its client and API list them and its bulk export writes runs.

Feedback of source "api" is what a program sent: users' feedback, for one; "model" and "auto_eval" are judges (language
models), "app" is people who review in LangSmith itself. A run's `session_id` is its project; the conversation stands in
its metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tacit.data.exports.payloads import parsed
from tacit.data.exports.rows import first, members, name_of, records, time_of
from tacit.data.exports.scores import REVIEWERS, USERS, Score, moment
from tacit.data.exports.traces import Export, Span, note_score, table_of
from tacit.data.raw import RawTable
from tacit.data.roles import Roles

_SOURCES = {"api": USERS, "app": REVIEWERS}
_READ = (
    *(
        "id",
        "trace_id",
        "parent_run_id",
        "name",
        "run_type",
        "inputs",
        "outputs",
        "error",
        "start_time",
    ),
    *("extra", "metadata", "run_id", "key", "score", "value", "created_at", "modified_at"),
    *("feedback_source", "feedback_source.type", "reference_example_id"),
)


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are those of runs or of feedback, or of both."""
    have = set(columns)
    return {"run_type", "inputs", "outputs"} <= have or (
        {"run_id", "key", "score"} <= have and bool({"feedback_source", "feedback_source.type"} & have)
    )


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per root run, or per run within where users score those; see `traces.table_of` for the columns."""
    export = Export("LangSmith", "runs", "feedback")
    for row, record in enumerate(records(raw, _READ.__contains__)):
        if "key" in record or "run_id" in record:
            _take_feedback(export, row, record)
        else:
            _take_run(export, row, record)
    return table_of(raw, export)


def _take_run(export: Export, row: int, record: dict[str, Any]) -> None:
    own = name_of(first(record, "id"))
    if own is None or not {"run_type", "inputs", "outputs"} & set(record):
        export.bad["is neither a run nor feedback"].append(row)
        return
    if "reference_example_id" in record:
        export.unseen.add(name_of(first(record, "trace_id")) or own)
        return
    trace = name_of(first(record, "trace_id")) or own
    extra = members(record.get("extra"))
    metadata = members(first(record, "metadata")) or members(extra.get("metadata"))
    export.spans.append(
        Span(
            row=row,
            id=own,
            trace=trace,
            # A bulk export names no parents.
            parent=None if own == trace else name_of(first(record, "parent_run_id")) or trace,
            name=name_of(first(record, "name")),
            kind=name_of(first(record, "run_type")),
            input=record.get("inputs"),
            output=record.get("outputs"),
            at=time_of(first(record, "start_time")),
            user=name_of(first(metadata, "user_id")),
            session=name_of(first(metadata, "session_id", "thread_id", "conversation_id")),
            model=name_of(_model(extra, metadata)),
            generates=record.get("run_type") == "llm",
            failed=first(record, "error") is not None,
        )
    )


def _model(extra: Mapping[str, Any], metadata: Mapping[str, Any]) -> Any:
    called = members(extra.get("invocation_params"))
    return first(metadata, "ls_model_name") or first(called, "model", "model_name")


def _take_feedback(export: Export, row: int, record: dict[str, Any]) -> None:
    key, source = first(record, "key"), _source(record)
    note_score(
        export,
        Score(
            row=row,
            trace=name_of(first(record, "trace_id")),
            span=name_of(first(record, "run_id")),
            name=name_of(key) or "",
            value=first(record, "score", "value"),
            at=moment(first(record, "modified_at", "created_at")),
            by=_SOURCES.get(source, source),
        ),
    )


def _source(record: Mapping[str, Any]) -> str:
    """What gave it, from an object, its JSON, a flattened column or a bare word."""
    source = parsed(first(record, "feedback_source.type", "feedback_source"))
    return str((source.get("type") if isinstance(source, dict) else source) or "unknown")
