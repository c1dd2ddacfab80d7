"""Laws of the nuisances that hold for all inputs, and classifiers of every family in all three of them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tacit.errors import (
    ConfigError,
    DataError,
    DegenerateDataError,
    IdentificationError,
    IdentificationWarning,
)
from tacit.methods.nuisances import calibration, class_prior, noise_rates, propensity
from tacit.methods.nuisances.cross_fitting import fold_of, out_of_fold
from tacit.methods.nuisances.estimate import Estimate, wilson
from tacit.methods.nuisances.logistic import logistic, sigmoid

quick = settings(max_examples=40, deadline=None)
shares = st.floats(0.001, 0.999)
logits = arrays(np.float64, st.integers(2, 60), elements=st.floats(-30, 30))
scores = arrays(np.float64, st.integers(5, 60), elements=st.floats(0, 1))


@quick
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_mirrors_and_stays_within_zero_and_one(trials):
    k, n = trials
    found, mirror = wilson(k, n), wilson(n - k, n)
    assert 0 <= found.low <= k / n <= found.high <= 1
    assert found.low == pytest.approx(1 - mirror.high, abs=1e-12)


@quick
@given(st.lists(st.integers(0, 40), min_size=40, max_size=200), st.integers(2, 5), st.integers(0, 9))
def test_folds_keep_groups_whole_and_none_is_empty(groups, folds, seed):
    assume(len(set(groups)) >= folds)
    fold_N = fold_of(np.array(groups), np.zeros(len(groups)), folds=folds, seed=seed)
    assert all(
        len({int(f) for f, g in zip(fold_N, groups, strict=True) if g == one}) == 1 for one in set(groups)
    )
    assert set(fold_N.tolist()) == set(range(folds))


def test_folds_share_out_rare_ones_evenly():
    label_N = (np.arange(1000) % 50 == 0).astype(float)
    fold_N = fold_of(np.arange(1000), label_N, folds=5, seed=3)
    assert np.bincount(fold_N).tolist() == [200] * 5
    assert np.bincount(fold_N, weights=label_N).tolist() == [4] * 5


@quick
@given(scores, st.floats(0.6, 1.0))
def test_anchor_rates_are_the_corner_of_what_the_scores_allow(s_N, quantile):
    low, high = np.quantile(s_N, [1 - quantile, quantile])
    assume(high - low > 0.2)
    none, most = noise_rates.bounds(s_N, quantile=quantile)
    assert (most.rho10, 1 - most.rho01) == pytest.approx((low, high), abs=1e-15)
    implied_N = (s_N - most.rho10) / most.signal  # within the anchors the implied reward is a probability
    inside = (s_N >= low) & (s_N <= high)
    assert np.all((implied_N[inside] > -1e-9) & (implied_N[inside] < 1 + 1e-9))
    assert none.signal == 1


@quick
@given(st.floats(0, 1), st.floats(0, 1))
def test_rates_are_accepted_exactly_where_a_signal_is_left(rho01, rho10):
    assume(abs(1 - rho01 - rho10) > 1e-6 and abs(1 - rho01 - rho10 - 0.2) > 1e-6)
    if rho01 + rho10 > 1:
        with pytest.raises(IdentificationError):
            noise_rates.NoiseRates(rho01, rho10)
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        noise_rates.NoiseRates(rho01, rho10)
    assert bool(said) == (1 - rho01 - rho10 < 0.2)


def test_scores_that_are_all_alike_leave_no_signal_up_to_rounding():
    for level in np.linspace(0.01, 0.99, 50):
        with pytest.raises(IdentificationError):
            noise_rates.quantile_anchor(np.full(7, level))


def test_gold_rates_divide_by_their_own_class():
    gold_n, r_n = np.repeat([1.0, 0.0], [10, 40]), np.ones(50)
    r_n[:2] = 0  # 2 of 10 good rows missed
    r_n[20:] = 0  # 10 of 40 bad rows liked
    rates = noise_rates.from_gold(r_n, gold_n)
    assert (rates.rho01, rates.rho10) == (0.2, 0.25)
    for rate, (low, high) in ((0.2, rates.rho01_interval), (0.25, rates.rho10_interval)):
        assert 0 < low < rate < high < 1


def test_a_row_sure_of_both_classes_counts_for_the_likelier():
    with pytest.raises(IdentificationError, match="rho01=1 and rho10=1"):
        noise_rates.confident_learning([0.4, 0.45, 0.55, 0.6], [1, 1, 0, 0])


def test_overshoot_is_warned_of_above_a_tenth_of_the_rows():
    class_prior.warn_of_overshoot(np.repeat([0.5, 0.1], [10, 90]), 0.3)
    with pytest.warns(IdentificationWarning, match="11% of rows"):
        class_prior.warn_of_overshoot(np.repeat([0.5, 0.1], [11, 89]), 0.3)


def test_a_classifier_against_the_labels_leaves_the_mean():
    from sklearn.linear_model import LogisticRegression

    class Contrary(LogisticRegression):
        def predict_proba(self, X):
            return super().predict_proba(X)[:, ::-1]

    x_ND, y_N = np.arange(400.0)[:, None] / 200 - 1, np.arange(400) >= 200
    p_N, _ = out_of_fold(x_ND, y_N, np.arange(400), classifier=Contrary())
    assert p_N == pytest.approx(0.5, abs=0.01)


def test_published_names_are_turned_round_and_logged(caplog):
    with caplog.at_level(logging.WARNING, logger="tacit"):
        rates = noise_rates.from_published({"r10": 0.1, "r01": 0.2, "lr": 1e-3})
    assert (rates.rho01, rates.rho10) == (0.1, 0.2)
    assert "r10=0.1 read as rho01" in caplog.text
    for config in ({"r10": 0.1}, {"r10": 0.1, "r01": "many"}, {"r10": 0.1, "r01": 0.2, "rho01": 0.1}):
        with pytest.raises(ConfigError, match="expected"):
            noise_rates.from_published(config)


@quick
@given(logits, shares)
def test_prior_shift_hits_any_prior_and_keeps_the_order(f_N, prior):
    p_N = calibration.prior_shift(f_N, prior).probability(f_N)
    assert p_N.mean() == pytest.approx(prior, abs=1e-11)
    assert np.all(np.diff(p_N[np.argsort(f_N)]) >= 0)


@quick
@given(
    st.integers(0, 10_000), st.sampled_from([calibration.platt, calibration.temperature, calibration.beta])
)
def test_fitted_maps_rise_and_come_back_from_json_bit_for_bit(seed, fit):
    rng = np.random.default_rng(seed)
    f_n = rng.normal(0, rng.uniform(0.1, 20), 250)
    gold_n = rng.random(250) < sigmoid(f_n * rng.uniform(0.5, 2))
    assume(gold_n.any() and not gold_n.all())
    try:
        fitted = fit(f_n, gold_n)
    except IdentificationError:
        assume(False)  # weak scores may come out upside down by chance
    grid = np.linspace(-50, 50, 201)
    assert np.all(np.diff(fitted.probability(grid)) >= 0)
    assert calibration.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


def test_maps_stay_finite_on_rows_without_overlap():
    f_n = np.linspace(-5, 5, 1000)
    for fit in (calibration.platt, calibration.temperature, calibration.beta, calibration.isotonic):
        p_n = fit(f_n, f_n > 0).probability(np.array([-1e6, -1.0, 1.0, 1e6]))
        assert 0 <= p_n[0] <= p_n[1] < 0.1 and 0.9 < p_n[2] <= p_n[3] <= 1


def test_beta_drops_the_end_that_would_fall():
    f_n = np.random.default_rng(0).normal(0, 3, 5000)
    p_n = 0.9 * sigmoid(np.minimum(f_n, 0.0)) * np.where(f_n > 0, np.exp(-0.3 * f_n), 1.0)
    fitted = calibration.beta(f_n, np.random.default_rng(1).random(5000) < p_n)
    assert fitted.b == 0.0 and fitted.a > 0


DAMAGED = [
    {"kind": "affine", "scale": 1.0},
    {"kind": "affine", "scale": float("nan"), "level": 0},
    {"kind": "beta", "a": "x", "b": 1, "c": 1},
    {"kind": "isotonic", "knots": [1, 0], "values": [0, 1]},
    {"kind": "isotonic", "knots": 3, "values": [0]},
]


@pytest.mark.parametrize("saved", DAMAGED, ids=str)
def test_damaged_maps_are_refused_in_one_line(saved):
    from tacit.errors import ModelError

    with pytest.raises(ModelError, match="damaged") as refused:
        calibration.from_json(saved)
    assert "\n" not in str(refused.value)


@quick
@given(
    arrays(np.float64, (30, 2), elements=st.floats(-50, 50)),
    arrays(np.float64, 30, elements=st.floats(0.01, 0.99)),
)
def test_the_optimiser_reaches_the_score_equations(x_nF, target_n):
    x_nF = np.column_stack([x_nF, np.ones(30)])
    w_F = logistic(x_nF, target_n)
    assert np.abs(x_nF.T @ (sigmoid(x_nF @ w_F) - target_n)).max() < 1e-8 * (1 + np.abs(x_nF).max()) * 30


@pytest.mark.parametrize("start_F", [None, np.array([30.0, 0.03, 2.0])])
def test_a_ridge_counts_in_the_units_of_its_coefficient_and_against_the_sum_over_rows(start_F):
    rng = np.random.default_rng(0)
    x_nF = np.column_stack([rng.normal(size=200), 1000 * rng.normal(size=200), np.ones(200)])
    label_n = (x_nF[:, 0] + x_nF[:, 1] / 1000 > 0).astype(float)  # separable: no maximum without the ridge
    ridge_F = np.array([0.5, 2e5, 0.0])
    w_F = logistic(x_nF, label_n, ridge_F=ridge_F, start_F=start_F)
    slope_F = x_nF.T @ (sigmoid(x_nF @ w_F) - label_n) + ridge_F * w_F
    np.testing.assert_allclose(slope_F / np.abs(x_nF).max(0), 0, atol=1e-5)
    assert np.all(w_F[:2] > 0)


def test_a_column_of_zeros_under_a_ridge_gets_nothing_and_moves_no_other():
    x_nF = np.column_stack([np.zeros(4), np.ones(4)])
    w_F = logistic(x_nF, np.array([0.0, 0.0, 0.0, 1.0]), ridge_F=np.array([1.0, 0.0]))
    np.testing.assert_allclose(w_F, [0, -np.log(3)], atol=1e-9)


@quick
@given(shares, shares, shares)
def test_prior_and_frequency_undo_each_other(a, b, c):
    low, value, high = sorted((a, b, c))
    share = low / 2
    frequency = Estimate(value, low, high)
    again = class_prior.frequency_of_prior(class_prior.prior_of_frequency(frequency, share), share)
    assert (again.low, again.value, again.high) == pytest.approx((low, value, high))


@quick
@given(arrays(np.float64, 9, elements=shares), shares)
def test_rescaled_propensities_keep_their_ratios_and_reach_the_maximum(e_N, e_max):
    found = propensity.rescaled_to(e_N, e_max)
    assert found.max() == pytest.approx(e_max)
    assert found / found[0] == pytest.approx(e_N / e_N[0])


@quick
@given(st.integers(1, 40), st.floats(0.05, 1.0))
def test_equal_weights_lose_no_row(observed, p):
    found = propensity.diagnose(np.full(40, p), np.arange(40) < observed)
    assert found.effective_rows == pytest.approx(observed)
    assert found.mean_weight == pytest.approx(observed / 40 / p)


def test_negative_channel_counts_only_rows_that_show_both_thumbs():
    nan = np.nan
    assert class_prior.negative_channel([1, 1, 0, 1, nan], [0, nan, 1, 0, 1]).value == 2 / 3
    with pytest.raises(DataError, match="row 1 has both"):
        class_prior.negative_channel([0, 1], [1, 1])


def test_tice_says_when_rows_are_too_few():
    with pytest.raises(DegenerateDataError, match="more rows"):
        class_prior.tice(np.random.default_rng(0).normal(size=(2000, 2)), np.arange(2000) < 5)


def families():
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier

    return [
        None,
        GaussianNB(),
        KNeighborsClassifier(50),
        RandomForestClassifier(20, min_samples_leaf=20, random_state=0),
        HistGradientBoostingClassifier(max_iter=20, random_state=0),
    ]


@pytest.mark.parametrize("classifier", families(), ids=lambda one: type(one).__name__)
def test_every_family_of_classifiers_serves_all_three(classifier):
    rng = np.random.default_rng(0)
    x_ND, group_N = 4 * rng.normal(size=(3000, 2)), np.arange(3000).astype(str)
    good_N = rng.random(3000) < sigmoid(2 * x_ND[:, 0])
    o_N = rng.random(3000) < sigmoid(x_ND[:, 1] / 4)
    r_N = np.where(good_N, rng.random(3000) >= 0.1, rng.random(3000) < 0.2)
    y_N = good_N & (rng.random(3000) < 0.4)
    found = propensity.cross_fitted(x_ND, o_N, group_N, classifier=classifier)
    assert abs(found.diagnosis.mean_weight - 1) < 0.05
    r_N = np.where(o_N, r_N, np.nan)
    rates = noise_rates.noise_rates(x_ND, r_N, group_N, classifier=classifier, calibration="isotonic")
    assert (rates.rho01, rates.rho10) == pytest.approx((0.1, 0.2), abs=0.1)
    prior = class_prior.class_prior(x_ND, y_N, group_N, classifier=classifier)
    assert prior.value == pytest.approx(0.5, abs=0.08)
    assert classifier is None or not hasattr(classifier, "classes_")  # a clone was fitted


def test_a_logistic_surrogate_levels_off_only_with_isotonic_calibration():
    rng = np.random.default_rng(0)
    x_ND = 4 * rng.normal(size=(6000, 1))
    r_N = rng.random(6000) < 0.2 + 0.7 * sigmoid(2 * x_ND[:, 0])
    bent = noise_rates.noise_rates(x_ND, r_N, np.arange(6000), calibration="isotonic")
    assert (bent.rho01, bent.rho10) == pytest.approx((0.1, 0.2), abs=0.05)
    straight = noise_rates.noise_rates(x_ND, r_N, np.arange(6000))
    assert straight.rho01 < 0.05 and straight.rho10 < 0.1


@pytest.mark.parametrize("rule", ["e1", "e2"])
def test_frequency_intervals_cover_the_truth_of_separable_rows(rule):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        good_N = rng.random(600) < 0.5
        y_N = good_N & (rng.random(600) < 0.4)
        found = class_prior.elkan_noto(good_N * y_N.sum() / good_N.sum(), y_N, rule=rule)  # s learned from y
        covered += found.low <= 0.4 <= found.high
    assert covered / 300 == pytest.approx(0.95, abs=0.035)


@pytest.mark.parametrize("rule", ["e1", "e2", "max", "tice"])
def test_the_other_prior_rules_run_from_features(rule):
    rng = np.random.default_rng(0)
    x_ND = np.sign(rng.normal(size=(20_000, 1)))
    y_N = (x_ND[:, 0] > 0) & (rng.random(20_000) < 0.4)
    found = class_prior.class_prior(x_ND, y_N, np.arange(20_000), rule=rule)
    if rule == "tice":
        assert 0.5 < found.value < 0.62 and found.low < 0.5
    else:
        assert found.value == pytest.approx(0.5, abs=0.02)


def test_the_label_rules_see_observed_rows_only():
    rng = np.random.default_rng(0)
    x_ND = np.sign(rng.normal(size=(20_000, 1)))
    r_N = (rng.random(20_000) < np.where(x_ND[:, 0] > 0, 0.9, 0.2)).astype(float)
    r_N[(rng.random(20_000) < 0.5) & (x_ND[:, 0] > 0)] = np.nan
    rates = noise_rates.noise_rates(x_ND, r_N, np.arange(20_000), rule="confident_learning")
    assert (rates.rho01, rates.rho10) == pytest.approx((0.1, 0.2), abs=0.015)


def test_what_cannot_be_grouped_is_refused_with_its_row():
    x_ND, y_N = np.arange(8.0)[:, None], np.arange(8) % 2
    for group_N, words in (
        ([0.0, np.nan] * 4, "row 1"),
        ([None, "a"] * 4, "None"),
        ([1, 2], "one group per row"),
    ):
        with pytest.raises(DataError, match=words):
            out_of_fold(x_ND, y_N, np.array(group_N))
    for wrong in ({"rule": "mode"}, {"classifier": type("Model", (), {})}):
        with pytest.raises(ConfigError):
            class_prior.class_prior(x_ND, y_N, np.arange(8), **wrong)


def test_a_dominant_weight_is_warned_of():
    p_N = np.array([0.001] + [0.5] * 99)
    with pytest.warns(IdentificationWarning, match="observed rows are worth"):
        propensity.diagnose(p_N, np.arange(100) < 60, clip=0.001)


def test_scikit_learn_is_imported_only_where_it_is_used():
    code = "import sys, tacit.methods.nuisances; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
