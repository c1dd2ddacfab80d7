"""Estimators that divide by e say that they estimate it where nobody supplies it, and by what."""

from __future__ import annotations

import pytest
import torch

from tacit.methods import Method, available, observations
from tacit.methods.stages.exposure import Exposure

OBS = observations(torch.tensor([1.0, 0.0, 1.0, 0.0]), groups=torch.tensor([0, 0, 1, 1]))


def estimates_e(method: type[Method]) -> bool:
    return any(isinstance(stage.method, Exposure) for stage in method().stages(OBS))


@pytest.mark.parametrize("key", [key for key, method in available().items() if estimates_e(method)])
def test_an_estimated_propensity_is_an_assumption_and_not_a_need(key: str) -> None:
    method = available()[key]
    assert "propensity" not in method.needs
    assert (
        "estimated from context and style by the likelihood of implicit_rm unless supplied" in method.assumes
    )
    assert "not supplied" in " ".join((method.__doc__ or "").split()) or key == "rel_mf_noclip"


def test_the_estimators_that_estimate_e_are_these() -> None:
    assert {key for key, method in available().items() if estimates_e(method)} == {
        "sar_ipw",
        "rel_mf",
        "rel_mf_noclip",
        "ubpr",
        "cubpr",
        "upl",
    }
