"""Noise rates and class priors against the truth of simulated rows."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.errors import DataError, DegenerateDataError, IdentificationError, IdentificationWarning
from tacit.methods.nuisances import class_prior, noise_rates
from tacit.methods.nuisances.estimate import Estimate, wilson

ROWS = 200_000


def noisy(reward_N, rng):
    """Perfect surrogate and labels with rho01 = .1, rho10 = .2."""
    surrogate_N = 0.2 + 0.7 * reward_N
    return surrogate_N, rng.random(len(reward_N)) < surrogate_N


def pair(rates):
    return rates.rho01, rates.rho10


def test_anchor_formula_is_exact_when_people_disagree():
    rates = noise_rates.quantile_anchor(0.2 + 0.7 * np.linspace(0.1, 0.9, 1001), quantile=1.0)
    assert pair(rates) == pytest.approx((0.17, 0.27), abs=1e-12)
    rates = noise_rates.quantile_anchor(0.2 + 0.7 * np.linspace(0.1, 0.9, 1001))
    assert pair(rates) == pytest.approx((0.187, 0.287), abs=5e-4)


def test_rules_on_rows_with_anchors_give_the_published_check():
    rng = np.random.default_rng(0)
    s_N, r_N = noisy(rng.beta(0.1, 0.1, ROWS), rng)
    assert pair(noise_rates.quantile_anchor(s_N)) == pytest.approx((0.100, 0.200), abs=1e-3)
    assert pair(noise_rates.confident_learning(s_N, r_N)) == pytest.approx((0.119, 0.209), abs=5e-3)
    assert pair(noise_rates.dual_t(s_N, r_N)) == pytest.approx((0.211, 0.356), abs=5e-3)


@pytest.mark.filterwarnings("ignore::tacit.errors.IdentificationWarning")
def test_label_only_rules_overstate_noise_without_anchors():
    rng = np.random.default_rng(0)
    s_N, r_N = noisy(rng.uniform(0.1, 0.9, ROWS), rng)
    # Limits by integration over the uniform law: (.2873, .3798) and (.3826, .4606).
    assert pair(noise_rates.confident_learning(s_N, r_N)) == pytest.approx((0.2873, 0.3798), abs=6e-3)
    assert pair(noise_rates.dual_t(s_N, r_N)) == pytest.approx((0.3826, 0.4606), abs=6e-3)


def test_gold_rates_name_false_negatives_01_and_cover_the_truth():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        truth_N = rng.random(400) < 0.5
        said_N = np.where(truth_N, rng.random(400) >= 0.1, rng.random(400) < 0.2)
        rates = noise_rates.from_gold(said_N, truth_N)
        low, high = rates.rho01_interval
        covered.append(low <= 0.1 <= high)
    assert 0.91 <= np.mean(covered) <= 0.99
    assert noise_rates.from_gold(np.array([0, 1, 0, 0]), np.array([1, 1, 0, 0])).rho01 == 0.5


def test_bounds_are_no_noise_and_the_anchor_corner():
    none, most = noise_rates.bounds(np.linspace(0.1, 0.8, 11), quantile=1.0)
    assert pair(none) == (0, 0)
    assert pair(most) == pytest.approx((0.2, 0.1))
    assert none.rho01_interval == most.rho01_interval == (0.0, most.rho01)


@pytest.mark.parametrize("rates", [(0.5, 0.5), (0.7, 0.4), (-0.1, 0.2), (np.nan, 0.1)])
def test_guard_g5_refuses_rates_that_leave_no_information(rates):
    with pytest.raises(IdentificationError, match="no or inverted information"):
        noise_rates.NoiseRates(*rates)


def test_guard_g5_warns_of_a_thin_signal():
    with pytest.warns(IdentificationWarning, match="variance"):
        noise_rates.NoiseRates(0.45, 0.4)


def test_noise_rules_refuse_rows_without_information():
    half = np.full(10, 0.6)
    with pytest.raises(DegenerateDataError, match="both labels"):
        noise_rates.confident_learning(half, np.ones(10))
    with pytest.raises(DegenerateDataError, match="both sides"):
        noise_rates.dual_t(half, np.arange(10) % 2)
    with pytest.raises(IdentificationError):
        noise_rates.quantile_anchor(half)
    with pytest.raises(DegenerateDataError, match="both classes"):
        noise_rates.from_gold(np.ones(3), np.ones(3))
    with pytest.raises(DataError, match="row 1"):
        noise_rates.quantile_anchor(np.array([0.5, np.nan]))
    with pytest.raises(DataError, match="label is 2 in row 2"):
        noise_rates.confident_learning(half[:3], np.array([0, 1, 2]))


def scar(sd, rng, rows=100_000):
    """Rewards and labels of which .3 of the good rows are labelled at random."""
    r_N = 1 / (1 + np.exp(-sd * rng.normal(size=rows)))
    return r_N, (rng.random(rows) < r_N) & (rng.random(rows) < 0.3)


def test_bbe_stays_within_the_published_error():
    found = [
        class_prior.bbe(r_N[y_N], r_N) for r_N, y_N in (scar(3, np.random.default_rng(k)) for k in range(8))
    ]
    # The reference is one draw, .519 for .500, of a law it does not state.
    assert np.mean([one.value for one in found]) == pytest.approx(0.512, abs=0.006)
    assert all(0.495 < one.value < 0.53 and one.high > 0.5 for one in found)


def test_bbe_takes_the_bin_with_the_smallest_bound():
    rng = np.random.default_rng(2)
    all_N = rng.integers(0, 9, 400) / 8
    positive_P = rng.choice(all_N, 150, p=all_N / all_N.sum())
    slack = 1.01 * (np.sqrt(np.log(40) / 800) + np.sqrt(np.log(40) / 300))
    tried = [((all_N >= t).mean(), (positive_P >= t).mean()) for t in np.unique(positive_P)]
    q_all, q_positive = min(tried, key=lambda q: (q[0] + slack) / q[1])
    assert class_prior.bbe(positive_P, all_N).value == pytest.approx(min(q_all / q_positive, 1), abs=1e-12)


def test_elkan_noto_means_are_too_low_by_the_known_factor():
    rng = np.random.default_rng(0)
    r_N, y_N = scar(2, rng)
    limit = 0.3 * np.mean(r_N**2) / np.mean(r_N)
    for rule in ("e1", "e2"):
        assert class_prior.elkan_noto(0.3 * r_N, y_N, rule=rule).value == pytest.approx(limit, abs=4e-3)
    assert class_prior.elkan_noto(0.3 * r_N, y_N, rule="max").value == pytest.approx(0.3, abs=5e-3)


def test_elkan_noto_is_right_on_separable_rows():
    s_N = np.repeat([0.3, 0.0], 50)
    y_N = np.tile([1, 0], 25).tolist() + [0] * 50
    for rule in ("e1", "max"):
        assert class_prior.elkan_noto(s_N, np.array(y_N), rule=rule).value == pytest.approx(0.3, abs=1e-12)
    e2 = class_prior.elkan_noto(s_N, np.arange(100) < 15, rule="e2")
    assert e2.value == pytest.approx(0.3, abs=1e-12)


def test_max_of_a_plain_logistic_overshoots_the_label_frequency():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    z_N = rng.normal(size=100_000)
    y_N = (rng.random(100_000) < 1 / (1 + np.exp(-3 * z_N))) & (rng.random(100_000) < 0.3)
    s_N = LogisticRegression().fit(z_N[:, None], y_N).predict_proba(z_N[:, None])[:, 1]
    # .546 for a true .300 in the reference, which does not state its law.
    assert class_prior.elkan_noto(s_N, y_N, rule="max").value == pytest.approx(0.546, abs=0.025)


def test_tice_bounds_the_label_frequency_from_below():
    rng = np.random.default_rng(0)
    x_ND = rng.normal(size=(20_000, 2))
    y_N = (x_ND[:, 0] > 0) & (rng.random(20_000) < 0.4)
    found = class_prior.tice(x_ND, y_N)
    assert 0.3 < found.low == found.value < 0.4 < found.high


def test_equal_negative_channel_gives_the_prior_exactly():
    # r=.6, e=.5 on both sides: 30 thumbs up, 20 down, 50 silent.
    up, down = np.repeat([1, 0, 0], [30, 20, 50]), np.repeat([0, 1, 0], [30, 20, 50])
    assert class_prior.negative_channel(up, down).value == 0.6


def test_prior_and_frequency_are_tied_and_guarded_g6():
    assert class_prior.prior_of_frequency(Estimate(0.5, 0.4, 0.8), 0.2).value == pytest.approx(0.4)
    for frequency in (0.1, 0.2, 1.0):
        with pytest.raises(IdentificationError):
            class_prior.prior_of_frequency(Estimate(frequency, frequency, frequency), 0.2)
    for prior, share in ((0.0, None), (1.0, None), (0.2, 0.2)):
        with pytest.raises(IdentificationError):
            class_prior.check_prior(prior, share)
    with pytest.raises(DegenerateDataError, match="positives"):
        class_prior.elkan_noto(np.full(3, 0.1), np.zeros(3))
    with pytest.raises(DegenerateDataError):
        class_prior.from_gold(np.array([np.nan]))
    with pytest.warns(IdentificationWarning, match="SCAR"):
        class_prior.warn_of_overshoot(np.full(5, 0.5), 0.3)


@pytest.mark.parametrize("successes", [0, 3, 7])
def test_wilson_solves_its_score_equation(successes):
    found = wilson(successes, 7)
    for end in (found.low, found.high):
        if 1e-12 < end < 1 - 1e-12:
            assert (found.value - end) ** 2 == pytest.approx(1.959963984540054**2 * end * (1 - end) / 7)
