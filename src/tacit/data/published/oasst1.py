"""OpenAssistant conversations (OASST1): volunteers' thumbs as signals, reviewers' quality as gold.

Reads the flat message table, as the hub has it or as JSON lines, and the project's own export, where
`labels` and `emojis` are objects by name. One row is one assistant reply; its prompt is the conversation
from the root down to it.

Deleted replies stay: their thumbs were given before, and to leave out what was deleted for being bad would
select the log by its outcome. Replies whose conversation is not whole in the file are quarantined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tacit.data.quarantine import Quarantine
from tacit.data.raw import RawTable, from_lists
from tacit.data.roles import Roles
from tacit.data.signal import Signal

# Everyone saw the buttons, so a reply without a thumb is 0 and not null.
SIGNALS = {
    "thumbs_up": Signal("thumbs_up", +1),
    "thumbs_down": Signal("thumbs_down", -1),
    "red_flag": Signal("red_flag", -1),
}
_EMOJIS = {"thumbs_up": "+1", "thumbs_down": "-1", "red_flag": "red_flag"}
_SPEAKERS = {"prompter": "user", "assistant": "assistant"}
_READ = ("message_id", "parent_id", "text", "role", "emojis", "labels")
_KEPT = (
    "message_id",
    "message_tree_id",
    "user_id",
    "created_date",
    "lang",
    "deleted",
    "review_count",
    "rank",
)
_SECONDS_PER_DAY = 86400.0

# review_count stays out of the context: the few replies with fewer than three reviews are the poor ones, so
# it speaks of content.
ROLES = Roles(
    prompt_id="parent_id",
    signals=(SIGNALS["thumbs_up"], SIGNALS["thumbs_down"]),
    context=("depth", "days", "siblings"),
    gold="quality",
    rank="rank",
    user_id="user_id",
    session_id="message_tree_id",
    timestamp="created_date",
)


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are a flat OASST1 message table's."""
    return {"message_id", "parent_id", "text", "role", "message_tree_id", "labels", "emojis"} <= set(columns)


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per assistant reply, with its conversation, signals and context.

    Columns made: prompt (messages), response, parent_id, thumbs_up, thumbs_down, red_flag, quality, depth (1
    for the first reply of a conversation), days (since the set's first message), siblings (replies to the
    same prompt).
    """
    names = [name for name in dict.fromkeys((*_READ, *_KEPT)) if name in raw.columns]
    values = {name: _objects(raw.column(name)) for name in names}
    index = {message: row for row, message in enumerate(values["message_id"])}
    replies = [row for row, role in enumerate(values["role"]) if role == "assistant"]
    siblings = Counter(values["parent_id"][row] for row in replies)
    dates = [_seconds(value) for value in values.get("created_date", [None] * len(raw))]
    start = min((date for date in dates if date is not None), default=0.0)

    columns: dict[str, list[Any]] = {
        name: [] for name in ("prompt", "response", "parent_id", *SIGNALS, "quality")
    }
    columns |= {name: [] for name in ("depth", "days", "siblings", *(n for n in _KEPT if n in names))}
    columns.setdefault("rank", [])
    orphans: list[int] = []
    rows: list[int] = []
    for row in replies:
        path = _path(row, index, values["parent_id"])
        if path is None:
            orphans.append(row)
            continue
        rows.append(row)
        columns["prompt"].append(
            [
                {"role": _SPEAKERS.get(values["role"][i], "user"), "content": values["text"][i] or ""}
                for i in path
            ]
        )
        columns["response"].append(values["text"][row])
        columns["parent_id"].append(values["parent_id"][row])
        emojis = _by_name(values["emojis"][row], "count")
        for name, emoji in _EMOJIS.items():
            columns[name].append(int((emojis.get(emoji) or 0) > 0))
        columns["quality"].append(_by_name(values["labels"][row], "value").get("quality"))
        columns["depth"].append(1 + sum(values["role"][i] == "assistant" for i in path))
        date = dates[row]
        columns["days"].append(None if date is None else (date - start) / _SECONDS_PER_DAY)
        columns["siblings"].append(siblings[values["parent_id"][row]])
        for name in _KEPT:
            if name in names:
                columns[name].append(values[name][row])
    columns["rank"] = columns["rank"] or [None] * len(rows)
    places = raw.places[np.array(rows, dtype=np.int64)]
    bad: Quarantine = raw.quarantine.plus(
        raw.name,
        "the conversation before the reply is not in the file",
        raw.places[np.array(orphans, dtype=np.int64)],
    )
    made = from_lists(columns, raw.name, places, raw.unit)
    return RawTable(made.table, raw.name, places, raw.unit, made.mixed, bad), ROLES


def _objects(column: Any) -> list[Any]:
    return column if isinstance(column, list) else list(column.to_pylist())


def _path(row: int, index: Mapping[Any, int], parents: Sequence[Any]) -> list[int] | None:
    """Rows from the root down to the parent of `row`, or None where one is missing or the chain loops."""
    path: list[int] = []
    above = parents[row]
    while above is not None:
        if above not in index or len(path) > len(index):
            return None
        path.append(index[above])
        above = parents[path[-1]]
    return path[::-1] or None


def _by_name(value: Any, field: str) -> dict[str, Any]:
    """`labels` or `emojis` as {name: number}, from each form in which the set is published."""
    if value is None:
        return {}
    if isinstance(value, list):
        return {item["name"]: item[field] for item in value}
    if isinstance(value.get("name"), list):
        return dict(zip(value["name"], value[field], strict=True))
    return {name: item.get(field) if isinstance(item, dict) else item for name, item in value.items()}


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    date = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
