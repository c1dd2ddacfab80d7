"""Langfuse: traces, observations and scores, as its interface, its blob storage export and its API write them.

The interface and the API write camelCase, blob storage snake_case. Scores of source API are what a program sent: users'
feedback, for one; EVAL are judges (language models), ANNOTATION people who review in Langfuse itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tacit.data.exports.payloads import parsed
from tacit.data.exports.rows import first, members, name_of, records, time_of
from tacit.data.exports.scores import REVIEWERS, USERS, Score, moment
from tacit.data.exports.traces import Export, Span, note_score, table_of
from tacit.data.raw import RawTable
from tacit.data.roles import Roles

_SOURCES = {"API": USERS, "ANNOTATION": REVIEWERS}
# Where judges and experiments run, in Langfuse or by its SDK.
_NOBODY_SAW = ("langfuse", "sdk-experiment")
_WORDS = ("CATEGORICAL", "TEXT", "CORRECTION")  # their number is an index, or always 0

_TRACE, _PARENT = ("trace_id", "traceId"), ("parent_observation_id", "parentObservationId")
_READ = (
    *("id", "name", "timestamp", "input", "output", "start_time", "startTime", "type", "level"),
    *("user_id", "userId", "session_id", "sessionId", "model", "provided_model_name", "providedModelName"),
    *("observation_id", "observationId", "data_type", "dataType", "string_value", "stringValue"),
    *("environment", "source", "value", "subject", "updated_at", "updatedAt", "observations", "scores"),
    *_TRACE,
    *_PARENT,
)


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are those of traces, observations or scores, or of several of them together."""
    have = set(columns)
    return any(
        marks <= have
        for marks in (
            {"trace_id", "data_type", "source", "value"},
            {"traceId", "dataType", "source", "value"},
            {"subject", "dataType", "source", "value"},
            {"input", "output", "bookmarked", "public", "session_id"},
            {"input", "output", "bookmarked", "public", "sessionId"},
            {"input", "output", "htmlPath", "sessionId"},
            {"input", "output", "trace_id", "parent_observation_id"},
            {"input", "output", "traceId", "parentObservationId"},
        )
    )


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per trace, or per observation where users score those; see `traces.table_of` for the columns."""
    export = Export("Langfuse", "traces", "scores")
    for row, record in enumerate(records(raw, _READ.__contains__)):
        if first(record, "data_type", "dataType", "source") is not None:
            _take_score(export, row, record, None)
        elif first(record, "id") is None:
            export.bad["is neither a trace nor an observation nor a score"].append(row)
        else:
            _take_span(export, row, record, None)
    return table_of(raw, export)


def _take_span(export: Export, row: int, record: dict[str, Any], trace: str | None) -> None:
    """An observation, or a trace with what the API puts inside it."""
    own, of = name_of(first(record, "id")), name_of(first(record, *_TRACE)) or trace
    if own is None:
        export.bad["has an id that is neither text nor a whole number"].append(row)
        return
    if str(record.get("environment")).startswith(_NOBODY_SAW):
        export.unseen.add(of or own)
        return
    export.spans.append(
        Span(
            row=row,
            id=own,
            trace=of or own,
            parent=name_of(first(record, *_PARENT)),
            name=name_of(first(record, "name")),
            kind=name_of(first(record, "type")),
            input=first(record, "input"),
            output=first(record, "output"),
            at=time_of(first(record, "start_time", "startTime", "timestamp")),
            user=name_of(first(record, "user_id", "userId")),
            session=name_of(first(record, "session_id", "sessionId")),
            model=name_of(first(record, "provided_model_name", "providedModelName", "model")),
            record=of is None,
            generates=record.get("type") == "GENERATION",
            failed=of is not None and record.get("level") == "ERROR",
        )
    )
    if of is None:
        for inside in _objects(record.get("observations")):
            _take_span(export, row, inside, own)
        for inside in _objects(record.get("scores")):
            _take_score(export, row, inside, own)


def _take_score(export: Export, row: int, record: dict[str, Any], trace: str | None) -> None:
    subject = members(record.get("subject"))
    step = first(subject, "id") if subject.get("kind") == "observation" else None
    whole = first(subject, "id") if subject.get("kind") == "trace" else None
    name, source = first(record, "name"), first(record, "source")
    note_score(
        export,
        Score(
            row=row,
            trace=name_of(first(record, *_TRACE) or whole or first(subject, *_TRACE)) or trace,
            span=name_of(first(record, "observation_id", "observationId") or step),
            name=name_of(name) or "",
            value=_value(record),
            at=moment(first(record, "timestamp", "updated_at", "updatedAt")),
            by=_SOURCES.get(str(source), str(source or "unknown")),
        ),
    )


def _value(record: dict[str, Any]) -> Any:
    number, text = record.get("value"), first(record, "string_value", "stringValue")
    kind = first(record, "data_type", "dataType")
    return text if text is not None and (number is None or kind in _WORDS) else number


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; the API also lists bare ids."""
    found = parsed(value)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
