"""Phoenix: OpenInference spans and annotations of them, as its client lists them or makes data frames of them.

Only annotations of kind HUMAN are people's. Those of source API were sent by a program: users' feedback, for one; those
of source APP were made by people who review in Phoenix itself.
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

_DEPTH = 12  # of the attributes that are read
_FLAT = "attributes."  # data frames have a column for each attribute
_READ = (
    *("name", "context", "context.span_id", "context.trace_id", "parent_id", "span_kind", "start_time"),
    *("status_code", "attributes", "span_id", "trace_id", "annotation_name", "annotator_kind", "source"),
    *(
        "result",
        "result.score",
        "result.label",
        "score",
        "label",
        "updated_at",
        "created_at",
        "document_position",
    ),
)


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are those of spans or of annotations, or of both."""
    have = set(columns)
    return (
        {"context.span_id", "context.trace_id", "span_kind"} <= have
        or {"context", "span_kind", "status_code", "attributes"} <= have
        or ("annotator_kind" in have and bool({"span_id", "trace_id"} & have))
    )


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per root span, or per span within where users score those; see `traces.table_of` for the columns."""
    export = Export("Phoenix", "spans", "annotations")
    for row, record in enumerate(records(raw, _is_read)):
        if "annotator_kind" in record:
            _take_annotation(export, row, record)
        else:
            _take_span(export, row, record)
    return table_of(raw, export)


def _is_read(column: str) -> bool:
    return column in _READ or column.startswith(_FLAT)


def _take_span(export: Export, row: int, record: dict[str, Any]) -> None:
    context = members(record.get("context"))
    own = name_of(first(record, "context.span_id") or first(context, "span_id"))
    if own is None:
        export.bad["is neither a span nor an annotation"].append(row)
        return
    told = _attributes(record)
    export.spans.append(
        Span(
            row=row,
            id=own,
            trace=name_of(first(record, "context.trace_id") or first(context, "trace_id")) or own,
            parent=name_of(first(record, "parent_id")),
            name=name_of(first(record, "name")),
            kind=name_of(first(record, "span_kind")),
            input=_messages(_at(told, "llm", "input_messages")) or _at(told, "input", "value"),
            output=_messages(_at(told, "llm", "output_messages")) or _at(told, "output", "value"),
            at=time_of(first(record, "start_time")),
            user=name_of(_at(told, "user", "id")),
            session=name_of(_at(told, "session", "id")),
            model=name_of(_at(told, "llm", "model_name")),
            generates=record.get("span_kind") == "LLM",
            failed=record.get("status_code") == "ERROR",
        )
    )


def _take_annotation(export: Export, row: int, record: dict[str, Any]) -> None:
    name, kind = first(record, "annotation_name", "name"), str(record["annotator_kind"])
    if "document_position" in record:
        export.bad["annotations: of a document, not of a response"].append(row)
        return
    note_score(
        export,
        Score(
            row=row,
            trace=name_of(first(record, "trace_id")),
            span=name_of(first(record, "span_id")),
            name=name_of(name) or "",
            value=first(
                members(record.get("result")) | record, "result.score", "score", "result.label", "label"
            ),
            at=moment(first(record, "updated_at", "created_at")),
            by=(REVIEWERS if record.get("source") == "APP" else USERS) if kind == "HUMAN" else kind,
        ),
    )


def _attributes(record: Mapping[str, Any]) -> Any:
    """Attributes as objects within objects, whether their names are dotted or not."""
    flat = {name.removeprefix(_FLAT): value for name, value in record.items() if name.startswith(_FLAT)}
    return _nested(members(record.get("attributes")) | flat)


def _nested(value: Any, depth: int = 0) -> Any:
    """Dotted names as objects within objects, numbers in them as places of a list.

    Example:
        >>> _nested({"llm.input_messages.0.message.role": "user", "llm.model_name": "m"})
        {'llm': {'input_messages': [{'message': {'role': 'user'}}], 'model_name': 'm'}}
    """
    if depth > _DEPTH:
        return value
    if isinstance(value, list | tuple):
        return [_nested(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    tree: dict[str, Any] = {}
    for name, member in value.items():
        if member is not None:
            _put(tree, str(name).split("."), _nested(member, depth + 1))
    return _with_lists(tree)


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):  # a value and a part of it under one name
            return
        tree = below
    known = tree.get(path[-1])
    tree[path[-1]] = known | value if isinstance(known, dict) and isinstance(value, dict) else value


def _with_lists(tree: dict[str, Any]) -> Any:
    inner = {name: _with_lists(value) if isinstance(value, dict) else value for name, value in tree.items()}
    if all(name.isdecimal() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def _at(tree: Any, *path: str) -> Any:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _messages(value: Any) -> list[dict[str, Any]]:
    """Messages of OpenInference in the shape of OpenAI's interface; none where it holds something else."""
    found = _nested(parsed(value))
    turns = [_at(item, "message") for item in found] if isinstance(found, list) else []
    if not all(isinstance(turn, dict) and "role" in turn for turn in turns):
        return []
    return [
        {
            "role": turn["role"],
            "content": turn.get("content") or _parts(turn.get("contents")),
            "tool_calls": [_at(call, "tool_call") for call in _list(turn.get("tool_calls"))],
        }
        for turn in turns
    ]


def _parts(contents: Any) -> list[Any]:
    return [_at(part, "message_content") for part in _list(contents)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
