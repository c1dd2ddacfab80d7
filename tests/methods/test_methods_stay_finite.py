"""No logit between −50 and 50 makes a loss or a gradient infinite, in either precision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tacit.methods import Constant, ImplicitRM, LatentML, Method, Naive, Observations, Oracle, observations

COMBINATIONS: list[Method] = [
    Naive(),
    Constant(),
    Oracle(),
    ImplicitRM("marginal"),
    ImplicitRM("em"),
    *(
        LatentML(objective, misclicks, gate)  # type: ignore[arg-type]
        for objective in ("marginal", "em")
        for misclicks in ("zero", "const")
        for gate in (False, True)
    ),
]
LOGIT = st.floats(-50, 50, width=32) | st.sampled_from([-50.0, 50.0, 0.0])


@st.composite
def rows(draw: st.DrawFn, K: int, gold: bool) -> tuple[dict[str, list[float]], Observations]:
    """One row of every logit and one observation, contradictions between gold and signals included."""
    logits = {
        "reward": [draw(LOGIT)],
        "propensity": [draw(LOGIT) for _ in range(K)],
        "misclick": [draw(LOGIT) for _ in range(K)],
        "activity": [draw(LOGIT)],
    }
    bits = st.lists(st.booleans(), min_size=K, max_size=K)
    obs = observations(
        torch.tensor([draw(bits)], dtype=torch.float32),
        visible=torch.tensor([draw(bits)]),
        polarity=(1,) if K == 1 else tuple(draw(st.lists(st.sampled_from([1, -1]), min_size=K, max_size=K))),
        gold=torch.tensor([draw(st.sampled_from([0.0, 0.4, 1.0] if gold else [0.0, 1.0, math.nan]))]),
    )
    return logits, obs


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", COMBINATIONS, ids=repr)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_loss_and_gradients_are_finite_at_extreme_logits(
    method: Method, dtype: torch.dtype, data: st.DataObject
) -> None:
    K = 1 if isinstance(method, ImplicitRM) else data.draw(st.integers(1, 3))
    values, obs = data.draw(rows(K, isinstance(method, Oracle)))
    wanted = {"reward", "propensity"}
    if isinstance(method, LatentML):
        wanted |= {"misclick"} if method.misclicks == "const" else set()
        wanted |= {"activity"} if method.gate else set()
    logits: dict[str, Tensor] = {}
    for name in sorted(wanted):
        value = torch.tensor(values[name], dtype=dtype)
        scalar = name in ("reward", "activity") or isinstance(method, ImplicitRM)
        logits[name] = (value if scalar else value[None]).requires_grad_()
    seen = Observations(
        obs.signals_BK.to(dtype),
        obs.visible_BK,
        obs.polarity,
        None if obs.gold_B is None else obs.gold_B.to(dtype),
        obs.gold_known_B,
    )
    loss, judged = method.loss(logits, seen), method.criterion(logits, seen)
    assert loss.shape == (1,) and bool(torch.isfinite(loss).all()) and bool(torch.isfinite(judged).all())
    assert bool((judged >= -1e-4).all())
    likelihood = method.log_likelihood(logits, seen)
    assert likelihood is None or bool(torch.isfinite(likelihood).all())
    for value in (loss, judged):
        for slope in torch.autograd.grad(value.sum(), list(logits.values()), allow_unused=True):
            assert slope is None or bool(torch.isfinite(slope).all())
