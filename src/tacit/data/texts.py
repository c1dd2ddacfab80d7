"""Prompts and responses: plain text or chat messages in, two Arrow forms out, and text or messages back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tacit.data.messages import Fault, Message, read_messages
from tacit.errors import DataError

# 64-bit offsets: the text of a large log passes 2 GB.
TEXT = pa.large_string()
MESSAGE = pa.struct([("role", TEXT), ("content", TEXT)])
CHAT = pa.large_list(MESSAGE)

Bad = dict[str, npt.NDArray[np.bool_]]


def is_chat(kind: Any) -> bool:
    """Whether an Arrow type is a list of messages."""
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(listed and pa.types.is_struct(kind.value_type))


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def read_texts(column: Any, part: str, place: str) -> tuple[Any, Bad]:
    """Bring a prompt or response column to `TEXT` or `CHAT`.

    Args:
        column: Arrow chunked array, or a list of Python objects when its values have several types.
        part: "prompt" or "response", for messages and for the role of plain text among chat rows.
        place: file and column, for messages.

    A single message counts as a list of one, content in parts ({type: "text", text}) as its parts' lines, and a tool
    call as a line of JSON below the turn's text.

    Returns:
        The array [N], and for each reason a bool [N] of the rows that cannot be used.

    Raises:
        DataError: the whole column is neither text nor messages.
    """
    if isinstance(column, list):
        return _from_objects(column, part)
    if pa.types.is_null(column.type):
        column = column.cast(TEXT)
    if is_text(column.type):
        return _from_text(column.cast(TEXT).combine_chunks(), part)
    if _is_plain_chat(column.type):
        return _from_chat(column.combine_chunks(), part)
    if pa.types.is_nested(column.type):
        return _from_objects(column.to_pylist(), part)
    raise DataError(
        f"{place}: the {part} column holds {column.type}, expected text or a list of {{role, content}} messages; "
        f"write it as text, or name the column that holds it"
    )


def _is_plain_chat(kind: Any) -> bool:
    """Whether messages are text for role and content and no tool calls, so that whole columns can be taken over."""
    if not is_chat(kind):
        return False
    found = {
        kind.value_type.field(i).name: kind.value_type.field(i).type
        for i in range(kind.value_type.num_fields)
    }
    calls = found.get("tool_calls", pa.null())
    return pa.types.is_null(calls) and all(
        name in found and (is_text(found[name]) or pa.types.is_null(found[name]))
        for name in ("role", "content")
    )


def _blank(text: Any) -> npt.NDArray[np.bool_]:
    empty = pc.equal(pc.binary_length(text), 0)
    return _numpy(pc.fill_null(pc.or_(pc.utf8_is_space(text), empty), False))


def _numpy(mask: Any) -> npt.NDArray[np.bool_]:
    values: npt.NDArray[np.bool_] = np.asarray(mask.to_numpy(zero_copy_only=False), dtype=bool)
    return values


def _from_text(text: Any, part: str) -> tuple[Any, Bad]:
    missing = _numpy(pc.is_null(text))
    return text, {f"{part} is missing": missing, f"{part} is empty": _blank(text)}


def _from_chat(chat: Any, part: str) -> tuple[Any, Bad]:
    rows = len(chat)
    missing = _numpy(pc.is_null(chat))
    lengths = np.asarray(pc.fill_null(pc.list_value_length(chat), 0).to_numpy(zero_copy_only=False), np.int64)
    flat = chat.flatten()
    role, content = (pc.struct_field(flat, name).cast(TEXT) for name in ("role", "content"))
    parent = np.repeat(np.arange(rows), lengths)
    broken = _numpy(pc.or_(pc.is_null(role), pc.is_null(content)))
    has_broken = np.bincount(parent[broken], minlength=rows) > 0
    has_text = np.bincount(parent[~broken & ~_blank(content)], minlength=rows) > 0
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    messages = pa.StructArray.from_arrays([role, content], fields=list(MESSAGE))
    return pa.LargeListArray.from_arrays(offsets, messages, type=CHAT), {
        f"{part} is missing": missing,
        f"{part} has a message without role or content": has_broken & ~missing,
        f"{part} is empty": ~has_text & ~has_broken & ~missing,
    }


def _from_objects(values: list[Any], part: str) -> tuple[Any, Bad]:
    """Rows of several types: text beside messages is fine, anything else is a bad row."""
    strange: dict[str, list[int]] = {}
    clean: list[Any] = []
    for index, value in enumerate(values):
        read = value if value is None or isinstance(value, str) else read_messages(value)
        if isinstance(read, Fault):
            strange.setdefault(f"{part} {read.reason}", []).append(index)
            read = None
        clean.append(read)
    chat = any(isinstance(value, list) for value in clean)
    if chat:
        speaker = "user" if part == "prompt" else "assistant"
        clean = [as_messages(value, speaker) if isinstance(value, str) else value for value in clean]
    array = pa.array(clean, CHAT if chat else TEXT)
    array, bad = _from_chat(array, part) if chat else _from_text(array, part)
    for reason, indices in strange.items():
        bad[reason] = np.zeros(len(values), dtype=bool)
        bad[reason][indices] = True
        bad[f"{part} is missing"] &= ~bad[reason]
    return array, bad


def prompt_text(messages: Sequence[Message]) -> str:
    """A chat prompt as one text: the turns up to the last one of the user, with roles when there are several.

    Example:
        >>> prompt_text([{"role": "user", "content": "Hello"}])
        'Hello'
        >>> prompt_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}])
        'system: Be brief.\\nuser: Hello'
    """
    turns = list(messages)
    users = [index for index, message in enumerate(turns) if message["role"] == "user"]
    if users:
        turns = turns[: users[-1] + 1]
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n".join(f"{message['role']}: {message['content']}" for message in turns)


def response_text(messages: Sequence[Message]) -> str:
    """A chat response as one text: its turns' contents, one after the other."""
    return "\n".join(message["content"] for message in messages)


def plain_text(response: Any) -> str | None:
    """A response in any shape that a log takes as one text; None where a log would not take it.

    Example:
        >>> plain_text([{"role": "assistant", "content": [{"type": "text", "text": "Yes."}]}])
        'Yes.'
    """
    if isinstance(response, str):
        return response
    messages = read_messages(response)
    return None if isinstance(messages, Fault) else response_text(messages)


def as_messages(value: str | Sequence[Message], role: str) -> list[Message]:
    """Plain text as one message of `role`; messages as they are."""
    return [{"role": role, "content": value}] if isinstance(value, str) else list(value)
