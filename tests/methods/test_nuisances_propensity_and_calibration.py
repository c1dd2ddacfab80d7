"""Propensities and calibration maps: exact identities, known truths and guards."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tacit.errors import (
    ConfigError,
    DataError,
    DegenerateDataError,
    IdentificationError,
    IdentificationWarning,
    ModelError,
)
from tacit.methods.nuisances import calibration as cal
from tacit.methods.nuisances import propensity as prop


def selected(slope, rows=12_000, seed=0):
    rng = np.random.default_rng(seed)
    x_ND = rng.normal(size=(rows, 2))
    p_N = 1 / (1 + np.exp(-(slope * x_ND[:, 0] - 0.5)))
    return x_ND, p_N, rng.random(rows) < p_N, np.arange(rows) // 4


@pytest.mark.parametrize("calibration", ["temperature", "isotonic", "none"])
def test_propensity_recovers_the_law_of_selection(calibration):
    x_ND, p_N, o_N, group_N = selected(1.0)
    found = prop.cross_fitted(x_ND, o_N, group_N, calibration=calibration)
    assert np.sqrt(np.mean((found.p - p_N) ** 2)) < 0.03
    assert abs(found.diagnosis.mean_weight - 1) < 0.05
    assert 0 < found.diagnosis.brier_skill < 1
    assert all(len(set(found.fold[group_N == g])) == 1 for g in range(50))


def test_random_selection_gives_a_constant_even_at_one_half():
    rng = np.random.default_rng(3)
    x_ND, o_N = rng.normal(size=(4000, 3)), rng.random(4000) < 0.5
    found = prop.cross_fitted(x_ND, o_N, np.arange(4000))
    assert found.p.std() < 0.02
    assert abs(found.diagnosis.brier_skill) < 0.01


def test_calibration_repairs_the_level_of_a_balanced_classifier():
    from sklearn.linear_model import LogisticRegression

    x_ND, _, o_N, group_N = selected(1.0)
    o_N &= np.random.default_rng(9).random(len(o_N)) < 0.4
    balanced = LogisticRegression(class_weight="balanced")
    raw = prop.cross_fitted(x_ND, o_N, group_N, classifier=balanced, calibration="none")
    mended = prop.cross_fitted(x_ND, o_N, group_N, classifier=balanced)
    assert raw.diagnosis.mean_weight < 0.7
    assert abs(mended.diagnosis.mean_weight - 1) < 0.05


def test_a_row_never_judges_itself():
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(0)
    x_ND, o_N = rng.normal(size=(3000, 4)), rng.random(3000) < 0.3
    found = prop.cross_fitted(x_ND, o_N, np.arange(3000), classifier=DecisionTreeClassifier(max_depth=12))
    assert abs(found.diagnosis.auroc - 0.5) < 0.05  # in sample, this tree is near 1


def test_true_propensity_weighs_every_context_to_one():
    _, p_N, o_N, _ = selected(1.0, rows=50_000)
    found = prop.diagnose(p_N, o_N, clip=0.01)
    assert abs(found.mean_weight - 1) < 3 * np.sqrt(np.mean(1 / p_N - 1) / len(p_N))
    assert np.all(np.abs(np.array(found.mean_weight_by_decile) - 1) < 0.12)
    by = prop.mean_weight_by(p_N, o_N, np.arange(50_000) % 3)
    assert all(abs(mean - 1) < 0.05 for mean in by.values())


def test_the_tenths_of_tied_propensities_do_not_hang_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    p_N = np.array([0.2, 0.3, 0.5, 0.8])[rng.integers(0, 4, 4000)]
    o_N = rng.random(4000) < p_N
    labelled_first = np.argsort(~o_N, kind="stable")  # as logs that were put together are
    mixed, sorted_ = (prop.diagnose(p_N[rows], o_N[rows]) for rows in (np.arange(4000), labelled_first))
    assert sorted_.mean_weight_by_decile == pytest.approx(mixed.mean_weight_by_decile)
    by_p = [np.mean(o_N[p_N == p] / p) for p in (0.2, 0.3, 0.5, 0.8)]
    assert mixed.mean_weight_by_decile == pytest.approx(by_p)


def test_diagnosis_counts_clips_and_weights_by_hand():
    with pytest.warns(IdentificationWarning, match="clipping at 0.1 touches 1 of 4"):
        found = prop.diagnose(np.array([0.05, 0.5, 0.5, 1.0]), np.array([1, 1, 0, 1]), clip=0.1)
    assert (found.clipped, found.observed) == (1, 3)
    assert found.effective_rows == pytest.approx(13**2 / (100 + 4 + 1))
    assert found.max_weight_share == found.clipped_weight_share == pytest.approx(10 / 13)
    assert found.mean_weight == 13 / 4


def test_guard_g4_refuses_propensities_that_cannot_divide():
    for bad in (0.0, -0.1, 1.1, np.nan):
        with pytest.raises(DataError, match="row 1"):
            prop.check_propensity(np.array([0.5, bad]))
    with pytest.warns(IdentificationWarning, match="AUROC"):
        prop.diagnose(np.repeat([0.9, 0.1], 50), np.repeat([1, 0], 50))


def test_propensity_refuses_what_it_cannot_fit():
    from sklearn.svm import LinearSVC

    x_ND, _, o_N, group_N = selected(1.0, rows=100)
    with pytest.raises(DegenerateDataError, match="both kinds"):
        prop.cross_fitted(x_ND, np.zeros(100), group_N)
    with pytest.raises(DegenerateDataError, match="cannot fill"):
        prop.cross_fitted(x_ND, o_N, np.arange(100) % 3)
    with pytest.raises(ConfigError, match="predict_proba"):
        prop.cross_fitted(x_ND, o_N, group_N, classifier=LinearSVC())
    with pytest.raises(DataError, match="row 7"):
        prop.cross_fitted(np.where(np.arange(100)[:, None] == 7, np.nan, x_ND), o_N, group_N)


def gold_slice(rows, seed=0):
    rng = np.random.default_rng(seed)
    f_n = rng.normal(0, 2, rows)
    return f_n, rng.random(rows) < 1 / (1 + np.exp(-(0.5 * f_n + 1)))


@pytest.mark.parametrize("fit", [cal.platt, cal.beta, cal.isotonic])
def test_maps_recover_a_distorted_scale_and_survive_json(fit):
    f_n, gold_n = gold_slice(20_000)
    fitted = fit(f_n, gold_n)
    grid = np.linspace(-3, 3, 13)
    assert np.allclose(fitted.probability(grid), 1 / (1 + np.exp(-(0.5 * grid + 1))), atol=0.05)
    again = cal.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again == fitted
    assert np.array_equal(again.probability(grid), fitted.probability(grid))


def test_platt_solves_its_score_equations_on_softened_targets():
    f_n, gold_n = gold_slice(300)
    ones = gold_n.sum()
    target_n = np.where(gold_n, (ones + 1) / (ones + 2), 1 / (300 - ones + 2))
    residual_n = cal.platt(f_n, gold_n).probability(f_n) - target_n
    assert abs(residual_n.sum()) < 1e-7
    assert abs((residual_n * f_n).sum()) < 1e-7


def test_upside_down_scores_are_refused_by_every_map():
    f_n, gold_n = gold_slice(2000)
    for fit in (cal.platt, cal.temperature, cal.beta, cal.isotonic):
        with pytest.raises(IdentificationError, match="upside down"):
            fit(-f_n - 2, gold_n) if fit is not cal.temperature else fit(-f_n, f_n > 0)


def test_maps_refuse_a_slice_that_is_too_small_or_of_one_class():
    f_n, gold_n = gold_slice(1000)
    for fit, least in ((cal.platt, 100), (cal.beta, 200), (cal.isotonic, 1000)):
        with pytest.raises(DegenerateDataError, match=f"at least {least}"):
            fit(f_n[: least - 1], gold_n[: least - 1])
        with pytest.raises(DegenerateDataError, match="both classes"):
            fit(f_n, np.ones(1000))
    with pytest.raises(ModelError, match="unknown kind"):
        cal.from_json({"kind": "spline"})


def test_prior_shift_hits_the_prior_even_at_extreme_scores():
    for f_N in (np.random.default_rng(0).normal(0, 9, 999), np.array([-80.0, 80.0, 0.0])):
        for prior in (0.01, 0.5, 0.99):
            assert cal.prior_shift(f_N, prior).probability(f_N).mean() == pytest.approx(prior, abs=1e-12)


def test_ppi_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        reward = rng.beta(2, 2, 2200)
        gold = rng.random(200) < 0.8 * reward[:200] + 0.1
        model = reward**2  # biased
        found = cal.ppi_mean(model[200:], model[:200], gold)
        covered += found.low <= 0.5 <= found.high
    assert covered / 500 == pytest.approx(0.95, abs=0.03)
