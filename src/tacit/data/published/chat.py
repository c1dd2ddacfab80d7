"""One column of messages that ends with the answer: `{messages, …}`, as chat sets are published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tacit.data.messages import Fault, Message, read_messages
from tacit.data.raw import RawTable, from_lists
from tacit.data.roles import Roles


def detect(columns: Sequence[str]) -> bool:
    """Whether prompt and response are in one column."""
    return "messages" in columns and not {"prompt", "response", "completion"} & set(columns)


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """The same rows and columns, with the last message as response and those before it as prompt."""
    bad: dict[str, list[int]] = defaultdict(list)
    prompts: list[list[Message]] = []
    responses: list[str] = []
    for row, cell in enumerate(raw.values("messages")):
        turns = Fault("is text, no list of messages") if isinstance(cell, str) else read_messages(cell)
        if isinstance(turns, Fault):
            bad[f"messages {turns.reason}"].append(row)
        elif len(turns) < 2 or turns[-1]["role"] != "assistant":
            bad["messages do not end with an answer of the assistant"].append(row)
        else:
            prompts.append(turns[:-1])
            responses.append(turns[-1]["content"])
    refused = {reason: _mask(rows, len(raw)) for reason, rows in bad.items()}
    kept = raw.keep(~np.logical_or.reduce([*refused.values(), np.zeros(len(raw), dtype=bool)]), refused)
    made = from_lists({"prompt": prompts, "response": responses}, raw.name, kept.places)
    table: Any = kept.table.drop_columns([name for name in ("messages",) if name in kept.table.column_names])
    for name in made.table.column_names:
        table = table.append_column(name, made.table.column(name))
    mixed = {name: values for name, values in kept.mixed.items() if name != "messages"}
    return replace(kept, table=table, mixed=mixed | dict(made.mixed)), Roles()


def _mask(rows: Sequence[int], total: int) -> np.ndarray:
    mask = np.zeros(total, dtype=bool)
    mask[list(rows)] = True
    return mask
