"""What a run of the command line leaves, and the log that the tests of this room use."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SMALL = ("--encoder", "hashing:32", "--members", "2", "--epochs", "3", "--context", "position")


@dataclass(frozen=True)
class Ran:
    """What a run of `tacit` left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Tacit = Callable[..., Ran]


def rows(prompts: int = 30, seed: int = 0) -> list[dict[str, Any]]:
    """Three answers per prompt with clicks, a partly recorded thumb, context, an audit and a user."""
    dice = random.Random(seed)
    return [
        {
            "prompt": f"question {i}",
            "response": f"answer {j} " + "word " * dice.randint(1, 30),
            "copied": int(dice.random() < 0.35),
            "down": dice.choice([0, 0, 0, 1, None]),
            "position": j,
            "device": dice.choice(["phone", "desktop"]),
            "rating": round(dice.random(), 2),
            "user": f"user {i % 7}",
            "llm": dice.choice(["alpha", "beta"]),
        }
        for i in range(prompts)
        for j in range(3)
    ]


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return path
