"""What the exports of chat interfaces share: messages that branch, thumbs on some of them, answers asked for again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tacit.data.raw import RawTable, logger
from tacit.data.roles import USER_ACTIVITY, Roles
from tacit.data.signal import Signal
from tacit.data.tree import rows_above

# The buttons stand under every answer, so one without a thumb is 0 and not null.
SIGNALS = {
    "thumbs_up": Signal("thumbs_up", +1),
    "thumbs_down": Signal("thumbs_down", -1),
    "regenerated": Signal(
        "regenerated", -1
    ),  # offered, and not read unless named: many ask again out of curiosity
    "rated": Signal("rated", kind="explicit"),
}
_SILENT = 0.05  # share of answers without a thumb below which there is hardly a silence to read, and thumbs are a label


@dataclass(frozen=True)
class Said:
    """One message of a chat.

    Args:
        row: position in the export of what holds it.
        id, parent: its own name and that of the message before, None at the beginning.
        role: "user", "assistant" or another.
        content: text or parts.
        rating: above 0 for a thumb up, below for one down, None without.
        model: that wrote it.
        at: when, in any unit that orders.
        lane: answers of one lane to one message are attempts of one model; those of others stand beside them.
        finished: whether all of it was written.
    """

    row: int
    id: str
    parent: str | None
    role: str
    content: Any
    rating: float | None = None
    model: Any = None
    at: Any = None
    lane: Any = None
    finished: bool = True


@dataclass(frozen=True)
class Chat:
    """Messages of one conversation, in the order of the export, and whose it is.

    Without `branches` it is one path through them: answers that were replaced are not there.
    """

    id: str
    user: str | None
    messages: Sequence[Said]
    branches: bool = True


def table_of(
    raw: RawTable, chats: Iterable[Chat], bad: Mapping[str, Sequence[int]]
) -> tuple[RawTable, Roles]:
    """One row per answer, with the conversation before it.

    Columns made: prompt (messages), response, parent_id (of the message answered), thumbs_up, thumbs_down, rated (1 up,
    0 down, null neither), regenerated (another attempt of the same model was asked for later; null in a chat without
    branches), turn (user messages so far), chat_id, message_id, and user_id, timestamp and model where some chat has
    them.

    Args:
        raw: the export.
        chats: each conversation once.
        bad: positions in the export of what holds no chat, by reason.
    """
    columns: dict[str, list[Any]] = defaultdict(list)
    rows: list[int] = []
    refused: dict[str, list[int]] = defaultdict(list, {reason: list(where) for reason, where in bad.items()})
    for chat in chats:
        index = {said.id: i for i, said in enumerate(chat.messages)}
        parents = [said.parent for said in chat.messages]
        again = _asked_again(chat.messages)
        for i, said in enumerate(chat.messages):
            if said.role != "assistant":
                continue
            path = rows_above(i, index, parents)
            if path is None:
                refused["the conversation before the response is not in the export"].append(said.row)
                continue
            if not said.finished:
                refused["the response is an error or was not finished"].append(said.row)
                continue
            rows.append(said.row)
            before = [chat.messages[at] for at in path]
            columns["prompt"].append([{"role": turn.role, "content": turn.content} for turn in before])
            columns["response"].append(_response(said.content))
            columns["parent_id"].append(said.parent)
            columns["thumbs_up"].append(int((said.rating or 0) > 0))
            columns["thumbs_down"].append(int((said.rating or 0) < 0))
            columns["rated"].append(int((said.rating or 0) > 0) if said.rating else None)
            columns["regenerated"].append(int(said.id in again) if chat.branches else None)
            columns["turn"].append(sum(turn.role == "user" for turn in before))
            columns["chat_id"].append(chat.id)
            columns["message_id"].append(said.id)
            columns["user_id"].append(chat.user)
            columns["timestamp"].append(said.at)
            columns["model"].append(said.model)
    known = {name for name in ("user_id", "timestamp", "model") if any(v is not None for v in columns[name])}
    made = {name: values for name, values in columns.items() if name not in _OPTIONAL or name in known}
    users = len(set(columns["user_id"]) - {None})
    context = {"turn": len(set(columns["turn"])) > 1, USER_ACTIVITY: users > 1}
    signals: tuple[Signal, ...] = (SIGNALS["thumbs_up"], SIGNALS["thumbs_down"])
    if columns["rated"] and columns["rated"].count(None) < _SILENT * len(rows):
        logger.info(
            "%s: nearly every answer has a thumb, so that the thumbs are read as one label, 'rated'", raw.name
        )
        signals = (SIGNALS["rated"],)
    return raw.made_of(made, rows, refused), Roles(
        prompt_id="parent_id",
        signals=signals,
        context=tuple(name for name, there in context.items() if there),
        session_id="chat_id",
        user_id="user_id" if "user_id" in known else None,
        timestamp="timestamp" if "timestamp" in known else None,
        policy="model" if "model" in known else None,
    )


_OPTIONAL = ("user_id", "timestamp", "model")


def _response(content: Any) -> Any:
    """Text as it is; parts as the message that they make, whose reader says what is wrong with them."""
    return [{"role": "assistant", "content": content}] if isinstance(content, list) else content


def _asked_again(messages: Sequence[Said]) -> set[str]:
    """Answers after which the same model was asked for another one to the same message."""
    attempts: dict[Any, list[Said]] = defaultdict(list)
    for said in messages:
        if said.role == "assistant":
            attempts[said.parent, said.lane].append(said)
    again: set[str] = set()
    for siblings in attempts.values():
        if all(isinstance(said.at, int | float) for said in siblings):
            siblings.sort(key=lambda said: said.at)  # those of one time stay in their order
        again |= {said.id for said in siblings[:-1]}
    return again
