"""Parameters of estimators are refused where they are given, in one line, and not epochs later."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from tacit import methods
from tacit.errors import ConfigError

NUMBERS = [
    (key, name)
    for key, kind in methods.available().items()
    for name, value in kind().parameters().items()
    if isinstance(value, int | float) and not isinstance(value, bool)
]


def refused(key: str, parameters: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        methods.available()[key](**parameters)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("value", ["a", None, True, math.nan, math.inf, [0.1]], ids=repr)
def test_a_number_has_to_be_one(value: object) -> None:
    for key, name in NUMBERS:
        assert f"method {key}: {name} is " in refused(key, {name: value})


@pytest.mark.parametrize("value", ["a", True, math.nan, -math.inf], ids=repr)
@pytest.mark.parametrize(("key", "name"), [("upu", "prior"), ("causal_ips", "rho01"), ("cubpr", "nn_beta")])
def test_so_has_one_that_may_be_none(key: str, name: str, value: object) -> None:
    assert "expected a finite number or None" in refused(key, {name: value})
    assert getattr(methods.get(key, {name: None}), name) is None


def test_epochs_are_whole() -> None:
    assert "window is 2.0 (float), expected a whole number" in refused("label_wave", {"window": 2.0})


@pytest.mark.parametrize("value", [np.float32(0.25), np.float64(0.25), np.array(0.25)[()]])
def test_a_scalar_of_numpy_is_a_number_and_can_be_saved(value: np.floating) -> None:
    method = methods.IPS(clip=value)  # type: ignore[arg-type]
    assert method == methods.IPS(clip=0.25) and json.dumps(method.parameters()) == '{"clip": 0.25}'
    assert methods.LabelWave(window=np.int64(3)).parameters() == {"window": 3}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("nnpu", ("beta", "gamma")),
        ("codis", ("discrepancy",)),
        ("ilde", ("lam",)),
        ("kmeidtm", ("lam",)),
        ("divide_mix", ("unlabelled", "balance")),
        ("robust_divide_mix", ("unlabelled", "balance")),
        ("recrec_f", ("lamp",)),
        ("recrec_i", ("l2",)),
        ("counter_if", ("point", "pair")),
        ("eps_softmax", ("alpha", "beta")),
        ("cvib", ("alpha", "gamma")),
        ("stable_dr", ("eta",)),
        ("latent_pairs", ("weight",)),
        *((key, ("centring",)) for key in ("bradley_terry", "robust_bt", "ips_bt")),
    ],
)
def test_no_term_of_a_loss_weighs_less_than_nothing(key: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert f"method {key}: {name} is -0.1, expected a weight of 0 or more" in refused(key, {name: -0.1})
        assert getattr(methods.get(key, {name: 0.0}), name) == 0  # which takes the term away


@pytest.mark.parametrize(
    ("key", "names"), [("counter_if", ("point", "pair")), ("eps_softmax", ("alpha", "beta"))]
)
def test_some_term_of_a_loss_weighs_something(key: str, names: tuple[str, str]) -> None:
    assert f"{names[0]} and {names[1]} are 0" in refused(key, dict.fromkeys(names, 0.0))


@pytest.mark.parametrize("clip", [-0.1, 0.0, 1.0, 7.0])
@pytest.mark.parametrize(
    "key", ["ips", "snips", "dr", "mrdr", "stable_dr", "causal_ips", "causal_dr", "ips_bt"]
)
def test_a_clip_that_the_diagnosis_of_a_fit_would_refuse_is_refused_at_once(key: str, clip: float) -> None:
    assert "expected a propensity above 0 and below 1" in refused(key, {"clip": clip})


@pytest.mark.parametrize(
    ("key", "parameters"),
    [
        *((key, {"e_max": e_max}) for key in ("sar_ipw", "rel_mf", "ubpr", "upl") for e_max in (0.0, 1.5)),
        *((key, {"prior": prior}) for key in ("upu", "nnpu", "elkan_noto") for prior in (-0.1, 0.0, 1.0)),
        *((key, {"quantile": q}) for key in ("causal_ips", "forward_correction") for q in (0.5, 1.1)),
    ],
)
def test_what_a_stage_or_a_check_would_refuse_is_refused_at_once(
    key: str, parameters: dict[str, float]
) -> None:
    (name,) = parameters
    assert f"method {key}: {name} is {parameters[name]}, expected" in refused(key, parameters)
