"""Temperatures change confidence and not the level; views have unit variance; hold-outs keep prompts whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import ConfigError
from tacit.methods import ImplicitRM, LatentML, Naive, observations
from tacit.training.config import TrainingConfig
from tacit.training.heads import Layout, forward, initial_weights, select_members
from tacit.training.roster import HOLD_OUT_FOLDS, grouped_folds, roster, teams
from tacit.training.selection import _plan
from tacit.training.temperature import fit_temperatures, judge, mean_criterion, neutral, recalibrate
from tacit.training.views import Block, View

N, M = 2000, 3


def held_out(over_confidence: float = 4.0) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Logits that are too sure of themselves by that factor, and the clicks."""
    generator = torch.Generator().manual_seed(0)
    f, g = torch.randn(2, N, generator=generator)
    y = torch.rand(N, generator=generator) < torch.sigmoid(f) * torch.sigmoid(g)
    logits = {"reward": over_confidence * f.repeat(M, 1), "propensity": g.repeat(M, 1)}
    return logits, y.float()


def test_a_temperature_lowers_the_held_out_criterion_and_keeps_the_mean_logit() -> None:
    logits, y = held_out()
    obs, method = observations(y), ImplicitRM()
    fitted = fit_temperatures(method, logits, obs, neutral({"reward": (M,), "propensity": (M,)}))
    scaled = fitted.apply(logits)
    before, after = (mean_criterion(method, values, obs) for values in (logits, scaled))
    assert bool((after < before - 0.02).all())
    assert bool((fitted.scale["reward"] < 0.5).all())
    for name, value in scaled.items():
        torch.testing.assert_close(value.mean(1), logits[name].mean(1), rtol=0, atol=1e-4)


def test_each_signal_of_a_head_keeps_its_own_level() -> None:
    generator = torch.Generator().manual_seed(1)
    levels = torch.tensor([-4.0, 0.0, 1.0])
    logits = {
        "reward": torch.randn(M, N, generator=generator),
        "propensity": 3 * torch.randn(M, N, 3, generator=generator) + levels,
    }
    y = (torch.rand(N, 3, generator=generator) < torch.tensor([0.01, 0.3, 0.4])).float()
    start = neutral({"reward": (M,), "propensity": (M, 3)})
    fitted = fit_temperatures(LatentML(misclicks="zero"), logits, observations(y), start)
    assert bool((fitted.scale["propensity"] < 0.7).all())
    scaled = fitted.apply(logits)["propensity"]
    torch.testing.assert_close(scaled.mean(1), logits["propensity"].mean(1), rtol=0, atol=1e-4)


def test_a_temperature_never_changes_the_order() -> None:
    logits, y = held_out()
    start = neutral({"reward": (M,), "propensity": (M,)})
    scaled = fit_temperatures(ImplicitRM(), logits, observations(y), start).apply(logits)
    assert torch.equal(scaled["reward"].argsort(1), logits["reward"].argsort(1))


def test_on_few_rows_a_temperature_is_judged_on_rows_that_did_not_fit_it() -> None:
    logits, y = held_out()
    few = {name: value[:, :200] for name, value in logits.items()}
    obs, start = observations(y[:200]), neutral({"reward": (M,), "propensity": (M,)})
    fitted, honest = judge(ImplicitRM(), few, obs, start, torch.arange(200) < 100)
    flattered = mean_criterion(ImplicitRM(), fitted.apply(few), obs)
    assert bool((honest >= flattered - 1e-6).all())


def test_recalibration_finds_the_scale_and_the_level_that_made_the_clicks() -> None:
    generator = torch.Generator().manual_seed(2)
    true = 1.5 * torch.randn(20_000, generator=generator)
    y = (torch.rand(20_000, generator=generator) < torch.sigmoid(true)).float()
    scale, shift = recalibrate(Naive(), {"reward": 2 * true + 1}, observations(y), ("reward",))
    assert scale["reward"] == pytest.approx(0.5, abs=0.03) and shift["reward"] == pytest.approx(
        -0.5, abs=0.05
    )


def test_recalibration_gives_every_signal_of_a_head_its_own_level() -> None:
    generator = torch.Generator().manual_seed(3)
    levels = torch.tensor([-4.0, 0.0, 0.0])
    true = torch.randn(20_000, 3, generator=generator) + levels
    y = (torch.rand(20_000, 3, generator=generator) < torch.sigmoid(true)).float()
    logits = {"reward": torch.full((20_000,), 12.0), "propensity": 3 * true}
    scale, shift = recalibrate(LatentML(misclicks="zero"), logits, observations(y), ("propensity",))
    assert scale["propensity"] == pytest.approx(1 / 3, abs=0.03)
    torch.testing.assert_close(shift["propensity"], torch.zeros(3), rtol=0, atol=0.15)


def test_a_scale_that_no_row_decides_stays_where_it_is() -> None:
    logits, _ = held_out()
    blind = observations(torch.full((N,), float("nan")))
    start = neutral({"reward": (M,), "propensity": (M,)})
    fitted = fit_temperatures(ImplicitRM(), logits, blind, start)
    assert all(torch.equal(fitted.scale[name], start.scale[name]) for name in start.scale)


def test_recalibration_of_nothing_or_of_rows_that_say_nothing_is_the_identity() -> None:
    blind = observations(torch.full((10,), float("nan")))
    assert recalibrate(Naive(), {"reward": torch.ones(10)}, blind, ("reward",)) == (
        {"reward": 1},
        {"reward": 0},
    )
    assert recalibrate(Naive(), {"reward": torch.ones(10)}, observations(torch.ones(10)), ()) == ({}, {})


def test_rows_without_information_do_not_count_in_the_criterion() -> None:
    logits, y = held_out()
    signals = y.clone()
    signals[::2] = float("nan")
    odd = {name: value[:, 1::2] for name, value in logits.items()}
    for method in (ImplicitRM(), Naive()):
        whole = mean_criterion(method, logits, observations(signals))
        torch.testing.assert_close(whole, mean_criterion(method, odd, observations(y[1::2])))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("writeable", [True, False])
def test_a_block_counts_as_one_feature_of_variance_one_however_wide(dtype: type, writeable: bool) -> None:
    rng = np.random.default_rng(0)
    wide, narrow = (rng.normal(3, 5, size=(500, d)).astype(dtype) for d in (96, 4))
    wide.flags.writeable = writeable
    x = View("text", (Block.fit(wide), Block.fit(narrow))).rows(torch.arange(500))
    assert x.dtype == torch.float32 and x.shape == (500, 100)
    for part in (x[:, :96], x[:, 96:]):
        assert float(part.var(0, correction=0).sum()) == pytest.approx(1, abs=1e-3)
        torch.testing.assert_close(part.mean(0), torch.zeros(part.shape[1]), rtol=0, atol=1e-3)


def test_a_view_gathers_the_rows_asked_for_in_their_order() -> None:
    values = np.arange(20, dtype=np.float32).reshape(10, 2)
    view = View("text", (Block.fit(values),))
    index = torch.tensor([7, 0, 7])
    torch.testing.assert_close(view.rows(index), view.rows(torch.arange(10))[index])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_standardised_once_are_those_standardised_batch_by_batch(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    # more rows than are standardised at a time
    embedding = rng.normal(2, 3, size=(4500, 70)).astype(np.float16)
    style = rng.normal(size=(4500, 3)).astype(np.float32)
    view = View("text", (Block.fit(embedding), Block.fit(style)))
    kept = view.keep(dtype)
    rows = torch.from_numpy(rng.permutation(4500)[:300])
    assert kept.kept is not None and torch.equal(kept.rows(rows, dtype), view.rows(rows, dtype))
    other = torch.bfloat16 if dtype == torch.float32 else torch.float32
    assert torch.equal(kept.rows(rows, other), view.rows(rows, other))
    monkeypatch.setattr("tacit.training.views._KEPT", 4500 * 73 - 1)
    assert view.keep(dtype) is view


def test_a_network_starts_close_to_its_bias_and_never_equal_to_another_head() -> None:
    reward, propensity = ImplicitRM().heads(observations(torch.tensor([1.0, 0.0, 0.0, 0.0])))
    x = torch.randn(50, 20, generator=torch.Generator().manual_seed(0)) / 20**0.5
    out = {}
    for head in (reward, propensity):
        layout = Layout(head, 20, (16,))
        weights = initial_weights(layout, (1, 2, 3))
        out[head.name] = forward(layout, weights, x)
        assert float((out[head.name] - head.bias[0]).abs().max()) < 1
        one = forward(layout, select_members(layout, weights, torch.tensor([1])), x)
        torch.testing.assert_close(one[0], out[head.name][1])
    start = torch.tensor(propensity.bias)
    assert not torch.allclose(out["reward"], out["propensity"] - start, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.integers(0, 12), min_size=1, max_size=60),
    members=st.integers(1, 7),
    seed=st.integers(0, 5),
)
def test_a_held_out_row_never_shares_its_prompt_with_a_training_row(
    groups: list[int], members: int, seed: int
) -> None:
    codes = np.array(groups, dtype=np.int64)
    there = _plan(roster(codes, members, seed), (0.1, 1.0), torch.ones(len(codes), dtype=torch.bool))
    assert there.train_MN.shape == (2 * members, len(codes)) == there.held_out_MN.shape
    for train_N, held_N in zip(there.train_MN.numpy(), there.held_out_MN.numpy(), strict=True):
        assert train_N.any() and held_N.any()
        if len(set(groups)) >= HOLD_OUT_FOLDS:
            assert not set(codes[train_N]) & set(codes[held_N])
    for code in set(groups):
        assert len(set(there.half_N[torch.from_numpy(codes == code)].tolist())) == 1


def test_the_folds_of_five_members_judge_every_row_once() -> None:
    there = _plan(roster(np.arange(100) // 2, 5, 0), (1.0,), torch.ones(100, dtype=torch.bool))
    assert torch.equal(there.held_out_MN.sum(0), torch.ones(100, dtype=torch.int64))


def test_folds_hold_nearly_equal_numbers_of_prompts() -> None:
    folds = grouped_folds(np.arange(103), 5, seed=3)
    assert sorted(np.bincount(folds).tolist()) == [20, 20, 21, 21, 21]


def test_a_team_of_a_cross_validation_never_touches_its_outer_fold() -> None:
    groups = np.arange(120) // 3
    outer = grouped_folds(groups, 4, seed=9)
    allowed = torch.stack([torch.from_numpy(outer != t) for t in range(4)])
    who = teams(roster(groups, 2, seed=0), allowed, seeds=range(4))
    assert len(set(who.seeds)) == 8
    there = _plan(who, (1.0,), torch.ones(120, dtype=torch.bool))
    for m, team in enumerate(who.team):
        touched = there.train_MN[m] | there.held_out_MN[m]
        assert not bool(touched[torch.from_numpy(outer == team)].any())


@pytest.mark.parametrize(
    "wrong", [{"members": 0}, {"lr": 0}, {"precision": "fp8"}, {"hidden": (0,)}, {"memberz": 2}]
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"^config: [^\n]*{next(iter(wrong))}[^\n]*$"):
        TrainingConfig(**wrong)  # type: ignore[arg-type]


def test_a_member_whose_fold_says_nothing_is_judged_on_all_its_rows() -> None:
    who = roster(np.arange(100), 5, 0)
    counts = who.fold_N != 2  # the labels of fold 2 are all unknown
    there = _plan(who, (1.0,), counts)
    assert bool(there.held_out_MN[2].all()) and bool(there.train_MN[2].all())
    assert not bool((there.held_out_MN[1] & there.train_MN[1]).any())
