"""Pairs of a better and a worse answer, `{prompt?, chosen, rejected, margin?}`, as a log of two rows each.

Texts or messages, with the prompt in a column of its own or at the head of both answers, as TRL reads them; and
transcripts of "Human:" and "Assistant:", as the set hh-rlhf has them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tacit.data.messages import Fault, Message, read_messages
from tacit.data.raw import RawTable
from tacit.data.roles import Roles
from tacit.data.signal import Signal

SIGNALS = {"preferred": Signal("preferred", kind="explicit")}
_SIDES = ("chosen", "rejected")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")
_KEPT = ("margin",)


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are those of pairs."""
    return set(_SIDES) <= set(columns) and not {"response", "completion", "score_chosen"} & set(columns)


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """Two rows per pair, under one id.

    Columns made: prompt, response, pair (the id within which answers are compared), asked (one number for equal
    prompts: what folds keep together), preferred (1 or 0), rank (0 or 1), margin where there is one.
    """
    cells = {
        name: raw.values(name) if name in raw.columns else [None] * len(raw) for name in ("prompt", *_SIDES)
    }
    kept = [name for name in _KEPT if name in raw.columns]
    more = {name: raw.values(name) for name in kept}
    columns: dict[str, list[Any]] = {
        name: [] for name in ("prompt", "response", "pair", "asked", *SIGNALS, "rank", *kept)
    }
    rows: list[int] = []
    bad: dict[str, list[int]] = defaultdict(list)
    prompts: dict[str, int] = {}
    for row in range(len(raw)):
        pair = _pair(cells["prompt"][row], cells["chosen"][row], cells["rejected"][row])
        if isinstance(pair, Fault):
            bad[pair.reason].append(row)
            continue
        prompt, answers = pair
        for place, answer in enumerate(answers):
            rows.append(row)
            columns["prompt"].append(prompt)
            columns["response"].append(answer)
            columns["pair"].append(f"pair {raw.places[row]}")
            columns["asked"].append(prompts.setdefault(repr(prompt), len(prompts)))
            columns["preferred"].append(1 - place)
            columns["rank"].append(place)
            for name in kept:
                columns[name].append(more[name][row])
    roles = Roles(prompt_id="pair", session_id="asked", signals=(SIGNALS["preferred"],), rank="rank")
    return raw.made_of(columns, rows, bad), roles


Prompt = str | list[Message]


def _pair(prompt: Any, chosen: Any, rejected: Any) -> tuple[Prompt, tuple[str, str]] | Fault:
    """The prompt and the two answers, or why there are none."""
    sides = [_side(prompt, answer, name) for answer, name in zip((chosen, rejected), _SIDES, strict=True)]
    if isinstance(sides[0], Fault):
        return sides[0]
    if isinstance(sides[1], Fault):
        return sides[1]
    (asked, better), (again, worse) = sides[0], sides[1]
    if asked != again:
        return Fault("chosen and rejected answer different conversations")
    if better == worse:
        return Fault("chosen and rejected are the same")
    return asked, (better, worse)


def _side(prompt: Any, answer: Any, name: str) -> tuple[Prompt, str] | Fault:
    if isinstance(answer, str) and isinstance(prompt, str):
        return prompt, answer
    turns = _transcript(answer) if isinstance(answer, str) and prompt is None else None
    if turns is None and isinstance(answer, str) and prompt is not None:
        turns = [{"role": "assistant", "content": answer}]
    if turns is None:
        found = read_messages(answer)
        turns = [] if isinstance(found, Fault) else found
    if not turns or turns[-1]["role"] != "assistant":
        return Fault(
            f"{name} is neither an answer to a prompt nor a conversation that ends with the assistant"
        )
    before = _before(prompt, turns[:-1])
    return (before, turns[-1]["content"]) if before else Fault("there is no prompt")


def _before(prompt: Any, turns: list[Message]) -> Prompt | None:
    """The conversation before an answer: its own turns, behind those of the prompt unless they repeat it."""
    if prompt is None or (isinstance(prompt, str) and turns):
        return turns or None
    if isinstance(prompt, str):
        return prompt
    asked = read_messages(prompt)
    if isinstance(asked, Fault):
        return None
    return turns if turns[: len(asked)] == asked else [*asked, *turns]


def _transcript(text: str) -> list[Message] | None:
    """The turns of a text that begins with "Human:"; None of another."""
    parts = _TURN.split(text)
    if parts[0].strip() or parts[1:2] != ["Human"]:
        return None
    return [
        {"role": _SPEAKERS[speaker], "content": said.strip()}
        for speaker, said in zip(parts[1::2], parts[2::2], strict=True)
    ]
