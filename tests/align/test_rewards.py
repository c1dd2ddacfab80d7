"""What a policy is paid: penalties exact, abstention, blank answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from tacit.align.rewards import GuardedReward, RewardGuard, is_blank
from tacit.errors import ConfigError, DataError
from tacit.model import RewardModel

MEMBERS_MN = np.array([[1.0, 4.0, -2.0], [3.0, 0.0, -2.0]])  # means 2, 2, −2; spreads 1, 2, 0


def test_the_penalty_is_lambda_times_the_population_spread() -> None:
    assert RewardGuard(uncertainty_penalty=0.5).apply(MEMBERS_MN) == [1.5, 1.0, -2.0]


def test_without_options_the_reward_is_the_mean() -> None:
    assert RewardGuard().apply(MEMBERS_MN) == [2.0, 2.0, -2.0]


def test_it_abstains_beyond_the_bound_and_not_on_it() -> None:
    assert RewardGuard(max_uncertainty=1.0).apply(MEMBERS_MN) == [2.0, None, -2.0]


def test_only_tokens_beyond_the_bound_cost() -> None:
    guard = RewardGuard(max_tokens=10, token_penalty=0.25)
    assert guard.apply(MEMBERS_MN, [10, 14, 3]) == [2.0, 1.0, -2.0]
    with pytest.raises(ConfigError, match="length of each response"):
        guard.apply(MEMBERS_MN)


@pytest.mark.parametrize(
    "options",
    [
        {"uncertainty_penalty": -0.1},
        {"max_uncertainty": float("nan")},
        {"max_tokens": 5},
        {"token_penalty": 0.1},
    ],
)
def test_options_out_of_range_or_without_their_partner_are_one_line(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError) as refused:
        RewardGuard(**options)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", " \n", "words"])
def test_an_answer_is_blank_in_every_shape_or_in_none(text: str) -> None:
    turn: dict[str, Any] = {"role": "assistant", "content": text}
    parts = {"role": "assistant", "content": [{"type": "text", "text": " "}, {"type": "text", "text": text}]}
    for shape in (text, turn, [turn], [parts]):
        assert is_blank(shape) == (text != "words")


def test_two_answers_that_differ_in_a_call_alone_earn_by_it(reward_folder: Path) -> None:
    def answer(name: str) -> list[dict[str, Any]]:
        call = {"function": {"name": name, "arguments": {"it": 1}}}
        return [{"role": "assistant", "content": None, "tool_calls": [call]}]

    guarded = GuardedReward.open(reward_folder)
    clear, wrong = guarded.pairs([("question 1", answer("clear")), ("question 1", answer("wrong"))])
    assert clear is not None and wrong is not None and clear > wrong


@pytest.mark.parametrize("calls", [None, [{"function": {}}]])
@pytest.mark.parametrize("content", [None, [{"type": "image"}]])
def test_an_answer_that_no_log_would_take_is_a_sentence_and_not_a_blank(
    content: Any, calls: Any, reward_folder: Path
) -> None:
    turns = [{"role": "assistant", "content": content, "tool_calls": calls}]
    assert not is_blank(turns)
    with pytest.raises(DataError):
        GuardedReward.open(reward_folder).pairs([("question 1", turns)])


def test_rewards_are_those_of_the_model(reward_folder: Path) -> None:
    pairs = [("question 1", "clear correct it"), ("question 2", "vague wrong it")]
    model = RewardModel.load(reward_folder)
    guarded = GuardedReward.open(reward_folder, RewardGuard(uncertainty_penalty=2.0))
    expected = model.score(pairs) - 2.0 * model.uncertainty(pairs)
    np.testing.assert_allclose(np.array(guarded.pairs(pairs), dtype=float), expected, atol=1e-5)
    np.testing.assert_allclose(guarded.spread_N, model.uncertainty(pairs), atol=1e-6)
    assert expected[0] > expected[1]


def test_chat_messages_and_plain_text_earn_the_same(reward_folder: Path) -> None:
    guarded = GuardedReward.open(reward_folder)
    chat = ([{"role": "user", "content": "question 1"}], [{"role": "assistant", "content": "clear it"}])
    assert guarded.pairs([chat]) == guarded.pairs([("question 1", "clear it")])


def test_a_blank_answer_earns_the_lowest_reward_seen_and_never_more_than_zero(reward_folder: Path) -> None:
    guarded = GuardedReward.open(reward_folder)
    assert guarded.pairs([("question 1", " \n"), ("question 1", [{"role": "assistant", "content": ""}])]) == [
        0.0,
        0.0,
    ]
    worst = guarded.pairs([("question 1", "wrong broken sloppy confused vague")])[0]
    assert worst is not None and worst < 0
    assert guarded.pairs([("question 1", ""), ("question 1", "clear correct")])[0] == worst


def test_spread_of_one_member_is_refused_where_it_would_matter(tmp_path: Path) -> None:
    alone = tiny.reward_model(tmp_path / "one", members=1)
    GuardedReward.open(alone)
    with pytest.raises(ConfigError, match="one member"):
        GuardedReward.open(alone, RewardGuard(uncertainty_penalty=1.0))
