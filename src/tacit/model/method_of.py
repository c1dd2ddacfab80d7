"""The estimator of a saved model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tacit import methods
from tacit.errors import ModelError
from tacit.methods import Method


def method_of(folder: Path, stated: Mapping[str, Any], given: Method | None) -> Method:
    """The estimator of a saved model: as given, or found by the key in the folder.

    Raises:
        ModelError: another than that of the fit, or none of tacit's and not given.
    """
    key, parameters = stated["key"], stated["parameters"]
    if given is not None:
        if (given.key, given.parameters()) != (key, parameters):
            raise ModelError(
                f"{folder} was made by {key!r} with {parameters}, got {given.key!r} with {given.parameters()}; "
                "expected the method of the fit"
            )
        return given
    if key not in methods.available():
        raise ModelError(
            f"{folder} was made by the method {key!r}, which is none of tacit's; if it is yours, hand it over: "
            "load(folder, method=YourMethod())"
        )
    return methods.get(key, parameters)
