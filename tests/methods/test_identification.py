"""What the signals can tell at all, and that the likelihood finds it where they can."""

from __future__ import annotations

import itertools

import pytest
import torch

from tacit.methods import LatentML, identifiability_rank, observations

P, N = 1, -1


@pytest.mark.parametrize(
    ("polarity", "gate", "misclicks", "parameters", "rank", "identified"),
    [
        ([P], False, False, 2, 1, False),
        ([P, P], False, False, 3, 3, True),
        ([P, P], False, True, 5, 3, False),
        ([P, P], True, False, 4, 3, False),
        ([P, P, P], False, False, 4, 4, True),
        ([P, P, P], False, True, 7, 7, True),
        ([P, P, P], True, False, 5, 4, False),
        ([P, P, P], True, True, 8, 7, False),
        ([P, P, P, P], True, True, 10, 10, True),
        ([P, N], False, False, 3, 2, False),
        ([P, N], True, False, 4, 2, False),
        ([P, P, N], False, False, 4, 4, True),
        ([P, P, N], False, True, 7, 7, True),
        ([P, P, N], True, False, 5, 4, False),
        ([P, P, P, P], True, False, 6, 5, False),
        ([P, N, N], True, False, 5, 4, False),
        ([P, P, N, N], True, False, 6, 6, True),
        ([P, P, N, N], True, True, 10, 10, True),
    ],
)
def test_rank_table(
    polarity: list[int], gate: bool, misclicks: bool, parameters: int, rank: int, identified: bool
) -> None:
    found = identifiability_rank(polarity, gate=gate, misclicks=misclicks)
    assert (found.parameters, found.rank, found.preference_identified) == (parameters, rank, identified)


@pytest.mark.parametrize(
    ("polarity", "gate", "misclicks", "parameters", "rank", "identified"),
    [
        ([P], False, False, 3, 2, False),  # one factor between liking and acting
        ([P, N], False, False, 4, 4, True),  # P(up)/e+ + P(down)/e- = 1 at both
        ([P, N], True, False, 5, 4, True),  # the gate and the rates stay mixed, the preference does not
        ([P, N], True, True, 7, 6, False),
        ([P, P], False, True, 6, 6, True),  # Hui & Walter 1980
        ([N, N], False, True, 6, 6, True),
        ([P, P], True, False, 5, 4, False),
        ([P, N, N], True, False, 6, 6, True),
    ],
)
def test_rank_table_of_two_responses_that_share_the_rates(
    polarity: list[int], gate: bool, misclicks: bool, parameters: int, rank: int, identified: bool
) -> None:
    found = identifiability_rank(polarity, gate=gate, misclicks=misclicks, responses=2)
    assert (found.parameters, found.rank, found.preference_identified) == (parameters, rank, identified)


@pytest.mark.parametrize("rates", [(0.6, 0.1), (0.1, 0.6)])
def test_thumbs_on_two_texts_recover_the_level_whichever_thumb_is_lazier(rates: tuple[float, float]) -> None:
    liked_R, rate_K = torch.tensor([0.3, 0.8], dtype=torch.float64), torch.tensor(rates, dtype=torch.float64)
    patterns = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    up_R, down_R = liked_R * rate_K[0], (1 - liked_R) * rate_K[1]
    weight_RP = torch.stack([up_R, down_R, 1 - up_R - down_R], dim=1)
    obs, method = observations(patterns, polarity=(P, N)), LatentML(gate=False, misclicks="zero")
    f_R = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    g = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [f_R, g], max_iter=2000, tolerance_grad=1e-13, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses = [method.loss({"reward": f, "propensity": g}, obs) for f in f_R[:, None]]
        loss = (weight_RP * torch.stack(losses)).sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert torch.sigmoid(f_R).tolist() == pytest.approx(liked_R.tolist(), abs=1e-4)
    assert torch.sigmoid(g)[0].tolist() == pytest.approx(rate_K.tolist(), abs=1e-4)


def test_what_a_set_of_signals_leaves_open_follows_from_both_tables() -> None:
    both = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    for values, polarity, method, words in (
        ([[1.0], [0.0]], (P,), LatentML(), "a factor between liking and acting"),
        (both, (P, P), LatentML(misclicks="zero"), "independent given preference, context and style"),
        (both, (P, N), LatentML(), "through preference alone"),
        (both, (P, P), LatentML(misclicks="zero", gate=True), "the level, which the rates"),
        (
            [*both, [1.0, 1.0]],
            (P, N),
            LatentML(),
            "the level, which the rates",
        ),  # both thumbs: misclicks and a gate
    ):
        assert words in method.open_questions(observations(torch.tensor(values), polarity=polarity))


def test_the_population_fit_of_three_signals_recovers_preference_hits_and_misclicks() -> None:
    r, e, eps = 0.6, torch.tensor([0.5, 0.3, 0.7]), torch.tensor([0.05, 0.02, 0.1])
    patterns = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)
    liked = torch.where(patterns > 0, e.double(), 1 - e.double()).prod(-1)
    disliked = torch.where(patterns > 0, eps.double(), 1 - eps.double()).prod(-1)
    weight = r * liked + (1 - r) * disliked
    obs, method = observations(patterns), LatentML(misclicks="const", gate=False)
    f = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    g = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    d = torch.full((1, 3), 3.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [f, g, d], max_iter=2000, tolerance_grad=1e-13, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (weight * method.loss({"reward": f, "propensity": g, "misclick": d}, obs)).sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    alarms = torch.sigmoid(g - torch.nn.functional.softplus(d))[0]
    assert torch.sigmoid(f).item() == pytest.approx(r, abs=1e-4)
    assert torch.sigmoid(g)[0].tolist() == pytest.approx(e.tolist(), abs=1e-4)
    assert alarms.tolist() == pytest.approx(eps.tolist(), abs=1e-4)


def test_two_signals_without_misclicks_give_the_capture_recapture_rate() -> None:
    r, e1, e2 = 0.55, 0.4, 0.25
    patterns = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    both, first, second = r * e1 * e2, r * e1, r * e2
    weight = torch.tensor([1 - first - second + both, second - both, first - both, both])
    heads = {
        "reward": torch.tensor([first * second / both], dtype=torch.float64).logit().requires_grad_(),
        "propensity": torch.tensor([[e1, e2]], dtype=torch.float64).logit().requires_grad_(),
    }
    loss = (weight * LatentML(misclicks="zero").loss(heads, observations(patterns))).sum()
    for slope in torch.autograd.grad(loss, list(heads.values())):
        torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-7)
