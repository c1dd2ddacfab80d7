"""Open WebUI's exports: chats with thumbs on some answers, and the feedback history with its snapshots."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tacit import FeedbackLog
from tacit.errors import DataError


def message(
    name: str, parent: str | None, role: str, content: Any, children: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    said = {"id": name, "parentId": parent, "childrenIds": list(children), "role": role, "content": content}
    return said | {"timestamp": 1_700_000_000 + len(name)} | more


def chat(name: str, *said: dict[str, Any], user: str = "ann") -> dict[str, Any]:
    history = {"messages": {one["id"]: one for one in said}, "currentId": said[-1]["id"]}
    inner = {"title": "t", "models": ["small"], "history": history, "messages": [], "params": {}}
    return {"id": name, "user_id": user, "title": "t", "chat": inner, "updated_at": 3, "created_at": 1}


SORT = chat(
    "c1",
    message("q1", None, "user", "Sort a list?", ("a1", "a2", "b1")),
    message("a1", "q1", "assistant", "You cannot.", model="small", annotation={"rating": -1}),
    message("a2", "q1", "assistant", "sorted(xs)", ("q2",), model="small", annotation={"rating": "1"}),
    message("b1", "q1", "assistant", "xs.sort()", model="large", modelIdx=1),
    message("q2", "a2", "user", "And reversed?", ("a3", "a4")),
    message(
        "a3",
        "q2",
        "assistant",
        '<details type="reasoning" done="true">\n<summary>Thought</summary>\n> hm\n</details>\nreverse=True',
        model="small",
        done=True,
    ),
    message("a4", "q2", "assistant", "rev", model="small", done=False),
)
LOST = chat("c2", message("a9", "gone", "assistant", "Yes.", model="small"), user="bob")
HELLO = chat(
    "c3",
    message("q5", None, "user", "Hi"),
    message("a5", "q5", "assistant", "Hello!", model="small"),
    user="bob",
)


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def by_id(log: FeedbackLog, column: str) -> dict[str, Any]:
    return dict(zip(log.column("message_id"), log.column(column), strict=True))


def test_a_chat_gives_a_row_per_answer_with_the_conversation_before_it(tmp_path: Path) -> None:
    log = FeedbackLog.read(written(tmp_path / "chats.json", [SORT, LOST, HELLO]))
    assert by_id(log, "response") == {
        "a1": "You cannot.",
        "a2": "sorted(xs)",
        "b1": "xs.sort()",
        "a3": "reverse=True",
        "a5": "Hello!",
    }
    assert by_id(log, "prompt")["a3"] == [
        {"role": "user", "content": "Sort a list?"},
        {"role": "assistant", "content": "sorted(xs)"},
        {"role": "user", "content": "And reversed?"},
    ]
    assert by_id(log, "thumbs_up") == {"a1": 0, "a2": 1, "b1": 0, "a3": 0, "a5": 0}
    assert by_id(log, "thumbs_down") == {"a1": 1, "a2": 0, "b1": 0, "a3": 0, "a5": 0}
    assert by_id(log, "regenerated") == {"a1": 1, "a2": 0, "b1": 0, "a3": 1, "a5": 0}
    assert by_id(log, "turn") == {"a1": 1, "a2": 1, "b1": 1, "a3": 2, "a5": 1}
    assert by_id(log, "user_id")["a5"] == "bob" and by_id(log, "chat_id")["a5"] == "c3"
    assert log.roles.policy == "model" and log.roles.context == ("turn", "user_activity")
    assert [(signal.name, signal.polarity) for signal in log.roles.signals] == [
        ("thumbs_up", 1),
        ("thumbs_down", -1),
    ]
    told = log.quarantine.describe()
    assert (
        f"the conversation before the response is not in the export (1; {tmp_path}/chats.json row 2" in told
    )
    assert "the response is an error or was not finished (1" in told
    assert log.where(4) == f"{tmp_path}/chats.json, item 3"


def test_an_offered_signal_keeps_its_polarity_when_named(tmp_path: Path) -> None:
    log = FeedbackLog.read(
        written(tmp_path / "chats.json", [SORT]), signals=["thumbs_up", "regenerated"], context=["turn"]
    )
    assert [signal.polarity for signal in log.roles.signals] == [1, -1]
    assert log.roles.context == ("turn",)


def test_one_user_alone_has_no_activity_to_compare(tmp_path: Path) -> None:
    assert FeedbackLog.read(written(tmp_path / "chats.json", [SORT])).roles.context == ("turn",)


def test_thousands_of_messages_by_id_make_no_columns(tmp_path: Path) -> None:
    chats = [
        chat(
            f"c{i}", message(f"q{i}", None, "user", f"{i}?"), message(f"a{i}", f"q{i}", "assistant", f"{i}!")
        )
        for i in range(1200)
    ]
    array = FeedbackLog.read(written(tmp_path / "chats.json", chats))
    with gzip.open(tmp_path / "chats.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in chats)
    lines = FeedbackLog.read(tmp_path / "chats.jsonl.gz")
    assert len(array) == 1200 and array.column("response")[7] == "7!"
    assert lines.fingerprint() == array.fingerprint()


def feedback(name: str, rating: Any, rated: str, snapshot: dict[str, Any] | None, at: int) -> dict[str, Any]:
    return {
        "id": name,
        "user_id": "ann",
        "version": 0,
        "type": "rating",
        "data": {
            "rating": rating,
            "model_id": "small",
            "sibling_model_ids": None,
            "reason": "",
            "comment": "",
        },
        "meta": {"arena": False, "chat_id": "c1", "message_id": rated, "tags": []},
        "snapshot": None if snapshot is None else {"chat": snapshot},
        "created_at": at,
        "updated_at": at,
    }


def test_a_feedback_history_gives_the_rated_chats_and_the_last_word_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tacit")
    early = chat(
        "c1",
        message("q1", None, "user", "Sort a list?"),
        message("a1", "q1", "assistant", "You cannot.", model="small"),
    )
    rows = [
        feedback("f3", -1, "a1", SORT, 30),
        feedback("f1", 1, "a1", early, 10),
        feedback("f2", -1, "b1", SORT, 20),
        feedback("f4", 1, "a1", None, 40),
    ]
    log = FeedbackLog.read(written(tmp_path / "feedback.json", rows))
    assert by_id(log, "thumbs_down") == {"a1": 1, "a2": 0, "b1": 1, "a3": 0}
    assert by_id(log, "thumbs_up") == {"a1": 0, "a2": 1, "b1": 0, "a3": 0}
    assert "has no snapshot of its chat (1" in log.quarantine.describe()
    assert "only chats in which something was rated" in caplog.text


def test_where_every_answer_has_a_thumb_the_thumbs_are_one_label(tmp_path: Path) -> None:
    chats = [
        chat(
            f"c{i}",
            message(f"q{i}", None, "user", f"{i}?"),
            message(f"a{i}", f"q{i}", "assistant", f"{i}!", annotation={"rating": rating}),
        )
        for i, rating in enumerate((1, -1, 1))
    ]
    log = FeedbackLog.read(written(tmp_path / "chats.json", chats))
    assert [(signal.name, signal.kind) for signal in log.roles.signals] == [("rated", "explicit")]
    assert log.column("rated") == [1, 0, 1]
    silent = FeedbackLog.read(written(tmp_path / "chats.json", [*chats, HELLO]))
    assert [signal.name for signal in silent.roles.signals] == ["thumbs_up", "thumbs_down"]
    assert silent.column("rated") == [1, 0, 1, None]


@pytest.mark.parametrize("broken", [{"chat": None}, {"chat": {"history": {"messages": {}}}}, {"chat": "x"}])
def test_an_export_without_messages_gives_one_line(tmp_path: Path, broken: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"none of the 1 rows can be used; .*chat\.history\.messages"):
        FeedbackLog.read(written(tmp_path / "chats.json", [SORT | broken]))
