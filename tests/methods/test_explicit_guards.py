"""Estimators for explicit labels at extreme logits, in empty batches, on labels that say nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from explicit_every import EVERY
from explicit_world import (
    uniform,
)
from torch import Tensor

from tacit.errors import ConfigError, DegenerateDataError, IdentificationError
from tacit.methods import Method, observations
from tacit.methods.causal_dr import CausalDR
from tacit.methods.causal_ips import CausalIPS
from tacit.methods.dr import DR
from tacit.methods.dr_jl import DRJL
from tacit.methods.forward_correction import ForwardCorrection
from tacit.methods.ips import IPS
from tacit.methods.mrdr import MRDR
from tacit.methods.multi_ips import MultiIPS
from tacit.methods.naive_observed import NaiveObserved
from tacit.methods.stable_dr import StableDR
from tacit.methods.stages import Surrogate

COLUMNS: dict[str, Callable[[int], Tensor]] = {
    "p": lambda rows: uniform(0.01, 1, 12, rows),
    "noisy": lambda rows: uniform(0, 1, 13, rows),
    "rho01": lambda _: torch.tensor([0.1]),
    "rho10": lambda _: torch.tensor([0.2]),
}


@pytest.mark.parametrize("labels", ["mixed", "none", "all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", EVERY, ids=repr)
def test_extreme_logits_and_empty_batches_leave_loss_and_gradient_finite(
    method: Method, dtype: torch.dtype, labels: str
) -> None:
    extremes = torch.cartesian_prod(*[torch.tensor([-50.0, 0.0, 50.0], dtype=dtype)] * 3)
    rows = 3 * len(extremes)
    f_BK = extremes.repeat(3, 1)
    label = torch.tensor([float("nan"), 0.0, 1.0], dtype=dtype).repeat_interleave(len(extremes))
    if labels != "mixed":
        label = torch.full_like(label, float("nan")) if labels == "none" else label.nan_to_num(0.0)
    own = torch.ones(2, rows, dtype=dtype)
    own[1, ::2] = 0
    obs = replace(
        observations(label, columns={name: make(rows).to(dtype) for name, make in COLUMNS.items()}),
        weight_B=own,
    )
    logits = {}
    for k, head in enumerate(method.heads(obs)):
        value = f_BK[:, k] if head.scalar else f_BK[:, : len(head.bias)]
        logits[head.name] = torch.stack([value, -value]).requires_grad_()
    loss, judged = method.loss(logits, obs), method.criterion(logits, obs)
    for value in (loss, judged):
        assert value.shape == (2, rows) and bool(torch.isfinite(value).all())
        for gradient in torch.autograd.grad(value.sum(), list(logits.values()), allow_unused=True):
            assert gradient is None or bool(torch.isfinite(gradient).all())
    assert bool((judged >= 0).all())  # bounded below
    if labels == "none":
        assert not judged.any()
        assert touches_unlabelled(method) or not loss.any()


def touches_unlabelled(method: Method) -> bool:
    """Rows without a label carry an imputed loss or teach the propensity."""
    return isinstance(method, (CausalDR, DR, DRJL, MultiIPS, StableDR))


@pytest.mark.parametrize("method", EVERY, ids=repr)
def test_labels_of_one_kind_are_refused(method: Method) -> None:
    for values in ([float("nan")] * 3, [1.0, 1.0, float("nan")], [0.0, 0.0, float("nan")]):
        with pytest.raises(DegenerateDataError, match=method.key):
            method.check(observations(torch.tensor(values)))


def test_rates_that_leave_nothing_and_clips_that_divide_by_nothing_are_refused() -> None:
    obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
    with pytest.raises(IdentificationError):
        CausalIPS(rho01=0.5, rho10=0.5).check(obs)
    with pytest.raises(IdentificationError):
        ForwardCorrection(rho01=0.5).check(obs.with_columns(rho10=torch.tensor([0.6])))
    for broken in (-0.1, 1.0, 2.0):
        with pytest.raises(ConfigError, match="rho10"):
            CausalDR(rho10=broken)
    for clip in (0.0, -1.0, 1.5):
        for kind in (CausalIPS, IPS, MRDR, MultiIPS, StableDR):
            with pytest.raises(ConfigError, match="clip"):
                kind(clip=clip)


def test_no_stage_estimates_what_is_known() -> None:
    obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
    made = {m: [s.makes for s in m.stages(obs)] for m in (CausalIPS(), CausalIPS(rho01=0.1, rho10=0.1))}
    assert list(made.values()) == [[("p",), ("rho01", "rho10")], [("p",)]]
    known = obs.with_columns(rho01=torch.tensor([0.1]), rho10=torch.tensor([0.2]))
    assert [s.makes for s in CausalDR().stages(known)] == [("p",), ("noisy",)]
    assert [s.makes for s in CausalDR(rho01=0.1).stages(obs)] == [("p",), ("noisy", "rho10")]
    assert ForwardCorrection().stages(known) == () and NaiveObserved().stages(obs) == ()
    assert CausalDR(0.1, 0.2).surrogate_stage(known.with_columns(noisy=torch.ones(3)), "noisy") == ()
    for stage in (CausalDR().stages(known)[1], DR().stages(obs)[1]):
        assert stage.makes == ("noisy",)  # no rates are read off: flat scores would be refused in vain
        assert set(stage.method.nuisances({"surrogate": torch.zeros(3)}, obs)) == {"noisy"}


@pytest.mark.parametrize("given", ["parameter", "column"])
def test_a_known_rate_and_an_estimated_one_have_to_leave_a_signal_together(given: str) -> None:
    score = torch.linspace(-1.5, 1.5, 200)  # anchors near .2 and .8: about .2 for the unknown rate
    labels = observations((torch.sigmoid(score) > 0.5).double())
    for known, fine in ((0.3, True), (0.85, False)):
        surrogate = Surrogate(rho01=known if given == "parameter" else None)
        obs = labels if given == "parameter" else labels.with_columns(rho01=torch.tensor([known]))
        if fine:
            made = surrogate.nuisances({"surrogate": score}, obs)
            assert float(made["rho01"]) == pytest.approx(known) and 0.1 < float(made["rho10"]) < 0.3
        else:
            with pytest.raises(IdentificationError, match=r"rho01=0\.85 and rho10=0\.19.*inverted"):
                surrogate.nuisances({"surrogate": score}, obs)


def test_a_corrected_method_hands_the_rate_that_it_knows_to_the_stage_that_estimates_the_other() -> None:
    obs = observations(torch.tensor([1.0, 0.0]))
    stages = [stage.method for stage in CausalIPS(rho01=0.4).stages(obs)]
    assert any(isinstance(stage, Surrogate) and stage.rho01 == 0.4 for stage in stages)
