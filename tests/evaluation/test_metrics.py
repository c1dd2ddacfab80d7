from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import ndcg_score, roc_auc_score

from tacit import evaluation as ev
from tacit.errors import DataError

# Few distinct values, so that ties are common.
rows = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 1), st.integers(0, 4), st.integers(0, 3)),
    min_size=1,
    max_size=40,
)


def arrays(drawn):
    scores, binary, graded, groups = (np.array(column) for column in zip(*drawn, strict=True))
    return scores / 2.0, binary, graded / 4.0, groups


def brute_within_prompt(s, t, g):
    shares = []
    for group in set(g.tolist()):
        mine = np.flatnonzero(g == group)
        pairs = [(i, j) for i in mine for j in mine if t[i] > t[j]]
        if pairs:
            shares.append(np.mean([0.5 if s[i] == s[j] else float(s[i] > s[j]) for i, j in pairs]))
    return (float(np.mean(shares)) if shares else math.nan), len(shares)


@given(rows)
def test_within_prompt_accuracy_is_the_mean_share_of_ordered_pairs_for_graded_and_binary_targets(drawn):
    s, binary, graded, g = arrays(drawn)
    for t in (binary, graded):
        expected, prompts = brute_within_prompt(s, t, g)
        assert ev.within_prompt_accuracy(s, t, g) == pytest.approx(expected, nan_ok=True)
        assert ev.comparable_prompts(t, g) == prompts


@given(rows)
def test_auroc_is_scikit_learns_with_ties_at_half(drawn):
    s, t, _, _ = arrays(drawn)
    if len(set(t.tolist())) == 2:
        assert ev.auroc(s, t) == pytest.approx(roc_auc_score(t, s))
    else:
        assert math.isnan(ev.auroc(s, t))


@given(rows)
def test_auroc_is_within_prompt_accuracy_of_one_single_prompt(drawn):
    s, t, _, _ = arrays(drawn)
    one = ev.within_prompt_accuracy(s, t, np.zeros(len(s)))
    assert ev.auroc(s, t) == pytest.approx(one, nan_ok=True)


@given(rows)
def test_spearman_is_scipys_and_nan_for_constants(drawn):
    s, _, t, _ = arrays(drawn)
    if len(set(s.tolist())) == 1 or len(set(t.tolist())) == 1:
        assert math.isnan(ev.spearman(s, t))
    else:
        assert ev.spearman(s, t) == pytest.approx(spearmanr(s, t).statistic)


@given(rows)
def test_ndcg_averages_over_the_orders_of_tied_rows(drawn):
    s, t, _, _ = arrays(drawn)
    if len(t) > 1 and t.any():
        assert ev.ndcg(s, t) == pytest.approx(ndcg_score([t], [s]))
    elif not t.any():
        assert ev.ndcg(s, t) == 0


@given(rows)
def test_within_prompt_ndcg_is_the_mean_over_prompts_whose_targets_differ(drawn):
    s, _, t, g = arrays(drawn)
    prompts = [g == group for group in set(g.tolist()) if np.ptp(t[g == group]) > 0]
    expected = np.mean([ndcg_score([t[own]], [s[own]]) for own in prompts]) if prompts else math.nan
    assert ev.within_prompt_ndcg(s, t, g) == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_graded_gains_stand_in_ndcg_as_they_are():
    gold, groups = np.array([0.2, 1.0, 0.5]), np.zeros(3)
    found = ev.within_prompt_ndcg(np.array([3.0, 2.0, 1.0]), gold, groups)
    ideal = 1.0 + 0.5 / math.log2(3) + 0.2 / 2
    assert found == pytest.approx((0.2 + 1.0 / math.log2(3) + 0.5 / 2) / ideal)
    assert ev.within_prompt_ndcg(gold, gold, groups) == 1.0
    assert ev.best_of_n_regret(np.array([3.0, 2.0, 1.0]), gold, groups) == pytest.approx(0.8)


@given(rows)
def test_best_of_n_regret_and_grpo_agreement_match_a_loop_over_prompts(drawn):
    s, _, t, g = arrays(drawn)
    regrets, agreements = [], []
    for group in set(g.tolist()):
        mine_s, mine_t = s[g == group], t[g == group]
        if len(mine_t) >= 2:
            regrets.append(mine_t.max() - mine_t[mine_s == mine_s.max()].mean())
        if np.ptp(mine_t) > 0:
            agreements.append(np.corrcoef(mine_s, mine_t)[0, 1] if np.ptp(mine_s) > 0 else 0.0)
    expected = float(np.mean(regrets)) if regrets else math.nan
    assert ev.best_of_n_regret(s, t, g) == pytest.approx(expected, nan_ok=True, abs=1e-12)
    expected = float(np.mean(agreements)) if agreements else math.nan
    assert ev.grpo_agreement(s, t, g) == pytest.approx(expected, nan_ok=True, abs=1e-12)


@given(rows, st.integers(1, 20))
def test_ece_never_tears_equal_probabilities_apart(drawn, bins):
    s, t, _, _ = arrays(drawn)
    p = (s + 2) / 4
    below = np.array([np.sum(p < value) for value in p])
    which = below * bins // len(p)
    expected = sum(abs((t[which == b] - p[which == b]).sum()) for b in set(which.tolist())) / len(p)
    assert ev.ece(p, t, bins) == pytest.approx(expected, abs=1e-12)
    assert ev.ece(np.full(len(t), t.mean()), t, bins) == pytest.approx(0, abs=1e-12)


def test_level_metrics_of_a_known_case():
    p, t = np.array([0.2, 0.8, 0.6]), np.array([0, 1, 0])
    assert ev.brier(p, t) == pytest.approx((0.04 + 0.04 + 0.36) / 3)
    assert ev.rmse(p, t) == pytest.approx(math.sqrt(0.44 / 3))
    assert ev.mae(p, t) == pytest.approx(1 / 3)
    assert ev.r2(p, t) == pytest.approx(1 - ev.brier(p, t) / (1 / 3 * 2 / 3))
    logits = np.log(p / (1 - p))
    assert ev.nll(logits, t) == pytest.approx(-np.log([0.8, 0.8, 0.4]).mean())


def test_nll_is_finite_at_extreme_logits():
    assert ev.nll(np.array([800.0, -800.0]), np.array([1, 0])) == 0
    assert ev.nll(np.array([800.0]), np.array([0])) == 800


def test_order_metrics_do_not_see_the_scale_of_the_scores():
    rng = np.random.default_rng(0)
    s, t, g = rng.normal(size=200), rng.integers(0, 2, 200), rng.integers(0, 40, 200)
    for metric in (ev.within_prompt_accuracy, ev.within_prompt_ndcg, ev.best_of_n_regret):
        assert metric(s, t, g) == metric(np.exp(3 * s), t, g)
    assert ev.auroc(s, t) == ev.auroc(np.exp(3 * s), t)
    assert ev.grpo_agreement(s, t, g) == pytest.approx(ev.grpo_agreement(7 * s + 3, t, g))


def test_constant_scores_order_nothing_right_and_nothing_wrong():
    t, g = np.array([1, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert ev.within_prompt_accuracy(np.zeros(4), t, g) == 0.5
    assert ev.auroc(np.zeros(4), t) == 0.5
    assert ev.grpo_agreement(np.zeros(4), t, g) == 0
    assert math.isnan(ev.pearson(np.zeros(4), t))


def test_metrics_that_the_data_do_not_define_are_nan():
    one, g = np.array([1, 1]), np.array([0, 0])
    s = np.array([0.2, 0.4])
    undefined = [
        ev.within_prompt_accuracy(s, one, g),
        ev.auroc(s, one),
        ev.r2(s, one),
        ev.grpo_agreement(s, one, g),
        ev.best_of_n_regret(s, one, np.array([0, 1])),
        ev.within_prompt_ndcg(s, one, g),
        ev.seed_spearman(s[None]),
        ev.brier(s[:0], one[:0]),
    ]
    assert all(math.isnan(value) for value in undefined)


def test_seeds_that_rank_alike_agree_and_reversed_seeds_do_not():
    s = np.arange(5.0)
    assert ev.seed_spearman(np.stack([s, s**3, s + 1])) == pytest.approx(1)
    assert ev.seed_spearman(np.stack([s, -s])) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("scores", "target", "words"),
    [
        ([0.1, math.nan], [0, 1], "scores: row 1 is nan"),
        ([0.1, 0.2], [0, math.nan], "target: row 1 is nan"),
        ([0.1], [0, 1], "shapes"),
        ([0.1, 0.2], [0, 0.5], "threshold"),
    ],
)
def test_unusable_input_is_refused_in_one_line_that_names_the_row(scores, target, words):
    with pytest.raises(DataError, match=words) as refused:
        ev.auroc(np.array(scores), np.array(target))
    assert "\n" not in str(refused.value)


def test_groups_of_another_length_are_refused():
    with pytest.raises(DataError, match="one prompt for each"):
        ev.within_prompt_accuracy(np.zeros(3), np.zeros(3), np.zeros(2))


@settings(max_examples=25)
@given(rows, st.randoms())
def test_metrics_do_not_depend_on_the_order_of_the_rows(drawn, random):
    s, t, _, g = arrays(drawn)
    order = list(range(len(s)))
    random.shuffle(order)
    for metric in (ev.within_prompt_accuracy, ev.best_of_n_regret, ev.grpo_agreement):
        shuffled = metric(s[order], t[order], g[order])
        assert metric(s, t, g) == pytest.approx(shuffled, nan_ok=True, abs=1e-12)
