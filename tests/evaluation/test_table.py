"""One row per method: metrics where there is a truth, and paired differences on the same draws."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from tacit.evaluation.bootstrap import bootstrap, paired_difference, weighted_auroc, weighted_mean
from tacit.evaluation.metrics import best_of_n_regret, pearson, within_prompt_ndcg
from tacit.evaluation.table import MORE, Predictions, Truths, compare

RNG = np.random.default_rng(0)
PROMPTS = np.repeat(np.arange(40), 3)
GOLD = RNG.random(120)
GOOD = Predictions("good", "honest", GOLD * 4 - 2, np.log(np.full(120, 0.7)))
TWIN = Predictions("naive", "honest", GOLD * 4 - 2, np.log(np.full(120, 0.7)))
BAD = Predictions("oracle", "oracle", 2 - GOLD * 4, np.log(np.full(120, 0.5)))
TRUTH = Truths(PROMPTS, PROMPTS, gold_N=GOLD)


def test_equal_predictions_differ_by_exactly_zero() -> None:
    good = compare([GOOD, TWIN], TRUTH, draws=50)[0]
    assert good.against["naive"].keys() == good.metrics.keys() - {"base_rate"}
    for metric, difference in good.against["naive"].items():
        bounds = (0, 0) if metric != "ece" else pytest.approx((np.nan, np.nan), nan_ok=True)
        assert difference.value == 0 and (difference.low, difference.high) == bounds


def test_more_adds_what_no_table_shows_and_changes_nothing_else() -> None:
    graded = replace(TRUTH, gold_N=np.round(GOLD * 4) / 4)
    few, many = (compare([GOOD, TWIN], graded, draws=50, more=more)[0] for more in (False, True))
    assert many.metrics.keys() - few.metrics.keys() == set(MORE)
    assert {name: str(many.metrics[name]) for name in few.metrics} == {
        k: str(v) for k, v in few.metrics.items()
    }
    known = (GOOD.score_N, graded.gold_N, PROMPTS)
    assert many.metrics["within_prompt_ndcg"].value == pytest.approx(within_prompt_ndcg(*known))
    assert many.metrics["best_of_n_regret"].value == pytest.approx(best_of_n_regret(*known))
    assert many.metrics["pearson"].value == pytest.approx(pearson(GOOD.probability_N, graded.gold_N))
    for name in MORE:
        own = many.metrics[name]
        assert own.low <= own.value <= own.high and many.against["naive"][name].value == 0


def test_more_needs_gold_and_of_scores_that_only_order_gives_no_correlation() -> None:
    blind = compare([GOOD], Truths(PROMPTS, PROMPTS, rank_N=-GOLD), draws=10, more=True)[0]
    assert not set(MORE) & set(blind.metrics)
    ordered = compare([replace(GOOD, has_level=False)], TRUTH, draws=10, more=True)[0]
    assert "pearson" not in ordered.metrics and "within_prompt_ndcg" in ordered.metrics


def test_the_difference_is_own_minus_other_and_its_interval_excludes_zero_when_plain() -> None:
    good, bad = compare([GOOD, BAD], TRUTH, draws=50)
    for metric in ("within_prompt_accuracy", "auroc", "spearman", "log_likelihood"):
        difference = good.against["oracle"][metric]
        assert difference.value == pytest.approx(good.metrics[metric].value - bad.metrics[metric].value)
        assert 0 < difference.low <= difference.value <= difference.high
    assert good.against["oracle"]["brier"].high < 0


def test_intervals_and_differences_are_those_of_the_bootstrap_which_draws_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluated = []
    bootstrapping = import_module("tacit.evaluation.bootstrap")  # a function of that name stands before it
    evaluate = bootstrapping._evaluate

    def counting(*arguments: Any) -> Any:
        evaluated.append(arguments[0])
        return evaluate(*arguments)

    monkeypatch.setattr(bootstrapping, "_evaluate", counting)
    good, _, bad = compare([GOOD, TWIN, BAD], TRUTH, draws=50)
    assert len(evaluated) == len(good.metrics) * 3
    liked = (GOLD > 0.5).astype(float)
    auroc, brier = weighted_auroc(GOOD.score_N, liked), weighted_mean((GOOD.probability_N - GOLD) ** 2)
    their_auroc, their_brier = (
        weighted_auroc(BAD.score_N, liked),
        weighted_mean((BAD.probability_N - GOLD) ** 2),
    )
    assert good.metrics["auroc"] == bootstrap(auroc, PROMPTS, draws=50)
    assert good.metrics["brier"] == bootstrap(brier, PROMPTS, draws=50)
    assert good.against["oracle"]["auroc"] == paired_difference(auroc, their_auroc, PROMPTS, draws=50)
    assert good.against["oracle"]["brier"] == paired_difference(brier, their_brier, PROMPTS, draws=50)
    assert bad.against["naive"]["auroc"].value == -good.against["oracle"]["auroc"].value


def test_a_method_has_no_difference_from_itself() -> None:
    rows = compare([GOOD, TWIN, BAD], TRUTH, draws=20)
    assert [sorted(row.against) for row in rows] == [["naive", "oracle"], ["oracle"], ["naive"]]


def test_the_best_and_the_worst_order_are_one_and_zero() -> None:
    good, bad = compare([GOOD, BAD], TRUTH, draws=20)
    assert good.metrics["within_prompt_accuracy"].value == good.metrics["auroc"].value == 1
    assert bad.metrics["within_prompt_accuracy"].value == bad.metrics["auroc"].value == 0


def test_metrics_without_their_truth_are_left_out() -> None:
    (row,) = compare([Predictions("good", "honest", GOLD)], Truths(PROMPTS, PROMPTS), draws=20)
    assert list(row.metrics) == ["base_rate"]


def test_ranks_decide_the_order_within_prompts_where_both_are_known() -> None:
    truth = Truths(PROMPTS, PROMPTS, gold_N=GOLD, rank_N=GOLD)  # lower rank is better: the reverse of gold
    good = compare([GOOD], truth, draws=20)[0]
    assert good.metrics["within_prompt_accuracy"].value == 0
    assert good.metrics["auroc"].value == 1


def test_rows_of_unknown_gold_do_not_count() -> None:
    known = np.arange(120) % 3 != 0
    holes = np.where(known, GOLD, np.nan)
    fooled = Predictions("good", "honest", np.where(known, GOOD.score_N, -99.0))
    assert compare([fooled], Truths(PROMPTS, PROMPTS, gold_N=holes), draws=20)[0].metrics["auroc"].value == 1


def test_the_likelihood_is_averaged_over_rows_with_a_visible_signal() -> None:
    seen = np.arange(120) < 60
    likelihood = np.where(seen, -1.0, -50.0)
    truth = Truths(PROMPTS, PROMPTS, seen_N=seen)
    (row,) = compare([Predictions("good", "honest", GOLD, likelihood)], truth, draws=20)
    assert row.metrics["log_likelihood"].value == -1
    (row,) = compare([GOOD], Truths(PROMPTS, PROMPTS, seen_N=np.zeros(120, dtype=bool)), draws=20)
    assert "log_likelihood" not in row.metrics


def test_intervals_draw_units_not_rows() -> None:
    """Rows that come as exact copies of each other within a unit say no more than one row of it."""
    noisy = Predictions("good", "honest", np.repeat(RNG.normal(size=40), 3))
    gold_N = np.repeat(RNG.random(40), 3)
    by_unit = compare([noisy], Truths(PROMPTS, PROMPTS, gold_N=gold_N), draws=300)[0].metrics["spearman"]
    by_row = compare([noisy], Truths(PROMPTS, np.arange(120), gold_N=gold_N), draws=300)[0].metrics[
        "spearman"
    ]
    assert by_unit.value == by_row.value
    assert by_unit.high - by_unit.low > 1.3 * (by_row.high - by_row.low)


def test_a_calibration_error_has_no_bounds_for_draws_of_rows_lie_above_it() -> None:
    rng = np.random.default_rng(0)
    score_N = rng.normal(size=120)
    gold_N = (rng.random(120) < 1 / (1 + np.exp(-score_N))).astype(float)
    rows = [Predictions(name, "honest", score_N * scale) for name, scale in (("ours", 1), ("naive", 2))]
    ours = compare(rows, Truths(PROMPTS, PROMPTS, gold_N=gold_N), draws=50)[0]
    for found in (ours.metrics, ours.against["naive"]):
        assert np.isfinite(found["ece"].value)
        assert np.isnan(found["ece"].low) and np.isnan(found["ece"].high)
        assert found["brier"].low < found["brier"].value < found["brier"].high


def test_a_row_is_json_with_low_and_high_and_null_where_undefined() -> None:
    flat = Truths(PROMPTS, PROMPTS, gold_N=np.ones(120))
    told = json.loads(json.dumps(compare([GOOD, TWIN], flat, draws=20)[0].to_json(), allow_nan=False))
    assert told["auroc"] == {"value": None, "low": None, "high": None}
    assert set(told["brier"]) == {"value", "low", "high"}
    assert set(told["difference"]) == {"naive"}


def test_scores_far_from_zero_give_probabilities_without_overflow() -> None:
    far = Predictions("far", "honest", np.array([-1e6, 1e6]))
    with np.errstate(all="raise"):
        assert far.probability_N.tolist() == pytest.approx([0, 1])
