"""What a step of a traced program was given and what it answered, from the shapes in which tracing tools keep them."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tacit.data.messages import Fault, Message, read_messages
from tacit.data.raw import NotUtf8

_ASKED = ("input", "inputs", "question", "query", "prompt", "prompts", "message", "text", "content")
_ANSWERED = ("output", "outputs", "answer", "response", "result", "completion", "message", "text", "content")
_BEFORE = ("chat_history", "history")
_ROLES = {
    "human": "user",
    "ai": "assistant",
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "SystemMessage": "system",
    "ToolMessage": "tool",
}
_SPEAKERS = ("user", "assistant", "system", "developer", "tool", "function")
_AS_PYTHON_WRITES = re.compile(r"\[*\{'")
_DEPTH = 6  # objects within objects, before it is no payload
_KEYS = 5  # told of an object that was not understood

Turn = dict[str, Any]


def read_prompt(value: Any) -> str | list[Message] | Fault | None:
    """What a step was given: text, or messages; None where there is nothing.

    Example:
        >>> read_prompt('{"messages": [{"type": "human", "content": "Hi"}]}')
        [{'role': 'user', 'content': 'Hi'}]
        >>> read_prompt({"question": "How?", "chat_history": [["human", "Hi"], ["ai", "Hello!"]]})[-1]
        {'role': 'user', 'content': 'How?'}
        >>> read_prompt({"a": 1, "b": 2})
        Fault(reason='is neither text nor messages but an object with a, b')
    """
    turns = _turns(value, _ASKED, 0)
    read = read_messages(turns) if isinstance(turns, list) else turns
    if isinstance(read, list):
        texts = [text for turn in read for text in turn.values()]
    else:
        texts = [read] if isinstance(read, str) else []
    return read if all(map(is_utf8, texts)) else Fault(f"is {NotUtf8()}")


def read_response(value: Any) -> str | Fault | None:
    """What it answered, as text: of several messages the assistant's last one after the user's last.

    Example:
        >>> read_response({"choices": [{"message": {"role": "assistant", "content": "Yes."}}]})
        'Yes.'
        >>> read_response({"messages": [{"role": "user", "content": "Hi"}]})
        Fault(reason='holds no message of an assistant')
    """
    turns = _turns(value, _ANSWERED, 0)
    read = _last_answer(turns) if isinstance(turns, list) else turns
    return Fault(f"is {NotUtf8()}") if isinstance(read, str) and not is_utf8(read) else read


def read_exchange(given: Any, answered: Any) -> tuple[str | list[Message] | Fault | None, str | Fault | None]:
    """Prompt and response; a program that keeps the conversation itself is given the last message and answers with all.

    Example:
        >>> earlier = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
        >>> asked, answer = {"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}
        >>> prompt, response = read_exchange({"messages": [asked]}, {"messages": [*earlier, asked, answer]})
        >>> len(prompt), response
        (3, 'So.')
    """
    prompt = read_prompt(given)
    turns = _turns(answered, _ANSWERED, 0)
    before = turns[: _asked(turns) + 1] if isinstance(turns, list) else []
    if len(before) > (len(prompt) if isinstance(prompt, list) else isinstance(prompt, str)):
        prompt = read_prompt(before)
    return prompt, read_response(answered)


def _asked(turns: Sequence[Turn]) -> int:
    """Position of the user's last turn, -1 without one."""
    return max((i for i, turn in enumerate(turns) if turn["role"] == "user"), default=-1)


def _last_answer(turns: Sequence[Turn]) -> str | Fault:
    answers = [turn for turn in turns[_asked(turns) + 1 :] if turn["role"] == "assistant"]
    if not answers:
        return Fault("holds no message of an assistant")
    read = read_messages(answers[-1])
    return read if isinstance(read, Fault) else read[0]["content"]


def is_utf8(text: str) -> bool:
    """Whether text can be written; half a surrogate pair, which JSON can spell, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parsed(value: Any) -> Any:
    """Text that spells an object, a list or a quoted text, as what it spells; anything else as it is.

    CSV has no objects: exports write JSON into its cells, and pandas writes what Python shows.

    Example:
        >>> parsed('["a"]'), parsed("{'a': None}"), parsed("[a](b)"), parsed("7")
        (['a'], {'a': None}, '[a](b)', '7')
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
        return value
    found: Any = None
    with suppress(ValueError, RecursionError):
        found = json.loads(value)
    if _AS_PYTHON_WRITES.match(value.lstrip()):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # text that only looks like it
            found = ast.literal_eval(value.strip())
    return found if isinstance(found, str | list | dict) else value


def _turns(value: Any, names: Sequence[str], depth: int) -> str | list[Turn] | Fault | None:
    """Text, or turns that have a role; None for nothing."""
    found = parsed(value)
    if found is None or found in ([], (), {}):
        return None
    if depth > _DEPTH:
        return _neither(found)
    if isinstance(found, list | tuple):
        read = _of_list(list(found), names, depth)
        # An answer may well be "[1, 2]".
        return value if isinstance(read, Fault) and isinstance(value, str) else read
    if isinstance(found, dict):
        return _of_object(
            {name: member for name, member in found.items() if member is not None}, names, depth
        )
    return found if isinstance(found, str) else _neither(found)


def _of_list(items: list[Any], names: Sequence[str], depth: int) -> str | list[Turn] | Fault | None:
    """Messages, parts of one, or one thing in a list."""
    turns = [turn for turn in map(_turn, items) if turn is not None]
    if len(turns) == len(items):
        return turns
    parts = read_messages([{"role": "user", "content": items}])
    if not isinstance(parts, Fault):
        return parts[0]["content"]
    return _turns(items[0], names, depth + 1) if len(items) == 1 else _neither(items)


def _of_object(members: dict[str, Any], names: Sequence[str], depth: int) -> str | list[Turn] | Fault | None:
    if not members:
        return None
    turn = _turn(members)
    if turn is not None:
        return [turn]
    for alternatives in ("choices", "generations"):
        if isinstance(members.get(alternatives), list):
            return _of_alternatives(members[alternatives], names, depth)
    if "messages" in members:
        return _after(members.get("system"), _turns(members["messages"], names, depth + 1))
    if set(members) <= {"args", "kwargs"}:  # a function whose call was traced
        return _turns(members.get("args") or members.get("kwargs"), names, depth + 1)
    return _with_history(members, _named(members, names, depth), names, depth)


def _of_alternatives(answers: list[Any], names: Sequence[str], depth: int) -> str | list[Turn] | Fault | None:
    """The only one of several answers that were asked for at once; which of more was shown is not told."""
    while len(answers) == 1 and isinstance(answers[0], list):
        answers = answers[0]
    return Fault(f"holds {len(answers)} answers") if len(answers) > 1 else _turns(answers, names, depth + 1)


def _named(members: dict[str, Any], names: Sequence[str], depth: int) -> str | list[Turn] | Fault | None:
    """The member with a usual name, or else the only text."""
    for name in names:
        found = _turns(members.get(name), names, depth + 1)
        if found is not None and not isinstance(found, Fault):
            return found
    texts = [member for member in members.values() if isinstance(member, str)]
    return _turns(texts[0], names, depth + 1) if len(texts) == 1 else _neither(members)


def _after(system: Any, turns: str | list[Turn] | Fault | None) -> str | list[Turn] | Fault | None:
    """Messages below a system prompt that was given beside them."""
    if isinstance(system, str) and isinstance(turns, list):
        return [{"role": "system", "content": system}, *turns]
    return turns


def _with_history(
    members: dict[str, Any], asked: str | list[Turn] | Fault | None, names: Sequence[str], depth: int
) -> str | list[Turn] | Fault | None:
    """A question below the conversation that was given beside it."""
    before = next((members[name] for name in _BEFORE if name in members), None)
    turns = _turns(before, _ASKED, depth + 1) if names is _ASKED else None
    if not isinstance(turns, list) or not isinstance(asked, str | list):
        return asked
    return turns + ([{"role": "user", "content": asked}] if isinstance(asked, str) else asked)


def _turn(value: Any) -> Turn | None:
    """One message with its role, from the shapes of OpenAI's and LangChain's interfaces, or None."""
    if isinstance(value, list | tuple):
        paired = len(value) == 2 and all(isinstance(item, str) for item in value)
        role = _ROLES.get(value[0], value[0]) if paired else None
        return {"role": role, "content": value[1]} if role in _SPEAKERS else None
    if not isinstance(value, dict):
        return None
    inner = _inner(value)
    if inner is not None:
        return _turn(inner)
    role, kind = value.get("role"), value.get("type")
    if not isinstance(role, str):
        role = kind if isinstance(kind, str) and (kind in _ROLES or kind in _SPEAKERS) else None
    if role is None or not {"content", "tool_calls"} & set(value):
        return None
    calls = value.get("tool_calls")
    return {
        "role": _ROLES.get(role, role),
        "content": value.get("content"),
        "tool_calls": [_call(call) for call in calls] if isinstance(calls, list) else calls,
    }


def _inner(value: dict[str, Any]) -> dict[str, Any] | None:
    """The message within a serialised object."""
    kwargs, data = value.get("kwargs"), value.get("data")
    if isinstance(kwargs, dict) and isinstance(value.get("id"), list) and value["id"]:
        return {"type": value["id"][-1]} | {name: kwargs.get(name) for name in ("content", "tool_calls")}
    if isinstance(data, dict) and "type" in value:
        return {"type": value["type"], "content": data.get("content"), "tool_calls": data.get("tool_calls")}
    return None


def _call(call: Any) -> Any:
    """A call in the shape of OpenAI's interface."""
    if isinstance(call, dict) and isinstance(call.get("name"), str) and not call.get("function"):
        return {"function": {"name": call["name"], "arguments": call.get("args")}}
    return call


def _neither(value: Any) -> Fault:
    return Fault(f"is neither text nor messages but {_kind(value)}")


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        names = [str(name)[:30] for name in value]
        return "an object with " + ", ".join(names[:_KEYS]) + (", …" if len(names) > _KEYS else "")
    if isinstance(value, NotUtf8):
        return str(value)
    kinds = {"bool": "true or false", "int": "a number", "float": "a number"}
    return kinds.get(type(value).__name__, f"a {type(value).__name__}")
