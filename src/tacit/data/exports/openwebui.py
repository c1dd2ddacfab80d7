"""Open WebUI: the export of all chats, and the export of the feedback history, which holds the rated chats alone.

Both are JSON arrays. A chat keeps its messages by id under `chat.history.messages`, thumbs as `annotation.rating`, 1 or
-1; a feedback has `data.rating`, `meta.message_id` and the whole chat as it stood under `snapshot.chat`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tacit.data.exports.chats import SIGNALS, Chat, Said, table_of
from tacit.data.raw import RawTable
from tacit.data.roles import Roles

_NO_MESSAGES = "holds no chat.history.messages"
# What the model thought is folded away on the page; users judge the answer.
_THOUGHTS = re.compile(r'<details type="reasoning".*?</details>\s*', re.DOTALL)


def detect_chats(columns: Sequence[str]) -> bool:
    """Whether the columns are those of exported chats."""
    return {"id", "user_id", "title", "chat"} <= set(columns)


def load_chats(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per answer of every chat; see `chats.table_of` for the columns."""
    bad: dict[str, list[int]] = defaultdict(list)
    chats = []
    for row, (name, user, chat) in enumerate(
        zip(raw.values("id"), raw.values("user_id"), raw.values("chat"), strict=True)
    ):
        messages = _messages(chat, row)
        if messages:
            chats.append(Chat(str(name), user, messages))
        else:
            bad[_NO_MESSAGES].append(row)
    return table_of(raw, chats, bad)


def detect_feedback(columns: Sequence[str]) -> bool:
    """Whether the columns are those of an exported feedback history."""
    return {"type", "data", "meta", "snapshot"} <= set(columns)


def load_feedback(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per answer of every chat in which something was rated, rated or not.

    Of several feedbacks on one chat the messages are taken together, as they stood last; of several on one answer the
    last counts.
    """
    names = ("data", "meta", "snapshot", "user_id", "updated_at")
    cells = {name: raw.values(name) if name in raw.columns else [None] * len(raw) for name in names}
    bad: dict[str, list[int]] = defaultdict(list)
    merged: dict[str, dict[str, Said]] = defaultdict(dict)
    ratings: dict[tuple[str, str], float] = {}
    users: dict[str, str | None] = {}
    times = [at if isinstance(at, int | float) else 0 for at in cells["updated_at"]]
    for row in sorted(range(len(raw)), key=lambda at: times[at]):
        meta, data = _object(cells["meta"][row]), _object(cells["data"][row])
        shot = _object(_object(cells["snapshot"][row]).get("chat"))
        messages = _messages(shot.get("chat", shot), row)
        chat, rated = meta.get("chat_id") or shot.get("id"), meta.get("message_id")
        if not messages or not isinstance(chat, str):
            bad["has no snapshot of its chat"].append(row)
            continue
        rating = _rating(data)
        if rating is not None and isinstance(rated, str):
            ratings[chat, rated] = rating
        merged[chat] |= {said.id: said for said in messages}
        users[chat] = cells["user_id"][row]
    chats = [
        Chat(
            chat,
            users[chat],
            [replace(said, rating=ratings.get((chat, said.id), said.rating)) for said in messages.values()],
        )
        for chat, messages in merged.items()
    ]
    return table_of(raw, chats, bad)


def _messages(chat: Any, row: int) -> list[Said]:
    """The messages of a chat; an id that this chat does not have is null where Arrow has made a column of each."""
    history = _object(_object(chat).get("history"))
    return [
        _said(str(name), message, row)
        for name, message in _object(history.get("messages")).items()
        if isinstance(message, dict)
    ]


def _said(name: str, message: Mapping[str, Any], row: int) -> Said:
    content = message.get("content")
    return Said(
        row,
        name,
        message.get("parentId"),
        str(message.get("role")),
        _THOUGHTS.sub("", content) if isinstance(content, str) else content,
        _rating(_object(message.get("annotation"))),
        message.get("model"),
        message.get("timestamp"),
        (message.get("model"), message.get("modelIdx")),
        message.get("done") is not False and not message.get("error"),
    )


def _rating(holder: Mapping[str, Any]) -> float | None:
    """1 or -1, as a number or, in some versions, as text."""
    try:
        return float(holder["rating"])
    except (KeyError, TypeError, ValueError):
        return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


__all__ = ["SIGNALS", "detect_chats", "detect_feedback", "load_chats", "load_feedback"]
