"""Chat messages in the shapes that exports and interfaces write them, read to a role and one text per turn."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tacit.data.raw import NotUtf8

_TEXT_PARTS = ("text", "input_text", "output_text")

Message = dict[str, str]


@dataclass(frozen=True)
class Fault:
    """Why a value is no list of messages."""

    reason: str


def read_messages(value: Any) -> list[Message] | Fault:
    """One message or a list of them as {role, content} of text; what was called is part of the text.

    Example:
        >>> read_messages({"role": "user", "content": [{"type": "text", "text": "Hi"}]})
        [{'role': 'user', 'content': 'Hi'}]
        >>> call = {"type": "function", "function": {"name": "sum", "arguments": '{"of": [1, 2]}'}}
        >>> read_messages({"role": "assistant", "content": None, "tool_calls": [call]})
        [{'role': 'assistant', 'content': '{"name": "sum", "arguments": {"of": [1, 2]}}'}]
        >>> read_messages([{"content": "Hi"}])
        Fault(reason='has a message without role or content')
    """
    turns = [value] if isinstance(value, dict) and "role" in value else value
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return Fault(f"is {_kind(value)}")
    messages = []
    for turn in turns:
        text = _text(turn)
        if isinstance(text, Fault):
            return text
        messages.append({"role": turn["role"], "content": text})
    return messages


def _text(turn: dict[str, Any]) -> str | Fault:
    role, content, calls = turn.get("role"), turn.get("content"), turn.get("tool_calls") or []
    text = _joined(content) if isinstance(content, list) else content
    if isinstance(content, list) and text is None:
        return Fault("has a message with a part that is not text")
    called = [_call(call) for call in calls] if isinstance(calls, list) else [None]
    lines = [line for line in called if line is not None]
    if len(lines) < len(called):
        return Fault("has a tool call without a function and its name")
    if text is None and lines:  # interfaces write null where a turn does nothing but call
        text = ""
    if not isinstance(role, str) or not isinstance(text, str):
        return Fault("has a message without role or content")
    return "\n".join([text, *lines] if text else lines) if lines else text


def _joined(parts: list[Any]) -> str | None:
    """The text of content in parts, as OpenAI's interfaces write it, or None where one of them is an image or so."""
    texts: list[str] = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") in _TEXT_PARTS else None
        if not isinstance(text, str):
            return None
        texts.append(text)
    return "\n".join(texts)


def _call(call: Any) -> str | None:
    """A call as a line of JSON: the same one whether the arguments were an object, its JSON, or a column of structs.

    Its id is drawn at random and says nothing.
    """
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        with suppress(ValueError, RecursionError):  # what a model wrote need not be JSON
            arguments = _told(json.loads(arguments))
    else:
        arguments = _told(arguments)
    return json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False, default=str)


def _told(value: Any) -> Any:
    """Objects without null members, which Arrow gives to every object of a column, their names in order."""
    if isinstance(value, dict):
        return {key: _told(value[key]) for key in sorted(value, key=str) if value[key] is not None}
    return [_told(item) for item in value] if isinstance(value, list) else value


def _kind(value: Any) -> str:
    if isinstance(value, NotUtf8):
        return "not UTF-8"
    kinds = {"dict": "an object", "list": "a list", "bool": "true or false"}
    return "not text or messages but " + kinds.get(type(value).__name__, "a number")
