"""Judging a calibrated model: by its own probabilities, and never as if it had not seen the rows that made them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from small_log import ENCODER, QUICK, columns, log_of

import tacit
from tacit import FeedbackLog, RewardModel
from tacit.errors import IdentificationWarning
from tacit.evaluation.report import Evaluation, evaluate_model
from tacit.evaluation.table import Row

TABLE = columns(prompts=40)
LOG = log_of(TABLE)


def other(seed: int, prompts: int = 40) -> dict[str, list[Any]]:
    """Answers to prompts that the fit has not read."""
    table = columns(prompts, seed)
    return table | {"prompt": [f"{seed}: {prompt}" for prompt in table["prompt"]]}


def calibrated(rm: RewardModel, log: FeedbackLog) -> RewardModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentificationWarning)
        return tacit.calibrate(rm, log)


SLICE = log_of(other(1), gold="gold")
FRESH = log_of(other(2), gold="gold", policy="llm")


@pytest.fixture(scope="module")
def rm() -> RewardModel:
    return tacit.fit(LOG, method="naive", encoder=ENCODER, config=QUICK)


@pytest.fixture(scope="module")
def done(rm: RewardModel) -> RewardModel:
    return calibrated(rm, SLICE)


def last(found: Evaluation) -> Row:
    assert found.rows[-1].method == found.main
    return found.rows[-1]


def test_brier_and_mean_are_those_of_the_calibrated_probabilities_and_the_order_is_as_it_was(
    rm: RewardModel, done: RewardModel
) -> None:
    gold_N, p_N = np.array(FRESH.column("gold")), done.probability(FRESH).astype(np.float64)
    metrics, before = last(evaluate_model(done, FRESH)).metrics, last(evaluate_model(rm, FRESH)).metrics
    assert metrics["brier"].value == pytest.approx(((p_N - gold_N) ** 2).mean(), abs=1e-6)
    assert metrics["base_rate"].value == pytest.approx(p_N.mean(), abs=1e-6)
    assert metrics["brier"].value < before["brier"].value
    assert metrics["ece"].value < before["ece"].value
    for name in ("auroc", "spearman", "within_prompt_accuracy", "log_likelihood"):
        assert metrics[name] == before[name]


def test_policies_keep_their_rewards_and_get_calibrated_probabilities(
    rm: RewardModel, done: RewardModel
) -> None:
    before, after = ({p.policy: p for p in evaluate_model(model, FRESH).policies} for model in (rm, done))
    p_N = done.probability(FRESH)
    for name in ("alpha", "beta"):
        mine = np.array(FRESH.column("llm")) == name
        assert after[name].mean_reward == before[name].mean_reward
        assert after[name].mean_probability == pytest.approx(p_N[mine].mean(), abs=1e-6)


def test_on_other_rows_it_is_calibrated_and_so_are_the_references_that_take_over_its_level(
    done: RewardModel,
) -> None:
    found = evaluate_model(done, FRESH)
    assert {row.method: row.protocol for row in found.rows} == dict.fromkeys(
        ("constant", "length", "naive"), "calibrated"
    )
    assert found.rows[0].metrics["base_rate"].value == pytest.approx(np.mean(SLICE.column("gold")))
    assert "naive was calibrated on 120 trusted rows, none of them among these." in found.caption


def test_on_the_rows_that_calibrated_it_it_is_in_sample(rm: RewardModel, done: RewardModel) -> None:
    found = evaluate_model(done, SLICE)
    assert {row.protocol for row in found.rows} == {"in-sample"}
    assert "These are the rows that calibrated naive: its probabilities are flattered." in found.caption
    before = evaluate_model(rm, SLICE)
    assert {row.protocol for row in before.rows} == {"honest"} and "calibrated" not in before.caption


def test_of_the_rows_with_gold_those_that_calibrated_it_are_counted(done: RewardModel) -> None:
    old, new = other(1), other(2)
    table = {name: old[name][:30] + new[name][:90] for name in old}
    table["gold"] = [value if i < 60 else None for i, value in enumerate(table["gold"])]
    found = evaluate_model(done, log_of(table, gold="gold"))
    assert last(found).protocol == "partly in-sample"
    assert "Of the rows with gold 50.0 % calibrated naive" in found.caption


def test_without_gold_nothing_is_flattered_by_calibration(done: RewardModel) -> None:
    assert last(evaluate_model(done, SLICE.with_roles(gold=None))).protocol == "calibrated"


def test_rows_of_the_fit_stay_in_sample_after_calibration(done: RewardModel) -> None:
    assert last(evaluate_model(done, log_of(TABLE, gold="gold"), folds=0)).protocol == "in-sample"


def test_refits_are_not_calibrated_and_the_caption_says_so(rm: RewardModel, done: RewardModel) -> None:
    log = log_of(TABLE, gold="gold")
    plain, found = evaluate_model(rm, log), evaluate_model(done, log)
    assert found.folds == 5 and str(found.rows) == str(plain.rows)
    assert "\nRefits are not calibrated: --folds 0" in found.caption
    assert "not calibrated" not in plain.caption


def test_scores_that_only_order_have_errors_of_level_once_calibrated_but_not_in_refits() -> None:
    rm = tacit.fit(LOG, method="bpr", encoder=ENCODER, config=QUICK)
    done = calibrated(rm, SLICE)
    assert "brier" not in last(evaluate_model(rm, FRESH)).metrics
    found = evaluate_model(done, FRESH)
    assert {"brier", "ece", "base_rate"} <= set(last(found).metrics)
    assert "only order answers" not in found.caption
    refitted = evaluate_model(done, log_of(TABLE, gold="gold"), folds=2)
    own = next(row for row in refitted.rows if row.method == "bpr")
    assert "brier" not in own.metrics and "only order answers" in refitted.caption


def test_beside_the_model_it_was_made_from_it_gains_what_its_probabilities_gain(
    rm: RewardModel, done: RewardModel
) -> None:
    found = evaluate_model(done, FRESH, against=rm, names=("new", "old"))
    assert [(row.method, row.protocol) for row in found.rows[2:]] == [
        ("naive (old)", "honest"),
        ("naive (new)", "calibrated"),
    ]
    gain = found.differences()["naive (old)"]
    assert gain["brier"].high < 0 and gain["auroc"].value == 0


def test_rows_that_all_calibrated_it_and_were_partly_of_the_fit_are_in_sample(rm: RewardModel) -> None:
    old, new = TABLE, other(1)
    log = log_of({name: old[name][:60] + new[name][:60] for name in old}, gold="gold")
    assert last(evaluate_model(rm, log)).protocol == "partly in-sample"
    assert last(evaluate_model(calibrated(rm, log), log)).protocol == "in-sample"
