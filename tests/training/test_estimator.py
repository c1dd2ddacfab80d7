"""HeadEstimator: the habits of scikit-learn on plain arrays."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from tacit.errors import ConfigError, DataError, DegenerateDataError, IdentificationError
from tacit.methods import (
    UPL,
    UPU,
    CausalIPS,
    ContextOnly,
    CounterIF,
    ElkanNoto,
    ImplicitRM,
    LabelWave,
    LatentML,
    Method,
    Naive,
    Observations,
    PromptOnly,
    ReCRecF,
    observations,
)
from tacit.methods.columns import names_read, nuisance_columns
from tacit.methods.method import Stage
from tacit.training import HeadEstimator, TrainingConfig
from tacit.training.checkpoint import Checkpoint
from tacit.training.roster import roster
from tacit.training.selection import train_best
from tacit.training.views import Block, View

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
        (lambda X, y: (X, "yes"), "signals: .*expected numbers"),
        (lambda X, y: (X, 1.0), r"signals have shape \(\), expected \[B\] or \[B, K\]"),
        (lambda X, y: (X, None), r"signals have shape \(\), expected"),
        (lambda X, y: (X[:, :0], y), r"X has shape \(300, 0\), expected \[N, D\] with one column at least"),
        (lambda X, y: ([[1.0, 2.0], [3.0]], y), "X: .*expected numbers"),
        (lambda X, y: (X * 1j, y), "X holds complex128, expected numbers"),
        (lambda X, y: (X, np.zeros((2, len(X), 1))), "expected \\[N\\] or"),
        (lambda X, y: ([["a", "b"]] * len(X), y), "X: .*expected numbers"),
        (
            lambda X, y: (csr_matrix(X), y),
            r"X is sparse \(csr_matrix\), expected a dense array: X.toarray\(\)$",
        ),
    ],
)
def test_wrong_arrays_are_refused_with_their_place(change: object, message: str) -> None:
    X, y, _ = world()
    bad_X, bad_y = change(X, y)  # type: ignore[operator]
    with pytest.raises(DataError, match=message) as refused:
        HeadEstimator(Naive(), QUICK).fit(bad_X, bad_y)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("polarity", [1, None])
def test_a_polarity_that_is_no_list_is_refused(polarity: Any) -> None:
    X, y, _ = world()
    with pytest.raises(DataError, match=r"^polarity is .*, expected \+1 or -1 for each signal[^\n]*$"):
        HeadEstimator(Naive(), QUICK).fit(X, y, polarity=polarity)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, 2], r"sample_weight has shape \(2,\), X has 300 rows; expected one weight per row"),
        (np.ones((300, 1)), r"sample_weight has shape \(300, 1\)"),
        (1.0, r"sample_weight has shape \(\)"),
        (["heavy"] * 300, "sample_weight: .*; expected numbers"),
        ([1.0, np.nan, *[1.0] * 298], "sample_weight, row 1: found nan, expected a number from 0"),
        ([1.0, 1.0, -2.0, *[1.0] * 297], "sample_weight, row 2: found -2, expected a number from 0"),
        (np.zeros(300), "sample_weight is 0 in all rows with a label"),
    ],
)
def test_a_score_refuses_weights_that_are_not_one_number_per_row(weight: Any, message: str) -> None:
    X, y, _ = world()
    model = HeadEstimator(Naive(), QUICK).fit(X, y)
    with pytest.raises(DataError, match=f"^{message}[^\n]*$"):
        model.score(X, y, sample_weight=weight)


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


def test_scikit_learn_clones_sets_and_cross_validates_it() -> None:
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import cross_val_predict

    X, y, _ = world()
    model = HeadEstimator(Naive(), QUICK).fit(X, y)
    fresh = clone(model)
    assert fresh.get_params() == model.get_params() and not hasattr(fresh, "ensemble_")
    assert is_classifier(model) and model.classes_.tolist() == [0, 1]
    assert fresh.set_params(method=ImplicitRM()) is fresh and fresh.method == ImplicitRM()
    with pytest.raises(ConfigError, match="no parameter 'depth'"):
        fresh.set_params(depth=3)
    held_out = cross_val_predict(HeadEstimator(Naive(), QUICK), X, y, cv=3, method="predict_proba")
    assert held_out.shape == (300, 2) and np.isfinite(held_out).all()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([None] * 300, "groups mix types or hold None"),
        (["a", 1, *[None] * 298], "groups mix types or hold None"),
        ([1.0, *[np.nan] * 299], "groups, row 1: found NaN"),
        (np.zeros((300, 1)), r"groups have shape \(300, 1\)"),
        ([1, 2], r"groups have shape \(2,\)"),
    ],
)
def test_rows_without_a_group_are_refused_and_not_taken_for_one_group(groups: Any, message: str) -> None:
    X, y, _ = world()
    with pytest.raises(DataError, match=f"^{message}[^\n]*$"):
        HeadEstimator(Naive(), QUICK).fit(X, y, groups=groups)


def test_a_score_is_the_share_of_known_labels_that_are_predicted() -> None:
    from sklearn.metrics import accuracy_score
    from sklearn.model_selection import cross_val_score

    X, y, _ = world()
    model = HeadEstimator(Naive(), QUICK).fit(X, y)
    weight = np.linspace(1, 2, 300)
    assert model.score(X, y) == pytest.approx(accuracy_score(y, model.predict(X)))
    weighted = accuracy_score(y, model.predict(X), sample_weight=weight)
    assert model.score(X, y, sample_weight=weight) == pytest.approx(weighted)
    some = np.where(X[:, 1] > 0, y, np.nan)
    assert model.score(X, some) == pytest.approx(model.score(X[X[:, 1] > 0], y[X[:, 1] > 0]))
    assert np.isfinite(cross_val_score(HeadEstimator(Naive(), QUICK), X, y, cv=2)).all()
    for labels, message in (
        (y[:9], "one label per row"),
        (np.full(300, np.nan), "no label"),
        (np.where(np.arange(300) == 7, 0.4, y), "y, row 7: found 0.4, expected 0, 1 or NaN"),
    ):
        with pytest.raises(DataError, match=message):
            model.score(X, labels)


def test_an_unfitted_estimator_is_so_for_scikit_learn_too() -> None:
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError, match="not fitted") as refused:
        HeadEstimator(Naive(), QUICK).predict(world()[0])
    assert isinstance(refused.value, DataError)


def test_a_method_that_scores_context_cannot_predict_from_features_alone() -> None:
    X, y, slot = world()
    model = HeadEstimator(ContextOnly(), QUICK).fit(X, y, context=slot)
    with pytest.raises(ConfigError, match=r"^context_only scores context, not X[^\n]*$"):
        model.predict(X)
    assert len(set(HeadEstimator(ContextOnly(), QUICK).fit(X, y).predict(X))) == 1  # a constant


def test_predictions_are_the_more_likely_class() -> None:
    X, y, _ = world()
    model = HeadEstimator(Naive(), QUICK).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(1))
    assert set(model.predict(X)) == {0, 1}


@dataclass(frozen=True)
class Reader(Naive):
    """Naive, but takes whatever it is handed."""

    reads: ClassVar[tuple[str, ...]] = ("p", "e", "noisy", "prior", "rho01", "rho10", "flip_rate", "clicked")


@dataclass(frozen=True)
class Looks(Naive):
    """Naive, but keeps what it was shown."""

    def check(self, obs: Observations) -> None:
        LOOKED.append(obs)


LOOKED: list[Observations] = []


def test_a_method_sees_the_prompts_that_are_given_and_none_otherwise() -> None:
    X, y, _ = world()
    HeadEstimator(Looks(), QUICK).fit(X, y, groups=[f"prompt {i // 3}" for i in range(300)])
    seen = LOOKED.pop().group_B
    assert seen is not None and len(seen.unique()) == 100 and seen[0] == seen[2] != seen[3]
    HeadEstimator(Looks(), QUICK).fit(X, y)
    assert LOOKED.pop().group_B is None


def test_a_known_propensity_takes_the_place_of_its_stage() -> None:
    X, y, slot = world()
    label = np.where(slot[:, 0] > 0, y, np.nan)
    truth = {"p": np.full(300, 0.5), "rho01": 0.1, "rho10": 0.2}
    given = HeadEstimator(CausalIPS(), QUICK).fit(X, label, nuisances=truth)
    double = HeadEstimator(CausalIPS(), QUICK).fit(X, label, nuisances=truth | {"p": np.full(300, 0.25)})
    estimated = HeadEstimator(CausalIPS(), QUICK).fit(X, label)
    ratio = double.ensemble_.criterion_M / given.ensemble_.criterion_M
    np.testing.assert_allclose(ratio, 2, rtol=0.2)  # weights 1/p twice as large
    assert not np.array_equal(given.decision_function(X), estimated.decision_function(X))


def test_what_the_caller_knows_is_kept_although_the_stage_runs_for_the_rest() -> None:
    X, y, slot = world()
    label = np.where(slot[:, 0] > 0, y, np.nan)
    scores = [
        HeadEstimator(CausalIPS(), QUICK)
        .fit(X, label, nuisances={"rho01": rate, "rho10": 0.0})
        .decision_function(X)
        for rate in (0.0, 0.4)
    ]
    assert scores[1].mean() > scores[0].mean() + 0.1  # more likes were missed, so more are liked


@pytest.mark.parametrize(
    ("nuisances", "error", "message"),
    [
        (
            {"propensity": 0.5},
            ConfigError,
            "naive does not read the nuisance 'propensity'.* reads clicked, e, flip_rate, ",
        ),
        ({"p": [0.5, 0.5]}, DataError, r"p has shape \(2,\), expected one number, or 300"),
        ({"p": [0.0] * 300}, DataError, "p, row 0: found 0, expected a probability above 0"),
        ({"e": [0.5] * 299 + [1.2]}, DataError, "e, row 299: found 1.2"),
        ({"e": np.nan}, DataError, "row 0: found nan"),
        ({"noisy": -0.1}, DataError, "from 0 to 1"),
        ({"prior": [0.5] * 300}, DataError, "expected one number"),
        ({"e": "often"}, DataError, "not numbers"),
        ({"flip_rate": 1.5}, DataError, "flip_rate, row 0: found 1.5, expected a probability from 0 to 1"),
        ({"clicked": 7}, DataError, "clicked, row 0: found 7"),
        ({"rho01": 0.6, "rho10": 0.4}, IdentificationError, "add up to 1, expected less"),
        ([0.5], ConfigError, r"nuisances is \[0\.5\] .list., expected numbers by name"),
    ],
)
def test_nuisances_that_cannot_be_are_refused(
    nuisances: object, error: type[Exception], message: str
) -> None:
    X, y, _ = world()
    with pytest.raises(error, match=message):
        HeadEstimator(Reader(), QUICK).fit(X, y, nuisances=nuisances)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "read"),
    [
        (Naive(), ()),
        (ImplicitRM(), ()),
        (CausalIPS(), ("p", "rho01", "rho10")),
        (CausalIPS(rho01=0.1), ("p", "rho10")),
        (UPL(), ("e", "relevance")),
        (CounterIF(), ("e", "stratum")),
        (UPU(), ("frequency", "prior")),
        (UPU(prior=0.5), ()),
        (ElkanNoto(mode="scale"), ("frequency", "prior")),
        (ElkanNoto(mode="scale", prior=0.5), ("frequency",)),
        (ReCRecF(), ("exposure_score",)),
    ],
    ids=repr,
)
def test_a_nuisance_that_the_method_does_not_read_is_refused_with_those_that_it_does(
    method: Method, read: tuple[str, ...]
) -> None:
    X, y, slot = world()
    assert names_read(method, observations(torch.from_numpy(y))) == read
    message = f"^{method.key} does not read the nuisance 'luck'.*it reads {', '.join(read) or 'none'}$"
    with pytest.raises(ConfigError, match=message):
        HeadEstimator(method, QUICK).fit(X, y, context=slot, nuisances={"luck": 0.5})


def test_an_outside_score_of_exposure_moves_recrec_f_and_is_a_probability() -> None:
    X, y, slot = world()
    given, none = (
        HeadEstimator(ReCRecF(lamp=10.0), QUICK).fit(X, y, context=slot, nuisances=nuisances)
        for nuisances in ({"exposure_score": np.full(300, 0.9)}, None)
    )
    assert given.decision_function(X).mean() < none.decision_function(X).mean()  # more exposure, fewer likes
    with pytest.raises(
        DataError, match=r"exposure_score, row 0: found 1.5, expected a probability from 0 to 1"
    ):
        HeadEstimator(ReCRecF(), QUICK).fit(X, y, nuisances={"exposure_score": 1.5})


@pytest.mark.parametrize(
    ("method", "config", "message"),
    [
        ("naive", QUICK, "method is 'naive' .str., expected an estimator"),
        (Naive, QUICK, r"method is the class Naive, expected one of it: Naive\(\)"),
        (
            Naive(),
            {"member": 2},
            r"config: unknown knob 'member'; did you mean 'members'\?; expected some of members",
        ),
        (Naive(), QUICK.model_copy(update={"members": 0}), "config: members is 0 .int., expected"),
        (Naive(), 3, "config is 3 .int., expected a TrainingConfig or a mapping"),
        (PromptOnly(), QUICK, "prompt_only: there are no 'prompt' features here, .* arrays never do"),
    ],
)
def test_what_is_no_method_and_knobs_that_cannot_be_are_refused_in_one_line(
    method: object, config: object, message: str
) -> None:
    X, y, _ = world()
    with pytest.raises(ConfigError, match=f"^{message}[^\n]*$"):
        HeadEstimator(method, config).fit(X, y)  # type: ignore[arg-type]


def test_gold_moves_the_fit_of_a_method_that_uses_it_and_is_refused_by_any_other() -> None:
    X, y, slot = world()
    gold = (X[:, 1] > 0).astype(float)
    told, blind = (
        HeadEstimator(ImplicitRM(), QUICK).fit(X, y, context=slot, gold=given).decision_function(X)
        for given in (gold, None)
    )
    assert not np.array_equal(told, blind)
    with pytest.raises(
        ConfigError, match=r"^naive does not learn from trusted labels, [^\n]*latent_ml[^\n]*$"
    ):
        HeadEstimator(Naive(), QUICK).fit(X, y, gold=gold)


def test_knobs_may_be_a_mapping() -> None:
    X, y, _ = world()
    knobs = {"members": 2, "max_epochs": 4, "hidden": (), "weight_decay": 1.0}
    scores = [HeadEstimator(Naive(), config).fit(X, y).decision_function(X) for config in (QUICK, knobs)]
    np.testing.assert_array_equal(*scores)


def test_a_column_that_a_stage_makes_may_be_given_under_its_own_name() -> None:
    obs = observations(torch.tensor([1.0, 0.0]))

    class Staged(Naive):
        def stages(self, obs: Observations) -> tuple[Stage, ...]:
            return (Stage(Naive(), ("exposure",)),)

    assert nuisance_columns({"exposure": 3.5}, Staged(), obs)["exposure"].tolist() == [3.5]


def test_it_compares_by_identity_and_holds_no_training_rows() -> None:
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    one, two = (HeadEstimator(Naive(), TrainingConfig(members=2, max_epochs=1)) for _ in range(2))
    assert one != two and len({one, two, one}) == 2
    one.fit(X, X[:, 0] > 0, context=X)
    rows = weakref.ref(X)
    del X
    gc.collect()
    assert rows() is None


def test_columns_that_share_memory_are_saved(tmp_path: Path) -> None:
    """`label_wave` begins with one tensor in several columns of its state."""
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    obs = observations(torch.from_numpy((X[:, 0] > 0).astype(np.float32)))
    views = {"reward": View("text", (Block.fit(X),))}
    config = TrainingConfig(members=2, max_epochs=3)
    states = Checkpoint(tmp_path, every=0)
    fits = [
        train_best(LabelWave(), views, obs, roster(np.arange(60), 2, 0), config, checkpoint=kept)[0][0]
        for kept in (None, states, states)
    ]
    scores = [fit.rewards(LabelWave(), views, torch.arange(60)) for fit in fits]
    assert torch.equal(scores[0], scores[1]) and torch.equal(scores[0], scores[2])
