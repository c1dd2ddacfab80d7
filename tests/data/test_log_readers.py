"""Every format gives the same log; a file that is not what its name says gives one line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tacit.data import FeedbackLog
from tacit.errors import DataError

ROWS: list[dict[str, Any]] = [
    {
        "prompt": "Why?",
        "response": 'Because,\nas it "is".',
        "copied": 1,
        "slot": 1,
        "device": "ios",
        "gold": 0.5,
    },
    {"prompt": "Why?", "response": "No idea.", "copied": 0, "slot": 2, "device": None, "gold": None},
    {
        "prompt": "2021-03-04",
        "response": "2021-03-05",
        "copied": None,
        "slot": 3,
        "device": "web",
        "gold": 1.0,
    },
]
ROLES: dict[str, Any] = {"signals": ["copied"], "context": ["slot", "device"], "gold": "gold"}
CHAT = [
    {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "completion": [{"role": "assistant", "content": "Hello"}],
        "label": True,
    },
    {
        "prompt": [{"role": "user", "content": "Hi"}],
        "completion": [{"role": "assistant", "content": "Yes?"}],
        "label": False,
    },
]

DAMAGED = b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 99  # a gzip header, and then no block of any kind


def jsonl(path: Path, rows: list[Any]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = pa.Table.from_pylist(rows)
    if ".json" in path.suffixes:
        text = json.dumps(rows, indent=1)
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
        return path
    if "jsonl" in path.name or path.suffix == ".ndjson":
        return jsonl(path, rows)
    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path)
    elif path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        from datasets import Dataset

        Dataset(table).save_to_disk(str(path))
    return path


@pytest.mark.parametrize(
    "name",
    ["a.jsonl", "a.ndjson", "a.jsonl.gz", "a.json", "a.json.gz", "a.parquet", "a.csv", "folder"],
)
def test_every_format_reads_to_the_same_log(tmp_path: Path, name: str) -> None:
    log = FeedbackLog.read(written(tmp_path / name, ROWS), **ROLES)
    y_NK, visible_NK = log.signal_matrix()
    gold, known = log.gold_values()
    assert log.prompts() == [row["prompt"] for row in ROWS]
    assert log.responses() == [row["response"] for row in ROWS]
    assert y_NK.tolist() == [[1], [0], [0]]
    assert visible_NK.tolist() == [[True], [True], [False]]
    assert gold.tolist() == [0.5, 0, 1] and known.tolist() == [True, False, True]
    assert log.context_columns()["slot"].tolist() == [1.0, 2.0, 3.0]
    assert log.context_columns()["device"].tolist() == ["ios", "missing", "web"]
    assert log.fingerprint() == FeedbackLog.read(pa.Table.from_pylist(ROWS), **ROLES).fingerprint()


def test_items_of_an_array_that_are_no_rows_are_quarantined_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        '[{"prompt": "p", "response": "r"}, 7, {"prompt": "p", "response": "\\ud800"}, {"prompt": "p"}]'
    )
    log = FeedbackLog.read(path)
    assert log.responses() == ["r"]
    told = log.quarantine.describe()
    assert "item is not a JSON object" in told and "item is not UTF-8" in told and "response is" in told
    assert log.where(0) == f"{path}, item 1"


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    log = FeedbackLog.read(jsonl(tmp_path / "a.json", ROWS), **ROLES)
    assert log.fingerprint() == FeedbackLog.read(pa.Table.from_pylist(ROWS), **ROLES).fingerprint()
    assert len(FeedbackLog.read(jsonl(tmp_path / "b.json", ROWS[:1]), **ROLES)) == 1


def test_table_objects_read_like_files() -> None:
    import pandas as pd
    from datasets import Dataset, DatasetDict

    frame, dataset = pd.DataFrame(ROWS), Dataset.from_list(ROWS)
    expected = FeedbackLog.read(pa.Table.from_pylist(ROWS), **ROLES).fingerprint()
    for source in (frame, dataset, DatasetDict(train=dataset), DatasetDict(train=dataset, test=dataset)):
        assert FeedbackLog.read(source, **ROLES).fingerprint() == expected
    chosen = FeedbackLog.read(dataset.select([2, 0]), **ROLES)
    assert chosen.prompts() == ["2021-03-04", "Why?"]
    with pytest.raises(DataError, match=r"splits a, b and no 'train'"):
        FeedbackLog.read(DatasetDict(a=dataset, b=dataset), **ROLES)
    with pytest.raises(DataError, match=r"cannot read a log from builtins\.set"):
        FeedbackLog.read({"prompt"})


class Offers:
    """What polars, DuckDB and ibis have in common: Arrow data on request, and no class that is known here."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def test_whatever_hands_out_arrow_data_rows_or_columns_reads_like_a_table() -> None:
    table = pa.Table.from_pylist(ROWS)
    expected = FeedbackLog.read(table, **ROLES).fingerprint()
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    for source in (Offers(table), table.to_reader(), table.to_batches()[0], ROWS, columns):
        assert FeedbackLog.read(source, **ROLES).fingerprint() == expected
    short = [ROWS[0], {"prompt": "Why?", "response": "No.", "late": 7}]
    log = FeedbackLog.read(short, signals="copied")
    assert log.column("late") == [None, 7] and log.column("copied") == [1, None]
    assert log.where(1) == "rows, row 2"


VIEW = pa.string_view()


def test_text_in_views_as_polars_has_it_reads_like_text() -> None:
    table = pa.Table.from_pylist(ROWS)
    device = table.column("device").combine_chunks().dictionary_encode()
    coded = pa.DictionaryArray.from_arrays(device.indices.cast(pa.uint32()), device.dictionary.cast(VIEW))
    plain = {"prompt": table.column("prompt").cast(VIEW), "response": table.column("response").cast(VIEW)}
    ids = pa.array([b"a", b"b", b"a"], pa.binary_view())
    viewed = pa.table({**plain, "copied": table["copied"], "slot": table["slot"], "device": coded, "id": ids})
    viewed = viewed.append_column("gold", table["gold"])
    log = FeedbackLog.read(Offers(viewed), user_id="id", session_id="device", signals="copied")
    assert log.take([2, 0]).prompts() == ["2021-03-04", "Why?"]
    assert log.codes("user_id").tolist() == [0, 1, 0] and log.codes("session_id").tolist() == [0, 1, 2]
    assert (
        FeedbackLog.read(Offers(viewed), **ROLES).fingerprint()
        == FeedbackLog.read(table, **ROLES).fingerprint()
    )
    turn = pa.struct([("role", VIEW), ("content", VIEW)])
    enum = pa.struct([("role", pa.dictionary(pa.uint32(), VIEW)), ("content", VIEW)])
    said = [[{"role": "user", "content": "Hi"}], None]
    chat = pa.table({"prompt": pa.array(said, pa.large_list(turn)), "response": pa.array(["a", "b"], VIEW)})
    log = FeedbackLog.read(Offers(chat))
    assert log.prompts() == ["Hi"] and log.quarantine.counts == {"prompt is missing": 1}
    roles = pa.DictionaryArray.from_arrays(pa.array([0], pa.uint32()), pa.array(["user"], VIEW))
    turns = pa.StructArray.from_arrays([roles, pa.array(["Hi"], VIEW)], fields=list(enum))
    listed = pa.LargeListArray.from_arrays([0, 1], turns)
    assert FeedbackLog.read(Offers(pa.table({"prompt": listed, "response": ["a"]}))).prompts() == ["Hi"]


def test_a_frame_of_polars_reads_like_a_table() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(ROWS).with_columns(polars.col("device").cast(polars.Categorical))
    expected = FeedbackLog.read(pa.Table.from_pylist(ROWS), **ROLES).fingerprint()
    assert FeedbackLog.read(frame, **ROLES).fingerprint() == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([("p", "r")], "rows, row 1: found ('p', 'r') (tuple), expected a mapping of columns"),
        ([{"prompt": "p", "response": "r"}, 7], "rows, row 2: found 7 (int)"),
        ([{"prompt": "p", 0: "r"}], "rows, row 1: a column is named 0 (int), expected text"),
        ([], "rows: the log is empty"),
        ({}, "columns: the log is empty"),
        ({"prompt": "p", "response": "r"}, "columns: column 'prompt' is 'p' (str), expected a list"),
        ({"prompt": ["p"], "response": ["r", "s"]}, "column 'response' has 2 rows, the first column 1"),
        (Offers(pa.chunked_array([["p"]])), "Offers: not readable as a table: Cannot import schema"),
    ],
)
def test_an_object_that_is_no_table_gives_one_line(source: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        FeedbackLog.read(source)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "extra",
    [[1, "a", None], [{"a": 1}, [1], 2], [object()] * 3, [1j] * 3, [2**70, 2**70, 1], "sparse", "interval"],
    ids=["types", "nested", "object", "complex", "big", "sparse", "interval"],
)
def test_a_column_of_a_frame_that_arrow_refuses_is_an_id_or_left_out(extra: Any) -> None:
    import pandas as pd

    made = {"sparse": pd.arrays.SparseArray([0, 0, 1]), "interval": pd.interval_range(0, 3)}
    values = made[extra] if isinstance(extra, str) else pd.Series(extra, dtype=object)
    frame = pd.DataFrame(ROWS).assign(extra=values)
    assert (
        FeedbackLog.read(frame, **ROLES).fingerprint()
        == FeedbackLog.read(pd.DataFrame(ROWS), **ROLES).fingerprint()
    )
    log = FeedbackLog.read(frame, user_id="extra")
    expected = pd.factorize(pd.Series(list(values), dtype=object).astype(str), use_na_sentinel=False)[0]
    assert log.codes("user_id").tolist() == expected.tolist() and len(log.fingerprint()) == 64


def test_a_frame_at_fault_gives_one_line() -> None:
    import pandas as pd

    frame = pd.DataFrame(ROWS)
    with pytest.raises(DataError, match="column 'slot' stands twice"):
        FeedbackLog.read(pd.concat([frame, frame[["slot"]]], axis=1))
    with pytest.raises(DataError, match=r"Series: not readable as a table"):
        FeedbackLog.read(frame["slot"])
    with pytest.raises(DataError, match=r"row 2: column 'extra' \(signal\) holds 'a'"):
        FeedbackLog.read(frame.assign(extra=pd.Series([1, "a", 0], dtype=object)), signals=["extra"])
    half = frame.assign(response=pd.Series(["a", "x\ud83d", "c"], dtype=object))
    assert FeedbackLog.read(half).quarantine.counts == {"response is not UTF-8": 1}


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "folder"])
def test_conversational_kto_reads_as_one_signal(tmp_path: Path, name: str) -> None:
    log = FeedbackLog.read(written(tmp_path / name, CHAT))
    assert [signal.name for signal in log.roles.signals] == ["label"]
    assert log.signal_matrix()[0].tolist() == [[1], [0]]
    assert log.prompts() == ["system: Be brief.\nuser: Hi", "Hi"]
    assert log.responses() == ["Hello", "Yes?"]
    assert log.messages()[1] == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    assert log.prompt_codes().tolist() == [0, 1]


def test_reading_as_kto_is_said_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"prompt": "p", "completion": "c", "label": False}])
    with caplog.at_level("INFO", logger="tacit"):
        FeedbackLog.read(path)
    assert "read as KTO" in caplog.text
    plain = FeedbackLog.read(path, source="plain", response="completion", signals=["label"])
    assert plain.roles.signals[0].name == "label"


def test_text_and_messages_may_share_a_column(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "a.jsonl",
        [{"prompt": CHAT[0]["prompt"], "response": "a"}, {"prompt": "Hi", "response": "b"}],
    )
    log = FeedbackLog.read(path)
    assert log.messages()[1] == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "b"}]


@pytest.mark.parametrize("spelled", [json.dumps, str])
def test_messages_spelled_out_as_text_are_noted_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spelled: Any
) -> None:
    rows = [{"prompt": 'What is [{"role": 1}]?', "response": "a"}] * 2
    rows += [{"prompt": spelled(CHAT[0]["prompt"]), "response": "a"}] * 2
    path = written(tmp_path / "a.csv", rows)
    with caplog.at_level("WARNING", logger="tacit"):
        log = FeedbackLog.read(path)
        log.with_roles(user_id="prompt")
    assert [record.message.split(";")[0] for record in caplog.records] == [
        f"{path}, row 3: column 'prompt' (prompt) is text that spells a list of messages and is read as plain text"
    ]
    assert len(log) == 4 and not log.is_chat


def test_bad_lines_are_quarantined_by_reason_and_line(tmp_path: Path) -> None:
    good = {"prompt": "p", "response": "r", "copied": 1}
    rows: list[Any] = [
        "not json",
        good,
        "",
        "[1, 2]",
        good | {"response": "  \t"},
        good | {"response": None},
        good | {"prompt": 7},
        good | {"response": ["a"]},
        good,
    ]
    log = FeedbackLog.read(jsonl(tmp_path / "a.jsonl", rows), signals=["copied"])
    found = {bad.reason: bad.row for bad in log.quarantine.examples}
    assert len(log) == 2 and log.quarantine.total == 6
    assert found == {
        "line is not JSON": 1,
        "line is not a JSON object": 4,
        "response is empty": 5,
        "response is missing": 6,
        "prompt is not text or messages but a number": 7,
        "response is not text or messages but a list": 8,
    }
    with pytest.raises(DataError, match=r"6 of 8 rows cannot be used, more than max_bad=5"):
        FeedbackLog.read(tmp_path / "a.jsonl", signals=["copied"], max_bad=5)
    assert len(FeedbackLog.read(tmp_path / "a.jsonl", max_bad=6)) == 2


def test_broken_messages_are_quarantined(tmp_path: Path) -> None:
    rows = [
        *CHAT,
        {"prompt": [{"role": "user", "content": None}], "completion": CHAT[0]["completion"], "label": 1},
    ]
    rows += [{"prompt": [], "completion": CHAT[0]["completion"], "label": True}]
    log = FeedbackLog.read(pa.Table.from_pylist([row | {"label": bool(row["label"])} for row in rows]))
    assert log.quarantine.counts == {"prompt has a message without role or content": 1, "prompt is empty": 1}
    assert log.prompts() == ["system: Be brief.\nuser: Hi", "Hi"]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b'"\xff"', "line is not UTF-8"),
        (b'"\\uD800"', "line is not UTF-8"),
        (b"[" * 100_000, "line is not JSON"),
    ],
)
def test_a_line_that_no_parser_takes_is_one_bad_line(tmp_path: Path, response: bytes, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"prompt":"p","response":' + response + b'}\n{"prompt":"p","response":"r"}\n')
    assert FeedbackLog.read(path).quarantine.counts == {reason: 1}


def test_a_deeply_nested_column_is_read_or_is_one_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    nested = b"[" * 850 + b"]" * 850
    path.write_bytes(b'{"prompt":"p","response":"r","x":' + nested + b'}\n{"prompt":"p","response":"r"}\n')
    log = FeedbackLog.read(path)
    assert len(log) + log.quarantine.total == 2


def test_one_name_is_a_list_of_one(tmp_path: Path) -> None:
    log = FeedbackLog.read(written(tmp_path / "a.jsonl", ROWS), signals="copied", context="slot")
    assert (log.roles.signals[0].name, log.roles.context) == ("copied", ("slot",))


def test_ragged_csv_rows_are_quarantined_and_later_rows_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('prompt,response,copied\n"p\nq",r,1\nonly one cell\np,r,maybe\n')
    with pytest.raises(DataError, match=r"a\.csv, row 3: column 'copied' \(signal\) holds 'maybe'"):
        FeedbackLog.read(path, signals=["copied"])
    log = FeedbackLog.read(path)
    assert len(log) == 2 and [bad.row for bad in log.quarantine.examples] == [2]


def test_csv_cells_of_every_spelling(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,response,copied\n1,r,TRUE\n1,r,0\n1,r,\n1,r,1.0\n1,null,false\n1,r,null\n")
    y_NK, visible_NK = (log := FeedbackLog.read(path, signals=["copied"])).signal_matrix()
    assert y_NK[:, 0].tolist() == [1, 0, 0, 1, 0, 0]
    assert visible_NK[:, 0].tolist() == [True, True, False, True, True, False]
    assert log.responses()[4] == "null" and log.prompts()[0] == "1"


def test_csv_roles_given_later_read_cells_alike(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ROWS)
    later = FeedbackLog.read(path).with_roles(**ROLES)
    assert later.fingerprint() == FeedbackLog.read(path, **ROLES).fingerprint()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("later", ["r", '"r"'])
def test_a_csv_cell_left_open_is_refused_with_its_line(tmp_path: Path, name: str, later: str) -> None:
    lines = ["copied,prompt,response", *(f'{i % 2},"p ""{i}""",5" r{i}' for i in range(10)), '0,p5,"r10']
    lines += [f"{i % 2},p,{later}" for i in range(2000)]
    content = "\n".join(lines).encode() + b"\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(DataError, match=r"a\.csv.*, line 12: a quoted cell opens here and does not close"):
        FeedbackLog.read(tmp_path / name, signals=["copied"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet='",\n\ra', max_size=12))
def test_quotes_of_a_csv_are_taken_as_strictly_as_python_takes_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"prompt,response\n{text}", newline="")
    try:
        FeedbackLog.read(path)
        refused = False
    except DataError as error:
        refused = "does not close" in str(error)
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
        expected = False
    except csv.Error:
        expected = True
    assert refused == expected


@pytest.mark.parametrize("cell", ["NA", " null", "nan", ""])
def test_a_null_cell_among_the_numbers_of_a_csv_is_null_and_not_a_word(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"prompt,response,slot,gold\np,a,1,{cell}\np,b,{cell},1\n")
    with pytest.raises(DataError, match=r"row 2: column 'slot' \(context\) holds null among numbers"):
        FeedbackLog.read(path, context=["slot"])
    gold, known = FeedbackLog.read(path, gold="gold").gold_values()
    assert (gold.tolist(), known.tolist()) == ([0, 1], [False, True])


@pytest.mark.parametrize("words", [["none", "none"], ["NA", "ios"], ["2b", "1"]])
def test_words_of_a_csv_stay_levels(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,response,device\n" + "".join(f"p,r,{word}\n" for word in words))
    assert FeedbackLog.read(path, context=["device"]).context_columns()["device"].tolist() == words


def test_the_header_of_a_csv_is_its_first_line_that_is_not_blank(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf\r\n\nprompt,response,copied\n007,2021-03-04,1\n")
    log = FeedbackLog.read(path, signals=["copied"])
    assert (log.prompts(), log.responses()) == (["007"], ["2021-03-04"])


@pytest.mark.parametrize("big", [2**53 + 1, 2**63 - 1, 2**64 - 1, 2**70 + 1])
def test_large_ids_stay_apart(tmp_path: Path, big: int) -> None:
    rows = [
        {"prompt": "p", "response": "r", "id": big - n, "user": u} for n, u in enumerate([1.5, big, None])
    ]
    log = FeedbackLog.read(jsonl(tmp_path / "a.jsonl", rows), prompt_id="id", user_id="user")
    assert log.prompt_codes().tolist() == [0, 1, 2]


def test_ids_of_several_types_compare_as_text(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "response": "r", "user": user} for user in (7, "7b", 7, None)]
    assert FeedbackLog.read(jsonl(tmp_path / "a.jsonl", rows), user_id="user").codes("user_id").tolist() == [
        0,
        1,
        0,
        2,
    ]


def test_text_that_looks_like_a_date_stays_text(tmp_path: Path) -> None:
    rows = [{"prompt": "2021-03-04", "response": [{"role": "assistant", "content": "2021-03-05 10:00:00"}]}]
    log = FeedbackLog.read(jsonl(tmp_path / "a.jsonl", rows))
    assert (log.prompts(), log.responses()) == (["2021-03-04"], ["2021-03-05 10:00:00"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip),
        min_size=1,
        max_size=6,
    ),
    data=st.data(),
)
def test_any_text_survives_jsonl_and_parquet(tmp_path: Path, texts: list[str], data: st.DataObject) -> None:
    rows = [{"prompt": text, "response": data.draw(st.sampled_from(texts)), "copied": 1} for text in texts]
    for name in ("a.jsonl", "a.parquet"):
        log = FeedbackLog.read(written(tmp_path / name, rows), signals=["copied"])
        assert log.prompts() == texts
        assert log.responses() == [row["response"] for row in rows]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=3),
        min_size=1,
    )
)
def test_any_json_value_as_response_is_read_or_quarantined(tmp_path: Path, values: list[Any]) -> None:
    rows: list[Any] = [{"prompt": "p", "response": value} for value in values]
    log = FeedbackLog.read(jsonl(tmp_path / "a.jsonl", [*rows, {"prompt": "p", "response": "last"}]))
    usable = [value for value in values if isinstance(value, str) and value.strip()]
    assert log.responses() == [*usable, "last"]
    assert log.quarantine.total == len(values) - len(usable)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"prompt,response\n", "it holds text, expected a Parquet file"),
        ("a.parquet", b"PAR1 and then nothing", "damaged Parquet file"),
        ("a.parquet", b"", "expected a Parquet file"),
        ("a.jsonl", b"PK\x03\x04rest", "it holds a zip archive, expected one JSON object per line"),
        ("a.jsonl", b"prompt,response\na,b\n", "it holds CSV or other text"),
        ("a.jsonl", b'[{"prompt": "p"}]', "one JSON array; name it .json"),
        ("a.jsonl", b"\x00\x01\x02", "it holds binary data"),
        (
            "a.json",
            b"prompt,response\na,b\n",
            "it holds CSV or other text, expected one JSON array of objects",
        ),
        (
            "a.json",
            b'[{"prompt": "p"},\n{"prompt": }]',
            "a.json: is not JSON: Expecting value: line 2 column 12",
        ),
        ("a.json", b'[{"prompt": "\xff"}]', "a.json: is not JSON: 'utf-8' codec can't decode byte 0xff"),
        ("a.json", b"[" * 99_999, "a.json: is not JSON"),
        ("a.json", b"[1, 2]", "no item holds a JSON object (2 rows quarantined"),
        (
            "a.json",
            b'{\n"data": [{"prompt": "p"}]\n}',
            "prompt=COLUMN; or, if they are the rows, write the list 'data' to a file of its own; columns: data",
        ),
        (
            "a.jsonl",
            b'{"data": [{"prompt": "p"}]}',
            "if they are the rows, write the list 'data' to a file of its own",
        ),
        ("a.json", b"", "the log is empty"),
        ("a.json", b"[]", "the log is empty"),
        ("a.csv", b'[{"prompt": "p"}]', "JSON; name it .json"),
        ("a.jsonl", b"\x1f\x8b\x08", "it holds a gzip file"),
        ("a.jsonl.gz", b'{"prompt": "p"}', "it holds plain text, expected gzip; take .gz off its name"),
        ("a.parquet.gz", b"PAR1....", "it holds a Parquet file, expected gzip; take .gz off its name"),
        ("a.jsonl.gz", gzip.compress(b'{"prompt":"p"}\n' * 999, mtime=0)[:60], "cannot be read"),
        ("a.jsonl.gz", DAMAGED, "cannot be read: Error -3"),
        ("a.csv.gz", DAMAGED, "cannot be read: Error -3"),
        ("a.csv", b"PAR1....", "it holds a Parquet file"),
        ("a.csv", b'{"prompt": "p"}\n', "JSON; name it .jsonl"),
        (
            "a.csv",
            b'prompt,response\n\n"p\nq",r\np,\xff\n',
            "a.csv, line 5: not UTF-8: holds the byte 0xff; save",
        ),
        ("a.csv", b"prompt,caf\xe9\np,r\n", "a.csv, line 1: not UTF-8: holds the byte 0xe9; save"),
        ("a.csv", b"prompt;response\np;r\n", "one cell that holds ';', expected cells between commas"),
        (
            "a.csv",
            b'"prompt";"response"\n"p";"r"\n',
            "one cell that holds ';', expected cells between commas",
        ),
        ("a.csv", b'"prompt,response\np;q,r\n', "a.csv, line 1: a quoted cell opens here and does not close"),
        (
            "a.csv",
            b'"prompt,response\n' + b"p,r\n" * 60_000,
            "a.csv, line 1: a quoted cell opens here and does",
        ),
        ("a.csv", b"prompt\tresponse\np\tr\n", "one cell that holds '\\t', expected cells between commas"),
        ("a.csv", b"prompt,prompt\np,r\n", "column 'prompt' stands twice"),
        ("a.jsonl", b"", "the log is empty"),
        ("a.csv", b"", "the log is empty"),
        ("a.csv", b"prompt,response\n", "the log is empty"),
        ("a.csv", b"\xef\xbb\xbf", "the log is empty"),
        ("a.csv", b"\xef\xbb\xbf\r\n\r\n", "the log is empty"),
        ("a.csv", b'"prompt,response\n' + b"p,r\n" * 60_000 + b'"\n', "the header is not readable"),
        ("a.txt", b"hello", "cannot tell the format from the name"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_gives_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        FeedbackLog.read(tmp_path / name)
    assert message in str(error.value) and name in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_and_strange_folders_give_one_line(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    with pytest.raises(DataError, match="no such file or folder"):
        FeedbackLog.read(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"a folder without state\.json and without log files"):
        FeedbackLog.read(tmp_path)
    empty, splits = tmp_path / "empty", tmp_path / "splits"
    Dataset.from_list([]).save_to_disk(str(empty))
    with pytest.raises(DataError, match="empty: the log is empty"):
        FeedbackLog.read(empty)
    DatasetDict(a=Dataset.from_list(ROWS), b=Dataset.from_list(ROWS)).save_to_disk(str(splits))
    with pytest.raises(DataError, match=r"no 'train'; pass one of them, e\.g\. the folder .*splits/a$"):
        FeedbackLog.read(splits)
    assert len(FeedbackLog.read(splits / "a")) == 3
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(DataError, match="damaged dataset folder"):
        FeedbackLog.read(tmp_path)


def parted(folder: Path, parts: dict[str, list[dict[str, Any]]]) -> Path:
    for name, rows in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pa.parquet.write_table(pa.Table.from_pylist(rows), folder / name)
    return folder


def test_a_folder_of_parquet_files_reads_as_one_log_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = parted(
        tmp_path / "k=v", {"b.parquet": ROWS[1:2], "c/a.parquet": ROWS[2:], "a.parquet": ROWS[:1]}
    )
    for hidden in ("_SUCCESS", ".b.parquet", "_temporary/d.parquet", "notes.txt"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_text("no Parquet")
    (folder / "b.parquet").rename(tmp_path / "elsewhere.parquet")
    (folder / "b.parquet").symlink_to(tmp_path / "elsewhere.parquet")
    log = FeedbackLog.read(folder, **ROLES)
    assert log.fingerprint() == FeedbackLog.read(pa.Table.from_pylist(ROWS), **ROLES).fingerprint()
    assert log.where(2) == f"{folder}/c/a.parquet, row 1" and "k" not in log.table.column_names


def test_folders_called_key_value_are_columns(tmp_path: Path) -> None:
    folder = parted(
        tmp_path,
        {
            "dt=2026-01-02/hour=7/a.parquet": [
                {"prompt": "p", "response": "second", "copied": 0.0, "late": 1}
            ],
            "dt=2026-01-01/hour=12/a.parquet": [
                {"prompt": "p", "response": "", "copied": 1},
                {"prompt": "p", "response": "first", "copied": 1},
            ],
            "dt=__HIVE_DEFAULT_PARTITION__/hour=1/a.parquet": [
                {"prompt": "p", "response": "last", "copied": None}
            ],
        },
    )
    log = FeedbackLog.read(folder, signals="copied", context="hour", timestamp="dt")
    assert log.responses() == ["first", "second", "last"]
    assert log.column("dt") == ["2026-01-01", "2026-01-02", None] and log.column("hour") == [12, 7, 1]
    assert log.column("copied") == [1, 0, None] and log.column("late") == [None, 1, None]
    assert f"{folder}/dt=2026-01-01/hour=12/a.parquet row 1)" in log.quarantine.describe()
    assert log.where(1) == f"{folder}/dt=2026-01-02/hour=7/a.parquet, row 1"


def test_parquet_files_that_do_not_fit_one_another_give_one_line(tmp_path: Path) -> None:
    row = {"prompt": "p", "response": "r", "copied": 1}
    folder = parted(tmp_path / "a", {"a.parquet": [row], "b.parquet": [row | {"copied": "yes"}]})
    with pytest.raises(DataError, match=r"b\.parquet, row 1: column 'copied' \(signal\) holds 'yes'"):
        FeedbackLog.read(folder, signals="copied")
    folder = parted(tmp_path / "b", {"copied=x/a.parquet": [row]})
    with pytest.raises(DataError, match=r"copied=x/a\.parquet, row 1: column 'copied' \(signal\) holds 'x'"):
        FeedbackLog.read(folder, signals="copied")
    (folder / "c.parquet").write_text("PAR1")
    with pytest.raises(DataError, match=r"c\.parquet: damaged Parquet file"):
        FeedbackLog.read(folder)


def test_a_pipe_is_told_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^/dev/null: a pipe or a device, expected a file; write it to a file"
    ):
        FeedbackLog.read("/dev/null")
    assert len(FeedbackLog.read(jsonl(tmp_path / "a[1].jsonl", ROWS))) == 3


def test_importing_the_room_loads_no_heavy_library() -> None:
    heavy = {"torch", "datasets", "pandas", "sklearn", "transformers"}
    code = f"import sys, tacit.data; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize("name", ["log.jsonl", "log.csv"])
def test_ctrl_c_is_not_lost_while_arrow_would_import_pandas(tmp_path: Path, name: str) -> None:
    text = {"log.jsonl": '{"prompt": "a", "response": "b"}\n', "log.csv": "prompt,response\na,b\n"}[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    code = f"""
import sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas" and sys.meta_path.pop(0):
            raise KeyboardInterrupt

from tacit.data import FeedbackLog
assert "pandas" not in sys.modules
sys.meta_path.insert(0, CtrlC())
try:
    FeedbackLog.read({str(tmp_path / name)!r})
except KeyboardInterrupt:
    sys.exit(130)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 130
