"""A known set or export: how to tell it by its columns, how to read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tacit.data.raw import RawTable
from tacit.data.roles import Roles
from tacit.data.signal import Signal


@dataclass(frozen=True)
class Source:
    """A known set: how to recognise it by its columns, how to read it, which signals it offers.

    `confirm` looks at the rows too, for a set whose columns are not its own; it decides for "auto" only.
    """

    title: str
    detect: Callable[[Sequence[str]], bool]
    load: Callable[[RawTable], tuple[RawTable, Roles]]
    signals: Mapping[str, Signal] = field(default_factory=dict)
    confirm: Callable[[RawTable], bool] = lambda raw: True

    def recognises(self, raw: RawTable) -> bool:
        """Whether `raw` is this set, by its columns and, where these do not decide, by its rows."""
        return self.detect(raw.columns) and bool(len(raw)) and self.confirm(raw)
