from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

from tacit.errors import DataError
from tacit.evaluation import (
    auroc,
    best_of_n_regret,
    bootstrap,
    brier,
    paired_difference,
    pearson,
    spearman,
    weighted_auroc,
    weighted_mean,
    weighted_over_prompts,
    weighted_pearson,
    weighted_spearman,
    weighted_within_prompt,
    within_prompt_accuracy,
    within_prompt_ndcg,
)
from tacit.evaluation.bootstrap import _row_weights
from tacit.evaluation.metrics import prompt_ndcg, prompt_regrets


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    groups = rng.integers(100, 130, 200)
    target = rng.integers(0, 2, 200)
    scores = np.round(1 / (1 + np.exp(-(target + rng.normal(size=200)))), 1)
    return scores, target, groups


def test_a_draw_takes_whole_prompts_and_as_many_as_there_are(data):
    _, _, groups = data
    (weights,) = _row_weights(groups, 50, seed=0)
    _, first, index = np.unique(groups, return_index=True, return_inverse=True)
    assert np.array_equal(weights, weights[:, first][:, index])
    assert np.all(weights[:, first].sum(axis=1) == len(first))


def test_weighted_metrics_equal_the_metrics_on_repeated_rows(data):
    scores, target, groups = data
    (weights,) = _row_weights(groups, 20, seed=1)
    fast_auroc = weighted_auroc(scores, target).over(weights)
    fast_brier = weighted_mean((scores - target) ** 2).over(weights)
    fast_within = weighted_within_prompt(scores, target, groups).over(weights)
    graded = np.random.default_rng(3).integers(5, size=len(scores)) / 4 + target
    fast_spearman = weighted_spearman(scores, graded).over(weights)
    for d, row_weights in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(len(groups)), row_weights)
        assert fast_auroc[d] == pytest.approx(auroc(scores[rows], target[rows]))
        assert fast_brier[d] == pytest.approx(brier(scores[rows], target[rows]))
        assert fast_spearman[d] == pytest.approx(spearman(scores[rows], graded[rows]), abs=1e-12)
        # A prompt drawn twice counts as two prompts: number the copies of each row.
        copy = np.concatenate([np.arange(n) for n in row_weights])
        expected = within_prompt_accuracy(scores[rows], target[rows], groups[rows] * 1000 + copy)
        assert fast_within[d] == pytest.approx(expected)


def test_values_of_prompts_and_pearson_equal_the_metrics_on_repeated_rows(data):
    scores, _, groups = data
    graded = np.random.default_rng(4).integers(5, size=len(scores)) / 4
    (weights,) = _row_weights(groups, 20, seed=1)
    pairs = ((prompt_ndcg, within_prompt_ndcg), (prompt_regrets, best_of_n_regret))
    fast_pearson = weighted_pearson(scores, graded).over(weights)
    fast = [weighted_over_prompts(values, scores, graded, groups).over(weights) for values, _ in pairs]
    for d, row_weights in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(len(groups)), row_weights)
        copy = np.concatenate([np.arange(n) for n in row_weights])
        assert fast_pearson[d] == pytest.approx(pearson(scores[rows], graded[rows]), abs=1e-12)
        for (_, metric), found in zip(pairs, fast, strict=True):
            assert found[d] == pytest.approx(metric(scores[rows], graded[rows], groups[rows] * 1000 + copy))


def test_a_prompt_that_users_share_counts_once_with_the_rows_of_those_who_were_drawn() -> None:
    scores, gold = np.array([0.9, 0.2, 0.1, 0.3, 0.8]), np.array([0.0, 1.0, 0.5, 0.0, 1.0])
    prompts, users = np.array([0, 0, 0, 1, 1]), np.array([7, 7, 8, 9, 9])
    lost = weighted_over_prompts(prompt_regrets, scores, gold, prompts, users)
    weights = np.array([[1.0, 1, 1, 1, 1], [2, 2, 0, 1, 1], [0, 0, 1, 2, 2], [0, 0, 3, 0, 0]])
    # Of the third draw the first prompt keeps one answer: no regret. Of the fourth nothing is left.
    np.testing.assert_array_equal(lost.over(weights), [0.5, 0.5, 0.0, np.nan])
    twice = weighted_over_prompts(
        prompt_regrets, scores[[0, 1, 3, 4]], gold[[0, 1, 3, 4]], [0, 0, 1, 1], [7, 7, 9, 9]
    )
    assert twice.over(np.array([[3.0, 3, 1, 1]])).tolist() == [0.75]


def test_pearson_of_a_draw_with_one_value_is_not_defined() -> None:
    weights = np.array([[2.0, 1.0, 0.0, 0.0], [1.0, 1.0, 3.0, 1.0]])
    values = np.array([0.1, 0.1, 0.3, 0.9])
    held = weighted_pearson(values, np.arange(4.0)).over(weights)
    assert np.isnan(held[0]) and 0 < held[1] < 1
    assert np.isnan(weighted_pearson(np.full(4, 0.1), np.arange(4.0)).over(weights)).all()


def test_spearman_of_a_draw_with_one_value_is_not_defined_and_of_one_order_is_exactly_one() -> None:
    weights = np.array([[2.0, 1.0, 0.0, 0.0], [1.0, 1.0, 3.0, 1.0]])
    rising = np.arange(4.0)
    held = weighted_spearman(np.array([7.0, 7.0, 8.0, 9.0]), rising).over(weights)
    assert np.isnan(held[0]) and held[1] < 1
    assert weighted_spearman(rising, -(rising**3)).over(weights).tolist() == [-1.0, -1.0]


def test_the_value_is_the_metric_on_all_rows(data):
    scores, target, groups = data
    interval = bootstrap(weighted_within_prompt(scores, target, groups), groups, draws=10)
    assert interval.value == pytest.approx(within_prompt_accuracy(scores, target, groups))
    assert bootstrap(weighted_auroc(scores, target), groups, draws=10).value == auroc(scores, target)


def test_a_function_of_rows_and_its_weighted_twin_give_the_same_interval(data):
    scores, target, groups = data
    fast = bootstrap(weighted_auroc(scores, target), groups, draws=100, seed=5)
    slow = bootstrap(lambda rows: auroc(scores[rows], target[rows]), groups, draws=100, seed=5)
    assert (fast.value, fast.low, fast.high) == pytest.approx((slow.value, slow.low, slow.high))


def test_one_seed_gives_one_interval_and_another_seed_another(data):
    scores, target, groups = data
    metric = weighted_mean((scores - target) ** 2)
    assert bootstrap(metric, groups, seed=1) == bootstrap(metric, groups, seed=1)
    assert bootstrap(metric, groups, seed=1) != bootstrap(metric, groups, seed=2)


def test_memory_is_bounded_without_changing_the_draws(data, monkeypatch):
    scores, target, groups = data
    metric = weighted_auroc(scores, target)
    whole = bootstrap(metric, groups, draws=50)
    # The package re-exports the function under the name of its module.
    module = importlib.import_module("tacit.evaluation.bootstrap")
    monkeypatch.setattr(module, "_CELLS", 7 * len(groups))
    assert bootstrap(metric, groups, draws=50) == whole


def test_rows_that_repeat_inside_prompts_do_not_shorten_the_interval():
    rng = np.random.default_rng(0)
    values = rng.normal(size=100)
    once = bootstrap(weighted_mean(values), np.arange(100))
    ten_times = bootstrap(weighted_mean(np.repeat(values, 10)), np.repeat(np.arange(100), 10))
    assert (ten_times.low, ten_times.high) == pytest.approx((once.low, once.high))


def test_the_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 3)
    covered = 0
    for world in range(200):
        values = rng.normal(size=60)[groups] + rng.normal(size=180)
        interval = bootstrap(weighted_mean(values), groups, draws=300, seed=world)
        covered += interval.low <= 0 <= interval.high
    assert 180 <= covered <= 198


def test_a_paired_difference_is_much_narrower_than_the_two_intervals():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(100), 4)
    hardness = rng.normal(size=100)[groups]
    first, second = weighted_mean(hardness + 0.1), weighted_mean(hardness + 0.01 * rng.normal(size=400))
    difference = paired_difference(first, second, groups)
    alone = bootstrap(first, groups)
    assert difference.low > 0.09
    assert difference.high - difference.low < (alone.high - alone.low) / 20


def test_an_undefined_metric_has_an_undefined_interval_and_undefined_draws_are_left_out():
    groups = np.arange(3)
    nothing = bootstrap(weighted_auroc(np.arange(3.0), np.ones(3)), groups)
    assert math.isnan(nothing.value) and math.isnan(nothing.low) and math.isnan(nothing.high)
    sometimes = bootstrap(weighted_auroc(np.arange(3.0), np.array([0, 1, 1])), groups)
    assert (sometimes.value, sometimes.low, sometimes.high) == (1, 1, 1)


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="at least one row"):
        bootstrap(weighted_mean(np.zeros(0)), np.zeros(0))


def test_any_metric_of_rows_can_carry_an_interval(data):
    scores, target, groups = data
    interval = bootstrap(lambda rows: spearman(scores[rows], target[rows]), groups, draws=50)
    assert 0 < interval.low < interval.value < interval.high < 1


def test_one_group_says_nothing_of_how_far_a_metric_varies(data):
    scores, target, _ = data
    one = np.zeros(len(scores))
    for metric in (weighted_auroc(scores, target), lambda rows: auroc(scores[rows], target[rows])):
        interval = bootstrap(metric, one)
        assert interval.value == auroc(scores, target)
        assert math.isnan(interval.low) and math.isnan(interval.high)
        difference = paired_difference(metric, metric, one)
        assert difference.value == 0 and math.isnan(difference.low) and math.isnan(difference.high)


def accuracy_of_drawn_units(scores, target, groups, units, times):
    """By brute force: pairs of a unit count as often as it was drawn, pairs of two units as often as both."""
    shares = []
    for prompt in np.unique(groups):
        rows = np.flatnonzero(groups == prompt)
        whole = len(set(units[rows])) == 1
        right = total = 0.0
        for a in rows:
            for b in rows:
                if target[a] > target[b]:
                    apart = units[a] != units[b]
                    weight = times[units[a]] * (times[units[b]] if apart else 1)
                    total += weight
                    right += weight * ((scores[a] > scores[b]) + (scores[a] == scores[b]) / 2)
        if total:
            shares += [right / total] * (times[units[rows[0]]] if whole else 1)
    return np.mean(shares)


def test_where_users_share_prompts_their_pairs_are_drawn_with_them(data):
    scores, target, groups = data
    units = np.random.default_rng(4).integers(0, 12, len(groups))
    units[groups < 110] = groups[groups < 110] - 100  # some prompts are one user's alone
    (weights,) = _row_weights(units, 30, seed=1)
    fast = weighted_within_prompt(scores, target, groups, units).over(weights)
    for d, row_weights in enumerate(weights.astype(int)):
        times = {unit: row_weights[units == unit][0] for unit in set(units)}
        assert fast[d] == pytest.approx(accuracy_of_drawn_units(scores, target, groups, units, times))
    assert weighted_within_prompt(scores, target, groups, units).over(np.ones((1, 200)))[0] == pytest.approx(
        within_prompt_accuracy(scores, target, groups)
    )


def test_prompts_that_all_users_answer_have_an_interval_as_wide_as_users_differ():
    rng = np.random.default_rng(0)
    users, prompts = np.repeat(np.arange(40), 12), np.tile(np.arange(12), 40)
    found = []
    for _ in range(60):
        taste = rng.normal(size=40)[users]
        target = (rng.random(480) < 1 / (1 + np.exp(-taste))).astype(float)
        scores = taste * (np.arange(40) < 20)[users] + rng.normal(size=480)
        found.append((scores, target))
    spread = np.std([within_prompt_accuracy(s, t, prompts) for s, t in found])
    widths = [
        (interval.high - interval.low) / 3.92
        for s, t in found[:8]
        for interval in [bootstrap(weighted_within_prompt(s, t, prompts, users), users, draws=200)]
    ]
    assert 0.7 < np.mean(widths) / spread < 1.4
