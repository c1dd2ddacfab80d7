"""`tacit bench --methods module:Class`: an estimator of the current folder takes part; what is none is one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Tacit

from tacit.cli.own_method import load_method
from tacit.errors import ConfigError
from tacit.evaluation.bench import SUITES

LAB = """
from dataclasses import dataclass
from tacit.methods import Naive

@dataclass(frozen=True)
class Mine(Naive):
    key = "mine"
    weight: float = 2.0
    def loss(self, logits, obs):
        return self.weight * super().loss(logits, obs)

class Needs(Naive):
    key = "needs"
    def __init__(self, share):
        pass

@dataclass(frozen=True)
class NotANumber(Mine):
    key = "not_a_number"
    def loss(self, logits, obs):
        return float("nan") * super().loss(logits, obs)

heavy = Mine(weight=3.0)
number = 3
"""
FILES = {
    "lab.py": LAB,
    "broken.py": "import json\n\ndef read():\n    return json.loads('{')\n\nx = read()\n",
    "torn.py": "x = 1\ndef read(:\n",
    "lacking.py": "\nimport no_such_package\n",
    "leaving.py": "import sys\nsys.exit(3)\n",
    "borrowed.py": "from tacit.methods import Naive\nclass Mine(Naive):\n    pass\n",
}


@pytest.fixture
def lab(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setitem(SUITES, "worlds", SUITES["worlds"][:1])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name, text in FILES.items():
        (here / name).write_text(text, encoding="utf-8")
    yield here
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)


SMALL = ("--encoder", "hashing:64", "--max-epochs", 2, "--quiet")


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_estimator_of_the_current_folder_takes_part(tacit: Tacit, lab: Path, jobs: int) -> None:
    asked = "wmf,lab:Mine,lab:heavy"
    ran = tacit("bench", *SMALL, "--limit", 30, "--seeds", 1, "--jobs", jobs, "--methods", asked, "--json")
    assert ran.status == 0, ran.err
    found = {row["method"] for row in ran.json["cases"]["context"]}
    assert {"wmf", "mine", "mine(weight=3.0)", "naive"} <= found and "nnpu" not in found
    table = Path(ran.json["files"]["table"]).read_text(encoding="utf-8")
    assert f"--methods {asked} " in table


def test_one_that_was_asked_for_and_took_no_part_is_told_with_the_reason(tacit: Tacit, lab: Path) -> None:
    knobs = ("--encoder", "hashing:64", "--max-epochs", 2, "--limit", 30, "--seeds", 1)
    ran = tacit("bench", *knobs, "--methods", "lab:NotANumber,causal_ips", "--json")
    assert ran.status == 0
    (told,) = (line for line in ran.err.splitlines() if line.startswith("not_a_number"))
    assert told.startswith("not_a_number took no part in context: ") and "the loss became nan" in told
    assert "causal_ips took no part in context: " in ran.err and "nnpu" not in ran.err
    refused = {row["method"]: row for row in ran.json["refused"]}
    assert refused["not_a_number"]["case"] == "context" and refused["not_a_number"]["reason"] in told


def test_the_real_suite_takes_it_too(tacit: Tacit, lab: Path) -> None:
    ran = tacit(
        "bench", "--suite", "real", *SMALL, "--data", "log.jsonl", "--signal", "copied", "--gold", "rating",
        "--methods", "lab:Mine", "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    (rows,) = ran.json["logs"].values()
    assert "mine" in {row["method"] for row in rows}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("labb:Mine", ("no module 'labb' in the current folder",)),
        ("lab.sub:Mine", ("no module 'lab.sub'",)),
        (
            "lab:Mime",
            ("lab has no 'Mime'; its estimators are Mine, Needs, NotANumber, heavy; did you mean 'Mine'?",),
        ),
        ("lab:number", ("lab:number: found 3 (int)", "its estimators are Mine")),
        ("lab:Needs", ("Needs() failed: TypeError", "'share'", "lab:instance")),
        ("lab.py:Mine", ("expected an import path such as lab:Mine",)),
        ("sub/lab.py:Mine", ("expected an import path such as sub.lab:Mine",)),
        (":Mine", ("expected an import path such as module:Mine",)),
        ("lab:", ("expected an import path such as module:MyMethod",)),
        ("broken:Mine", ("broken cannot be imported: broken.py, line 4: json.decoder.JSONDecodeError: Exp",)),
        ("torn:Mine", ("torn.py, line 2: SyntaxError",)),
        ("lacking:Mine", ("lacking.py, line 2: ModuleNotFoundError: No module named 'no_such_package'",)),
        ("leaving:Mine", ("leaving.py, line 2: SystemExit: 3",)),
        ("borrowed:Mine", ("Mine has the key 'naive'",)),
        ("lab:Mine,lab:Mine", ("two contenders are called 'mine'",)),
    ],
)
def test_what_is_no_estimator_is_one_line(tacit: Tacit, lab: Path, path: str, words: tuple[str, ...]) -> None:
    ran = tacit("bench", *SMALL, "--limit", 30, "--methods", path)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith("tacit: ")
    for word in words:
        assert word in ran.err
    assert not (lab / "bench").exists()


def test_an_error_at_import_keeps_its_traceback_for_whoever_calls_from_python(lab: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_method("broken:Mine")
    assert type(caught.value.__cause__).__name__ == "JSONDecodeError"
