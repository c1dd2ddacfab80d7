"""The loop: members that ignore each other, determinism, resumption, early stopping, precision, refusals."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small_world import config, plan, same_bytes, tensors, views_of, world

from tacit.errors import TacitError
from tacit.methods import Constant, ImplicitRM, LatentML, Length, Method, Naive, Observations
from tacit.methods.method import Logits
from tacit.training import config as training_config
from tacit.training import state
from tacit.training.checkpoint import Checkpoint
from tacit.training.engine import train
from tacit.training.ensemble import Ensemble
from tacit.training.roster import roster
from tacit.training.selection import train_best

W = world()
P3 = plan(W.groups_N, (11, 12, 13))


class InterruptedFitError(Exception):
    pass


class StopsAfter:
    """A progress that is killed at the end of its n-th epoch (other reports, of a resumed fit say, have no note)."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.left -= bool(note)
        if self.left < 0:
            raise InterruptedFitError


def fitted(method: Method | None = None, hidden: tuple[int, ...] = (6, 3), **options: object) -> Ensemble:
    return train(method or ImplicitRM(), W.views, W.obs, P3, config(**options), hidden)


@pytest.mark.parametrize("hidden", [(), (6,), (6, 3)])
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_a_member_does_not_depend_on_its_neighbours(hidden: tuple[int, ...], decay: float) -> None:
    three = train(ImplicitRM(), W.views, W.obs, plan(W.groups_N, (11, 12, 13), decay), config(), hidden)
    for m, seed in enumerate((11, 12, 13)):
        alone = train(ImplicitRM(), W.views, W.obs, plan(W.groups_N, (seed,), decay), config(), hidden)
        together = tensors(three.pick([m]))
        for name, value in tensors(alone).items():
            # A temperature is searched on a grid: rounding may tip it between two that judge alike.
            if not name.startswith(("scale.", "shift.")):
                torch.testing.assert_close(together[name], value, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "decay", [1.0, 1e4]
)  # 1e4 × the learning rate is above 1: nothing of the weights is kept
@pytest.mark.parametrize("hidden", [(), (6, 3)])
def test_a_weight_decay_is_the_same_whether_all_members_share_it_or_not(
    hidden: tuple[int, ...], decay: float
) -> None:
    shared = plan(W.groups_N, (11, 12), decay)
    alike = tensors(train(ImplicitRM(), W.views, W.obs, shared, config(), hidden).pick([0]))
    unlike = replace(shared, weight_decay=(decay, 0.0))
    other = train(ImplicitRM(), W.views, W.obs, unlike, config(), hidden)
    for name, value in tensors(other.pick([0])).items():
        if not name.startswith(("scale.", "shift.")):
            torch.testing.assert_close(alike[name], value, rtol=0, atol=1e-4)
    none = tensors(
        train(ImplicitRM(), W.views, W.obs, plan(W.groups_N, (11, 12)), config(), hidden).pick([0])
    )
    assert not torch.allclose(none["reward.weight0"], alike["reward.weight0"], atol=1e-3)


def test_members_with_different_seeds_differ() -> None:
    rewards = fitted().logits(W.views, torch.arange(50))["reward"]
    assert rewards.shape == (3, 50) and not torch.allclose(rewards[0], rewards[1], atol=1e-2)


def test_one_seed_one_result_to_the_byte() -> None:
    assert same_bytes(fitted(), fitted())
    assert not same_bytes(fitted(), fitted(seed=1))  # another order of batches


METHODS = [ImplicitRM("em"), Naive(), Constant(), Length()]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.key)
def test_every_method_trains_and_scores_every_row(method: Method) -> None:
    ensemble = fitted(method, max_epochs=2)
    logits = ensemble.logits(W.views, torch.arange(600), batch=256)["reward"]
    assert logits.shape == ((3, 1) if method.key == "constant" else (3, 600))
    assert bool(torch.isfinite(logits).all())


@pytest.mark.parametrize("method", [*METHODS, LatentML()], ids=lambda method: method.key)
def test_every_method_passes_the_choice_of_capacity(method: Method) -> None:
    who = roster(W.groups_N, 2, seed=0)
    (ensemble,), choice = train_best(method, W.views, W.obs, who, config(max_epochs=2))
    assert ensemble.members == 2 and bool(torch.isfinite(ensemble.criterion_M).all())
    best = min(value for *_, value in choice.tried)
    assert float(ensemble.criterion_M.mean()) == pytest.approx(best)


def test_several_signals_with_a_gate_and_misclicks_train() -> None:
    many = world(signals=3)
    signals = many.obs.signals_BK.clone()
    signals[:, 2] = 1 - signals[:, 2]
    obs = replace(many.obs, signals_BK=signals, polarity=(1, 1, -1))
    method = LatentML(gate=True)
    ensemble = train(method, many.views, obs, P3, config(max_epochs=3), (4,))
    found = ensemble.logits(many.views, torch.arange(30))
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "reward": (3, 30),
        "propensity": (3, 1, 3),
        "misclick": (3, 1, 3),
        "activity": (3, 30),
    }


@pytest.mark.parametrize("killed_after", [0, 1, 2, 5])
def test_a_fit_killed_between_epochs_goes_on_to_the_same_bytes(tmp_path: Path, killed_after: int) -> None:
    def run(progress: StopsAfter | None = None) -> Ensemble:
        states = Checkpoint(tmp_path, every=0)
        return train(ImplicitRM(), W.views, W.obs, P3, config(), (6, 3), checkpoint=states, progress=progress)

    with pytest.raises(InterruptedFitError):
        run(StopsAfter(killed_after))
    resumed = run()
    assert same_bytes(resumed, fitted())
    assert resumed.curve == fitted().curve
    assert same_bytes(run(StopsAfter(0)), resumed)  # a finished fit is read, not repeated
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_a_killed_choice_of_capacity_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    who = roster(W.groups_N, 2, seed=0)
    settings = config(max_epochs=3)

    def run(states: Checkpoint | None, progress: StopsAfter | None = None) -> Ensemble:
        return train_best(ImplicitRM(), W.views, W.obs, who, settings, checkpoint=states, progress=progress)[
            0
        ][0]

    whole = run(None)
    for _ in range(2):
        with pytest.raises(InterruptedFitError):
            run(Checkpoint(tmp_path, every=0), StopsAfter(2))
    assert same_bytes(run(Checkpoint(tmp_path, every=0)), whole)


@pytest.mark.parametrize("damage", [b"", b"not a state", b"\x08\0\0\0\0\0\0\0{}      "])
def test_an_unreadable_state_only_costs_the_time_to_train_again(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "heads.safetensors").write_bytes(damage)
    again = train(
        ImplicitRM(), W.views, W.obs, P3, config(), (6, 3), checkpoint=Checkpoint(tmp_path, every=0)
    )
    assert same_bytes(again, fitted())


def test_early_stopping_keeps_the_best_epoch_of_every_member() -> None:
    # A rate at which the network over-fits within the epochs given.
    long = fitted(lr=0.1, max_epochs=25, patience=25, hidden=(32,))
    curve = torch.tensor(long.curve)
    assert long.epochs_run == 25 and curve.shape == (25, 3)
    assert int(long.epoch_M.max()) < 25
    for m, epoch in enumerate(long.epoch_M.tolist()):
        assert float(curve[epoch - 1, m]) == pytest.approx(float(curve[:, m].min()), abs=2e-6)
        short = fitted(lr=0.1, max_epochs=epoch, patience=25, hidden=(32,))
        assert int(short.epoch_M[m]) == epoch
        left, right = tensors(long.pick([m])), tensors(short.pick([m]))
        assert all(torch.equal(left[name], right[name]) for name in left)


EIGHT = plan(W.groups_N, tuple(range(20, 28)))
IMPATIENT = config(lr=0.2, max_epochs=40, patience=2)


def impatient(**options: Any) -> Ensemble:
    return train(ImplicitRM(), W.views, W.obs, EIGHT, IMPATIENT, (32,), **options)


def test_a_member_that_waited_out_its_patience_is_done_whatever_its_neighbours_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state, "_CROWDED", 0.0)  # nobody leaves the batch
    ensemble = impatient()
    curve = torch.tensor(ensemble.curve)
    for m in range(8):
        best, kept = float("inf"), 0
        for epoch, value in enumerate(curve[:, m].tolist(), start=1):
            if epoch - 1 - kept >= 2:
                break
            if value < best - 1e-6:
                best, kept = value, epoch
        assert int(ensemble.epoch_M[m]) == kept
    assert bool(
        (curve.min(0).values < ensemble.criterion_M - 1e-4).any()
    )  # some would have gone on improving


def test_members_that_are_done_leave_the_batch_and_nobody_else_notices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = impatient()
    curve = torch.tensor(here.curve)
    still = (curve[1:] != curve[:-1]).sum(1)
    assert int(still[-1]) < 8, "someone left"
    monkeypatch.setattr(state, "_CROWDED", 0.0)
    crowded = impatient()
    assert crowded.epochs_run == here.epochs_run
    for name, value in tensors(crowded).items():
        torch.testing.assert_close(tensors(here)[name], value, rtol=0, atol=1e-4)


@pytest.mark.parametrize("killed_after", [2, 3, 4])
def test_a_fit_killed_after_members_have_left_goes_on_to_the_same_bytes(
    tmp_path: Path, killed_after: int
) -> None:
    whole = impatient()
    assert whole.epochs_run > killed_after
    with pytest.raises(InterruptedFitError):
        impatient(checkpoint=Checkpoint(tmp_path, every=0), progress=StopsAfter(killed_after))
    resumed = impatient(checkpoint=Checkpoint(tmp_path, every=0))
    assert same_bytes(resumed, whole) and resumed.curve == whole.curve


def test_a_fit_stops_when_no_member_improves_for_patience_epochs() -> None:
    ensemble = fitted(lr=0.1, max_epochs=200, patience=3, hidden=(32,))
    assert ensemble.epochs_run == int(ensemble.epoch_M.max()) + 3 < 200


def test_the_kept_criterion_is_that_of_the_kept_weights() -> None:
    ensemble = fitted(hidden=(16,))
    rows = torch.nonzero(P3.held_out_MN[0])[:, 0]
    big = world(rows=6000)  # enough held-out rows to be judged by one temperature, without cross-fitting
    there = plan(big.groups_N, (1, 2))
    ensemble = train(ImplicitRM(), big.views, big.obs, there, config(), (16,))
    rows = torch.nonzero(there.held_out_MN[0])[:, 0]
    logits = ensemble.logits(big.views, rows)
    value = ImplicitRM().criterion(logits, big.obs.rows(rows)).mean(-1)
    torch.testing.assert_close(value, ensemble.criterion_M, rtol=0, atol=1e-5)


def test_an_epoch_is_judged_by_those_held_out_rows_that_the_plan_names_for_a_member() -> None:
    big = world(rows=12_000)
    there = plan(big.groups_N, (1, 2))
    first = torch.arange(12_000) % 8 < 4
    some = there.held_out_MN & torch.stack([first, ~first])
    ensemble = train(ImplicitRM(), big.views, big.obs, replace(there, judged_by_MN=some), config(), ())
    for m in range(2):
        rows = torch.nonzero(some[m])[:, 0]
        value = ImplicitRM().criterion(ensemble.pick([m]).logits(big.views, rows), big.obs.rows(rows)).mean()
        torch.testing.assert_close(value, ensemble.criterion_M[m], rtol=0, atol=1e-5)


def test_training_lowers_the_held_out_loss_below_the_constants() -> None:
    # Order, not level, is what a reward is used for: the best epoch must rank held-out rows by the truth.
    big = world(rows=3000)
    ensemble = train(ImplicitRM(), big.views, big.obs, plan(big.groups_N, (1, 2)), config(max_epochs=30), ())
    rows = torch.from_numpy((big.groups_N % 5 == 0).nonzero()[0])
    score = ensemble.logits(big.views, rows)["reward"].mean(0)
    truth = torch.from_numpy(2 * big.text_ND[:, 0] - big.text_ND[:, 1])[rows]
    assert float(torch.corrcoef(torch.stack([score, truth]))[0, 1]) > 0.9


def test_bfloat16_is_close_to_float32() -> None:
    wide = world(rows=800, width=96)
    there = plan(wide.groups_N, (1, 2))
    scores = []
    for precision in ("fp32", "bf16"):
        ensemble = train(
            ImplicitRM(), wide.views, wide.obs, there, config(precision=precision, max_epochs=4), (16,)
        )
        scores.append(ensemble.logits(wide.views, torch.arange(800))["reward"].mean(0))
    assert float(torch.corrcoef(torch.stack(scores))[0, 1]) > 0.99
    assert float((scores[0] - scores[1]).abs().max()) < 0.3


def test_members_may_carry_their_own_labels() -> None:
    order = torch.randperm(600, generator=torch.Generator().manual_seed(1))
    own = torch.stack([W.obs.signals_BK, W.obs.signals_BK[order]])  # same rate, hence the same start
    stacked = replace(W.obs, signals_BK=own, visible_BK=torch.ones_like(own, dtype=torch.bool))
    together = train(ImplicitRM(), W.views, stacked, plan(W.groups_N, (5, 5)), config(), (6,))
    for m in range(2):
        alone = replace(W.obs, signals_BK=own[m])
        single = train(ImplicitRM(), W.views, alone, plan(W.groups_N, (5,)), config(), (6,))
        left, right = tensors(together.pick([m])), tensors(single)
        for name in left:
            if not name.startswith(("scale.", "shift.")):
                torch.testing.assert_close(left[name], right[name], rtol=0, atol=1e-4)
    assert not torch.allclose(together.criterion_M[0], together.criterion_M[1], atol=1e-3)


def test_labels_of_its_held_out_rows_do_not_train_a_member() -> None:
    folds = torch.from_numpy(W.groups_N % 5)
    held_out = torch.stack([folds == 0, folds == 1])  # each trains on what the other holds out
    there = replace(P3, seeds=(1, 2), train_MN=~held_out, held_out_MN=held_out, weight_decay=(0.0, 0.0))
    rows = torch.nonzero(held_out[0])[:, 0]
    signals = W.obs.signals_BK.clone()
    signals[rows] = signals[rows.flip(0)]  # the same rate, hence the same start
    assert not torch.equal(signals, W.obs.signals_BK)
    # One epoch: later ones are chosen by the held-out labels, as they should be.
    fits = [
        train(ImplicitRM(), W.views, obs, there, config(max_epochs=1), (6,))
        for obs in (W.obs, replace(W.obs, signals_BK=signals))
    ]
    for head, weights in fits[0].pick([0]).weights.items():
        for key, value in weights.items():
            torch.testing.assert_close(value, fits[1].pick([0]).weights[head][key], rtol=0, atol=1e-6)
    other = [f.pick([1]).weights["reward"]["weight0"] for f in fits]
    assert not torch.allclose(other[0], other[1], atol=1e-4)


def test_rows_without_a_visible_signal_change_nothing() -> None:
    hidden = torch.arange(600) % 3 == 0
    blank = replace(W.obs, visible_BK=W.obs.visible_BK & ~hidden[:, None])

    def run(values: torch.Tensor) -> Ensemble:
        obs: Observations = replace(blank, signals_BK=torch.where(blank.visible_BK, blank.signals_BK, values))
        return train(ImplicitRM(), W.views, obs, P3, config(), (6,))

    assert same_bytes(run(torch.tensor(0.0)), run(torch.tensor(1.0)))


@pytest.mark.parametrize("row", [7, 0], ids=["trained on", "held out"])
def test_a_loss_that_is_not_finite_is_refused_and_says_what_to_do(row: int) -> None:
    broken = views_of(W.text_ND.copy(), W.context_NC)
    broken["reward"].blocks[0].values[row] = float("inf")
    with pytest.raises(
        TacitError, match=r"implicit_rm: the .*loss became .* in epoch 0; lower the"
    ) as refused:
        train(ImplicitRM(), broken, W.obs, P3, config(), (6,))
    assert "\n" not in str(refused.value)


class Recording(ImplicitRM):
    """Notes which rows teach in each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, list[int]] = {}

    def loss(self, logits: Logits, obs: Observations) -> torch.Tensor:
        self.rows.setdefault(obs.epoch, []).extend(obs.columns["row"].int().tolist())
        return super().loss(logits, obs)


@pytest.mark.parametrize("by_group", [False, True])
def test_the_epochs_of_a_pass_hold_every_row_once_and_those_of_the_next_are_drawn_anew(
    by_group: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_config, "_EPOCH", 200)  # 480 rows: two epochs a pass
    monkeypatch.setattr(Recording, "by_group", by_group)
    method = Recording()
    obs = replace(W.obs, group_B=torch.from_numpy(W.groups_N)).with_columns(row=torch.arange(600.0))
    train(method, W.views, obs, P3, config(max_epochs=4, batch_size=32), ())
    teaching = torch.nonzero(P3.train_MN[0])[:, 0].tolist()
    for first in (0, 2):
        assert sorted(method.rows[first] + method.rows[first + 1]) == teaching
        assert abs(len(method.rows[first]) - len(teaching) / 2) <= 32
    assert set(method.rows[0]) != set(method.rows[2])
    if by_group:  # no prompt is cut in two
        assert not set(W.groups_N[method.rows[0]]) & set(W.groups_N[method.rows[1]])


def test_what_is_made_of_all_rows_after_an_epoch_is_made_after_a_whole_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training_config, "_EPOCH", 200)
    monkeypatch.setattr(Recording, "refreshes", True)
    method = Recording()
    train(method, W.views, W.obs.with_columns(row=torch.arange(600.0)), P3, config(max_epochs=2), ())
    assert len(method.rows[0]) == len(method.rows[1]) == 480


def test_a_fit_killed_in_the_middle_of_a_pass_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_config, "_EPOCH", 100)  # five epochs a pass
    whole = fitted()
    run = partial(train, ImplicitRM(), W.views, W.obs, P3, config(), (6, 3))
    with pytest.raises(InterruptedFitError):
        run(checkpoint=Checkpoint(tmp_path, every=0), progress=StopsAfter(3))
    assert same_bytes(run(checkpoint=Checkpoint(tmp_path, every=0)), whole)
