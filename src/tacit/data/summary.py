"""A log in numbers: what it holds, how often each thing happens, what is missing. Printed by `tacit log`."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.data.copies import count_copies
from tacit.data.log import FeedbackLog

_LEVELS_SHOWN = 20
_USERS_SHOWN = 5
_MISSING = "missing"


@dataclass(frozen=True)
class Spread:
    """Smallest, mean, median and largest of some numbers."""

    min: float
    mean: float
    median: float
    max: float


@dataclass(frozen=True)
class SignalSummary:
    """One signal: its rate where it could be recorded, and the share of rows where it could not."""

    name: str
    polarity: int
    kind: str
    rate: float | None
    ones: int
    missing: float


@dataclass(frozen=True)
class PairSummary:
    """Two signals where both could be recorded: rows, the share with both, and their correlation (phi)."""

    first: str
    second: str
    rows: int
    both: float | None
    phi: float | None


@dataclass(frozen=True)
class ContextSummary:
    """One context column: a spread of numbers, or the commonest levels with their shares."""

    name: str
    kind: str
    missing: float
    spread: Spread | None
    levels: dict[str, float] | None
    distinct: int


@dataclass(frozen=True)
class GoldSummary:
    """Trusted labels: the share of rows that have one, and their mean."""

    share: float
    mean: float | None


@dataclass(frozen=True)
class UserSummary:
    """Users: how many, and the share of rows of the busiest ones, under hashed names."""

    users: int
    busiest: dict[str, float]


@dataclass(frozen=True)
class PolicySummary:
    """One policy (model): its rows and the rate of each signal on them."""

    policy: str
    rows: int
    rates: dict[str, float | None]


@dataclass(frozen=True)
class LogSummary:
    """All of it; `to_json` gives plain dictionaries. `copies` are rows like an earlier one in every column."""

    name: str
    rows: int
    quarantined: int
    quarantine: dict[str, int]
    copies: int
    prompts: int
    rows_per_prompt: Spread
    chat: bool
    prompt_characters: Spread
    response_characters: Spread
    signals: tuple[SignalSummary, ...]
    pairs: tuple[PairSummary, ...]
    context: tuple[ContextSummary, ...]
    gold: GoldSummary | None
    ranked: float | None
    users: UserSummary | None
    policies: tuple[PolicySummary, ...]

    def to_json(self) -> dict[str, Any]:
        """The summary as a JSON object."""
        value = dataclasses.asdict(self)
        return {name: list(item) if isinstance(item, tuple) else item for name, item in value.items()}


def hash_user(user: object) -> str:
    """A pseudonym, 12 hex digits, under which a user appears in output; equal users get equal ones.

    It hides names from a reader's eye. It is no anonymisation: who knows the list of users can try them all.

    Example:
        >>> hash_user("anna") == hash_user("anna") != hash_user("ben")
        True
    """
    return hashlib.sha256(str(user).encode()).hexdigest()[:12]


def summarise(log: FeedbackLog) -> LogSummary:
    """Count what a log holds. Rates are over rows where a signal could have been recorded, never over all.

    Example:
        >>> from tacit.data import Roles, Signal
        >>> log = FeedbackLog.from_columns(
        ...     {"prompt": ["Hi", "Hi"], "response": ["Hello!", "What?"], "copied": [1, None]},
        ...     Roles(signals=(Signal("copied"),)),
        ... )
        >>> summarise(log).signals[0]
        SignalSummary(name='copied', polarity=1, kind='implicit', rate=1.0, ones=1, missing=0.5)
    """
    y_NK, visible_NK = log.signal_matrix()
    gold, has_gold = log.gold_values()
    _, has_rank = log.rank_values()
    groups = np.bincount(log.prompt_codes())
    names = [signal.name for signal in log.roles.signals]
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    return LogSummary(
        name=log.name,
        rows=len(log),
        quarantined=log.quarantine.total,
        quarantine=dict(log.quarantine.counts),
        copies=count_copies(log.table),
        prompts=len(groups),
        rows_per_prompt=_spread(groups),
        chat=log.is_chat,
        prompt_characters=_spread(np.array([len(text) for text in log.prompts()])),
        response_characters=_spread(np.array([len(text) for text in log.responses()])),
        signals=tuple(
            SignalSummary(
                name=signal.name,
                polarity=signal.polarity,
                kind=signal.kind,
                rate=_mean(y_NK[visible_NK[:, k], k]),
                ones=int(y_NK[:, k].sum()),
                missing=float(1 - visible_NK[:, k].mean()),
            )
            for k, signal in enumerate(log.roles.signals)
        ),
        pairs=tuple(_pair(names, y_NK, visible_NK, i, j) for i, j in pairs),
        context=tuple(_context(name, values) for name, values in log.context_columns().items()),
        gold=None if log.roles.gold is None else GoldSummary(float(has_gold.mean()), _mean(gold[has_gold])),
        ranked=None if log.roles.rank is None else float(has_rank.mean()),
        users=None if log.roles.user_id is None else _users(log, log.roles.user_id),
        policies=() if log.roles.policy is None else _policies(log, log.roles.policy, y_NK, visible_NK),
    )


def _spread(values: npt.NDArray[Any]) -> Spread:
    return Spread(float(values.min()), float(values.mean()), float(np.median(values)), float(values.max()))


def _mean(values: npt.NDArray[np.float32]) -> float | None:
    return float(values.mean(dtype=np.float64)) if len(values) else None


def _pair(
    names: list[str], y_NK: npt.NDArray[np.float32], visible_NK: npt.NDArray[np.bool_], i: int, j: int
) -> PairSummary:
    rows = visible_NK[:, i] & visible_NK[:, j]
    first, second = y_NK[rows, i].astype(np.float64), y_NK[rows, j].astype(np.float64)
    varied = len(first) > 0 and first.std() > 0 and second.std() > 0
    return PairSummary(
        first=names[i],
        second=names[j],
        rows=int(rows.sum()),
        both=float((first * second).mean()) if len(first) else None,
        phi=float(np.corrcoef(first, second)[0, 1]) if varied else None,
    )


def _context(name: str, values: npt.NDArray[Any]) -> ContextSummary:
    if values.dtype != object:
        return ContextSummary(name, "numeric", 0.0, _spread(values), None, len(np.unique(values)))
    levels, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shares = {str(levels[i]): float(counts[i] / len(values)) for i in order[:_LEVELS_SHOWN]}
    missing = float((values == _MISSING).mean())
    return ContextSummary(name, "categorical", missing, None, shares, len(levels))


def _users(log: FeedbackLog, column: str) -> UserSummary:
    codes = log.codes("user_id")
    counts = np.bincount(codes)
    _, first = np.unique(codes, return_index=True)
    values = log.table.column(column)
    order = np.argsort(-counts, kind="stable")
    known = [(g, values[int(first[g])].as_py()) for g in order[: _USERS_SHOWN + 1]]
    busiest = {hash_user(user): float(counts[g] / len(codes)) for g, user in known if user is not None}
    total = len(counts) - (values.null_count > 0)
    return UserSummary(users=int(total), busiest=dict(list(busiest.items())[:_USERS_SHOWN]))


def _policies(
    log: FeedbackLog, column: str, y_NK: npt.NDArray[np.float32], visible_NK: npt.NDArray[np.bool_]
) -> tuple[PolicySummary, ...]:
    codes = log.codes("policy")
    _, first = np.unique(codes, return_index=True)
    values = log.table.column(column)
    found = []
    for group in np.argsort(-np.bincount(codes), kind="stable"):
        rows = codes == group
        rates = {
            signal.name: _mean(y_NK[rows & visible_NK[:, k], k]) for k, signal in enumerate(log.roles.signals)
        }
        value = values[int(first[group])].as_py()
        found.append(PolicySummary(_MISSING if value is None else str(value), int(rows.sum()), rates))
    return tuple(found)
