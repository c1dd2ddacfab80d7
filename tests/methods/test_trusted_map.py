"""The map from logits to probabilities that a few trusted rows fit: its equations, its limits, what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tacit.errors import DataError, DegenerateDataError, IdentificationError
from tacit.methods.nuisances.logistic import sigmoid
from tacit.methods.nuisances.maps import Affine
from tacit.methods.nuisances.trusted_map import likeliest, shift_alone, slope_and_shift

Fit = Callable[[np.ndarray, np.ndarray], Affine]
BOTH = pytest.mark.parametrize("fit", [slope_and_shift, shift_alone])


def drawn(rows: int, slope: float, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    f_N = 1.5 * rng.normal(size=rows) + 0.5
    return f_N, (rng.random(rows) < sigmoid(slope * f_N + shift)).astype(np.float64)


@BOTH
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_mean_probability_is_the_mean_label(fit: Fit, graded: bool, scale: float) -> None:
    f_N, gold_N = drawn(300, 0.8, -1.0)
    gold_N = 0.1 + 0.7 * gold_N if graded else gold_N
    found = fit(scale * f_N, gold_N)
    assert found.probability(scale * f_N).mean() == pytest.approx(gold_N.mean(), abs=1e-9)


def test_the_slope_is_where_the_penalised_likelihood_is_level() -> None:
    f_N, gold_N = drawn(80, 0.8, -1.0)
    found = slope_and_shift(f_N, gold_N)
    pull = found.scale * f_N.var() / 25  # a normal prior of 5 on the slope per deviation of the scores
    assert float((f_N * (gold_N - found.probability(f_N))).sum()) == pytest.approx(pull, abs=1e-8)


@pytest.mark.parametrize(("slope", "shift"), [(0.4, 1.0), (1.0, 0.0), (2.5, -2.0)])
def test_a_known_slope_and_shift_are_found_again_within_their_error(slope: float, shift: float) -> None:
    f_N, gold_N = drawn(40_000, slope, shift)
    found = slope_and_shift(f_N, gold_N)
    p_N = sigmoid(slope * f_N + shift)
    x_N2 = np.column_stack([f_N, np.ones_like(f_N)])
    error_2 = np.sqrt(np.diag(np.linalg.inv((x_N2.T * (p_N * (1 - p_N))) @ x_N2)))
    assert np.all(np.abs(np.array([found.scale - slope, found.level - shift])) < 3 * error_2)
    assert np.all(error_2 < 0.06)


def test_a_known_shift_is_found_again() -> None:
    f_N, gold_N = drawn(40_000, 1.0, -1.3)
    assert shift_alone(f_N, gold_N) == Affine(1.0, pytest.approx(-1.3, abs=0.04))


@BOTH
def test_a_grade_is_the_share_of_labels_that_say_liked(fit: Fit) -> None:
    f_N = np.random.default_rng(0).normal(size=60)
    liked_N = np.clip(np.round(10 * sigmoid(f_N)), 0, 10).astype(int)  # of ten reviewers each
    each_N = np.concatenate([np.repeat([1.0, 0.0], [liked, 10 - liked]) for liked in liked_N])
    graded, single = fit(np.repeat(f_N, 10), np.repeat(liked_N / 10, 10)), fit(np.repeat(f_N, 10), each_N)
    assert (graded.scale, graded.level) == pytest.approx((single.scale, single.level), abs=1e-9)


def test_probabilities_do_not_depend_on_the_unit_or_the_origin_of_the_scores() -> None:
    f_N, gold_N = drawn(100, 0.7, 0.3)
    here, there = slope_and_shift(f_N, gold_N), slope_and_shift(1000 * f_N - 7, gold_N)
    np.testing.assert_allclose(here.probability(f_N), there.probability(1000 * f_N - 7), atol=1e-9)


def test_rows_that_a_threshold_separates_have_a_finite_slope() -> None:
    f_N = np.r_[np.linspace(-3, -1, 30), np.linspace(1, 3, 30)]
    found = slope_and_shift(f_N, (f_N > 0).astype(np.float64))
    assert 1 < found.scale < 10 and found.probability(f_N).mean() == pytest.approx(0.5, abs=1e-9)


def test_the_slope_has_the_sign_of_the_covariance_of_scores_and_labels() -> None:
    for seed in range(30):
        f_N, gold_N = drawn(40, 0.0, 0.3, seed)
        assert np.sign(likeliest(f_N, gold_N).scale) == np.sign(np.cov(f_N, gold_N)[0, 1])


@pytest.mark.parametrize("upside_down", [True, False], ids=["upside down", "all equal"])
def test_labels_that_do_not_rise_with_the_score_are_refused(upside_down: bool) -> None:
    f_N, gold_N = drawn(200, 1.0, 0.0)
    with pytest.raises(
        IdentificationError, match=r"contradict the order of the scores: liked answers score "
    ):
        slope_and_shift(-f_N if upside_down else np.ones_like(f_N), gold_N)


@BOTH
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_of_one_kind_are_refused(fit: Fit, label: float) -> None:
    with pytest.raises(DegenerateDataError, match=f"all 20 trusted labels are {label:g}; expected liked and"):
        fit(np.arange(20.0), np.full(20, label))


@BOTH
def test_labels_outside_0_to_1_and_scores_that_are_no_numbers_are_refused(fit: Fit) -> None:
    with pytest.raises(DataError, match="gold label is 3 in row 1; expected 0 to 1"):
        fit(np.arange(3.0), np.array([0, 3, 1]))
    with pytest.raises(DataError, match="score is nan in row 0"):
        fit(np.array([np.nan, 0, 1]), np.array([0, 1, 1]))
