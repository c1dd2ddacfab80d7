"""LibreChat: a dump of its collection of messages, and the export of one conversation as JSON from its page.

A dump (mongoexport) has one row per message, which names the one before it as `parentMessageId`; an export is an object
with the messages of one conversation in `messages` or `messagesTree`, in a row or each below the one it answers
(`children`). Thumbs are `feedback.rating`, "thumbsUp" or "thumbsDown". Text stands in `text` or in parts of `content`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from tacit.data.exports.chats import SIGNALS, Chat, Said, table_of
from tacit.data.messages import Fault, read_messages
from tacit.data.raw import RawTable
from tacit.data.roles import Roles
from tacit.data.times import seconds_of

_NOBODY = "00000000-0000-0000-0000-000000000000"  # the parent of a first message
_RATINGS = {"thumbsUp": 1.0, "thumbsDown": -1.0}
# Folded away on the page, or not shown: thoughts, which agent speaks, headings, what a long chat was cut down to.
_BESIDE = ("think", "agent_update", "activity_label", "summary")
# How versions before content in parts wrote thoughts; the page folds the first such block away.
_THOUGHTS = re.compile(r"\s*:::thinking.*?:::\s*", re.DOTALL)
_CELLS = (
    "messageId",
    "conversationId",
    "parentMessageId",
    "isCreatedByUser",
    "user",
    "text",
    "content",
    "files",
    "model",
    "endpoint",
    "error",
    "unfinished",
    "feedback",
    "createdAt",
)

_NO_IDS = "has no messageId, conversationId or isCreatedByUser"
_NO_MESSAGES = "holds no messages"
_SEVERAL = "holds the answers of several models side by side, and feedback on all of them at once"

Found = Iterable[tuple[int, str, Any]]  # position in the export, conversation, message


def detect_messages(columns: Sequence[str]) -> bool:
    """Whether the columns are those of dumped messages."""
    return {"messageId", "conversationId", "parentMessageId", "isCreatedByUser"} <= set(columns)


def load_messages(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per answer; see `chats.table_of` for the columns. Of a message that stands twice the last copy counts."""
    cells = [raw.values(name) if name in raw.columns else [None] * len(raw) for name in _CELLS]
    messages = [dict(zip(_CELLS, values, strict=True)) for values in zip(*cells, strict=True)]
    found = ((row, message["conversationId"], message) for row, message in enumerate(messages))
    return _table(raw, found, {}, {})


def detect_conversations(columns: Sequence[str]) -> bool:
    """Whether the columns are those of exported conversations."""
    return {"conversationId", "exportAt"} <= set(columns) and bool(
        {"messages", "messagesTree"} & set(columns)
    )


def load_conversations(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per answer of every conversation, as `load_messages` has it.

    An export without branches shows one path, from which answers that were regenerated are gone: `regenerated` is null.
    """
    names = ("conversationId", "branches", "messages", "messagesTree")
    cells = [raw.values(name) if name in raw.columns else [None] * len(raw) for name in names]
    bad: dict[str, list[int]] = defaultdict(list)
    branches: dict[str, bool] = {}
    found: list[tuple[int, str, Any]] = []
    for row, (name, whole, flat, nested) in enumerate(zip(*cells, strict=True)):
        messages = list(_below(flat or nested))
        if not messages:
            bad[_NO_MESSAGES].append(row)
        found += [(row, name, message) for message in messages]
        if isinstance(name, str):
            branches[name] = branches.get(name, False) or whole is not False
    return _table(raw, found, branches, bad)


def _below(messages: Any) -> Iterator[Any]:
    """Messages and those below them, each before its answers; by hand, as long conversations nest deeply."""
    waiting = list(reversed(_listed(messages)))
    while waiting:
        message = waiting.pop()
        yield message
        waiting += reversed(_listed(_object(message).get("children")))


def _table(
    raw: RawTable, found: Found, branches: Mapping[str, bool], bad: Mapping[str, Sequence[int]]
) -> tuple[RawTable, Roles]:
    refused = defaultdict(list, {reason: list(rows) for reason, rows in bad.items()})
    chats: dict[str, dict[str, Said]] = defaultdict(dict)
    users: dict[str, str] = {}
    for row, chat, message in found:
        said = _said(row, chat, message)
        if isinstance(said, str):
            refused[said].append(row)
            continue
        chats[chat][said.id] = said
        user = message.get("user")
        if isinstance(user, str):
            users[chat] = user
    return table_of(
        raw,
        [
            Chat(name, users.get(name), list(said.values()), branches.get(name, True))
            for name, said in chats.items()
        ],
        refused,
    )


def _said(row: int, chat: Any, message: Any) -> Said | str:
    """A message, or why it is none."""
    cells = _object(message)
    name, mine = cells.get("messageId"), cells.get("isCreatedByUser")
    if not isinstance(name, str) or not isinstance(chat, str) or not isinstance(mine, bool):
        return _NO_IDS
    parts = [_object(part) for part in _listed(cells.get("content"))]
    if len({_text(part.get("agentId")) for part in parts if part.get("groupId") is not None}) > 1:
        return _SEVERAL
    parent, model = cells.get("parentMessageId"), _text(cells.get("model"))
    rating = _text(_object(cells.get("feedback")).get("rating"))
    failed = any(part.get("type") == "error" for part in parts)
    return Said(
        row,
        name,
        None if parent in (None, "", _NOBODY) else str(parent),
        "user" if mine else "assistant",
        _content(cells, mine),
        _RATINGS.get(rating or ""),
        model,
        _seconds(cells.get("createdAt")),
        model or _text(cells.get("endpoint")),  # an answer that was broken off may lack its endpoint
        not (failed or cells.get("error") or cells.get("unfinished")),
    )


def _content(message: Mapping[str, Any], mine: bool) -> Any:
    """The words of a message and, as lines below them, what was called; if there is more, parts that are not text."""
    words: list[str] = []
    calls: list[Any] = []
    others = ["file" for _ in _listed(message.get("files"))]
    for part in _listed(message.get("content")):
        kind = _object(part).get("type")
        text = _words(part)
        if text is not None:
            words.append(text)
        elif kind == "tool_call":
            calls.append(_call(_object(part.get("tool_call"))))
        elif kind is not None and kind not in _BESIDE:
            others.append(str(kind))
    if not words and not calls:
        text = message.get("text")
        words = [text if mine else _THOUGHTS.sub("", text, count=1)] if isinstance(text, str) else []
    read = read_messages({"role": "assistant", "content": "\n".join(words), "tool_calls": calls})
    if others or isinstance(read, Fault):
        return [{"type": kind} for kind in others or ["tool_call"]]
    return read[0]["content"]


def _words(part: Any) -> str | None:
    """The text of a part, which assistants' interfaces wrap once more, or None where it has none."""
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    return _text(text.get("value") if isinstance(text, dict) else text)


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """A call in the one shape that `read_messages` knows; those of assistants are called after their kind."""
    kind = call.get("type")
    inner = _object(call.get(str(kind)))
    return {
        "function": {
            "name": call.get("name") or inner.get("name") or kind,
            "arguments": call.get("args") or inner.get("arguments") or inner.get("input"),
        }
    }


def _seconds(value: Any) -> float | None:
    """A time since 1970 in seconds, from text, a date, or what MongoDB's tools write for one: milliseconds or text."""
    if isinstance(value, dict) and "$date" in value:
        inner = value["$date"]
        value = inner.get("$numberLong") if isinstance(inner, dict) else inner
        scale = 1 if isinstance(value, str) and not value.isdigit() else 1000
    else:
        scale = 1
    found = seconds_of(value) if isinstance(value, str | int | float | date) else None
    return None if found is None or not math.isfinite(found) else found / scale


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


__all__ = [
    "SIGNALS",
    "detect_conversations",
    "detect_messages",
    "load_conversations",
    "load_messages",
]
