"""`tacit score --out` and `--max-bad`: the input's rows in the input's order, with their scores or none."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import SMALL, Ran, Tacit, rows, write

from tacit import RewardModel

PAIRS: list[dict[str, Any]] = [
    {
        "prompt": f"question {i}",
        "response": "word " * (i + 1),
        "id": 2**60 + i,
        "tags": {"lang": "en", "n": [i]},
    }
    for i in range(5)
]
SCORES = ["reward", "probability", "uncertainty"]


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def refused(ran: Ran, *words: str) -> None:
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    for word in words:
        assert word in ran.err


@pytest.mark.parametrize("name", ["scores.jsonl", "scores.parquet", "deep/er/scores.PARQUET"])
def test_out_holds_the_inputs_columns_and_the_scores_in_input_order(
    tacit: Tacit, here: Path, fitted: Path, name: str
) -> None:
    write(here / "pairs.jsonl", PAIRS)
    ran = tacit("score", fitted, "pairs.jsonl", "--out", name)
    assert (ran.status, ran.out.count("\n")) == (0, 1)
    assert ran.out.startswith(f"5 rows → {name}: mean reward ")
    found = lines(name) if name.endswith("jsonl") else pq.read_table(name).to_pylist()
    assert [list(row) for row in found] == [[*PAIRS[0], *SCORES]] * 5
    assert [{key: row[key] for key in PAIRS[0]} for row in found] == PAIRS
    told = tacit("score", fitted, "pairs.jsonl", "--json").json["scores"]
    assert [{key: row[key] for key in SCORES} for row in found] == told
    rewards = RewardModel.load(fitted).score([(row["prompt"], row["response"]) for row in PAIRS])
    assert [row["reward"] for row in found] == pytest.approx(rewards.tolist(), abs=1e-5)


def test_out_is_told_as_json_or_not_at_all(tacit: Tacit, here: Path, fitted: Path) -> None:
    write(here / "pairs.jsonl", PAIRS)
    assert tacit("score", fitted, "pairs.jsonl", "--out", "a.jsonl", "--quiet").out == ""
    told = tacit("score", fitted, "pairs.jsonl", "--out", "a.jsonl", "--json", "--quiet").json
    rewards = [row["reward"] for row in lines("a.jsonl")]
    assert told.pop("mean_reward") == pytest.approx(sum(rewards) / 5)
    assert 0 < told.pop("mean_probability") < 1
    assert told == {"out": "a.jsonl", "rows": 5, "scored": 5}


def test_out_replaces_a_file_and_leaves_it_whole_when_a_run_fails(
    tacit: Tacit, here: Path, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here / "pairs.jsonl", PAIRS)
    (here / "scores.jsonl").write_text("of last week\n")
    (here / "link.jsonl").symlink_to("scores.jsonl")
    assert tacit("score", fitted, "pairs.jsonl", "--out", "link.jsonl").status == 0
    assert len(lines("scores.jsonl")) == 5 and (here / "link.jsonl").is_symlink()
    before = (here / "scores.jsonl").read_bytes()

    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tacit.data.input_rows.json.dumps", full)
    assert tacit("score", fitted, "pairs.jsonl", "--out", "scores.jsonl").status != 0
    assert (here / "scores.jsonl").read_bytes() == before
    assert sorted(path.name for path in here.iterdir()) == [
        "link.jsonl",
        "log.jsonl",
        "pairs.jsonl",
        "scores.jsonl",
    ]


def test_an_out_that_cannot_be_is_one_line_before_anything_is_scored(
    tacit: Tacit, here: Path, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RewardModel, "member_scores", None)
    write(here / "pairs.jsonl", PAIRS)
    (here / "folder.jsonl").mkdir()
    for out, words in {
        "scores.csv": ("--out scores.csv", "ends in '.csv'", "expected .parquet or .jsonl"),
        "scores": ("ends in 'nothing'", ".parquet or .jsonl"),
        "folder.jsonl": ("is a folder",),
        "./pairs.jsonl": ("--out pairs.jsonl lies where the input is read",),
        "log.jsonl/scores.jsonl": ("log.jsonl is a file, expected a folder",),
    }.items():
        refused(tacit("score", fitted, "pairs.jsonl", "--out", out), *words)
    (here / "parts").mkdir()
    pq.write_table(pa.Table.from_pylist(PAIRS), here / "parts" / "0.parquet")
    refused(
        tacit("score", fitted, "parts", "--out", "parts/1.parquet"), "parts/1.parquet lies where the input"
    )
    for name in SCORES:
        write(here / "scored.jsonl", [row | {name: 1} for row in PAIRS])
        ran = tacit("score", fitted, "scored.jsonl", "--out", "again.jsonl")
        refused(ran, f"scored.jsonl: has a column '{name}' already", "rename it")
    assert not (here / "again.jsonl").exists()


def test_columns_of_several_types_stay_in_lines_and_are_text_in_parquet(
    tacit: Tacit, here: Path, fitted: Path
) -> None:
    values = ["a", 1, None, {"b": [1.5]}, True]
    write(here / "pairs.jsonl", [row | {"meta": value} for row, value in zip(PAIRS, values, strict=True)])
    assert tacit("score", fitted, "pairs.jsonl", "--out", "a.jsonl").status == 0
    assert [row["meta"] for row in lines("a.jsonl")] == values
    ran = tacit("score", fitted, "pairs.jsonl", "--out", "a.parquet")
    assert pq.read_table("a.parquet")["meta"].to_pylist() == ["a", "1", None, '{"b": [1.5]}', "true"]
    assert "a.parquet: column 'meta' has values of several types and stands as text" in ran.err


def test_what_parquet_holds_and_json_has_no_form_for_is_text(tacit: Tacit, here: Path, fitted: Path) -> None:
    frame = pd.DataFrame(PAIRS)[["prompt", "response"]]
    frame["when"] = pd.Timestamp("2026-11-28T10:00")
    frame["blob"], frame["share"] = b"\x01\xff", [0.5, float("nan"), float("inf"), 0, 1]
    frame.to_parquet(here / "pairs.parquet")
    assert tacit("score", fitted, "pairs.parquet", "--out", "a.jsonl").status == 0
    first, second, third, *_ = lines("a.jsonl")
    assert (first["when"], first["blob"], first["share"]) == ("2026-11-28T10:00:00", "01ff", 0.5)
    assert second["share"] is None and third["share"] is None


def test_rows_that_parquet_cannot_hold_are_one_line(tacit: Tacit, here: Path, fitted: Path) -> None:
    write(here / "pairs.jsonl", [row | {"tags": {}} for row in PAIRS])
    ran = tacit("score", fitted, "pairs.jsonl", "--out", "a.parquet")
    refused(ran, "a.parquet: Parquet cannot hold these rows", "ends in .jsonl")
    assert not (here / "a.parquet").exists()


BROKEN = [PAIRS[0], PAIRS[1] | {"response": ""}, PAIRS[2], None, PAIRS[3] | {"prompt": None}, PAIRS[4]]
PLACES = [0, 2, 5]  # of the rows that can be used


def broken_lines(path: Path) -> Path:
    texts = ["not JSON" if row is None else json.dumps(row) for row in BROKEN]
    path.write_text("\n" + "\n \n".join(texts) + "\n\n", encoding="utf-8")  # blank lines are no rows
    return path


def broken_array(path: Path) -> Path:
    path.write_text(json.dumps(BROKEN), encoding="utf-8")
    return path


def broken_commas(path: Path) -> Path:
    texts = [
        "one cell" if row is None else f"{row['prompt'] or ''},{row['response']},{row['id']}"
        for row in BROKEN
    ]
    path.write_text("prompt,response,id\n" + "\n\n".join(texts) + "\n", encoding="utf-8")
    return path


def broken_parquet(path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist([row or {"prompt": "x", "response": None} for row in BROKEN]), path)
    return path


def broken_parts(path: Path) -> Path:
    path.mkdir()
    table = pq.read_table(broken_parquet(path.with_suffix(".all")))
    for part in range(2):
        pq.write_table(table.slice(3 * part, 3), path / f"{part}.parquet")
    return path


FORMATS = {
    "parts": broken_parts,
    "a.jsonl": broken_lines,
    "a.json": broken_array,
    "a.csv": broken_commas,
    "a.parquet": broken_parquet,
}


@pytest.mark.parametrize("name", FORMATS)
def test_rows_that_cannot_be_used_keep_their_place_and_get_no_score(
    tacit: Tacit, here: Path, fitted: Path, name: str
) -> None:
    FORMATS[name](here / name)
    write(here / "good.jsonl", [PAIRS[0], PAIRS[2], PAIRS[4]])
    expected = tacit("score", fitted, "good.jsonl", "--json").json["scores"]
    ran = tacit("score", fitted, name, "--max-bad", 3, "--json")
    none = dict.fromkeys(SCORES)
    assert ran.json["scores"] == [expected[0], none, expected[1], none, none, expected[2]]
    assert ran.err.count("3 rows quarantined: ") == 1
    assert ran.err.count("parts: read 2 Parquet files") == (name == "parts")  # each note once
    for out in ("s.jsonl", "s.parquet"):
        ran = tacit("score", fitted, name, "--max-bad", 3, "--out", out)
        assert "6 rows → " in ran.out and "; 3 without a score" in ran.out
        found = lines(out) if out == "s.jsonl" else pq.read_table(out).to_pylist()
        assert [row["reward"] is not None for row in found] == [i in PLACES for i in range(6)]
        assert [str(found[i]["id"]) for i in (0, 1, 2, 4, 5)] == [
            str(BROKEN[i]["id"]) for i in (0, 1, 2, 4, 5)
        ]
        assert found[3]["id"] is None


def test_the_table_says_which_rows_cannot_be_used(tacit: Tacit, here: Path, fitted: Path) -> None:
    broken_lines(here / "a.jsonl")
    ran = tacit("score", fitted, "a.jsonl", "--max-bad", 3)
    assert ran.out.startswith("6 responses")
    body = [line.split()[:2] for line in ran.out.splitlines() if "word" in line or "cannot" in line]
    assert [first for first, _ in body] == ["word", "(cannot", "word", "(cannot", "(cannot", "word"]


def test_more_rows_than_max_bad_are_one_line_that_names_the_option(
    tacit: Tacit, here: Path, fitted: Path
) -> None:
    broken_lines(here / "a.jsonl")
    told = ("a.jsonl: 3 of 6 rows cannot be used", "commonest reason")
    refused(tacit("score", fitted, "a.jsonl"), "more than max_bad=0 (--max-bad); ", *told)
    refused(tacit("score", fitted, "a.jsonl", "--max-bad", 2), "more than max_bad=2 (--max-bad); ", *told)
    refused(tacit("score", fitted, "a.jsonl", "--max-bad", -1), "--max-bad")


def test_a_model_of_one_member_has_no_uncertainty_in_a_file(tacit: Tacit, here: Path) -> None:
    write(here / "pairs.jsonl", PAIRS)
    one = ("--signal", "copied", *SMALL, "--members", 1, "--quiet", "--out", "rm")
    assert tacit("fit", "log.jsonl", *one).status == 0
    assert tacit("score", "rm", "pairs.jsonl", "--out", "a.jsonl").status == 0
    assert {row["uncertainty"] for row in lines("a.jsonl")} == {None}


def test_a_set_of_several_responses_a_row_is_written_as_read_and_refused_with_bad_rows(
    tacit: Tacit, here: Path, fitted: Path
) -> None:
    row = {"prompt": "sum", "safer_response_id": 0}
    for i in (0, 1):
        row |= {
            f"response_{i}": f"answer {i}",
            f"response_{i}_severity_level": i,
            f"is_response_{i}_safe": not i,
        }
    write(here / "pairs.jsonl", [row, row])
    arguments = ("score", fitted, "pairs.jsonl", "--source", "saferlhf")
    assert tacit(*arguments, "--out", "a.jsonl").status == 0
    assert [line["response"] for line in lines("a.jsonl")] == ["answer 0", "answer 1"] * 2
    write(here / "pairs.jsonl", [row, row | {"response_1": ""}])
    refused(tacit(*arguments, "--max-bad", 9), "pairs.jsonl", "a row may hold several responses", "mend them")


def test_a_set_whose_responses_lie_within_its_rows_is_written_as_read(
    tacit: Tacit, here: Path, fitted: Path
) -> None:
    answer = {"model": "m", "response": "four", "overall_score": 7.0, "fine-grained_score": 3.5}
    row = {"source": "s", "instruction": "sum", "models": ["m"], "completions": [answer]}
    write(here / "uf.jsonl", [row, row])
    assert tacit("score", fitted, "uf.jsonl", "--source", "ultrafeedback", "--out", "a.jsonl").status == 0
    assert [line["response"] for line in lines("a.jsonl")] == ["four", "four"]


def test_a_pattern_is_scored_as_one_file_and_never_added_to(tacit: Tacit, here: Path, fitted: Path) -> None:
    content = rows(4)
    write(here / "day-1.jsonl", [*content[:5], {"prompt": "of no use"}])
    write(here / "day-2.jsonl", content[5:])
    ran = tacit("score", fitted, "day-*.jsonl", "--out", "scores.jsonl", "--max-bad", 1)
    assert ran.status == 0 and "day-1.jsonl row 6" in ran.err
    written = lines("scores.jsonl")
    assert [row["prompt"] for row in written] == [
        row["prompt"] for row in (*content[:5], {"prompt": "of no use"}, *content[5:])
    ]
    assert [i for i, row in enumerate(written) if row["reward"] is None] == [5]
    ran = tacit("score", fitted, "day-*.jsonl", "--out", "day-3.jsonl")
    refused(ran, "--out day-3.jsonl lies where the input is read")


def test_texts_are_read_by_the_names_of_the_fit_where_they_are_there(tacit: Tacit, here: Path) -> None:
    log = [
        {"question": row["prompt"], "answer": row["response"], "copied": i % 2}
        for i, row in enumerate(rows(9))
    ]
    write(here / "asked.jsonl", log)
    knobs = ("--encoder", "hashing:16", "--epochs", 3, "--linear", "--quiet", "--out", "asked")
    ran = tacit(
        "fit", "asked.jsonl", "--signal", "copied", "--prompt", "question", "--response", "answer", *knobs
    )
    assert ran.status == 0, ran.err
    write(here / "named.jsonl", [row | {"copied": "no signal"} for row in log])
    write(here / "usual.jsonl", [{"prompt": row["question"], "response": row["answer"]} for row in log])
    named, usual = (tacit("score", "asked", name, "--json") for name in ("named.jsonl", "usual.jsonl"))
    assert named.json == usual.json and len(named.json["scores"]) == len(log)


def test_standard_input_is_scored_and_written_beside(
    tacit: Tacit, here: Path, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"{\n" + (here / "log.jsonl").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    ran = tacit("score", fitted, "-", "--out", "scores.jsonl", "--max-bad", 1)
    assert ran.status == 0 and "standard input row 1" in ran.err and "1 without a score" in ran.out
    assert len(lines("scores.jsonl")) == 1 + len(rows())
