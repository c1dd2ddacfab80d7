"""`tacit.fit` answers a wrong argument with one line of its own, before anything is embedded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from toy_log import QUICK, columns, log_of

from tacit import fit
from tacit.errors import ConfigError
from tacit.features.hashing import HashingEncoder
from tacit.methods import ImplicitRM, MultiIPS

LOG = log_of(columns(prompts=40))


class Unused(HashingEncoder):
    """Must not be asked."""

    def encode(self, texts: Sequence[str], *, quiet: bool = True) -> np.ndarray:
        raise AssertionError("embedded although the fit cannot be")


@pytest.mark.parametrize(
    ("log", "arguments", "message"),
    [
        (
            "path.jsonl",
            {},
            r"fit needs a FeedbackLog, found 'path.jsonl' .str.; read a file with FeedbackLog.read",
        ),
        (
            LOG,
            {"use_gold": True},
            "toy: use_gold is set, but the log names no column as gold; name it .*gold=COLUMN",
        ),
        (LOG.table, {}, "fit needs a FeedbackLog, found .*Table"),
        (
            LOG,
            {"config": {"members": 2, "epochs": 3}},
            r"config: unknown knob 'epochs'; did you mean 'max_epochs'\?; expected some of members",
        ),
        (LOG, {"config": {"members": "many"}}, "config: members is 'many' .str., expected: "),
        (LOG, {"config": {"seed": -1}}, "config: seed is -1 .int., expected: input should be greater than"),
        (
            LOG,
            {"config": {"seed": 2**32}},
            "config: seed is 4294967296 .int., expected: input should be less",
        ),
        (LOG, {"config": {1: 2}}, "config is .*expected a TrainingConfig or a mapping"),
        (LOG, {"config": QUICK.model_copy(update={"lr": -1.0})}, "config: lr is -1.0 .float., expected: "),
        (LOG, {"method": ImplicitRM}, r"method is the class ImplicitRM, expected one of it: ImplicitRM\(\)"),
        (LOG, {"method": 7}, "method is 7 .int., expected an estimator"),
        (LOG, {"method": MultiIPS()}, "multi_ips: max_epochs is 8, expected 11 or more"),
        (
            LOG,
            {"method": "naive", "nuisances": {"e": 0.5}},
            "naive does not read the nuisance 'e'.* reads none",
        ),
    ],
)
def test_a_wrong_argument_is_one_line(log: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}") as refused:
        fit(log, **{"encoder": Unused(32), "config": QUICK, **arguments})
    assert "\n" not in str(refused.value)
    assert "pydantic" not in str(refused.value)


def test_the_largest_seed_fits() -> None:
    config = {**QUICK.model_dump(), "seed": 2**32 - 1, "max_epochs": 2}
    rm = fit(LOG, method="cubpr", encoder="hashing:32", config=config)
    assert np.isfinite(rm.score([("question 1", "clear")])).all()


def test_knobs_may_be_a_mapping() -> None:
    pairs = [("question 1", "clear")]
    scores = [
        fit(LOG, encoder="hashing:32", config=config).score(pairs) for config in (QUICK, QUICK.model_dump())
    ]
    np.testing.assert_array_equal(*scores)
