"""ImplicitRM in float64: the strata, the two forms of its objective, and what its likelihood cannot tell."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from tacit.methods import strata
from tacit.methods.latent import implicit_em_objective, implicit_nll
from tacit.methods.primitives import bce

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def double(*shape: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(seed: int) -> torch.nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1), torch.nn.Flatten(0)
        return torch.nn.Sequential(*layers).double()


def clicks(rows: int, seed: int = 3) -> Tensor:
    return (torch.rand(rows, generator=torch.Generator().manual_seed(seed)) < 0.3).double()


def gradient(loss_B: Tensor, *networks: torch.nn.Module) -> Tensor:
    weights = [w for net in networks for w in net.parameters()]
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss_B.sum(), weights)])


def printed_strata(f_B: Tensor, g_B: Tensor, y_B: Tensor, smoothing: float = 1e-8) -> Tensor:
    """Eq. (6) of arXiv 2603.23184v1 to the letter: NA carries the mass of PP, PP carries the mass of PA."""
    r, e = torch.sigmoid(f_B), torch.sigmoid(g_B)
    silent = 1 - r * e + smoothing
    masses = (torch.zeros_like(r), r * (1 - e), r * e, (1 - r) * (1 - e))
    printed = torch.stack([(mass + smoothing) / silent for mass in masses], -1)
    clicked = torch.tensor([1.0, 0, 0, 0], dtype=r.dtype)
    return torch.where((y_B > 0)[:, None], clicked, printed)


def test_strata_without_a_click_are_the_three_fractions() -> None:
    f, g = double(200, seed=1), double(200, seed=2)
    r, e = torch.sigmoid(f), torch.sigmoid(g)
    silent = 1 - r * e
    fractions = torch.stack(
        [torch.zeros_like(r), (1 - r) * e / silent, r * (1 - e) / silent, (1 - r) * (1 - e) / silent], -1
    )
    torch.testing.assert_close(strata(f, g, torch.zeros(200)), fractions, rtol=0, atol=1e-11)


def test_a_click_is_positive_active_for_sure() -> None:
    phi = strata(double(9, seed=1), double(9, seed=2), torch.ones(9))
    assert torch.equal(phi, torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64).expand(9, 4))


def test_where_nothing_could_be_recorded_the_strata_are_the_prior() -> None:
    f, g = double(50, seed=1), double(50, seed=2)
    r, e = torch.sigmoid(f), torch.sigmoid(g)
    prior = torch.stack([r * e, (1 - r) * e, r * (1 - e), (1 - r) * (1 - e)], -1)
    shown = torch.arange(50) < 20
    phi = strata(f, g, torch.zeros(50), shown)
    torch.testing.assert_close(phi[20:], prior[20:], **EXACT)
    assert torch.equal(phi[:20], strata(f, g, torch.zeros(50))[:20])


@pytest.mark.parametrize("extreme", [3.0, 50.0, 500.0])
def test_strata_sum_to_one_at_any_logit(extreme: float) -> None:
    phi = strata(double(300, seed=1, scale=extreme), double(300, seed=2, scale=extreme), clicks(300))
    assert bool((phi >= 0).all())
    torch.testing.assert_close(phi.sum(-1), torch.ones(300, dtype=torch.float64), **EXACT)


def test_the_loss_is_minus_log_of_the_product_of_two_rates() -> None:
    f, g, y = double(300, seed=1), double(300, seed=2), clicks(300)
    click = torch.sigmoid(f) * torch.sigmoid(g)
    direct = -torch.where(y > 0, click, 1 - click).log()
    torch.testing.assert_close(implicit_nll(f, g, y), direct, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fisher_identity_em_and_marginal_have_one_gradient_for_every_weight(seed: int) -> None:
    x, z, y = double(64, 5, seed=seed, scale=1), double(64, 5, seed=seed + 9, scale=1), clicks(64, seed)
    reward, propensity = network(seed), network(seed + 100)
    f, g = reward(x), propensity(z)
    em = gradient(implicit_em_objective(f, g, y), reward, propensity)
    marginal = gradient(implicit_nll(reward(x), propensity(z), y), reward, propensity)
    torch.testing.assert_close(em, marginal, **EXACT)


def test_em_and_marginal_differ_in_value_hence_the_likelihood_judges_epochs() -> None:
    f, g = double(50, seed=1), double(50, seed=2)
    gap = implicit_em_objective(f, g, torch.zeros(50)) - implicit_nll(f, g, torch.zeros(50))
    assert float(gap.min()) > 0  # entropy of the strata


def test_eq_6_as_printed_is_not_the_posterior_and_points_elsewhere() -> None:
    x, y = double(256, 5, seed=4, scale=1), clicks(256)
    reward, propensity = network(5), network(6)
    f, g = reward(x), propensity(x)
    phi = printed_strata(f.detach(), g.detach(), y)
    silent = y == 0
    assert float((phi - strata(f, g, y).detach())[silent].abs().max()) > 0.1
    assert float((phi[silent].sum(-1) - 1).abs().max()) > 0.1
    objective = bce(f, phi[:, 0] + phi[:, 2]) + bce(g, phi[:, 0] + phi[:, 1])
    printed = gradient(objective, reward, propensity)
    right = gradient(implicit_nll(reward(x), propensity(x), y), reward, propensity)
    assert float(torch.cosine_similarity(printed, right, dim=0)) < 0.95
    assert float((printed - right).norm() / right.norm()) > 0.3


def test_the_likelihood_is_symmetric_in_preference_and_activity() -> None:
    f, g, y = double(500, seed=1, scale=20), double(500, seed=2, scale=20), clicks(500)
    assert torch.equal(implicit_nll(f, g, y), implicit_nll(g, f, y))


def test_swapping_networks_that_share_features_leaves_the_trained_loss_unchanged() -> None:
    x, y = double(128, 5, seed=7, scale=1), clicks(128)
    reward, propensity = network(1), network(2)
    optimizer = torch.optim.Adam([*reward.parameters(), *propensity.parameters()], lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        implicit_nll(reward(x), propensity(x), y).mean().backward()
        optimizer.step()
    loss = implicit_nll(reward(x), propensity(x), y).sum()
    r, e = copy.deepcopy(reward.state_dict()), copy.deepcopy(propensity.state_dict())
    reward.load_state_dict(e)
    propensity.load_state_dict(r)
    assert torch.equal(implicit_nll(reward(x), propensity(x), y).sum(), loss)
    assert not torch.allclose(reward(x), propensity(x))  # the two readings of the log do differ


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_with_everybody_active_the_loss_is_binary_cross_entropy(y: float) -> None:
    f = double(200, seed=1).requires_grad_()
    label, g = torch.full((200,), y, dtype=torch.float64), torch.full((200,), 60.0, dtype=torch.float64)
    loss, plain = implicit_nll(f, g, label), binary_cross_entropy_with_logits(f, label, reduction="none")
    torch.testing.assert_close(loss, plain, rtol=1e-12, atol=1e-11)
    slopes = [torch.autograd.grad(value.sum(), f)[0] for value in (loss, plain)]
    torch.testing.assert_close(slopes[0], slopes[1], **EXACT)


def test_equal_heads_on_equal_inputs_stay_equal_hence_seeds_differ_by_head() -> None:
    f = double(20, seed=1).requires_grad_()
    g = f.detach().clone().requires_grad_()
    slope_f, slope_g = torch.autograd.grad(implicit_nll(f, g, clicks(20)).sum(), (f, g))
    torch.testing.assert_close(slope_f, slope_g, **EXACT)
