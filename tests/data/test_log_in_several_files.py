"""A log in several files reads as one, and every message names the file and the place in it."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from tacit.data import FeedbackLog
from tacit.data.input_rows import InputRows
from tacit.data.readers.several import would_match
from tacit.errors import DataError
from tacit.model.description import describe_log

ROWS: list[dict[str, Any]] = [
    {"prompt": "Why?", "response": "Because.", "copied": 1, "slot": 1},
    {"prompt": "Why?", "response": "No idea.", "copied": 0, "slot": 2},
    {"prompt": "How?", "response": "So.", "copied": None, "slot": 3},
    {"prompt": "How?", "response": "Thus.", "copied": 1, "slot": 4},
]
ROLES: dict[str, Any] = {"signals": "copied", "context": "slot"}
FORMS = ["jsonl", "jsonl.gz", "json", "csv", "csv.gz", "parquet"]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path)
        return path
    if ".csv" in path.name:
        stream = io.BytesIO()
        pa.csv.write_csv(table, stream)
        data = stream.getvalue()
    elif ".jsonl" in path.name:
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    else:
        data = json.dumps(rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def days(folder: Path, form: str) -> Path:
    """Two days whose order of writing is not that of their names."""
    written(folder / f"2026-11-02.{form}", ROWS[3:])
    written(folder / f"2026-11-01.{form}", ROWS[:3])
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_a_pattern_and_a_list_read_as_one_file_would(tmp_path: Path, form: str) -> None:
    folder = days(tmp_path / "logs", form)
    whole = FeedbackLog.read(written(tmp_path / f"all.{form}", ROWS), **ROLES)
    files = [str(folder / f"2026-11-0{day}.{form}") for day in (1, 2)]
    for source in (folder, str(folder / "2026-*"), folder / f"*.{form}", files):
        log = FeedbackLog.read(source, **ROLES)
        assert log.responses() == [row["response"] for row in ROWS]
        assert log.fingerprint() == whole.fingerprint()
        assert log.places is not None and log.places.tolist() == [1, 2, 3, 4]
        assert log.where(3) == f"{files[1]}, {whole.unit} 1" and log.where(2) == f"{files[0]}, {whole.unit} 3"
        assert log.take([3]).where(0) == log.with_roles(context=()).where(3) == log.where(3)
    assert FeedbackLog.read(files[:1], **ROLES).where(0) == f"{files[0]}, {whole.unit} 1"


def test_the_name_is_what_was_asked_for_and_the_card_keeps_no_folder(tmp_path: Path) -> None:
    folder = days(tmp_path / "logs", "jsonl")
    for source, name in (
        (folder, "logs"),
        (folder / "*.jsonl", "*.jsonl"),
        ([folder / "2026-11-01.jsonl", folder / "2026-11-02.jsonl"], "2026-11-01.jsonl and 1 more"),
    ):
        log = FeedbackLog.read(source, **ROLES)
        assert log.name.endswith(f"{tmp_path.name}/{name if name == 'logs' else f'logs/{name}'}")
        assert describe_log(log)["name"] == name


def test_hidden_and_other_files_are_passed_over_unless_the_pattern_names_them(tmp_path: Path) -> None:
    folder = days(tmp_path / "logs", "jsonl")
    for name in (".old.jsonl", "_tmp/a.jsonl", "_SUCCESS", "notes.txt"):
        written(folder / name, ROWS)
    (folder / "2026-11-03.jsonl").touch()  # a day on which nothing happened
    for pattern in ("", "*", "**/*.jsonl"):
        assert len(FeedbackLog.read(folder / pattern)) == 4
    assert len(FeedbackLog.read(folder / ".old*")) == len(FeedbackLog.read(folder / "_tm?/*")) == 4


def test_what_lies_there_and_is_not_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = days(tmp_path / "logs", "jsonl")
    (folder / "latest.jsonl").symlink_to("2026-11-02.jsonl")
    (folder / "2026-11-03.zst").touch()
    with caplog.at_level("INFO", logger="tacit"):
        for source in (folder, folder / "*"):
            assert len(FeedbackLog.read(source, **ROLES)) == len(ROWS)
    told = f"read 2 JSON files, others passed over: 2 ({folder / '2026-11-03.zst'}, …)"
    assert [line for line in caplog.messages if "passed over" in line] == [
        f"{folder}: {told}",
        f"{folder / '*'}: {told}",
    ]


@pytest.mark.parametrize(("form", "hours"), [("jsonl", [7, 12]), ("csv", ["7", "12"]), ("parquet", [7, 12])])
def test_folders_called_key_value_are_columns_below_the_folder_named(
    tmp_path: Path, form: str, hours: list[Any]
) -> None:
    written(tmp_path / f"a=b/dt=2026-11-01/h=7/a.{form}", ROWS[:1])
    written(tmp_path / f"a=b/dt=2026-11-1%30/h=12/a.{form}", ROWS[1:2])
    written(tmp_path / f"a=b/dt=__HIVE_DEFAULT_PARTITION__/h=12/a.{form}", ROWS[2:3])
    log = FeedbackLog.read(tmp_path / "a=b", **ROLES)
    assert log.column("dt") == ["2026-11-01", "2026-11-10", None] and log.column("h") == [*hours, hours[1]]
    assert FeedbackLog.read(tmp_path / "a=b", context="h").context_columns()["h"].tolist() == [7, 12, 12]
    assert FeedbackLog.read(tmp_path / "a=b" / "dt=2026*" / "**" / "*").column("dt") == log.column("dt")[:2]
    assert "a" not in log.table.column_names
    listed = FeedbackLog.read([tmp_path / f"a=b/dt=2026-11-01/h=7/a.{form}"])
    assert "dt" not in listed.table.column_names


def test_a_column_that_a_file_lacks_is_null_there_and_numbers_take_the_widest_type(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [ROWS[0] | {"turn": 1, "meta": {"v": 1}}])
    written(tmp_path / "b.jsonl", [{"prompt": "p", "response": "r"}])
    written(tmp_path / "c.jsonl", [ROWS[1] | {"turn": 0.5, "meta": {"w": "x"}}])
    log = FeedbackLog.read(tmp_path, signals="copied")
    assert log.column("copied") == [1, None, 0] and log.column("turn") == [1, None, 0.5]
    assert log.column("meta") == [{"v": 1, "w": None}, None, {"v": None, "w": "x"}]


def test_messages_name_the_file_and_the_place_in_it(tmp_path: Path) -> None:
    good = [json.dumps(row) for row in ROWS]
    (tmp_path / "a.jsonl").write_text("\n".join([good[0], "", "{", good[1]]) + "\n\n")
    (tmp_path / "b.jsonl").write_text("\n".join([good[2], "{", '{"prompt": "p"}', good[3]]) + "\n")
    log = FeedbackLog.read(tmp_path)
    told = log.quarantine.describe()
    assert f"line is not JSON (2; {tmp_path}/a.jsonl row 3, {tmp_path}/b.jsonl row 2)" in told
    assert f"response is missing (1; {tmp_path}/b.jsonl row 3)" in told
    assert [log.where(i).rsplit("/")[-1] for i in range(4)] == [
        "a.jsonl, line 1",
        "a.jsonl, line 4",
        "b.jsonl, line 1",
        "b.jsonl, line 4",
    ]
    rows = InputRows.of(log, tmp_path)
    assert rows.spread([1, 2, 3, 4]) == [1, None, 2, 3, None, None, 4]
    with pytest.raises(DataError, match=r"max_bad=1.*\(2, first in .*a\.jsonl, line 3\)"):
        FeedbackLog.read(tmp_path, max_bad=1)
    (tmp_path / "b.jsonl").write_text(json.dumps(ROWS[0] | {"copied": 3}) + "\n")
    with pytest.raises(DataError, match=r"b\.jsonl, line 1: column 'copied' \(signal\) holds 3"):
        FeedbackLog.read(tmp_path, signals="copied")


def test_a_ragged_row_of_a_csv_is_named_by_its_own_file(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("prompt,response,copied\np,r,1\np\np,s,0\n")
    log = FeedbackLog.read(tmp_path, signals="copied")
    assert f"({2}; {tmp_path}/a.csv row 2, {tmp_path}/b.csv row 2)" in log.quarantine.describe()
    assert log.where(2) == f"{tmp_path}/b.csv, row 1"
    assert InputRows.of(log, tmp_path).spread([1, 2, 3, 4]) == [1, None, 2, 3, None, 4]


def test_a_published_set_in_several_files_names_them(tmp_path: Path) -> None:
    row = {"prompt": "p", "response": "r", "correctness": 1, "coherence": 1, "complexity": 1, "verbosity": 1}
    written(tmp_path / "a.jsonl", [row | {"helpfulness": 4}])
    written(tmp_path / "b.jsonl", [row | {"helpfulness": None}, row | {"helpfulness": 1}])
    log = FeedbackLog.read(tmp_path)
    assert log.where(1) == f"{tmp_path}/b.jsonl, line 2"
    assert f"helpfulness is null (1; {tmp_path}/b.jsonl row 1)" in log.quarantine.describe()


def test_a_column_of_several_types_in_one_file_is_one_over_all(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [ROWS[0] | {"who": 7}])
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(ROWS[1] | {"who": who}) + "\n" for who in (8, "9b")))
    written(tmp_path / "c.jsonl", [ROWS[2]])
    assert FeedbackLog.read(tmp_path, user_id="who").column("who") == ["7", "8", "9b", None]


def test_a_column_of_another_type_in_each_file_is_read_by_its_role(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tacit")
    written(tmp_path / "a.jsonl", [row | {"who": 7, "extra": 1} for row in ROWS])
    other = {"who": "8b", "extra": {"a": [1]}}
    written(tmp_path / "b.jsonl", [ROWS[0] | other | {"copied": True}, ROWS[1] | {"copied": False}])
    log = FeedbackLog.read(tmp_path, user_id="who", **ROLES)
    assert log.column("copied") == [*(row["copied"] for row in ROWS), 1, 0]
    assert log.column("who") == [*["7"] * len(ROWS), "8b", None]
    assert "extra" not in log.table.column_names
    assert "column 'extra' has values of several types and no role; left out" in caplog.text


def test_a_value_that_its_role_refuses_is_named_by_file_and_place(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", ROWS)
    written(tmp_path / "b.jsonl", [ROWS[0] | {"copied": "yes"}])
    with pytest.raises(DataError, match=r"b\.jsonl, line 1: column 'copied' \(signal\) holds 'yes'"):
        FeedbackLog.read(tmp_path, **ROLES)


def test_files_that_make_no_log_give_one_line(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", ROWS)
    written(tmp_path / "b.jsonl", [ROWS[0] | {"copied": "yes"}])
    for source, message in (
        (tmp_path / "*.csv", r"\*\.csv: no file matches this pattern; expected \.jsonl"),
        (tmp_path / "a**.jsonl", r"a\*\*\.jsonl: not a pattern that can be read"),
        ([tmp_path / "c.jsonl"], r"c\.jsonl: no such file; in a list of paths, expected log files"),
        ([tmp_path / "a.jsonl"] * 2, r"a\.jsonl: stands twice in the list of paths"),
        (["a.jsonl", {"prompt": "p"}], "rows, row 1: found 'a.jsonl'"),
    ):
        with pytest.raises(DataError, match=message):
            FeedbackLog.read(source)
    written(tmp_path / "b.csv", ROWS)
    with pytest.raises(
        DataError, match=r"2 formats, JSON \(.*a\.jsonl\) and CSV \(.*b\.csv\), expected one; name"
    ):
        FeedbackLog.read(tmp_path)
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("")
    with pytest.raises(DataError, match="the log is empty"):
        FeedbackLog.read(tmp_path / "*.jsonl")


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_a_day_without_a_byte_holds_no_row(tmp_path: Path, form: str) -> None:
    days(tmp_path, form)
    (tmp_path / f"2026-10-31.{form}").touch()
    assert FeedbackLog.read(tmp_path, **ROLES).where(3).startswith(f"{tmp_path}/2026-11-02.{form}, ")


def test_roles_given_later_are_refused_by_file_and_place_too(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", ROWS[:1])
    written(tmp_path / "b.jsonl", [ROWS[1] | {"stars": 4}])
    with pytest.raises(DataError, match=r"b\.jsonl, line 1: column 'stars' \(signal\) holds 4"):
        FeedbackLog.read(tmp_path).with_roles(signals=["stars"])


def test_a_home_in_quotes_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    days(tmp_path / "logs", "jsonl")
    assert len(FeedbackLog.read("~/logs/*.jsonl")) == 4


def test_what_would_be_read_by_a_pattern_is_known_before_it_is_written(tmp_path: Path) -> None:
    pattern = tmp_path / "logs" / "dt=*" / "*.jsonl"
    assert would_match(pattern, tmp_path / "logs/dt=1/new.jsonl")
    assert would_match(tmp_path / "logs" / "dt=*", tmp_path / "logs/dt=1/new.jsonl")
    assert not would_match(pattern, tmp_path / "logs/new.jsonl")
    assert not would_match(tmp_path / "a.jsonl", tmp_path / "a.jsonl")


def test_standard_input_is_json_lines_or_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    for data, unit in (
        ("".join(json.dumps(row) + "\n" for row in ROWS), "line"),
        (json.dumps(ROWS), "item"),
    ):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data.encode())))
        log = FeedbackLog.read("-", **ROLES)
        assert len(log) == 4 and log.where(0) == f"standard input, {unit} 1"
        assert describe_log(log)["name"] == "standard input"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"{}"))))
    with pytest.raises(
        DataError, match=r"^standard input: holds a gzip file, expected one JSON object per line; unpack"
    ):
        FeedbackLog.read("-")


def test_the_cell_that_is_no_number_is_the_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prompt,response,r\np,a,5\np,b,1_000\n")
    with pytest.raises(DataError, match=r"row 2: column 'r' \(rank\) holds '1_000', expected a number"):
        FeedbackLog.read(tmp_path / "a.csv", rank="r")
