"""A log of one prompt, whose other folds are empty: every estimator fits it; the oracle says what it lacks."""

from __future__ import annotations

import numpy as np
import pytest

import tacit
from tacit import methods
from tacit.data import FeedbackLog, Roles, Signal
from tacit.errors import TacitError
from tacit.training.config import TrainingConfig

QUICK = TrainingConfig(max_epochs=12, members=2, hidden=(), weight_decay=5.0)


def one_prompt(setting: str) -> FeedbackLog:
    """Twelve answers to the same question."""
    clicks = [1, 0, None] * 4 if setting in ("explicit", "pairwise") else [1, 0, 0] * 4
    kind = "explicit" if None in clicks else "implicit"
    return FeedbackLog.from_columns(
        {
            "prompt": ["the same"] * 12,
            "response": [f"answer {'x ' * (i % 5)}" for i in range(12)],
            "copied": clicks,
            "slot": [i % 2 for i in range(12)],
        },
        Roles(signals=(Signal("copied", kind=kind),), context=("slot",)),
    )


@pytest.mark.filterwarnings("ignore::tacit.errors.IdentificationWarning")  # little is known from twelve rows
@pytest.mark.parametrize("key", sorted(methods.available().keys() - {"oracle"}))
def test_it_is_fitted_in_finite_numbers(key: str) -> None:
    log = one_prompt(methods.get(key).setting)
    known = {"e": 0.5} if "propensity" in methods.get(key).needs else None
    rm = tacit.fit(log, method=key, encoder="hashing:16", config=QUICK, nuisances=known)
    assert np.isfinite(rm.score(log)).all() and np.isfinite(rm.uncertainty(log)).all()


def test_the_gold_that_the_log_lacks_is_said() -> None:
    with pytest.raises(TacitError, match=r"^oracle: [^\n]*gold[^\n]*$"):
        tacit.fit(one_prompt("any"), method="oracle", encoder="hashing:16", config=QUICK)
