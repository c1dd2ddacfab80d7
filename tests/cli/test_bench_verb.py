"""`tacit bench` as typed: tables on the screen, files in the folder, one line for what cannot be done."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import Ran, Tacit, rows, write

from tacit.evaluation.bench import SUITES

SMALL = (
    "--limit",
    30,
    "--encoder",
    "hashing:64",
    "--max-epochs",
    2,
    "--seeds",
    2,
    "--quiet",
    "--methods",
    "nnpu,wmf",
)


@pytest.fixture(autouse=True)
def one_case(monkeypatch: pytest.MonkeyPatch) -> None:
    for suite in ("worlds", "implicit", "causal"):
        monkeypatch.setitem(SUITES, suite, SUITES[suite][:1])


def one_line(ran: Ran, *words: str) -> None:
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("tacit: ") and ran.err.count("\n") == 1
    for word in words:
        assert word in ran.err


def test_bench_prints_a_table_and_leaves_its_files(tacit: Tacit, here: Path) -> None:
    ran = tacit("bench", *SMALL)
    assert ran.status == 0, ran.err
    for told in ("worlds: context", "nnpu", "oracle", "honest", "random"):
        assert told in ran.out
    folder = here / "bench" / "worlds-demo"
    assert {"results.parquet", "table.md"} <= {path.name for path in folder.iterdir()}
    assert list(folder.glob("*.png"))
    table = (folder / "table.md").read_text(encoding="utf-8")
    command = "tacit bench --suite worlds --methods nnpu,wmf --seeds 2 --encoder hashing:64 --limit 30 --max-epochs 2"
    assert f"`{command}`" in table
    parts = {path: path.stat().st_mtime_ns for path in (here / "bench" / "parts").iterdir()}
    before = pq.read_table(folder / "results.parquet")

    again = tacit("bench", *SMALL, "--json").json

    assert {path: path.stat().st_mtime_ns for path in (here / "bench" / "parts").iterdir()} == parts
    assert pq.read_table(folder / "results.parquet").equals(before)
    rows = {row["method"]: row for row in again["cases"]["context"]}
    assert rows["nnpu"]["protocol"] == "honest" and rows["oracle"]["protocol"] == "oracle"
    assert {"value", "low", "high"} == set(rows["nnpu"]["within_prompt_accuracy"])
    assert "brier" in rows["nnpu"] and "brier" not in rows["wmf"]
    assert Path(again["files"]["table"]).read_text(encoding="utf-8") == table


def test_the_real_suite_reads_a_log(tacit: Tacit, here: Path) -> None:
    log = here / "judged.jsonl"
    words = ("clear", "vague", "right", "wrong")
    write(
        log,
        [
            {"prompt": f"question {i // 3}", "completion": " ".join(words[: 1 + i % 4]), "label": i % 4 > 1}
            for i in range(60)
        ],
    )
    ran = tacit(
        "bench", "--suite", "real", "--data", log, "--methods", "wmf", "--encoder", "hashing:64", "--max-epochs", 2,
        "--quiet", "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    ((name, rows),) = ran.json["logs"].items()
    assert {"wmf", "naive", "length", "constant"} <= {row["method"] for row in rows}, name
    assert (here / "bench" / "real" / "table.md").is_file()


OWN = ("--data", "own log.jsonl", "--prompt", "q", "--encoder", "hashing:64", "--max-epochs", 2, "--quiet")


@pytest.fixture
def own(here: Path) -> Path:
    """A log whose columns nobody knows but its owner."""
    content = [{("q" if name == "prompt" else name): value for name, value in row.items()} for row in rows()]
    return write(here / "own log.jsonl", content)


def test_worlds_are_made_on_the_texts_of_a_log_of_ones_own(tacit: Tacit, here: Path, own: Path) -> None:
    ran = tacit("bench", *OWN, "--gold", "rating", "--methods", "wmf", "--seeds", 2, "--jobs", 1, "--json")
    assert ran.status == 0, ran.err
    assert "wmf" in {row["method"] for row in ran.json["cases"]["context"]}
    table = (here / "bench" / "worlds-own log" / "table.md").read_text(encoding="utf-8")
    command = (
        "tacit bench --suite worlds --data 'own log.jsonl' --gold rating --prompt q --methods wmf --seeds 2"
    )
    assert f"`{command} --encoder hashing:64 --max-epochs 2`" in table


def test_the_real_suite_reads_the_columns_of_a_log_of_ones_own(tacit: Tacit, here: Path, own: Path) -> None:
    roles = ("--signal", "copied", "--signal", "down:negative", "--context", "position", "--user-id", "user")
    ran = tacit(
        "bench", "--suite", "real", *OWN, *roles, "--gold", "rating", "--methods", "context_only", "--json"
    )
    assert ran.status == 0, ran.err
    (found,) = ran.json["logs"].values()
    assert {"context_only", "naive", "oracle"} <= {row["method"] for row in found}
    table = (here / "bench" / "real" / "table.md").read_text(encoding="utf-8")
    command = "tacit bench --suite real --data 'own log.jsonl' --gold rating " + " ".join(roles[:6])
    assert f"`{command} --prompt q {' '.join(roles[6:])} --methods context_only" in table


def test_rows_that_could_not_be_used_are_counted(tacit: Tacit, here: Path, own: Path) -> None:
    with own.open("a", encoding="utf-8") as file:
        file.write("no json\n")
    arguments = [word for word in OWN if word != "--quiet"]
    ran = tacit(
        "bench", *arguments, "--suite", "real", "--signal", "copied", "--methods", "context_only", "--json"
    )
    assert ran.status == 0, ran.err
    assert "1 row" in ran.err and "own log.jsonl" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "nave", "--limit", 6), ("unknown contender 'nave'", "naive")),
        (("--data", "truthfulqa"), ("truthfulqa/finetune_truth.jsonl", "TACIT_DATA")),
        (("--data", "demo", "--data", "demo"), ("--data is given 2 times",)),
        (("--suite", "real", "--protocol", "oracle"), ("the real suite is honest only",)),
        (("--suite", "real", "--data", "demo"), ("no signal is named",)),
        (("--data", "log.jsonl", "--limit", 5), ("--limit 5 is for the demo's texts alone",)),
        (("--suite", "real", "--data", "log.jsonl"), ("no signal is named", "--signal COLUMN")),
        (("--data", "log.jsonl"), ("no gold is named", "--gold")),
        (
            ("--suite", "real", "--data", "log.jsonl", "--signal", "copied", "--signal", "copied"),
            ("--signal names column 'copied' twice",),
        ),
        (("--gold", "rating"), ("--gold names a column", "--data PATH")),
        (("--data", "demo", "--prompt-id", "id"), ("--prompt-id names a column", "--data PATH")),
        (("--data", "log.jsonl", "--signal", "copied"), ("--signal is for --suite real", "--gold")),
        (("--suite", "real", "--limit", 5), ("--limit 5 is for the demo's texts alone",)),
    ],
)
def test_what_cannot_be_benched_is_one_line(
    tacit: Tacit,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    words: tuple[str, ...],
) -> None:
    monkeypatch.delenv("TACIT_DATA", raising=False)
    one_line(tacit("bench", "--encoder", "hashing:64", "--quiet", *arguments), *words)
    assert not (here / "bench").exists()
