"""What a user can get wrong ends with one line that says how to mend it, status 2, and nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import SMALL, Ran, Tacit, rows, write

FIT = ("--signal", "copied", *SMALL, "--out", "rm")


def refused(ran: Ran, *words: str) -> None:
    """One line, all `words` in it, nothing on standard output, status 2."""
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("tacit: ")
    assert ran.err.count("\n") == 1
    for word in words:
        assert word in ran.err


def changed(**values: Any) -> Callable[[Path], None]:
    """Write `log.jsonl` with these values in its sixth row, or in all rows where a value is a tuple."""

    def prepare(here: Path) -> None:
        content = rows()
        for i, row in enumerate(content):
            for name, value in values.items():
                if isinstance(value, tuple):
                    row[name] = value[0]
                elif i == 5:
                    row[name] = value
        write(here / "log.jsonl", content)

    return prepare


def holding(content: bytes, name: str = "log.jsonl") -> Callable[[Path], None]:
    def prepare(here: Path) -> None:
        (here / "log.jsonl").unlink()
        (here / name).write_bytes(content)

    return prepare


def nothing_else(here: Path) -> None:
    """Leave the log as it is."""


CASES: dict[str, tuple[Callable[[Path], None], tuple[str, ...], tuple[str, ...]]] = {
    "missing column": (
        nothing_else,
        ("log.jsonl", "--signal", "copid", *SMALL, "--out", "rm"),
        ("log.jsonl", "'copid'", "did you mean 'copied'"),
    ),
    "signal of 2": (
        changed(copied=2),
        ("log.jsonl", *FIT),
        ("log.jsonl, line 6", "'copied'", "holds 2", "expected 1, 0"),
    ),
    "signal of words": (
        changed(copied=("yes",)),
        ("log.jsonl", *FIT),
        ("line 1", "'copied'", "'yes'", "expected 1, 0"),
    ),
    "no positive": (
        changed(copied=(0,)),
        ("log.jsonl", *FIT),
        ("log.jsonl, signal copied", "none of 90 rows is positive"),
    ),
    "all positive": (
        changed(copied=(1,)),
        ("log.jsonl", *FIT),
        ("log.jsonl, signal copied", "all 90 rows are positive"),
    ),
    "text named parquet": (
        holding(b"prompt,response\na,b\n", "log.parquet"),
        ("log.parquet", *FIT),
        ("log.parquet", "not what its name says", "expected a Parquet file"),
    ),
    "CSV named jsonl": (
        holding(b"prompt,response,copied\na,b,1\n"),
        ("log.jsonl", *FIT),
        ("not what its name says", "one JSON object per line"),
    ),
    "Parquet named csv": (
        holding(b"PAR1\0\0\0PAR1", "log.csv"),
        ("log.csv", *FIT),
        ("log.csv", "a Parquet file", "comma-separated"),
    ),
    "empty log": (holding(b""), ("log.jsonl", *FIT), ("log.jsonl", "empty", "at least one row")),
    "NaN in context": (
        changed(position=float("nan")),
        ("log.jsonl", *FIT),
        ("log.jsonl, line 6", "'position' (context)", "nan", "finite"),
    ),
    "context too large to standardise": (
        changed(position=1e300),
        ("log.jsonl", *FIT),
        ("'position'", "found 1e+300", "rescale"),
    ),
    "unknown method": (
        nothing_else,
        ("log.jsonl", *FIT, "--method", "magic"),
        ("'magic'", "implicit_rm", "latent_ml"),
    ),
    "unknown encoder": (
        nothing_else,
        ("log.jsonl", *FIT, "--encoder", "magic"),
        ("'magic'", "minilm", "hashing"),
    ),
    "hashing of what": (
        nothing_else,
        ("log.jsonl", *FIT, "--encoder", "hashing:many"),
        ("'hashing:many'", "hashing:512"),
    ),
    "no such file": (nothing_else, ("none.jsonl", *FIT), ("none.jsonl", "no such file")),
    "unknown source": (nothing_else, ("log.jsonl", *FIT, "--source", "magic"), ("'magic'", "kto")),
    "source that it is not": (
        nothing_else,
        ("log.jsonl", *FIT, "--source", "kto"),
        ("log.jsonl", "not KTO", "columns are prompt"),
    ),
    "too many bad rows": (
        changed(response=None),
        ("log.jsonl", *FIT, "--max-bad", "0"),
        ("log.jsonl: 1 of 90 rows", "more than max_bad=0 (--max-bad); ", "response is missing", "line 6"),
    ),
    "signal named twice": (
        nothing_else,
        ("log.jsonl", *FIT, "--signal", "copied:negative"),
        ("--signal", "'copied' twice"),
    ),
    "context named twice": (
        nothing_else,
        ("log.jsonl", *FIT, "--context", "position"),
        ("--context", "'position' twice"),
    ),
    "gold is the signal": (
        nothing_else,
        ("log.jsonl", *FIT, "--gold", "copied"),
        ("'copied'", "signal", "gold", "one role"),
    ),
    "gold of a method that leaves it unread": (
        nothing_else,
        ("log.jsonl", *FIT, "--gold", "rating", "--method", "bpr"),
        (
            "bpr does not learn from trusted labels",
            "one of implicit_rm, latent_ml, latent_em, latent_pairs, known_propensity, oracle",
            "--gold",
        ),
    ),
    "no such polarity": (
        nothing_else,
        ("log.jsonl", "--signal", "copied:bad", *SMALL, "--out", "rm"),
        ("copied:negative",),
    ),
    "no signal": (
        nothing_else,
        ("log.jsonl", *SMALL, "--out", "rm"),
        ("log.jsonl", "no signal", "--signal", "copied"),
    ),
    "neither context nor text": (
        nothing_else,
        ("log.jsonl", *FIT, "--propensity-features", "both"),
        ("'both'", "context or text"),
    ),
    "no --out": (nothing_else, ("log.jsonl", "--signal", "copied"), ("--out",)),
    "no log": (nothing_else, FIT, ("feedback log is missing",)),
    "--out is a file": (
        nothing_else,
        ("log.jsonl", *FIT, "--out", "log.jsonl"),
        ("log.jsonl is a file", "--out"),
    ),
    "--out inside a file": (
        nothing_else,
        ("log.jsonl", *FIT, "--out", "log.jsonl/rm"),
        ("log.jsonl is a file", "--out"),
    ),
    "--out is where we are": (
        nothing_else,
        ("log.jsonl", *FIT, "--out", "."),
        ("--out .", "name of a folder"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_fit_is_one_line_and_leaves_no_trace(tacit: Tacit, here: Path, case: str) -> None:
    prepare, arguments, words = CASES[case]
    prepare(here)
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    refused(tacit("fit", *arguments), *words)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("members: [\n", ("run.yaml", "YAML")),
        ("- members\n", ("run.yaml", "list", "option: value")),
        ("memberz: 3\n", ("run.yaml", "'memberz'", "members")),
        ("members: many\n", ("run.yaml", "members", "'many'", "whole number")),
        ("members: 0\n", ("run.yaml", "members is 0", "1 or more")),
        ("seed: -3\n", ("run.yaml", "seed is -3", "0 or more")),
        (f"seed: {2**32}\n", ("run.yaml", "seed is 4294967296", "4294967295 or less")),
        ("epoch: 3\n", ("run.yaml", "unknown option 'epoch'; did you mean 'epochs'?; expected some of")),
        (
            "method: implict_rm\nsignal: copied\n",
            ("unknown method 'implict_rm'; did you mean 'implicit_rm'?;",),
        ),
        ("members: true\n", ("run.yaml", "members is True")),
        ("nuisance: e=seen\n", ("run.yaml", "nuisance is 'e=seen'", "{e: seen, rho10: 0.05}")),
        ("nuisance: {e: [1]}\n", ("run.yaml", "nuisance is {'e': [1]}", "columns or numbers")),
        ("signal: {copied: 1}\n", ("run.yaml", "signal", "unknown field 'copied'", "expected name: COLUMN")),
        ("signal: [copied, 3]\n", ("run.yaml", "signal is ['copied', 3]", "list of column names")),
        (
            "signal: [{name: copied, polarty: 1}]\n",
            ("run.yaml", "unknown field 'polarty'; did you mean 'polarity'?", "exposure"),
        ),
        ("signal: {polarity: negative}\n", ("run.yaml", "name is None", "expected name: COLUMN")),
        (
            "signal: {name: copied, polarity: bad}\n",
            ("run.yaml", "'copied'", "'bad'", "positive or negative"),
        ),
        ("signal: {name: copied, polarity: true}\n", ("polarity is True", "positive or negative")),
        ("signal: {name: copied, misclick: many}\n", ("misclick is 'many'", "[0, 1)")),
        ("signal: {name: copied, misclick: 1}\n", ("misclick is 1", "[0, 1)")),
        ("signal: {name: copied, misclick: true}\n", ("misclick is True", "[0, 1)")),
        ("signal: {name: copied, exposure: 1}\n", ("exposure is 1", "name of a column")),
        ("signal: {name: copied, kind: magic}\n", ("kind is 'magic'", "'explicit'")),
        ("signal: [copied, {name: copied}]\n", ("--signal", "'copied' twice")),
        ("method: 3\n", ("run.yaml", "method is 3", "expected text")),
        (None, ("run.yaml", "no such file")),
    ],
)
def test_a_wrong_run_file_is_one_line(
    tacit: Tacit, here: Path, text: str | None, words: tuple[str, ...]
) -> None:
    if text is not None:
        (here / "run.yaml").write_text(text, encoding="utf-8")
    ran = tacit("fit", "log.jsonl", "--config", "run.yaml", "--context", "position", "--out", "rm")
    refused(ran, *words)
    assert not (here / "rm").exists()


def test_a_folder_with_another_model_is_never_overwritten(tacit: Tacit, here: Path, fitted: Path) -> None:
    shutil.copytree(fitted, here / "rm")
    before = {path.name: path.read_bytes() for path in (here / "rm").iterdir()}
    refused(tacit("fit", "log.jsonl", *FIT, "--seed", "9"), "rm already holds another model", "--out")
    assert {path.name: path.read_bytes() for path in (here / "rm").iterdir()} == before
    assert sorted(path.name for path in here.iterdir()) == ["log.jsonl", "rm"]


@pytest.mark.parametrize(
    ("nuisances", "words"),
    [
        (("e",), ("--nuisance e", "expected NAME=COLUMN or NAME=NUMBER")),
        (("=seen",), ("--nuisance =seen", "expected NAME=COLUMN or NAME=NUMBER")),
        (("e=.5", "e=.6"), ("--nuisance names 'e' twice",)),
        (("e=positon",), ("no column 'positon'; did you mean 'position'",)),
        (("e=position",), ("nuisance e, row 0: found 0, expected a probability above 0 and at most 1",)),
        (("rho10=.1",), ("implicit_rm does not read the nuisance 'rho10'", "it reads none")),
    ],
)
def test_a_nuisance_that_cannot_be_read_is_one_line(
    tacit: Tacit, here: Path, nuisances: tuple[str, ...], words: tuple[str, ...]
) -> None:
    given = [word for one in nuisances for word in ("--nuisance", one)]
    refused(tacit("fit", "log.jsonl", *FIT, *given), *words)
    assert [path.name for path in here.iterdir()] == ["log.jsonl"]


@pytest.mark.parametrize("log", ["days", "days/*", "days/**/*.json*"])
def test_a_model_is_not_written_where_its_log_is_read(tacit: Tacit, here: Path, log: str) -> None:
    (here / "days").mkdir()
    (here / "log.jsonl").rename(here / "days" / "log.jsonl")
    ran = tacit("fit", log, "--signal", "copied", "--encoder", "hashing:64", "--out", "days/rm")
    assert (ran.status, ran.out) == (2, "") and "--out days/rm lies where the input is read" in ran.err
    assert [path.name for path in (here / "days").iterdir()] == ["log.jsonl"]


def test_a_folder_with_other_files_is_not_touched(tacit: Tacit, here: Path) -> None:
    (here / "rm").mkdir()
    (here / "rm" / "thesis.txt").write_text("years of work", encoding="utf-8")
    refused(tacit("fit", "log.jsonl", *FIT), "rm already holds other files")
    assert [path.name for path in (here / "rm").iterdir()] == ["thesis.txt"]


def test_a_published_set_is_not_announced_before_an_error(tacit: Tacit, here: Path) -> None:
    kto = [{"prompt": row["prompt"], "completion": row["response"], "label": 0} for row in rows()]
    write(here / "log.jsonl", kto)
    refused(
        tacit("fit", "log.jsonl", "--encoder", "hashing:32", "--out", "rm"), "none of 90 rows is positive"
    )


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "emptied": lambda _: b"",
    "with another byte": lambda content: content[:-3] + bytes([content[-3] ^ 1]) + content[-2:],
    "replaced": lambda _: b"[]",
}


@pytest.mark.parametrize("verb", ["score", "evaluate", "fit"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["tacit.json", "heads.safetensors"])
def test_a_damaged_model_is_one_line(
    tacit: Tacit, here: Path, fitted: Path, name: str, damage: str, verb: str
) -> None:
    shutil.copytree(fitted, here / "rm")
    file = here / "rm" / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    arguments = ("log.jsonl", *FIT) if verb == "fit" else ("rm", "log.jsonl")
    refused(tacit(verb, *arguments), f"rm/{name}", "damaged", "fit again")
    assert sorted(path.name for path in here.iterdir()) == ["log.jsonl", "rm"]


@pytest.mark.parametrize("name", ["tacit.json", "heads.safetensors"])
def test_a_model_that_lacks_a_file_is_one_line(tacit: Tacit, here: Path, fitted: Path, name: str) -> None:
    shutil.copytree(fitted, here / "rm")
    (here / "rm" / name).unlink()
    refused(tacit("score", "rm", "log.jsonl"), name)


def test_what_is_no_model_is_one_line(tacit: Tacit, here: Path) -> None:
    refused(tacit("score", "nowhere", "log.jsonl"), "nowhere", "tacit fit")
    refused(tacit("evaluate", "log.jsonl", "log.jsonl"), "log.jsonl", "tacit fit")


def test_pairs_with_a_bad_row_are_not_scored(tacit: Tacit, here: Path, fitted: Path) -> None:
    write(here / "pairs.jsonl", [{"prompt": "a", "response": "b"}, {"prompt": "a", "response": None}])
    refused(tacit("score", fitted, "pairs.jsonl"), "pairs.jsonl", "response is missing", "line 2")


def test_an_evaluation_with_impossible_folds_is_one_line(tacit: Tacit, here: Path, fitted: Path) -> None:
    refused(tacit("evaluate", fitted, "log.jsonl", "--folds", "1"), "1 folds", "at least 2")
    refused(tacit("evaluate", fitted, "log.jsonl", "--folds", "99"), "log.jsonl", "99", "found 30")
    refused(tacit("evaluate", fitted, "log.jsonl", "--by", "magic"), "log.jsonl", "'magic'")


def test_an_evaluation_that_nothing_judges_is_one_line(tacit: Tacit, here: Path, fitted: Path) -> None:
    bare = [{"prompt": row["prompt"], "response": row["response"], "copied": 1} for row in rows(seed=3)]
    write(here / "bare.jsonl", bare)
    refused(
        tacit("evaluate", fitted, "bare.jsonl"), "bare.jsonl", "position", "--gold", "--rank", "--folds 5"
    )
    refused(tacit("evaluate", fitted, "bare.jsonl", "--folds", "5"), "bare.jsonl", "no column 'position'")
    write(here / "texts.jsonl", [{"prompt": row["prompt"], "response": row["response"]} for row in bare])
    refused(tacit("evaluate", fitted, "texts.jsonl"), "texts.jsonl", "--gold", "--rank")


def test_a_comparison_that_cannot_be_made_is_one_line(tacit: Tacit, here: Path, fitted: Path) -> None:
    shutil.copytree(fitted, here / "rm")
    against = ("evaluate", "rm", "log.jsonl", "--gold", "rating", "--against")
    refused(tacit(*against, "./rm/"), "--against rm is the model itself", "expected another")
    refused(tacit(*against, "log.jsonl"), "log.jsonl is not a folder", "tacit fit")
    refused(tacit(*against, fitted, "--folds", 3), "folds is 3", "leave --folds out")


def test_a_cache_that_cannot_be_written_costs_only_time(tacit: Tacit, here: Path) -> None:
    ran = tacit("fit", "log.jsonl", *FIT, "--cache", "log.jsonl/cache", "--quiet")
    assert ran.status == 0
    assert "going on without the cache" in ran.err
    assert (here / "rm" / "tacit.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "log.jsonl", "--magic"), ("--magic", "see tacit fit --help")),
        (("fit", "log.jsonl", "--members", "0"), ("--members", "1; see tacit fit --help")),
        (("fit", "log.jsonl", *FIT, "--seed", "99999999999999999999999"), ("--seed",)),
        (("magic",), ("'magic'", "see tacit --help")),
        (("score",), ("MODEL", "see tacit score --help")),
        (("bench", "--suite", "magic"), ("--suite", "'magic'", "'worlds'")),
    ],
)
def test_a_wrong_word_of_the_command_line_is_one_line(
    tacit: Tacit, here: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(tacit(*arguments), *words)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("log", "log.jsonl", "b.jsonl"), "'*.jsonl'; see tacit log"),
        (("fit", "log.jsonl", "b.jsonl", "c.jsonl", *FIT), "'*.jsonl'; see tacit fit"),
        (("score", "rm", "logs/a.csv.gz", "logs/b.csv.gz"), "'logs/*.csv.gz'; see tacit score"),
    ],
)
def test_a_pattern_that_the_shell_expanded_is_told_to_stand_in_quotes(
    tacit: Tacit, here: Path, arguments: tuple[str, ...], named: str
) -> None:
    (here / "logs").mkdir()
    for name in ("b.jsonl", "c.jsonl", "logs/b.csv.gz"):
        (here / name).touch()
    refused(tacit(*arguments), "a file too many", "name the folder, or a pattern in quotes", named)
    refused(tacit("log", "log.jsonl", "copied"), "extra argument", "(copied); see tacit log --help")


def test_tacit_alone_is_answered_with_its_help(tacit: Tacit, here: Path) -> None:
    ran = tacit()
    assert ran.status == 2 and "\n\nOptions:\n" in ran.out + ran.err


@pytest.mark.parametrize("threshold", ["nan", "inf", "1", "-0.1"])
def test_a_threshold_that_splits_no_gold_is_one_line(
    tacit: Tacit, here: Path, fitted: Path, threshold: str
) -> None:
    refused(
        tacit("evaluate", fitted, "log.jsonl", "--gold", "rating", "--folds", "0", "--threshold", threshold),
        f"threshold is {threshold}",
        "less than 1",
    )


def test_a_column_unlike_all_others_is_not_guessed_at(tacit: Tacit, here: Path) -> None:
    ran = tacit("fit", "log.jsonl", *FIT, "--user-id", "nope")
    refused(ran, "no column 'nope'", "copied")
    assert "did you mean" not in ran.err
