"""Every error of the house crosses a process boundary, as those of workers and of joblib have to."""

from __future__ import annotations

import ast
import copy
import importlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tacit
from tacit.methods import Naive
from tacit.training.estimator import HeadEstimator

HOUSE = Path(tacit.__file__).parent
ARGUMENTS: dict[str, tuple[Any, ...]] = {"Refusal": (413, "too large", {"Retry-After": "1"})}


def declared() -> Iterator[tuple[str, str]]:
    """Module and name of each class that derives from an error or a warning, found without importing."""
    for path in sorted(HOUSE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not any(word in text for word in ("Error)", "Exception)", "Warning)")):
            continue
        module = ".".join(("tacit", *path.relative_to(HOUSE).with_suffix("").parts)).removesuffix(".__init__")
        for node in ast.walk(ast.parse(text)):
            bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
            if any(base.endswith(("Error", "Exception", "Warning")) for base in bases):
                yield module, node.name  # type: ignore[attr-defined]


@pytest.mark.parametrize(("module", "name"), list(declared()))
def test_an_error_survives_being_pickled_and_copied(module: str, name: str) -> None:
    error = getattr(importlib.import_module(module), name)(
        *ARGUMENTS.get(name, ("found this, expected that",))
    )
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)


def test_so_does_the_error_that_is_scikit_learns_too() -> None:
    with pytest.raises(ValueError, match="not fitted") as refused:
        HeadEstimator(Naive()).predict(np.ones((2, 1)))
    error = refused.value
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error) and str(again) == str(error)
