"""OpenAssistant conversations (OASST1): volunteers' thumbs as signals, reviewers' quality as gold.

Reads the flat message table, as the hub has it or as JSON lines, and the project's own export, where
`labels` and `emojis` are objects by name. One row is one assistant reply; its prompt is the conversation
from the root down to it.

Deleted replies stay: their thumbs were given before, and to leave out what was deleted for being bad would
select the log by its outcome. Replies whose conversation is not whole in the file are quarantined, and so are
those whose labels, emojis or date are not as published.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tacit.data.raw import RawTable
from tacit.data.roles import Roles
from tacit.data.signal import Signal
from tacit.data.tree import rows_above

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
    same prompt). Without users or dates in the file nothing stands for them.
    """
    names = [name for name in dict.fromkeys((*_READ, *_KEPT)) if name in raw.columns]
    values = {name: raw.values(name) for name in names}
    for name in ("message_id", "parent_id", "role"):
        values[name] = [value if isinstance(value, str | int) else None for value in values[name]]
    index = {message: row for row, message in enumerate(values["message_id"])}
    replies = [row for row, role in enumerate(values["role"]) if role == "assistant"]
    siblings = Counter(values["parent_id"][row] for row in replies)
    dated = "created_date" in raw.columns and "created_date" not in raw.empty_columns
    dates = [_seconds(value) for value in values["created_date"]] if dated else [0.0] * len(raw)
    start = min((date for date in dates if date is not None), default=0.0)

    columns: dict[str, list[Any]] = {
        name: [] for name in ("prompt", "response", "parent_id", *SIGNALS, "quality")
    }
    columns |= {name: [] for name in ("depth", "days", "siblings", *(n for n in _KEPT if n in names))}
    columns.setdefault("rank", [])
    bad: dict[str, list[int]] = defaultdict(list)
    rows: list[int] = []
    for row in replies:
        path, date = rows_above(row, index, values["parent_id"]), dates[row]
        emojis, labels = _by_name(values["emojis"][row], "count"), _by_name(values["labels"][row], "value")
        if path is None:
            bad["the conversation before the reply is not in the file"].append(row)
            continue
        if emojis is None or labels is None:
            bad["labels or emojis are not names with numbers as published"].append(row)
            continue
        if date is None:
            bad["created_date is not a date as published"].append(row)
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
        for name, emoji in _EMOJIS.items():
            columns[name].append(int((emojis.get(emoji) or 0) > 0))
        columns["quality"].append(labels.get("quality"))
        columns["depth"].append(1 + sum(values["role"][i] == "assistant" for i in path))
        columns["days"].append((date - start) / _SECONDS_PER_DAY if dated else None)
        columns["siblings"].append(siblings[values["parent_id"][row]])
        for name in _KEPT:
            if name in names:
                columns[name].append(values[name][row])
    columns["rank"] = columns["rank"] or [None] * len(rows)
    return raw.made_of(columns, rows, bad), _roles(names, dated)


def _roles(names: Sequence[str], dated: bool) -> Roles:
    """The set's roles, less those for which the file has nothing: nobody named them, so nobody can mend them."""
    return replace(
        ROLES,
        context=tuple(name for name in ROLES.context if dated or name != "days"),
        user_id=ROLES.user_id if "user_id" in names else None,
        timestamp=ROLES.timestamp if dated else None,
    )


def _by_name(value: Any, field: str) -> dict[str, Any] | None:
    """`labels` or `emojis` as {name: number}, from each form in which the set is published; None is another form."""
    try:
        if value is None:
            found = {}
        elif isinstance(value, list):
            found = {item["name"]: item[field] for item in value}
        elif isinstance(value.get("name"), list):
            found = dict(zip(value["name"], value[field], strict=True))
        else:
            found = {
                name: item.get(field) if isinstance(item, dict) else item for name, item in value.items()
            }
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return (
        found if all(number is None or isinstance(number, int | float) for number in found.values()) else None
    )


def _seconds(value: Any) -> float | None:
    try:
        date = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
