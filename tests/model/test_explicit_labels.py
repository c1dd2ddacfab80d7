"""A label that users were asked for, from the log to a saved model."""

from __future__ import annotations

import numpy as np

from tacit import FeedbackLog, RewardModel, Signal, fit
from tacit.data import Roles
from tacit.model.card import estimated_on_the_way
from tacit.training.config import TrainingConfig


def asked(rows: int = 400) -> tuple[FeedbackLog, np.ndarray]:
    """Short and long answers; the good word pleases; labels are noisy and given for long answers more often."""
    rng = np.random.default_rng(0)
    good, long = rng.random(rows) < 0.5, rng.random(rows) < 0.5
    given = rng.random(rows) < np.where(long, 0.8, 0.3)
    label = np.where(good, rng.random(rows) > 0.2, rng.random(rows) < 0.1)
    log = FeedbackLog.from_columns(
        {
            "prompt": [f"question {i // 4}" for i in range(rows)],
            "response": [
                ("certainly" if g else "nonsense") + (" and so on and on" if n else "")
                for g, n in zip(good, long, strict=True)
            ],
            "solved": [int(y) if o else None for y, o in zip(label, given, strict=True)],
        },
        Roles(signals=(Signal("solved", kind="explicit"),)),
        name="asked",
    )
    return log, good


def test_auto_reads_a_label_with_causal_fwd_and_the_model_survives_its_folder(tmp_path):
    log, good = asked()
    model = fit(
        log,
        encoder="hashing:32",
        config=TrainingConfig(members=2, hidden=(), weight_decay=1.0, max_epochs=15),
    )
    assert model.method.key == "causal_fwd"
    scores = model.score(log)
    assert scores[good].mean() > scores[~good].mean() + 1
    model.save(tmp_path / "rm")
    assert np.array_equal(RewardModel.load(tmp_path / "rm").score(log), scores)


def test_what_was_estimated_on_the_way_is_told_and_what_was_given_is_not() -> None:
    log, _ = asked()
    quick = TrainingConfig(members=2, hidden=(), weight_decay=1.0, max_epochs=3)
    model = fit(log, encoder="hashing:32", config=quick)
    told = model.info["estimated"]
    labelled = np.mean([value is not None for value in log.column("solved")])
    assert told.keys() >= {"p", "rho01", "rho10"} and abs(told["p"]["mean"] - labelled) < 0.1
    assert told["p"]["low"] < told["p"]["mean"] < told["p"]["high"]
    card = " ".join(estimated_on_the_way(model.info))
    assert "P(a label is given)" in card and "rho10" in card
    given = fit(log, encoder="hashing:32", config=quick, nuisances={"rho01": 0.2, "rho10": 0.1})
    assert given.info["estimated"].keys() & {"rho01", "rho10"} == set()
    plain = fit(log, method="naive_observed", encoder="hashing:32", config=quick)
    assert plain.info["estimated"] == {} and estimated_on_the_way(plain.info) == []
