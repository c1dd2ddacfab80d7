"""Positive-unlabelled estimators against a population that is enumerated, in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from positive_unlabelled_world import population, some_logits
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods.elkan_noto import ElkanNoto, liked_though_silent
from tacit.methods.method import Method
from tacit.methods.nnpu import NNPU
from tacit.methods.observations import Observations, observations
from tacit.methods.primitives import bce
from tacit.methods.pu_balanced import PUBalanced
from tacit.methods.rel_mf import RelMF
from tacit.methods.rel_mf_noclip import RelMFNoClip
from tacit.methods.sar_ipw import SARIPW
from tacit.methods.upu import UPU
from tacit.methods.vpu import VPU
from tacit.methods.wmf import WMF

EXACT = {"rtol": 0, "atol": 1e-12}


def objective(method: Method, f_B: Tensor, obs: Observations) -> Tensor:
    """The weighted mean of the rows, as the engine takes it."""
    assert obs.weight_B is not None
    return (method.loss({"reward": f_B}, obs) * obs.weight_B).sum(-1) / obs.weight_B.sum(-1)


def slope(method: Method, f_X: Tensor, x_B: Tensor, obs: Observations) -> Tensor:
    f_X = f_X.clone().requires_grad_()
    return torch.autograd.grad(objective(method, f_X[x_B], obs), f_X)[0]


@pytest.mark.parametrize("supplied", [True, False])
def test_upu_is_the_clean_risk_of_the_whole_sample(supplied: bool) -> None:
    world = population(activity=0.3)
    f_B = some_logits(6)[world.x_B]
    clean = world.expect(bce(f_B, world.liked_B))
    method = UPU(prior=world.prior) if supplied else UPU()
    torch.testing.assert_close(objective(method, f_B, world.obs), clean, **EXACT)
    assert abs(objective(UPU(prior=world.prior + 0.05), f_B, world.obs) - clean) > 1e-3


def test_upu_over_silent_rows_alone_as_published_is_biased() -> None:
    world = population(activity=0.3)
    f_X, y_B = some_logits(6), world.obs.signals_BK[:, 0]

    def published(f_B: Tensor) -> Tensor:
        return -world.prior * world.expect(y_B * f_B) / world.share + world.expect(
            (1 - y_B) * softplus(f_B)
        ) / (1 - world.share)

    clean = world.expect(bce(f_X[world.x_B], world.liked_B))
    assert abs(published(f_X[world.x_B]) - clean) > 5e-3
    # The same on silent rows with the prior that is left among them is right again, for the risk of silent rows.
    left = (world.prior - world.share) / (1 - world.share)
    f_B = f_X[world.x_B]
    silent = -left * world.expect(y_B * f_B) / world.share + world.expect((1 - y_B) * softplus(f_B)) / (
        1 - world.share
    )
    truth = world.expect((1 - y_B) * bce(f_B, world.liked_B)) / (1 - world.share)
    torch.testing.assert_close(silent, truth, **EXACT)


def test_upu_with_every_like_shown_is_cross_entropy() -> None:
    world = population(activity=1.0)
    f_B = some_logits(6)[world.x_B]
    naive = world.expect(bce(f_B, world.obs.signals_BK[:, 0]))
    torch.testing.assert_close(objective(UPU(prior=world.share), f_B, world.obs), naive, **EXACT)


@pytest.mark.parametrize("mode", ["ascent", "clamp"])
def test_nnpu_is_upu_while_the_rest_risk_is_not_negative(mode: str) -> None:
    world = population(activity=0.3)
    f_X, method = some_logits(6), NNPU(prior=world.prior, mode=mode)  # type: ignore[arg-type]
    torch.testing.assert_close(
        objective(method, f_X[world.x_B], world.obs),
        objective(UPU(world.prior), f_X[world.x_B], world.obs),
        **EXACT,
    )
    torch.testing.assert_close(
        slope(method, f_X, world.x_B, world.obs), slope(UPU(world.prior), f_X, world.x_B, world.obs), **EXACT
    )


def test_nnpu_steps_back_where_the_rest_risk_is_negative_for_that_member_alone() -> None:
    y_B = torch.tensor([1.0, 0, 0, 0, 1.0, 0], dtype=torch.float64)
    weight_MB = torch.tensor([[1.0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1]], dtype=torch.float64)
    obs = replace(observations(y_B), weight_B=weight_MB)
    f_MB = torch.tensor([5.0, -5, -5, -5, -1, 4], dtype=torch.float64).repeat(2, 1).requires_grad_()
    prior = 0.9
    mean_P = torch.stack([f_MB[0, 0], f_MB[1, 4]])
    everywhere = (softplus(f_MB) * weight_MB).sum(-1) / weight_MB.sum(-1)
    liked, rest = prior * softplus(-mean_P), everywhere - prior * softplus(mean_P)
    assert rest[0] < -0.5 and rest[1] > 0.1
    for method, first in (
        (NNPU(prior, gamma=0.5), -0.5 * rest[0]),
        (NNPU(prior, mode="clamp"), liked[0]),
        (NNPU(prior, beta=10.0), liked[0] + rest[0]),
    ):
        got = objective(method, f_MB, obs)
        expected = torch.stack([first, liked[1] + rest[1]])
        torch.testing.assert_close(got, expected, **EXACT)
        torch.testing.assert_close(
            torch.autograd.grad(got.sum(), f_MB, retain_graph=True)[0],
            torch.autograd.grad(expected.sum(), f_MB, retain_graph=True)[0],
            **EXACT,
        )


@pytest.mark.parametrize("method", [UPU(), NNPU()], ids=repr)
def test_upu_and_nnpu_are_judged_by_a_likelihood_that_the_truth_minimises(method: Method) -> None:
    world = population(activity=0.3)

    def pull(r_X: Tensor) -> Tensor:
        f_X = torch.logit(r_X).requires_grad_()
        judged = world.expect(method.criterion({"reward": f_X[world.x_B]}, world.obs))
        return torch.autograd.grad(judged, f_X)[0]

    torch.testing.assert_close(pull(world.r_X), torch.zeros(6, dtype=torch.float64), **EXACT)
    assert pull(0.9 * world.r_X).abs().max() > 1e-3


def test_elkan_noto_weight_is_the_chance_that_a_silent_row_is_liked() -> None:
    world = population(activity=0.3)
    r_B = world.r_X[world.x_B]
    truth = r_B * 0.7 / (1 - 0.3 * r_B)
    torch.testing.assert_close(liked_though_silent(world.obs), truth, rtol=0, atol=1e-15)
    f_B = some_logits(6)[world.x_B]
    torch.testing.assert_close(
        objective(ElkanNoto(), f_B, world.obs), world.expect(bce(f_B, world.liked_B)), **EXACT
    )
    wrong = world.obs.with_columns(frequency=torch.tensor([0.25], dtype=torch.float64))
    assert (liked_though_silent(wrong) - truth).abs().max() > 0.01
    above = world.obs.with_columns(clicked=torch.full_like(truth, 0.31))
    assert bool((liked_though_silent(above) == 1).all())


@pytest.mark.parametrize("method", [ElkanNoto("weight"), ElkanNoto("scale")], ids=["weight", "scale"])
def test_elkan_noto_is_stationary_at_the_truth(method: ElkanNoto) -> None:
    world = population(activity=0.3)
    at_truth = slope(method, torch.logit(world.r_X), world.x_B, world.obs)
    torch.testing.assert_close(at_truth, torch.zeros(6, dtype=torch.float64), **EXACT)
    assert slope(method, torch.logit(0.3 * world.r_X), world.x_B, world.obs).abs().max() > 1e-2


def test_sar_ipw_and_rel_mf_have_the_clean_risk_as_expectation() -> None:
    world = population()
    f_B = some_logits(6)[world.x_B]
    clean = world.expect(bce(f_B, world.liked_B))
    squared = world.expect((torch.sigmoid(f_B) - world.liked_B).square())
    torch.testing.assert_close(objective(SARIPW(), f_B, world.obs), clean, **EXACT)
    torch.testing.assert_close(objective(SARIPW(nonnegative=True), f_B, world.obs), clean, **EXACT)
    torch.testing.assert_close(objective(RelMF(), f_B, world.obs), squared, **EXACT)
    torch.testing.assert_close(objective(RelMFNoClip(), f_B, world.obs), squared, **EXACT)
    wrong = world.obs.with_columns(e=world.obs.column("e") * 0.9)
    assert abs(objective(SARIPW(), f_B, wrong) - clean) > 1e-2
    assert abs(objective(RelMF(), f_B, wrong) - squared) > 1e-3


def test_dividing_silence_by_the_chance_of_no_exposure_too_is_not_unbiased() -> None:
    world = population()
    s_B, y_B, e_B = (
        torch.sigmoid(some_logits(6))[world.x_B],
        world.obs.signals_BK[:, 0],
        world.obs.column("e"),
    )
    dual = world.expect(y_B / e_B * (1 - s_B).square() + (1 - y_B) / (1 - e_B) * s_B.square())
    assert abs(dual - world.expect((s_B - world.liked_B).square())) > 0.1


def test_propensity_one_gives_cross_entropy_and_brier_score_and_small_ones_are_clipped() -> None:
    world = population(activity=1.0)
    f_B, y_B = some_logits(6)[world.x_B], world.obs.signals_BK[:, 0]
    torch.testing.assert_close(SARIPW().loss({"reward": f_B}, world.obs), bce(f_B, y_B), **EXACT)
    torch.testing.assert_close(
        RelMF().loss({"reward": f_B}, world.obs), (torch.sigmoid(f_B) - y_B).square(), **EXACT
    )
    tiny = world.obs.with_columns(e=torch.full_like(f_B, 0.01))
    torch.testing.assert_close(SARIPW().loss({"reward": f_B}, tiny), bce(f_B, 20 * y_B), **EXACT)
    s_B = torch.sigmoid(f_B)
    torch.testing.assert_close(
        RelMFNoClip().loss({"reward": f_B}, tiny), s_B**2 - 100 * y_B * (2 * s_B - 1), **EXACT
    )
    clipped = s_B**2 - 10 * y_B * (2 * s_B - 1)
    torch.testing.assert_close(RelMF().loss({"reward": f_B}, tiny), clipped, **EXACT)
    torch.testing.assert_close(RelMFNoClip().criterion({"reward": f_B}, tiny), clipped, **EXACT)


def test_sar_ipw_steps_back_where_the_rest_risk_is_negative() -> None:
    obs = observations(
        torch.tensor([1.0, 0.0], dtype=torch.float64),
        columns={"e": torch.full((2,), 0.1, dtype=torch.float64)},
    )
    f_B = torch.tensor([3.0, -3.0], dtype=torch.float64)
    rest_B = torch.tensor([-9.0, 1.0], dtype=torch.float64) * softplus(f_B)
    torch.testing.assert_close(SARIPW(nonnegative=True).loss({"reward": f_B}, obs), -rest_B, **EXACT)


def test_sar_ipw_is_judged_by_a_likelihood_that_the_truth_minimises() -> None:
    world = population()
    f_X = torch.logit(world.r_X).requires_grad_()
    judged = world.expect(SARIPW().criterion({"reward": f_X[world.x_B]}, world.obs))
    torch.testing.assert_close(
        torch.autograd.grad(judged, f_X)[0], torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("factor", [1.0, 0.4])
def test_vpu_is_stationary_exactly_where_the_score_is_proportional_to_r(factor: float) -> None:
    world = population(activity=0.3)
    value = objective(VPU(), torch.logit(factor * world.r_X)[world.x_B], world.obs)
    found = slope(VPU(), torch.logit(factor * world.r_X), world.x_B, world.obs)
    torch.testing.assert_close(found, torch.zeros(6, dtype=torch.float64), **EXACT)
    # Convex in log Φ, so this is the minimum; and it does not depend on the factor.
    torch.testing.assert_close(value, objective(VPU(), torch.logit(world.r_X)[world.x_B], world.obs), **EXACT)
    assert objective(VPU(), torch.logit(factor * world.r_X**2)[world.x_B], world.obs) > value + 1e-3


def test_vpu_and_wmf_are_ratios_that_the_scale_of_weights_does_not_change() -> None:
    world = population()
    f_B, y_B = some_logits(6)[world.x_B], world.obs.signals_BK[:, 0]
    s_B = torch.sigmoid(f_B)
    variational = world.expect(s_B).log() - world.expect(y_B * s_B.log()) / world.share
    error = world.expect(y_B * (1 - s_B) ** 2 + 0.3 * (1 - y_B) * s_B**2) / world.expect(
        y_B + 0.3 * (1 - y_B)
    )
    assert world.obs.weight_B is not None
    for obs in (world.obs, replace(world.obs, weight_B=7 * world.obs.weight_B)):
        torch.testing.assert_close(objective(VPU(), f_B, obs), variational, **EXACT)
        torch.testing.assert_close(objective(WMF(0.3), f_B, obs), error, **EXACT)


def test_vpu_is_bounded_below_by_the_log_share() -> None:
    world = population(activity=0.3)
    for seed in range(20):
        value = objective(VPU(), some_logits(24, seed=seed, scale=20.0), world.obs)
        assert value >= torch.tensor(world.share).log()


@pytest.mark.parametrize("weight", [1.0, 0.8, 0.05])
def test_wmf_has_the_published_minimiser_and_is_the_brier_score_at_one(weight: float) -> None:
    world = population()
    P_X = world.r_X * world.e_X
    found = slope(WMF(weight), torch.logit(P_X / (P_X + weight * (1 - P_X))), world.x_B, world.obs)
    torch.testing.assert_close(found, torch.zeros(6, dtype=torch.float64), **EXACT)
    f_B, y_B = some_logits(6)[world.x_B], world.obs.signals_BK[:, 0]
    brier = world.expect((torch.sigmoid(f_B) - y_B).square())
    assert (abs(objective(WMF(weight), f_B, world.obs) - brier) < 1e-12) == (weight == 1.0)


def test_pu_balanced_does_not_see_how_many_silent_rows_there_are() -> None:
    world = population(activity=0.3)
    f_X, y_B = some_logits(6), world.obs.signals_BK[:, 0]
    assert world.obs.weight_B is not None
    twice = replace(world.obs, weight_B=world.obs.weight_B * (2 - y_B))
    for obs in (world.obs, twice):
        expected = world.expect(y_B * softplus(-f_X[world.x_B])) / world.share + world.expect(
            (1 - y_B) * softplus(f_X[world.x_B])
        ) / (1 - world.share)
        torch.testing.assert_close(objective(PUBalanced(), f_X[world.x_B], obs), expected, **EXACT)
    p_X = torch.zeros(6, dtype=torch.float64).index_add_(0, world.x_B, world.obs.weight_B)
    one, zero = p_X * world.r_X * 0.3 / world.share, p_X * (1 - world.r_X * 0.3) / (1 - world.share)
    found = slope(PUBalanced(), torch.logit(one / (one + zero)), world.x_B, world.obs)
    torch.testing.assert_close(found, torch.zeros(6, dtype=torch.float64), **EXACT)
