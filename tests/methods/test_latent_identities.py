"""The K-signal likelihood in float64, against sums over probabilities written out by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from tacit.methods import ImplicitRM, LatentML, Method, Observations, observations
from tacit.methods.latent import signal_log_likelihoods, signal_logits

EXACT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}
POLARITY = (1, -1, 1, -1)


def double(*shape: int, seed: int = 0, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def coins(*shape: int, seed: int, share: float = 0.5) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < share


def seen(rows: int, K: int, seed: int = 0, polarity: tuple[int, ...] = POLARITY) -> Observations:
    signals = coins(rows, K, seed=seed, share=0.4).double()
    return observations(signals, visible=coins(rows, K, seed=seed + 1, share=0.7), polarity=polarity[:K])


def some_logits(rows: int, K: int, seed: int = 10, *, misclicks: bool, gate: bool) -> dict[str, Tensor]:
    logits = {"reward": double(rows, seed=seed), "propensity": double(rows, K, seed=seed + 1)}
    if misclicks:
        logits["misclick"] = double(1, K, seed=seed + 2)
    if gate:
        logits["activity"] = double(rows, seed=seed + 3)
    return {name: value.requires_grad_() for name, value in logits.items()}


def gradients(loss_B: Tensor, logits: dict[str, Tensor]) -> dict[str, Tensor]:
    slopes = torch.autograd.grad(loss_B.sum(), list(logits.values()), allow_unused=True)
    return {
        name: torch.zeros_like(value) if slope is None else slope
        for (name, value), slope in zip(logits.items(), slopes, strict=True)
    }


def products(logits: dict[str, Tensor], obs: Observations) -> tuple[Tensor, Tensor]:
    """P(visible signals | liked) and P(visible signals | disliked) of active users, in probabilities."""
    hit = torch.sigmoid(logits["propensity"])
    alarm = torch.zeros_like(hit)
    if "misclick" in logits:
        alarm = torch.sigmoid(logits["propensity"] - softplus(logits["misclick"]))
    positive = torch.tensor(obs.polarity) > 0
    rates = torch.where(positive, hit, alarm), torch.where(positive, alarm, hit)
    liked, disliked = (
        torch.where(obs.visible_BK, torch.where(obs.signals_BK > 0, rate, 1 - rate), 1.0).prod(-1)
        for rate in rates
    )
    return liked, disliked


def direct_strata(logits: dict[str, Tensor], obs: Observations) -> Tensor:
    """Joint probabilities of PA, NA, PP, NP and the visible signals, [B, 4]."""
    liked, disliked = products(logits, obs)
    r, a = torch.sigmoid(logits["reward"]), torch.ones_like(logits["reward"])
    if "activity" in logits:
        a = torch.sigmoid(logits["activity"])
    silent = ~((obs.signals_BK > 0) & obs.visible_BK).any(-1)
    return torch.stack(
        [r * a * liked, (1 - r) * a * disliked, r * (1 - a) * silent, (1 - r) * (1 - a) * silent], -1
    )


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("K", [1, 2, 3, 4])
def test_log_likelihood_equals_the_sum_over_hidden_states(K: int, gate: bool) -> None:
    obs, logits = seen(300, K), some_logits(300, K, misclicks=True, gate=gate)
    found = LatentML(gate=gate).log_likelihood(logits, obs)
    assert found is not None
    torch.testing.assert_close(found, direct_strata(logits, obs).sum(-1).log(), **EXACT)


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("misclicks", [False, True])
@pytest.mark.parametrize("K", [1, 2, 4])
def test_probabilities_of_all_patterns_sum_to_one(K: int, misclicks: bool, gate: bool) -> None:
    patterns = torch.tensor(list(itertools.product([0.0, 1.0], repeat=K)), dtype=torch.float64)
    obs = observations(patterns, polarity=POLARITY[:K])
    logits = some_logits(1, K, misclicks=misclicks, gate=gate)
    found = LatentML(gate=gate).log_likelihood(logits, obs)
    assert found is not None
    torch.testing.assert_close(found.exp().sum(), torch.tensor(1.0, dtype=torch.float64), **EXACT)


@pytest.mark.parametrize("misclicks", [False, True])
def test_fisher_identity_for_several_signals_with_gaps(misclicks: bool) -> None:
    polarity = POLARITY if misclicks else (1, 1, 1, 1)
    obs, logits = seen(200, 4, polarity=polarity), some_logits(200, 4, misclicks=misclicks, gate=False)
    em = gradients(LatentML(objective="em", gate=False).loss(logits, obs), logits)
    marginal = gradients(LatentML(gate=False).loss(logits, obs), logits)
    for name in logits:
        torch.testing.assert_close(em[name], marginal[name], **EXACT)


def test_fisher_identity_with_the_gate_against_its_expected_complete_data_loss() -> None:
    obs, logits = seen(200, 4), some_logits(200, 4, misclicks=True, gate=True)
    joint = direct_strata(logits, obs).detach()
    PA, NA, PP, NP = (joint / joint.sum(-1, keepdim=True)).unbind(-1)
    torch.testing.assert_close(PA + NA + PP + NP, torch.ones(200, dtype=torch.float64), **EXACT)
    liked, disliked = products(logits, obs)
    expected = (
        binary_cross_entropy_with_logits(logits["reward"], PA + PP, reduction="none")
        + binary_cross_entropy_with_logits(logits["activity"], PA + NA, reduction="none")
        - PA * liked.log()
        - NA * disliked.log()
    )
    complete = gradients(expected, logits)
    for objective in ("marginal", "em"):
        found = gradients(LatentML(objective=objective, gate=True).loss(logits, obs), logits)  # type: ignore[arg-type]
        for name in logits:
            torch.testing.assert_close(found[name], complete[name], **EXACT)


@pytest.mark.parametrize("objective", ["marginal", "em"])
def test_one_signal_without_misclicks_is_implicit_rm_row_by_row(objective: Any) -> None:
    obs = observations(coins(400, seed=1, share=0.3).double(), visible=coins(400, seed=2, share=0.8))
    logits = some_logits(400, 1, misclicks=False, gate=False)
    one = {"reward": logits["reward"], "propensity": logits["propensity"][:, 0]}
    many, single = LatentML(misclicks="zero", gate=False), ImplicitRM()
    torch.testing.assert_close(many.loss(logits, obs), single.loss(one, obs), **EXACT)
    slopes = gradients(LatentML(objective, "zero", False).loss(logits, obs), logits)
    other = gradients(ImplicitRM(objective).loss(one, obs), logits)
    for name in logits:
        torch.testing.assert_close(slopes[name], other[name], **EXACT)


def test_the_gate_alone_with_a_sure_hit_is_implicit_rm_too() -> None:
    obs = observations(coins(300, seed=1, share=0.3).double())
    f, g = double(300, seed=5), double(300, seed=6)
    sure = torch.full((300, 1), 60.0, dtype=torch.float64)
    gated = LatentML(gate=True).loss({"reward": f, "propensity": sure, "activity": g}, obs)
    torch.testing.assert_close(gated, ImplicitRM().loss({"reward": f, "propensity": g}, obs), **EXACT)


def test_a_lone_negative_signal_is_implicit_rm_of_the_opposite_preference() -> None:
    y = coins(300, seed=1, share=0.3).double()
    f, g = double(300, seed=5), double(300, seed=6)
    negative = observations(y, polarity=(-1,))
    found = LatentML().loss({"reward": -f, "propensity": g[:, None]}, negative)
    positive = ImplicitRM().loss({"reward": f, "propensity": g}, observations(y))
    torch.testing.assert_close(found, positive, **EXACT)


METHODS: list[tuple[Method, bool, bool]] = [
    (ImplicitRM(), False, False),
    (ImplicitRM("em"), False, False),
    (LatentML(gate=False), True, False),
    (LatentML("em", gate=False), True, False),
    (LatentML(gate=True), True, True),
]


def case(method: Method, misclicks: bool, gate: bool, rows: int = 120) -> tuple[int, dict[str, Tensor]]:
    K = 1 if isinstance(method, ImplicitRM) else 3
    return K, some_logits(rows, K, misclicks=misclicks, gate=gate)


def heads_of(method: Method, logits: dict[str, Tensor]) -> dict[str, Tensor]:
    if not isinstance(method, ImplicitRM):
        return logits
    return {"reward": logits["reward"], "propensity": logits["propensity"][:, 0]}


@pytest.mark.parametrize(("method", "misclicks", "gate"), METHODS)
@pytest.mark.parametrize("filler", [1.0, 7.0, float("nan"), float("inf")])
def test_a_missing_signal_contributes_nothing_whatever_stands_there(
    method: Method, misclicks: bool, gate: bool, filler: float
) -> None:
    K, logits = case(method, misclicks, gate)
    blank = seen(120, K)
    filled = observations(
        torch.where(blank.visible_BK, blank.signals_BK, filler),
        visible=blank.visible_BK,
        polarity=blank.polarity,
    )
    loss, other = (method.loss(heads_of(method, logits), obs) for obs in (blank, filled))
    assert torch.equal(loss, other)
    for slope, same in zip(gradients(loss, logits).values(), gradients(other, logits).values(), strict=True):
        assert torch.equal(slope, same)


@pytest.mark.parametrize(("method", "misclicks", "gate"), METHODS)
def test_a_row_without_any_visible_signal_has_no_loss_and_no_gradient(
    method: Method, misclicks: bool, gate: bool
) -> None:
    K, logits = case(method, misclicks, gate)
    unseen = observations(torch.full((120, K), float("nan"), dtype=torch.float64))
    assert not bool(method.counts(unseen).any())
    heads = heads_of(method, logits)
    found = method.log_likelihood(heads, unseen)
    assert found is not None
    torch.testing.assert_close(found, torch.zeros_like(found), **EXACT)
    for slope in gradients(method.loss(heads, unseen), logits).values():
        torch.testing.assert_close(slope, torch.zeros_like(slope), **EXACT)


def test_hiding_one_signal_of_three_leaves_the_likelihood_of_the_other_two() -> None:
    obs, logits = seen(100, 3), some_logits(100, 3, misclicks=True, gate=False)
    hidden = observations(
        obs.signals_BK,
        visible=obs.visible_BK & torch.tensor([True, True, False]),
        polarity=obs.polarity,
    )
    pair = observations(obs.signals_BK[:, :2], visible=obs.visible_BK[:, :2], polarity=obs.polarity[:2])
    two = {name: value[..., :2] if value.ndim == 2 else value for name, value in logits.items()}
    method = LatentML(gate=False)
    torch.testing.assert_close(method.loss(logits, hidden), method.loss(two, pair), **EXACT)


@pytest.mark.parametrize(("method", "misclicks", "gate"), METHODS)
@pytest.mark.parametrize("share", [False, True])
def test_gold_alone_is_binary_cross_entropy_in_loss_and_gradient(
    method: Method, misclicks: bool, gate: bool, share: bool
) -> None:
    K, logits = case(method, misclicks, gate)
    gold = torch.rand(120, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    gold = gold if share else gold.round()
    obs = observations(torch.full((120, K), float("nan"), dtype=torch.float64), gold=gold)
    assert bool(method.counts(obs).all())
    plain = binary_cross_entropy_with_logits(logits["reward"], gold, reduction="none")
    loss = method.loss(heads_of(method, logits), obs)
    torch.testing.assert_close(loss, plain, **EXACT)
    slopes = gradients(loss, logits)
    wanted = torch.autograd.grad(plain.sum(), logits["reward"])[0]
    torch.testing.assert_close(slopes.pop("reward"), wanted, **EXACT)
    for slope in slopes.values():
        torch.testing.assert_close(slope, torch.zeros_like(slope), **EXACT)


@pytest.mark.parametrize("gate", [False, True])
def test_a_gold_row_is_judged_by_the_joint_probability_of_signals_and_preference(gate: bool) -> None:
    plain, logits = seen(200, 3), some_logits(200, 3, misclicks=True, gate=gate)
    gold = coins(200, seed=8).double()
    obs = observations(plain.signals_BK, visible=plain.visible_BK, polarity=plain.polarity, gold=gold)
    joint = direct_strata(logits, plain)
    direct = -torch.where(gold > 0, joint[:, 0] + joint[:, 2], joint[:, 1] + joint[:, 3]).log()
    torch.testing.assert_close(LatentML(gate=gate).loss(logits, obs), direct, **EXACT)
    known = torch.arange(200) < 50
    some = observations(
        plain.signals_BK, visible=plain.visible_BK, polarity=plain.polarity, gold=gold, gold_known=known
    )
    mixed = torch.where(known, direct, -joint.sum(-1).log())
    torch.testing.assert_close(LatentML(gate=gate).loss(logits, some), mixed, **EXACT)


def test_a_known_misclick_rate_is_used_as_given() -> None:
    obs = observations(coins(50, 2, seed=1).double(), misclick=(0.07, None))
    logits = some_logits(50, 2, misclicks=True, gate=False)
    pair = signal_logits(
        logits["propensity"],
        torch.stack(
            [
                torch.full((50,), 0.07, dtype=torch.float64).logit(),
                (logits["propensity"] - softplus(logits["misclick"]))[:, 1],
            ],
            -1,
        ),
        obs.polarity_K,
    )
    L1, L0 = signal_log_likelihoods(pair, obs.signals_BK, obs.visible_BK)
    r = torch.sigmoid(logits["reward"])
    direct = (r * L1.exp() + (1 - r) * L0.exp()).log()
    torch.testing.assert_close(-LatentML(gate=False).loss(logits, obs), direct, **EXACT)


def test_members_with_their_own_labels_are_rows_of_their_own() -> None:
    signals, visible = coins(2, 40, 3, seed=1).double(), coins(2, 40, 3, seed=2, share=0.8)
    stacked = observations(signals, visible=visible, polarity=(1, -1, 1))
    logits = {"reward": double(2, 40), "propensity": double(2, 40, 3), "misclick": double(2, 1, 3)}
    together = LatentML(gate=False).loss(logits, stacked)
    for m in range(2):
        own = observations(signals[m], visible=visible[m], polarity=(1, -1, 1))
        alone = LatentML(gate=False).loss({name: value[m] for name, value in logits.items()}, own)
        torch.testing.assert_close(together[m], alone, **EXACT)
        picked = stacked.members(torch.tensor([m]))
        assert torch.equal(picked.signals_BK[0], own.signals_BK)
