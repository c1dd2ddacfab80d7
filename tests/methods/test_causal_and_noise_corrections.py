"""CausalRM and the noise corrections, in float64: what their losses average to, when, and what breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from explicit_world import (
    CLEAN_RISK,
    EXACT,
    NOISY,
    RHO01,
    RHO10,
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
from torch import Tensor

from tacit.methods import Method, observations
from tacit.methods.backward_correction import BackwardCorrection
from tacit.methods.causal_dr import CausalDR
from tacit.methods.causal_fwd import CausalForward
from tacit.methods.causal_ips import CausalIPS
from tacit.methods.cvib import CVIB
from tacit.methods.dr import DR
from tacit.methods.dr_jl import DRJL
from tacit.methods.explicit import NoiseCorrected
from tacit.methods.forward_correction import ForwardCorrection
from tacit.methods.ips import IPS
from tacit.methods.labels import forward_nll
from tacit.methods.mrdr import MRDR
from tacit.methods.multi_dr import MultiDR
from tacit.methods.multi_ips import MultiIPS
from tacit.methods.naive_observed import NaiveObserved
from tacit.methods.primitives import bce
from tacit.methods.snips import SNIPS
from tacit.methods.stable_dr import StableDR

CORRECTED = [
    CausalIPS(),
    CausalDR(),
    CausalIPS(rho01=RHO01, rho10=RHO10),
    CausalIPS(noise="dual_t", clip=0.1),
]


@pytest.mark.parametrize("method", CORRECTED, ids=repr)
def test_with_true_nuisances_the_corrected_loss_averages_to_the_clean_risk(method: Method) -> None:
    torch.testing.assert_close(expected(method, noisy_cells()), CLEAN_RISK, **EXACT)


@pytest.mark.parametrize("method", [CausalIPS(), CausalDR()], ids=repr)
def test_noise_rates_under_each_others_name_bias_the_loss(method: Method) -> None:
    swapped = expected(method, noisy_cells(rho01=RHO10, rho10=RHO01))
    assert float((swapped - CLEAN_RISK).abs().mean()) > 0.1


def test_causal_ips_is_biased_by_a_wrong_propensity() -> None:
    assert float((expected(CausalIPS(), noisy_cells(WRONG_P)) - CLEAN_RISK).abs().mean()) > 0.1


def test_causal_dr_is_right_when_either_propensity_or_imputation_is_and_wrong_when_neither() -> None:
    random_m = uniform(0, 1, 7)
    for p, m in ((TRUE_P, random_m), (WRONG_P, NOISY)):
        torch.testing.assert_close(expected(CausalDR(), noisy_cells(p, m)), CLEAN_RISK, **EXACT)
    neither = expected(CausalDR(), noisy_cells(WRONG_P, random_m))
    assert float((neither - CLEAN_RISK).abs().mean()) > 0.1


def test_the_published_imputation_has_no_second_leg() -> None:
    published = CausalDR(imputation="published")
    torch.testing.assert_close(expected(published, noisy_cells()), CLEAN_RISK, **EXACT)
    off = (expected(published, noisy_cells(WRONG_P)) - CLEAN_RISK).abs()
    assert float(off.mean()) > 0.02 and float(off.max()) > 0.1


def test_a_good_imputation_has_less_variance_than_weights_alone() -> None:
    obs = noisy_cells()
    logits = {"reward": F.repeat_interleave(3)}
    variance = {}
    for method in (CausalIPS(), CausalDR()):
        loss = method.loss(logits, obs)
        variance[method.key] = float((by_x(loss.square(), obs) - by_x(loss, obs).square()).mean())
    assert variance["causal_dr"] < 0.9 * variance["causal_ips"]


def test_one_cross_entropy_is_the_imputed_loss_plus_its_weighted_error() -> None:
    obs, f = noisy_cells(WRONG_P), F.repeat_interleave(3)
    m, t = CausalDR().imputed(obs), (obs.explicit()[0] - RHO10) / (1 - RHO01 - RHO10)
    two_terms = bce(f, m) + CausalDR().weights(obs) * (bce(f, t) - bce(f, m))
    torch.testing.assert_close(CausalDR().loss({"reward": f}, obs), two_terms, **EXACT)


def test_the_imputation_is_denoised_and_kept_a_probability() -> None:
    torch.testing.assert_close(CausalDR().imputed(noisy_cells()), TRUE_R.repeat_interleave(3), **EXACT)
    beyond = noisy_cells(m_X=torch.linspace(0, 1, X, dtype=torch.float64))
    assert CausalDR().imputed(beyond).min() == 0 and CausalDR().imputed(beyond).max() == 1


PLAIN = torch.randint(0, 2, (50,), generator=torch.Generator().manual_seed(5)).double()


@pytest.mark.parametrize(
    "method",
    [
        *(CausalIPS(), CausalIPS(self_normalised=True), CausalDR(), CausalForward()),
        *(ForwardCorrection(), BackwardCorrection()),
        *(NaiveObserved(), IPS(), SNIPS(), DR(), CVIB(0.0, 0.0)),
    ],
    ids=repr,
)
def test_clean_labels_on_every_row_leave_plain_cross_entropy(method: Method) -> None:
    nothing = torch.zeros(1, dtype=torch.float64)
    obs = observations(
        PLAIN, columns={"p": nothing + 1, "rho01": nothing, "rho10": nothing, "noisy": uniform(0, 1, 6, 50)}
    )
    f = torch.cat([uniform(-5, 5, 8, 48), torch.tensor([-50.0, 50.0])])
    doubly_robust = isinstance(method, (CausalDR, DR))  # their target is r up to rounding
    wanted = {"rtol": 0.0, "atol": 1e-13 if doubly_robust else 0.0}
    if isinstance(method, (CausalForward, ForwardCorrection)):
        wanted = {"rtol": 1e-12, "atol": 0.0}  # written with another softplus; no floor shows at ±50
    torch.testing.assert_close(method.loss({"reward": f}, obs), bce(f, PLAIN), **wanted)


@pytest.mark.parametrize("rates", [(0.1, 0.2), (0.0, 0.3), (0.3, 0.0), (0.0, 0.0)])
def test_the_two_likelihoods_of_a_noisy_label_sum_to_one(rates: tuple[float, float]) -> None:
    f = torch.linspace(-50, 50, 201, dtype=torch.float64)
    one, zero = ((-forward_nll(f, torch.full_like(f, r), *rates)).exp() for r in (1.0, 0.0))
    torch.testing.assert_close(one + zero, torch.ones_like(f), rtol=0, atol=2e-15)
    torch.testing.assert_close(one, rates[1] + (1 - sum(rates)) * torch.sigmoid(f), rtol=0, atol=2e-15)


CONSISTENT: list[tuple[Method, dict[str, Tensor]]] = [
    *(
        (method, {"reward": TRUE_R.logit()})
        for method in (CausalForward(), ForwardCorrection(), BackwardCorrection(), CausalIPS(), CausalDR())
    ),
    *((method, {"reward": TRUE_R.logit()}) for method in (NaiveObserved(), IPS(), SNIPS(), DR())),
    *((method, {"reward": TRUE_R.logit(), "imputation": TRUE_R.logit()}) for method in (DRJL(), MRDR())),
    (MultiIPS(), {"reward": torch.stack([TRUE_R.logit(), TRUE_P.logit()], -1)}),
    (MultiDR(), {"reward": torch.stack([TRUE_R.logit(), TRUE_P.logit(), TRUE_R.logit()], -1)}),
    (
        StableDR(),
        {
            "reward": TRUE_R.logit(),
            "selection": TRUE_P.logit(),
            "imputation": TRUE_R.logit(),
        },
    ),
]


@pytest.mark.parametrize(("method", "truth"), CONSISTENT, ids=lambda value: getattr(value, "key", ""))
def test_the_truth_is_a_stationary_point_and_nothing_near_it_is(
    method: Method, truth: dict[str, Tensor]
) -> None:
    rate = NOISY if isinstance(method, NoiseCorrected) else TRUE_R
    obs = replace(noisy_cells(), weight_B=cells(rate).weight_B)
    for gradient in slope(method, obs, truth).values():
        assert float(gradient.abs().max()) < 1e-12
    moved = slope(method, obs, {name: value + 0.3 for name, value in truth.items()})
    assert set(moved) == set(truth)
    for gradient in moved.values():
        assert float(gradient.abs().max()) > 1e-4
