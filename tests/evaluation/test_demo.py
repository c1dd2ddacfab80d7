"""The demonstration on a tiny world: six rows in order, finite, the truth read by the oracle alone."""

from __future__ import annotations

import functools
import json
import math

import pytest

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
        DemoRow(name, "honest", {metric: [value, value] for metric in METRICS} | {"base_rate": [0.6, 0.6]})
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


@pytest.mark.parametrize("oracle", [0.5, 0.505, 0.4])
def test_where_the_oracle_is_no_better_than_naive_no_share_of_the_way_is_told(oracle: float) -> None:
    result = with_accuracy(0.5, 0.7, oracle)
    assert math.isnan(result.recovered)
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["recovered"] is None
    first, second = result.sentences()
    assert "50% of the time" in first
    assert "70% right" in second and f"{oracle:.0%} right" in second and "of the way to" not in second
    assert "take more questions" in second and "nan" not in first + second


def test_questions_that_judge_nobody_give_no_figure() -> None:
    first, second = with_accuracy(math.nan, math.nan, math.nan).sentences()
    assert "nan" not in (first + second).lower() and "too few questions" in second
    json.dumps(with_accuracy(math.nan, math.nan, math.nan).to_json(), allow_nan=False)


def test_one_seed_has_no_spread() -> None:
    row = DemoRow("naive", "honest", {metric: [0.5] for metric in METRICS})
    assert math.isnan(row.spread("auroc"))
    assert row.to_json()["spread"] == dict.fromkeys(METRICS)


def test_the_number_of_processes_changes_no_digit() -> None:
    beside = run_demo(2, encoder="hashing:64", limit=40, config=TINY, jobs=2)
    assert json.dumps(beside.to_json()) == json.dumps(tiny().to_json())
