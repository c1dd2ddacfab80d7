"""Which column of a log plays which part. The table itself never needs magic column names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tacit.data.signal import Signal
from tacit.errors import ConfigError, DataError, shown

_OPTIONAL = ("prompt_id", "gold", "rank", "user_id", "session_id", "timestamp", "policy")

USER_ACTIVITY = "user_activity"
"""Context that is computed from users and signals where no column has that name; see `tacit.data.activity`."""


@dataclass(frozen=True)
class Roles:
    """The columns of a feedback log by what they mean.

    Args:
        prompt: text, or a list of `{role, content}` messages.
        response: text, or a list of messages (one assistant turn, as in TRL).
        prompt_id: the group for splits and within-prompt ranking; None groups equal prompts.
        signals: what users did, each one column of 1, 0 and null.
        context: what decides whether a user acts but is not content: slot, device, hour. Numbers or text. The name
            `user_activity` is computed where no column has it, from what the user did on other prompts.
        gold: trusted label in [0, 1], null where there is none.
        rank: order among the responses to one prompt, lower is better, null where there is none.
        user_id, session_id, timestamp, policy: who, in which session, when, and which model answered.

    Raises:
        DataError: one column given two parts of which one would give the other away, or ids as context.
        ConfigError: a part of one column that is not given as its name.

    Example:
        >>> from tacit import FeedbackLog, Signal
        >>> from tacit.data import Roles
        >>> rows = {"question": ["How?", "Why?"], "answer": ["So.", "Thus."], "copied": [1, None], "slot": [0, 1]}
        >>> roles = Roles("question", "answer", signals=(Signal("copied"),), context=("slot",))
        >>> FeedbackLog.from_columns(rows, roles)
        FeedbackLog('memory', rows=2, signals: copied)
    """

    prompt: str = "prompt"
    response: str = "response"
    prompt_id: str | None = None
    signals: tuple[Signal, ...] = ()
    context: tuple[str, ...] = ()
    gold: str | None = None
    rank: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    timestamp: str | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        for part in ("prompt", "response", *_OPTIONAL):
            column = getattr(self, part)
            if not (isinstance(column, str) or (column is None and part in _OPTIONAL)):
                raise ConfigError(
                    f"{part} is {shown(column)}, expected the name of one column: {part}='{part}'"
                )
        for column in self.context:
            if not isinstance(column, str):
                raise ConfigError(
                    f"context holds {shown(column)}, expected names of columns: context=['slot']"
                )
        seen: dict[str, str] = {}
        for column, part in self._exclusive():
            if column in seen:
                raise DataError(
                    f"column {column!r} is named both as {seen[column]} and as {part}; give it one role only"
                )
            seen[column] = part
        for part in ("prompt_id", "user_id", "session_id"):
            column = getattr(self, part)
            if column in self.context:
                raise DataError(
                    f"column {column!r} is named both as context and as {part}; take it out of the context, whose "
                    f"values are shown and saved with a model as they stand, or give it no part as an id"
                )

    def _exclusive(self) -> list[tuple[str, str]]:
        """Columns that may stand in one part only: seeing one of them from another part would leak it."""
        named = [(self.prompt, "prompt"), (self.response, "response")]
        named += [(signal.name, "signal") for signal in self.signals]
        named += [(column, "context") for column in self.context]
        named += [(column, part) for part in ("gold", "rank") if (column := getattr(self, part)) is not None]
        return named

    def columns(self) -> list[tuple[str, str]]:
        """Every (column, part) that the log must hold, prompt and response first, exposures included."""
        named = self._exclusive()
        named += [
            (s.exposure, f"exposure of signal {s.name!r}") for s in self.signals if s.exposure is not None
        ]
        others = ("prompt_id", "user_id", "session_id", "timestamp", "policy")
        named += [(column, part) for part in others if (column := getattr(self, part)) is not None]
        return named

    def to_json(self) -> dict[str, Any]:
        """The roles as a JSON object."""
        value = {field.name: getattr(self, field.name) for field in fields(self)}
        value["signals"] = [signal.to_json() for signal in self.signals]
        value["context"] = list(self.context)
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Roles:
        """Read what `to_json` wrote.

        Raises:
            ConfigError: a key that is no role, or a part of one column that is not given as its name.

        Example:
            >>> roles = Roles(signals=(Signal("copied"),), context=("slot",))
            >>> Roles.from_json(roles.to_json()) == roles
            True
        """
        unknown = set(value) - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigError(
                f"unknown role {min(unknown)!r}; roles are {', '.join(f.name for f in fields(cls))}"
            )
        known = dict(value)
        known["signals"] = tuple(Signal(**signal) for signal in known.get("signals", ()))
        known["context"] = tuple(known.get("context", ()))
        return cls(**known)
