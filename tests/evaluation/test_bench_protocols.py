"""What honest rows may see, what oracle rows may, and that every row says which it is."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_bench import LONG_ENOUGH, QUICK, case_of, problem, texts
from torch import Tensor

from tacit import methods
from tacit.errors import IdentificationWarning
from tacit.evaluation.bench.contenders import (
    BASELINES,
    Contender,
    Stopped,
    contenders,
    stopped_by_clean_labels,
)
from tacit.evaluation.bench.problems import Problem
from tacit.evaluation.bench.run import fit_seeds
from tacit.evaluation.table import Protocol
from tacit.methods import Naive, Observations
from tacit.methods.method import Logits
from tacit.methods.primitives import bce
from tacit.training.roster import roster, teams
from tacit.training.selection import train_best

WORLDS = {"causal": "scenario 1, α=0.5", "worlds": "both"}


@functools.cache
def usual(suite: str) -> Problem:
    return problem(case_of(suite, WORLDS[suite]), seeds=1)


def with_another_truth(known: Problem) -> Problem:
    """The same log, but other rows are liked."""
    order_N = torch.from_numpy(np.random.default_rng(1).permutation(known.liked_SN.shape[1]))
    return replace(known, liked_SN=known.liked_SN[:, order_N])


@functools.cache
def scores(suite: str, protocol: Protocol, permuted: bool) -> dict[Contender, NDArray[np.float32]]:
    known = with_another_truth(usual(suite)) if permuted else usual(suite)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentificationWarning)  # hopeless noise rates of so few rows
        return {
            one: fit_seeds(known, one, LONG_ENOUGH if one.method.waits else QUICK)
            for one in contenders(known, protocol=protocol)
            if protocol == "honest" or one.name not in BASELINES
        }


@pytest.mark.parametrize("suite", WORLDS)
def test_who_likes_what_reaches_no_honest_row(suite: str) -> None:
    other = {(one.name, one.protocol): found for one, found in scores(suite, "honest", True).items()}
    moved = set()
    for one, found_Sn in scores(suite, "honest", False).items():
        same = np.array_equal(found_Sn, other[one.name, one.protocol])
        assert same or one.protocol == "oracle", one.name
        moved |= set() if same else {one.name}
    assert "oracle" in moved


@pytest.mark.parametrize("suite", WORLDS)
def test_who_likes_what_decides_every_row_that_says_oracle(suite: str) -> None:
    other = {one.name: found for one, found in scores(suite, "oracle", True).items()}
    for one, found_Sn in scores(suite, "oracle", False).items():
        assert one.protocol == "oracle", one.name
        if one.given:
            continue  # a reference knows true nuisances, not who likes what
        assert not np.array_equal(found_Sn, other[one.name]), one.name


@pytest.mark.parametrize("suite", WORLDS)
def test_no_honest_row_is_given_anything(suite: str) -> None:
    known = usual(suite)
    for one in contenders(known):
        assert one.protocol == ("oracle" if one.given or one.method.reads_gold else "honest"), one.name
        seen = one.observe(known)
        if one.protocol == "honest":
            assert (seen.gold_B, seen.gold_known_B, dict(seen.columns)) == (None, None, {}), one.name


@pytest.mark.parametrize("suite", WORLDS)
def test_the_oracle_protocol_marks_every_estimator_and_stops_it_by_clean_labels(suite: str) -> None:
    for one in contenders(usual(suite), protocol="oracle"):
        assert one.protocol == ("honest" if one.name in BASELINES else "oracle"), one.name
        reference = one.name in BASELINES or one.method.reads_gold or bool(one.given)
        assert isinstance(one.method, Stopped) != reference, one.name


def test_the_oracle_of_observed_rows_knows_only_labels_of_rows_that_gave_one() -> None:
    known = usual("causal")
    (one,) = (one for one in contenders(known) if one.name == "oracle_observed")
    seen = one.observe(known)
    assert seen.gold_known_B is not None
    assert torch.equal(seen.gold_known_B, known.observations.visible_BK[..., 0])
    assert 0 < seen.gold_known_B.float().mean() < 1


SEEN: list[tuple[str, bool]] = []


@dataclass(frozen=True)
class Watched(Naive):
    """naive, which notes whether gold labels reached it."""

    key: ClassVar[str] = "watched"

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        SEEN.append(("loss", obs.gold_B is not None))
        return super().loss(logits, obs)

    def check(self, obs: Observations) -> None:
        SEEN.append(("check", obs.gold_B is not None))
        super().check(obs)


def test_training_under_the_oracle_protocol_sees_no_gold() -> None:
    SEEN.clear()
    one = Contender("watched", stopped_by_clean_labels(Watched()), protocol="oracle")
    assert one.observe(usual("worlds")).gold_B is not None
    fit_seeds(usual("worlds"), one, QUICK)
    one.method.check(one.observe(usual("worlds")))
    assert set(SEEN) == {("loss", False), ("check", False)}


def kept_epoch(one: Contender, known: Problem) -> int:
    everyone = teams(
        roster(texts().groups_N, 1, 0), torch.from_numpy(~texts().test_N).expand(1, -1), seeds=range(1)
    )
    seen = one.observe(known).members(torch.tensor(everyone.team))
    ensembles, _ = train_best(one.method, known.views("context"), seen, everyone, LONG_ENOUGH)
    return int(ensembles[0].epoch_M[0])


def test_clean_labels_choose_the_epoch_of_the_oracle_protocol_alone() -> None:
    known = usual("worlds")
    # rewards drift up or down as they learn, so that one of these is met best early and the other late
    truths = [torch.ones_like(known.liked_SN), torch.zeros_like(known.liked_SN)]
    honest = Contender("naive", Naive())
    stopped = Contender("naive", stopped_by_clean_labels(Naive()), protocol="oracle")
    kept = {
        one.protocol: {kept_epoch(one, replace(known, liked_SN=liked_SN)) for liked_SN in truths}
        for one in (honest, stopped)
    }
    assert len(kept["honest"]) == 1 < len(kept["oracle"])


def test_clean_labels_set_the_level_of_a_method_that_has_none() -> None:
    known = usual("worlds")
    one = Contender("wmf", stopped_by_clean_labels(methods.WMF()), protocol="oracle")
    mean_P = []
    for truth_SN in (torch.ones_like(known.liked_SN), torch.zeros_like(known.liked_SN)):
        scores_Sn = fit_seeds(replace(known, liked_SN=truth_SN), one, QUICK)
        mean_P.append(float((1 / (1 + np.exp(-scores_Sn))).mean()))
    assert mean_P[0] > 0.9 and mean_P[1] < 0.1, mean_P


@pytest.mark.parametrize("key", ["naive", "implicit_rm", "latent_ml", "wmf", "bpr"])
def test_a_stopped_method_is_trained_by_its_own_loss_and_judged_by_clean_labels(key: str) -> None:
    method = methods.get(key)
    stopped = stopped_by_clean_labels(method)
    known = usual("worlds")
    blind = known.observations.members(torch.tensor([0])).flat()
    rng = torch.Generator().manual_seed(0)
    logits = {
        head.name: torch.randn(
            blind.n_rows, *(() if head.scalar else (len(head.bias),)), generator=rng, dtype=torch.float32
        )
        for head in method.heads(blind)
    }
    liked_B = known.liked_SN[0]
    obs = replace(blind, gold_B=liked_B, gold_known_B=torch.ones_like(liked_B, dtype=torch.bool))
    counts_B = method.counts(blind).to(torch.float32)
    torch.testing.assert_close(
        stopped.loss(logits, obs), method.loss(logits, replace(blind, weight_B=counts_B)) * counts_B
    )
    torch.testing.assert_close(stopped.criterion(logits, obs), bce(method.reward(logits), liked_B))
    assert bool(stopped.counts(obs).all()) and bool(stopped.judges(obs).all())
    assert stopped.key == key and stopped.parameters() == method.parameters()
