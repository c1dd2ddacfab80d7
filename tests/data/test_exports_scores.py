"""Scores beside traces: which become signals, of which polarity, and which stay columns."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from tacit.data.exports.scores import REVIEWERS, USERS, Columns, Score, columns_of, moment


def read(name: str, *values: Any, by: str = USERS, taken: tuple[str, ...] = ()) -> Columns:
    """Columns of scores on rows 0, 1, …, None for none, in a log of one row more."""
    found = [
        (row, Score(row, "t", None, name, value, 0.0, by))
        for row, value in enumerate(values)
        if value is not None
    ]
    return columns_of(found, len(values) + 1, set(taken))


def signals(columns: Columns) -> dict[str, tuple[int, list[int]]]:
    return {signal.name: (signal.polarity, columns.values[signal.name]) for signal in columns.signals}


UP_AND_DOWN = {"thumb_up": (1, [1, 0, 0, 0]), "thumb_down": (-1, [0, 1, 0, 0])}


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (1, 0),
        (1.0, -1),
        ("1", "0"),
        (True, False),
        ("up", "down"),
        ("thumb up", "thumb down"),
        ("upvote", "downvote"),
        ("liked", "disliked"),
        ("helpful", "unhelpful"),
        ("thumbs_up", "thumbs_down"),
        ("thumbsUp", "thumbsDown"),
        ("Thumbs up", "Thumbs down"),
        ("👍", "👎🏽"),
        ("like", "dislike"),
        ("positive", "negative"),
        ("good", "bad"),
        ("helpful", "not helpful"),
        ("yes", "No"),
        ("correct", "incorrect"),
        ("True", "False"),
    ],
)
def test_a_vote_becomes_a_signal_for_each_direction_and_no_vote_is_0_in_both(up: Any, down: Any) -> None:
    columns = read("thumb", up, down, None)
    assert signals(columns) == UP_AND_DOWN and not columns.plain


@pytest.mark.parametrize("values", [(1, -1, 0), ("positive", "negative", "neutral")])
def test_what_lies_between_for_and_against_is_neither(values: tuple[Any, ...]) -> None:
    assert signals(read("thumb", *values)) == UP_AND_DOWN


def test_of_a_score_that_only_speaks_for_responses_there_is_one_signal_by_its_name() -> None:
    assert signals(read("kept", 1, None)) == {"kept": (1, [1, 0, 0])}


@pytest.mark.parametrize("value", [0, -1, "bad"])
def test_of_a_score_that_only_speaks_against_them_there_is_one_negative_signal(value: Any) -> None:
    assert signals(read("thumb", value, None)) == {"thumb_down": (-1, [1, 0, 0])}


@pytest.mark.parametrize(
    ("name", "polarity"),
    [("copied", 1), ("answer-copied", 1), ("thumbs_down", -1), ("thumbsDown", -1), ("userDisliked", -1)],
)
def test_a_name_that_says_what_users_do_is_an_event_whose_0_is_silence(name: str, polarity: int) -> None:
    assert signals(read(name, 1, 0)) == {name: (polarity, [1, 0, 0])}
    assert signals(read(name, True)) == {name: (polarity, [1, 0])}


@pytest.mark.parametrize("name", ["thumbs_up_down", "like-or-dislike", "breakdown"])
def test_a_name_that_says_both_or_neither_is_a_vote(name: str) -> None:
    assert set(signals(read(name, 1, 0))) == {f"{name}_up", f"{name}_down"}


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ((5, 1, 3), [5.0, 1.0, 3.0, None]),
        (("4", "0.5"), [4.0, 0.5, None]),
        (("fast", "slow"), ["fast", "slow", None]),
        ((1, "fast"), ["1", "fast", None]),
        ((0, "neutral"), ["0", "neutral", None]),
        (({"a": 1},), ['{"a": 1}', None]),
        (("neutral",), ["neutral", None]),
        ((10**400,), [str(10**400), None]),
    ],
)
def test_stars_and_free_categories_stay_a_column_without_a_role(
    values: tuple[Any, ...], column: list[Any]
) -> None:
    columns = read("rating", *values)
    assert columns.values == {"rating": column}
    assert columns.plain == ["rating"] and not columns.signals


def test_the_last_score_of_a_name_on_a_response_counts_by_its_time() -> None:
    found = [
        (0, Score(0, "t", None, "thumb", 0, 30.0, USERS)),
        (0, Score(1, "t", None, "thumb", 1, 20.0, USERS)),
        (1, Score(2, "t", None, "thumb", 0, 10.0, USERS)),
        (1, Score(3, "t", None, "thumb", 1, 10.0, USERS)),
    ]
    assert columns_of(found, 2, set()).values == {"thumb_up": [0, 1], "thumb_down": [1, 0]}


@pytest.mark.parametrize(
    ("names", "polarity"),
    [
        ("copied clicked shared saved downloaded", 1),
        ("down downvote downvoted dislike disliked flagged reported regenerated retried", -1),
    ],
)
def test_each_thing_that_users_do_speaks_for_a_response_or_against_it(names: str, polarity: int) -> None:
    for name in names.split():
        assert signals(read(name, 1, 0)) == {name: (polarity, [1, 0, 0])}


def test_no_score_takes_the_name_of_another_column() -> None:
    columns = read("name", 1, taken=("name", "name_score"))
    assert list(columns.values) == ["name_score_score"]
    both = columns_of(
        [(0, Score(0, "t", None, name, 1, 0.0, USERS)) for name in ("a", "a_up")]
        + [(1, Score(0, "t", None, "a", 0, 0.0, USERS))],
        2,
        set(),
    )
    assert list(both.values) == ["a_up", "a_down", "a_up_score"]


def test_reviewers_scores_from_0_to_1_are_a_column_that_can_be_named_as_gold() -> None:
    columns = read("grade", 0.25, "1", True, by=REVIEWERS)
    assert columns.values == {"grade_reviewed": [0.25, 1.0, 1.0, None]} and columns.gold == ["grade_reviewed"]
    assert read("grade", "correct", "incorrect", by=REVIEWERS).values == {"grade_reviewed": [1.0, 0.0, None]}
    assert not columns.signals


@pytest.mark.parametrize("value", [3, -1, "neutral", "so-so"])
def test_other_scores_of_reviewers_are_left_out_by_name(value: Any) -> None:
    columns = read("grade", 1, value, by=REVIEWERS)
    assert not columns.values and columns.left_out == ["grade"]


def test_the_same_name_from_users_and_reviewers_is_two_columns() -> None:
    found = [(0, Score(0, "t", None, "good", 1, 0.0, by)) for by in (REVIEWERS, USERS)]
    assert list(columns_of(found, 1, set()).values) == ["good", "good_reviewed"]


def test_a_time_is_read_from_text_a_date_or_a_number_and_what_is_none_comes_first() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert moment(noon) == moment(noon.replace(tzinfo=None)) == moment("2026-01-01T12:00:00Z")
    assert moment("2026-01-01 12:00:00.000000") == moment(noon.timestamp()) == moment(str(noon.timestamp()))
    for none in (None, "soon", {}, math.nan, datetime(1, 1, 1)):
        assert moment(none) < moment("1970-01-01")
