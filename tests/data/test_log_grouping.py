"""Groups stay whole: no prompt, user or session is ever on both sides of a split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.data import FeedbackLog, Roles
from tacit.errors import ConfigError, DataError


def log_of(groups: list[int], **roles: str) -> FeedbackLog:
    columns = {
        "prompt": [f"prompt {group}" for group in groups],
        "response": [f"response {row}" for row in range(len(groups))],
        "user": [None if group == 0 else group for group in groups],
    }
    return FeedbackLog.from_columns(columns, Roles(**roles))


GROUPS = st.lists(st.integers(0, 12), min_size=6, max_size=60).filter(lambda groups: len(set(groups)) >= 4)


@settings(max_examples=80, deadline=None)
@given(groups=GROUPS, k=st.integers(2, 4), seed=st.integers(0, 5))
def test_folds_never_straddle_a_group_and_none_is_empty(groups: list[int], k: int, seed: int) -> None:
    folds = log_of(groups).folds(k, seed=seed)
    assert folds.dtype == np.int64 and set(folds.tolist()) == set(range(k))
    for group in set(groups):
        assert len({int(fold) for fold, other in zip(folds, groups, strict=True) if other == group}) == 1
    assert np.array_equal(folds, log_of(groups).folds(k, seed=seed))


@settings(max_examples=80, deadline=None)
@given(groups=GROUPS, share=st.floats(0.05, 0.95), seed=st.integers(0, 5))
def test_splits_never_straddle_a_group_and_lose_no_row(groups: list[int], share: float, seed: int) -> None:
    train, test = log_of(groups).split(test=share, seed=seed)
    assert len(train) + len(test) == len(groups) and len(train) and len(test)
    assert not set(train.prompts()) & set(test.prompts())
    assert test.responses() == log_of(groups).split(test=share, seed=seed)[1].responses()


def test_folds_are_even_in_rows() -> None:
    rng = np.random.default_rng(0)
    folds = log_of(rng.integers(0, 200, 1000).tolist()).folds(5)
    assert np.ptp(np.bincount(folds)) <= 2


def test_split_by_user_keeps_users_whole_and_null_as_one_group() -> None:
    groups = [0, 0, 1, 1, 2, 2, 3, 3]
    log = log_of(groups, user_id="user")
    assert log.codes("user_id").tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    train, test = log.split(by="user_id", test=0.5)
    assert not set(train.column("user")) & set(test.column("user"))
    assert np.array_equal(log.codes("user"), log.codes("user_id"))


def test_rows_of_no_known_user_are_dealt_by_prompt_and_not_as_one_user() -> None:
    users = [f"u{row % 40}" if row % 10 == 0 else None for row in range(1000)]
    columns = {"prompt": [f"p{row // 2}" for row in range(1000)], "response": ["r"] * 1000, "user": users}
    log = FeedbackLog.from_columns(columns, Roles(user_id="user"))
    folds = log.folds(5, by="user_id")
    assert np.ptp(np.bincount(folds)) <= 50
    by_unit: dict[str, set[int]] = {}
    for row, fold in enumerate(folds.tolist()):
        by_unit.setdefault(users[row] or columns["prompt"][row], set()).add(fold)
    assert all(len(found) == 1 for found in by_unit.values())
    train, test = log.split(by="user_id")
    assert 150 <= len(test) <= 250 and len(train) + len(test) == 1000


def test_prompt_groups_are_equal_prompts_in_order_of_appearance() -> None:
    log = log_of([3, 1, 3, 2])
    assert log.prompt_codes().tolist() == [0, 1, 0, 2]
    assert log.prompt_codes().dtype == np.int64
    assert log_of([3, 1, 3, 2], prompt_id="response").prompt_codes().tolist() == [0, 1, 2, 3]


def test_chat_prompts_group_by_their_whole_conversation() -> None:
    first = [{"role": "user", "content": "Hi"}]
    longer = [{"role": "system", "content": "Hi"}, *first]
    log = FeedbackLog.from_columns({"prompt": [first, longer, first], "response": ["a", "b", "c"]}, Roles())
    assert log.prompt_codes().tolist() == [0, 1, 0]


def test_splits_refuse_what_cannot_be_split() -> None:
    log = log_of([1, 1, 1])
    with pytest.raises(DataError, match="one group of rows only"):
        log.split()
    with pytest.raises(DataError, match="1 groups cannot fill 2 folds"):
        log.folds(2)
    with pytest.raises(ConfigError, match="expected at least 2"):
        log.folds(1)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        log.split(test=1.0)
    with pytest.raises(DataError, match="names no column as session_id"):
        log.folds(2, by="session_id")
    with pytest.raises(DataError, match="no column 'colour'"):
        log.codes("colour")


def test_take_follows_positions_and_masks() -> None:
    log = log_of([1, 2, 3])
    assert log.take([2, 0]).responses() == ["response 2", "response 0"]
    assert log.take(np.array([False, True, False])).responses() == ["response 1"]
    assert len(log.take([])) == 0
