"""A base of three dozen questions about Python, embedded by counting words: a contender is fitted on it in a blink."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from tacit import FeedbackLog
from tacit.evaluation.bench import SUITES, BenchResult, Case, Contender, Problem, run_bench
from tacit.evaluation.bench import run as running
from tacit.evaluation.bench.problems import Texts
from tacit.features import resolve_encoder
from tacit.training.config import TrainingConfig
from tacit.worlds import make, stdlib_base

ENCODER = "hashing:64"
QUICK = TrainingConfig(members=1, hidden=(), weight_decay=1.0, max_epochs=2, batch_size=256)
LONG_ENOUGH = QUICK.model_copy(update={"max_epochs": 12})
"""For methods whose reward waits until the tenth epoch."""
CASES = {(suite, case.name): case for suite, cases in SUITES.items() for case in cases}
"""Of every suite, whatever a test leaves in SUITES."""
SOME = {"implicit": ("naive", "bpr", "wmf", "nnpu"), "causal": ("naive_observed", "ips", "bradley_terry")}


@functools.cache
def base() -> FeedbackLog:
    return stdlib_base(limit=36)


@functools.cache
def texts() -> Texts:
    return Texts.of(base(), resolve_encoder(ENCODER), None)


def problem(case: Case, seeds: int = 2) -> Problem:
    return Problem.of(texts(), make(case.mechanism, base(), seeds, **case.parameters))


def case_of(suite: str, name: str) -> Case:
    return CASES[suite, name]


def run(suite: str, folder: Path, **options: Any) -> BenchResult:
    """`run_bench` with two seeds, two epochs and a handful of contenders."""
    options = {"methods": SOME.get(suite, ()), "seeds": 2, "config": QUICK, **options}
    return run_bench(suite, base(), folder, encoder=ENCODER, **options)


def told_of_fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that gets the name of each contender that this process fits."""
    fitted: list[str] = []
    fit_seeds = running.fit_seeds

    def counting(problem: Any, contender: Contender, config: Any) -> Any:
        fitted.append(contender.name)
        return fit_seeds(problem, contender, config)

    monkeypatch.setattr(running, "fit_seeds", counting)
    return fitted
