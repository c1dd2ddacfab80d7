"""One click whose propensity is known: the true preference is where the likelihood is best, and its level is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit import FeedbackLog, RewardModel, Signal, fit
from tacit.data import Roles
from tacit.errors import ConfigError, DataError, DegenerateDataError, IdentificationWarning
from tacit.evaluation.report import evaluate_model
from tacit.methods import ImplicitRM, KnownPropensity, Naive, Observations, observations
from tacit.training.config import TrainingConfig

KNOWN = KnownPropensity()


def clicks(
    *values: float, e: float | list[float], misclick: float | None = None, polarity: int = 1
) -> Observations:
    obs = observations(torch.tensor(values, dtype=torch.float64), polarity=[polarity], misclick=[misclick])
    return obs.with_columns(e=torch.tensor([e] if isinstance(e, float) else e, dtype=torch.float64))


def expected_loss(f: Tensor, liked: float, e: float, misclick: float | None, polarity: int) -> Tensor:
    """Over r*, a and y, enumerated."""
    due = liked if polarity > 0 else 1 - liked
    fires = due * e + (1 - due) * (misclick or 0.0)
    total = torch.zeros((), dtype=torch.float64)
    for y, chance in ((1.0, fires), (0.0, 1 - fires)):
        total = (
            total
            + chance * KNOWN.loss({"reward": f}, clicks(y, e=e, misclick=misclick, polarity=polarity))[0]
        )
    return total


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize("misclick", [None, 0.04])
@pytest.mark.parametrize("e", [0.05, 0.6])
@pytest.mark.parametrize("liked", [0.1, 0.5, 0.9])
def test_the_expected_loss_is_least_at_the_true_preference(
    liked: float, e: float, misclick: float | None, polarity: int
) -> None:
    f = torch.tensor([liked], dtype=torch.float64).logit().requires_grad_()
    expected_loss(f, liked, e, misclick, polarity).backward()
    assert f.grad is not None and abs(float(f.grad[0])) < 1e-10
    best = float(expected_loss(f.detach(), liked, e, misclick, polarity))
    for other in (
        liked / 2,
        (1 + liked) / 2,
    ):  # a level that implicit_rm, free to move e, could not tell from it
        moved = torch.tensor([other], dtype=torch.float64).logit()
        assert float(expected_loss(moved, liked, e, misclick, polarity)) > best + 1e-7


def test_it_is_implicit_rm_whose_propensity_is_given() -> None:
    f, g = torch.randn(2, 6, dtype=torch.float64)
    obs = clicks(1, 0, 1, 0, 0, 1, e=torch.sigmoid(g).tolist())
    expected = ImplicitRM().loss({"reward": f, "propensity": g}, obs)
    torch.testing.assert_close(KNOWN.loss({"reward": f}, obs), expected)
    assert torch.equal(KNOWN.log_likelihood({"reward": f}, obs), -KNOWN.loss({"reward": f}, obs))


def test_where_everybody_acts_it_is_naive() -> None:
    f = torch.randn(4, dtype=torch.float64)
    obs = clicks(1, 0, 0, 1, e=1.0)
    torch.testing.assert_close(
        KNOWN.loss({"reward": f}, obs),
        Naive().loss({"reward": f}, obs),
        atol=2e-6 * float(f.exp().max()),
        rtol=0,
    )


def test_a_trusted_label_counts_with_the_signal_beside_it_and_a_hidden_signal_not_at_all() -> None:
    f = torch.tensor([0.3, 0.3, 0.3], dtype=torch.float64)
    obs = observations(
        torch.tensor([0.0, float("nan"), float("nan")], dtype=torch.float64),
        gold=torch.tensor([1.0, 0.0, float("nan")], dtype=torch.float64),
    ).with_columns(e=torch.tensor([0.25], dtype=torch.float64))
    liked, disliked = softplus(-f[0]), softplus(f[0])
    expected = torch.stack([liked - torch.tensor(0.75).log(), disliked, torch.zeros_like(liked)])
    torch.testing.assert_close(KNOWN.loss({"reward": f}, obs), expected, atol=1e-7, rtol=0)
    assert KNOWN.counts(obs).tolist() == [True, True, False]


@pytest.mark.parametrize("misclick", [None, 0.02])
def test_logits_of_50_and_propensities_at_the_edge_stay_finite(misclick: float | None) -> None:
    obs = clicks(1, 0, 1, 0, e=[1.0, 1.0, 1e-8, 1e-8], misclick=misclick)
    f = torch.tensor([[50.0] * 4, [-50.0] * 4], dtype=torch.float64, requires_grad=True)
    loss = KNOWN.loss({"reward": f}, obs)
    loss.sum().backward()
    assert f.grad is not None and bool(torch.isfinite(loss).all() and torch.isfinite(f.grad).all())


def test_it_asks_for_the_propensity_and_for_one_signal() -> None:
    with pytest.raises(ConfigError, match=r"^known_propensity: no propensity e .*--nuisance e=COLUMN[^\n]*$"):
        KNOWN.check(observations(torch.tensor([1.0, 0.0])))
    with pytest.raises(DegenerateDataError, match="found 2 signals, expected one"):
        KNOWN.check(observations(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), polarity=[1, -1]))


def shown(rows: int = 3000, misstated: float = 1.0) -> tuple[FeedbackLog, float]:
    """Answers of a few words in four slots drawn at random, and the share that users like."""
    rng = np.random.default_rng(4)
    words = np.array(["clear", "correct", "vague", "wrong", "so", "it"])
    worth = np.array([1.0, 1.0, -1.0, -1.0, 0.0, 0.0])
    drawn = rng.integers(0, 6, size=(rows, 5))
    liked = rng.random(rows) < 1 / (1 + np.exp(0.8 - worth[drawn].sum(1)))
    e = np.array([0.7, 0.5, 0.3, 0.03])[rng.integers(0, 4, rows)]
    table = {
        "prompt": [f"question {i // 4}" for i in range(rows)],
        "response": [" ".join(row) for row in words[drawn]],
        "copied": (liked & (rng.random(rows) < e)).astype(int).tolist(),
        "seen": (misstated * e).tolist(),
    }
    return FeedbackLog.from_columns(table, Roles(signals=(Signal("copied"),)), name="slots"), float(
        liked.mean()
    )


QUICK = TrainingConfig(members=5, hidden=(), weight_decay=1.0, max_epochs=30)


def test_a_fit_that_is_told_who_acts_knows_the_level_without_context() -> None:
    log, share = shown()
    rm = fit(log, nuisances={"e": "seen"}, encoder="hashing:32", config=QUICK)
    assert rm.method == KNOWN and rm.info["nuisance_sources"] == {"e": "seen"}
    low, high = rm.info["metrics"]["base_rate_interval"]
    assert low < share < high and high - low < 0.15
    assert rm.info["metrics"]["base_rate_bounds"] is None and rm.info["identification"]["warnings"] == []


def test_a_propensity_that_the_clicks_contradict_is_told() -> None:
    log, _ = shown(misstated=0.2)
    with pytest.warns(IdentificationWarning, match="more than if everybody liked everything"):
        fit(
            log,
            nuisances={"e": "seen"},
            encoder="hashing:32",
            config=QUICK.model_copy(update={"max_epochs": 1}),
        )


def test_a_column_by_name_gives_the_bytes_that_its_numbers_give(tmp_path: Path) -> None:
    log, _ = shown(rows=400)
    short = QUICK.model_copy(update={"max_epochs": 2})
    by_name = fit(log, nuisances={"e": "seen"}, encoder="hashing:32", config=short)
    by_number = fit(log, nuisances={"e": log.column("seen")}, encoder="hashing:32", config=short)
    by_name.save(tmp_path / "name")
    by_number.save(tmp_path / "number")
    heads = [(tmp_path / name / "heads.safetensors").read_bytes() for name in ("name", "number")]
    assert heads[0] == heads[1]
    assert by_number.info["nuisances"] == ["e"] and by_number.info["nuisance_sources"] == {}
    with pytest.raises(DataError, match="no column 'sen'; did you mean 'seen'"):
        fit(log, nuisances={"e": "sen"}, encoder="hashing:32", config=short)


@pytest.fixture(scope="module")
def told() -> tuple[FeedbackLog, RewardModel]:
    log, _ = shown(rows=400)
    return log, fit(
        log, nuisances={"e": "seen"}, encoder="hashing:32", config=QUICK.model_copy(update={"members": 2})
    )


def test_a_model_that_knows_where_the_propensity_lies_is_refitted_and_gives_likelihoods(
    told: tuple[FeedbackLog, RewardModel],
) -> None:
    log, rm = told
    for folds in (0, 2):
        rows = {row.method: row for row in evaluate_model(rm, log, folds=folds).rows}
        assert np.isfinite(rows["known_propensity"].metrics["log_likelihood"].value)
    others = FeedbackLog(log.table.drop_columns(["seen"]), log.roles, name="others")
    with pytest.raises(
        ConfigError, match=r"the column 'seen' \(nuisance e\), which this log lacks, so it cannot"
    ):
        evaluate_model(rm, others, folds=2)
    with pytest.raises(ConfigError, match=r"its likelihood needs the column 'seen' \(nuisance e\)"):
        evaluate_model(rm, others, folds=0)


def test_numbers_that_the_folder_does_not_hold_are_said_to_be_missing() -> None:
    log, _ = shown(rows=400)
    short = QUICK.model_copy(update={"max_epochs": 2})
    rm = fit(log, nuisances={"e": log.column("seen")}, encoder="hashing:32", config=short)
    with pytest.raises(ConfigError, match="fitted with the nuisance 'e', which its folder does not hold, so"):
        evaluate_model(rm, log, folds=2)
    with pytest.raises(
        ConfigError, match="its likelihood needs the nuisance 'e', which its folder does not hold"
    ):
        evaluate_model(rm, log, folds=0)
