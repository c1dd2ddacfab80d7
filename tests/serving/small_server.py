"""A small model behind a real server in a thread, a scorer whose pace a test sets, and a client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import uvicorn
from numpy.typing import NDArray

from tacit import FeedbackLog, RewardModel, Signal, fit
from tacit.data import Roles
from tacit.errors import ConfigError
from tacit.model import Scorer
from tacit.serving import Settings
from tacit.serving.app import create_app
from tacit.serving.run import bind
from tacit.training.config import TrainingConfig

WORDS = (
    "clear",
    "correct",
    "precise",
    "tested",
    "vague",
    "wrong",
    "broken",
    "the",
    "a",
    "of",
    "we",
    "so",
    "that",
)


def small_model(encoder: str = "hashing:32") -> RewardModel:
    """Three members fitted to 240 clicks."""
    draw = np.random.default_rng(0)
    table = {
        "prompt": [f"question {i // 4}" for i in range(240)],
        "response": [text(i) for i in range(240)],
        "slot": draw.integers(0, 2, 240).tolist(),
        "copied": draw.integers(0, 2, 240).tolist(),
    }
    log = FeedbackLog.from_columns(table, Roles(signals=(Signal("copied"),), context=("slot",)), name="small")
    config = TrainingConfig(members=3, hidden=(), weight_decay=0.1, max_epochs=5)
    return fit(log, encoder=encoder, config=config)


def text(seed: int) -> str:
    """Words, three to forty of them."""
    draw = np.random.default_rng(seed)
    return " ".join(draw.choice(WORDS, int(draw.integers(3, 40)))) + "."


class Paced(Scorer):
    """Scores a rendered chat, or a response, by its length, when `go` is set; remembers its batches."""

    def __init__(self, members: int = 2) -> None:
        self.members = members
        self.go = threading.Event()
        self.go.set()
        self.batches: list[list[str]] = []

    @property
    def rows(self) -> list[str]:
        """All texts scored so far, in order."""
        return [text for batch in self.batches for text in batch]

    def member_scores(self, pairs: Any, *, store: Any = None, quiet: bool = True) -> NDArray[np.float32]:
        return self.member_text_scores([response for _, response in pairs])

    def member_text_scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.go.wait(30)
        self.batches.append(list(texts))
        if any("refuse" in text for text in texts):
            raise ConfigError("a text says refuse; expected another")
        if any("break" in text for text in texts):
            raise RuntimeError("secret of the machine")
        lengths = [float("nan") if "nan" in text else len(text) for text in texts]
        return np.array([lengths] * self.members, dtype=np.float32)


@contextmanager
def running(scorer: Scorer, settings: Settings | None = None) -> Iterator[httpx.Client]:
    """A client of a server on loopback."""
    app = create_app(scorer, "small", settings)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    listener = bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=30, limits=httpx.Limits(max_connections=200)) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
    assert not thread.is_alive()


def gauge(client: httpx.Client, name: str) -> float:
    """The sum of a metric over its labels."""
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{")))


def until(client: httpx.Client, name: str, value: float) -> float:
    """Wait, 10 s at most, until a metric has a value; what it is then."""
    end = time.monotonic() + 10
    while gauge(client, name) != value and time.monotonic() < end:
        time.sleep(0.01)
    return gauge(client, name)
