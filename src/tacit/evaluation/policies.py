"""Rewards by policy beside raw signal rates: which model users like, and which one merely gets clicked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.data import FeedbackLog


@dataclass(frozen=True)
class PolicyRow:
    """One policy (an LLM, a prompt version): how often its signals fired and how much its responses are liked."""

    policy: str
    responses: int
    rates: dict[str, float | None]
    mean_reward: float
    mean_probability: float | None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def by_policy(
    log: FeedbackLog, score_N: NDArray[np.floating], probability_N: NDArray[np.floating] | None
) -> list[PolicyRow]:
    """Mean reward of each policy, highest first; empty where the log names no policy. Rows without one are left out.

    Scores that only order have no probabilities (None).
    """
    if log.roles.policy is None:
        return []
    names = np.array([None if value is None else str(value) for value in log.column(log.roles.policy)])
    y_NK, visible_NK = log.signal_matrix()
    rows = []
    for name in sorted(set(names.tolist()) - {None}):
        mine = names == name
        rates = {
            signal.name: float(y_NK[mine & visible_NK[:, k], k].mean())
            if (mine & visible_NK[:, k]).any()
            else None
            for k, signal in enumerate(log.roles.signals)
        }
        chance = None if probability_N is None else float(probability_N[mine].mean())
        rows.append(PolicyRow(name, int(mine.sum()), rates, float(score_N[mine].mean()), chance))
    return sorted(rows, key=lambda row: -row.mean_reward)


def without_policy(log: FeedbackLog) -> int:
    """Rows that say nothing of their policy, where the log names it."""
    return 0 if log.roles.policy is None else log.table.column(log.roles.policy).null_count
