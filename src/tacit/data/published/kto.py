"""KTO's unpaired format, `{prompt, completion, label}`, as a log with one signal.

In KTO `label: false` means that the completion was disliked. A feedback log has no such certainty: here it
is a 0, nothing was seen though it could have been.
"""

from __future__ import annotations

from collections.abc import Sequence

from tacit.data.raw import RawTable
from tacit.data.roles import Roles
from tacit.data.signal import Signal

SIGNALS = {"label": Signal("label")}


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are KTO's."""
    return {"prompt", "completion", "label"} <= set(columns) and "response" not in columns


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """The same columns, with roles."""
    return raw, Roles(response="completion", signals=tuple(SIGNALS.values()))
