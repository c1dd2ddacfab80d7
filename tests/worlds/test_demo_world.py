from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from tacit.data import FeedbackLog
from tacit.errors import ConfigError, DataError
from tacit.worlds import stdlib_answers as answers_module
from tacit.worlds import stdlib_pages
from tacit.worlds.stdlib_answers import KINDS, stdlib_answers
from tacit.worlds.stdlib_pages import Library
from tacit.worlds.users import LIKED, demo_world

FINGERPRINT = """
import hashlib
import inspect
import logging
# What transformers and torch do when they are imported.
logging.Logger.added = lambda self: None
logging.Logger.added.__doc__ = "A method that some library adds to the standard library when it is imported."
inspect.getfile = lambda thing: ""
from tacit.worlds.stdlib_answers import stdlib_answers
answers = stdlib_answers()
print(hashlib.sha256(repr((answers.prompts, answers.responses, answers.kinds)).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def answers():
    return stdlib_answers()


@pytest.fixture(scope="module")
def world():
    return demo_world()


def concordance(scores, better, groups):
    """The share of ordered pairs inside prompts, pairs counted alike."""
    same = groups[:, None] == groups[None, :]
    pairs = same & (better[:, None] > better[None, :])
    right = (scores[:, None] > scores[None, :]) + 0.5 * (scores[:, None] == scores[None, :])
    return right[pairs].mean()


def test_there_are_enough_questions_with_several_answers_of_moderate_length(answers):
    sizes = np.bincount(answers.prompt_ids)
    assert len(sizes) >= 1000 and sizes.min() >= 2 and sizes.max() == 5
    words = [len(text.split()) for text in answers.responses]
    assert np.mean(words) < 60 and max(words) < 200
    assert set(answers.kinds) == set(KINDS) == set(LIKED)


def test_the_answers_to_a_question_differ_and_questions_differ_too(answers):
    assert len(set(zip(answers.prompt_ids.tolist(), answers.responses, strict=True))) == len(
        answers.responses
    )
    assert len(set(answers.prompts)) == answers.prompt_ids.max() + 1


def test_answers_are_what_their_kind_says(answers):
    rows = list(zip(answers.prompts, answers.responses, answers.kinds, strict=True))
    for prompt, response, kind in rows:
        name = prompt.split("`")[1]
        if kind in ("right", "terse", "truncated", "code"):
            assert response.startswith(f"`{name}`: ")
        if kind == "wrong":
            assert not response.startswith(f"`{name}`: ")
        if kind == "code":
            assert response.endswith("```")
    length = {kind: np.mean([len(r) for _, r, k in rows if k == kind]) for kind in KINDS}
    assert length["terse"] < length["right"] < length["code"] < length["padded"]


def test_texts_do_not_depend_on_the_run_nor_on_libraries_that_patch_the_standard_library(answers):
    here = hashlib.sha256(repr((answers.prompts, answers.responses, answers.kinds)).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        there = subprocess.run(
            [sys.executable, "-c", FINGERPRINT], env=environment, capture_output=True, text=True, check=True
        )
        assert there.stdout.strip() == here
    assert not any(" at 0x" in text or sys.prefix in text for text in answers.responses)


def test_a_limit_takes_that_many_questions():
    assert set(stdlib_answers(limit=7).prompt_ids.tolist()) == set(range(7))


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(limit):
    with pytest.raises(DataError, match="at least 1"):
        stdlib_answers(limit=limit)


def test_a_python_without_docstrings_is_named(monkeypatch):
    monkeypatch.setattr(answers_module, "read_library", lambda: Library([], {}))
    with pytest.raises(DataError, match="no docstrings"):
        stdlib_answers()


def test_a_function_whose_signature_python_stumbles_over_is_written_without_one(monkeypatch):
    def stumble(thing):
        raise AttributeError("'builtin_function_or_method' object has no attribute 'EPOLLIN'")

    monkeypatch.setattr(stdlib_pages.inspect, "signature", stumble)
    assert stdlib_pages._call("select.epoll", object()) == "select.epoll(...)"


def test_the_log_is_one_that_a_product_could_keep_and_hides_the_truth(world):
    assert isinstance(world.log, FeedbackLog)
    assert set(world.log.table.column_names) == {
        "prompt",
        "response",
        "prompt_id",
        "copied",
        "position",
        "device",
        "activity",
    }
    assert world.log.table["copied"].to_pylist() == world.clicks_SN[0].tolist()


def test_copies_are_liked_and_active_and_no_two_seeds_are_alike(world):
    truth = world.truth
    assert world.clicks_SN.shape == (5, len(world.log))
    assert np.array_equal(world.clicks_SN, truth.liked_SN * truth.active_SN)
    assert len({clicks.tobytes() for clicks in world.clicks_SN}) == 5


def test_frequencies_follow_the_stated_truth(world):
    truth = world.truth
    assert truth.liked_SN.mean() == pytest.approx(truth.preference_N.mean(), abs=0.01)
    assert truth.active_SN.mean() == pytest.approx(truth.propensity_N.mean(), abs=0.01)
    assert np.corrcoef(truth.liked_SN.mean(0), truth.preference_N)[0, 1] > 0.7


def test_context_is_drawn_apart_from_the_text_and_moves_the_propensity_over_its_range(world, answers):
    low, high = np.quantile(world.truth.propensity_N, [0.05, 0.95])
    assert low < 0.05 and high > 0.9
    length = [len(text) for text in answers.responses]
    for column in ("position", "activity"):
        values = world.log.table[column].to_numpy()
        assert abs(np.corrcoef(values, length)[0, 1]) < 0.05
        assert abs(np.corrcoef(values, world.truth.preference_N)[0, 1]) < 0.05


def test_copies_rank_answers_much_worse_than_the_truth_does(answers):
    world = demo_world(1, limit=300)
    mine = stdlib_answers(limit=300)
    liked, copied = world.truth.liked_SN[0], world.clicks_SN[0]
    best = concordance(world.truth.preference_N, liked, mine.prompt_ids)
    length = np.log([len(text) for text in mine.responses])
    assert best > 0.8
    assert concordance(length, liked, mine.prompt_ids) < 0.45
    assert concordance(length, copied, mine.prompt_ids) > 0.6


def test_the_world_is_the_same_on_every_run(world):
    again = demo_world()
    assert np.array_equal(world.clicks_SN, again.clicks_SN)
    assert world.log.table.equals(again.log.table)


def test_no_seeds_are_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        demo_world(0)


def test_no_seed_draws_its_users_from_the_streams_of_the_context():
    """Seed 11 is the number that the context is drawn with."""
    world = demo_world(seeds=13, limit=200)
    residual_SN = world.truth.liked_SN - world.truth.preference_N
    position_N = np.array(world.log.table["position"].to_pylist())
    half = len(position_N) // 2
    for shift in (0, 1):
        there = position_N[shift::2][:half]
        for residual_N in residual_SN:
            assert abs(np.corrcoef(residual_N[: len(there)], there)[0, 1]) < 0.2
