"""HeadEstimator: the habits of scikit-learn on plain arrays."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.errors import DataError, DegenerateDataError
from tacit.methods import ImplicitRM, LatentML, Naive
from tacit.training import HeadEstimator, TrainingConfig

QUICK = TrainingConfig(members=2, max_epochs=4, hidden=(), weight_decay=1.0)


def world(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 5))
    slot = rng.integers(0, 3, size=(rows, 1))
    liked = rng.random(rows) < 1 / (1 + np.exp(-2 * X[:, 0]))
    return X, liked & (rng.random(rows) < 0.2 + 0.3 * slot[:, 0]), slot


def test_constructor_only_stores_and_fit_returns_self() -> None:
    X, y, slot = world()
    model = HeadEstimator(ImplicitRM(), QUICK)
    assert not hasattr(model, "ensemble_")
    assert model.fit(X, y, context=slot) is model
    assert model.n_features_in_ == 5


def test_fitting_again_starts_afresh() -> None:
    X, y, slot = world()
    model = HeadEstimator(ImplicitRM(), QUICK).fit(*world(seed=3)[:2])
    again = model.fit(X, y, context=slot).decision_function(X)
    fresh = HeadEstimator(ImplicitRM(), QUICK).fit(X, y, context=slot).decision_function(X)
    np.testing.assert_array_equal(again, fresh)


def test_probabilities_are_the_sigmoid_of_the_mean_member_score() -> None:
    X, y, slot = world()
    model = HeadEstimator(ImplicitRM(), QUICK).fit(X, y, context=slot)
    expected = 1 / (1 + np.exp(-model.member_scores(X).mean(0)))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expected, rtol=1e-6)


def test_several_signals_of_both_polarities() -> None:
    X, y, slot = world()
    signals = np.stack([y, ~y & (X[:, 1] > 0)], axis=1).astype(float)
    signals[:5, 1] = np.nan
    model = HeadEstimator(LatentML(), QUICK).fit(X, signals, context=slot, polarity=(1, -1))
    assert np.isfinite(model.decision_function(X)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[:-1], y), "as many"),
        (lambda X, y: (np.where(X > 2, np.nan, X), y), "row"),
        (lambda X, y: (X[:, 0], y), "expected \\[N, D\\]"),
        (lambda X, y: (X, y * 2.0), "expected 0, 1 or NaN"),
        (lambda X, y: (X, ["yes"] * len(X)), "signals: .*expected numbers"),
        (lambda X, y: (X, np.zeros((2, len(X), 1))), "expected \\[N\\] or"),
        (lambda X, y: ([["a", "b"]] * len(X), y), "X: .*expected numbers"),
    ],
)
def test_wrong_arrays_are_refused_with_their_place(change: object, message: str) -> None:
    X, y, _ = world()
    bad_X, bad_y = change(X, y)  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        HeadEstimator(Naive(), QUICK).fit(bad_X, bad_y)


def test_half_precision_features_are_taken_as_they_are() -> None:
    X, y, _ = world()
    half = X.astype(np.float16)
    scores = [
        HeadEstimator(Naive(), QUICK).fit(x, y).decision_function(x) for x in (half, half.astype(float))
    ]
    np.testing.assert_array_equal(*scores)


def test_silence_alone_is_refused() -> None:
    X, y, _ = world()
    with pytest.raises(DegenerateDataError, match="none of 300 rows is positive"):
        HeadEstimator(ImplicitRM(), QUICK).fit(X, np.zeros_like(y))


def test_scoring_before_fitting_and_with_other_columns_is_refused() -> None:
    X, y, _ = world()
    with pytest.raises(DataError, match="not fitted"):
        HeadEstimator(Naive(), QUICK).predict_proba(X)
    with pytest.raises(DataError, match="4 columns, the fit had 5"):
        HeadEstimator(Naive(), QUICK).fit(X, y).predict_proba(X[:, :4])
