"""FastChat's logs: answers and votes in the order of events, with one model on the page or two."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import made_exports
import pytest

from tacit import FeedbackLog
from tacit.errors import DataError


def state(conv: str, *turns: Any, model: str = "small", **more: Any) -> dict[str, Any]:
    roles = ["USER", "ASSISTANT"]
    return {
        "template_name": "vicuna_v1.1",
        "system_message": "A chat between a curious user and an assistant.",
        "roles": roles,
        "messages": [[roles[i % 2], turn] for i, turn in enumerate(turns)],
        "offset": 0,
        "conv_id": conv,
        "model_name": model,
    } | more


def chat(
    at: float, said: dict[str, Any], ip: str | None = "1.1.1.1", took: float = 2, **more: Any
) -> dict[str, Any]:
    line = {"tstamp": at, "type": "chat", "model": said["model_name"], "gen_params": {"top_p": 1.0}}
    return line | {"start": at - took, "finish": at, "state": said, "ip": ip} | more


def vote(at: float, kind: str, *said: dict[str, Any], ip: str = "1.1.1.1") -> dict[str, Any]:
    line: dict[str, Any] = {"tstamp": at, "type": kind, "ip": ip}
    if len(said) == 1:
        return line | {"model": said[0]["model_name"], "state": said[0]}
    return line | {"models": ["", ""], "states": list(said)}


def read(path: Path, *lines: dict[str, Any], **options: Any) -> FeedbackLog:
    log = path / "2026-01-01-conv.json"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return FeedbackLog.read(log, **options)


def by_text(log: FeedbackLog, column: str) -> dict[str, Any]:
    return dict(zip(log.responses(), log.column(column), strict=True))


ONE = state("c1", "Sort a list?", "You cannot.")
TWO = state("c1", "Sort a list?", "sorted(xs)")
THREE = state("c1", "Sort a list?", "sorted(xs)", "And reversed?", "reverse=True")
SINGLE = [chat(10, ONE), vote(12, "downvote", ONE), chat(20, TWO), vote(22, "upvote", TWO), chat(30, THREE)]


def test_a_chat_gives_a_row_per_answer_shown_with_the_votes_on_it(tmp_path: Path) -> None:
    log = read(tmp_path, *SINGLE, vote(32, "flag", THREE))
    assert by_text(log, "thumbs_up") == {"You cannot.": 0, "sorted(xs)": 1, "reverse=True": 0}
    assert by_text(log, "thumbs_down") == {"You cannot.": 1, "sorted(xs)": 0, "reverse=True": 0}
    assert by_text(log, "flagged") == {"You cannot.": 0, "sorted(xs)": 0, "reverse=True": 1}
    assert by_text(log, "turn") == {"You cannot.": 1, "sorted(xs)": 1, "reverse=True": 2}
    assert by_text(log, "prompt")["reverse=True"] == [
        {"role": "user", "content": "Sort a list?"},
        {"role": "assistant", "content": "sorted(xs)"},
        {"role": "user", "content": "And reversed?"},
    ]
    assert log.prompt_codes().tolist() == [0, 0, 1]
    assert log.column("chat_id") == ["c1"] * 3 and log.column("timestamp") == [10, 20, 30]
    assert log.column("model") == ["small"] * 3 and log.roles.policy == "model"
    assert log.roles.user_id == "user_id" and log.column("user_id") == ["1.1.1.1"] * 3
    assert [(signal.name, signal.polarity) for signal in log.roles.signals] == [
        ("thumbs_up", 1),
        ("thumbs_down", -1),
    ]
    assert log.roles.context == ("turn",) and set(log.column("chosen")) == {None}
    assert log.where(2) == f"{tmp_path}/2026-01-01-conv.json, line 5"


def test_an_answer_is_regenerated_when_its_turn_was_answered_anew_later(tmp_path: Path) -> None:
    again = chat(25, TWO)  # the same words once more
    assert by_text(read(tmp_path, *SINGLE), "regenerated") == {
        "You cannot.": 1,
        "sorted(xs)": 0,
        "reverse=True": 0,
    }
    assert by_text(read(tmp_path, *SINGLE, again), "regenerated") == {
        "You cannot.": 1,
        "sorted(xs)": 1,
        "reverse=True": 0,
    }


def test_a_line_that_was_delivered_twice_regenerates_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, SINGLE[2], SINGLE[2]).column("regenerated") == [0]


def test_lines_are_taken_by_their_time_and_a_later_vote_replaces_an_earlier_one(tmp_path: Path) -> None:
    late = vote(13, "upvote", ONE), vote(23, "downvote", TWO)
    log = read(tmp_path, *late, *reversed(SINGLE))
    assert by_text(log, "thumbs_up") == {"You cannot.": 1, "sorted(xs)": 0, "reverse=True": 0}
    assert by_text(log, "thumbs_down") == {"You cannot.": 0, "sorted(xs)": 1, "reverse=True": 0}
    assert by_text(log, "regenerated") == {"You cannot.": 1, "sorted(xs)": 0, "reverse=True": 0}


def test_a_vote_without_the_line_of_its_answer_is_an_answer_that_was_shown(tmp_path: Path) -> None:
    log = read(tmp_path, SINGLE[1], SINGLE[2])
    assert by_text(log, "thumbs_down") == {"You cannot.": 1, "sorted(xs)": 0}
    assert by_text(log, "regenerated") == {"You cannot.": 1, "sorted(xs)": 0}


def test_example_turns_and_system_message_that_nobody_saw_are_no_prompt(tmp_path: Path) -> None:
    log = read(tmp_path, chat(1, state("c1", "Example?", "An example.", "Hi", "Hello!", offset=2)))
    assert log.prompts() == ["Hi"] and log.column("turn") == [1]


def test_roles_without_names_alternate(tmp_path: Path) -> None:
    raw = state("c1", roles=["", ""], messages=[["", "Hi"], ["", "Hello!"]])
    assert read(tmp_path, chat(1, raw)).messages() == [
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
    ]


LEFT, RIGHT = state("l", "Hi", "left", model="small"), state("r", "Hi", "right", model="large")
BATTLE = [chat(9, LEFT, took=5.0), chat(8, RIGHT, took=3.9)]


@pytest.mark.parametrize(
    ("kind", "chosen", "down"),
    [
        ("leftvote", (1, 0), (0, 0)),
        ("rightvote", (0, 1), (0, 0)),
        ("tievote", (0, 0), (0, 0)),
        ("bothbad_vote", (0, 0), (1, 1)),
        ("share", (0, 0), (0, 0)),
    ],
)
def test_a_battle_gives_two_rows_of_one_prompt_and_the_vote_chooses_between_them(
    tmp_path: Path, kind: str, chosen: tuple[int, int], down: tuple[int, int]
) -> None:
    log = read(tmp_path, *BATTLE, vote(10, kind, LEFT, RIGHT))
    assert by_text(log, "chosen") == dict(zip(("left", "right"), chosen, strict=True))
    assert by_text(log, "thumbs_down") == dict(zip(("left", "right"), down, strict=True))
    assert by_text(log, "side") == {"left": "left", "right": "right"}
    assert by_text(log, "model") == {"left": "small", "right": "large"}
    assert log.prompt_codes().tolist() == [0, 0] and log.codes("session_id").tolist() == [0, 0]
    assert log.roles.context == ("turn", "side")
    assert [signal.name for signal in log.roles.signals] == ["thumbs_down", "chosen"]


def test_what_a_page_does_not_offer_is_null_there(tmp_path: Path) -> None:
    log = read(tmp_path, *SINGLE, *BATTLE, vote(10, "leftvote", LEFT, RIGHT, ip="2.2.2.2"))
    assert by_text(log, "chosen") == {
        "You cannot.": None,
        "sorted(xs)": None,
        "reverse=True": None,
        "left": 1,
        "right": 0,
    }
    assert by_text(log, "thumbs_up")["left"] is None and by_text(log, "flagged")["left"] is None
    assert by_text(log, "thumbs_down")["left"] == 0 and by_text(log, "side")["sorted(xs)"] == "single"
    assert [signal.name for signal in log.roles.signals] == ["thumbs_up", "thumbs_down", "chosen"]


def test_a_vote_on_a_battle_speaks_of_the_last_answers_alone(tmp_path: Path) -> None:
    further = [
        state(said["conv_id"], "Hi", said["messages"][1][1], "More?", f"more {said['conv_id']}")
        for said in (LEFT, RIGHT)
    ]
    log = read(tmp_path, *BATTLE, chat(19, further[0]), chat(19, further[1]), vote(20, "rightvote", *further))
    assert by_text(log, "chosen") == {"left": 0, "right": 0, "more l": 0, "more r": 1}
    assert by_text(log, "prompt_id") == {"left": "l/1", "right": "l/1", "more l": "l/2", "more r": "l/2"}


def test_the_model_of_a_state_without_a_name_is_that_of_its_line(tmp_path: Path) -> None:
    assert read(tmp_path, vote(10, "leftvote", LEFT, RIGHT)).column("model") == ["small", "large"]
    unnamed = [said | {"model_name": None} for said in (LEFT, RIGHT)]
    line = vote(10, "leftvote", *unnamed) | {"models": ["small", "large"]}
    assert read(tmp_path, line).column("model") == ["small", "large"]


VOTED = [
    chat(50, state("v", "Yo", "l2")),
    chat(50, state("w", "Yo", "r2")),
    vote(51, "tievote", state("v", "Yo", "l2"), state("w", "Yo", "r2")),
]


def test_a_battle_without_a_vote_is_two_answers_to_one_text_written_at_once(tmp_path: Path) -> None:
    log = read(tmp_path, *BATTLE, *VOTED)
    assert by_text(log, "side") == {"right": "right", "left": "left", "l2": "left", "r2": "right"}
    assert by_text(log, "chosen")["left"] == 0 and by_text(log, "thumbs_up")["left"] is None
    assert len(set(log.prompt_codes().tolist())) == 2


def test_the_sides_of_a_battle_are_those_of_its_votes(tmp_path: Path) -> None:
    log = read(tmp_path, chat(9, LEFT, took=3), chat(9, RIGHT, took=4), vote(10, "leftvote", LEFT, RIGHT))
    assert by_text(log, "side") == {"left": "left", "right": "right"}


def test_of_three_conversations_written_at_once_two_are_a_battle(tmp_path: Path) -> None:
    log = read(tmp_path, *BATTLE, chat(9, state("z", "Hi", "third"), took=2), *VOTED)
    assert by_text(log, "side")["third"] == "single" != by_text(log, "side")["right"]


@pytest.mark.parametrize(
    "lines",
    [
        [chat(9, LEFT), chat(8, RIGHT, ip="2.2.2.2")],
        [chat(9, LEFT, ip=None), chat(8, RIGHT, ip=None)],
        [chat(9, LEFT), chat(12, RIGHT)],
        [chat(9, LEFT), chat(8, state("r", "Hi?", "right"))],
        [chat(9, LEFT, start=None), chat(8, RIGHT)],
        [*BATTLE, vote(10, "upvote", LEFT)],
    ],
)
def test_conversations_that_only_resemble_a_battle_stand_alone(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    log = read(tmp_path, *lines, *VOTED)
    assert by_text(log, "side")["left"] == "single" == by_text(log, "side")["right"]


def test_where_no_battle_was_ever_voted_on_there_are_none(tmp_path: Path) -> None:
    log = read(tmp_path, *BATTLE)
    assert log.column("chosen") == [None, None] and log.column("thumbs_up") == [0, 0]


def test_beside_an_error_an_answer_was_not_preferred_to_another(tmp_path: Path) -> None:
    error = state("r", "Hi", "**NETWORK ERROR DUE TO HIGH TRAFFIC.**\n\n(error_code: 50004, x)")
    log = read(tmp_path, vote(10, "leftvote", LEFT, error), *VOTED)
    assert by_text(log, "chosen") == {"left": None, "l2": 0, "r2": 0}
    assert "the response is an error or was not finished (1" in log.quarantine.describe()


def test_flags_and_regenerations_are_offered_and_keep_their_polarity(tmp_path: Path) -> None:
    log = read(tmp_path, *SINGLE, signals=["flagged", "regenerated"])
    assert [signal.polarity for signal in log.roles.signals] == [-1, -1]


def test_several_addresses_are_users_whose_activity_can_be_compared(tmp_path: Path) -> None:
    other = chat(1, state("c9", "Yo", "Ho"), ip="2.2.2.2")
    assert read(tmp_path, *SINGLE, other).roles.context == ("turn", "user_activity")


def test_without_addresses_nobody_is_known(tmp_path: Path) -> None:
    assert read(tmp_path, chat(1, ONE, ip=None)).roles.user_id is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (chat(1, state("x", "Hi", "Ho", conv_id=None)), "holds no conversation with a conv_id"),
        (chat(1, ONE) | {"state": None}, "holds no conversation with a conv_id"),
        (chat(1, state("x", "Hi", None)), "its conversation does not end with a response"),
        (chat(1, state("x", "Hi")), "its conversation does not end with a response"),
        (chat(1, state("x", "Hi", "Ho", offset=2)), "its conversation does not end with a response"),
        (
            chat(1, state("x", "Hi", "**API REQUEST ERROR** Reason: …")),
            "the response is an error or was not finished",
        ),
        (
            chat(1, state("x", "Hi", "Oops\n\n(error_code: 50001)")),
            "the response is an error or was not finished",
        ),
        (chat(1, state("x", "Hi", "And then▌")), "the response is an error or was not finished"),
        (
            chat(1, state("x", "$MODERATION$ YOUR INPUT VIOLATES", "Ho")),
            "the user's words were withheld by moderation",
        ),
        (
            chat(1, state("x", ["Hi", ["d41d8"]], "A cat.")),
            "prompt has a message with a part that is not text",
        ),
        (chat(1, state("x", "Hi", " ")), "response is empty"),
        (chat(1, ONE) | {"type": "load"}, "its type is no chat and no vote"),
        (vote(1, "leftvote", ONE), "speaks of a battle and has no two states"),
    ],
)
def test_what_cannot_be_used_is_quarantined_by_reason(
    tmp_path: Path, line: dict[str, Any], reason: str
) -> None:
    log = read(tmp_path, chat(1, state("c5", "Hi", "Hello!")), line)
    assert log.responses() == ["Hello!"]
    assert reason in log.quarantine.describe() and log.quarantine.total == 1


def test_text_that_a_page_with_images_wrote_without_one_is_text(tmp_path: Path) -> None:
    assert read(tmp_path, chat(1, state("x", ["Hi", []], "Ho"))).prompts() == ["Hi"]


def test_other_logs_with_such_columns_are_not_taken_for_one(tmp_path: Path) -> None:
    row = {"tstamp": 1, "type": "chat", "state": "Ohio", "prompt": "Hi", "response": "Ho", "up": 1}
    log = read(tmp_path, row, signals=["up"])
    assert log.prompts() == ["Hi"] and log.roles.prompt_id is None


ODD = [None, True, 0, -1.5, "", "x", [], [None], [[]], {}, {"a": 1}, 10**400, float("nan")]


broken = partial(made_exports.broken, odd=ODD)


@pytest.mark.parametrize("seed", range(40))
def test_half_broken_logs_are_read_quarantined_or_refused_in_one_line(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    lines = [broken(line, 0.03, rng) for line in [*SINGLE, *BATTLE, *VOTED] * 2]
    lines = [line for line in lines if isinstance(line, dict)]
    try:
        log = read(tmp_path, *lines, source="fastchat")
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert len(log)
