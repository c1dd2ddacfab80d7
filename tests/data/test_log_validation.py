"""The border: what each role accepts, and the one line that says what is wrong, where, and how to mend it."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tacit.data import FeedbackLog, Quarantine, Roles, Signal, summarise
from tacit.errors import ConfigError, DataError

NAN, INF = float("nan"), float("inf")


def columns(**more: Any) -> dict[str, Any]:
    rows = len(next(iter(more.values()))) if more else 2
    return {"prompt": ["p"] * rows, "response": [f"r{i}" for i in range(rows)], **more}


def refusal(roles: Roles, **more: Any) -> str:
    with pytest.raises(DataError) as error:
        FeedbackLog.from_columns(columns(**more), roles)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("values", "row", "said"),
    [
        ([1, 0, 2], 3, "2"),
        ([1.0, 0.5], 2, "0.5"),
        ([0.0, NAN], 2, "nan"),
        ([1, -1], 2, "-1"),
        ([Decimal(1), Decimal("0.5")], 2, "0.5"),
        ([True, "yes"], 2, "'yes'"),
        (["1", "0"], 1, "'1'"),
        ([1, [0]], 2, "[0]"),
        ([2**70, 0], 1, "'1180591620717411303424'"),
    ],
)
def test_a_signal_holds_only_1_0_and_null(values: list[Any], row: int, said: str) -> None:
    message = refusal(Roles(signals=(Signal("copied"),)), copied=values)
    assert (
        f"memory, row {row}: column 'copied' (signal) holds {said}, expected 1, 0, true, false or null"
        in message
    )


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, None],
        [True, False, None],
        [1.0, 0.0, None],
        [True, 0, None],
        np.array([1, 0, 0], dtype=np.uint8),
        [None] * 3,
        [Decimal(1), Decimal("0.0"), None],
    ],
)
def test_spellings_of_1_0_and_null(values: Any) -> None:
    log = FeedbackLog.from_columns(columns(copied=values), Roles(signals=(Signal("copied"),)))
    y_NK, visible_NK = log.signal_matrix()
    assert y_NK.dtype == np.float32 and visible_NK.dtype == bool
    assert y_NK[:, 0].tolist() == [float(value or 0) for value in values]
    assert visible_NK[:, 0].tolist() == [value is not None for value in values]


@pytest.mark.parametrize("part", ["signal", "exposure"])
def test_half_precision_is_read_like_other_floats(part: str) -> None:
    half = pa.array([np.float16(1), np.float16(0), None], pa.float16())
    signal = Signal("half") if part == "signal" else Signal("copied", exposure="half")
    log = FeedbackLog.read(pa.table(columns(copied=[1, 1, 1], half=half)), signals=[signal])
    y_NK, visible_NK = log.signal_matrix()
    assert (y_NK[:, 0].tolist(), visible_NK[:, 0].tolist()) == (
        ([1, 0, 0], [True, True, False]) if part == "signal" else ([1, 0, 0], [True, False, False])
    )
    with pytest.raises(DataError, match=r"row 2: column 'half' \(signal\) holds 0.5"):
        FeedbackLog.read(pa.table(columns(half=np.array([1, 0.5], dtype=np.float16))), signals=["half"])


def test_null_is_not_zero() -> None:
    roles = Roles(signals=(Signal("copied"),))
    zero = FeedbackLog.from_columns(columns(copied=[1, 0]), roles)
    null = FeedbackLog.from_columns(columns(copied=[1, None]), roles)
    assert zero.signal_matrix()[0].tolist() == null.signal_matrix()[0].tolist()
    assert zero.signal_matrix()[1].tolist() != null.signal_matrix()[1].tolist()
    assert zero.fingerprint() != null.fingerprint()


def test_exposure_hides_a_signal_where_it_could_not_be_recorded() -> None:
    data = columns(copied=[1, 0, 1, None, 0], button=[1, 1, 0, 1, None])
    roles = Roles(signals=(Signal("copied", exposure="button"),))
    log = FeedbackLog.from_columns(data, roles)
    y_NK, visible_NK = log.signal_matrix()
    assert y_NK[:, 0].tolist() == [1, 0, 0, 0, 0]
    assert visible_NK[:, 0].tolist() == [True, True, False, False, False]
    assert "column 'button' (exposure) holds 2" in refusal(roles, copied=[1, 0], button=[1, 2])
    assert "no column 'button' (wanted as exposure of signal 'copied')" in refusal(roles, copied=[1, 0])


def test_an_exposure_may_be_context_too() -> None:
    roles = Roles(signals=(Signal("copied", exposure="button"),), context=("button",))
    log = FeedbackLog.from_columns(columns(copied=[1, 1], button=[True, False]), roles)
    assert log.signal_matrix()[1].tolist() == [[True], [False]]
    assert log.context_columns()["button"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, NAN], "row 2: column 'slot' (context) holds nan, expected a finite number; fill it"),
        ([INF, 1.0], "row 1: column 'slot' (context) holds inf"),
        ([1.5, -(10**400)], "row 2: column 'slot' (context) holds -inf"),
        ([1.0, 2.0, None], "row 3: column 'slot' (context) holds null among numbers; fill it"),
        ([None, None], "column 'slot' (context) holds nothing but null; leave it out"),
        ([1, "a"], "row 2: column 'slot' (context) holds 'a', expected all numbers or all text"),
        ([[1], [2]], "row 1: column 'slot' (context) holds [1], expected all numbers or all text"),
    ],
)
def test_context_is_all_numbers_or_all_text(values: list[Any], said: str) -> None:
    assert said in refusal(Roles(context=("slot",)), slot=values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.5, 1.5], "row 2: column 'rating' (gold) holds 1.5, expected a number from 0 to 1; rescale"),
        ([-0.1, None], "row 1: column 'rating' (gold) holds -0.1"),
        ([None, NAN], "row 2: column 'rating' (gold) holds nan, expected a finite number; write null"),
        (["good", "bad"], "row 1: column 'rating' (gold) holds 'good', expected a number"),
    ],
)
def test_gold_lies_between_0_and_1(values: list[Any], said: str) -> None:
    assert said in refusal(Roles(gold="rating"), rating=values)


def test_rank_is_a_number_or_null() -> None:
    log = FeedbackLog.from_columns(columns(place=[2, None]), Roles(rank="place"))
    values, known = log.rank_values()
    assert values.tolist() == [2, 0] and known.tolist() == [True, False]
    assert "column 'place' (rank) holds 'a'" in refusal(Roles(rank="place"), place=["a", "b"])


def test_a_missing_column_names_its_near_matches() -> None:
    message = refusal(Roles(signals=(Signal("copyed"),)), copied=[1, 0])
    assert "no column 'copyed' (wanted as signal); did you mean 'copied'" in message
    assert "columns: prompt, response, copied" in message


def test_a_log_without_the_default_columns_is_told_how_to_name_its_own() -> None:
    with pytest.raises(
        DataError, match="; name yours: --response COLUMN, in Python response=COLUMN; columns: "
    ):
        FeedbackLog.from_columns({"prompt": ["a"], "answer": ["b"]}, Roles())


def test_a_column_written_short_is_found() -> None:
    message = refusal(Roles(signals=(Signal("thumb"),)), thumbs_down_for_style=[1, 0])
    assert "did you mean 'thumbs_down_for_style'" in message
    assert "did you mean" not in refusal(Roles(signals=(Signal("th"),)), thumbs_down_for_style=[1, 0])


def test_a_jsonl_error_names_the_line_not_the_row_that_was_kept(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "response": "", "copied": 1}, {"prompt": "p", "response": "r", "copied": 3}]
    path = tmp_path / "log.jsonl"
    path.write_text("\n" + "\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=r"log\.jsonl, line 3: column 'copied'"):
        FeedbackLog.read(path, signals=["copied"])


def test_when_all_rows_are_bad_the_commonest_reason_is_named() -> None:
    with pytest.raises(DataError, match=r"none of the 3 rows.*response is empty \(2, first in row 2\)"):
        FeedbackLog.from_columns({"prompt": ["p"] * 3, "response": [None, "", " "]}, Roles())


def test_a_column_of_numbers_is_no_text() -> None:
    message = refusal(Roles(response="score"), score=[1, 2])
    assert "the response column holds int64, expected text or a list of {role, content} messages" in message
    assert message.endswith("; write it as text, or name the column that holds it")


TEXT_PART = {"type": "text", "text": "What is"}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


@pytest.mark.parametrize("others", ["the same", "plain"])
def test_content_in_parts_is_their_text_and_a_bad_row_where_one_is_an_image(others: str) -> None:
    asked = [[{"role": "user", "content": [TEXT_PART, {"type": "text", "text": "this?"}]}]] * 2
    asked += [[{"role": "user", "content": [TEXT_PART, IMAGE_PART]}]]
    if others == "plain":
        asked += [[{"role": "user", "content": "Hi"}]]
    log = FeedbackLog.from_columns(columns(asked=asked), Roles(prompt="asked"))
    assert log.prompts() == ["What is\nthis?"] * 2 + ["Hi"] * (others == "plain")
    assert [(bad.row, bad.reason) for bad in log.quarantine.examples] == [
        (3, "prompt has a message with a part that is not text")
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([{"role": "user", "content": [IMAGE_PART]}], "prompt has a message with a part that is not text"),
        ([{"role": "user", "content": 7}], "prompt has a message without role or content"),
        ([{"from": "user", "value": "Hi"}], "prompt has a message without role or content"),
        ({"text": "Hi"}, "prompt is not text or messages but an object"),
        ([7], "prompt is not text or messages but a list"),
    ],
)
def test_where_no_row_has_messages_as_expected_the_first_is_named(value: Any, reason: str) -> None:
    said = refusal(Roles(prompt="asked"), asked=[None, value, value])
    assert f"none of the 3 rows can be used; commonest reason: {reason} (2, first in row 2)" in said


def called(arguments: Any, **more: Any) -> list[dict[str, Any]]:
    call = {"type": "function", "function": {"name": "search", "arguments": arguments}} | more
    return [{"role": "assistant", "content": None, "tool_calls": [call]}]


@pytest.mark.parametrize("via", ["jsonl", "parquet"])
def test_a_call_is_a_line_of_text_whichever_way_its_arguments_are_written(via: str, tmp_path: Path) -> None:
    """An agent's turn often has no text; its id is drawn anew each time, and Arrow fills structs up with nulls."""
    answers = [
        called({"for": "é", "at": [{"b": 1, "a": 2}]}, id="call_1"),
        called({"at": [{"a": 2, "b": 1}], "for": "é"}, id="call_2"),
        called({"top": 3}),
    ]
    if via == "jsonl":
        answers += [called('{"for": "é", "at": [{"b": 1, "a": 2}], "top": null}'), called("not JSON")]
        lines = [json.dumps({"prompt": "q", "answer": answer, "copied": 1}) for answer in answers]
        (file := tmp_path / "log.jsonl").write_text("\n".join(lines))
    else:
        pq.write_table(pa.table(columns(answer=answers)), file := tmp_path / "log.parquet")
    log = FeedbackLog.read(file, response="answer")
    same = '{"name": "search", "arguments": {"at": [{"a": 2, "b": 1}], "for": "é"}}'
    expected = [same, same, '{"name": "search", "arguments": {"top": 3}}']
    if via == "jsonl":
        expected += [same, '{"name": "search", "arguments": "not JSON"}']
    assert log.responses() == expected


def test_a_call_stands_below_the_turns_text_and_a_call_of_nothing_is_a_bad_row() -> None:
    turn = called({})[0] | {"content": "Let me look."}
    asked = [{"role": "user", "content": "Where?"}, turn, {"role": "tool", "content": "Here."}]
    log = FeedbackLog.from_columns(
        columns(
            asked=[[*asked, {"role": "user", "content": "And?"}], "plain", [turn | {"tool_calls": [{}]}]]
        ),
        Roles(prompt="asked"),
    )
    assert log.prompts()[0].splitlines()[1:3] == [
        "assistant: Let me look.",
        '{"name": "search", "arguments": {}}',
    ]
    assert [bad.reason for bad in log.quarantine.examples] == [
        "prompt has a tool call without a function and its name"
    ]


def test_a_single_message_is_a_list_of_one() -> None:
    answer = {"role": "assistant", "content": "Hello", "refusal": None}
    log = FeedbackLog.from_columns(columns(answer=[answer] * 2), Roles(response="answer"))
    assert log.responses() == ["Hello", "Hello"]


_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(_MESSAGE, 1),
        pa.list_view(_MESSAGE),
        pa.large_list_view(_MESSAGE),
        pa.list_(pa.struct([("role", pa.dictionary(pa.int8(), pa.string())), ("content", pa.string())])),
    ],
    ids=["fixed", "view", "large view", "dictionary"],
)
def test_messages_are_read_from_every_kind_of_list(kind: Any) -> None:
    asked = pa.array([[{"role": "user", "content": text}] for text in ("Hi", "Ho")], kind)
    log = FeedbackLog.read(pa.table(columns(asked=asked)), prompt="asked")
    assert log.prompts() == ["Hi", "Ho"] and log.is_chat


@pytest.mark.parametrize(
    "make",
    [
        lambda: Roles(gold="copied", signals=(Signal("copied"),)),
        lambda: Roles(gold="slot", context=("slot",)),
        lambda: Roles(signals=(Signal("copied"), Signal("copied", -1))),
        lambda: Roles(context=("slot", "slot")),
        lambda: Roles(response="prompt"),
        lambda: Roles(gold="rank", rank="rank"),
    ],
)
def test_one_column_has_one_role(make: Any) -> None:
    with pytest.raises(DataError, match="is named both as"):
        make()


def test_a_null_prompt_id_is_refused() -> None:
    assert "row 2: column 'task' (prompt_id) is null" in refusal(Roles(prompt_id="task"), task=["a", None])


def test_an_empty_log_is_refused() -> None:
    with pytest.raises(DataError, match="the log is empty"):
        FeedbackLog.from_columns({"prompt": [], "response": []}, Roles())
    with pytest.raises(DataError, match="'response' has 1 rows, the first column 2"):
        FeedbackLog.from_columns({"prompt": ["a", "b"], "response": ["c"]}, Roles())


def test_columns_of_several_types_without_a_role_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="tacit"):
        log = FeedbackLog.from_columns(columns(extra=[1, "a"]), Roles())
    assert "extra" not in log.table.column_names and "'extra'" in caplog.text


def test_with_roles_validates_again_and_keeps_the_rows() -> None:
    log = FeedbackLog.from_columns(columns(copied=[1, 0], stars=[5, 1]), Roles(signals=(Signal("copied"),)))
    assert log.with_roles(signals=["copied:negative"]).roles.signals[0].polarity == -1
    assert log.with_roles(context=["stars"]).context_columns()["stars"].tolist() == [5.0, 1.0]
    with pytest.raises(DataError, match="'stars' \\(gold\\) holds 5"):
        log.with_roles(gold="stars")


def test_fingerprint_is_of_content_and_roles_not_of_storage() -> None:
    data = columns(copied=[1, 0, None], user=["a", "b", None], extra=[1, 2, 3])
    roles = Roles(signals=(Signal("copied"),), user_id="user")
    log = FeedbackLog.from_columns(data, roles)
    assert log.fingerprint() == FeedbackLog.from_columns(data, roles, name="other").fingerprint()
    assert log.fingerprint() == FeedbackLog.from_columns(data | {"extra": [9, 9, 9]}, roles).fingerprint()
    assert log.fingerprint() == log.take([0, 1, 2]).fingerprint()
    pieces = pa.concat_tables([log.table.slice(0, 1), log.table.slice(1)])
    assert log.fingerprint() == FeedbackLog(pieces, roles).fingerprint()
    others = [
        log.take([1, 0, 2]),
        log.take([0, 1]),
        log.with_roles(user_id=None),
        FeedbackLog.from_columns(data | {"user": ["a", "b", ""]}, roles),
        FeedbackLog.from_columns(data | {"response": ["r0r", "1", "r2"]}, roles),
        FeedbackLog.from_columns(data | {"response": ["r0", "r1", "r2 "]}, roles),
    ]
    assert len({other.fingerprint() for other in others} | {log.fingerprint()}) == 1 + len(others)


def test_signal_parse_and_its_refusals() -> None:
    assert Signal.parse("copied") == Signal("copied")
    assert Signal.parse("thumbs_down:negative") == Signal("thumbs_down", -1)
    assert Signal.parse("a:b:positive") == Signal("a:b")
    assert Signal.parse("solved:explicit") == Signal("solved", kind="explicit")
    for text in ("copied:neg", "", ":negative"):
        with pytest.raises(ConfigError):
            Signal.parse(text)
    for wrong in ({"polarity": 0}, {"kind": "loud"}, {"misclick": 1.0}):
        with pytest.raises(ConfigError, match="signal 'x'"):
            Signal("x", **wrong)


@pytest.mark.parametrize("wrong", [("copied", -1), ["copied"], 5, None])
def test_a_signal_that_is_no_name_is_one_line(wrong: Any) -> None:
    log = FeedbackLog.from_columns(columns(copied=[1, 0]), Roles())
    for read in (
        lambda: FeedbackLog.read(log.table, signals=[wrong]),
        lambda: log.with_roles(signals=[wrong]),
        lambda: Signal.parse(wrong),
    ):
        with pytest.raises(ConfigError, match=r"^a signal is .* expected a column's name such as") as told:
            read()
        assert "\n" not in str(told.value)


def test_a_negative_max_bad_is_one_line() -> None:
    table = pa.table(columns(copied=[1, 0]))
    with pytest.raises(ConfigError, match=r"^max_bad is -1, expected 0 or more"):
        FeedbackLog.read(table, signals=["copied"], max_bad=-1)
    assert len(FeedbackLog.read(table, signals=["copied"], max_bad=0)) == 2


def test_roles_survive_json_and_refuse_unknown_ones() -> None:
    roles = Roles(
        signals=(Signal("a", -1, "explicit", 0.1, "b"),), context=("c",), gold="g", rank="r", policy="m"
    )
    assert Roles.from_json(json.loads(json.dumps(roles.to_json()))) == roles
    with pytest.raises(ConfigError, match="unknown role 'colour'"):
        Roles.from_json({"colour": "red"})


def test_quarantine_counts_all_and_shows_few() -> None:
    bad = Quarantine().plus("f", "empty", range(1, 100)).plus("f", "missing", [7]).plus("f", "none", [])
    assert (bad.total, bad.commonest, len(bad.examples)) == (100, "empty", 4)
    assert bad.describe() == "100 rows quarantined: empty (99; f rows 1, 2, 3, …); missing (1; f row 7)"
    assert json.loads(json.dumps(bad.to_json()))["counts"] == {"empty": 99, "missing": 1}
    assert Quarantine().describe() == "no row quarantined"


_UUIDS = [uuid.UUID(int=2**127 + n) for n in (0, 1, 0)]
_BYTES = [value.bytes for value in _UUIDS]


@pytest.mark.parametrize("part", ["prompt_id", "user_id", "session_id", "timestamp", "policy"])
@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (pa.array(_BYTES, pa.binary()), _UUIDS[0].hex),
        (pa.array(_BYTES, pa.binary(16)), _UUIDS[0].hex),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array(_BYTES, pa.binary(16))), str(_UUIDS[0])),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["[1]", "[2]", "[1]"])), "[1]"),
        (pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3]), pa.array(["a", "b", "a"])), "a"),
        (pa.array([(1, 2, 3), (1, 2, 4), (1, 2, 3)], pa.month_day_nano_interval()), None),
    ],
    ids=["binary", "fixed", "uuid", "json", "run_end", "interval"],
)
def test_ids_of_every_type_are_read_as_text_is(part: str, ids: Any, said: str | None) -> None:
    log = FeedbackLog.read(pa.table(columns(id=ids)), **{part: "id"})
    if part != "timestamp":
        assert log.codes(part).tolist() == [0, 1, 0]
    assert said is None or log.column("id")[0] == said
    assert len(log.fingerprint()) == 64 and summarise(log).rows == 3


def not_utf8() -> Any:
    """Text [3] whose second value no decoder takes, as a careless writer of Parquet leaves it."""
    binary = pa.array([b"a", b"caf\xe9", b"b"])
    return pa.Array.from_buffers(pa.string(), 3, binary.buffers())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", ["object", "parquet"])
def test_text_that_is_not_utf8_is_one_bad_row_and_in_other_roles_one_line(
    tmp_path: Path, form: str, packed: bool
) -> None:
    text = not_utf8().dictionary_encode() if packed else not_utf8()
    source: Any = pa.table(columns(copied=[1, 0, 1], text=text))
    if form == "parquet":
        pa.parquet.write_table(source, tmp_path / "a.parquet")
        source = tmp_path / "a.parquet"
    log = FeedbackLog.read(source, response="text", signals=["copied"])
    assert (log.quarantine.counts, log.responses()) == ({"response is not UTF-8": 1}, ["a", "b"])
    assert len(FeedbackLog.read(source)) == 3
    for part in ("context", "prompt_id", "user_id", "session_id", "timestamp", "policy", "gold", "signals"):
        with pytest.raises(
            DataError, match=r"row 2: column 'text' \(\w+\) holds text that is not UTF-8, exp"
        ) as told:
            FeedbackLog.read(source, **{part: "text"})
        assert "\n" not in str(told.value)


def test_messages_that_are_not_utf8_are_one_bad_row() -> None:
    messages = pa.StructArray.from_arrays([pa.array(["user"] * 3), not_utf8()], names=["role", "content"])
    chat = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), messages)
    log = FeedbackLog.read(pa.table({"prompt": chat, "response": ["x", "y", "z"]}))
    assert (log.quarantine.counts, log.prompts()) == ({"prompt is not UTF-8": 1}, ["a", "b"])


@pytest.mark.parametrize("part", ["prompt_id", "user_id", "session_id"])
def test_ids_are_no_context_because_its_values_are_shown_and_saved(part: str) -> None:
    table = pa.table(columns(who=["anna@example.org", "ben@example.org"]))
    ids: dict[str, Any] = {part: "who"}
    with pytest.raises(DataError, match=f"column 'who' is named both as context and as {part}; take it out"):
        FeedbackLog.read(table, context=["who"], **ids)


def test_roles_given_later_name_the_line_of_the_file(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"prompt": "p", "response": f"r{i}", "stars": i % 2} for i in range(6)]
    rows[0]["response"] = None
    rows[4]["stars"] = 5
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = FeedbackLog.read(path)
    for part in (log, log.take([4, 3]), log.with_roles(user_id="stars")):
        with pytest.raises(DataError, match=r"a\.jsonl, line 5: column 'stars' \(signal\) holds 5"):
            part.with_roles(signals=["stars"])
    with pytest.raises(DataError, match=r"memory, row 2: column 'stars'"):
        FeedbackLog(pa.table(columns(stars=[0, 5])), Roles()).with_roles(signals=["stars"])


@pytest.mark.parametrize(
    ("role", "value"),
    [("gold", ["quality"]), ("user_id", 7), ("prompt", ["prompt"]), ("rank", {"a": 1}), ("policy", b"model")],
)
def test_a_role_of_one_column_that_is_no_name_is_one_line(role: str, value: Any) -> None:
    rows = [{"prompt": "p", "response": "r"}]
    with pytest.raises(
        ConfigError, match=rf"^{role} is .*, expected the name of one column: {role}='{role}'$"
    ):
        FeedbackLog.read(rows, **{role: value})
    with pytest.raises(ConfigError, match=rf"^{role} is .*, expected the name of one column"):
        Roles.from_json({role: value})
    with pytest.raises(ConfigError, match=r"^context holds .*, expected names of columns"):
        FeedbackLog.read(rows, context=[["slot"]])


def test_a_column_that_is_the_index_of_a_frame_is_told_so() -> None:
    import pandas as pd

    frame = pd.DataFrame({"prompt": ["p"], "response": ["r"], "who": ["ann"], "odd": [1j]}).set_index("who")
    for source in (frame, frame.drop(columns="odd")):
        with pytest.raises(
            DataError, match=r"no column 'who' .*; it is in the frame's index: read frame\.reset_index"
        ):
            FeedbackLog.read(source, user_id="who")
    assert FeedbackLog.read(frame.reset_index(), user_id="who").column("who") == ["ann"]


def test_the_repr_counts_the_rows_in_quarantine() -> None:
    rows = [{"prompt": "p", "response": "r"}, {"prompt": "p"}, {"response": "r"}]
    assert repr(FeedbackLog.read(rows)) == "FeedbackLog('rows', rows=1, quarantined=2, signals: none)"
    assert repr(FeedbackLog.read(rows[:1])) == "FeedbackLog('rows', rows=1, signals: none)"


@pytest.mark.parametrize("value", [7, b"slot"])
def test_a_part_of_several_columns_that_is_no_names_is_one_line(value: Any) -> None:
    rows = [{"prompt": "p", "response": "r", "copied": 1, "slot": 0}]
    log = FeedbackLog.read(rows, signals="copied")
    for part in ("context", "signals"):
        with pytest.raises(
            ConfigError, match=rf"^{part} is .* expected names of columns, such as {part}=\['"
        ):
            FeedbackLog.read(rows, **{part: value})
        with pytest.raises(ConfigError, match=rf"^{part} is .* expected names of columns"):
            log.with_roles(**{part: value})
    assert log.with_roles(context="slot").roles.context == ("slot",)
    assert log.with_roles(signals="copied:negative").roles.signals == (Signal("copied", -1),)


def test_a_signal_that_spells_its_polarity_in_its_name_is_told_how_to_write_it() -> None:
    rows = [{"prompt": "p", "response": "r", "copied": 1}]
    assert FeedbackLog.read(rows, signals=["copied:negative"]).roles.signals == (Signal("copied", -1),)
    with pytest.raises(
        DataError, match=r"no column 'copied:negative' .*Signal\.parse\('copied:negative'\), or the text"
    ):
        FeedbackLog.read(rows, signals=[Signal("copied:negative")])
    named = [{"prompt": "p", "response": "r", "copied:negative": 1}]
    assert FeedbackLog.read(named, signals=[Signal("copied:negative")]).signal_matrix()[0].tolist() == [[1]]


def test_a_column_asked_for_by_a_slip_is_told_its_name() -> None:
    log = FeedbackLog.read([{"prompt": "p", "response": "r"}])
    with pytest.raises(DataError, match=r"no column 'respons'; did you mean 'response'\?; columns: prompt"):
        log.column("respons")
