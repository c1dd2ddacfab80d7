"""UltraFeedback: GPT-4's scores, 1 to 10, of several models' answers to one instruction.

Two forms are read. The original has an instruction and its completions, with the model of each. The binarised
one has a chosen and a rejected conversation with their scores, and no models. Gold is 1 where the score is
above 6.5, in both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tacit.data.published.graded import Scale, rated
from tacit.data.raw import RawTable
from tacit.data.roles import Roles

_SCALE = Scale("overall_score", low=1, high=10, cut=6.5, gold="good")
# In the first release, answers worth 1 stand with a 10; the fine-grained score beside it, 1 to 5, shows which.
_FAULTY_SCORE, _FAULTY_FINE = 10, 2
_FAULT = "overall_score 10 beside a fine-grained_score of 2 or less, a fault of the first release"


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are the original set's."""
    return {"source", "instruction", "models", "completions"} <= set(columns)


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per completion of the original set.

    A completion without an overall score is quarantined, and so is one whose 10 contradicts its fine-grained
    score: the first release of the set gave 10 to answers that should have had 1.

    Columns made: prompt (the instruction), response, model, fine_grained_score, principle (what the system
    prompt, which only the model saw, asked for), source, rating (overall score, 1 to 10), good (gold: rating
    above 6.5).
    """
    instructions, sources, answers = (raw.values(name) for name in ("instruction", "source", "completions"))
    names = ("prompt", "response", "model", "fine_grained_score", "principle", "source")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    rows: list[int] = []
    scores: list[Any] = []
    bad: dict[str, list[int]] = defaultdict(list)
    for row, completions in enumerate(answers):
        if not isinstance(completions, list) or not completions:
            bad["completions is not a list with at least one completion"].append(row)
            continue
        for completion in completions:
            if not isinstance(completion, dict):
                bad["a completion is not an object"].append(row)
                continue
            score, fine = completion.get("overall_score"), completion.get("fine-grained_score")
            if score == _FAULTY_SCORE and isinstance(fine, int | float) and fine <= _FAULTY_FINE:
                bad[_FAULT].append(row)
                continue
            rows.append(row)
            scores.append(score)
            values = (
                instructions[row],
                completion.get("response"),
                completion.get("model"),
                fine,
                completion.get("principle"),
                sources[row],
            )
            for name, value in zip(names, values, strict=True):
                columns[name].append(value)
    return rated(raw, columns, rows, scores, _SCALE, bad), Roles(gold=_SCALE.gold, policy="model")


def detect_binarised(columns: Sequence[str]) -> bool:
    """Whether the columns are the binarised set's."""
    return {"prompt", "chosen", "rejected", "score_chosen", "score_rejected"} <= set(columns)


def load_binarised(raw: RawTable) -> tuple[RawTable, Roles]:
    """Two rows per pair, the chosen and the rejected response, under one prompt_id.

    Columns made: prompt (messages), response, chosen (1 or 0), prompt_id where the set has it, rating (1 to
    10), good (gold: rating above 6.5). Both responses of a pair can be good, or neither.
    """
    ids = raw.values("prompt_id") if "prompt_id" in raw.columns else [None] * len(raw)
    has_ids = bool(ids) and None not in ids
    asked = raw.values("prompt")
    sides = {side: raw.values(side) for side in ("chosen", "rejected")}
    points = {side: raw.values(f"score_{side}") for side in sides}
    columns: dict[str, list[Any]] = {name: [] for name in ("prompt", "response", "chosen")}
    rows: list[int] = []
    scores: list[Any] = []
    bad: dict[str, list[int]] = defaultdict(list)
    for row in range(len(raw)):
        for side, conversations in sides.items():
            messages = _messages(conversations[row])
            if messages is None:
                bad[f"{side} is not a list of messages that ends with the assistant's"].append(row)
                continue
            rows.append(row)
            scores.append(points[side][row])
            columns["prompt"].append(messages[:-1] or [{"role": "user", "content": asked[row]}])
            columns["response"].append(messages[-1]["content"])
            columns["chosen"].append(int(side == "chosen"))
    if has_ids:
        columns["prompt_id"] = [ids[row] for row in rows]
    scale = replace(_SCALE, what="score_chosen or score_rejected")
    made = rated(raw, columns, rows, scores, scale, bad)
    return made, Roles(prompt_id="prompt_id" if has_ids else None, gold=scale.gold)


def _messages(cell: Any) -> list[dict[str, str]] | None:
    """The messages of a conversation whose last turn is the assistant's, or None."""
    if not isinstance(cell, list) or not cell:
        return None
    messages = [
        {"role": turn["role"], "content": turn["content"]}
        for turn in cell
        if isinstance(turn, dict)
        and isinstance(turn.get("role"), str)
        and isinstance(turn.get("content"), str)
    ]
    return messages if len(messages) == len(cell) and messages[-1]["role"] == "assistant" else None
