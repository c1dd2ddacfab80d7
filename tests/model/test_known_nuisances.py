"""`tacit.fit` takes what the caller knows in place of the stage that would estimate it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tacit import FeedbackLog, Signal, fit
from tacit.data import Roles
from tacit.errors import ConfigError, DataError
from tacit.methods.causal_ips import CausalIPS
from tacit.model import RewardModel
from tacit.training.config import TrainingConfig

QUICK = TrainingConfig(members=2, max_epochs=4, hidden=(), weight_decay=1.0)
ROWS = 120


def rated() -> FeedbackLog:
    """Half of the rows have a rating."""
    dice = random.Random(3)
    good = [dice.random() < 0.5 for _ in range(ROWS)]
    columns = {
        "prompt": [f"question {i // 3}" for i in range(ROWS)],
        "response": ["certainly, sorted(xs)" if liked else "this is not possible" for liked in good],
        "rating": [None if dice.random() < 0.5 else int(liked ^ (dice.random() < 0.1)) for liked in good],
    }
    return FeedbackLog.from_columns(columns, Roles(signals=(Signal("rating", kind="explicit"),)))


def fitted(**nuisances: object) -> RewardModel:
    return fit(
        rated(),
        method=CausalIPS(rho01=0.1, rho10=0.1),
        encoder="hashing:32",
        config=QUICK,
        nuisances=nuisances or None,  # type: ignore[arg-type]
    )


def test_a_known_propensity_decides_the_fit_and_its_fingerprint() -> None:
    half, quarter, estimated = fitted(p=np.full(ROWS, 0.5)), fitted(p=0.25), fitted()
    prints = {rm.info["fingerprint"] for rm in (half, quarter, estimated)}
    assert len(prints) == 3
    ratio = quarter.ensemble.criterion_M / half.ensemble.criterion_M
    assert 1.8 < float(ratio.mean()) < 2.2  # weights 1/p


def test_the_same_propensity_as_a_number_and_as_a_column_gives_the_same_scores() -> None:
    pairs = [("question 1", "certainly, sorted(xs)")]
    number, column = (fitted(p=p).score(pairs) for p in (0.5, [0.5] * ROWS))
    np.testing.assert_allclose(number, column, rtol=1e-6)


def test_nuisances_that_do_not_fit_the_log_are_refused_before_anything_is_embedded() -> None:
    with pytest.raises(DataError, match=r"p has shape \(3,\), expected one number, or 120"):
        fitted(p=[0.5, 0.5, 0.5])
    with pytest.raises(ConfigError, match="does not read the nuisance 'propensities'"):
        fitted(propensities=0.5)
