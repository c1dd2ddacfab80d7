"""What all simulators have in common, and what their parameters do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from rated_base import rated_base

from tacit import worlds
from tacit.data import FeedbackLog, Roles
from tacit.errors import ConfigError, DataError

HARD, SOFT = rated_base(), rated_base(soft_gold=True)
EXPLICIT = ("alpha_noisy", "mar_noisy", "instance_noise")
IMPLICIT = tuple(name for name in worlds.names() if name not in EXPLICIT)
ROW_IDS = {"prompt", "response", "prompt_id", "user_id", "session_id"}

every_world = pytest.mark.parametrize("name", worlds.names())


def regraded(base: FeedbackLog, gold: np.ndarray) -> FeedbackLog:
    """The same texts with other gold, ratings untouched."""
    column = base.table.column_names.index("gold")
    return FeedbackLog(base.table.set_column(column, "gold", pa.array(gold)), base.roles, name="regraded")


def deviation(observed: np.ndarray, chance: np.ndarray) -> float:
    """How many standard deviations the number of ones lies from its expectation."""
    expected, spread = chance.sum(), np.sqrt((chance * (1 - chance)).sum())
    return abs(observed.sum() - expected) / max(spread, 1e-9)


@every_world
def test_shapes_are_those_of_the_contract(name):
    world = worlds.make(name, SOFT, seeds=3)
    rows, signals = len(SOFT), len(world.log.roles.signals)
    assert world.name == name and len(world.log) == rows
    assert world.signals_SNK.shape == (3, rows, signals) and world.signals_SNK.dtype == np.float32
    assert set(np.unique(world.signals_SNK[~np.isnan(world.signals_SNK)])) == {0, 1}
    truth = world.truth
    assert truth.liked_SN.shape == (3, rows) and truth.liked_SN.dtype == np.int8
    assert truth.preference_N.shape == (rows,) and truth.misclick_K.shape == (signals,)
    assert truth.propensity_SNK.shape == (1, rows, signals)
    assert ((truth.propensity_SNK >= 0) & (truth.propensity_SNK <= 1)).all()


@every_world
def test_the_log_of_a_seed_has_its_signals_and_null_where_nothing_could_be_recorded(name):
    world = worlds.make(name, SOFT, seeds=2)
    for seed in range(2):
        log = world.log_of(seed)
        y_NK, visible_NK = log.signal_matrix()
        assert np.array_equal(np.where(visible_NK, y_NK, np.nan), world.signals_SNK[seed], equal_nan=True)
        assert log.roles == world.log.roles and log.table.schema == world.log.table.schema
    assert world.log_of(0).fingerprint() == world.log.fingerprint() != world.log_of(1).fingerprint()
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        world.log_of(2)
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        world.log_of(-1)


@every_world
def test_a_world_is_the_same_on_every_run_and_few_seeds_are_the_first_of_many(name):
    few, many = worlds.make(name, SOFT, seeds=2), worlds.make(name, SOFT, seeds=4)
    assert few.log.fingerprint() == many.log.fingerprint()
    assert np.array_equal(few.signals_SNK, many.signals_SNK[:2], equal_nan=True)
    assert np.array_equal(few.truth.liked_SN, many.truth.liked_SN[:2])
    assert len({signals.tobytes() for signals in many.signals_SNK}) == 4


@every_world
def test_nothing_of_the_truth_stands_in_the_log(name):
    world = worlds.make(name, SOFT, seeds=1)
    log = world.log
    assert log.roles.gold is None and log.roles.rank is None
    allowed = ROW_IDS | {signal.name for signal in log.roles.signals} | set(log.roles.context)
    assert set(log.table.column_names) <= allowed
    assert not {"rating", "gold", "verdict"} & set(log.table.column_names)
    assert log.prompts() == SOFT.prompts() and log.responses() == SOFT.responses()
    assert np.array_equal(log.prompt_codes(), SOFT.prompt_codes())


@every_world
def test_context_does_not_see_the_text_nor_the_gold(name):
    here = worlds.make(name, SOFT, seeds=1).log.context_columns()
    other = worlds.make(name, rated_base(seed=9), seeds=1).log.context_columns()
    assert list(here) == list(other)
    for column, values in here.items():
        assert np.array_equal(values, other[column])


@every_world
def test_binary_gold_is_the_preference_and_soft_scales_it(name):
    liked_SN = worlds.make(name, HARD, seeds=2).truth.liked_SN
    gold_N = HARD.gold_values()[0]
    assert np.array_equal(liked_SN, np.stack([gold_N, gold_N]))
    truth = worlds.make(name, HARD, seeds=20, soft=(0.2, 0.7)).truth
    by_gold = [truth.liked_SN[:, gold_N == value].mean() for value in (0, 1)]
    assert by_gold == pytest.approx([0.2, 0.7], abs=0.03 if name == "users" else 0.01)


@pytest.mark.parametrize("name", IMPLICIT)
def test_signals_come_at_the_stated_rates_where_due_and_where_not(name):
    world = worlds.make(name, SOFT, seeds=20)
    truth = world.truth
    for k, signal in enumerate(world.log.roles.signals):
        y_SN = world.signals_SNK[:, :, k]
        due_SN = (truth.liked_SN == 1) == (signal.polarity > 0)
        chance_SN = np.where(due_SN, truth.propensity_SNK[:, :, k], truth.misclick_K[k])
        for part_SN in (due_SN, ~due_SN):
            chosen = part_SN & ~np.isnan(y_SN)
            # A shared gate makes counts vary more than independent draws do.
            assert deviation(y_SN[chosen], chance_SN[chosen]) < (8 if name == "gate_multi" else 4.5)
        # The propensity tells rows apart, not only their mean.
        low, high = np.quantile(truth.propensity_SNK[0, :, k], [0.3, 0.7])
        for rows_N in (truth.propensity_SNK[0, :, k] <= low, truth.propensity_SNK[0, :, k] >= high):
            chosen = due_SN & rows_N & ~np.isnan(y_SN)
            assert deviation(y_SN[chosen], chance_SN[chosen]) < (8 if name == "gate_multi" else 4.5)


@pytest.mark.parametrize("name", EXPLICIT)
def test_labels_are_given_at_the_stated_propensity_and_flipped_at_the_stated_rates(name):
    world = worlds.make(name, SOFT, seeds=20, rho01=0.15, rho10=0.25)
    truth, label_SN = world.truth, world.signals_SNK[:, :, 0]
    assert world.log.roles.signals[0].kind == "explicit"
    given_SN = ~np.isnan(label_SN)
    chance_SN = np.broadcast_to(truth.propensity_SNK[:, :, 0], given_SN.shape)
    assert deviation(given_SN, chance_SN) < 4.5
    # Where noise depends on the text, the rates given are means over all answers, the truth is of those concerned.
    close = 0.02 if name == "instance_noise" else 1e-9
    assert (truth.rho01, truth.rho10) == pytest.approx((0.15, 0.25), abs=close)
    if name != "instance_noise":
        wrong = label_SN != truth.liked_SN
        for liked, rate in ((1, 0.15), (0, 0.25)):
            chosen = given_SN & (truth.liked_SN == liked)
            assert deviation(wrong[chosen], np.full(chosen.sum(), rate)) < 4.5


@pytest.mark.parametrize("name", ["scar", "context", "style", "both", "misclicks", "several", "delayed"])
def test_the_misclick_rate_changes_signals_only_where_they_are_not_due(name):
    none, some = (worlds.make(name, SOFT, seeds=2, misclick=rate) for rate in (0.0, 0.2))
    assert np.array_equal(none.truth.liked_SN, some.truth.liked_SN)
    for k, signal in enumerate(none.log.roles.signals):
        due_SN = (none.truth.liked_SN == 1) == (signal.polarity > 0)
        before, after = none.signals_SNK[:, :, k], some.signals_SNK[:, :, k]
        assert np.array_equal(before[due_SN], after[due_SN])
        assert before[~due_SN].sum() == 0 and after[~due_SN].mean() == pytest.approx(0.2, abs=0.02)


def test_mistakes_are_not_made_by_those_who_would_have_acted():
    rows = len(HARD)
    acted, slipped = (
        worlds.make("scar", regraded(HARD, np.full(rows, gold)), seeds=1, c=0.3, misclick=0.3).signals_SNK
        for gold in (1.0, 0.0)
    )
    assert (acted * slipped).mean() == pytest.approx(0.09, abs=0.02)


def test_the_noise_rates_change_neither_preference_nor_who_labels():
    little, much = (worlds.make("mar_noisy", SOFT, seeds=2, rho10=rate) for rate in (0.0, 0.4))
    assert np.array_equal(little.truth.liked_SN, much.truth.liked_SN)
    assert np.array_equal(np.isnan(little.signals_SNK), np.isnan(much.signals_SNK))
    assert not np.array_equal(little.signals_SNK, much.signals_SNK, equal_nan=True)


def test_who_labels_does_not_see_the_preference_where_missing_at_random_and_does_in_the_published_world():
    turned = regraded(HARD, 1 - HARD.gold_values()[0].astype(float))
    for name in ("mar_noisy", "instance_noise"):
        one, other = worlds.make(name, HARD, seeds=2), worlds.make(name, turned, seeds=2)
        assert not np.array_equal(one.truth.liked_SN, other.truth.liked_SN)
        assert np.array_equal(np.isnan(one.signals_SNK), np.isnan(other.signals_SNK))
    published = worlds.make("alpha_noisy", HARD, seeds=2)
    given_SN = ~np.isnan(published.signals_SNK[:, :, 0])
    liked_SN = published.truth.liked_SN == 1
    assert given_SN[liked_SN].mean() > 2 * given_SN[~liked_SN].mean()


@pytest.mark.parametrize("name", [name for name in IMPLICIT if name != "alpha_pu"])
def test_activity_does_not_see_the_preference(name):
    """Every answer liked, or none: what is due is recorded by the same draws."""
    rows = len(HARD)
    liked, not_liked = (worlds.make(name, regraded(HARD, np.full(rows, g)), seeds=1) for g in (1.0, 0.0))
    mixed = worlds.make(name, HARD, seeds=1)
    for k, signal in enumerate(mixed.log.roles.signals):
        due_SN = (mixed.truth.liked_SN == 1) == (signal.polarity > 0)
        all_due = (liked if signal.polarity > 0 else not_liked).signals_SNK[:, :, k]
        assert np.array_equal(mixed.signals_SNK[:, :, k][due_SN], all_due[due_SN], equal_nan=True)


def test_a_chat_log_of_answers_from_two_prompts_is_a_base_too():
    chat = [{"role": "user", "content": "Sort a list?"}]
    base = FeedbackLog.from_columns(
        {"copied": [chat, chat], "slot": ["sorted(xs)", "No."], "gold": [1.0, 0.0]},
        Roles(prompt="copied", response="slot", gold="gold"),
    )
    log = worlds.make("scar", base, seeds=1, c=1.0).log
    assert log.is_chat and log.prompts() == base.prompts()
    assert log.table.column("copied").to_pylist() == [1, 0]


def test_a_world_needs_gold_on_every_row():
    with pytest.raises(DataError, match="has no gold"):
        worlds.make("scar", HARD.with_roles(gold=None))
    holes = regraded(HARD, np.where(np.arange(len(HARD)) < 2, np.nan, 1.0))
    holes = FeedbackLog(
        holes.table.set_column(
            holes.table.column_names.index("gold"),
            "gold",
            pa.array(holes.table.column("gold").to_numpy(), from_pandas=True),
        ),
        holes.roles,
    )
    with pytest.raises(DataError, match="2 of 3000 rows have no gold"):
        worlds.make("scar", holes)


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("nowhere", {}, "no world is called 'nowhere'; worlds are scar, "),
        ("scar", {"kappa": 1}, "has no parameter 'kappa'; it has c, misclick, soft"),
        ("scar", {"c": 1.2}, "c is 1.2"),
        ("both", {"kappa": -1}, "kappa is -1"),
        ("both", {"mean": 1.0}, "between 0 and 1"),
        ("misclicks", {"misclick": 2}, "misclick is 2"),
        ("scar", {"soft": (0.9, 0.1)}, "lo <= hi"),
        ("scar", {"seeds": 0}, "seeds is 0"),
        ("users", {"people": 0}, "at least 1 user"),
        ("delayed", {"mean_delay": 0}, "above 0"),
        ("forced_arm", {"share": -0.1}, "share is -0.1"),
        ("alpha_pu", {"alpha": 0}, "alpha=0"),
        ("alpha_pu", {"scale": (1, 3)}, "around the values of 'rating', 0 to 4"),
        ("alpha_noisy", {"rho01": 1.5}, "rho01 is 1.5"),
        ("instance_noise", {"rho10": 0.5}, "between 0 and 0.45"),
        ("users", {"taste": float("nan")}, "world 'users': taste is nan, expected a finite number"),
        ("style", {"length": float("-inf")}, "world 'style': length is -inf, expected a finite number"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_line(name, parameters, says):
    with pytest.raises(ConfigError, match=says.replace("(", r"\(")) as refused:
        worlds.make(name, HARD, **parameters)
    assert "\n" not in str(refused.value)


def a_world(**changed: Any) -> worlds.World:
    """Of one signal, put together by hand."""
    scene = worlds.Scene.of(worlds.stdlib_base(limit=4), 2)
    made = worlds.one_signal(scene, "mine", np.full(scene.rows, 0.5), {})
    signals_SNK = changed.pop("signals_SNK", made.signals_SNK)
    return worlds.World("mine", made.log, signals_SNK, replace(made.truth, **changed))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"signals_SNK": np.zeros((2, 19, 1), np.float32)}, r"signals_SNK has the shape \(2, 19, 1\)"),
        ({"signals_SNK": np.zeros((3, 20, 1), np.float32)}, r"liked_SN has the shape \(2, 20\), expected \(3, 20\)"),
        ({"propensity_SNK": np.zeros((20, 1))}, "propensity_SNK"),
        ({"preference_N": np.zeros(19)}, "preference_N"),
        ({"misclick_K": np.zeros(2)}, r"misclick_K has the shape \(2,\), expected \(1,\)"),
    ],
)  # fmt: skip
def test_a_world_whose_shapes_contradict_its_log_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        a_world(**changed)


@pytest.mark.parametrize(
    ("propensity_N", "told"),
    [
        (np.full(19, 0.5), r"have the shape \(1, 19, 1\), expected \(2, 20, 1\)"),
        (np.full((20, 1), 0.5), "have the shape"),
        (np.full(20, 1.5), "a propensity is 1.5, expected"),
        (np.full(20, np.nan), "a propensity is nan, expected"),
        (-0.1, "a propensity is -0.1, expected"),
    ],
)
def test_chances_of_a_click_that_are_none_or_not_one_a_row_are_refused(
    propensity_N: npt.NDArray[np.float64] | float, told: str
) -> None:
    scene = worlds.Scene.of(worlds.stdlib_base(limit=4), 2)
    with pytest.raises(ConfigError, match=told):
        worlds.one_signal(scene, "mine", propensity_N, {})


def test_one_chance_is_that_of_every_row() -> None:
    scene = worlds.Scene.of(worlds.stdlib_base(limit=4), 2)
    one, each = (worlds.one_signal(scene, "mine", chance, {}) for chance in (0.3, np.full(20, 0.3)))
    np.testing.assert_array_equal(one.signals_SNK, each.signals_SNK)
    np.testing.assert_array_equal(one.truth.propensity_SNK, each.truth.propensity_SNK)


def test_a_context_of_another_length_is_refused_by_its_name() -> None:
    scene = worlds.Scene.of(worlds.stdlib_base(limit=4), 2)
    with pytest.raises(ConfigError, match="mine: column 'hour' has 19 values, expected 20"):
        worlds.one_signal(scene, "mine", 0.3, {"hour": np.zeros(19)})
