"""The feedback log: one Arrow table, the roles of its columns, and what had to be left out.

Everything above reads a log through the views of this class, never through column names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tacit.data import grouping
from tacit.data.columns import signal_values, to_numpy
from tacit.data.conform import conform, note_spelled_messages
from tacit.data.fingerprint import fingerprint
from tacit.data.interpret import interpret
from tacit.data.messages import Message
from tacit.data.quarantine import Quarantine
from tacit.data.raw import Part, from_arrow, from_lists, told_place
from tacit.data.readers import open_raw
from tacit.data.roles import Roles
from tacit.data.signal import Signal
from tacit.data.texts import as_messages, is_chat, prompt_text, response_text
from tacit.errors import ConfigError, DataError, did_you_mean, shown


@dataclass(frozen=True, eq=False)
class FeedbackLog:
    """What users did with responses.

    Args:
        table: Arrow table, one row per shown response; role columns have the types that `conform` gives them.
        roles: which column means what.
        quarantine: rows that could not be used.
        name: file, folder, pattern or dataset, as messages call it.
        places: int64 [N], where each row stands in that file, from 1; of several files, counted on from one to the
            next (`where` names the file and the place in it). None counts the rows of the table.
        unit: what `places` count, "line" for JSONL, "row" elsewhere.
        parts: the files, where there are several.

    Example:
        >>> log = FeedbackLog.from_columns(
        ...     {"prompt": ["Hi", "Hi"], "response": ["Hello!", "What?"], "copied": [1, None]},
        ...     Roles(signals=(Signal("copied"),)),
        ... )
        >>> y_NK, visible_NK = log.signal_matrix()
        >>> y_NK.tolist(), visible_NK.tolist(), log.prompt_codes().tolist()
        ([[1.0], [0.0]], [[True], [False]], [0, 0])
        >>> FeedbackLog.read([{"prompt": "Hi", "response": "Hello!"}, {"prompt": "Hi", "response": ""}])
        FeedbackLog('rows', rows=1, quarantined=1, signals: none)
    """

    table: Any
    roles: Roles
    quarantine: Quarantine = field(default_factory=Quarantine)
    name: str = "memory"
    places: npt.NDArray[np.int64] | None = None
    unit: str = "row"
    parts: tuple[Part, ...] = ()

    @classmethod
    def read(
        cls,
        path_or_dataset: str | Path | Any,
        *,
        signals: str | Signal | Sequence[str | Signal] | None = None,
        context: str | Sequence[str] | None = None,
        gold: str | None = None,
        prompt: str | None = None,
        response: str | None = None,
        prompt_id: str | None = None,
        rank: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        timestamp: str | None = None,
        policy: str | None = None,
        source: str = "auto",
        max_bad: int | None = None,
        like: Roles | None = None,
        partly: bool = False,
    ) -> FeedbackLog:
        """Read a log and validate it.

        Args:
            path_or_dataset: a file (.jsonl, .ndjson, .json, .parquet, .csv, the text forms also as .gz); several
                of one format, as a folder, a pattern ("logs/2026-11-*.jsonl") or a list of paths; a folder of
                `Dataset.save_to_disk`, a hub id "owner/name", "-" for JSON lines from standard input, or a table in
                memory: a `datasets.Dataset`, a data frame (pandas, polars) or anything else that hands out Arrow
                data, a list of rows (mappings) or a mapping of columns.
            signals: columns of what users did, as `Signal` or as "name", "name:negative". A published set
                knows the polarity of its own signals.
            context: columns that decide whether a user acts, and are not content.
            gold: column of trusted labels in [0, 1].
            prompt, response: columns of text or chat messages.
            prompt_id, rank, user_id, session_id, timestamp, policy: see `Roles`.
            source: "plain", or a format or set that `tacit.data.published` knows: "kto", "oasst1",
                "realhumaneval", "helpsteer", "ultrafeedback", "ultrafeedback_binarised", "saferlhf",
                "saferlhf_published" (gold 1 = harmful; never found by itself), "truthfulqa"; or an export that
                `tacit.data.exports` knows: "openwebui", "openwebui_feedback", "langfuse", "langsmith", "phoenix".
                "auto" recognises these by their columns, unless `prompt` or `response` is given, and logs what
                it decided.
            max_bad: refuse the log when more rows than this have to be quarantined.
            like: roles of another log (a fit's) for what is not named here: its signals and context, and where this
                log has their columns its texts, ids and policy. A signal given by its bare name is the one of `like`.
            partly: take over only those signals and that context of `like` whose columns are there; else all, so that
                a missing one is refused.

        KTO's `{prompt, completion, label}` reads as one signal, "label". Its `false` then means *nothing was
        seen*, as everywhere here, and not *disliked* as in KTO's own loss.

        Raises:
            DataError: one line naming the file, the row or column, what was found and what was expected.
            ConfigError: a signal that is neither a name nor a `Signal`, context that is no names, or `max_bad` below 0.
        """
        if max_bad is not None and max_bad < 0:
            raise ConfigError(f"max_bad is {max_bad}, expected 0 or more, or None for no limit")
        raw = open_raw(path_or_dataset)
        given = {
            "context": None if context is None else _listed("context", context),
            "gold": gold,
            "prompt": prompt,
            "response": response,
            "prompt_id": prompt_id,
            "rank": rank,
            "user_id": user_id,
            "session_id": session_id,
            "timestamp": timestamp,
            "policy": policy,
        }
        known = {part: column for part, column in given.items() if column is not None}
        signals = None if signals is None else _listed("signals", signals)
        raw, roles = interpret(raw, source, signals, known, like, partly)
        raw = conform(raw, roles, max_bad)
        note_spelled_messages(raw, roles)
        return cls(raw.table, roles, raw.quarantine, raw.name, raw.places, raw.unit, raw.parts)

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, Sequence[Any]], roles: Roles, name: str = "memory"
    ) -> FeedbackLog:
        """A log from sequences of one length, validated as a file is; None is null.

        Raises:
            DataError: as `read`.
        """
        rows = len(next(iter(columns.values()), ()))
        raw = conform(from_lists(columns, name, np.arange(1, rows + 1)), roles)
        return cls(raw.table, roles, raw.quarantine, name, raw.places, raw.unit)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        signals = ", ".join(signal.name for signal in self.roles.signals) or "none"
        lost = f", quarantined={self.quarantine.total}" if self.quarantine.total else ""
        return f"FeedbackLog({self.name!r}, rows={len(self)}{lost}, signals: {signals})"

    def where(self, row: int) -> str:
        """File and place of a row (position from 0), for a message: "log.jsonl, line 7".

        Example:
            >>> FeedbackLog.from_columns({"prompt": ["a"], "response": ["b"]}, Roles(), "log").where(0)
            'log, row 1'
        """
        place = row + 1 if self.places is None else int(self.places[row])
        return told_place(self.name, self.unit, self.parts, place)

    # ---- text

    def prompts(self) -> list[str]:
        """Prompts as text [N]; a chat prompt is its turns up to the user's last, roles shown if several."""
        return [
            value if isinstance(value, str) else prompt_text(value)
            for value in self.column(self.roles.prompt)
        ]

    def responses(self) -> list[str]:
        """Responses as text [N]."""
        values = self.column(self.roles.response)
        return [value if isinstance(value, str) else response_text(value) for value in values]

    def messages(self) -> list[list[Message]]:
        """Whole conversations [N]: the prompt's turns, then the assistant's response."""
        pairs = zip(self.column(self.roles.prompt), self.column(self.roles.response), strict=True)
        return [as_messages(asked, "user") + as_messages(answer, "assistant") for asked, answer in pairs]

    def column(self, name: str) -> list[Any]:
        """The values of any column, as Python objects [N].

        Raises:
            DataError: no such column.
        """
        return list(self._column(name).to_pylist())

    def _column(self, name: str) -> Any:
        if name not in self.table.column_names:
            names = self.table.column_names
            raise DataError(
                f"{self.name}: no column {name!r}{did_you_mean(name, names)}; columns: {', '.join(names)}"
            )
        return self.table.column(name)

    # ---- groups

    def prompt_codes(self) -> npt.NDArray[np.int64]:
        """The prompt group of each row, int64 [N], from 0 in order of first appearance."""
        return grouping.encode(self._column(self.roles.prompt_id or self.roles.prompt))

    def codes(self, role: str) -> npt.NDArray[np.int64]:
        """Group number of each row by a role ("prompt_id", "user_id", "session_id", "policy") or any column.

        Rows without a value (null) form one group of their own.

        Raises:
            DataError: a role that this log has no column for, or an unknown column.
        """
        return grouping.encode(self._unit_column(role))

    def _unit_column(self, role: str) -> Any:
        if role == "prompt_id":
            role = self.roles.prompt_id or self.roles.prompt
        if role in ("user_id", "session_id", "policy"):
            column = getattr(self.roles, role)
            if column is None and role not in self.table.column_names:
                raise DataError(
                    f"{self.name}: the log names no column as {role}; pass {role}= when reading it"
                )
            role = column or role
        return self._column(role)

    def units(self, by: str) -> npt.NDArray[np.int64]:
        """The groups that a split keeps whole, int64 [N]; rows of no known user, say, stay together by prompt alone."""
        units = self._unit_column(by)
        codes = grouping.encode(units)
        if not units.null_count:
            return codes
        unknown = np.asarray(units.is_null().to_numpy(), dtype=bool)
        codes[unknown] = codes.max() + 1 + self.prompt_codes()[unknown]
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)

    def folds(self, k: int, by: str = "prompt_id", seed: int = 0) -> npt.NDArray[np.int64]:
        """Fold of each row, int64 [N] in 0..k-1, of even size; groups of `by` never straddle two folds.

        A row without a value there (no user known) belongs to its prompt alone.

        Raises:
            ConfigError: k below 2.
            DataError: fewer groups than folds.
        """
        return grouping.fold_of_groups(self.units(by), k, seed)

    def split(
        self, by: str = "prompt_id", test: float = 0.2, seed: int = 0
    ) -> tuple[FeedbackLog, FeedbackLog]:
        """Training and test log; whole groups (as in `folds`) go to one side, about `test` of the rows to the second.

        Raises:
            ConfigError: a share outside (0, 1).
            DataError: fewer than two groups.
        """
        mask = grouping.held_out(self.units(by), test, seed)
        return self.take(np.flatnonzero(~mask)), self.take(np.flatnonzero(mask))

    # ---- what users did

    def signal_matrix(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Signals float32 [N, K], 0 where missing, and bool [N, K] of what could have been recorded."""
        y_NK = np.zeros((len(self), len(self.roles.signals)), dtype=np.float32)
        visible_NK = np.zeros(y_NK.shape, dtype=bool)
        for k, signal in enumerate(self.roles.signals):
            y_NK[:, k], visible_NK[:, k] = signal_values(self.table, signal)
        return y_NK, visible_NK

    def gold_values(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Trusted labels float32 [N] in [0, 1], 0 where there is none, and bool [N] of where there is one."""
        return self._numbers(self.roles.gold)

    def rank_values(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Ranks float32 [N], lower is better, 0 where there is none, and bool [N] of where there is one."""
        return self._numbers(self.roles.rank)

    def _numbers(self, name: str | None) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        if name is None:
            return np.zeros(len(self), dtype=np.float32), np.zeros(len(self), dtype=bool)
        values, mask = to_numpy(self._column(name), 0)
        return values, mask

    def context_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Context by name: float64 [N], or an object array [N] of text with "missing" for null."""
        found = {}
        for name in self.roles.context:
            column = self._column(name)
            if pa.types.is_floating(column.type):
                found[name] = np.asarray(column.to_numpy(), dtype=np.float64)
            else:
                found[name] = np.array(column.to_pylist(), dtype=object)
        return found

    # ---- other logs

    def take(self, rows: Iterable[int] | npt.NDArray[Any]) -> FeedbackLog:
        """The log of these rows (positions from 0, or a bool mask [N]), in this order."""
        chosen = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows))
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        chosen = chosen.astype(np.int64)
        places = None if self.places is None else self.places[chosen]
        return replace(self, table=self.table.take(pa.array(chosen)), places=places)

    def with_roles(self, **changes: Any) -> FeedbackLog:
        """The same rows under other roles, validated again: `log.with_roles(context=("slot",), gold=None)`.

        Raises:
            DataError: as `read`.
        """
        for part in ("signals", "context"):
            if part in changes:
                changes[part] = _listed(part, changes[part])
        if "signals" in changes:
            changes["signals"] = tuple(
                signal if isinstance(signal, Signal) else Signal.parse(signal)
                for signal in changes["signals"]
            )
        roles = replace(self.roles, **changes)
        raw = from_arrow(self.table, self.name)
        raw = replace(raw, quarantine=self.quarantine, unit=self.unit, parts=self.parts)
        if self.places is not None:
            raw = replace(raw, places=self.places)
        raw = conform(raw, roles)
        return replace(self, table=raw.table, roles=roles, quarantine=raw.quarantine, places=raw.places)

    def fingerprint(self) -> str:
        """SHA-256, as hex, over the roles and their columns' content, whatever file they came from."""
        return fingerprint(self.table, self.roles)

    @property
    def is_chat(self) -> bool:
        """Whether prompts are conversations rather than plain text."""
        return is_chat(self.table.schema.field(self.roles.prompt).type)


def _listed(part: str, value: Any) -> tuple[Any, ...]:
    """Columns of a part that may have several; one name is a list of one, not of its letters.

    Raises:
        ConfigError: neither a name nor several.
    """
    if isinstance(value, str | Signal):
        return (value,)
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        example = "copied" if part == "signals" else "slot"
        raise ConfigError(
            f"{part} is {shown(value)}, expected names of columns, such as {part}=['{example}']"
        )
    return tuple(value)
