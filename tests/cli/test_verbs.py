"""What each verb prints when all is well: for people, and with --json for programs."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from command_line import SMALL, Tacit, rows, write

from tacit import FeedbackLog, RewardModel, Signal
from tacit import fit as tacit_fit
from tacit.cli import notes
from tacit.data import summarise
from tacit.evaluation.report import evaluate_model

ROLES = ("--signal", "copied", "--signal", "down:negative", "--context", "position", "--context", "device")
LONG = (
    "--encoder",
    "hashing:32",
    "--context",
    "position",
    "--epochs",
    "9999",
    "--cache",
    "cache",
    "--out",
    "rm",
)
MORE = ("--gold", "rating", "--user-id", "user", "--policy", "llm")
TACIT = (
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'tacit'; from tacit.cli.main import main; main()",
)


def test_log_describes_every_role_within_80_columns(tacit: Tacit, here: Path) -> None:
    ran = tacit("log", "log.jsonl", *ROLES, *MORE)
    assert (ran.status, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    for word in ("90", "30, plain text", "copied", "negative", "copied, down", "device", "phone", "0 to 2"):
        assert word in ran.out
    for word in ("gold labels", "users", "7, the busiest", "policy", "alpha", "beta"):
        assert word in ran.out


def test_log_shows_shares_of_one_zero_and_null_that_add_up(tacit: Tacit, here: Path) -> None:
    line = next(line for line in tacit("log", "log.jsonl", *ROLES).out.splitlines() if " negative " in line)
    fired, one, zero, null = map(float, line.split()[2:])
    assert one + zero + null == pytest.approx(1, abs=0.002)
    assert fired == pytest.approx(one / (one + zero), abs=0.002)


def test_log_says_what_to_name_when_no_signal_is(tacit: Tacit, here: Path) -> None:
    assert "--signal COLUMN" in tacit("log", "log.jsonl").out
    assert "--signal COLUMN" not in tacit("log", "log.jsonl", "--quiet").out


def test_rows_logged_twice_are_told_by_log_and_beyond_one_in_a_hundred_by_fit(
    tacit: Tacit, here: Path
) -> None:
    content = rows(80)
    write(here / "twice.jsonl", [*content, *content[:2]])
    ran = tacit("log", "twice.jsonl")
    assert "copies           2 rows are exact copies of another (every column alike): drop" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "copies" not in tacit("log", "log.jsonl").out
    fit = ("--signal", "copied", *SMALL, "--out")
    assert "exact cop" not in tacit("fit", "twice.jsonl", *fit, "few").err  # 2 of 242
    write(here / "twice.jsonl", [*content, *content[:3]])
    ran = tacit("fit", "twice.jsonl", *fit, "many")
    assert ran.status == 0 and "twice.jsonl: 3 rows are exact copies of another" in ran.err


def test_log_json_is_the_summary_and_nothing_else(tacit: Tacit, here: Path) -> None:
    signals = [Signal("copied"), Signal("down", -1)]
    log = FeedbackLog.read("log.jsonl", signals=signals, context=["position", "device"])
    assert tacit("log", "log.jsonl", *ROLES, "--json").json == json.loads(
        json.dumps(summarise(log).to_json())
    )


def test_log_shows_names_with_brackets_as_they_are(tacit: Tacit, here: Path) -> None:
    content = [dict(row, device="[bold]x[/bold]", **{"[red]": row["copied"]}) for row in rows()]
    write(here / "log.jsonl", content)
    ran = tacit("log", "log.jsonl", "--signal", "[red]", "--context", "device")
    assert "[red]" in ran.out
    assert "[bold]x[/bold]" in ran.out


def test_rows_left_out_are_told_on_stderr_unless_quiet(tacit: Tacit, here: Path) -> None:
    content = rows()
    content[5]["response"] = None
    write(here / "log.jsonl", content)
    assert tacit("log", "log.jsonl", "--json").err.startswith("1 row quarantined: response is missing")
    assert tacit("log", "log.jsonl", "--json", "--quiet").err == ""


def test_fit_saves_a_model_that_loads_and_says_what_it_learned(tacit: Tacit, here: Path) -> None:
    ran = tacit("fit", "log.jsonl", *ROLES[:4], *SMALL, "--out", "rm")
    assert ran.status == 0
    assert "latent_ml on 90 responses to 30 prompts" in ran.out
    assert "down (negative) fired on" in ran.out
    assert RewardModel.load("rm").score([("question", "answer")]).shape == (1,)
    assert sorted(path.name for path in here.iterdir()) == ["log.jsonl", "rm"]


def test_fit_quiet_prints_nothing_and_fit_json_only_json(tacit: Tacit, here: Path) -> None:
    long = [*SMALL, "--epochs", "300"]
    quiet = tacit("fit", "log.jsonl", "--signal", "copied", *long, "--out", "rm", "--quiet")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    told = tacit("fit", "log.jsonl", "--signal", "copied", *SMALL, "--out", "rm2", "--json").json
    assert told["model"] == "rm2"
    assert told["method"] == "implicit_rm"
    assert 0 < told["metrics"]["base_rate"] < 1


def test_a_fit_that_ran_into_its_last_epoch_says_so(tacit: Tacit, here: Path) -> None:
    ran = tacit("fit", "log.jsonl", "--signal", "copied", *SMALL, "--out", "rm", "--quiet")
    assert ran.status == 0
    assert ran.err == (
        "log.jsonl: 2 of 2 members were still improving in the last epoch allowed, max_epochs=3 "
        "(--epochs); allow more\n"
    )


def test_the_same_fit_again_is_not_done_again(tacit: Tacit, here: Path) -> None:
    command = ("fit", "log.jsonl", "--signal", "copied", *SMALL, "--out", "rm")
    first = tacit(*command)
    written = (here / "rm" / "tacit.json").stat().st_mtime_ns
    again = tacit(*command)
    assert "nothing to do" in again.err
    assert again.out == first.out
    assert (here / "rm" / "tacit.json").stat().st_mtime_ns == written


def test_what_a_killed_save_left_is_cleared_by_the_fit_that_ends(tacit: Tacit, here: Path) -> None:
    for stale in (".rm.123.abcd.tmp", "rm.partial"):
        (here / stale).mkdir()
    tacit("fit", "log.jsonl", "--signal", "copied", *SMALL, "--out", "rm")
    assert sorted(path.name for path in here.iterdir()) == ["log.jsonl", "rm"]


def test_the_command_line_wins_over_the_run_file(tacit: Tacit, here: Path) -> None:
    run = "log: log.jsonl\nsignal: copied\ncontext: [position]\nencoder: hashing:32\nmembers: 2\nepochs: 3\nout: rm\n"
    (here / "run.yaml").write_text(run + "max-bad: 3\ngold:\n", encoding="utf-8")
    from_file = tacit("fit", "--config", "run.yaml", "--json").json
    assert (from_file["model"], from_file["training"]["members"]) == ("rm", 2)
    from_line = tacit("fit", "--config", "run.yaml", "--members", "1", "--out", "one", "--json").json
    assert (from_line["model"], from_line["training"]["members"]) == ("one", 1)


def test_a_signal_of_the_run_file_may_say_all_that_a_signal_can(tacit: Tacit, here: Path) -> None:
    write(here / "log.jsonl", [row | {"thumbs": i % 4 > 0} for i, row in enumerate(rows())])
    run = "log: log.jsonl\ncontext: position\nencoder: hashing:32\nmembers: 1\nepochs: 2\nout: rm\n"
    down = "{name: down, polarity: negative, misclick: 2e-2, exposure: thumbs, kind:}"
    (here / "run.yaml").write_text(f"{run}signal: ['copied:explicit', {down}]\n", encoding="utf-8")
    assert tacit("fit", "--config", "run.yaml", "--quiet").status == 0
    expected = [Signal("copied", kind="explicit"), Signal("down", -1, misclick=0.02, exposure="thumbs")]
    assert RewardModel.load("rm").info["roles"]["signals"] == [signal.to_json() for signal in expected]
    (here / "run.yaml").write_text(f"{run}signal: {{name: down, polarity: -1}}\n", encoding="utf-8")
    assert tacit("fit", "--config", "run.yaml", "--out", "alone", "--quiet").status == 0
    assert RewardModel.load("alone").info["roles"]["signals"] == [Signal("down", -1).to_json()]


def test_a_known_propensity_is_a_column_or_a_number_on_the_line_or_in_the_run_file(
    tacit: Tacit, here: Path
) -> None:
    write(here / "log.jsonl", [row | {"seen": 1 - 0.2 * row["position"]} for row in rows()])
    asked = ("log.jsonl", "--signal", "copied", *SMALL, "--nuisance", "e=seen", "--out", "rm")
    told = tacit("fit", *asked, "--json")
    assert told.json["method"] == "known_propensity" and told.json["metrics"]["base_rate_interval"]
    assert "nothing to do" in tacit("fit", *asked).err
    run = "log: log.jsonl\nsignal: copied\ncontext: position\nencoder: hashing:32\nmembers: 2\nepochs: 3\n"
    (here / "run.yaml").write_text(f"{run}nuisance: {{e: seen}}\n", encoding="utf-8")
    assert tacit("fit", "--config", "run.yaml", "--out", "file", "--quiet").status == 0
    heads = [(here / name / "heads.safetensors").read_bytes() for name in ("rm", "file")]
    assert heads[0] == heads[1]
    ran = tacit("fit", *asked[:-4], "--nuisance", "e=0.7", "--out", "number", "--json")
    assert ran.status == 0 and RewardModel.load("number").info["nuisance_sources"] == {"e": 0.7}


def test_a_fit_that_the_log_cannot_identify_warns(tacit: Tacit, here: Path) -> None:
    small = [word for word in SMALL if word not in ("--context", "position")]
    ran = tacit("fit", "log.jsonl", "--signal", "copied", *small, "--out", "rm", "--json")
    assert ran.status == 0
    assert ran.err.startswith("tacit: warning: one signal and no context")
    assert ran.json["identification"]["warnings"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([2] * 90, "is constant"),
        ([f"2026-05-01T10:{i % 60:02}:00" for i in range(90)], "has only levels too rare to use"),
    ],
)
def test_context_that_carries_nothing_is_told_by_name_and_counts_as_none(
    tacit: Tacit, here: Path, values: list[object], why: str
) -> None:
    write(here / "log.jsonl", [dict(row, slot=value) for row, value in zip(rows(), values, strict=True)])
    small = [word for word in SMALL if word not in ("--context", "position")]
    ran = tacit(
        "fit", "log.jsonl", "--signal", "copied", "--context", "slot", *small, "--out", "rm", "--json"
    )
    idle, none = ran.json["identification"]["warnings"]
    assert idle.startswith(f"context column 'slot' {why}") and "it carries nothing" in idle
    assert none.startswith("one signal and no context")
    assert [line.startswith("tacit: warning: ") for line in ran.err.splitlines()] == [True, True]
    assert idle in (here / "rm" / "README.md").read_text(encoding="utf-8")
    more = tacit(
        "fit", "log.jsonl", "--signal", "copied", "--context", "slot", *SMALL, "--out", "two", "--json"
    )
    assert more.json["identification"]["warnings"] == [idle]

    told = tacit("log", "log.jsonl", "--signal", "copied", "--context", "slot").out
    assert f"Context column 'slot' {why}" in told and "One signal and no context" in told
    assert max(map(len, told.splitlines())) <= 80
    assert "carries nothing" not in tacit("log", "log.jsonl", "--context", "slot", "--quiet").out


def test_log_shows_huge_numbers_short(tacit: Tacit, here: Path) -> None:
    write(here / "log.jsonl", [dict(row, position=1e300 * row["position"]) for row in rows()])
    assert "0 to 2e+300, median 1e+300" in tacit("log", "log.jsonl", "--context", "position").out


def test_a_head_that_was_asked_for_is_not_said_to_be_chosen(tacit: Tacit, here: Path) -> None:
    command = ("fit", "log.jsonl", "--signal", "copied", *SMALL)
    assert "reward head: linear, as asked;" in tacit(*command, "--linear", "--out", "asked").out
    assert ", chosen by held-out likelihood;" in tacit(*command, "--out", "chosen").out


@pytest.mark.parametrize(
    ("method", "share", "head"),
    [
        ("naive", True, "reward head: linear, chosen by held-out likelihood;"),
        ("bpr", False, "reward head: linear, chosen by held-out criterion;"),
        ("constant", True, "reward: one number for all responses;"),
    ],
)
def test_fit_tells_a_share_and_a_head_only_where_there_is_one(
    tacit: Tacit, here: Path, method: str, share: bool, head: str
) -> None:
    out = tacit("fit", "log.jsonl", "--signal", "copied", *SMALL, "--method", method, "--out", "rm").out
    assert ("estimated share of responses that users like" in out) is share
    assert re.search(f"  {head.replace('linear', '(linear|64×16)')}", out)


def test_control_characters_of_a_log_do_not_reach_the_terminal(
    tacit: Tacit, here: Path, fitted: Path
) -> None:
    bad = "\x1b[31mred\x00 \x9b2J\u202e \u200d"
    write(here / "pairs.jsonl", [{"prompt": "question", "response": bad}])
    assert "�[31mred� �2J� \u200d" in tacit("score", fitted, "pairs.jsonl").out
    content = [dict(row, llm=bad, **{bad: row["copied"], "where\x1b": bad}) for row in rows()]
    write(here / "log.jsonl", content)
    roles = ("--signal", bad, "--context", "where\x1b")
    told = tacit("log", "log.jsonl", *roles, "--policy", "llm")
    fit = tacit(
        "fit", "log.jsonl", *roles, "--encoder", "hashing:32", "--members", 1, "--epochs", 2, "--out", "rm"
    )
    wrong = tacit("log", "log.jsonl", "--signal", "\x1b[2J")
    for ran in (told, fit, wrong):
        assert "�" in ran.out + ran.err
        assert not set("\x1b\x00\x9b\u202e") & set(ran.out + ran.err)


def test_score_json_has_one_entry_per_pair_in_input_order(tacit: Tacit, here: Path, fitted: Path) -> None:
    pairs = [
        ("question 1", "answer 1"),
        ("question 2", "word word"),
        ("question 1", "answer 1"),
        ("?", "short"),
    ]
    write(here / "pairs.jsonl", [{"prompt": p, "response": r} for p, r in pairs])
    told = tacit("score", fitted, "pairs.jsonl", "--json").json
    assert list(told) == ["scores"]
    expected = RewardModel.load(fitted).score(pairs)
    for entry, reward in zip(told["scores"], expected, strict=True):
        assert set(entry) == {"reward", "probability", "uncertainty"}
        assert entry["reward"] == pytest.approx(float(reward), abs=1e-5)
        assert entry["probability"] == pytest.approx(1 / (1 + math.exp(-float(reward))), abs=1e-5)
        assert entry["uncertainty"] >= 0
    assert told["scores"][0] == told["scores"][2]


def test_a_model_that_only_orders_gives_no_probability(tacit: Tacit, here: Path) -> None:
    fit = tacit("fit", "log.jsonl", "--signal", "copied", *SMALL, "--method", "bpr", "--out", "ranks")
    assert fit.status == 0, fit.err
    told = tacit("score", "ranks", "log.jsonl", "--json")
    assert {row["probability"] for row in told.json["scores"]} == {None}
    assert "bpr orders answers" in told.err
    assert "–" in tacit("score", "ranks", "log.jsonl").out
    written = tacit("score", "ranks", "log.jsonl", "--out", "scores.parquet")
    assert written.status == 0 and "mean P(liked) –" in written.out
    table = tacit("evaluate", "ranks", "log.jsonl", "--policy", "user", "--folds", "0")
    assert table.status == 0, table.err


def test_score_reads_completion_where_there_is_no_response(tacit: Tacit, here: Path, fitted: Path) -> None:
    write(here / "trl.jsonl", [{"prompt": "question", "completion": "answer"}])
    write(here / "kto.jsonl", [{"prompt": "question", "completion": "answer", "label": True}])
    write(here / "own.jsonl", [{"prompt": "question", "response": "answer"}])
    told = [tacit("score", fitted, name, "--json").out for name in ("trl.jsonl", "kto.jsonl", "own.jsonl")]
    assert told[0] == told[1] == told[2]


def test_score_reads_conversations(tacit: Tacit, here: Path, fitted: Path) -> None:
    chat = [{"role": "user", "content": "question"}]
    write(here / "chat.jsonl", [{"prompt": chat, "response": [{"role": "assistant", "content": "answer"}]}])
    assert len(tacit("score", fitted, "chat.jsonl", "--json").json["scores"]) == 1


def test_score_prints_a_row_per_pair(tacit: Tacit, here: Path, fitted: Path) -> None:
    write(here / "pairs.jsonl", [{"prompt": "question", "response": "[bold] answer\nof two lines"}] * 3)
    assert tacit("score", fitted, "pairs.jsonl").out.count("[bold] answer of two lines") == 3


def test_text_that_looks_like_markup_is_printed_as_it_is(tacit: Tacit, here: Path, fitted: Path) -> None:
    for response in (r"Area: \[/b] done", r"so \[a^2+b^2\] holds", "[/b] :warning: [link=x]"):
        write(here / "pairs.jsonl", [{"prompt": "question", "response": response}])
        assert response in tacit("score", fitted, "pairs.jsonl").out


def test_attribute_writes_a_log_that_fit_reads(tacit: Tacit, here: Path) -> None:
    shown = [{**row, "response_id": i, "shown_at": 60 * i} for i, row in enumerate(rows())]
    write(here / "shown.jsonl", [{k: v for k, v in row.items() if k != "copied"} for row in shown])
    acts = [
        {"response_id": str(row["response_id"]), "event": "copied", "at": row["shown_at"] + 30}
        for row in shown
        if row["copied"]
    ]
    write(here / "events.jsonl", acts)
    told = tacit("attribute", "shown.jsonl", "events.jsonl", "--window", "10m", "--out", "log.parquet")
    assert told.status == 0 and "its window has not passed yet" in told.out and "30 s" in told.out
    facts = tacit(
        "attribute", "shown.jsonl", "events.jsonl", "--window", "10m", "--out", "log.parquet", "--json"
    ).json
    log = FeedbackLog.read(here / "log.parquet", signals="copied")
    assert facts["rows"] == len(log) < len(shown)
    assert log.column("copied") == [row["copied"] for row in shown][: len(log)]
    assert facts["signals"]["copied"]["rows"] == sum(log.column("copied"))
    fit = tacit("fit", "log.parquet", "--signal", "copied", *SMALL, "--out", "rm")
    assert fit.status == 0, fit.err
    for out, said in (
        ("log.csv", "expected .parquet or .jsonl"),
        ("shown.jsonl", "lies where the input is read"),
    ):
        assert said in tacit("attribute", "shown.jsonl", "events.jsonl", "--out", out).err


def test_evaluate_on_a_new_log_scores_it_as_it_is(tacit: Tacit, here: Path, fitted: Path) -> None:
    write(here / "new.jsonl", rows(prompts=20, seed=3))
    told = tacit(
        "evaluate", fitted, "new.jsonl", "--gold", "rating", "--policy", "llm", "--json", "--quiet"
    ).json
    assert told["folds"] == 0
    assert [row["method"] for row in told["rows"]] == ["constant", "length", "implicit_rm"]
    assert {policy["policy"] for policy in told["policies"]} == {"alpha", "beta"}


def test_evaluate_prints_the_table_the_differences_and_the_policies(
    tacit: Tacit, here: Path, fitted: Path
) -> None:
    ran = tacit("evaluate", fitted, "log.jsonl", "--gold", "rating", "--policy", "llm", "--quiet")
    for word in (
        "5-fold cross-validation",
        "AUROC",
        "length",
        "oracle",
        "implicit_rm minus the other",
        "alpha",
    ):
        assert word in ran.out


def test_evaluate_keeps_the_exposure_of_the_fit(tacit: Tacit, here: Path) -> None:
    write(here / "exp.jsonl", [row | {"button": i % 4 > 0} for i, row in enumerate(rows())])
    copied = Signal("copied", exposure="button", misclick=0.01)
    log = FeedbackLog.read("exp.jsonl", signals=[copied], context=["position"])
    tacit_fit(log, encoder="hashing:32", config={"members": 2, "max_epochs": 3}).save("rexp")
    arguments = ("rexp", "exp.jsonl", "--gold", "rating", "--folds", "2", "--json")
    told = tacit("evaluate", *arguments).json
    expected = evaluate_model(RewardModel.load("rexp"), log.with_roles(gold="rating"), folds=2)
    assert told == json.loads(json.dumps(expected.to_json()))
    assert tacit("evaluate", *arguments, "--signal", "copied").json == told  # its bare name means the same


def test_evaluate_remembers_the_columns_of_the_fit(tacit: Tacit, here: Path) -> None:
    new_names = {"prompt": "q", "response": "a", "user": "u"}
    table = [
        {new_names.get(name, name): value for name, value in row.items()} | {"visit": i % 9}
        for i, row in enumerate(rows())
    ]
    write(here / "qa.jsonl", table)
    named = ("--prompt", "q", "--response", "a", "--session-id", "visit", "--user-id", "u", "--policy", "llm")
    fitted = tacit("fit", "qa.jsonl", "--signal", "copied", *SMALL, *named, "--out", "rqa", "--quiet")
    assert fitted.status == 0
    ran = tacit("evaluate", "rqa", "qa.jsonl", "--gold", "rating", "--quiet", "--folds", "2")
    assert ran.status == 0
    assert "cross-validation over sessions" in ran.out
    assert "by policy" in ran.out


def test_evaluate_needs_only_texts_and_gold(tacit: Tacit, here: Path, fitted: Path) -> None:
    kept = ("prompt", "response", "rating")
    write(here / "audited.jsonl", [{name: row[name] for name in kept} for row in rows(seed=3)])
    told = tacit("evaluate", fitted, "audited.jsonl", "--gold", "rating", "--json").json
    assert told["rows"][-1]["auroc"]["value"] is not None


def test_evaluate_without_gold_compares_likelihoods_on_a_new_log(
    tacit: Tacit, here: Path, fitted: Path
) -> None:
    write(here / "new.jsonl", rows(seed=3))
    ran = tacit("evaluate", fitted, "new.jsonl", "--quiet")
    assert "log-lik. of" in ran.out
    assert "implicit_rm minus the other" in ran.out


def test_evaluate_prints_no_table_of_differences_without_a_difference(
    tacit: Tacit, here: Path, fitted: Path
) -> None:
    write(here / "new.jsonl", [{k: v for k, v in row.items() if k != "position"} for row in rows(seed=3)])
    ran = tacit("evaluate", fitted, "new.jsonl", "--policy", "llm", "--quiet")
    assert (ran.status, "minus the other" in ran.out, "by policy" in ran.out) == (0, False, True)


def test_evaluate_knows_the_rows_of_the_fit_in_a_log_that_grew(
    tacit: Tacit, here: Path, fitted: Path
) -> None:
    write(here / "grown.jsonl", [*rows(), rows()[0] | {"prompt": "asked today"}])
    told = tacit("evaluate", fitted, "grown.jsonl", "--gold", "rating", "--json").json
    assert "98.9 % are rows of the fit: scores are flattered" in told["note"]
    assert told["rows"][-1]["protocol"] == "partly in-sample"


@pytest.fixture
def weeks(tacit: Tacit, here: Path, fitted: Path) -> tuple[Path, Path]:
    """This week's model, of `log.jsonl`, and last week's, of its first 20 prompts and another context."""
    write(here / "last.jsonl", rows()[:60])
    arguments = ("--signal", "copied", *SMALL[:-1], "device", "--quiet")
    assert tacit("fit", "last.jsonl", *arguments, "--out", "rm_last").status == 0
    return fitted, here / "rm_last"


def test_evaluate_against_last_weeks_model_tells_the_gain(
    tacit: Tacit, here: Path, weeks: tuple[Path, Path]
) -> None:
    write(here / "new.jsonl", rows(seed=3))
    arguments = ("evaluate", weeks[0], "new.jsonl", "--against", weeks[1], "--gold", "rating")
    told = tacit(*arguments, "--json").json
    assert (told["model"], told["against"]) == ("implicit_rm (rm)", "implicit_rm (rm_last)")
    assert "auroc" in told["rows"][-1]["difference"]["implicit_rm (rm_last)"]
    ran = tacit(*arguments, "--quiet", "--policy", "llm")
    for word in ("implicit_rm (rm) minus the other", "implicit_rm (rm_last)", "like by implicit_rm (rm)"):
        assert word in ran.out


def test_evaluate_against_a_model_with_other_context_reads_the_context_of_both(
    tacit: Tacit, here: Path, weeks: tuple[Path, Path]
) -> None:
    write(here / "new.jsonl", rows(seed=3))
    told = tacit("evaluate", weeks[0], "new.jsonl", "--against", weeks[1], "--json").json
    assert list(told["rows"][-1]["difference"]["implicit_rm (rm_last)"]) == ["log_likelihood"]


def test_evaluate_against_a_folder_of_the_same_name_tells_them_apart_by_path(
    tacit: Tacit, here: Path, weeks: tuple[Path, Path]
) -> None:
    write(here / "new.jsonl", rows(seed=3))
    for week, folder in zip(("this", "last"), weeks, strict=True):
        shutil.copytree(folder, here / week / "rm")
    told = tacit(
        "evaluate", "this/rm", "new.jsonl", "--against", "last/rm", "--gold", "rating", "--json"
    ).json
    assert (told["model"], told["against"]) == ("implicit_rm (this/rm)", "implicit_rm (last/rm)")


def test_evaluate_against_on_the_log_of_the_fit_refits_nothing_and_says_in_sample(
    tacit: Tacit, here: Path, weeks: tuple[Path, Path]
) -> None:
    told = tacit("evaluate", weeks[0], "log.jsonl", "--against", weeks[1], "--gold", "rating", "--json").json
    assert told["folds"] == 0
    assert [row["protocol"] for row in told["rows"][2:]] == ["partly in-sample", "in-sample"]


def test_a_model_that_is_surely_worse_ends_the_job_with_status_1_if_asked(tacit: Tacit, here: Path) -> None:
    content = [
        {
            "prompt": f"p {i}",
            "response": f"{text} {i % 9}",
            "slot": i % 3,
            "copied": liked,
            "shunned": 1 - liked,
        }
        for i in range(150)
        for text, liked in (("clear code", 1), ("no idea sorry", 0)) * 2
    ]
    write(here / "week.jsonl", content)
    for name in ("copied", "shunned"):
        knobs = ("--signal", name, "--context", "slot", *SMALL[:4], "--epochs", 20, "--linear", "--quiet")
        assert tacit("fit", "week.jsonl", *knobs, "--out", f"by_{name}").status == 0
    write(here / "audited.jsonl", [row | {"rating": row["copied"]} for row in content[:80]])
    worse = ("by_shunned", "audited.jsonl", "--gold", "rating", "--against", "by_copied", "--quiet")
    better = ("by_copied", "audited.jsonl", "--gold", "rating", "--against", "by_shunned", "--quiet")
    for form in ((), ("--json",)):
        plain = tacit("evaluate", *worse, *form)
        ran = tacit("evaluate", *worse, *form, "--fail-if-worse")
        assert (plain.status, plain.err, ran.status, ran.out) == (0, "", 1, plain.out)
        assert ran.err.startswith(
            "tacit: implicit_rm (by_shunned) is worse than implicit_rm (by_copied) by within-"
        )
        assert "Brier .9" in ran.err and ran.err.count("\n") == 1
        ran = tacit("evaluate", *better, *form, "--fail-if-worse")
        assert (ran.status, ran.err) == (0, "")
    assert "auroc" in plain.json["worse"] and ran.json["worse"] == []
    write(here / "audited.jsonl", [row | {"prompt": "p", "rating": row["copied"]} for row in content[:80]])
    ran = tacit("evaluate", *worse, "--fail-if-worse")  # one prompt has no interval, so nothing is sure
    assert (ran.status, ran.out) == (2, "") and "--fail-if-worse could say nothing" in ran.err
    ran = tacit("evaluate", "by_copied", "audited.jsonl", "--gold", "rating", "--fail-if-worse")
    assert ran.status == 2 and "--fail-if-worse compares with another model, expected --against" in ran.err


def test_version_and_help_answer(tacit: Tacit) -> None:
    assert tacit("--version").out.startswith("tacit ")
    for verb in ("demo", "fit", "score", "evaluate", "log"):
        told = tacit(verb, "--help")
        assert told.status == 0
        assert "--json" in told.out
        assert "--quiet" in told.out


def test_a_pipe_that_closes_early_is_silent(here: Path, fitted: Path) -> None:
    write(here / "pairs.jsonl", [{"prompt": f"q {i}", "response": "words " * 9} for i in range(2500)])
    child = subprocess.Popen(
        [*TACIT, "score", str(fitted), "pairs.jsonl", "--json", "--cache", "cache"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.read(1)
    child.stdout.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    assert child.wait() in (0, 1, 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device to write to")
def test_a_full_disk_is_one_line(here: Path) -> None:
    # Buffered, as a user's stdout is: the write then fails only when it is flushed.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*TACIT, "log", "log.jsonl"],
            env=buffered,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith("tacit: ")
    assert ended.stderr.count("\n") == 1


def test_an_interrupted_fit_says_how_to_go_on(tacit: Tacit, here: Path) -> None:
    write(here / "log.jsonl", rows(prompts=300))

    def press_ctrl_c() -> None:
        # Once the texts are embedded the fit has begun. One that ends before is not waited for, nor pressed.
        while not any(path.is_file() for path in (here / "cache").rglob("*")):
            if ended.wait(0.01):
                return
        os.kill(os.getpid(), signal.SIGINT)

    # A shell starts what it puts in the background deaf to SIGINT, and Python leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ended = threading.Event()
    finger = threading.Thread(target=press_ctrl_c)
    finger.start()
    try:
        ran = tacit("fit", "log.jsonl", "--signal", "copied", *LONG, "--quiet")
    finally:
        ended.set()
        finger.join()
        signal.signal(signal.SIGINT, before)
    assert ran.status == 130
    assert ran.err == "tacit: interrupted; a fit goes on when the same command is given again\n"
    assert not (here / "rm").exists()


def test_runs_in_one_process_do_not_repeat_each_others_notes(tacit: Tacit, here: Path) -> None:
    kto = [{"prompt": row["prompt"], "completion": row["response"], "label": row["copied"]} for row in rows()]
    write(here / "kto.jsonl", kto)
    for _ in range(2):
        assert tacit("log", "kto.jsonl").err.count("read as KTO") == 1
    assert len(logging.getLogger("tacit").handlers) == 1


def test_an_error_that_is_logged_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    notes.hold(quiet=False)
    notes.release()
    try:
        raise RuntimeError("of the model\x1b[2J")
    except RuntimeError:
        logging.getLogger("tacit").exception("no score")
    told = capsys.readouterr().err
    assert told.startswith("no score\nTraceback") and "RuntimeError: of the model�[2J" in told


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_output_that_cannot_hold_every_letter_loses_letters_but_no_json(here: Path, encoding: str) -> None:
    write(here / "log.jsonl", [{**row, "device": "電話 ü"} for row in rows()])
    environment = {**os.environ, "PYTHONIOENCODING": encoding}

    def ran(*more: str) -> subprocess.CompletedProcess[bytes]:
        command = [*TACIT, "log", "log.jsonl", *ROLES, *more]
        return subprocess.run(command, capture_output=True, check=False, env=environment)

    plain, told = ran(), ran("--json")
    assert (plain.returncode, plain.stderr) == (0, b"") and b"??" in plain.stdout
    assert (told.returncode, told.stderr) == (0, b"") and "電話 ü" in json.dumps(
        json.loads(told.stdout), ensure_ascii=False
    )
    wrong = ran("--user-id", "電話")
    assert wrong.returncode == 2 and wrong.stderr.startswith(b"tacit: log.jsonl: no column")


def test_a_folder_with_a_space_is_told_as_a_shell_takes_it(tacit: Tacit, here: Path, fitted: Path) -> None:
    shutil.copytree(fitted, here / "my rm")
    ran = tacit("fit", "log.jsonl", "--signal", "copied", *SMALL, "--out", "my rm")
    assert ran.status == 0, ran.err
    assert (
        "Next: tacit score 'my rm' PAIRS.jsonl; tacit report 'my rm' LOG; read 'my rm/README.md'" in ran.out
    )
