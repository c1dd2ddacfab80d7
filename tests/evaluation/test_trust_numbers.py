"""The mathematics of `tacit report`, each against a direct computation of its own."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chi2_contingency
from small_log import log_of

from tacit import Signal
from tacit.data import FeedbackLog, Roles
from tacit.evaluation.as_it_is import NONE
from tacit.evaluation.trust import surface as surface_module
from tacit.evaluation.trust.audit import audit, half_width, rows_beside, rows_needed
from tacit.evaluation.trust.biases import LENGTH, biases, chance_of
from tacit.evaluation.trust.bins import bins_of
from tacit.evaluation.trust.predictive import PREDICTED, mean_error, predictive
from tacit.evaluation.trust.reading import Reading, SignalReading, _act, _fires
from tacit.evaluation.trust.scores import scores
from tacit.evaluation.trust.surface import cross_fitted_r2, within_groups
from tacit.methods import ImplicitRM, LatentML, observations
from tacit.methods.nuisances.estimate import Z95

# ---- how many answers to audit


@pytest.mark.parametrize("p", [0.0, 0.07, 0.31, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("within", [0.3, 0.05, 0.02])
def test_the_rows_needed_are_the_least_whose_interval_is_narrow_enough(p: float, within: float) -> None:
    narrow = next(n for n in itertools.count(1) if half_width(n, p) <= within)
    assert rows_needed(p, within) == narrow
    assert all(half_width(n, p) <= within for n in range(narrow, narrow + 500))


@pytest.mark.parametrize(("liked", "rows"), [(0, 12), (3, 10), (50, 100), (381, 400)])
def test_the_half_width_is_that_of_wilsons_interval(liked: int, rows: int) -> None:
    told = binomtest(liked, rows).proportion_ci(0.95, method="wilson")
    assert half_width(rows, liked / rows) == pytest.approx((told.high - told.low) / 2, abs=1e-12)


@pytest.mark.parametrize("interval", [(0.3, 0.7), (0.45, 0.65), (0.0, 1.0)])
@pytest.mark.parametrize("within", [0.05, 0.02])
def test_beside_a_known_interval_the_precisions_add(interval: tuple[float, float], within: float) -> None:
    p, known = 0.4, ((interval[1] - interval[0]) / (2 * Z95)) ** -2
    n = next(n for n in itertools.count() if Z95 / math.sqrt(known + n / (p * (1 - p))) <= within + 1e-12)
    assert rows_beside(p, within, interval) == n


def test_what_the_fit_knows_as_well_needs_no_audit() -> None:
    assert rows_beside(0.5, 0.05, (0.48, 0.52)) == rows_beside(0.5, 0.05, (0.5, 0.5)) == 0


@pytest.mark.parametrize(
    ("ends", "planned"), [([0.52, 0.7], 0.52), ([0.1, 0.2], 0.2), ([0.4, 0.6], 0.5), (None, 0.5)]
)
def test_an_audit_is_planned_with_the_share_nearest_to_a_half(ends: Any, planned: float) -> None:
    found = audit({"metrics": {"base_rate_interval": ends}}, True, None)
    assert found.planned == planned
    assert [need.alone for need in found.needs] == [rows_needed(planned, 0.05), rows_needed(planned, 0.02)]
    assert (found.needs[0].with_fit is None) == (ends is None)


def test_scores_without_a_level_bring_no_interval_of_theirs_into_the_plan() -> None:
    found = audit({"metrics": {"base_rate_interval": [0.1, 0.2]}}, False, None)
    assert found.planned == 0.5 and found.needs[0].with_fit is None


# ---- bins


@pytest.mark.parametrize(
    "values",
    [
        np.arange(37.0),
        np.repeat([1.0, 2.0, 3.0], [50, 1, 2]),
        np.r_[np.zeros(90), np.arange(40.0)],
        np.r_[np.arange(30.0), np.full(4, np.nan)],
        np.array([f"level {i % 23}" for i in range(60)], dtype=object),
        np.array(["only"] * 5, dtype=object),
    ],
    ids=["numbers", "few numbers", "ties", "missing", "many levels", "one level"],
)
def test_bins_add_up_to_the_log(values: Any) -> None:
    found = bins_of("column", values)
    assert sum(found.rows) == len(values) and min(found.rows) > 0
    assert len(found.labels) == len(set(found.labels)) == len(found.rows) <= 11
    for value in {
        value for value in values.tolist() if not (isinstance(value, float) and math.isnan(value))
    }:  # rows of one value stay together
        assert len(set(found.at_N[values == value].tolist())) == 1


def test_the_rarest_levels_share_a_bin_and_the_commonest_stand_first() -> None:
    values = np.repeat([f"l{i}" for i in range(14)], np.arange(14, 0, -1)).astype(object)
    found = bins_of("column", values)
    assert found.labels == (*(f"l{i}" for i in range(9)), "5 others")
    assert found.rows == [14, 13, 12, 11, 10, 9, 8, 7, 6, 5 + 4 + 3 + 2 + 1]


def test_ranges_are_named_by_the_numbers_that_lie_in_them() -> None:
    found = bins_of("column", np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 50]), ranges=2)
    assert found.labels == ("1 to 6", "7 to 50") and found.rows == [6, 5]


# ---- beyond chance?


def test_with_a_unit_a_row_the_test_is_pearsons() -> None:
    rng = np.random.default_rng(0)
    at, fired = rng.integers(0, 4, 4000), rng.random(4000) < 0.3
    table = np.array([np.bincount(at[fired], minlength=4), np.bincount(at[~fired], minlength=4)])
    assert chance_of(fired, at, np.arange(4000)) == pytest.approx(
        chi2_contingency(table, correction=False).pvalue, abs=0.02
    )


def test_rows_that_are_written_twice_are_no_further_evidence() -> None:
    rng = np.random.default_rng(1)
    at, fired = rng.integers(0, 3, 300), rng.random(300) < 0.4
    once = chance_of(fired, at, np.arange(300))
    assert once is not None
    twice = chance_of(np.tile(fired, 2), np.tile(at, 2), np.tile(np.arange(300), 2))
    assert twice == pytest.approx(once, rel=0.05)
    apart = chance_of(np.tile(fired, 2), np.tile(at, 2), np.arange(600))
    assert apart is not None and apart < once


def test_users_who_differ_make_chance_no_less_likely_than_it_says() -> None:
    """Users with rates of their own, who each saw one bin: at 1 %, few of 300 such logs are called different."""
    rng, called = np.random.default_rng(3), 0
    for _ in range(300):
        user = np.repeat(np.arange(40), 15)
        fired = rng.random(600) < rng.beta(1, 2, 40)[user]
        chance = chance_of(fired, user % 3, user)
        called += chance is not None and chance < 0.01
    assert called <= 9  # Pearson's own would call more than a hundred


def test_there_is_no_chance_where_nothing_is_compared() -> None:
    ones = np.ones(6, dtype=bool)
    assert chance_of(ones, np.arange(6) % 2, np.arange(6)) is None
    assert chance_of(np.arange(6) < 3, np.zeros(6, dtype=int), np.arange(6)) is None
    assert chance_of(np.arange(6) < 3, np.arange(6) % 2, np.zeros(6, dtype=int)) is None


# ---- what ought to fire


def heads(*, gate: bool = False) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    made = {"reward": torch.randn(5, generator=rng), "propensity": torch.randn(5, 2, generator=rng)}
    return made | ({"activity": torch.randn(5, generator=rng)} if gate else {})


def test_the_rate_of_one_signal_is_liking_times_acting() -> None:
    logits = {"reward": heads()["reward"], "propensity": heads()["propensity"][:, 0]}
    obs = observations(torch.zeros(5))
    r, e = (torch.sigmoid(logits[name].double()).numpy() for name in ("reward", "propensity"))
    assert _fires(ImplicitRM(), logits, obs, (0,)) == pytest.approx(r * e)
    assert _act(ImplicitRM(), logits, obs, 0) == pytest.approx(e)


@pytest.mark.parametrize("gate", [False, True])
def test_rates_of_several_signals_are_those_of_the_mixture(gate: bool) -> None:
    logits, obs = heads(gate=gate), observations(torch.zeros(5, 2), polarity=(1, -1))
    r = torch.sigmoid(logits["reward"].double()).numpy()
    hit = torch.sigmoid(logits["propensity"].double()).numpy()
    hit = hit * (torch.sigmoid(logits["activity"].double()).numpy()[:, None] if gate else 1)
    method = LatentML(misclicks="zero", gate=gate)
    assert _fires(method, logits, obs, (0,)) == pytest.approx(r * hit[:, 0])
    assert _fires(method, logits, obs, (1,)) == pytest.approx((1 - r) * hit[:, 1])
    assert _act(method, logits, obs, 1) == pytest.approx(hit[:, 1])
    assert _fires(method, logits, obs, (0, 1)) == pytest.approx(np.zeros(5), abs=1e-12)  # never both


def test_two_signals_of_one_kind_fire_together_as_both_rates_say() -> None:
    logits, obs = heads(), observations(torch.zeros(5, 2))
    r = torch.sigmoid(logits["reward"].double()).numpy()
    hit = torch.sigmoid(logits["propensity"].double()).numpy()
    both = _fires(LatentML(misclicks="zero", gate=False), logits, obs, (0, 1))
    assert both == pytest.approx(r * hit[:, 0] * hit[:, 1])


# ---- a log whose rates are known


def known(rows: int = 4000, seed: int = 0, **changes: Any) -> Reading:
    """Clicks drawn from the very rates that are predicted, in a log of two rows a prompt, with a slot."""
    rng = np.random.default_rng(seed)
    slot, length = rng.integers(0, 3, rows).astype(np.float64), rng.integers(1, 60, rows)
    act = np.array([0.9, 0.5, 0.2])[slot.astype(int)]
    liked = 1 / (1 + np.exp(-rng.normal(size=rows)))
    rate = act * liked
    fired = rng.random(rows) < rate
    table = {
        "prompt": [f"q {i // 2}" for i in range(rows)],
        "response": [" ".join(["word"] * n) for n in length],
        "slot": slot.tolist(),
        "copied": fired.astype(int).tolist(),
    }
    log = log_of(table)
    ones = np.ones(rows, dtype=bool)
    return replace(
        Reading(
            log=log,
            reward_N=np.log(liked / (1 - liked)),
            spread_N=None,
            liked_N=liked,
            unit_N=log.prompt_codes(),
            unit="prompt",
            prompt_N=log.prompt_codes(),
            style_NS=np.log1p(length)[:, None].astype(np.float64),
            signals=(SignalReading(Signal("copied"), fired, ones, act, rate),),
            both={},
            overlap=NONE,
            held_out=False,
            silent=None,
        ),
        **changes,
    )


def test_clicks_drawn_from_the_predicted_rates_are_off_in_one_log_of_twenty() -> None:
    off = 0
    for seed in range(60):
        found = predictive(known(600, seed))
        assert found is not None
        off += bool(found.off)
    assert off <= 8  # P(more than 8 of 60 at .05) is below .005


def test_a_context_that_the_rates_miss_is_off_and_named() -> None:
    reading = known()
    one = reading.signals[0]
    assert one.predicted_N is not None
    blind = replace(one, predicted_N=np.full(4000, one.fired_N.mean()))
    found = predictive(replace(reading, signals=(blind,)))
    assert found is not None
    assert {(cell.by, cell.label) for cell in found.off} == {("slot", "0"), ("slot", "1"), ("slot", "2")} - {
        (cell.by, cell.label) for cell in found.cells if abs(cell.z) <= found.bound
    }
    assert found.off[0].by == "slot" and found.off[0] == found.worst()


def test_every_cut_of_the_rows_has_all_of_them() -> None:
    found = predictive(known(500))
    assert found is not None
    for by in (PREDICTED, "slot", LENGTH):
        assert sum(cell.rows for cell in found.of("copied", by)) == 500


def test_rows_that_no_member_held_out_are_in_no_cell() -> None:
    reading = known(500)
    one = reading.signals[0]
    assert one.predicted_N is not None
    told = np.where(np.arange(500) < 200, np.nan, one.predicted_N)
    found = predictive(replace(reading, signals=(replace(one, predicted_N=told),)))
    assert found is not None
    assert sum(cell.rows for cell in found.of("copied", PREDICTED)) == 300


def test_an_error_is_that_of_sums_over_units_and_never_below_that_of_independent_draws() -> None:
    p, unit = np.array([0.3, 0.3, 0.5, 0.5, 0.9]), np.array([4, 4, 4, 7, 7])
    together = np.array([1.0, 1, 1, 0, 0])
    sums = [0.7 + 0.7 + 0.5, -0.5 - 0.9]
    assert mean_error(together, p, unit) == pytest.approx(math.hypot(*sums) / 5)
    independent = 2 * 0.21 + 2 * 0.25 + 0.09
    assert sums[0] ** 2 + sums[1] ** 2 > independent
    assert mean_error(p, p, unit) == pytest.approx(math.sqrt(independent) / 5)


def test_biases_are_the_rates_and_means_of_every_bin_and_name_the_ends() -> None:
    reading = known()
    slot, length = biases(reading)
    one = slot.signals[0]
    for j in range(3):
        rows = np.array(reading.log.column("slot")) == j
        assert slot.rows[j] == rows.sum()
        assert one.fired[j] == pytest.approx(reading.signals[0].fired_N[rows].mean())
        assert one.acting is not None and one.acting[j] == pytest.approx((0.9, 0.5, 0.2)[j])
        assert slot.liked is not None and reading.liked_N is not None
        assert slot.liked[j] == pytest.approx(reading.liked_N[rows].mean())
    assert one.moves and one.ends() == (0, 2)
    assert (
        slot.told[0].startswith("copied fires ") and " times as often at slot 0 as at slot 2" in slot.told[0]
    )
    assert "mostly to who acts" in slot.do
    assert not length.signals[0].moves and length.do.startswith("Nothing to do")
    assert sum(length.rows) == len(reading.log)


def test_a_difference_that_the_model_gives_to_the_answers_is_no_reason_to_rest() -> None:
    reading = known()
    one = replace(reading.signals[0], act_N=np.full(4000, 0.5))
    liked = np.array([0.9, 0.5, 0.2])[np.array(reading.log.column("slot")).astype(int)]
    slot = biases(replace(reading, signals=(one,), liked_N=liked))[0]
    assert "mostly to the answers" in slot.do and "audit" in slot.do


def test_rows_where_a_signal_could_not_be_recorded_are_in_no_rate() -> None:
    reading = known(600)
    one = reading.signals[0]
    seen = np.arange(600) % 2 == 0
    slot = biases(replace(reading, signals=(replace(one, seen_N=seen, fired_N=one.fired_N & seen),)))[0]
    assert sum(slot.signals[0].seen) == 300 and sum(slot.rows) == 600
    rows = (np.array(reading.log.column("slot")) == 0) & seen
    assert slot.signals[0].fired[0] == pytest.approx(one.fired_N[rows].mean())


def test_a_bin_of_few_rows_is_no_end() -> None:
    reading = known(600)
    rare = np.zeros(600)
    rare[:30], rare[30:55] = 1, 2  # 5 %, and less
    table = {name: reading.log.column(name) for name in ("prompt", "response", "copied")} | {
        "slot": rare.tolist()
    }
    fired = (rare == 2) | ((rare == 1) & (np.arange(600) % 3 > 0))
    one = replace(reading.signals[0], fired_N=fired)
    column = biases(replace(reading, log=log_of(table), signals=(one,)))[0]
    assert column.signals[0].seen == (545, 30, 25) and column.signals[0].ends() == (1, 0)


# ---- the surface


def test_r2_is_that_of_a_ridge_in_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface_module, "_PENALTIES", (3.0,))
    rng = np.random.default_rng(0)
    x, fold = rng.normal(size=(30, 2)) * [1, 5], np.arange(30) % 3
    y = x @ [1.0, 0.2] + rng.normal(size=30)
    y -= y.mean()
    left, total = 0.0, 0.0
    for f in range(3):
        train, test = fold != f, fold == f
        scale = np.sqrt((x[train] ** 2).mean(0))
        z, t = x[train] / scale, x[test] / scale
        beta = np.linalg.solve(z.T @ z + 3.0 * np.eye(2), z.T @ y[train])
        left += float(((y[test] - t @ beta) ** 2).sum())
        total += float((y[test] ** 2).sum())
    assert cross_fitted_r2(y, x, fold, centred=True) == pytest.approx(1 - left / total)


def test_noise_is_not_explained_and_a_feature_is() -> None:
    rng = np.random.default_rng(2)
    x, fold = rng.normal(size=(400, 12)), np.arange(400) % 5
    assert cross_fitted_r2(rng.normal(size=400), x, fold, centred=False) < 0.05
    assert cross_fitted_r2(5 + 2 * x[:, 3], x, fold, centred=False) > 0.999
    assert math.isnan(cross_fitted_r2(np.zeros(400), x, fold, centred=True))


def test_within_groups_takes_off_each_groups_mean_column_by_column() -> None:
    x = np.array([[1.0, 10], [3, 30], [7, 70]])
    assert within_groups(x, np.array([5, 5, 2])).tolist() == [[-1, -10], [1, 10], [0, 0]]


# ---- scores


def test_the_bars_add_up_to_the_log_and_rows_are_counted_from_one() -> None:
    reading = known(300)
    spread = np.linspace(0, 2, 300)
    found = scores(replace(reading, spread_N=spread))
    assert sum(found.rows) == 300 and len(found.edges) == 21
    assert (found.of, found.edges[0], found.edges[-1]) == ("P(liked)", 0.0, 1.0)
    assert found.most[0] == (300, 2.0) and len(found.most) == 10
    assert found.apart == pytest.approx((spread > 1).mean())
    ordered = scores(replace(reading, liked_N=None))
    assert ordered.of == "reward" and sum(ordered.rows) == 300 and ordered.apart is None


def test_a_log_without_signals_has_no_rates() -> None:
    table = {"prompt": ["a", "b"], "response": ["x", "y z"]}
    log = FeedbackLog.from_columns(table, Roles(), name="bare")
    reading = replace(known(2), log=log, signals=())
    assert predictive(reading) is None
    assert [bias.column for bias in biases(reading)] == [LENGTH]
