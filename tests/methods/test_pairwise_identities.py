"""What the pairwise estimators minimise: exact expectations by enumeration, in float64.

A leading dimension holds the cells that are enumerated (which answers are liked, acted on, labelled, turned round).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.errors import ConfigError, IdentificationError
from tacit.methods import Method, Observations, observations
from tacit.methods.bpr import BPR
from tacit.methods.bradley_terry import BradleyTerry
from tacit.methods.counter_if import CounterIF
from tacit.methods.cubpr import CUBPR
from tacit.methods.ips_bt import IPSBT
from tacit.methods.kto import KTO
from tacit.methods.pair_losses import flipped_nll, pair_loss, robust_target
from tacit.methods.robust_bt import RobustBT
from tacit.methods.stages.relevance import Relevance
from tacit.methods.stages.strata import DP, HE, HU, UN, UNSEEN, Strata
from tacit.methods.ubpr import UBPR
from tacit.methods.upl import UPL

F64 = torch.float64
R = torch.tensor([0.2, 0.55, 0.9, 0.7], dtype=F64)
E = torch.tensor([0.6, 0.3, 0.45, 0.8], dtype=F64)
F = torch.tensor([0.3, -1.1, 0.8, 2.0], dtype=F64)
NAN = float("nan")


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=F64)


def cells(n: int) -> Tensor:
    """All 0/1 vectors of length n, [2ⁿ, n]."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=F64)


def law(y_CB: Tensor, rate_B: Tensor) -> Tensor:
    """Probability of every cell under independent rows, [C]."""
    return (y_CB * rate_B + (1 - y_CB) * (1 - rate_B)).prod(-1)


def one_prompt(y: Tensor, **columns: Tensor) -> Observations:
    """Rows of a single prompt; y [B] or [C, B]."""
    groups = torch.zeros(y.shape[-1], dtype=torch.int64)
    return observations(y[..., None], groups=groups, columns=columns)


def expected(method: Method, f_B: Tensor, r_B: Tensor, e_B: Tensor, **columns: Tensor) -> Tensor:
    """Expected row losses over the clicks of one prompt [B]."""
    y_CB = cells(len(f_B))
    loss_CB = method.loss({"reward": f_B}, one_prompt(y_CB, e=e_B, **columns))
    return law(y_CB, r_B * e_B) @ loss_CB


def clean(f_B: Tensor, r_B: Tensor) -> Tensor:
    """Mean over the other rows of r_i(1 − r_j)·softplus(−(f_i − f_j)) [B]."""
    pair_BB = r_B[:, None] * (1 - r_B) * softplus(f_B - f_B[:, None])
    return pair_BB.fill_diagonal_(0).sum(1) / (len(f_B) - 1)


def slope(loss: Callable[[Tensor], Tensor], at_B: Tensor) -> Tensor:
    f_B = at_B.clone().requires_grad_()
    return torch.autograd.grad(loss(f_B), f_B)[0]


def test_ubpr_has_the_clean_pair_risk_in_expectation() -> None:
    torch.testing.assert_close(expected(UBPR(), F, R, E), clean(F, R), rtol=0, atol=1e-12)
    torch.testing.assert_close(expected(CUBPR(clip=0.1), F, R, E), clean(F, R), rtol=0, atol=1e-12)
    assert not torch.allclose(expected(CUBPR(clip=0.5), F, R, E), clean(F, R), atol=1e-3)
    assert not torch.allclose(expected(BPR(), F, R, E), clean(F, R), atol=1e-3)


def test_upl_has_the_clean_pair_risk_when_the_relevance_is_right() -> None:
    torch.testing.assert_close(expected(UPL(), F, R, E, relevance=R), clean(F, R), rtol=0, atol=1e-12)
    assert not torch.allclose(expected(UPL(), F, R, E, relevance=R.flip(0)), clean(F, R), atol=1e-3)


def test_the_minimiser_of_bpr_is_the_product_and_that_of_ubpr_and_upl_the_preference() -> None:
    product, preference = torch.logit(R * E), torch.logit(R)
    wrong = {}
    for method, right, other in (
        (BPR(), product, preference),
        *((m, preference, product) for m in _unbiased()),
    ):

        def risk(f_B: Tensor, method: Method = method) -> Tensor:
            return expected(method, f_B, R, E, relevance=R).sum()

        assert slope(risk, right + 3.0).abs().max() < 1e-12  # up to a constant
        wrong[method.key] = float(slope(risk, other).abs().max())
        found = right.new_zeros(4).requires_grad_()
        optimizer = torch.optim.LBFGS(
            [found], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-12, tolerance_change=0
        )

        def closure(method: Method = method, found: Tensor = found) -> Tensor:
            found.grad = None
            value = expected(method, found, R, E, relevance=R).sum()
            value.backward()
            return value

        optimizer.step(closure)
        torch.testing.assert_close(found.detach() - found.mean(), right - right.mean(), rtol=0, atol=1e-5)
    assert min(wrong.values()) > 0.01


def _unbiased() -> tuple[Method, ...]:
    return UBPR(), UPL()


def test_upl_varies_no_more_than_ubpr() -> None:
    generator = torch.Generator().manual_seed(0)
    y_CB = cells(2)
    total = torch.zeros(2, dtype=F64)
    for _ in range(200):
        r, e = torch.rand(2, 2, generator=generator, dtype=F64) * 0.8 + 0.15
        f = torch.randn(2, generator=generator, dtype=F64)
        probability = law(y_CB, r * e)
        spread = []
        for method in _unbiased():
            loss_C = method.loss({"reward": f}, one_prompt(y_CB, e=e, relevance=r))[:, 0]
            spread.append(probability @ (loss_C - probability @ loss_C).square())
        total += torch.stack(spread)
        assert spread[1] <= spread[0] + 1e-12
    assert total[1] < 0.5 * total[0]


def test_ubpr_without_censoring_is_bpr() -> None:
    y_CB = cells(4)
    one = one_prompt(y_CB, e=torch.ones(4, dtype=F64), relevance=R)
    for method in (UBPR(), CUBPR(), CUBPR(nn_beta=0.0), UPL()):
        torch.testing.assert_close(method.loss({"reward": F}, one), BPR().loss({"reward": F}, one))


def test_upl_with_relevance_0_weighs_silent_pairs_by_the_inverse_propensity() -> None:
    y_CB = cells(4)
    bpr_CB = BPR().loss({"reward": F}, one_prompt(y_CB))
    upl_CB = UPL().loss({"reward": F}, one_prompt(y_CB, e=E, relevance=torch.zeros(4, dtype=F64)))
    torch.testing.assert_close(upl_CB, bpr_CB / E)


def test_upl_weights_lie_between_0_and_the_inverse_propensity() -> None:
    y_CB = cells(4)
    zero = {"reward": torch.zeros(4, dtype=F64)}
    for q in (torch.zeros(4, dtype=F64), R, torch.ones(4, dtype=F64)):
        loss_CB = UPL().loss(zero, one_prompt(y_CB, e=E, relevance=q))
        assert bool((loss_CB >= 0).all()) and bool((loss_CB <= softplus(t(0.0)) / E + 1e-12).all())


def test_cubpr_keeps_every_pair_above_minus_beta_and_judges_without_negative_weights() -> None:
    both = one_prompt(t(1, 1), e=t(0.25, 0.25))
    zero = {"reward": torch.zeros(2, dtype=F64)}
    unbounded = 4 * (1 - 4) * softplus(t(0.0, 0.0))
    torch.testing.assert_close(UBPR().loss(zero, both), unbounded)
    torch.testing.assert_close(CUBPR().loss(zero, both), unbounded)
    torch.testing.assert_close(CUBPR(nn_beta=0.5).loss(zero, both), t(-0.5, -0.5))
    for method in (UBPR(), CUBPR(), CUBPR(nn_beta=0.5)):
        assert method.criterion(zero, both).tolist() == [0, 0]
    y_CB = cells(4)
    mixed, logits = one_prompt(y_CB, e=E), {"reward": F}
    judged = CUBPR().criterion(logits, mixed)
    torch.testing.assert_close(judged, CUBPR(nn_beta=0.0).loss(logits, mixed))
    assert judged.max() > 0
    small = one_prompt(t(1, 0), e=t(0.01, 1.0))
    torch.testing.assert_close(CUBPR(clip=0.2).loss(zero, small)[0], 5 * softplus(t(0.0))[0])
    with pytest.raises(ConfigError, match="nn_beta"):
        CUBPR(nn_beta=-1.0)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.4])
def test_robust_bradley_terry_is_unbiased_under_flips(eps: float) -> None:
    # Two prompts of a pair each; a flip exchanges the labels of a prompt, each on its own.
    flip_C2 = cells(2)
    first = 1 - flip_C2
    y_CB = torch.stack([first[:, 0], 1 - first[:, 0], first[:, 1], 1 - first[:, 1]], -1)
    groups = torch.tensor([0, 0, 1, 1])
    noisy = observations(y_CB[..., None], groups=groups)
    true = observations(t(1, 0, 1, 0), groups=groups)
    mean_C = RobustBT(eps).loss({"reward": F}, noisy).mean(-1)
    wanted = BradleyTerry().loss({"reward": F}, true).mean(-1)
    unbiased = law(flip_C2, torch.full((2,), eps, dtype=F64)) @ mean_C
    torch.testing.assert_close(unbiased, wanted, rtol=0, atol=1e-12)
    smoothed = law(flip_C2, torch.full((2,), eps, dtype=F64)) @ RobustBT(eps, True).loss(
        {"reward": F}, noisy
    ).mean(-1)
    assert eps == 0 or abs(smoothed - wanted) > 1e-2


def test_the_robust_criterion_is_the_likelihood_of_a_flipped_preference() -> None:
    d = t(-3.0, -0.2, 0.0, 1.7)
    zero = torch.zeros_like(d)
    wanted = -torch.log(0.8 * torch.sigmoid(d) + 0.2 * torch.sigmoid(-d))
    torch.testing.assert_close(flipped_nll(d, zero, 0.2), wanted)
    both = (-flipped_nll(d, zero, 0.2)).exp() + (-flipped_nll(zero, d, 0.2)).exp()
    torch.testing.assert_close(both, torch.ones_like(d))
    obs = one_prompt(t(1, 0))
    judged = RobustBT(0.2).criterion({"reward": t(1.7, 0.0)}, obs).mean()
    torch.testing.assert_close(judged, wanted[3])


def test_half_of_the_pairs_turned_round_is_refused() -> None:
    for eps in (0.5, 0.7, -0.1):
        with pytest.raises(IdentificationError, match="flip rate"):
            RobustBT(eps)
    assert robust_target(0.1) == pytest.approx(1.125)


LABELS = t(1, 0, 0, 1, NAN, 1, 0)
PROMPTS = torch.tensor([3, 3, 3, 8, 8, 9, 9])
SCORES = t(0.3, -1.1, 0.8, 2.0, 0.1, -0.6, 0.4)


def explicit(labels: Tensor, **columns: Tensor) -> Observations:
    return observations(labels, groups=PROMPTS, columns=columns)


def test_bradley_terry_is_the_mean_over_pairs_of_good_above_bad() -> None:
    (f0, f1, f2, *_), f5, f6 = SCORES, SCORES[5], SCORES[6]
    # Row weights: in prompt 3 each row shares its weight between two partners, in prompt 9 there is one.
    pair = [(f0, f1, 0.5), (f0, f2, 0.5), (f5, f6, 1.0)]
    wanted = sum(w * (softplus(lo - hi) + 0.01 * (hi + lo) ** 2) for hi, lo, w in pair) / 2
    torch.testing.assert_close(BradleyTerry().loss({"reward": SCORES}, explicit(LABELS)).mean(), wanted)
    judged = sum(w * softplus(lo - hi) for hi, lo, w in pair) / 2
    torch.testing.assert_close(BradleyTerry().criterion({"reward": SCORES}, explicit(LABELS)).mean(), judged)
    assert BradleyTerry().counts(explicit(LABELS)).tolist() == [True, True, True, False, False, True, True]


def test_without_flips_or_selection_robust_and_ips_are_bradley_terry() -> None:
    plain = BradleyTerry().loss({"reward": SCORES}, explicit(LABELS))
    torch.testing.assert_close(RobustBT(0.0).loss({"reward": SCORES}, explicit(LABELS)), plain)
    torch.testing.assert_close(RobustBT(0.0, True).loss({"reward": SCORES}, explicit(LABELS)), plain)
    full = torch.where(LABELS.isnan(), torch.zeros_like(LABELS), LABELS)
    ones = torch.ones_like(full)
    weighted = IPSBT().loss({"reward": SCORES}, explicit(full, p=ones))
    torch.testing.assert_close(weighted, BradleyTerry().loss({"reward": SCORES}, explicit(full)))
    half = IPSBT().loss({"reward": SCORES}, explicit(full, p=0.5 * ones))
    torch.testing.assert_close(half, weighted)  # self-normalised


@pytest.mark.parametrize("method", [BradleyTerry(), RobustBT(), IPSBT()], ids=lambda m: m.key)
def test_swapping_all_labels_negates_the_ranking(method: Method) -> None:
    p = t(0.3, 0.5, 0.9, 0.2, 0.4, 0.7, 0.6)
    given, swapped = explicit(LABELS, p=p), explicit(1 - LABELS, p=p)
    there = slope(lambda f: method.loss({"reward": f}, given).mean(), SCORES)
    back = slope(lambda f: method.loss({"reward": f}, swapped).mean(), -SCORES)
    torch.testing.assert_close(back, -there)
    assert there.abs().max() > 0.01


@pytest.mark.parametrize("method", [BradleyTerry(), RobustBT(), IPSBT()], ids=lambda m: m.key)
def test_a_constant_added_to_the_reward_changes_the_centring_term_alone(method: Method) -> None:
    obs = explicit(LABELS, p=torch.full_like(LABELS, 0.5))
    free = replace(method, centring=0.0)  # type: ignore[type-var]
    for judge in (free.loss, method.criterion):
        torch.testing.assert_close(judge({"reward": SCORES + 7}, obs), judge({"reward": SCORES}, obs))
    one, other = (method.loss({"reward": SCORES + c}, obs).mean() for c in (0.0, 7.0))
    assert other > one + 0.1


@pytest.mark.parametrize("method", [BPR(), UBPR(), CUBPR(), UPL()], ids=lambda m: m.key)
def test_a_constant_added_to_the_reward_of_a_prompt_changes_nothing(method: Method) -> None:
    obs = one_prompt(cells(4), e=E, relevance=R)
    torch.testing.assert_close(method.loss({"reward": F + 7}, obs), method.loss({"reward": F}, obs))


def test_inverse_propensities_recover_the_risk_of_all_pairs() -> None:
    # Which of three answers are labelled is enumerated; labels themselves are fixed.
    labels, p, f = t(1, 0, 1), t(0.3, 0.8, 0.5), F[:3]
    o_CB = cells(3)
    seen = torch.where(o_CB > 0, labels, NAN)
    obs = one_prompt(seen, p=p)
    pairs, weight_CP = IPSBT()._weighted(obs)
    numerator_C = pairs.row_means(weight_CP * pair_loss(pairs.first(f), pairs.second(f))).sum(-1)
    denominator_C = pairs.row_means(weight_CP).sum(-1)
    full = (softplus(f[1] - f[0]) + softplus(f[1] - f[2])) / 2
    torch.testing.assert_close(law(o_CB, p) @ numerator_C, full, rtol=0, atol=1e-12)
    torch.testing.assert_close(law(o_CB, p) @ denominator_C, t(1.0)[0], rtol=0, atol=1e-12)
    low = IPSBT(clip=0.5)._weighted(one_prompt(labels, p=p))[1]
    assert low.max() == pytest.approx(1 / (0.5 * 0.8))


def test_a_tie_is_indifferent_at_equal_scores_and_a_margin_moves_the_optimum() -> None:
    tie = slope(lambda f: pair_loss(f[:1], f[1:], 0.5).sum(), t(1.0, 1.0))
    assert tie.tolist() == [0, 0]
    torch.testing.assert_close(pair_loss(t(2.0), t(0.5), margin=1.5), softplus(t(0.0)))


@pytest.mark.parametrize("beta", [1.0, 0.1])
def test_kto_at_reference_0_is_lambda_times_a_sigmoid(beta: float) -> None:
    f = t(-2.0, -1.0, 0.5, 1.0)  # mean below 0: the reference is 0
    y = t(1, 0, 1, 0)
    loss = KTO(beta, desirable=1.5).loss({"reward": f}, observations(y))
    wanted = torch.where(y > 0, 1.5 * torch.sigmoid(-beta * f), torch.sigmoid(beta * f))
    torch.testing.assert_close(loss, wanted)


def test_kto_reads_its_reference_from_the_rows_of_each_member_and_passes_no_gradient() -> None:
    f, y = t(4.0, 2.0, -9.0), t(1, 0, 0)
    obs = replace(observations(y), weight_B=t(1, 1, 0))
    loss = KTO(desirable=1.0).loss({"reward": f}, obs)
    torch.testing.assert_close(loss[:2], torch.sigmoid(t(3 - 4.0, 2 - 3.0)))
    gradient = slope(lambda g: KTO(desirable=1.0).loss({"reward": g}, obs)[0], f)
    s = torch.sigmoid(t(-1.0))
    torch.testing.assert_close(gradient, torch.cat([-s * (1 - s), t(0, 0)]))


def test_kto_balances_clicks_and_silence_by_default() -> None:
    y = t(1, 0, 0, 0)
    loss = KTO().loss({"reward": torch.zeros(4, dtype=F64)}, observations(y))
    assert loss.tolist() == pytest.approx([1.5, 0.5, 0.5, 0.5])
    nobody = KTO().loss({"reward": torch.zeros(2, dtype=F64)}, observations(t(0, 0)))
    assert nobody.tolist() == [0.5, 0.5]


def test_counter_if_sums_means_over_strata_and_over_pairs_of_strata() -> None:
    stratum = t(DP, HE, UN, HU, DP, HE)
    f = t(0.3, -1.1, 0.8, 2.0, 0.1, -0.6)
    obs = observations(
        t(1, 0, 0, 0, 1, 0), groups=torch.tensor([0, 0, 0, 0, 1, 1]), columns={"stratum": stratum}
    )
    point = (softplus(-f[0]) + softplus(-f[4])) / 2 + (softplus(f[1]) + softplus(f[5])) / 2
    # In prompt 0 a row has three partners, in prompt 1 one: weights 1/3 and 1.
    over_he = (softplus(f[1] - f[0]) / 3 + softplus(f[5] - f[4])) / (4 / 3)
    pair = over_he + softplus(f[1] - f[2]) + softplus(f[2] - f[3])
    torch.testing.assert_close(CounterIF().loss({"reward": f}, obs).mean(), point + pair)
    torch.testing.assert_close(CounterIF(pair=0.0).loss({"reward": f}, obs).mean(), point)
    torch.testing.assert_close(CounterIF().criterion({"reward": f}, obs).mean(), pair)
    empty = obs.with_columns(stratum=torch.full_like(f, UN))
    assert not CounterIF().loss({"reward": f}, empty).any()


def test_strata_are_shares_of_the_silent_rows_by_exposure() -> None:
    y = torch.tensor([1.0, *[0.0] * 10, NAN, 0.0])
    exposure = torch.tensor([0.0, *range(-5, 5), 9.0, 9.0])
    obs = replace(observations(y), weight_B=torch.tensor([1.0] * 12 + [0.0]))
    made = Strata(0.2, 0.1).nuisances({"exposure": exposure}, obs)["stratum"].tolist()
    assert made == [DP, HU, *[UN] * 7, HE, HE, UNSEEN, UN]  # the last row is not ours: it takes no place
    known = Strata(0.2, 0.1).nuisances({"exposure": -exposure}, obs.with_columns(e=exposure))
    assert known["stratum"].tolist() == made
    assert (
        Strata().heads(obs)[0].view == "context"
        and Strata().heads(obs.with_columns(e=exposure))[0].view == "none"
    )
    for wrong in ((0.0, 0.1), (0.7, 0.4)):
        with pytest.raises(ConfigError, match="shares"):
            Strata(*wrong)
        with pytest.raises(ConfigError, match="shares"):
            CounterIF(*wrong)


def test_equal_exposures_are_not_split_by_the_order_of_the_log() -> None:
    obs = observations(torch.zeros(1000))
    stratum = Strata(0.5, 0.1).nuisances({"exposure": torch.zeros(1000)}, obs)["stratum"]
    assert 0.4 < float((stratum[:500] == HE).float().mean()) < 0.6


def test_strata_by_content_come_out_in_the_wrong_order_and_by_context_in_the_right_one() -> None:
    generator = torch.Generator().manual_seed(0)
    r, e = torch.rand(2, 20_000, generator=generator)
    liked = torch.rand(20_000, generator=generator) < r
    y = (liked & (torch.rand(20_000, generator=generator) < e)).float()

    def liked_share(exposure: Tensor) -> tuple[float, float]:
        stratum = Strata().nuisances({"exposure": exposure}, observations(y))["stratum"]
        return tuple(float(liked[stratum == s].float().mean()) for s in (HE, HU))  # type: ignore[return-value]

    exposed, hardly = liked_share(e)
    assert exposed < 0.15 and hardly > 0.4
    exposed, hardly = liked_share(r)  # what the distance to the clicked rows measures
    assert exposed > 0.7 and hardly < 0.1


def test_the_pointwise_relevance_has_the_clean_risk_and_is_judged_by_the_likelihood() -> None:
    y_CB = cells(4)
    obs = observations(y_CB[..., None], columns={"e": E})
    probability = law(y_CB, R * E)
    loss = probability @ Relevance().loss({"reward": F}, obs)
    torch.testing.assert_close(loss, softplus(F) - R * F, rtol=0, atol=1e-12)
    judged = probability @ Relevance().criterion({"reward": F}, obs)
    click = torch.sigmoid(F) * E
    wanted = -(R * E * click.log() + (1 - R * E) * (1 - click).log())
    torch.testing.assert_close(judged, wanted, rtol=0, atol=1e-12)
    assert torch.equal(Relevance().nuisances({"reward": F}, obs)["relevance"], torch.sigmoid(F))


def test_strata_are_taken_within_each_fold_of_a_cross_fitting() -> None:
    """Four slots whose exposure every fold puts at a level of its own: no fold is a stratum."""
    slot = torch.arange(400) % 4
    fold = torch.arange(400) // 80
    exposure = slot.double() + 0.01 * fold
    obs = observations(torch.zeros(400), columns={"fold": fold.float()})
    made = Strata(0.2, 0.1).nuisances({"exposure": exposure}, obs)["stratum"]
    for f in range(5):
        assert int((made[fold == f] == HU).sum()) == 8 and int((made[fold == f] == HE).sum()) == 16
    assert set(slot[made == HU].tolist()) == {0} and set(slot[made == HE].tolist()) == {3}


@pytest.mark.parametrize(
    "given", [{"beta": -1.0}, {"beta": 0.0}, {"beta": float("nan")}, {"desirable": -1.0}]
)
def test_kto_refuses_what_would_turn_the_reward_round(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"expected a (finite )?number"):
        KTO(**given)
