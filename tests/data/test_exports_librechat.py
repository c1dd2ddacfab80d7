"""LibreChat's exports: a dump of the collection of messages, and single conversations saved from the page."""

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

NOBODY = "00000000-0000-0000-0000-000000000000"
UP, DOWN = {"rating": "thumbsUp", "tag": "clear_well_written"}, {"rating": "thumbsDown", "text": "no"}


def at(second: int) -> dict[str, Any]:
    return {"$date": f"2025-06-01T10:00:{second:02}.000Z"}


def message(name: str, parent: str, text: Any, mine: bool = False, **more: Any) -> dict[str, Any]:
    said = {
        "_id": {"$oid": "6615516574dc2ddcdebe40b6"},
        "messageId": name,
        "conversationId": "c1",
        "parentMessageId": parent,
        "isCreatedByUser": mine,
        "user": "ann",
        "sender": "User" if mine else "GPT-4",
        "text": text,
        "endpoint": "openAI",
        "model": None if mine else "small",
        "error": False,
        "unfinished": False,
        "createdAt": at(len(name)),
    }
    return said | more


SORT = [
    message("q1", NOBODY, "Sort a list?", mine=True),
    message("a2", "q1", "sorted(xs)", createdAt=at(30), feedback=UP),
    message("a1", "q1", "You cannot.", createdAt=at(20), feedback=DOWN),
    message("b1", "q1", "xs.sort()", model="large", createdAt=at(40)),
    message("q2", "a2", "And reversed?", mine=True),
    message("a3", "q2", "rev", createdAt=at(50), unfinished=True, endpoint=None),
    message("a4", "q2", "reverse=True", createdAt=at(51)),
]
OTHER = {"conversationId": "c2", "user": "bob"}
LOST = message("a9", "gone", "Yes.", **OTHER)
FAILED = message("a8", "q8", '{"type": "no_user_key"}', error=True, **OTHER)
HELLO = [
    message("q8", NOBODY, "Hi", mine=True, **OTHER),
    message("a7", "q8", "Hello!", **OTHER, createdAt=at(1)),
]


def dumped(path: Path, messages: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in messages), encoding="utf-8")
    return path


def by_id(log: FeedbackLog, column: str) -> dict[str, Any]:
    return dict(zip(log.column("message_id"), log.column(column), strict=True))


def test_a_dump_gives_a_row_per_answer_with_the_conversation_before_it(tmp_path: Path) -> None:
    log = FeedbackLog.read(dumped(tmp_path / "messages.json", [*SORT, LOST, FAILED, *HELLO]))
    assert by_id(log, "response") == {
        "a2": "sorted(xs)",
        "a1": "You cannot.",
        "b1": "xs.sort()",
        "a4": "reverse=True",
        "a7": "Hello!",
    }
    assert by_id(log, "prompt")["a4"] == [
        {"role": "user", "content": "Sort a list?"},
        {"role": "assistant", "content": "sorted(xs)"},
        {"role": "user", "content": "And reversed?"},
    ]
    assert by_id(log, "thumbs_up") == {"a2": 1, "a1": 0, "b1": 0, "a4": 0, "a7": 0}
    assert by_id(log, "thumbs_down") == {"a2": 0, "a1": 1, "b1": 0, "a4": 0, "a7": 0}
    assert by_id(log, "turn") == {"a2": 1, "a1": 1, "b1": 1, "a4": 2, "a7": 1}
    assert by_id(log, "user_id")["a7"] == "bob" and by_id(log, "chat_id")["a7"] == "c2"
    assert log.roles.policy == "model" and log.roles.context == ("turn", "user_activity")
    told = log.quarantine.describe()
    assert "the conversation before the response is not in the export (1" in told
    assert "the response is an error or was not finished (2" in told
    assert log.where(4) == f"{tmp_path}/messages.json, line 11"


def test_an_answer_is_regenerated_when_the_same_model_was_asked_again_later(tmp_path: Path) -> None:
    late = message("a5", "q2", "reversed(xs)", createdAt=at(52))
    log = FeedbackLog.read(dumped(tmp_path / "messages.json", [*SORT, late]))
    assert by_id(log, "regenerated") == {"a2": 0, "a1": 1, "b1": 0, "a4": 1, "a5": 0}


def test_an_array_of_messages_reads_like_its_lines(tmp_path: Path) -> None:
    (tmp_path / "array.json").write_text(json.dumps(SORT, indent=2))
    array = FeedbackLog.read(tmp_path / "array.json")
    assert array.fingerprint() == FeedbackLog.read(dumped(tmp_path / "lines.json", SORT)).fingerprint()


@pytest.mark.parametrize(
    "written",
    [
        "2025-06-01T10:00:20.000Z",
        "2025-06-01T10:00:20",
        {"$date": "2025-06-01T12:00:20.000+02:00"},
        {"$date": 1748772020000},
        {"$date": {"$numberLong": "1748772020000"}},
    ],
)
def test_a_time_is_read_in_every_form_that_tools_write(tmp_path: Path, written: Any) -> None:
    rows = [SORT[0], message("a1", "q1", "Yes.", createdAt=written)]
    assert FeedbackLog.read(dumped(tmp_path / "a.json", rows)).column("timestamp") == [1748772020.0]


def parts(*content: Any) -> list[dict[str, Any]]:
    return [SORT[0], message("a1", "q1", "", content=list(content))]


CALL = {
    "type": "tool_call",
    "tool_call": {"id": "x", "name": "search", "args": '{"q": "sort"}', "output": "…"},
}
CODE = {
    "type": "tool_call",
    "tool_call": {"type": "code_interpreter", "code_interpreter": {"input": "1+1", "outputs": []}},
}
FUNCTION = {
    "type": "tool_call",
    "tool_call": {"type": "function", "function": {"name": "add", "arguments": "{}", "output": "2"}},
}


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "text", "text": {"value": "a", "annotations": []}}], "a"),
        ([{"type": "think", "think": "hm"}, {"type": "text", "text": "a"}], "a"),
        ([{"type": "agent_update", "agent_update": {}}, None, "a"], "a"),
        ([CALL, {"type": "text", "text": "a"}], 'a\n{"name": "search", "arguments": {"q": "sort"}}'),
        ([CODE], '{"name": "code_interpreter", "arguments": "1+1"}'),
        ([FUNCTION], '{"name": "add", "arguments": {}}'),
    ],
)
def test_an_answer_in_parts_is_its_words_and_calls_without_thoughts(
    tmp_path: Path, content: list[Any], response: str
) -> None:
    assert FeedbackLog.read(dumped(tmp_path / "a.json", parts(*content))).responses() == [response]


def test_thoughts_within_the_text_are_left_out_of_answers_only(tmp_path: Path) -> None:
    thought = ":::thinking\nhm\n:::\n\nYes."
    rows = [message("q1", NOBODY, thought, mine=True), message("a1", "q1", thought)]
    log = FeedbackLog.read(dumped(tmp_path / "a.json", rows))
    assert log.responses() == ["Yes."] and log.prompts() == [thought]


TEXT = {"type": "text", "text": "a"}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            parts(TEXT, {"type": "image_file", "image_file": {}}),
            "response has a message with a part that is not text",
        ),
        (parts({"type": "text", "text": 7}), "response has a message with a part that is not text"),
        (
            parts({"type": "tool_call", "tool_call": None}),
            "response has a message with a part that is not text",
        ),
        (parts({"type": {"a": 1}}), "response has a message with a part that is not text"),
        (parts({"type": "error", "error": "quota"}), "the response is an error or was not finished"),
        (parts({"type": "think", "think": "hm"}), "response is empty"),
        (
            parts(TEXT | {"groupId": 1, "agentId": "one"}, TEXT | {"groupId": 1, "agentId": "two"}),
            "holds the answers of several models side by side",
        ),
        (
            [SORT[0] | {"files": [{"type": "image/png"}]}, message("a1", "q1", "A cat.")],
            "prompt has a message with a part that is not text",
        ),
        (
            [SORT[0], message("a1", "q1", "Yes.", messageId=None)],
            "has no messageId, conversationId or isCreatedByUser",
        ),
        ([SORT[0], message("a1", "q1", "Yes.", isCreatedByUser="no")], "has no messageId, conversationId or"),
    ],
)
def test_what_cannot_be_used_is_quarantined_by_reason(
    tmp_path: Path, rows: list[dict[str, Any]], reason: str
) -> None:
    log = FeedbackLog.read(dumped(tmp_path / "a.json", [*HELLO, *rows]))
    assert log.responses() == ["Hello!"]
    assert f"{reason}" in log.quarantine.describe() and log.quarantine.total == 1


def test_of_a_message_that_stands_twice_the_last_copy_counts(tmp_path: Path) -> None:
    copy = SORT[1] | {"feedback": DOWN}
    log = FeedbackLog.read(dumped(tmp_path / "a.json", [*SORT, copy]))
    assert by_id(log, "thumbs_down")["a2"] == 1 and log.column("message_id").count("a2") == 1


def exported(messages: list[dict[str, Any]], nested: bool = False, **more: Any) -> dict[str, Any]:
    kept = [
        {key: value for key, value in one.items() if key != "_id"} | {"createdAt": one["createdAt"]["$date"]}
        for one in messages
    ]
    head = {
        "conversationId": messages[0]["conversationId"],
        "endpoint": "openAI",
        "title": "t",
        "exportAt": "16:33:32 GMT+0200 (Central European Summer Time)",
        "branches": True,
        "recursive": nested,
        "options": {"model": "small", "temperature": 1},
    }
    if not nested:
        return head | {"messages": kept} | more

    def below(parent: str) -> list[dict[str, Any]]:
        return [
            one | {"children": below(one["messageId"])} for one in kept if one["parentMessageId"] == parent
        ]

    return head | {"messagesTree": below(NOBODY)} | more


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_folder_of_exported_conversations_reads_like_the_dump(
    tmp_path: Path, nested: bool, indent: int | None
) -> None:
    folder = tmp_path / "chats"
    folder.mkdir()
    for name, messages in (("1.json", SORT), ("2.json", HELLO)):
        (folder / name).write_text(json.dumps(exported(messages, nested), indent=indent))
    log = FeedbackLog.read(folder)
    dump = FeedbackLog.read(dumped(tmp_path / "dump.json", [*SORT, *HELLO]))
    for column in (
        "prompt",
        "response",
        "thumbs_up",
        "thumbs_down",
        "regenerated",
        "turn",
        "timestamp",
        "user_id",
    ):
        assert by_id(log, column) == by_id(dump, column)
    assert log.quarantine.total == 1  # not finished
    assert str(folder / "2.json") in log.where(len(log) - 1)


def test_answers_without_times_were_asked_for_in_the_order_of_the_export(tmp_path: Path) -> None:
    tree = exported([one | {"createdAt": {"$date": None}} for one in SORT], nested=True)
    (tmp_path / "a.json").write_text(json.dumps(tree))
    log = FeedbackLog.read(tmp_path / "a.json")
    assert by_id(log, "regenerated") == {"a2": 1, "a1": 0, "b1": 0, "a4": 0}


def test_without_branches_nobody_can_tell_whether_an_answer_was_regenerated(tmp_path: Path) -> None:
    whole, path = exported(HELLO), exported([SORT[0], SORT[1]], branches=False)
    (tmp_path / "a.json").write_text(json.dumps([whole, path]))
    log = FeedbackLog.read(tmp_path / "a.json", signals=["thumbs_up", "regenerated"])
    assert by_id(log, "regenerated") == {"a7": 0, "a2": None}
    assert by_id(log, "thumbs_up") == {"a7": 0, "a2": 1}


def test_a_long_conversation_may_nest_as_deeply_as_it_likes(tmp_path: Path) -> None:
    said = [message("q0", NOBODY, "Hi", mine=True)]
    for turn in range(1, 120):
        said.append(message(f"q{turn}", f"q{turn - 1}", f"{turn}", mine=turn % 2 == 0))
    (tmp_path / "a.json").write_text(json.dumps(exported(said, nested=True)))
    assert len(FeedbackLog.read(tmp_path / "a.json")) == 60


@pytest.mark.parametrize("broken", [None, 7, "x", {}, []])
def test_an_export_without_messages_gives_one_line(tmp_path: Path, broken: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps(exported(SORT) | {"messages": broken}, indent=1))
    with pytest.raises(DataError, match=r"none of the 1 rows can be used; .*holds no messages") as error:
        FeedbackLog.read(tmp_path / "a.json")
    assert "\n" not in str(error.value)


ODD = [
    None,
    True,
    0,
    -1.5,
    "",
    "x",
    [],
    [None],
    [[]],
    {},
    {"a": 1},
    {"$date": None},
    [{"type": None}],
    10**400,
]


broken = partial(made_exports.broken, odd=ODD)


@pytest.mark.parametrize("seed", range(40))
def test_half_broken_exports_are_read_quarantined_or_refused_in_one_line(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    more = parts(TEXT, {"type": "think", "think": "hm"}, CALL, CODE)
    dump = [broken(one, 0.03, rng) for one in [*SORT, *HELLO, *more] * 2]
    trees = [broken(exported(SORT, nested), 0.03, rng) for nested in (True, False)]
    for rows in (dump, trees):
        (tmp_path / "a.json").write_text(json.dumps(rows))
        try:
            FeedbackLog.read(
                tmp_path / "a.json", source=("librechat", "librechat_conversation")[rows is trees]
            )
        except DataError as error:
            assert "\n" not in str(error)
