"""The demonstration on a tiny world: six rows in order, finite, the truth read by the oracle alone."""

from __future__ import annotations

import functools
import json
import math

from tacit.evaluation.demo import METRICS, DemoResult, DemoRow, run_demo
from tacit.training.config import TrainingConfig

ORDER = ["constant", "length", "naive", "implicit_rm_published", "implicit_rm", "oracle"]
KEYS = {"method", "within_prompt_accuracy", "auroc", "brier", "ece", "base_rate", "seeds"}
TINY = TrainingConfig(members=2, hidden=(), weight_decay=1.0, max_epochs=3)


@functools.cache
def tiny() -> DemoResult:
    return run_demo(2, encoder="hashing:64", limit=40, config=TINY)


def test_the_six_methods_stand_in_order_with_two_seeds_each() -> None:
    told = json.loads(json.dumps(tiny().to_json(), allow_nan=False))
    assert [row["method"] for row in told["rows"]] == ORDER
    for row in told["rows"]:
        assert set(row) >= KEYS
        assert row["seeds"] == 2
        assert all(0 <= row[metric] <= 1 for metric in METRICS)
        assert all(len(row["by_seed"][metric]) == 2 for metric in METRICS)
    assert 0 < told["true_base_rate"] < 1


def test_only_the_oracle_read_the_truth() -> None:
    assert [row.protocol for row in tiny().rows] == ["honest"] * 5 + ["oracle"]


def test_a_constant_ranks_by_chance() -> None:
    constant = tiny().row("constant")
    assert constant.by_seed["auroc"] == constant.by_seed["within_prompt_accuracy"] == [0.5, 0.5]


def test_the_same_demo_gives_the_same_numbers() -> None:
    again = run_demo(2, encoder="hashing:64", limit=40, config=TINY)
    assert json.dumps(again.to_json()) == json.dumps(tiny().to_json())


def with_accuracy(naive: float, ours: float, oracle: float) -> DemoResult:
    rows = [
        DemoRow(name, "honest", {metric: [value, value] for metric in METRICS})
        for name, value in (("naive", naive), ("implicit_rm", ours), ("oracle", oracle))
    ]
    return DemoResult(rows, true_base_rate=0.55, click_rate=0.16, responses=4, prompts=2)


def test_recovered_is_the_share_of_the_way_from_naive_to_oracle() -> None:
    assert math.isclose(with_accuracy(0.5, 0.7, 0.75).recovered, 0.8)


def test_the_two_sentences_carry_the_figures_of_the_table() -> None:
    first, second = with_accuracy(0.5, 0.7, 0.75).sentences()
    for figure in ("16%", "55%", "50%"):
        assert figure in first
    for figure in ("70%", "80%"):
        assert figure in second


def test_the_number_of_processes_changes_no_digit() -> None:
    beside = run_demo(2, encoder="hashing:64", limit=40, config=TINY, jobs=2)
    assert json.dumps(beside.to_json()) == json.dumps(tiny().to_json())
