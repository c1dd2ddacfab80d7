"""Rewards by policy beside raw signal rates: which model users like, and which one merely gets clicked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.data import FeedbackLog
from tacit.evaluation.bootstrap import Interval, bootstrap, weighted_mean


@dataclass(frozen=True)
class PolicyRow:
    """One policy (an LLM, a prompt version): how often its signals fired and how much its responses are liked.

    The intervals hold what another draw of prompts would change, and take the model as it is; of one prompt there is
    none.
    """

    policy: str
    responses: int
    rates: dict[str, float | None]
    reward: Interval
    probability: Interval | None

    @property
    def mean_reward(self) -> float:
        """Mean reward of its responses."""
        return self.reward.value

    @property
    def mean_probability(self) -> float | None:
        """Mean P(liked) of its responses; None where scores only order."""
        return None if self.probability is None else self.probability.value

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "policy": self.policy,
            "responses": self.responses,
            "rates": self.rates,
            "mean_reward": self.mean_reward,
            "mean_probability": self.mean_probability,
            "reward_interval": _bounds(self.reward),
            "probability_interval": None if self.probability is None else _bounds(self.probability),
        }


def by_policy(
    log: FeedbackLog,
    score_N: NDArray[np.floating],
    probability_N: NDArray[np.floating] | None,
    units_N: NDArray[np.int64],
) -> list[PolicyRow]:
    """Mean reward of each policy, highest first; empty where the log names no policy. Rows without one are left out.

    Scores that only order have no probabilities (None). `units_N` are what the bootstrap draws, prompts or sessions.
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
        rows.append(
            PolicyRow(
                name,
                int(mine.sum()),
                rates,
                bootstrap(weighted_mean(score_N[mine]), units_N[mine]),
                None
                if probability_N is None
                else bootstrap(weighted_mean(probability_N[mine]), units_N[mine]),
            )
        )
    return sorted(rows, key=lambda row: -row.mean_reward)


def _bounds(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if np.isfinite(interval.low) else None


def without_policy(log: FeedbackLog) -> int:
    """Rows that say nothing of their policy, where the log names it."""
    return 0 if log.roles.policy is None else log.table.column(log.roles.policy).null_count
