"""Inverse propensities, doubly robust losses, CVIB, in float64: what they average to, when, and what breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from explicit_world import (
    CLEAN_RISK,
    EXACT,
    TRUE_P,
    TRUE_R,
    WRONG_P,
    F,
    X,
    by_x,
    cells,
    expected,
    noisy_cells,
    slope,
    uniform,
)

from tacit.methods import Method, observations
from tacit.methods.causal_ips import CausalIPS
from tacit.methods.cvib import CVIB, contrast
from tacit.methods.dr import DR
from tacit.methods.dr_jl import DRJL, imputation_error
from tacit.methods.ips import IPS
from tacit.methods.mrdr import MRDR
from tacit.methods.multi_dr import MultiDR
from tacit.methods.multi_ips import MultiIPS
from tacit.methods.naive_observed import NaiveObserved
from tacit.methods.primitives import bce
from tacit.methods.snips import SNIPS
from tacit.methods.stable_dr import StableDR


@pytest.mark.parametrize("method", [IPS(), DR()], ids=repr)
def test_inverse_propensities_average_to_the_clean_risk(method: Method) -> None:
    obs = cells(TRUE_R, p=TRUE_P, noisy=uniform(0, 1, 7))
    torch.testing.assert_close(expected(method, obs), CLEAN_RISK, **EXACT)
    wrong = cells(TRUE_R, p=WRONG_P, noisy=uniform(0, 1, 7))
    assert float((expected(method, wrong) - CLEAN_RISK).abs().mean()) > 0.1


def test_dr_needs_no_propensity_where_its_imputation_is_right() -> None:
    obs = cells(TRUE_R, p=WRONG_P, noisy=TRUE_R)
    torch.testing.assert_close(expected(DR(), obs), CLEAN_RISK, **EXACT)


def test_clipping_loses_what_the_identity_says() -> None:
    lost = -(1 - TRUE_P / 0.5).clamp(min=0) * CLEAN_RISK
    bias = expected(IPS(clip=0.5), cells(TRUE_R, p=TRUE_P)) - CLEAN_RISK
    torch.testing.assert_close(bias, lost, **EXACT)
    assert float(lost.min()) < -0.1


@pytest.mark.parametrize("method", [SNIPS(clip=0.01), CausalIPS(clip=0.01, self_normalised=True)], ids=repr)
def test_self_normalised_weights_do_not_know_the_scale_of_the_propensity(method: Method) -> None:
    one, half = noisy_cells(TRUE_P), noisy_cells(TRUE_P / 2)
    torch.testing.assert_close(expected(method, half), expected(method, one), **EXACT)
    assert not torch.allclose(expected(IPS(clip=0.01), half), expected(IPS(clip=0.01), one))


def test_snips_is_a_ratio_of_sums_over_the_rows_of_each_member() -> None:
    label = torch.tensor([1.0, 0.0, float("nan"), 1.0], dtype=torch.float64)
    p = torch.tensor([0.5, 0.25, 0.5, 0.1], dtype=torch.float64)
    own = torch.tensor([[1.0, 1, 1, 0], [1, 0, 1, 1]], dtype=torch.float64)  # rows that others hold out
    obs = replace(observations(label, columns={"p": p}), weight_B=own)
    f = uniform(-2, 2, 9, 8).view(2, 4)
    loss = SNIPS().loss({"reward": f}, obs)
    w = own * ~torch.isnan(label) / p
    wanted = (w * bce(f, label.nan_to_num())).sum(-1) / w.sum(-1)
    torch.testing.assert_close((loss * own).sum(-1) / own.sum(-1), wanted, **EXACT)


def test_a_saturated_imputation_of_dr_jl_balances_its_weighted_residuals() -> None:
    obs = cells(TRUE_R, p=WRONG_P)
    f = {"reward": F}
    best = slope(DRJL(), obs, {**f, "imputation": TRUE_R.logit()})["imputation"]
    assert float(best.abs().max()) < 1e-12
    off = slope(DRJL(), obs, {**f, "imputation": TRUE_R.logit() + 0.5})["imputation"]
    assert bool((off > 0)[F.abs() > 0.1].all())
    residual = obs.explicit()[0] - TRUE_R.repeat_interleave(3)
    mean = by_x(DRJL().imputation_weights(obs) * residual, obs)
    torch.testing.assert_close(mean, torch.zeros_like(mean), **EXACT)


def test_what_the_imputation_misses_is_a_difference_of_losses() -> None:
    obs, f, m = cells(TRUE_R), F.repeat_interleave(3), uniform(0, 1, 7, 3 * X)
    torch.testing.assert_close(imputation_error(f, m, obs), bce(f, m) - bce(f, obs.explicit()[0]), **EXACT)


@pytest.mark.parametrize("method", [DRJL(), MRDR()], ids=repr)
def test_joint_learning_moves_the_reward_by_the_doubly_robust_loss_alone(method: Method) -> None:
    m = uniform(0.1, 0.9, 7)
    obs = cells(TRUE_R, p=WRONG_P, noisy=m)
    joint = slope(method, obs, {"reward": F, "imputation": m.logit()})["reward"]
    torch.testing.assert_close(joint, slope(DR(clip=0.1), obs, {"reward": F})["reward"], **EXACT)


def test_mrdr_weighs_by_the_variance_of_the_doubly_robust_loss() -> None:
    m = uniform(0.1, 0.9, 7)
    obs = cells(TRUE_R, p=TRUE_P)
    error = imputation_error(F.repeat_interleave(3), m.repeat_interleave(3), obs)
    by_label = error.view(X, 3)[:, 1:]  # errors at r = 0 and r = 1
    over_o = (1 - TRUE_P) / TRUE_P * (TRUE_R * by_label[:, 1] ** 2 + (1 - TRUE_R) * by_label[:, 0] ** 2)
    found = by_x(MRDR().imputation_weights(obs) * error.square(), obs)
    torch.testing.assert_close(found, over_o, **EXACT)
    certain = observations(torch.tensor([0.0, 1.0]), columns={"p": torch.ones(1, dtype=torch.float64)})
    assert float(MRDR().imputation_weights(certain).abs().max()) == 0


@pytest.mark.parametrize(("method", "alone"), [(MultiIPS(), IPS()), (MultiDR(), DR())])
def test_on_a_frozen_trunk_with_the_true_propensity_the_reward_learns_as_alone(
    method: MultiIPS, alone: Method
) -> None:
    m = uniform(0.1, 0.9, 7)
    outputs = [F, TRUE_P.logit(), m.logit()][: 2 if type(method) is MultiIPS else 3]
    obs = cells(TRUE_R, p=TRUE_P, noisy=m)
    shared = slope(method, obs, {"reward": torch.stack(outputs, -1)})["reward"]
    torch.testing.assert_close(shared[:, 0], slope(alone, obs, {"reward": F})["reward"], **EXACT)
    propensity = (torch.sigmoid(outputs[1]) - TRUE_P) / X  # moved by its own task alone
    torch.testing.assert_close(shared[:, 1], propensity, **EXACT)


@pytest.mark.parametrize("method", [MultiIPS(), MultiDR()], ids=repr)
def test_multi_task_losses_warm_up_on_the_propensity_alone(method: MultiIPS) -> None:
    obs = cells(TRUE_R, p=TRUE_P)
    outputs = torch.stack([F, F, F][: len(method.heads(obs)[0].bias)], -1)
    for epoch, warm in ((0, True), (9, True), (10, False), (-1, False)):
        moved = slope(method, replace(obs, epoch=epoch), {"reward": outputs})["reward"]
        assert bool((moved[:, 0] == 0).all()) is warm and bool((moved[:, 1] != 0).all())


def test_under_exact_balance_the_stable_form_is_doubly_robust() -> None:
    obs = cells(TRUE_R, p=WRONG_P)
    o, f = obs.explicit()[1].double(), F.repeat_interleave(3)
    w = o / WRONG_P.repeat_interleave(3)
    w = w / obs.mean(w)
    imputed = uniform(0, 3, 11, 3 * X)
    # Shift the imputed loss of labelled rows until the weighted mean equals the mean of all.
    share = obs.mean(o)
    imputed = imputed + (obs.mean(imputed) - obs.mean(w * imputed)) / (1 - share) * o
    torch.testing.assert_close(obs.mean(w * imputed), obs.mean(imputed), rtol=0, atol=1e-14)
    observed_loss = bce(f, obs.explicit()[0])
    doubly_robust = obs.mean(imputed) + obs.mean(w * (observed_loss - imputed))
    snips = SNIPS().loss({"reward": f}, obs.with_columns(p=WRONG_P.repeat_interleave(3)))
    torch.testing.assert_close(obs.mean(snips), doubly_robust, rtol=0, atol=1e-14)


def test_stable_dr_moves_each_head_by_its_own_term() -> None:
    obs = cells(TRUE_R, p=WRONG_P)
    m, u = uniform(0.1, 0.9, 7), WRONG_P.logit()
    moved = slope(StableDR(clip=0.01), obs, {"reward": F, "selection": u, "imputation": m.logit()})
    snips = slope(SNIPS(clip=0.01), obs, {"reward": F})["reward"]
    torch.testing.assert_close(moved["reward"], snips, **EXACT)

    free = u.clone().requires_grad_()
    lhat, p = bce(F, m), torch.sigmoid(free)
    centred = lhat - lhat.mean()
    balance = ((1 - TRUE_P / p) * centred).mean()
    wanted = torch.autograd.grad(bce(free, TRUE_P).mean() + balance.square(), free)[0]
    torch.testing.assert_close(moved["selection"], wanted, **EXACT)
    unbalanced = slope(
        StableDR(clip=0.01, eta=0.0), obs, {"reward": F, "selection": u, "imputation": m.logit()}
    )
    assert float((unbalanced["selection"] - moved["selection"]).abs().max()) > 1e-5


def test_stable_dr_skips_the_reward_where_few_rows_of_a_batch_have_labels() -> None:
    label = torch.full((40,), float("nan"))
    for labelled, moves in ((7, False), (8, True)):
        label[:labelled] = 1.0
        f = torch.zeros(40, requires_grad=True)
        loss = StableDR().loss(
            {"reward": f, "selection": torch.zeros(40), "imputation": torch.zeros(40)}, observations(label)
        )
        loss.sum().backward()
        assert f.grad is not None and bool((f.grad != 0).any()) is moves


def test_cvib_without_its_two_terms_is_naive_observed() -> None:
    obs, logits = cells(TRUE_R), {"reward": F.repeat_interleave(3)}
    assert torch.equal(CVIB(0.0, 0.0).loss(logits, obs), NaiveObserved().loss(logits, obs))


def test_cvib_adds_what_its_formula_says() -> None:
    obs, f = cells(TRUE_R), F.repeat_interleave(3)
    s, o = torch.sigmoid(f), obs.explicit()[1]
    a, b = obs.mean(s, o), obs.mean(s, ~o)
    cross = -a * b.log() - (1 - a) * (1 - b).log()
    entropy = obs.mean(s * s.log() + (1 - s) * (1 - s).log(), o)
    wanted = obs.mean(NaiveObserved().loss({"reward": f}, obs)) + 0.3 * cross + 0.7 * entropy
    torch.testing.assert_close(obs.mean(CVIB(0.3, 0.7).loss({"reward": f}, obs)), wanted, **EXACT)


def test_the_contrast_is_least_where_unlabelled_rows_are_liked_as_much_as_labelled_ones() -> None:
    label = torch.tensor([1.0, 0.0, float("nan")], dtype=torch.float64)
    s = torch.linspace(0.05, 0.95, 91, dtype=torch.float64)
    f = torch.stack([torch.full_like(s, 0.9), torch.full_like(s, 0.5), s], -1).logit()
    value = contrast(f, observations(label))[:, 0]
    assert float(s[value.argmin()]) == pytest.approx(0.7, abs=1e-9)


@pytest.mark.parametrize("label", [[1.0, 0.0], [float("nan")] * 2])
def test_the_contrast_is_nothing_where_one_of_its_sides_is_empty(label: list[float]) -> None:
    obs = observations(torch.tensor(label, dtype=torch.float64))
    assert contrast(torch.tensor([0.5, 2.0], dtype=torch.float64), obs).tolist() == [0.0]


def test_the_imputation_of_multi_dr_learns_from_labels_alone_whatever_the_propensity() -> None:
    m, obs = uniform(0.1, 0.9, 7), cells(TRUE_R)
    outputs = torch.stack([F, WRONG_P.logit(), m.logit()], -1)
    moved = slope(MultiDR(), obs, {"reward": outputs})["reward"][:, 2]
    torch.testing.assert_close(moved, TRUE_P * (m - TRUE_R) / X, **EXACT)
