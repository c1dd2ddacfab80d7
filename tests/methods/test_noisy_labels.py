"""Noisy-label baselines: the identities on their cards, in float64, and one fit of each."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tacit.errors import ConfigError, DataError, DegenerateDataError
from tacit.methods import Observations, observations
from tacit.methods.co_teaching import CoTeaching
from tacit.methods.codis import CoDis, jensen_shannon
from tacit.methods.divide_mix import DivideMix, sharpened
from tacit.methods.eps_softmax import EpsSoftmax, eps_cross_entropy
from tacit.methods.ilde import ILDE, confusion
from tacit.methods.kmeidtm import KMEIDTM, manifold, neighbours
from tacit.methods.label_wave import LabelWave
from tacit.methods.labels import forward_nll
from tacit.methods.noisy_labels import NoisyLabels, smallest
from tacit.methods.primitives import bce
from tacit.methods.robust_divide_mix import RobustDivideMix, perturbed_label
from tacit.methods.stages.flip_rate import flip_rate
from tacit.methods.two_gaussians import low_posterior
from tacit.training.config import TrainingConfig
from tacit.training.engine import train
from tacit.training.ensemble import Plan
from tacit.training.estimator import HeadEstimator
from tacit.training.sketch import sketch
from tacit.training.views import Block, View

EXACT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}
ALL: list[NoisyLabels] = [
    CoTeaching(tau=0.3),
    CoDis(tau=0.3),
    DivideMix(),
    RobustDivideMix(),
    EpsSoftmax(),
    LabelWave(),
    KMEIDTM(),
    ILDE(),
]
AFTER = 40  # an epoch after every warm-up and ramp


def draw(*shape: int, seed: int = 0, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log(rows: int = 60, share: float = 0.5, seed: int = 1, epoch: int = AFTER) -> Observations:
    """Some rows with a label, in float64, the rest without."""
    generator = torch.Generator().manual_seed(seed)
    r = (torch.rand(rows, generator=generator) < 0.6).double()
    labelled = torch.zeros(rows, dtype=torch.bool)
    labelled[torch.randperm(rows, generator=generator)[: round(share * rows)]] = True
    return replace(observations(torch.where(labelled, r, torch.nan)), epoch=epoch)


def with_all_columns(obs: Observations) -> Observations:
    B = obs.n_rows
    w = torch.rand(B, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return obs.with_columns(
        flip_rate=torch.tensor([0.2]),
        clean=w,
        clean2=w.flip(0),
        label_rate=torch.tensor([0.6]),
        wave=torch.tensor([0.1]),
        confident=(draw(B, seed=6) > -1).double(),
        **{f"sketch{i}": draw(B, seed=50 + i) for i in range(3)},
    )


def two(rows: int = 60, members: int = 2) -> dict[str, Tensor]:
    return {
        "reward": draw(members, rows, seed=2).requires_grad_(),
        "reward2": draw(members, rows, seed=3).requires_grad_(),
    }


def trained_on(loss: Tensor, logits: dict[str, Tensor], head: str) -> Tensor:
    return torch.autograd.grad(loss.sum(), logits[head], retain_graph=True)[0] != 0


# Selection by small loss


def test_number_kept_is_the_share_of_labelled_rows_and_not_of_the_batch() -> None:
    obs, logits = log(rows=100, share=0.2), two(100)
    loss = CoTeaching(tau=0.2).loss(logits, obs)
    for head in logits:
        assert trained_on(loss, logits, head).sum(-1).tolist() == [
            16,
            16,
        ]  # 80 of 100 would keep all 20 labels


def test_each_network_learns_from_the_rows_that_its_peer_finds_easiest() -> None:
    obs, logits = log(), two()
    loss = CoTeaching(tau=0.4).loss(logits, obs)
    r, o = obs.explicit()
    for head, peer in (("reward", "reward2"), ("reward2", "reward")):
        used = trained_on(loss, logits, head)
        for m in range(2):
            own = torch.where(o, bce(logits[peer][m], r), torch.inf)
            assert set(torch.nonzero(used[m])[:, 0].tolist()) == set(own.argsort()[:18].tolist())
    r_B, keep = r, trained_on(loss, logits, "reward")
    keep2 = trained_on(loss, logits, "reward2")
    by_hand = (bce(logits["reward"], r_B) * keep).sum(-1) / 18 + (bce(logits["reward2"], r_B) * keep2).sum(
        -1
    ) / 18
    torch.testing.assert_close(obs.mean(loss, o)[..., 0], by_hand, **EXACT)


def test_co_teaching_without_noise_is_two_independent_cross_entropies() -> None:
    obs, logits = log(), two()
    r, o = obs.explicit()
    loss = CoTeaching(tau=0.0).loss(logits, obs)
    torch.testing.assert_close(loss, (bce(logits["reward"], r) + bce(logits["reward2"], r)) * o, **EXACT)


def test_rows_that_a_member_holds_out_are_neither_kept_nor_counted() -> None:
    obs, logits = log(), two()
    o = obs.explicit()[1]
    weight = torch.stack([o.double(), o.double()])
    weight[1, torch.nonzero(o)[:10, 0]] = 0  # the second member has 20 of the 30 labels
    seen = replace(obs, weight_B=weight)
    used = trained_on(CoTeaching(tau=0.5).loss(logits, seen), logits, "reward")
    assert used.sum(-1).tolist() == [15, 10]
    assert not bool((used & (weight == 0)).any())
    alone = {name: value[1:] for name, value in logits.items()}
    both = CoTeaching(tau=0.5).loss(logits, seen)[1]
    torch.testing.assert_close(
        CoTeaching(tau=0.5).loss(alone, replace(seen, weight_B=weight[1:]))[0], both, **EXACT
    )


def test_share_that_is_dropped_ramps_up_over_ten_epochs_and_is_full_when_judging() -> None:
    logits = two(100)
    for epoch, kept in ((0, 50), (5, 40), (10, 30), (99, 30), (-1, 30)):
        loss = CoTeaching(tau=0.4).loss(logits, log(100, epoch=epoch))
        assert trained_on(loss, logits, "reward").sum(-1).tolist() == [kept, kept]


def test_tau_is_the_estimated_flip_rate_of_each_member_unless_given() -> None:
    obs, logits = log(100).with_columns(flip_rate=torch.tensor([[0.2], [0.4]])), two(100)
    assert trained_on(CoTeaching().loss(logits, obs), logits, "reward").sum(-1).tolist() == [40, 30]
    assert [stage.makes for stage in CoTeaching().stages(obs)] == [("flip_rate",)]
    assert CoTeaching(tau=0.1).stages(obs) == ()
    with pytest.raises(ConfigError, match=r"tau is 1\.0"):
        CoTeaching(tau=1.0)


def test_smallest_keeps_one_at_least_none_of_one_and_first_of_equals() -> None:
    yes = torch.tensor([True, True, True, True])
    assert smallest(torch.zeros(4), yes, 0.5).tolist() == [True, True, False, False]
    assert smallest(torch.arange(4.0), yes, 0.1).tolist() == [True, False, False, False]
    assert not bool(smallest(torch.zeros(4), torch.tensor([True, False, False, False]), 1.0).any())
    ten = torch.ones(10, dtype=torch.bool)
    for tenths in range(1, 10):  # the share goes through float32, as columns do
        share = 1 - torch.tensor([1 - tenths / 10]).double()
        assert int(smallest(draw(10), ten, share).sum()) == tenths


def test_flip_rate_is_the_share_of_wrong_labels_by_enumeration() -> None:
    for liked, rho01, rho10 in ((0.3, 0.1, 0.2), (0.8, 0.25, 0.05), (0.5, 0.0, 0.4)):
        positive = liked * (1 - rho01) + (1 - liked) * rho10
        wrong = liked * rho01 + (1 - liked) * rho10
        rates = torch.tensor([rho01, rho10], dtype=torch.float64)
        assert float(flip_rate(rates[0], rates[1], positive)) == pytest.approx(wrong, abs=1e-12)


# CoDis


def test_codis_without_discrepancy_is_co_teaching() -> None:
    obs, logits = log(), two()
    plain = CoTeaching(tau=0.4).loss(logits, obs)
    assert torch.equal(CoDis(tau=0.4, discrepancy=0.0).loss(logits, obs), plain)
    assert not torch.equal(CoDis(tau=0.4, discrepancy=5.0).loss(logits, obs), plain)


def test_codis_prefers_rows_on_which_the_networks_disagree_and_minimises_bce_alone() -> None:
    obs = replace(observations(torch.ones(4).double()), epoch=AFTER)
    logits = {
        "reward": torch.tensor([[-1.0, -1.0, -1.0, 3.0]]).double().requires_grad_(),
        "reward2": torch.tensor([[-1.0, -1.0, 9.0, 3.0]]).double().requires_grad_(),
    }
    for discrepancy, kept in ((0.0, [True, False, False, True]), (10.0, [False, False, True, True])):
        loss = CoDis(tau=0.5, discrepancy=discrepancy).loss(logits, obs)
        assert trained_on(loss, logits, "reward2")[0].tolist() == kept
    torch.testing.assert_close(
        loss[0, 2], 2 * (bce(logits["reward"], torch.ones(4)) + bce(logits["reward2"], 1.0))[0, 2]
    )


def test_jensen_shannon_is_zero_for_equals_at_most_log_two_and_as_defined() -> None:
    f, g = draw(500, seed=7, scale=3), draw(500, seed=8, scale=3)
    assert float(jensen_shannon(f, f).abs().max()) < 1e-12
    p, q = torch.sigmoid(f), torch.sigmoid(g)
    m = (p + q) / 2

    def relative(a: Tensor, b: Tensor) -> Tensor:
        return a * (a / b).log() + (1 - a) * ((1 - a) / (1 - b)).log()

    torch.testing.assert_close(
        jensen_shannon(f, g), (relative(p, m) + relative(q, m)) / 2, rtol=1e-9, atol=1e-11
    )
    far = torch.tensor([50.0, 500.0])
    assert bool((jensen_shannon(far, -far) <= math.log(2) + 1e-6).all())
    assert float(jensen_shannon(far, -far)[1]) == pytest.approx(math.log(2), abs=1e-6)


# DivideMix


def test_divide_mix_that_believes_every_label_is_two_cross_entropies() -> None:
    obs, logits = log(), two()
    r, o = obs.explicit()
    sure = obs.with_columns(clean=torch.ones(60), clean2=torch.ones(60), label_rate=torch.tensor([0.6]))
    loss = DivideMix(unlabelled=0.0, balance=0.0).loss(logits, sure)
    torch.testing.assert_close(loss, (bce(logits["reward"], r) + bce(logits["reward2"], r)) * o, **EXACT)


def test_divide_mix_is_the_sum_of_its_card() -> None:
    obs, logits = with_all_columns(log(epoch=18)), two(members=1)  # half of the ramp
    r, o = obs.explicit()
    f, g = logits["reward"][0].detach(), logits["reward2"][0].detach()
    guess = (torch.sigmoid(f) + torch.sigmoid(g)) / 2
    expected = torch.zeros(())
    for own, w in ((f, obs.columns["clean"]), (g, obs.columns["clean2"])):
        s = torch.sigmoid(own)
        refined = w * r + (1 - w) * guess
        refined = refined**2 / (refined**2 + (1 - refined) ** 2)
        guessed = guess**2 / (guess**2 + (1 - guess) ** 2)
        clean = o & (w > 0.5)
        expected = expected + bce(own, refined)[clean].mean()
        expected = expected + 25.0 * 0.5 * (s - guessed).square()[o & ~clean].mean()
        mean = s[o].mean()
        expected = expected + 0.6 * (0.6 / mean).log() + 0.4 * (0.4 / (1 - mean)).log()
    found = obs.mean(DivideMix().loss(logits, obs), o)
    torch.testing.assert_close(found[0, 0], expected, rtol=1e-7, atol=1e-7)  # the prior is a float32 column


def test_divide_mix_warms_up_with_cross_entropy_less_entropy() -> None:
    obs, logits = log(epoch=3), two(members=1)
    r, _ = obs.explicit()
    expected = torch.zeros(60)
    for own in logits.values():
        s = torch.sigmoid(own[0])
        expected = expected + bce(own[0], r) + s * s.log() + (1 - s) * (1 - s).log()
    torch.testing.assert_close(DivideMix().loss(logits, obs)[0], expected, **EXACT)


def test_each_network_gets_the_division_that_the_other_one_made() -> None:
    obs = log(rows=400, share=1.0)
    r, _ = obs.explicit()
    wrong = torch.arange(400) < 100
    told = torch.where(r > 0, 3.0, -3.0).double() + draw(400, scale=0.2)
    sure = torch.where(wrong, -told, told)  # denies the first hundred labels
    made = DivideMix().refresh({"reward": sure[None], "reward2": told[None]}, obs)
    assert bool((made["clean2"][0, wrong] < 0.5).all()) and bool((made["clean2"][0, ~wrong] > 0.5).all())
    assert not torch.equal(made["clean"], made["clean2"])
    assert float(made["label_rate"]) == pytest.approx(float(r.mean()), abs=1e-12)
    assert DivideMix().refresh({"reward": sure[None], "reward2": told[None]}, replace(obs, epoch=3)) == {}


def test_where_one_side_of_the_division_is_empty_labels_are_taken_as_they_are() -> None:
    obs = log(rows=50)
    same = {"reward": torch.zeros(1, 50).double(), "reward2": torch.zeros(1, 50).double()}
    made = DivideMix().refresh(same, obs)
    assert bool((made["clean"] == 1).all()) and bool((made["clean2"] == 1).all())


def test_two_gaussians_agree_with_scikit_learn() -> None:
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(0)
    value = np.concatenate([rng.normal(0.3, 0.1, 3000), rng.normal(1.5, 0.4, 1000)])
    scaled = (value - value.min()) / (value.max() - value.min())
    model = GaussianMixture(2, reg_covar=5e-4, max_iter=500, tol=1e-9, random_state=0)
    model.fit(scaled[:, None])
    expected = model.predict_proba(scaled[:, None])[:, int(model.means_.argmin())]
    where = torch.ones(2, len(value), dtype=torch.bool)
    where[1, ::2] = False
    found = low_posterior(torch.from_numpy(value).repeat(2, 1), where)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=0.01)
    np.testing.assert_allclose(found[1].numpy(), expected, atol=0.1)  # half of the rows


def test_sharpening_keeps_certainty_and_moves_the_rest_away_from_one_half() -> None:
    s = torch.tensor([0.0, 1.0, 0.5, 0.2, 0.8]).double()
    found = sharpened(s, 0.5)
    assert found[:3].tolist() == [0.0, 1.0, 0.5] and float(found[3]) < 0.2 and float(found[4]) > 0.8
    torch.testing.assert_close(sharpened(s, 1.0), s, **EXACT)
    cold = sharpened(torch.tensor([0.0, 0.3, 0.5, 0.7, 1.0]), 0.001)  # both powers underflow
    assert cold.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_bad_label_perturbation_turns_exactly_the_labels_with_a_margin_beyond_its_inverse() -> None:
    f, r = draw(5000, scale=6), (draw(5000, seed=9) > 0).double()
    s = 0.2
    log_prob = torch.stack([torch.nn.functional.logsigmoid(-f), torch.nn.functional.logsigmoid(f)], dim=-1)
    score = torch.nn.functional.one_hot(r.long(), 2) - s * log_prob
    turned = perturbed_label(f, r, s) != r
    assert torch.equal(perturbed_label(f, r, s), score.argmax(-1).double())
    assert torch.equal(turned, torch.where(r > 0, f, -f) > 5) and 0 < int(turned.sum()) < 5000
    assert torch.equal(RobustDivideMix(perturbation=s).judged_label(f, r), perturbed_label(f, r, s))
    assert torch.equal(DivideMix().judged_label(f, r), r)


# ε-softmax


def test_eps_softmax_is_a_distribution_at_the_stated_distance_from_one_hot() -> None:
    for m in (0.0, 3.0, 1e4):
        f = draw(200, scale=3)
        chosen = [torch.exp(-eps_cross_entropy(sign * f, m)) for sign in (1, -1)]
        torch.testing.assert_close(sum(chosen), torch.ones(200).double(), **EXACT)
        top = torch.maximum(torch.sigmoid(f), torch.sigmoid(-f))
        one_hot = torch.stack([(f >= 0).double(), (f < 0).double()])
        distance = (torch.stack(chosen) - one_hot).norm(dim=0)
        torch.testing.assert_close(distance, math.sqrt(2) * (1 - top) / (m + 1), rtol=1e-9, atol=1e-11)


def test_eps_softmax_in_log_space_is_the_direct_formula() -> None:
    obs, f = log(share=1.0), draw(60, scale=3)
    r, _ = obs.explicit()
    P = torch.stack([torch.sigmoid(-f), torch.sigmoid(f)], dim=-1)
    raised = (P + 1e4 * torch.nn.functional.one_hot(P.argmax(-1), 2)) / (1e4 + 1)
    of_label = [value.gather(-1, r.long()[:, None])[:, 0] for value in (raised, P)]
    expected = -0.05 * of_label[0].log() + 2 * (1 - of_label[1])
    torch.testing.assert_close(EpsSoftmax().loss({"reward": f}, obs), expected, rtol=1e-10, atol=1e-10)


def test_eps_softmax_without_its_two_ideas_is_cross_entropy() -> None:
    obs, f = log(share=1.0), draw(60, scale=3)
    plain = 0.05 * bce(f, obs.explicit()[0])
    torch.testing.assert_close(EpsSoftmax(m=0.0, beta=0.0).loss({"reward": f}, obs), plain, **EXACT)


# LabelWave


def history(method: LabelWave, classes: list[list[int]], obs: Observations) -> list[float]:
    """The criterion after each epoch on given predictions; the first entry is the state before training."""
    columns: dict[str, Tensor] = {}
    waves = []
    for e, row in enumerate(classes):
        logits = {"reward": torch.tensor([row]).double() * 2 - 1}
        columns = method.refresh(logits, replace(obs, columns=columns, epoch=max(0, e - 1)))
        if e:
            waves.append(float(method.criterion(logits, replace(obs, columns=columns))[0, 0]))
    return waves


def flips(counts: list[int], rows: int) -> list[list[int]]:
    """Predictions of which so many change from each epoch to the next."""
    found = [[1] * rows, [0] * rows]  # before training, after the first epoch
    for count in counts:
        last = found[-1]
        found.append([1 - c if i < count else c for i, c in enumerate(last)])
    return found


def test_label_wave_stops_at_the_known_epoch_of_constructed_histories() -> None:
    obs = observations(torch.ones(20).double())
    for window, counts, best in (
        (1, [9, 6, 4, 2, 5, 8, 1], 5),  # two of them change between epochs 4 and 5
        (2, [9, 6, 4, 2, 5, 8, 9], 5),
        (3, [9, 6, 2, 4, 3, 8, 9], 6),
        (4, [9, 8, 7, 6, 5, 4, 3], 8),  # no minimum before the end: the last
    ):
        waves = history(LabelWave(window=window), flips(counts, 20), obs)
        shares = [c / 20 for c in counts]
        for t, wave in enumerate(waves):
            if t >= window:
                assert wave == pytest.approx(sum(shares[t - window : t]) / window, abs=1e-12)
            else:
                assert wave > 1 and (t == 0 or wave < waves[t - 1])
        patient = next(
            (t for t in range(len(waves)) if t + 2 < len(waves) and waves[t] < min(waves[t + 1 : t + 3])),
            None,
        )
        assert (patient if patient is not None else len(waves) - 1) + 1 == best


def test_label_wave_counts_a_members_own_labelled_rows_only() -> None:
    obs = observations(torch.tensor([1.0, 0.0, 1.0, 0.0, math.nan]).double())
    obs = replace(obs, weight_B=torch.tensor([[1.0, 1.0, 0.0, 1.0, 0.0]]).double())
    waves = history(LabelWave(window=1), [[0] * 5, [0] * 5, [1, 0, 1, 0, 1]], obs)
    assert waves[-1] == pytest.approx(1 / 3, abs=1e-12)


# Transitions and distributions


def test_kmeidtm_with_constant_rates_and_no_regulariser_is_forward_correction() -> None:
    obs, f = with_all_columns(log()), draw(2, 60)
    b = torch.tensor([-0.4, 0.7]).double()
    loss = KMEIDTM(lam=0.0).loss({"reward": f, "transition": b.expand(2, 60, 2)}, obs)
    rho01, rho10 = (torch.sigmoid(b) / 2).unbind()
    torch.testing.assert_close(loss, forward_nll(f, obs.explicit()[0], rho01, rho10), **EXACT)
    assert not torch.allclose(loss, forward_nll(f, obs.explicit()[0], rho10, rho01))
    warm = KMEIDTM().loss({"reward": f, "transition": b.expand(2, 60, 2)}, replace(obs, epoch=9))
    torch.testing.assert_close(warm, bce(f, obs.explicit()[0]), **EXACT)


def test_manifold_regulariser_is_zero_for_constant_transitions() -> None:
    obs = with_all_columns(log())
    constant = torch.tensor([0.1, 0.3]).double().expand(2, 60, 2)
    assert float(manifold(constant, torch.ones(60) > 0, obs).abs().max()) == 0
    assert float(manifold(torch.sigmoid(draw(2, 60, 2)) / 2, torch.ones(60) > 0, obs).abs().max()) > 0


def test_manifold_regulariser_is_the_mean_over_pairs_of_neighbours() -> None:
    obs = with_all_columns(log(rows=40, share=0.75))
    r, o = obs.explicit()
    weight = o.double().repeat(2, 1)
    weight[1, torch.nonzero(o)[:8, 0]] = 0
    obs = replace(obs, weight_B=weight)
    rates = torch.sigmoid(draw(2, 40, 2)) / 2
    sure = draw(2, 40, seed=4) > -1
    found = obs.mean(manifold(rates, sure, obs), o)[:, 0]
    x = torch.stack([obs.columns[f"sketch{i}"] for i in range(3)], dim=-1)
    unit = x / x.norm(dim=-1, keepdim=True)
    seen = torch.nonzero(o)[:, 0].tolist()
    squared = {(i, j): float(2 - 2 * unit[i] @ unit[j]) for i in seen for j in seen if i != j}
    near = {i: sorted((j for j in seen if j != i), key=lambda j: squared[i, j])[:7] for i in seen}
    sigma = sum(squared[i, j] for i in seen for j in near[i]) / (7 * len(seen))
    for m in range(2):
        sums, pairs = [0.0, 0.0], [0, 0]
        T = [torch.tensor([[1 - b, b], [a, 1 - a]]) for a, b in rates[m].tolist()]
        for i in seen:
            for j in near[i]:
                kind = 0 if r[i] == r[j] else 1
                usable = all(bool(weight[m, n] > 0) and bool(sure[m, n]) for n in (i, j))
                if usable and (kind == 1 or i in near[j]):
                    sums[kind] += math.exp(-squared[i, j] / sigma) * float((T[i] - T[j]).square().sum())
                    pairs[kind] += 1
        assert float(found[m]) == pytest.approx(
            sums[0] / pairs[0] - sums[1] / pairs[1], abs=1e-6
        )  # T in float32


def test_transitions_of_rates_up_to_one_half_are_at_most_one_apart() -> None:
    """So that the repelling term needs no cap: opposite corners are farthest."""
    obs = observations(
        torch.tensor([1.0, 0.0]).double(), columns={"sketch0": torch.tensor([1.0, 1.1]).double()}
    )
    rates = torch.tensor([[0.5, 0.5], [0.0, 0.0]]).double()
    row = manifold(rates, torch.ones(2) > 0, obs)
    assert row.tolist() == pytest.approx([-1.0, -1.0], abs=1e-9)  # parallel features: weight 1; one pair each


def test_neighbours_leave_out_unseen_rows_and_survive_too_few() -> None:
    seen = torch.tensor([True, False, True, True])
    near, weight, mutual = neighbours(draw(4, 3), seen, k=7)
    assert near.shape == (4, 2) and not bool(weight[1].any()) and not bool(mutual[1].any())
    assert 1 not in near[[0, 2, 3]].flatten().tolist() and bool(mutual[[0, 2, 3]].all())
    assert neighbours(draw(4, 3), torch.zeros(4) > 0)[0].shape == (4, 0)


def test_transitions_learn_from_confident_rows_alone_which_are_chosen_every_ten_epochs() -> None:
    obs = with_all_columns(log())
    b = draw(1, 60, 2, seed=11).requires_grad_()
    loss = KMEIDTM(lam=0.0).loss({"reward": draw(1, 60), "transition": b}, obs)
    moved = (torch.autograd.grad(loss.sum(), b)[0] != 0).all(-1)
    assert torch.equal(moved[0], obs.columns["confident"] > 0)
    f = draw(2, 60, seed=12)
    o = obs.explicit()[1]
    chosen = KMEIDTM().refresh({"reward": f}, replace(obs, epoch=19))["confident"]
    assert (chosen.bool() & o).sum(-1).tolist() == [24, 24]  # of 30
    assert bool(f.abs()[chosen > 0].min() > f.abs()[(chosen == 0)].max())
    kept = KMEIDTM().refresh({"reward": f}, replace(obs, epoch=18))["confident"]
    assert torch.equal(kept, obs.columns["confident"])


def test_kmeidtm_says_what_is_missing_where_no_features_reach_it() -> None:
    obs = log().with_columns(confident=torch.ones(60))
    logits = {"reward": draw(1, 60), "transition": draw(1, 60, 2)}
    with pytest.raises(DataError, match="sketch0"):
        KMEIDTM().loss(logits, obs)
    assert bool(torch.isfinite(KMEIDTM(lam=0.0).loss(logits, obs)).all())


def test_sketch_keeps_all_distances_of_narrow_features_and_most_of_wide_ones() -> None:
    rng = np.random.default_rng(0)
    for width, atol in ((5, 1e-5), (200, 0.1)):
        hidden = rng.normal(size=(300, min(width, 8))).astype(np.float32)
        X = hidden @ rng.normal(size=(hidden.shape[1], width)).astype(np.float32)
        view = View("text", (Block.fit(X + 0.01 * rng.normal(size=X.shape).astype(np.float32)),))
        columns = sketch(view, 300, 32)
        short, full = torch.stack(list(columns.values()), -1), view.rows(torch.arange(300))
        assert short.shape == (300, min(width, 32))
        torch.testing.assert_close(torch.pdist(short), torch.pdist(full), rtol=0, atol=atol)
        assert all(torch.equal(value, columns[name]) for name, value in sketch(view, 300, 32).items())


def test_ilde_without_its_distribution_is_cross_entropy() -> None:
    obs, f = log(), draw(2, 60)
    r, _ = obs.explicit()
    assert torch.equal(ILDE(lam=0.0).loss({"reward": f}, obs), bce(f, r))
    assert torch.equal(ILDE().loss({"reward": f}, replace(obs, epoch=9)), bce(f, r))


def test_ilde_adds_the_network_s_own_label_distribution() -> None:
    obs, f = log(), draw(2, 60).requires_grad_()
    r, o = obs.explicit()
    T = confusion(torch.sigmoid(f.detach()), obs)
    torch.testing.assert_close(T.sum(-1), torch.ones(2, 1, 2).double(), **EXACT)
    loss = ILDE(lam=0.5).loss({"reward": f}, obs)
    slopes = torch.autograd.grad(loss.sum(), f)[0]
    for m in range(2):
        s = torch.sigmoid(f[m].detach())
        P = torch.stack([1 - s, s], -1)
        C = P[o].T @ P[o]
        own = C / C.sum(1, keepdim=True)
        torch.testing.assert_close(T[m, 0], own, rtol=1e-9, atol=1e-9)
        target = (P @ own)[:, 1]
        torch.testing.assert_close(loss[m], bce(f[m], r) + 0.5 * bce(f[m], target), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(slopes[m], s - r + 0.5 * (s - target), rtol=1e-9, atol=1e-9)


# What all share


def logits_of(method: NoisyLabels, obs: Observations, fill: Any) -> dict[str, Tensor]:
    return {
        head.name: fill(1, obs.n_rows) if head.scalar else fill(1, obs.n_rows, len(head.bias))
        for head in method.heads(obs)
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("epoch", [0, 10, AFTER, -1])
@pytest.mark.parametrize("method", [*ALL, EpsSoftmax(m=0.0)], ids=repr)
def test_losses_and_gradients_stay_finite_at_extreme_logits(
    method: NoisyLabels, epoch: int, dtype: torch.dtype
) -> None:
    obs = with_all_columns(log(epoch=epoch))
    obs = replace(
        obs, signals_BK=obs.signals_BK.to(dtype), columns={k: v.to(dtype) for k, v in obs.columns.items()}
    )
    nothing = replace(obs, visible_BK=torch.zeros_like(obs.visible_BK))
    for seen in (obs, nothing, replace(obs, weight_B=torch.zeros(1, 60))):
        for pick in ((-50.0, 50.0, 0.0), (50.0, 50.0, 50.0), (-50.0, -50.0, -50.0)):

            def fill(*shape: int, pick: tuple[float, ...] = pick) -> Tensor:
                which = torch.randint(3, shape, generator=torch.Generator().manual_seed(len(shape)))
                return torch.tensor(pick, dtype=dtype)[which].requires_grad_()

            logits = logits_of(method, obs, fill)
            for value in (method.loss(logits, seen), method.criterion(logits, seen)):
                assert value.shape == (1, 60) and bool(torch.isfinite(value).all())
                if value.requires_grad:
                    slopes = torch.autograd.grad(value.sum(), list(logits.values()), allow_unused=True)
                    assert all(slope is None or bool(torch.isfinite(slope).all()) for slope in slopes)


@pytest.mark.parametrize("method", ALL, ids=lambda m: m.key)
def test_held_out_rows_are_judged_by_the_noisy_label_and_candidates_of_a_temperature_broadcast(
    method: NoisyLabels,
) -> None:
    obs = with_all_columns(log())
    logits = logits_of(method, obs, draw)
    tried = {**logits, "reward": logits["reward"] * torch.tensor([0.5, 1.0, 2.0]).double()[:, None, None]}
    found = method.criterion(tried, obs)
    assert found.shape == (3, 1, 60)
    if not isinstance(method, LabelWave):
        heads = [tried[name] for name in method.reward_heads]
        pooled = heads[0] if len(heads) == 1 else (heads[0] + heads[1]) / 2
        torch.testing.assert_close(found, bce(pooled, obs.explicit()[0]), **EXACT)


@pytest.mark.parametrize("method", ALL, ids=lambda m: m.key)
def test_labels_of_one_kind_are_refused(method: NoisyLabels) -> None:
    with pytest.raises(DegenerateDataError, match=f"{method.key}: all 5 rows"):
        method.check(observations(torch.ones(5)))


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": 0.0}, {"perturbation": 0.0}, {"m": -1.0}, {"window": 0}],
    ids=lambda w: next(iter(w)),
)
def test_parameters_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    owner = {"temperature": DivideMix, "perturbation": RobustDivideMix, "m": EpsSoftmax, "window": LabelWave}
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        owner[next(iter(wrong))](**wrong)


def easy_world(rows: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether a response is liked is certain; a fifth of the labels is wrong, and half are not given."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(rows, 4)).astype(np.float32)
    liked = 2 * X[:, 0] - X[:, 1] > 0.3
    label = (liked ^ (rng.random(rows) < 0.2)).astype(np.float32)
    return X, np.where(rng.random(rows) < 0.5, label, np.nan), liked


@pytest.mark.parametrize("method", [*ALL, CoTeaching(), LabelWave(window=3)], ids=repr)
def test_easy_worlds_are_learned_through_the_noise(method: NoisyLabels) -> None:
    X, labels, liked = easy_world()
    config = TrainingConfig(members=2, hidden=(), weight_decay=0.0, lr=0.05, max_epochs=14)
    model = HeadEstimator(method, config).fit(X, labels)
    scores = model.decision_function(X)
    above = scores[liked][:, None] > scores[~liked][None]
    assert above.mean() > 0.95
    assert model.ensemble_.epoch_M.min() > (0 if method.warm_up >= 14 else method.warm_up)


def test_label_wave_keeps_the_epoch_of_its_minimum_in_a_training() -> None:
    X, labels, _ = easy_world(400)
    text = View("text", (Block.fit(X),))
    held_out = torch.arange(400).repeat(2, 1) % 5 == 0
    plan = Plan((0, 1), ~held_out, held_out, torch.arange(400) % 2 == 0, (0.0, 0.0))
    obs = observations(torch.from_numpy(labels.astype(np.float32)))
    config = TrainingConfig(max_epochs=15, patience=15, lr=0.05)
    fitted = train(LabelWave(window=3), {"reward": text}, obs, plan, config, ())
    curve = np.array(fitted.curve)
    assert (curve[:3] > 1).all() and (curve[3:] <= 1).all() and (np.diff(curve[:4], axis=0) < 0).all()
    assert (curve.argmin(0) + 1).tolist() == fitted.epoch_M.tolist()
    assert fitted.calibration.scale == {}


def test_a_criterion_that_compares_no_capacities_tries_one() -> None:
    X, labels, _ = easy_world(200)
    for method, tried in ((LabelWave(window=1), 1), (EpsSoftmax(), 4)):
        model = HeadEstimator(method, TrainingConfig(members=2, max_epochs=2)).fit(X, labels)
        assert len(model.choice_.tried) == tried
