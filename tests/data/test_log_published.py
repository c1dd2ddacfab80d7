"""OASST1 and RealHumanEval, on small tables of their schema made here."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tacit.data import FeedbackLog, Roles, Signal, summarise
from tacit.data.summary import hash_user
from tacit.errors import ConfigError, DataError


def message(name: str, parent: str | None, role: str, **more: Any) -> dict[str, Any]:
    return {
        "message_id": name,
        "parent_id": parent,
        "user_id": f"user-{name}",
        "created_date": "2023-02-07T12:00:00.5+00:00",
        "text": f"text of {name}",
        "role": role,
        "lang": "en",
        "review_count": 3,
        "deleted": False,
        "rank": None,
        "message_tree_id": "root",
        "emojis": None,
        "labels": None,
    } | more


TREE = [
    message("root", None, "prompter", created_date="2023-02-06T12:00:00.5+00:00"),
    message(
        "a",
        "root",
        "assistant",
        rank=0,
        emojis={"name": ["+1", "_skip_reply"], "count": [3, 1]},
        labels={"name": ["spam", "quality"], "value": [0.0, 0.75], "count": [3, 3]},
    ),
    message(
        "b", "root", "assistant", rank=1, emojis={"name": ["-1", "red_flag"], "count": [1, 2]}, deleted=True
    ),
    message("q", "a", "prompter"),
    message("c", "q", "assistant", emojis={"name": ["+1"], "count": [0]}),
    message("lost", "nowhere", "assistant"),
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_oasst1_reads_thumbs_quality_rank_and_conversations(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="tacit"):
        log = FeedbackLog.read(written(tmp_path / "messages.jsonl", TREE))
    assert "read as OASST1" in caplog.text
    assert log.responses() == ["text of a", "text of b", "text of c"]
    assert [(signal.name, signal.polarity) for signal in log.roles.signals] == [
        ("thumbs_up", 1),
        ("thumbs_down", -1),
    ]
    y_NK, visible_NK = log.signal_matrix()
    assert y_NK.tolist() == [[1, 0], [0, 1], [0, 0]] and visible_NK.all()
    assert log.gold_values()[0].tolist() == [0.75, 0, 0] and log.gold_values()[1].tolist() == [
        True,
        False,
        False,
    ]
    assert log.rank_values()[0].tolist() == [0, 1, 0] and log.rank_values()[1].tolist() == [True, True, False]
    context = {name: values.tolist() for name, values in log.context_columns().items()}
    assert context == {"depth": [1, 1, 2], "days": [1, 1, 1], "siblings": [2, 2, 1]}
    assert log.messages()[2] == [
        {"role": "user", "content": "text of root"},
        {"role": "assistant", "content": "text of a"},
        {"role": "user", "content": "text of q"},
        {"role": "assistant", "content": "text of c"},
    ]
    assert log.prompt_codes().tolist() == [0, 0, 1] and log.codes("session_id").tolist() == [0, 0, 0]
    assert [(bad.row, bad.reason) for bad in log.quarantine.examples] == [
        (6, "the conversation before the reply is not in the file")
    ]


@pytest.mark.parametrize("form", ["list of structs", "by name"])
def test_oasst1_reads_alike_in_every_published_form(tmp_path: Path, form: str) -> None:
    def turn(value: Any, field: str) -> Any:
        if value is None:
            return None
        if form == "by name":
            numbers = zip(value["name"], value[field], strict=True)
            return {name: {"value": n, "count": 3} if field == "value" else n for name, n in numbers}
        return [dict(zip(value, item, strict=True)) for item in zip(*value.values(), strict=True)]

    rows = [
        row | {"emojis": turn(row["emojis"], "count"), "labels": turn(row["labels"], "value")} for row in TREE
    ]
    expected = FeedbackLog.read(written(tmp_path / "a.jsonl", TREE)).fingerprint()
    assert FeedbackLog.read(written(tmp_path / "b.jsonl", rows)).fingerprint() == expected


def test_oasst1_reads_from_a_dataset_folder(tmp_path: Path) -> None:
    from datasets import Dataset

    Dataset.from_list(TREE).save_to_disk(str(tmp_path / "set"))
    expected = FeedbackLog.read(written(tmp_path / "a.jsonl", TREE)).fingerprint()
    assert FeedbackLog.read(tmp_path / "set").fingerprint() == expected


def test_oasst1_signals_are_chosen_by_name_and_know_their_polarity(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", TREE)
    log = FeedbackLog.read(path, signals=["thumbs_down", "red_flag"], context=["depth"])
    assert [signal.polarity for signal in log.roles.signals] == [-1, -1]
    assert log.signal_matrix()[0].tolist() == [[0, 0], [1, 1], [0, 0]]
    assert log.roles.context == ("depth",)
    chosen = FeedbackLog.read(path, signals=["thumbs_down:positive", Signal("red_flag", misclick=0.1)])
    assert [signal.polarity for signal in chosen.roles.signals] == [1, 1]


def test_oasst1_survives_a_loop_of_parents(tmp_path: Path) -> None:
    rows = [*TREE, message("x", "y", "assistant"), message("y", "x", "prompter")]
    assert FeedbackLog.read(written(tmp_path / "a.jsonl", rows)).quarantine.total == 2


PAIR = "labels or emojis are not names with numbers as published"
DATE = "created_date is not a date as published"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"created_date": "n/a"}, DATE),
        ({"created_date": 1675771200}, DATE),
        ({"created_date": None}, DATE),
        ({"labels": "{'name': ['quality'], 'value': [0.5]}"}, PAIR),
        ({"labels": {"name": ["quality", "spam"], "value": [0.5]}}, PAIR),
        ({"labels": {"name": ["quality"], "value": ["high"]}}, PAIR),
        ({"emojis": [{"name": "+1"}]}, PAIR),
        ({"parent_id": ["root"]}, "the conversation before the reply is not in the file"),
    ],
)
def test_a_reply_that_is_not_as_oasst1_is_published_is_one_bad_row(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    rows = [
        *TREE[:2],
        TREE[2] | change,
        *TREE[3:5],
        message("odd", None, "prompter") | {"message_id": ["odd"]},
    ]
    log = FeedbackLog.read(written(tmp_path / "a.jsonl", rows))
    assert (log.quarantine.counts, log.responses()) == ({reason: 1}, ["text of a", "text of c"])


def test_oasst1_as_csv_is_refused_in_one_line(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(TREE[0]))
        writer.writeheader()
        writer.writerows(row | {"labels": {"name": ["quality"], "value": [0.5]}} for row in TREE[:5])
    with pytest.raises(
        DataError, match=r"none of the 3 rows can be used; commonest reason: labels or emojis"
    ):
        FeedbackLog.read(tmp_path / "a.csv")


@pytest.mark.parametrize("date", [None, "absent"])
def test_oasst1_without_users_and_dates_has_no_roles_for_them(tmp_path: Path, date: str | None) -> None:
    gone = {"user_id", "created_date"} if date else {"user_id"}
    rows = [{k: v for k, v in (row | {"created_date": None}).items() if k not in gone} for row in TREE]
    log = FeedbackLog.read(path := written(tmp_path / "a.jsonl", rows))
    assert (log.roles.user_id, log.roles.timestamp) == (None, None)
    assert (log.roles.context, len(log)) == (("depth", "siblings"), 3)
    with pytest.raises(DataError, match=r"column 'days' \(context\) holds nothing but null"):
        FeedbackLog.read(path, context=["days"])


CODE = "Use this:\n```python\nx = 1\n```"
COPY = "[{'type': 'copy_button', 'copied': 'x = 1'}]"


def ask(*texts: str) -> str:
    return repr([{"content": text, "role": "assistant" if i % 2 else "user"} for i, text in enumerate(texts)])


def turns(path: Path, rows: list[tuple[str, str, str, int, float, str]]) -> Path:
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(
            ["request", "response", "copy_events", "programmer_id", "timestamp", "model", "task_name"]
        )
        writer.writerows([*row, "sum"] for row in rows)
    return path


TURNS = [
    (ask("one"), CODE, COPY, 7, 1.0, "GPT-4o (chat)"),
    (ask("one", CODE, "two"), "No code here.", "[]", 7, 3.0, "GPT-4o (chat)"),
    (ask("three"), CODE, "[]", 7, 2.0, "GPT-4o (chat)"),
    (ask("four"), "No code, copied by hand.", COPY, 7, 4.0, "GPT-4o (chat)"),
    (ask("one"), CODE, "[]", 8, 1.0, "CodeLlama7b (chat)"),
    ("[{'content': open('x')}]", CODE, "[]", 8, 2.0, "CodeLlama7b (chat)"),
    (ask("six"), CODE, "[unfinished", 8, 3.0, "CodeLlama7b (chat)"),
    ("[]", CODE, "[]", 8, 4.0, "CodeLlama7b (chat)"),
]


def test_realhumaneval_reads_copies_and_leaves_replies_without_code_null(tmp_path: Path) -> None:
    log = FeedbackLog.read(turns(tmp_path / "chat_data.csv", TURNS))
    y_NK, visible_NK = log.signal_matrix()
    assert y_NK[:, 0].tolist() == [1, 0, 0, 1, 0]
    assert visible_NK[:, 0].tolist() == [True, False, True, True, True]
    assert log.messages()[1][-1] == {"role": "assistant", "content": "No code here."}
    assert log.prompt_codes().tolist() == [0, 1, 2, 3, 0]
    assert log.codes("user_id").tolist() == [0, 0, 0, 0, 1] and log.codes("policy").tolist() == [
        0,
        0,
        0,
        0,
        1,
    ]
    assert log.quarantine.counts == {
        "request or copy_events is not a Python list as published": 2,
        "prompt is empty": 1,
    }


def test_realhumaneval_habits_come_from_strictly_earlier_eligible_turns(tmp_path: Path) -> None:
    context = FeedbackLog.read(turns(tmp_path / "chat_data.csv", TURNS)).context_columns()
    assert context["turn"].tolist() == [1, 2, 1, 1, 1]
    assert context["earlier_turns"].tolist() == [0, 2, 1, 2, 0]
    assert context["earlier_copies_share"].tolist() == [1 / 2, 2 / 4, 2 / 3, 2 / 4, 1 / 2]
    flipped = [TURNS[0], TURNS[1], (*TURNS[2][:2], COPY, *TURNS[2][3:]), TURNS[3]]
    later = FeedbackLog.read(turns(tmp_path / "flipped.csv", flipped)).context_columns()
    assert later["earlier_copies_share"].tolist() == [1 / 2, 3 / 4, 2 / 3, 3 / 4]


def test_realhumaneval_is_recognised_by_all_that_is_read_of_it_and_by_no_more(tmp_path: Path) -> None:
    text = turns(tmp_path / "chat_data.csv", TURNS).read_text().splitlines(keepends=True)
    without_task = [line.replace(",task_name", "").replace(",sum\n", "\n") for line in text]
    (tmp_path / "a.csv").write_text("".join(without_task))
    assert len(FeedbackLog.read(tmp_path / "a.csv")) == 5
    untimed = [text[0].replace("timestamp", "when"), *text[1:]]
    (tmp_path / "b.csv").write_text("".join(untimed))
    with pytest.raises(DataError, match="no column 'prompt'"):
        FeedbackLog.read(tmp_path / "b.csv")


def test_half_a_surrogate_pair_in_realhumaneval_is_one_bad_row(tmp_path: Path) -> None:
    request = "[{'role': 'user', 'content': '\\ud83d'}]"
    log = FeedbackLog.read(turns(tmp_path / "a.csv", [(request, *TURNS[0][1:]), *TURNS[:5]]))
    assert log.quarantine.counts == {"request or copy_events is not a Python list as published": 1}


def test_a_forced_source_is_checked_and_plain_switches_detection_off(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", TREE)
    assert len(FeedbackLog.read(path, source="plain", prompt="text", response="lang")) == len(TREE)
    assert len(FeedbackLog.read(path, prompt="text", response="lang")) == len(TREE)
    with pytest.raises(DataError, match="not RealHumanEval chat: columns are message_id"):
        FeedbackLog.read(path, source="realhumaneval")
    with pytest.raises(
        ConfigError, match=r"unknown source 'oast'; did you mean 'oasst1'\?; expected auto, plain"
    ):
        FeedbackLog.read(path, source="oast")


def test_the_summary_counts_what_the_log_holds_and_hashes_users(tmp_path: Path) -> None:
    summary = summarise(FeedbackLog.read(turns(tmp_path / "chat_data.csv", TURNS)))
    value = json.loads(json.dumps(summary.to_json()))
    assert (value["rows"], value["prompts"], value["quarantined"]) == (5, 4, 3)
    copied = {
        "name": "copied",
        "polarity": 1,
        "kind": "implicit",
        "rate": 0.5,
        "ones": 2,
        "missing": pytest.approx(0.2),
    }
    assert value["signals"] == [copied]
    assert value["policies"][0] == {
        "policy": "GPT-4o (chat)",
        "rows": 4,
        "rates": {"copied": pytest.approx(2 / 3)},
    }
    assert value["users"] == {"users": 2, "busiest": {hash_user("7"): 0.8, hash_user("8"): 0.2}}
    assert value["context"][0]["spread"] == {"min": 1.0, "mean": 1.2, "median": 1.0, "max": 2.0}
    assert value["gold"] is None


def test_the_summary_shows_pairs_levels_and_gold(tmp_path: Path) -> None:
    log = FeedbackLog.read(written(tmp_path / "a.jsonl", TREE), context=["lang"])
    value = json.loads(json.dumps(summarise(log).to_json()))
    assert value["pairs"][0]["rows"] == 3 and value["pairs"][0]["phi"] == pytest.approx(-0.5)
    assert value["context"][0]["levels"] == {"en": 1.0} and value["context"][0]["kind"] == "categorical"
    assert value["gold"] == {"share": pytest.approx(1 / 3), "mean": 0.75}
    assert value["ranked"] == pytest.approx(2 / 3)


def test_one_long_context_value_costs_its_own_length_and_not_that_of_every_row() -> None:
    pages = ["x" * 1_000_000, *["home"] * 999]
    columns = {"prompt": ["p"] * 1000, "response": ["r"] * 1000, "page": pages}
    log = FeedbackLog.from_columns(columns, Roles(context=("page",)))
    tracemalloc.start()
    context = summarise(log).context[0]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert context.levels is not None and list(context.levels.values()) == [0.999, 0.001]
    assert peak < 100e6  # 4 GB if every row were as wide
