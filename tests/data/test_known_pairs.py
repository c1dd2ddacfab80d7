"""Hashes of a log's pairs: its rows are known again, all of them or a fair sample, and nothing else is."""

from __future__ import annotations

import json

import pytest

from tacit.data import FeedbackLog, KnownPairs, Roles


def log_of(numbers: range, chat: bool = False) -> FeedbackLog:
    asked = [f"question {i}" for i in numbers]
    prompts = [[{"role": "user", "content": text}] for text in asked] if chat else asked
    return FeedbackLog.from_columns(
        {"prompt": prompts, "response": [f"answer {i}" for i in numbers]}, Roles()
    )


def test_the_share_of_known_rows_is_counted() -> None:
    known = KnownPairs.of(log_of(range(30)))
    assert known.complete
    assert known.share(log_of(range(20, 60))) == 0.25
    assert known.share(log_of(range(30, 60))) == 0


def test_a_conversation_of_one_turn_is_its_text() -> None:
    assert KnownPairs.of(log_of(range(30))).share(log_of(range(30), chat=True)) == 1


def test_the_border_between_prompt_and_response_counts() -> None:
    one, other = (
        FeedbackLog.from_columns({"prompt": [p], "response": [r]}, Roles())
        for p, r in (("a", "bc"), ("ab", "c"))
    )
    assert KnownPairs.of(one).share(other) == 0


def test_of_a_large_log_a_sample_estimates_the_share() -> None:
    known = KnownPairs.of(log_of(range(20_000)), most=2_000)
    assert (known.distinct, len(known.hashes), known.complete) == (20_000, 2_000, False)
    assert known.share(log_of(range(15_000, 35_000))) == pytest.approx(0.25, abs=0.05)
    assert known.share(log_of(range(20_000, 40_000))) == 0


def test_a_sample_that_holds_none_of_the_rows_does_not_tell() -> None:
    log = log_of(range(2_000))
    known = KnownPairs.of(log, most=1)
    above = next(i for i in range(2_000) if KnownPairs.of(log.take([i])).hashes[0] > known.hashes[0])
    assert known.share(log.take([above])) is None


def test_known_pairs_survive_json() -> None:
    known = KnownPairs.of(log_of(range(300)), most=200)
    read = KnownPairs.from_json(json.loads(json.dumps(known.to_json())))
    assert read.distinct == known.distinct
    assert read.hashes.tolist() == known.hashes.tolist()
