"""A log of a few dozen prompts whose clicks, users and audit are drawn; fitted in a second."""

from __future__ import annotations

from typing import Any

import numpy as np

from tacit import FeedbackLog, Signal
from tacit.data import Roles
from tacit.training.config import TrainingConfig

QUICK = TrainingConfig(members=2, hidden=(), weight_decay=1.0, max_epochs=4)
ENCODER = "hashing:32"
_WORDS = np.array(["clear", "correct", "vague", "wrong", "so", "it", "that", "we"])


def columns(prompts: int = 30, seed: int = 0) -> dict[str, list[Any]]:
    """Three answers per prompt, prompts shared by users in turn; `gold` grows with good words."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {name: [] for name in ("prompt", "response", "copied", "slot", "gold")}
    found |= {"user": [], "llm": []}
    for i in range(3 * prompts):
        words = rng.choice(_WORDS, rng.integers(3, 12))
        liked = float(np.isin(words, ["clear", "correct"]).mean() > 0.25)
        slot = i % 3
        found["prompt"].append(f"question {i // 3}")
        found["response"].append(" ".join(words))
        found["gold"].append(liked)
        found["slot"].append(slot)
        found["copied"].append(int(liked and rng.random() < (0.9, 0.6, 0.3)[slot]))
        found["user"].append(f"user {(i // 3) % 10}")
        found["llm"].append("alpha" if i % 2 else "beta")
    return found


def log_of(table: dict[str, list[Any]], **roles: Any) -> FeedbackLog:
    return FeedbackLog.from_columns(
        table, Roles(**{"signals": (Signal("copied"),), "context": ("slot",), **roles}), name="small"
    )
