"""`latent_pairs`: its pair term against enumeration, in float64; what stays unbiased, what does not."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.errors import ConfigError, DegenerateDataError
from tacit.methods import Observations, observations
from tacit.methods.exchanged import patterns
from tacit.methods.latent_ml import LatentML
from tacit.methods.latent_pairs import LatentPairs

F64 = torch.float64


def heads(
    rows: int, K: int, seed: int = 0, *, misclicks: bool = False, gate: bool = False
) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=chance, dtype=F64)

    logits = {"reward": normal(rows), "propensity": normal(rows, K)}
    if misclicks:
        logits["misclick"] = normal(rows, K)
    if gate:
        logits["activity"] = normal(rows)
    return logits


def outcomes(K: int) -> Tensor:
    """All patterns of K visible signals, [2ᴷ, K]."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=K)), dtype=F64)


def of_one_prompt(signals_BK: Tensor, polarity: tuple[int, ...]) -> Observations:
    groups = torch.zeros(signals_BK.shape[-2], dtype=torch.int64)
    return observations(signals_BK, polarity=polarity, groups=groups)


def log_p(
    method: LatentML, logits: dict[str, Tensor], signals_BK: Tensor, polarity: tuple[int, ...]
) -> Tensor:
    found = method.log_likelihood(logits, observations(signals_BK, polarity=polarity))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("polarity", "misclicks", "gate"),
    [((1,), False, False), ((1, 1), True, False), ((1, -1), False, True), ((1, 1, -1), True, True)],
)
def test_the_pair_term_is_the_probability_of_this_assignment_given_the_two_outcomes(
    polarity: tuple[int, ...], misclicks: bool, gate: bool
) -> None:
    K = len(polarity)
    method, logits = LatentPairs(), heads(2, K, misclicks=misclicks, gate=gate)
    for first, second in itertools.permutations(outcomes(K), 2):
        as_seen, exchanged = torch.stack([first, second]), torch.stack([second, first])
        p = log_p(method, logits, as_seen, polarity).sum().exp()
        q = log_p(method, logits, exchanged, polarity).sum().exp()
        term_B = method.pair_loss(logits, of_one_prompt(as_seen, polarity))
        torch.testing.assert_close(term_B, -(p / (p + q)).log().expand(2), rtol=1e-9, atol=1e-9)


def test_with_one_signal_the_difference_is_that_of_the_logits_of_clicking() -> None:
    logits = heads(2, 1)
    c_B = torch.sigmoid(logits["reward"]) * torch.sigmoid(logits["propensity"][:, 0])
    l_B = torch.logit(c_B)
    term_B = LatentPairs().pair_loss(logits, of_one_prompt(torch.tensor([[1.0], [0.0]], dtype=F64), (1,)))
    torch.testing.assert_close(term_B, softplus(l_B[1] - l_B[0]).expand(2))


@pytest.mark.parametrize(("polarity", "misclicks"), [((1,), False), ((1, 1, -1), True)])
def test_the_true_parameters_are_a_stationary_point_of_the_pair_term(
    polarity: tuple[int, ...], misclicks: bool
) -> None:
    """E over all outcomes of three answers to one prompt, at the logits that drew them."""
    K = len(polarity)
    method = LatentPairs()
    logits = {name: value.requires_grad_() for name, value in heads(3, K, misclicks=misclicks).items()}
    cells = torch.stack([torch.stack(rows) for rows in itertools.product(outcomes(K), repeat=3)])
    with torch.no_grad():
        law_C = log_p(method, logits, cells, polarity).sum(-1).exp()
    assert float(law_C.sum()) == pytest.approx(1, abs=1e-12)
    expected = (law_C @ method.pair_loss(logits, of_one_prompt(cells, polarity))).sum()
    for name, slope in zip(logits, torch.autograd.grad(expected, list(logits.values())), strict=True):
        assert float(slope.abs().max()) < 1e-12, name
    shifted = {**logits, "reward": logits["reward"] + torch.tensor([0.5, 0.0, 0.0])}
    off = (law_C @ method.pair_loss(shifted, of_one_prompt(cells, polarity))).sum()
    assert float((off - expected).detach()) > 1e-4


def test_an_answer_that_is_there_because_the_first_was_left_silent_looks_better_than_it_is() -> None:
    """Why regenerations are for `latent_ml`: of pairs that exist, the first is never the clicked one."""
    reward_B = torch.zeros(2, dtype=F64, requires_grad=True)
    logits = {"reward": reward_B, "propensity": torch.zeros(2, 1, dtype=F64)}
    c = 0.25  # both answers are clicked with this probability, and the second is shown after silence alone
    pairs = {(0.0, 0.0): (1 - c) ** 2, (0.0, 1.0): (1 - c) * c}
    whole, alone = torch.zeros((), dtype=F64), torch.zeros((), dtype=F64)
    for signals, probability in pairs.items():
        obs = of_one_prompt(torch.tensor(signals, dtype=F64)[:, None], (1,))
        whole = whole + probability * LatentPairs().loss(logits, obs).sum()
        alone = alone + probability * LatentML().loss(logits, obs).sum()
    clicked = observations(torch.ones(1, 1, dtype=F64))  # the first answer, when it needed no second
    first = c * LatentML().loss({name: value[:1] for name, value in logits.items()}, clicked).sum()
    (slope_B,) = torch.autograd.grad(whole + first, reward_B, retain_graph=True)
    assert slope_B[0] > 0.01 and slope_B[1] < -0.01  # the loss falls where the second is put above the first
    (slope_B,) = torch.autograd.grad(alone + first, reward_B)
    assert float(slope_B.abs().max()) < 1e-12


def test_weight_zero_and_prompts_of_one_answer_leave_the_loss_of_latent_ml() -> None:
    signals = torch.tensor([[1.0], [0.0], [0.0], [1.0]], dtype=F64)
    logits = heads(4, 1)
    apart = observations(signals, groups=torch.arange(4))
    together = observations(signals, groups=torch.zeros(4, dtype=torch.int64))
    plain = LatentML().loss(logits, together)
    torch.testing.assert_close(LatentPairs().loss(logits, apart), plain, rtol=0, atol=0)
    torch.testing.assert_close(LatentPairs(weight=0.0).loss(logits, together), plain, rtol=0, atol=0)
    assert not torch.allclose(LatentPairs().loss(logits, together), plain)


def test_equal_outcomes_tell_nothing() -> None:
    logits = {name: value.requires_grad_() for name, value in heads(2, 1).items()}
    signals = torch.tensor([[1.0], [1.0], [0.0]], dtype=F64)
    obs = observations(signals, groups=torch.tensor([0, 0, 1])).rows(torch.tensor([0, 1]))
    assert LatentPairs().pair_loss(logits, obs).tolist() == [0, 0]


def test_gold_and_unseen_rows_meet_nobody() -> None:
    nan = float("nan")
    logits = heads(3, 1)
    groups = torch.zeros(3, dtype=torch.int64)
    signals = torch.tensor([[1.0], [0.0], [0.0]], dtype=F64)
    pair = LatentPairs().pair_loss(
        {name: value[:2] for name, value in logits.items()},
        observations(signals[:2], groups=groups[:2]),
    )
    audited = observations(signals, gold=torch.tensor([nan, nan, 1.0]), groups=groups)
    unseen = observations(torch.tensor([[1.0], [0.0], [nan]], dtype=F64), groups=groups)
    for obs in (audited, unseen):
        term_B = LatentPairs().pair_loss(logits, obs)
        torch.testing.assert_close(term_B[:2], pair)
        assert float(term_B[2]) == 0


def test_answers_that_could_not_show_the_same_signals_are_not_compared() -> None:
    """At the truth the expected gradient is 0 also where an answer lacks a button, which cannot be exchanged."""
    nan, (seen, blind) = float("nan"), ((True, True), (True, False))
    logits = {name: value.requires_grad_() for name, value in heads(3, 2).items()}
    for sights, compared in (
        ((seen, seen, blind), True),
        ((seen, blind, blind), True),
        ((seen, blind), False),
    ):
        rows = len(sights)
        own = {name: value[:rows] for name, value in logits.items()}
        kinds = [[y if sight[1] else [y[0], nan] for y in outcomes(2).tolist()] for sight in sights]
        kinds = [list({str(kind): kind for kind in row}.values()) for row in kinds]
        cells = torch.tensor(list(itertools.product(*kinds)), dtype=F64)
        obs = of_one_prompt(cells, (1, 1))
        law_C = log_p(LatentML(), own, cells, (1, 1)).sum(-1).exp().detach()
        assert float(law_C.sum()) == pytest.approx(1, abs=1e-12)
        expected = (law_C @ LatentPairs().pair_loss(own, obs)).sum()
        assert (float(expected.detach()) > 1e-3) == compared
        for slope in torch.autograd.grad(expected, list(logits.values()), allow_unused=True):
            assert slope is None or float(slope.abs().max()) < 1e-12


def test_it_refuses_answers_that_differ_in_what_they_could_show_alone() -> None:
    obs = of_one_prompt(torch.tensor([[1.0, 0.0], [0.0, float("nan")]]), (1, 1))
    with pytest.raises(DegenerateDataError, match="no prompt has two answers"):
        LatentPairs().check(obs)


def test_rare_outcomes_are_left_out_when_there_are_too_many() -> None:
    signals = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    found = patterns(observations(signals), most=2)
    assert found.known_B.tolist() == [True, True, True, True, False]
    assert found.signals_UK.tolist() == [[0, 0], [1, 0]]
    many = patterns(observations((torch.arange(64)[:, None] >> torch.arange(6) & 1).float()))
    assert int(many.known_B.sum()) == 32


def test_patterns_give_back_every_row_also_of_members_with_their_own_labels() -> None:
    chance = torch.Generator().manual_seed(3)
    signals = (torch.rand(3, 40, 3, generator=chance) < 0.4).float()
    visible = torch.rand(3, 40, 3, generator=chance) < 0.8
    obs = replace(observations(torch.zeros(40, 3)), signals_BK=signals * visible, visible_BK=visible)
    found = patterns(obs)
    assert torch.equal(found.known_B, visible.any(-1))
    known = found.known_B
    assert torch.equal(found.visible_UK[found.code_B][known], visible[known])
    assert torch.equal(found.signals_UK[found.code_B][known], (signals * visible)[known])


@pytest.mark.parametrize("K", [1, 3])
def test_loss_and_gradients_are_finite_at_logits_of_fifty(K: int) -> None:
    for a, b in itertools.product((-50.0, 50.0), repeat=2):
        logits = {
            "reward": torch.tensor([a, b]).requires_grad_(),
            "propensity": torch.tensor([[b] * K, [a] * K]).requires_grad_(),
        }
        signals = torch.tensor([[1.0] * K, [0.0] * K])
        loss = LatentPairs(misclicks="zero").loss(logits, of_one_prompt(signals, (1,) * K)).sum()
        assert torch.isfinite(loss)
        for slope in torch.autograd.grad(loss, list(logits.values())):
            assert torch.isfinite(slope).all()


def test_it_refuses_prompts_whose_answers_fared_alike_and_weights_below_zero() -> None:
    signals = torch.tensor([[1.0], [1.0], [0.0], [0.0]])
    alike = observations(signals, groups=torch.tensor([0, 0, 1, 1]))
    with pytest.raises(DegenerateDataError, match="no prompt has two answers of which the signals differ"):
        LatentPairs().check(alike)
    LatentPairs().check(observations(signals, groups=torch.tensor([0, 1, 0, 1])))
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="latent_pairs: weight"):
            LatentPairs(weight=weight)
