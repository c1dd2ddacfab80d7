"""What each mechanism does: the figures of METHODS §11, and what sets one world apart from another."""

from __future__ import annotations

import numpy as np
import pytest
from rated_base import rated_base

from tacit import worlds
from tacit.data import FeedbackLog, Roles
from tacit.errors import ConfigError, DataError
from tacit.features.style import STYLE_NAMES, style_features
from tacit.worlds.published import alpha_propensity, levels
from tacit.worlds.several import GATED, SURFACES

HARD, SOFT = rated_base(), rated_base(soft_gold=True)
UNIFORM = np.tile(np.arange(1.0, 6.0), 40)


def logit(p):
    return np.log(p) - np.log1p(-p)


def propensity(name, base=SOFT, **parameters):
    return worlds.make(name, base, seeds=1, **parameters).truth.propensity_SNK[0, :, 0]


def design(base):
    """Standardised log length, code blocks cut at 3, list, table: read off how the base was made."""
    responses = base.responses()
    length = style_features(responses)[:, STYLE_NAMES.index("log_length")].astype(float)
    blocks = np.array([min(text.count("x = 1"), 3) for text in responses])
    return np.column_stack(
        [
            (length - length.mean()) / length.std(),
            blocks,
            ["- one" in text for text in responses],
            ["|---|" in text for text in responses],
            np.ones(len(responses)),
        ]
    )


# ---- one implicit signal


def test_under_scar_every_row_has_the_same_propensity():
    assert np.array_equal(propensity("scar", c=0.4), np.full(len(SOFT), 0.4))


def test_slots_copy_a_tenth_a_fifth_two_fifths_and_seven_tenths_on_average():
    base = rated_base(12_000)
    e_N, slot_N = propensity("context", base), worlds.make("context", base, seeds=1).log.column("slot")
    means = [e_N[np.array(slot_N) == slot].mean() for slot in ("last", "third", "second", "first")]
    assert means == pytest.approx([0.1, 0.2, 0.4, 0.7], abs=0.012)
    low, high = np.quantile(e_N, [0.05, 0.95])
    assert low < 0.05 and high > 0.8


def test_context_alone_gives_equal_texts_different_and_different_texts_equal_propensities():
    assert np.array_equal(propensity("context"), propensity("context", rated_base(seed=5)))
    context = worlds.make("context", SOFT, seeds=1).log.context_columns()
    columns = [context["activity"], *(context["slot"] == s for s in ("last", "third", "second", "first"))]
    columns += [context["device"] == device for device in ("desktop", "phone")]
    fitted, *_ = np.linalg.lstsq(
        np.column_stack(columns).astype(float), logit(propensity("context")), rcond=None
    )
    assert fitted[[0, 5, 6]] == pytest.approx([0.8, 0.7, -0.7], abs=1e-9)


def test_style_alone_has_the_published_coefficients_and_a_mean_of_three_tenths():
    e_N = propensity("style")
    assert e_N.mean() == pytest.approx(0.3, abs=1e-9)
    fitted, residual, *_ = np.linalg.lstsq(design(SOFT), logit(e_N), rcond=None)
    assert fitted[:4] == pytest.approx([0.8, 0.6, 0.3, 0.3], abs=1e-5)
    assert residual[0] < 1e-8


def test_both_adds_the_logits_of_context_and_style_and_kappa_takes_one_away():
    context, style = logit(propensity("context")), logit(propensity("style", length=1.7))
    assert np.ptp(logit(propensity("both", kappa=0)) - context) == pytest.approx(0, abs=1e-9)
    assert np.ptp(logit(propensity("both", kappa=1)) - style) == pytest.approx(0, abs=1e-9)
    assert np.ptp(logit(propensity("both")) - context - style) == pytest.approx(0, abs=1e-9)
    assert np.ptp(logit(propensity("both", kappa=0.25)) - context - 0.5 * style) == pytest.approx(0, abs=1e-9)
    assert propensity("both").mean() == pytest.approx(0.33, abs=1e-9)
    assert propensity("both", mean=None).mean() != pytest.approx(0.33, abs=1e-3)


def test_misclicks_is_both_with_three_in_a_hundred():
    world = worlds.make("misclicks", SOFT, seeds=2)
    same = worlds.make("both", SOFT, seeds=2, misclick=0.03)
    assert np.array_equal(world.signals_SNK, same.signals_SNK)
    assert not np.array_equal(world.signals_SNK, worlds.make("both", SOFT, seeds=2).signals_SNK)


def test_a_late_copy_is_one_that_would_have_come_and_a_young_row_has_few():
    late, both = worlds.make("delayed", HARD, seeds=20), worlds.make("both", HARD, seeds=20)
    assert (late.signals_SNK <= both.signals_SNK).all()
    context = late.log.context_columns()
    age_N, delay_N = (
        context["age"],
        np.select([context["device"] == "desktop", context["device"] == "phone"], [3.0, 9.0], 6.0),
    )
    assert 0 <= age_N.min() < 1 and 47 < age_N.max() <= 48
    expected = both.truth.propensity_SNK[0, :, 0] * (1 - np.exp(-age_N / delay_N))
    assert late.truth.propensity_SNK[0, :, 0] == pytest.approx(expected, abs=1e-12)
    young = age_N < 2
    assert late.signals_SNK[:, young].sum() < 0.5 * both.signals_SNK[:, young].sum()


def test_in_the_forced_arm_the_copy_is_the_preference_and_elsewhere_nothing_changes():
    base = rated_base(12_000)
    forced, both = worlds.make("forced_arm", base, seeds=2), worlds.make("both", base, seeds=2)
    arm_N = forced.log.context_columns()["arm"] == 1
    assert arm_N.mean() == pytest.approx(0.02, abs=0.005)
    assert np.array_equal(forced.signals_SNK[:, arm_N, 0], forced.truth.liked_SN[:, arm_N])
    assert np.array_equal(forced.signals_SNK[:, ~arm_N], both.signals_SNK[:, ~arm_N])


# ---- several signals


def residual_products(world, first, second):
    """Mean over rows and its standard error of the product of two signals' surprises given r*, text, context."""
    truth = world.truth
    surprise = []
    for k in (first, second):
        polarity = world.log.roles.signals[k].polarity
        due_SN = (truth.liked_SN == 1) == (polarity > 0)
        chance_SN = np.where(due_SN, truth.propensity_SNK[:, :, k], truth.misclick_K[k])
        surprise.append(world.signals_SNK[:, :, k] - chance_SN)
    product = (surprise[0] * surprise[1])[~np.isnan(surprise[0] * surprise[1])]
    return product.mean(), product.std() / np.sqrt(len(product))


def test_copies_favour_long_answers_shares_short_ones_and_the_context_moves_all():
    world = worlds.make("several", SOFT, seeds=1)
    logits_NK = logit(world.truth.propensity_SNK[0])
    length_N = design(SOFT)[:, 0]
    context_N = logit(propensity("context"))
    for k, effect in enumerate((1.2, -1.2, 0.0)):
        assert np.ptp(logits_NK[:, k] - context_N - effect * length_N) == pytest.approx(0, abs=1e-5)
    assert [signal.polarity for signal in world.log.roles.signals] == [1, 1, -1]
    assert world.truth.misclick_K.tolist() == [0.03] * 3


def test_several_signals_are_independent_given_the_preference_and_gated_ones_are_not():
    free = worlds.make("several", SOFT, seeds=20)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        mean, error = residual_products(free, first, second)
        assert abs(mean) < 4.5 * error
    gated = worlds.make("gate_multi", SOFT, seeds=20)
    mean, error = residual_products(gated, 0, 1)
    assert mean > 10 * error


def test_sessions_are_silent_as_often_as_one_gate_for_all_their_rows_makes_them():
    gate = worlds.make("gate_multi", HARD, seeds=40)
    assert gate.truth.propensity_SNK[0, :, 0].mean() == pytest.approx(0.4 * 0.5, abs=1e-9)
    for k, (_, hit, alarm) in enumerate(GATED.values()):
        assert gate.truth.propensity_SNK[0, :, k].mean() == pytest.approx(0.4 * hit, abs=1e-9)
        assert gate.truth.misclick_K[k] == pytest.approx(0.4 * alarm, abs=1e-9)
    session_N = np.array(gate.log.column("session_id"))
    active_N = gate.truth.propensity_SNK[0, :, 0] / 0.5
    quiet_SN = np.zeros((40, len(HARD)))  # log of the chance that an active user gives no signal on the row
    for k, (polarity, hit, alarm) in enumerate(GATED.values()):
        due_SN = (gate.truth.liked_SN == 1) == (polarity > 0)
        visible_SN = ~np.isnan(gate.signals_SNK[:, :, k])
        quiet_SN += visible_SN * np.log(1 - np.where(due_SN, hit, alarm))
    signals_SN = np.nansum(gate.signals_SNK, axis=2)
    silent = np.stack([np.bincount(session_N, weights=signals_S) == 0 for signals_S in signals_SN])
    quiet = np.stack([np.bincount(session_N, weights=quiet_S) for quiet_S in quiet_SN])
    active = np.bincount(session_N, weights=active_N) / np.bincount(session_N)
    chance = 1 - active + active * np.exp(quiet)
    assert abs(silent.sum() - chance.sum()) < 4.5 * np.sqrt((chance * (1 - chance)).sum())
    rows_on_their_own = np.exp(quiet_SN).mean() ** 4  # what a gate per row, or none, would come near to
    assert chance.mean() > 1.5 * rows_on_their_own


def test_a_session_is_up_to_four_answers_to_one_prompt_on_one_surface():
    log = worlds.make("gate_multi", HARD, seeds=1).log
    session_N = np.array(log.column("session_id"))
    assert np.bincount(session_N).max() == 4
    for column in (log.prompt_codes(), *log.context_columns().values()):
        pairs = set(zip(session_N.tolist(), np.asarray(column).tolist(), strict=True))
        assert len(pairs) == session_N.max() + 1


def test_a_signal_is_null_exactly_where_its_surface_has_no_button():
    world = worlds.make("gate_multi", HARD, seeds=3)
    surface_N = world.log.context_columns()["surface"]
    assert set(surface_N) == set(SURFACES)
    for k, signal in enumerate(world.log.roles.signals):
        has_button_N = np.array([signal.name in SURFACES[surface] for surface in surface_N])
        assert np.array_equal(~np.isnan(world.signals_SNK[:, :, k]), np.stack([has_button_N] * 3))


# ---- people


def test_a_few_heavy_users_give_most_of_the_copies():
    base = rated_base(12_000, soft_gold=True)
    world = worlds.make("users", base, seeds=5)
    user_N = np.array(world.log.column("user_id"))
    copies_U = np.bincount(user_N, weights=world.signals_SNK[:, :, 0].sum(0), minlength=200)
    assert np.sort(copies_U)[-20:].sum() > 0.5 * copies_U.sum()
    assert np.bincount(user_N, minlength=200)[0] / len(base) == pytest.approx(0.26, abs=0.04)
    owners = set(zip(base.prompt_codes().tolist(), user_N.tolist(), strict=True))
    assert len(owners) == base.prompt_codes().max() + 1


def test_users_differ_in_taste_and_the_preference_is_their_mean():
    base = rated_base(12_000, soft_gold=True)
    world = worlds.make("users", base, seeds=40, taste=1.0)
    user_N = np.array(world.log.column("user_id"))
    surprise_N = (world.truth.liked_SN - world.truth.preference_N).mean(0)
    by_user = [surprise_N[user_N == user].mean() for user in range(5)]
    assert np.std(by_user) > 0.05
    assert world.truth.liked_SN.mean() == pytest.approx(world.truth.preference_N.mean(), abs=0.02)
    alike = worlds.make("users", base, seeds=1, taste=0.0).truth.preference_N
    assert alike == pytest.approx(base.gold_values()[0], abs=1e-6)
    hard = worlds.make("users", HARD, seeds=1).truth.preference_N
    assert np.array_equal(hard, HARD.gold_values()[0])


def test_each_user_has_an_activity_of_their_own_beside_slot_and_device():
    world = worlds.make("users", SOFT, seeds=1)
    user_N = np.array(world.log.column("user_id"))
    context = worlds.make("context", SOFT, seeds=1)
    screen_N = logit(context.truth.propensity_SNK[0, :, 0])
    screen_N -= 0.8 * context.log.context_columns()["activity"]
    own_N = logit(world.truth.propensity_SNK[0, :, 0]) - screen_N
    by_user = [own_N[user_N == user] for user in np.unique(user_N)]
    assert max(np.ptp(values) for values in by_user) < 1e-9
    assert np.std([values[0] for values in by_user]) == pytest.approx(1.0, abs=0.3)  # of logit Beta(2, 3)


# ---- the papers' simulators


def test_positives_among_labelled_rows_are_77_in_100_where_40_are_liked():
    """METHODS [V21]: five uniform levels, liked above 2 of 0 to 4, alpha = .5."""
    p_N = alpha_propensity(UNIFORM, 0.5, 0.2)
    liked_N = UNIFORM - 1 > 2
    assert liked_N.mean() == pytest.approx(0.4)
    assert p_N[liked_N].sum() / p_N.sum() == pytest.approx(0.7742, abs=5e-5)


@pytest.mark.parametrize(("alpha", "largest", "realised"), [(0.5, 1.290, 0.442), (0.2, 2.0, 0.300)])
def test_the_published_level_overshoots_one_and_misses_its_rate_and_ours_reaches_it(alpha, largest, realised):
    """METHODS [V22]: rate .5, five uniform levels."""
    q_N = alpha ** (5 - UNIFORM)
    published_N = 0.5 * len(q_N) / q_N.sum() * q_N
    assert published_N.max() == pytest.approx(largest, abs=1e-3)
    assert np.minimum(1, published_N).mean() == pytest.approx(realised, abs=1e-3)
    ours_N = alpha_propensity(UNIFORM, alpha, 0.5)
    assert ours_N.mean() == pytest.approx(0.5, abs=1e-12) and ours_N.max() == 1
    below = ours_N < 1
    assert np.ptp(np.log(ours_N[below]) - np.log(q_N[below])) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rate", [0.001, 0.2, 0.999, 1.0])
def test_every_rate_is_reached(rate):
    assert alpha_propensity(UNIFORM, 0.005, rate).mean() == pytest.approx(rate, abs=1e-9)


def test_the_papers_logs_share_who_acts_and_the_implicit_one_hides_it():
    pu = worlds.make("alpha_pu", HARD, seeds=3, rate=0.2)
    noisy = worlds.make("alpha_noisy", HARD, seeds=3)
    observed_SN = ~np.isnan(noisy.signals_SNK[:, :, 0])
    assert np.array_equal(pu.signals_SNK[:, :, 0], pu.truth.liked_SN * observed_SN)
    clean = worlds.make("alpha_noisy", HARD, seeds=3, rho01=0.0, rho10=0.0)
    assert np.array_equal(clean.signals_SNK[:, :, 0][observed_SN], clean.truth.liked_SN[observed_SN])
    assert (pu.truth.rho01, pu.truth.rho10, noisy.truth.rho01, noisy.truth.rho10) == (0, 0, 0.1, 0.2)
    assert worlds.make("alpha_pu", HARD).truth.propensity_SNK.mean() == pytest.approx(0.5, abs=1e-9)


def test_levels_are_the_rating_on_one_to_five_or_the_gold():
    assert levels(HARD) == pytest.approx(1 + np.array(HARD.column("rating")))
    assert levels(HARD, (-4, 4)) == pytest.approx(3 + np.array(HARD.column("rating")) / 2)
    plain = FeedbackLog.from_columns(
        {"prompt": ["a", "b"], "response": ["c", "d"], "gold": [0.25, 1.0]}, Roles(gold="gold")
    )
    assert levels(plain).tolist() == [2.0, 5.0]
    assert levels(plain, (0.25, 1)).tolist() == [1.0, 5.0]
    with pytest.raises(ConfigError, match=r"scale is \(0, 0.5\), expected finite .* of 'gold', 0.25 to 1$"):
        levels(plain, (0, 0.5))
    with pytest.raises(ConfigError, match=r"scale is \(-inf, inf\), expected finite"):
        levels(HARD, (-np.inf, np.inf))


@pytest.mark.parametrize(
    ("ratings", "told"),
    [
        (["poor", "fair"], "memory, row 1: column 'rating' is 'poor', expected a finite number on every row"),
        ([1.0, float("inf")], "row 2: column 'rating' is inf, expected a finite number on every row"),
        ([[1, 2], [3, 4]], r"row 1: column 'rating' is \[1, 2\], expected a finite number on every row"),
        (
            [1, None],
            r"row 2: column 'rating' is missing, expected a number on every row \(1 of 2 rows have none\); drop these",
        ),
        ([3, 3], "every rating is 3, expected two different ones or more"),
    ],
)
def test_ratings_that_give_no_levels_are_one_line_with_what_to_do_about_their_column(ratings, told):
    base = FeedbackLog.from_columns(
        {"prompt": ["a", "b"], "response": ["c", "d"], "gold": [0.0, 1.0], "rating": ratings},
        Roles(gold="gold"),
    )
    with pytest.raises(DataError, match=told) as caught:
        worlds.make("alpha_pu", base)
    assert "rename or drop the column 'rating', and gold gives the levels" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_noise_that_depends_on_the_text_favours_long_answers():
    world = worlds.make("instance_noise", HARD, seeds=40, rate=0.5)
    label_SN, liked_SN = world.signals_SNK[:, :, 0], world.truth.liked_SN
    long_N = design(HARD)[:, 0] > 0
    wrong = {
        (liked, part): (label_SN != liked_SN)[:, rows][
            (liked_SN == liked)[:, rows] & ~np.isnan(label_SN[:, rows])
        ]
        for liked in (0, 1)
        for part, rows in (("long", long_N), ("short", ~long_N))
    }
    rates = {key: values.mean() for key, values in wrong.items()}
    assert rates[0, "long"] > 1.5 * rates[0, "short"] and rates[1, "short"] > 1.5 * rates[1, "long"]
    assert max(rates.values()) < 0.45


def test_the_truth_of_noise_that_depends_on_the_text_is_that_of_the_rows_it_applies_to():
    world = worlds.make("instance_noise", HARD, seeds=40, rate=1 - 1e-9)
    label_SN, liked_SN, truth = world.signals_SNK[:, :, 0], world.truth.liked_SN, world.truth
    assert (label_SN == 0)[liked_SN == 1].mean() == pytest.approx(truth.rho01, abs=0.01)
    assert (label_SN == 1)[liked_SN == 0].mean() == pytest.approx(truth.rho10, abs=0.01)
