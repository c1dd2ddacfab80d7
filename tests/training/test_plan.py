"""What a member is judged by says something, and training lasts until there is something to judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tacit.errors import ConfigError
from tacit.methods import (
    BPR,
    IPS,
    NNPU,
    UBPR,
    UPL,
    UPU,
    VPU,
    CausalIPS,
    Constant,
    ImplicitRM,
    Method,
    MultiDR,
    MultiIPS,
    observations,
)
from tacit.methods.cubpr import CUBPR
from tacit.training import HeadEstimator, TrainingConfig, selection
from tacit.training.engine import batches
from tacit.training.roster import roster
from tacit.training.selection import _plan, _recalibrated

ROWS = 100
FOLDS = roster(np.arange(ROWS), 5, 0).fold_N.numpy()


def text() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(ROWS, 3))


def labels_outside_fold(fold: int) -> np.ndarray:
    liked = np.random.default_rng(1).random(ROWS) < 1 / (1 + np.exp(-2 * text()[:, 0]))
    return np.where(fold == FOLDS, np.nan, liked)


@pytest.mark.parametrize("method", [IPS(), CausalIPS()], ids=repr)
def test_a_mean_over_all_rows_is_judged_by_labelled_ones(method: Method) -> None:
    obs = observations(torch.from_numpy(labels_outside_fold(2)))
    assert bool(method.counts(obs).all())
    there = _plan(roster(np.arange(ROWS), 5, 0), (1.0,), method.judges(obs))
    assert bool(there.held_out_MN[2].all())
    assert not bool((there.held_out_MN[1] & there.train_MN[1]).any())


def test_no_member_is_best_for_want_of_labels() -> None:
    config = TrainingConfig(members=5, hidden=(), weight_decay=1.0, max_epochs=3)
    model = HeadEstimator(IPS(), config).fit(
        text(), labels_outside_fold(2), nuisances={"p": np.full(ROWS, 0.8)}
    )
    assert float(model.ensemble_.criterion_M.min()) > 0.1


@pytest.mark.parametrize("method", [UBPR(), CUBPR(), UPL()], ids=repr)
def test_pairs_are_judged_where_an_answer_was_clicked_and_another_was_not(method: Method) -> None:
    obs = observations(
        torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), groups=torch.tensor([0, 0, 1, 1, 2, 2, 3])
    )
    assert method.judges(obs).tolist() == [True, True, False, False, False, False, False]
    assert method.counts(obs).tolist() == [True, True, True, True, True, True, False]
    by_member = replace(
        obs,
        signals_BK=torch.stack([obs.signals_BK, 1 - obs.signals_BK]),
        visible_BK=obs.visible_BK.expand(2, -1, -1),
    )
    assert method.judges(by_member).tolist() == [method.judges(obs).tolist()] * 2


@pytest.mark.parametrize("method", [MultiIPS(), MultiDR()], ids=repr)
def test_a_fit_that_would_end_before_the_reward_learns_is_refused_with_the_fewest_epochs(
    method: Method,
) -> None:
    labels = labels_outside_fold(2)
    short = TrainingConfig(members=2, hidden=(), weight_decay=1.0, max_epochs=10)
    with pytest.raises(ConfigError, match=r"^multi_.*max_epochs is 10, expected 11 or more: [^\n]*$"):
        HeadEstimator(method, short).fit(text(), labels)
    enough = HeadEstimator(method, short.model_copy(update={"max_epochs": 11})).fit(text(), labels)
    assert enough.ensemble_.epoch_M.tolist() == [11, 11]


def test_a_step_holds_the_groups_that_start_in_its_window() -> None:
    groups = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 3])
    steps = batches(torch.arange(11), 4, groups)
    assert [sorted(set(groups[rows].tolist())) for rows in steps] == [[0, 1], [2], [3]]


@pytest.mark.parametrize("method", [BPR(), UPU(prior=0.5), NNPU(prior=0.5), VPU()], ids=repr)
def test_no_member_is_judged_by_a_fold_without_a_click(method: Method) -> None:
    y = (text()[:, 0] > 0.3).astype(float)
    y[FOLDS == 1] = 0
    obs = observations(torch.from_numpy(y), groups=torch.arange(ROWS) // 4)
    if isinstance(method, BPR):  # folds of whole prompts
        who = roster(np.arange(ROWS) // 4, 5, 0)
        y[who.fold_N.numpy() == 1] = 0
        obs = observations(torch.from_numpy(y), groups=torch.arange(ROWS) // 4)
    else:
        who = roster(np.arange(ROWS), 5, 0)
    there = _plan(who, (1.0,), method.judges(obs))
    assert bool(there.held_out_MN[1].all()) and bool(there.train_MN[1].all())
    assert not bool((there.held_out_MN[0] & there.train_MN[0]).any())


def test_members_that_hold_out_the_same_prompts_are_not_compared_with_each_other() -> None:
    """The constant of a ranking is open: two members may differ in it, and their scale must not depend on it."""
    X, prompts = text(), np.arange(ROWS) // 4
    clicked = (X[:, 0] + np.random.default_rng(2).normal(size=ROWS) > 0.3).astype(float)
    config = TrainingConfig(members=10, hidden=(), weight_decay=1.0, max_epochs=3)
    model = HeadEstimator(BPR(), config).fit(X, clicked, groups=prompts)
    who = roster(prompts, 10, 0)
    obs = observations(torch.from_numpy(clicked).float(), groups=torch.from_numpy(prompts))
    views = model._views(X, None)
    plain = model.ensemble_
    shift = plain.calibration.shift["reward"] + torch.arange(10) * 2.0
    moved = replace(plain, calibration=replace(plain.calibration, shift={"reward": shift}))
    scales = [
        _recalibrated(BPR(), views, obs, who, ensemble, list(range(10))).calibration.scale["reward"]
        for ensemble in (plain, moved)
    ]
    torch.testing.assert_close(*scales, rtol=1e-3, atol=1e-3)


def test_a_pass_over_a_large_log_is_cut_into_epochs_of_65536_rows_or_so() -> None:
    passes = {rows: TrainingConfig.epochs_of_a_pass(rows) for rows in (1, 65_536, 98_000, 99_000, 1_000_000)}
    assert passes == {1: 1, 65_536: 1, 98_000: 1, 99_000: 2, 1_000_000: 15}


def test_a_member_of_a_large_log_is_judged_by_some_whole_prompts_of_those_that_it_held_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prompts = np.repeat(np.arange(ROWS), 3)
    who = roster(prompts, 5, 0)
    rows = torch.ones(len(prompts), dtype=torch.bool)
    assert torch.equal(_plan(who, (1.0, 2.0), rows).judged_MN, _plan(who, (1.0, 2.0), rows).held_out_MN)
    monkeypatch.setattr(selection, "JUDGING", 7)
    there = _plan(who, (1.0, 2.0), rows)
    assert there.judged_MN.sum(1).tolist() == [9] * 10  # three prompts are the fewest with seven rows
    assert bool((there.held_out_MN | ~there.judged_MN).all())
    assert there.judged_MN.view(10, ROWS, 3).all(2).sum(1).tolist() == [3] * 10
    assert torch.equal(there.pick(torch.tensor([6])).judged_MN, there.judged_MN[6:7])
    assert not torch.equal(who.place_N, roster(prompts, 5, 1).place_N)


def test_rows_that_judge_nothing_do_not_crowd_out_those_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "JUDGING", 7)
    who = roster(np.arange(ROWS), 5, 0)
    labelled = torch.arange(ROWS) % 5 == 0
    there = _plan(who, (1.0,), labelled)
    assert torch.equal(there.judged_MN & labelled, there.held_out_MN & labelled)


def test_a_large_log_may_choose_a_decay_that_is_smaller_as_it_is_larger() -> None:
    def tried(rows: int, method: Method, **knobs: float) -> dict[tuple[int, ...], tuple[float, ...]]:
        return selection._candidates(method, observations(torch.zeros(rows)), TrainingConfig(**knobs))

    assert tried(40_000, ImplicitRM()) == selection.CANDIDATES == {(): (1.0, 5.0), (64, 16): (3.0, 30.0)}
    assert tried(200_000, ImplicitRM()) == {(): (1.0, 0.1), (64, 16): (3.0, 0.3)}
    assert tried(200_000, ImplicitRM(), weight_decay=2.0) == {(): (2.0,), (64, 16): (2.0,)}
    assert tried(200_000, Constant()) == {(): (0.0,)}
