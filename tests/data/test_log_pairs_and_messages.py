"""Pairs of a chosen and a rejected answer, and chats in one column, as they are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit import FeedbackLog
from tacit.data.published import SOURCES
from tacit.errors import DataError

ASK = {"role": "user", "content": "Sort a list?"}
GOOD, BAD = ({"role": "assistant", "content": text} for text in ("sorted(xs)", "You cannot."))


def said(log: FeedbackLog) -> list[tuple[Any, str, int, float]]:
    return list(
        zip(log.messages(), log.responses(), log.column("preferred"), log.column("rank"), strict=True)
    )


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Sort a list?", "chosen": "sorted(xs)", "rejected": "You cannot."},
        {"prompt": [ASK], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": "Sort a list?", "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": [ASK], "chosen": "sorted(xs)", "rejected": "You cannot."},
        {"chosen": [ASK, GOOD], "rejected": [ASK, BAD]},
        {"prompt": "Sort a list?", "chosen": [ASK, GOOD], "rejected": [ASK, BAD]},
        {"prompt": [ASK], "chosen": [ASK, GOOD], "rejected": [ASK, BAD]},
        {
            "chosen": "\n\nHuman: Sort a list?\n\nAssistant: sorted(xs)",
            "rejected": "\n\nHuman: Sort a list?\n\nAssistant: You cannot.",
        },
    ],
)
def test_every_form_of_a_pair_is_two_answers_to_one_prompt(row: dict[str, Any]) -> None:
    log = FeedbackLog.read([row | {"margin": 2.0}])
    assert [(answer, liked, rank) for _, answer, liked, rank in said(log)] == [
        ("sorted(xs)", 1, 0.0),
        ("You cannot.", 0, 1.0),
    ]
    assert [chat[:-1] if chat[-1]["role"] == "assistant" else chat for chat in log.messages()] == [[ASK]] * 2
    assert log.column("margin") == [2.0, 2.0]
    assert log.roles.signals[0].kind == "explicit" and log.roles.rank == "rank"


def test_two_pairs_of_one_prompt_are_not_crossed_and_stay_in_one_fold() -> None:
    row = {"prompt": "Sort a list?", "chosen": "a", "rejected": "b"}
    log = FeedbackLog.read([row, row | {"chosen": "c", "rejected": "d"}, row | {"prompt": "Other?"}])
    assert log.prompt_codes().tolist() == [0, 0, 1, 1, 2, 2]
    asked = log.codes("session_id")
    assert asked[0] == asked[2] != asked[4]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"chosen": [ASK, GOOD], "rejected": [GOOD, ASK, BAD]},
            "chosen and rejected answer different conversations",
        ),
        ({"prompt": "p", "chosen": "a", "rejected": "a"}, "chosen and rejected are the same"),
        ({"chosen": "a", "rejected": "b"}, "chosen is neither an answer to a prompt nor a conversation"),
        ({"chosen": [GOOD], "rejected": [BAD]}, "there is no prompt"),
        ({"prompt": "p", "chosen": "a", "rejected": None}, "rejected is neither an answer"),
        ({"chosen": [GOOD, ASK], "rejected": [BAD, ASK]}, "chosen is neither an answer"),
    ],
)
def test_what_is_no_pair_is_quarantined_with_the_reason(row: dict[str, Any], reason: str) -> None:
    whole = {"prompt": "p", "chosen": "x", "rejected": "y"}
    log = FeedbackLog.read([whole, row])
    assert len(log) == 2 and reason in log.quarantine.describe()


CELLS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=30)
    | st.just("\n\nHuman: a\n\nAssistant: b"),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type"]), below, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4))
def test_whatever_stands_in_the_cells_gives_a_log_or_one_line(cells: list[tuple[Any, Any, Any]]) -> None:
    rows = [dict(zip(("prompt", "chosen", "rejected"), row, strict=True)) for row in cells]
    for read in (rows, [{"messages": row["chosen"], "copied": 1} for row in rows]):
        try:
            FeedbackLog.read(read)
        except DataError as error:
            assert "\n" not in str(error)


def test_messages_that_end_with_the_answer_are_prompt_and_response(tmp_path: Path) -> None:
    rows = [
        {"messages": [ASK, GOOD], "copied": 1, "slot": 0},
        {"messages": [ASK], "copied": 0, "slot": 1},
        {"messages": "Sort a list?", "copied": 0, "slot": 1},
        {"messages": [ASK, GOOD, ASK, BAD], "copied": 0, "slot": 2},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = FeedbackLog.read(tmp_path / "log.jsonl", signals="copied", context="slot")
    assert log.responses() == ["sorted(xs)", "You cannot."]
    assert log.column("prompt") == [[ASK], [ASK, GOOD, ASK]]
    assert log.column("slot") == [0, 2] and log.column("copied") == [1, 0]
    assert log.where(1).endswith("log.jsonl, line 4")
    assert "messages do not end with an answer of the assistant (1" in log.quarantine.describe()
    assert "messages is text, no list of messages (1" in log.quarantine.describe()


def test_the_binarised_set_is_not_taken_for_plain_pairs() -> None:
    columns = ["prompt", "chosen", "rejected", "score_chosen", "score_rejected"]
    assert (
        next(name for name, source in SOURCES.items() if source.detect(columns)) == "ultrafeedback_binarised"
    )
