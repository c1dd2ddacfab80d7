"""RealHumanEval's chat log: programmers at work with four models, and what they copied.

`request` and `copy_events` are Python literals in CSV cells; rows where they do not parse are quarantined. A
reply without a code block has nothing to copy by the button: `copied` is null there, except if something was
copied anyway.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tacit.data.raw import RawTable
from tacit.data.roles import Roles
from tacit.data.signal import Signal

SIGNALS = {"copied": Signal("copied")}
_READ = ("request", "response", "copy_events", "programmer_id", "timestamp", "model")

# The task stays out of the context: it is part of what was asked, not of who would act.
ROLES = Roles(
    signals=(SIGNALS["copied"],),
    context=("turn", "earlier_turns", "earlier_copies_share"),
    user_id="programmer_id",
    timestamp="timestamp",
    policy="model",
)


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are those of chat_data.csv."""
    return set(_READ) <= set(columns)


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per chat turn, with its messages, whether it was copied, and the programmer's habit so far.

    Columns made: prompt (messages), response, copied, turn (user messages in the conversation so far),
    earlier_turns (eligible turns of this programmer before this one) and earlier_copies_share (the share of
    those that were copied, (copies + 1) / (turns + 2), so that it is 1/2 before the first).
    """
    cells = {name: raw.values(name) for name in _READ}
    bad: dict[str, list[int]] = defaultdict(list)
    rows: list[int] = []
    prompts: list[list[dict[str, str]]] = []
    copied: list[int | None] = []
    for row, (request, response) in enumerate(zip(cells["request"], cells["response"], strict=True)):
        messages = _messages(request)
        events = _literal_list(cells["copy_events"][row])
        if messages is None or events is None:
            bad["request or copy_events is not a Python list as published"].append(row)
            continue
        eligible = isinstance(response, str) and "```" in response
        rows.append(row)
        prompts.append(messages)
        copied.append(1 if events else 0 if eligible else None)
    times = [_time(cells["timestamp"][row]) for row in rows]
    programmers = [cells["programmer_id"][row] for row in rows]
    turns, shares = _habit(programmers, times, copied)
    columns: dict[str, list[Any]] = {
        "prompt": prompts,
        "response": [cells["response"][row] for row in rows],
        "copied": copied,
        "turn": [sum(message["role"] == "user" for message in messages) for messages in prompts],
        "earlier_turns": turns,
        "earlier_copies_share": shares,
        "programmer_id": programmers,
        "timestamp": times,
        "model": [cells["model"][row] for row in rows],
    }
    if "task_name" in raw.columns:
        tasks = raw.values("task_name")
        columns["task_name"] = [tasks[row] for row in rows]
    return raw.made_of(columns, rows, bad), ROLES


def _habit(
    programmers: Sequence[Any], times: Sequence[float | None], copied: Sequence[int | None]
) -> tuple[list[int], list[float]]:
    """For each row, the programmer's eligible turns before it, and the smoothed share of copies in them."""
    order = sorted(range(len(times)), key=lambda i: (times[i] is None, times[i] or 0.0))
    seen: dict[Any, int] = defaultdict(int)
    taken: dict[Any, int] = defaultdict(int)
    turns, shares = [0] * len(times), [0.5] * len(times)
    for i in order:
        who = programmers[i]
        turns[i], shares[i] = seen[who], (taken[who] + 1) / (seen[who] + 2)
        outcome = copied[i]
        if outcome is not None:
            seen[who] += 1
            taken[who] += outcome
    return turns, shares


def _literal_list(cell: Any) -> list[Any] | None:
    """The list that a cell spells, or None. Literals only: nothing is ever executed."""
    if not isinstance(cell, str):
        return cell if isinstance(cell, list) else None
    try:
        value = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _messages(cell: Any) -> list[dict[str, str]] | None:
    value = _literal_list(cell)
    if value is None:
        return None
    texts = [
        {"role": message["role"], "content": message["content"]}
        for message in value
        if isinstance(message, dict) and _is_text(message.get("role")) and _is_text(message.get("content"))
    ]
    return texts if len(texts) == len(value) else None


def _is_text(value: Any) -> bool:
    """Half a surrogate pair is a Python string and no text."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _time(cell: Any) -> float | None:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None
