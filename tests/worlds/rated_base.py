"""A rated log of known make: answers of many looks, ratings 0 to 4 that lean on length, gold from the rating."""

from __future__ import annotations

import numpy as np

from tacit.data import FeedbackLog, Roles


def rated_base(rows: int = 3000, *, seed: int = 0, soft_gold: bool = False) -> FeedbackLog:
    rng = np.random.default_rng(seed)
    words = np.exp(rng.normal(3, 0.8, size=rows)).astype(int) + 1
    blocks, lists, tables = rng.integers(0, 6, rows), rng.integers(0, 2, rows), rng.integers(0, 2, rows)
    responses = [
        "word " * w + "\n```\nx = 1\n```\n" * b + "\n- one\n- two\n" * li + "\n| a | b |\n|---|---|\n" * t
        for w, b, li, t in zip(words, blocks, lists, tables, strict=True)
    ]
    rating = np.clip((rng.normal(size=rows) + 0.5 * (np.log(words) - 3) + 2).round(), 0, 4)
    gold = 0.1 + 0.2 * rating if soft_gold else (rating > 2).astype(float)
    return FeedbackLog.from_columns(
        {
            "question": [f"Question {row // 6}?" for row in range(rows)],
            "response": responses,
            "rating": rating.tolist(),
            "gold": gold.tolist(),
            "verdict": ["good" if value > 0.5 else "bad" for value in gold],
        },
        Roles(prompt="question", gold="gold"),
        name="rated",
    )
