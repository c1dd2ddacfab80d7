from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from rated_base import rated_base

from tacit import worlds
from tacit.errors import ConfigError
from tacit.worlds.policy_shift import best_of_n_weights, pick
from tacit.worlds.predictors import PREDICTORS, four, one, rotate, skew
from tacit.worlds.published import levels

LEVELS = np.tile(np.arange(1.0, 6.0), 400)


def test_one_and_four_raise_a_share_of_one_level_to_five_and_leave_the_rest():
    right_N = np.clip((LEVELS - 1) / 4, 0.02, 0.98)
    for predictor, level in ((one, 1), (four, 4)):
        changed_N = predictor(LEVELS, share=0.25) != right_N
        assert changed_N.sum() == 100 and set(LEVELS[changed_N]) == {level}
        assert set(predictor(LEVELS, share=0.25)[changed_N]) == {0.98}
        assert not np.array_equal(predictor(LEVELS), predictor(LEVELS, seed=1))


def test_rotate_takes_one_level_off_and_the_worst_to_the_top():
    assert rotate(np.arange(1.0, 6.0)).tolist() == [0.98, 0.02, 0.25, 0.5, 0.75]


def test_skew_is_least_sure_of_the_worst_and_stays_inside():
    predicted_N = skew(np.tile(np.array([3.0, 5.0]), 4000))
    assert predicted_N.min() >= 0.02 and predicted_N.max() <= 0.98
    # Half of the draws for level 3 lie below it; a standard deviation of 1.5 puts 9.1 % of them below level 1.
    assert np.mean(predicted_N[::2] < 0.5) == pytest.approx(0.5, abs=0.03)
    assert np.mean(predicted_N[::2] == 0.02) == pytest.approx(0.097, abs=0.015)
    assert np.mean(predicted_N[1::2] < 0.875) == pytest.approx(0.1587, abs=0.02)


@pytest.mark.parametrize("predictor", PREDICTORS.values(), ids=PREDICTORS)
def test_ratings_outside_the_scale_are_refused(predictor):
    with pytest.raises(ConfigError, match=r"\[1, 5\]"):
        predictor(np.array([0.0, 3.0]))


@pytest.mark.parametrize("name", ["scar", "style", "both"])
@pytest.mark.parametrize("predictor", PREDICTORS.values(), ids=PREDICTORS)
def test_weighting_copies_by_the_true_propensity_estimates_the_loss_of_any_predictor(name, predictor):
    base = rated_base(600, soft_gold=True)
    world = worlds.make(name, base, seeds=100)
    guess_N = predictor(levels(base))
    liked_loss, other_loss = (1 - guess_N) ** 2, guess_N**2
    ideal_S = np.where(world.truth.liked_SN == 1, liked_loss, other_loss).mean(1)
    positive_SN = world.signals_SNK[:, :, 0] / world.truth.propensity_SNK[0, :, 0]
    difference_S = (positive_SN * liked_loss + (1 - positive_SN) * other_loss).mean(1) - ideal_S
    error = difference_S.std(ddof=1) / np.sqrt(100)
    assert abs(difference_S.mean()) < 4.5 * error
    naive_S = (world.signals_SNK[:, :, 0] * liked_loss + (1 - world.signals_SNK[:, :, 0]) * other_loss).mean(
        1
    )
    assert abs((naive_S - ideal_S).mean()) > 10 * (naive_S - ideal_S).std() / np.sqrt(100)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_best_of_n_shows_each_answer_as_often_as_all_draws_say(n):
    score_N = np.array([0.3, -1.0, 0.3, 2.0, 0.0, 7.0, 7.0])
    codes = np.array([0, 1, 0, 0, 0, 1, 1])
    expected = np.zeros(7)
    for prompt in (0, 1):
        rows = np.flatnonzero(codes == prompt)
        for drawn in product(rows, repeat=n):
            best = [row for row in rows if score_N[row] == max(score_N[list(drawn)])]
            expected[best] += 1 / len(best) / len(rows) ** n
    assert best_of_n_weights(score_N, codes, n) == pytest.approx(expected, abs=1e-14)


def test_picks_are_one_row_per_prompt_with_the_weights_as_frequencies():
    weight_N, codes = np.array([0.05, 0.0, 0.95, 1.0]), np.array([0, 1, 0, 1])
    picks = np.stack([pick(weight_N, codes, seed) for seed in range(2000)])
    assert picks.shape == (2000, 2) and set(picks[:, 1]) == {3}
    assert np.mean(picks[:, 0] == 2) == pytest.approx(0.95, abs=0.015)


def test_what_best_of_n_cannot_weigh_is_refused():
    with pytest.raises(ConfigError, match="n is 0"):
        best_of_n_weights(np.zeros(2), np.zeros(2, dtype=int), 0)
    with pytest.raises(ConfigError, match="one finite score per row"):
        best_of_n_weights(np.array([0.0, np.nan]), np.zeros(2, dtype=int), 2)
    with pytest.raises(ConfigError, match="negative"):
        pick(np.array([-1.0, 1.0]), np.zeros(2, dtype=int))
