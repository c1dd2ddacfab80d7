"""`tacit report`: a page in the model's folder, its verdicts on the terminal, all of it as JSON, or one clear line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import Ran, Tacit, rows, write

import tacit as library


@pytest.fixture
def rm(here: Path, fitted: Path) -> Path:
    """A copy of the model, beside `log.jsonl`, of which it was fitted."""
    shutil.copytree(fitted, here / "rm")
    return here / "rm"


def refused(ran: Ran, *words: str) -> None:
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    for word in words:
        assert word in ran.err


def test_the_page_lies_in_the_folder_which_is_a_model_as_before(tacit: Tacit, here: Path, rm: Path) -> None:
    before = library.load(rm).score([("question 1", "an answer")])
    ran = tacit("report", "rm", "log.jsonl")
    assert ran.status == 0 and ran.err == ""
    assert ran.out.endswith("Read rm/report.html\n")
    html = (rm / "report.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>") and html.rstrip().endswith("</html>")
    assert "position" in html and "These are the rows of the fit" in html
    assert (library.load(rm).score([("question 1", "an answer")]) == before).all()
    assert tacit("report", "rm", "log.jsonl").status == 0  # again, in its own place


def test_the_terminal_tells_the_verdicts_in_eighty_columns(tacit: Tacit, here: Path, rm: Path) -> None:
    lines = tacit("report", "rm", "log.jsonl").out.splitlines()
    assert max(map(len, lines)) <= 80
    told = " ".join(lines)
    for words in (
        "implicit_rm on log.jsonl",
        "Assumptions: ",
        "Does length explain everything?",
        "answers for ±.05",
    ):
        assert words in told


def test_json_has_what_the_page_has_and_quiet_says_nothing(tacit: Tacit, here: Path, rm: Path) -> None:
    told = tacit("report", "rm", "log.jsonl", "--json", "--out", "page.html").json
    assert told["out"] == "page.html" and told["rows"] == 90 and (here / "page.html").exists()
    assert [bias["column"] for bias in told["biases"]] == ["position", "response length (words)"]
    assert sum(told["scores"]["rows"]) == 90
    quiet = tacit("report", "rm", "log.jsonl", "--quiet")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")


def test_roles_are_those_of_the_fit_and_gold_is_named_here(tacit: Tacit, here: Path, rm: Path) -> None:
    told = tacit("report", "rm", "log.jsonl", "--gold", "rating", "--json").json
    assert told["silent"] is None and told["predictive"] is not None
    assert told["audit"]["audited"]["rows"] == 90
    assert [row["method"] for row in told["surface"]["judged"]] == ["length", "style", "implicit_rm"]


def test_texts_alone_are_scored_and_what_is_missing_is_said(tacit: Tacit, here: Path, rm: Path) -> None:
    write(here / "texts.jsonl", [{"prompt": r["prompt"], "response": r["response"]} for r in rows(8)])
    told = tacit("report", "rm", "texts.jsonl", "--json").json
    assert told["silent"] == "it was fitted to signals copied, this log names none"
    assert told["scores"] is not None and told["predictive"] is None


def test_without_a_log_the_folder_is_enough(tacit: Tacit, here: Path, rm: Path) -> None:
    ran = tacit("report", "rm")
    assert ran.status == 0 and "No log was named" in ran.out
    assert (rm / "report.html").exists()


def test_without_matplotlib_one_line_says_so(
    tacit: Tacit, here: Path, rm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tacit.evaluation.trust import page

    monkeypatch.setattr(page, "missing", list)
    ran = tacit("report", "rm", "log.jsonl")
    assert ran.status == 0
    assert ran.err == (
        "rm/report.html has no pictures: a report with pictures needs matplotlib, not installed here: pip install "
        '"tacit[report]"\n'
    )
    assert "<img" not in (rm / "report.html").read_text(encoding="utf-8")


def test_what_cannot_be_is_one_line_and_nothing_is_written(tacit: Tacit, here: Path, rm: Path) -> None:
    (here / "logs").mkdir()
    write(here / "logs" / "a.jsonl", rows(4))
    (here / "folder.html").mkdir()
    before = sorted(path.name for path in here.rglob("*"))
    refused(tacit("report", "rm", "--gold", "rating"), "--gold rating", "tacit report MODEL LOG")
    refused(tacit("report", "rm", "log.jsonl", "--out", "page.pdf"), "--out page.pdf", ".html")
    refused(tacit("report", "rm", "log.jsonl", "--out", "folder.html"), "folder.html is a folder")
    refused(tacit("report", "rm", "logs", "--out", "logs/page.html"), "--out logs/page.html", "another place")
    refused(tacit("report", "rm", "log.jsonl", "--out", "log.jsonl/page.html"), "log.jsonl is a file")
    refused(tacit("report", "nowhere", "log.jsonl"), "nowhere")
    refused(tacit("report", "rm", "nowhere.jsonl"), "nowhere.jsonl")
    refused(tacit("report", "rm", "log.jsonl", "--gold", "stars"), "stars")
    write(here / "unjudged.jsonl", [{**row, "rating": None} for row in rows(4)])
    refused(tacit("report", "rm", "unjudged.jsonl", "--gold", "rating"), "no row has gold in column 'rating'")
    (here / "unjudged.jsonl").unlink()
    assert sorted(path.name for path in here.rglob("*")) == before
