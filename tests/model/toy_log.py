"""A log with known truth: good words please, the ranker puts bad answers where everybody clicks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit import FeedbackLog, Signal
from tacit.data import Roles
from tacit.training.config import TrainingConfig

GOOD = np.array(["clear", "correct", "precise", "tested", "working"])
BAD = np.array(["vague", "wrong", "broken", "sloppy", "confused"])
FILLER = np.array(["the", "a", "of", "we", "so", "it", "that"])

QUICK = TrainingConfig(members=2, hidden=(), weight_decay=1.0, max_epochs=8)


def columns(prompts: int = 60, seed: int = 0) -> dict[str, list[Any]]:
    """Four answers per prompt; `truth` is P(like), `slot` moves clicks and follows badness."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {name: [] for name in ("prompt", "response", "copied", "slot", "truth")}
    for i in range(4 * prompts):
        good = int(rng.integers(0, 6))
        words = np.concatenate([rng.choice(GOOD, good), rng.choice(BAD, 5 - good), rng.choice(FILLER, 5)])
        rng.shuffle(words)
        liked = 1 / (1 + np.exp(-1.2 * (good - 2.5)))
        slot = int(rng.random() < 0.05 + 0.18 * (5 - good))
        found["prompt"].append(f"question {i // 4}")
        found["response"].append(" ".join(words) + ".")
        found["truth"].append(float(liked))
        found["slot"].append(slot)
        found["copied"].append(int(rng.random() < liked and rng.random() < (0.9 if slot else 0.12)))
    return found


def log_of(table: dict[str, list[Any]], **roles: Any) -> FeedbackLog:
    return FeedbackLog.from_columns(
        table, Roles(**{"signals": (Signal("copied"),), "context": ("slot",), **roles}), name="toy"
    )


def within_prompt_accuracy(score_N: NDArray[Any], truth_N: list[float]) -> float:
    """Share of pairs of answers to one prompt that the score orders as the truth does."""
    score, truth = np.asarray(score_N).reshape(-1, 4), np.asarray(truth_N).reshape(-1, 4)
    better = truth[:, :, None] > truth[:, None, :] + 1e-9
    return float((score[:, :, None] > score[:, None, :])[better].mean())
