from __future__ import annotations

import numpy as np
import pytest

from tacit.errors import ConfigError
from tacit.worlds.simulate import simulate

N = 20_000
HALF = np.full(N, 0.5)


def test_without_misclicks_a_copy_is_exactly_liked_and_active():
    out = simulate(np.linspace(0, 1, N), np.full((N, 2), 0.3))
    assert np.array_equal(out.clicks_NK, out.liked_N[:, None] * out.active_NK)
    assert out.clicks_NK.shape == (N, 2) and out.clicks_NK.dtype == np.int8


def test_rates_are_those_of_the_model_for_either_polarity():
    out = simulate(HALF, np.tile([0.4, 0.3], (N, 1)), misclick_K=(0.1, 0.05), polarity_K=(1, -1))
    liked = out.liked_N == 1
    rates = [out.clicks_NK[liked].mean(axis=0), out.clicks_NK[~liked].mean(axis=0)]
    assert np.allclose(rates, [[0.4, 0.05], [0.1, 0.3]], atol=0.02)


def test_activity_and_liking_are_independent_given_the_row():
    out = simulate(HALF, np.full((N, 1), 0.5))
    assert abs(np.corrcoef(out.liked_N, out.active_NK[:, 0])[0, 1]) < 0.03


def test_each_cause_has_its_own_stream():
    calm = simulate(HALF, np.full((N, 1), 0.3), seed=4)
    clumsy = simulate(HALF, np.full((N, 1), 0.9), misclick_K=(0.2,), seed=4)
    assert np.array_equal(calm.liked_N, clumsy.liked_N)
    grumpy = simulate(HALF / 5, np.full((N, 1), 0.3), seed=4)
    assert np.array_equal(calm.active_NK, grumpy.active_NK)


def test_one_seed_gives_one_world():
    first, again, other = (simulate(HALF, HALF[:, None], seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.clicks_NK, again.clicks_NK)
    assert not np.array_equal(first.clicks_NK, other.clicks_NK)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preference_N": np.array([0.5, 1.2])}, "preference holds"),
        ({"preference_N": np.array([0.5, np.nan])}, "preference holds"),
        ({"propensity_NK": np.array([[0.5], [-0.1]])}, "propensity holds"),
        ({"misclick_K": (1.5,)}, "misclick holds"),
        ({"polarity_K": (0,)}, "polarity is"),
        ({"misclick_K": (0.1, 0.1)}, "shapes"),
        ({"propensity_NK": np.array([0.5, 0.5])}, "shapes"),
    ],
)
def test_impossible_worlds_are_refused_in_one_line(arguments, words):
    good = {"preference_N": np.array([0.5, 0.5]), "propensity_NK": np.array([[0.5], [0.5]])}
    with pytest.raises(ConfigError, match=words) as refused:
        simulate(**{**good, **arguments})
    assert "\n" not in str(refused.value)
