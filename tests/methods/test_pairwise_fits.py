"""Pairwise estimators as the engine uses them: members apart, extreme logits, temperatures, and whole fits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.errors import DegenerateDataError
from tacit.methods import Method, Observations, observations
from tacit.methods.bpr import BPR
from tacit.methods.bradley_terry import BradleyTerry
from tacit.methods.counter_if import CounterIF
from tacit.methods.cubpr import CUBPR
from tacit.methods.ips_bt import IPSBT
from tacit.methods.kto import KTO
from tacit.methods.robust_bt import RobustBT
from tacit.methods.stages.relevance import Relevance
from tacit.methods.stages.strata import Strata
from tacit.methods.ubpr import UBPR
from tacit.methods.upl import UPL
from tacit.training.config import TrainingConfig
from tacit.training.estimator import HeadEstimator

EXPLICIT: tuple[Method, ...] = (BradleyTerry(), RobustBT(), RobustBT(0.1, True), IPSBT())
IMPLICIT: tuple[Method, ...] = (BPR(), UBPR(), CUBPR(), CUBPR(nn_beta=0.5), UPL(), KTO(), CounterIF())
ALL = (*EXPLICIT, *IMPLICIT)


def log(prompts: int, dtype: torch.dtype, seed: int = 0) -> Observations:
    """Four answers per prompt, some not visible, all columns supplied."""
    generator = torch.Generator().manual_seed(seed)
    B = 4 * prompts
    y = (torch.rand(B, generator=generator) < 0.4).to(dtype)
    y[torch.rand(B, generator=generator) < 0.2] = float("nan")
    rates = 0.05 + 0.9 * torch.rand(3, B, generator=generator, dtype=dtype)
    stratum = torch.where(y > 0, 0.0, torch.randint(1, 4, (B,), generator=generator)).to(dtype)
    columns = {"e": rates[0], "p": rates[1], "relevance": rates[2], "stratum": stratum}
    return observations(y, groups=torch.arange(B) // 4, columns=columns)


def mean(method: Method, f_B: Tensor, obs: Observations, weight_MB: Tensor) -> Tensor:
    """What the engine minimises for each member."""
    weight_MB = (weight_MB > 0) & method.counts(obs)
    rows_MB = method.loss({"reward": f_B}, replace(obs, weight_B=weight_MB.to(f_B.dtype)))
    return (rows_MB * weight_MB).sum(-1) / weight_MB.sum(-1)


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_a_member_is_not_told_of_the_prompts_that_it_holds_out(method: Method) -> None:
    obs = log(12, torch.float64)
    f_B = torch.randn(48, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    fold_B = torch.arange(12).repeat_interleave(4) % 3
    weight_MB = torch.stack([fold_B != m for m in range(3)])
    together = mean(method, f_B, obs, weight_MB)
    for m in range(3):
        own = torch.nonzero(weight_MB[m])[:, 0]
        alone = mean(method, f_B[own], obs.rows(own), torch.ones(1, len(own)))
        torch.testing.assert_close(together[m : m + 1], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", [*ALL, Relevance(), Strata()], ids=repr)
def test_extreme_logits_give_finite_losses_and_gradients(method: Method, dtype: torch.dtype) -> None:
    obs = log(16, dtype)
    generator = torch.Generator().manual_seed(2)
    for scale in (0.0, 1.0, 50.0):
        f_B = ((2 * torch.rand(64, generator=generator, dtype=dtype) - 1).sign() * scale).requires_grad_()
        for value in (
            method.loss({"reward": f_B, "exposure": f_B}, obs),
            method.criterion({"reward": f_B, "exposure": f_B}, obs),
        ):
            assert bool(torch.isfinite(value).all())
            assert bool(torch.isfinite(torch.autograd.grad(value.sum(), f_B)[0]).all())


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_the_criterion_is_bounded_below(method: Method) -> None:
    obs = log(16, torch.float64)
    for seed in range(5):
        f_B = 50 * torch.randn(64, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert method.criterion({"reward": f_B}, obs).min() >= -1e-9


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_leading_dimensions_are_members_and_candidates(method: Method) -> None:
    obs = log(5, torch.float64)
    f_CMB = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    weight_MB = (torch.arange(20) // 4 != torch.arange(3)[:, None]).to(torch.float64)
    weighted = replace(obs, weight_B=weight_MB)
    for judge in (method.loss, method.criterion):
        together = judge({"reward": f_CMB}, weighted)
        assert together.shape == (2, 3, 20)
        for c in range(2):
            for m in range(3):
                alone = judge({"reward": f_CMB[c, m]}, replace(obs, weight_B=weight_MB[m]))
                torch.testing.assert_close(together[c, m], alone)


@pytest.mark.parametrize("method", [m for m in ALL if not isinstance(m, KTO)], ids=repr)
@pytest.mark.parametrize("label", [0.0, 1.0, float("nan")])
def test_a_batch_without_pairs_contributes_nothing(method: Method, label: float) -> None:
    obs = observations(torch.full((6,), label), groups=torch.arange(6))
    fill = {name: torch.full((6,), 0.5) for name in ("e", "p", "relevance")}
    obs = obs.with_columns(**fill, stratum=torch.full((6,), 2.0))
    f_B = torch.randn(6, requires_grad=True)
    loss_B = method.loss({"reward": f_B}, obs)
    assert not loss_B.any() and not torch.autograd.grad(loss_B.sum(), f_B)[0].any()
    assert not method.counts(obs).any()
    with pytest.raises(DegenerateDataError):
        method.check(obs)


@pytest.mark.parametrize("method", [m for m in ALL if m.by_group], ids=repr)
def test_a_log_without_prompts_is_refused(method: Method) -> None:
    with pytest.raises(DegenerateDataError, match="prompt"):
        method.check(observations(torch.tensor([1.0, 0.0])))


@cache
def easy_world() -> tuple[NDArray[np.float64], ...]:
    """Text, true logit, activity that follows the second text column and a slot, clicks, ratings, slot, prompt."""
    rng = np.random.default_rng(0)
    N = 3000
    X = rng.normal(size=(N, 4))
    slot = rng.integers(0, 3, size=(N, 1)).astype(float)
    f = 1.5 * X[:, 0] - X[:, 2]
    liked = rng.random(N) < 1 / (1 + np.exp(-f))
    e = 1 / (1 + np.exp(-(1.2 * X[:, 1] + slot[:, 0] - 0.5)))
    clicks = (liked & (rng.random(N) < e)).astype(float)
    p = np.clip(0.25 + 0.3 * slot[:, 0], 0, 1)
    ratings = np.where(rng.random(N) < p, liked.astype(float), np.nan)
    return X, f, e, clicks, ratings, slot, np.arange(N) // 4


def fitted(method: Method, known_e: bool = False) -> NDArray[np.float32]:
    X, _, e, clicks, ratings, slot, prompts = easy_world()
    config = TrainingConfig(members=2, hidden=(), weight_decay=1.0, max_epochs=8, lr=2e-2)
    model = HeadEstimator(method, config)
    model.fit(
        X,
        ratings if method.setting == "pairwise" else clicks,
        context=slot,
        groups=prompts,
        nuisances={"e": e} if known_e else None,
    )
    return model.decision_function(X)


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_a_fit_finds_the_order(method: Method) -> None:
    score, f = fitted(method), easy_world()[1]
    assert np.isfinite(score).all()
    assert np.corrcoef(score, f)[0, 1] > (0.9 if method.setting == "pairwise" else 0.75)


def test_known_activity_removes_what_follows_activity_and_not_preference() -> None:
    X, f = easy_world()[:2]

    def pull(score: NDArray[np.float32]) -> float:
        """Weight of the column that moves activity alone, per weight of the first one that moves preference."""
        weight = np.linalg.lstsq(X, score - score.mean(), rcond=None)[0]
        return float(weight[1] / weight[0])

    biased = pull(fitted(BPR()))
    assert biased > 0.3
    for method in (UBPR(), CUBPR(), UPL()):
        score = fitted(method, known_e=True)
        assert abs(pull(score)) < 0.5 * biased, (method.key, pull(score), biased)
        assert np.corrcoef(score, f)[0, 1] > 0.93
