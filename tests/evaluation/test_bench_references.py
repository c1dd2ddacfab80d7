"""The likelihood with known nuisances: at the true preference its expected gradient is nothing, elsewhere it is not."""

from __future__ import annotations

import torch
from small_bench import case_of, problem

from tacit.evaluation.bench.contenders import contenders
from tacit.evaluation.bench.references import OracleLikelihood
from tacit.methods import observations


def expected_gradient(f: float, r: float, e: float, misclick: float) -> float:
    """Over r* and y, enumerated; float64."""
    reward = torch.tensor([f], dtype=torch.float64, requires_grad=True)
    total = torch.zeros((), dtype=torch.float64)
    for y, chance in ((1.0, r * e + (1 - r) * misclick), (0.0, r * (1 - e) + (1 - r) * (1 - misclick))):
        seen = observations(torch.tensor([y], dtype=torch.float64)).with_columns(
            e=torch.tensor([e], dtype=torch.float64), misclick=torch.tensor([misclick], dtype=torch.float64)
        )
        total = total + chance * OracleLikelihood().loss({"reward": reward}, seen)[0]
    total.backward()
    assert reward.grad is not None
    return float(reward.grad[0])


def test_the_true_preference_is_stationary_whatever_propensity_and_misclicks() -> None:
    for r in (0.05, 0.4, 0.9):
        for e in (0.1, 0.7):
            for misclick in (0.001, 0.03):
                truth = float(torch.logit(torch.tensor(r, dtype=torch.float64)))
                assert abs(expected_gradient(truth, r, e, misclick)) < 1e-12
                assert expected_gradient(truth + 0.5, r, e, misclick) > 1e-5
                assert expected_gradient(truth - 0.5, r, e, misclick) < -1e-5


def test_extreme_logits_and_a_certain_propensity_stay_finite() -> None:
    seen = observations(torch.tensor([1.0, 0.0, 1.0, 0.0])).with_columns(
        e=torch.tensor([1.0, 1.0, 0.0, 0.0]), misclick=torch.zeros(4)
    )
    reward = torch.tensor([50.0, 50.0, -50.0, -50.0], requires_grad=True)
    loss = OracleLikelihood().loss({"reward": reward}, seen)
    loss.sum().backward()
    assert bool(torch.isfinite(loss).all())
    assert reward.grad is not None and bool(torch.isfinite(reward.grad).all())


def test_it_is_given_the_misclicks_of_its_world() -> None:
    for name, expected in (("both", 0.0), ("misclicks", 0.03)):
        known = problem(case_of("worlds", name))
        (one,) = (one for one in contenders(known) if one.name == "oracle_likelihood")
        assert one.protocol == "oracle"
        rate = one.observe(known).columns["misclick"]
        assert torch.allclose(rate, torch.full((2, 1), expected))
