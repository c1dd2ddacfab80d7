"""`tacit bench` as typed: tables on the screen, files in the folder, one line for what cannot be done."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import Ran, Tacit, rows, write

from tacit.cli.bench.asked import Suite, folder_name
from tacit.data import FeedbackLog, Roles
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
    assert (folder_of(ran) / "table.md").is_file()
    assert re.fullmatch("real-judged-[0-9a-f]{6}", folder_of(ran).name)


def folder_of(ran: Ran) -> Path:
    return Path(ran.json["files"]["table"]).parent


@pytest.mark.parametrize("suite", ["real", "worlds"])
def test_logs_that_are_called_alike_have_their_results_apart(tacit: Tacit, here: Path, suite: str) -> None:
    roles = ("--signal", "copied") if suite == "real" else ("--gold", "rating", "--seeds", 1, "--jobs", 1)

    def folder(log: Path) -> Path:
        options = ("--methods", "context_only", "--encoder", "hashing:64", "--max-epochs", 2, "--quiet")
        ran = tacit("bench", "--suite", suite, "--data", log, *roles, *options, "--json")
        assert ran.status == 0, ran.err
        return folder_of(ran)

    content = rows()
    first, second = (here / name / "log.jsonl" for name in ("monday", "tuesday"))
    for path in (first, second):
        path.parent.mkdir()
        write(path, content)
    found = [folder(first), folder(second), folder(first)]
    assert found[0] == found[2] != found[1]
    write(first, [{**row, "response": f"{row['response']}, and more"} for row in content])
    assert folder(first) not in found


def test_the_published_pair_has_a_folder_of_its_own_name() -> None:
    log = FeedbackLog.from_columns({"prompt": ["a"], "response": ["b"]}, Roles())
    assert folder_name(Suite.REAL, [("oasst1", log), ("realhumaneval", log)]) == "real"
    assert folder_name(Suite.REAL, [("oasst1", log)]) == "real-oasst1"
    assert folder_name(Suite.CAUSAL, [("demo", log)]) == "causal-demo"
    assert len(folder_name(Suite.REAL, [("a" * 250 + ".jsonl", log)] * 3)) < 80


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
    assert re.fullmatch("worlds-own log-[0-9a-f]{6}", folder_of(ran).name)
    table = (folder_of(ran) / "table.md").read_text(encoding="utf-8")
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
    table = (folder_of(ran) / "table.md").read_text(encoding="utf-8")
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
        (
            ("--methods", "nave", "--limit", 6),
            ("unknown contender 'nave'; did you mean 'naive'", "expected one of"),
        ),
        (("--data", "truthfulqa"), ("truthfulqa/finetune_truth.jsonl", "TACIT_DATA")),
        (("--data", "demo", "--data", "demo"), ("--data is given 2 times",)),
        (("--suite", "real", "--protocol", "oracle"), ("the real suite is honest only",)),
        (("--suite", "real", "--seeds", 5), ("--seeds 5 is for simulated users",)),
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
