"""`tacit calibrate`: a folder of its own with the same rewards and other probabilities, or one clear line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import SMALL, Ran, Tacit, rows, write

import tacit as library


@pytest.fixture
def audited(here: Path, fitted: Path) -> list[dict[str, Any]]:
    """Answers that the fit has not read, in `audited.jsonl`; `liked` rises with the score of the model."""
    found = [{**row, "prompt": f"other {row['prompt']}"} for row in rows(60, seed=5)]
    score_N = library.load(fitted).score([(row["prompt"], row["response"]) for row in found])
    z_N = (score_N - score_N.mean()) / score_N.std()
    liked_N = np.random.default_rng(0).random(len(found)) < 1 / (1 + np.exp(0.5 - 2 * z_N))
    for row, liked in zip(found, liked_N, strict=True):
        row["liked"] = int(liked)
    write(here / "audited.jsonl", found)
    return found


def refused(ran: Ran, *words: str) -> None:
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    for word in words:
        assert word in ran.err


CALIBRATE = ("audited.jsonl", "--gold", "liked", "--out", "rm-calibrated")


def test_the_folder_has_the_rewards_of_the_model_and_probabilities_that_agree_with_the_labels(
    tacit: Tacit, here: Path, fitted: Path, audited: list[dict[str, Any]]
) -> None:
    ran = tacit("calibrate", fitted, *CALIBRATE)
    assert ran.status == 0
    assert ran.out.startswith("rm-calibrated: P(liked) = sigmoid(")
    for word in ("before", "after, of prompts held out", "180 rows of 60 prompts with 'liked'", "Slope "):
        assert word in ran.out
    assert ran.out.endswith("Next: tacit evaluate rm-calibrated OTHER.jsonl --gold liked\n")
    before, after = (
        tacit("score", model, "audited.jsonl", "--json").json["scores"] for model in (fitted, "rm-calibrated")
    )
    for name in ("reward", "uncertainty"):
        assert [one[name] for one in after] == [one[name] for one in before]
    mean = np.mean([one["probability"] for one in after])
    assert mean == pytest.approx(np.mean([row["liked"] for row in audited]), abs=1e-5)


def test_json_tells_what_the_folder_states_and_quiet_tells_nothing(
    tacit: Tacit, here: Path, fitted: Path, audited: list[dict[str, Any]]
) -> None:
    told = tacit("calibrate", fitted, *CALIBRATE, "--json").json
    assert tacit("calibrate", fitted, *CALIBRATE[:-1], "again", "--quiet").out == ""
    stated = json.loads((here / "again" / "tacit.json").read_text())["calibration"]
    assert len(stated.pop("pairs")["hashes"]) == 12 * 180
    assert (told.pop("model"), told.pop("method")) == ("rm-calibrated", "implicit_rm")
    assert told == stated
    assert told["gold"] == "liked" and (told["rows"], told["prompts"], told["of_fit"]) == (180, 60, 0)
    assert told["difference"]["brier"]["high"] < 0


def test_a_file_of_prompt_response_and_labels_is_enough(
    tacit: Tacit, here: Path, fitted: Path, audited: list[dict[str, Any]]
) -> None:
    write(
        here / "short.jsonl", [{key: row[key] for key in ("prompt", "response", "liked")} for row in audited]
    )
    ran = tacit("calibrate", fitted, "short.jsonl", "--gold", "liked", "--out", "short", "--json")
    assert ran.status == 0
    assert ran.json["shift"] == tacit("calibrate", fitted, *CALIBRATE, "--json").json["shift"]


def test_few_rows_leave_the_slope_at_1_and_their_doubts_are_told(
    tacit: Tacit, here: Path, fitted: Path, audited: list[dict[str, Any]]
) -> None:
    ran = tacit("calibrate", fitted, "audited.jsonl", *CALIBRATE[1:], "--max-bad", "0")
    assert ran.status == 0 and "warning" not in ran.err
    flat = [{**row, "liked": i % 2} for i, row in enumerate(audited[:24])]
    write(here / "few.jsonl", flat)
    ran = tacit("calibrate", fitted, "few.jsonl", "--gold", "liked", "--out", "few")
    assert ran.status == 0
    assert "few: P(liked) = sigmoid(reward " in ran.out
    assert "Too few rows for a slope: it is left at 1, as the fit has it." in ran.out
    assert ran.err.startswith("tacit: warning: on prompts held out the Brier score does not fall")


def test_a_model_whose_scores_only_order_gets_a_probability(
    tacit: Tacit, here: Path, audited: list[dict[str, Any]]
) -> None:
    tacit("fit", "log.jsonl", "--signal", "copied", "--method", "bpr", *SMALL, "--out", "order")
    scores = {
        id(row): score
        for row, score in zip(
            audited,
            library.load("order").score([(row["prompt"], row["response"]) for row in audited]),
            strict=True,
        )
    }
    for i, row in enumerate(sorted(audited, key=lambda row: scores[id(row)])):
        row["liked"] = int(i % 3 == 0 if i < 90 else i % 3 > 0)
    write(here / "audited.jsonl", audited)
    asked = tacit("score", "order", "audited.jsonl", "--json")
    assert asked.json["scores"][0]["probability"] is None and "tacit calibrate" in asked.err
    ran = tacit("calibrate", "order", *CALIBRATE)
    assert ran.status == 0 and "Before, the scores only ordered answers" in ran.out
    assert 0 < tacit("score", "rm-calibrated", "audited.jsonl", "--json").json["scores"][0]["probability"] < 1


def test_a_place_that_is_taken_is_refused_before_anything_is_scored(
    tacit: Tacit, here: Path, fitted: Path, audited: list[dict[str, Any]]
) -> None:
    shutil.copytree(fitted, here / "rm")
    kept = (here / "rm" / "tacit.json").read_bytes()
    for out in ("rm", "./rm/", here / "rm"):
        refused(
            tacit("calibrate", "rm", *CALIBRATE[:-1], out), "is the model itself, expected another folder"
        )
    shutil.copytree(here / "rm", here / "week")
    refused(tacit("calibrate", "rm", *CALIBRATE[:-1], "week"), "week already holds another model")
    assert (here / "rm" / "tacit.json").read_bytes() == kept
    refused(tacit("calibrate", "rm", *CALIBRATE[:-1], "audited.jsonl/rm"), "is a file, expected a folder")
    (here / "logs").mkdir()
    shutil.move(here / "audited.jsonl", here / "logs")
    refused(tacit("calibrate", "rm", "logs", *CALIBRATE[1:-1], "logs/rm"), "lies where the input is read")


def test_a_wrong_slice_is_one_line_and_nothing_is_written(
    tacit: Tacit, here: Path, fitted: Path, audited: list[dict[str, Any]]
) -> None:
    refused(tacit("calibrate", fitted, "audited.jsonl", "--out", "rm-calibrated"), "Missing option '--gold'")
    wrong = ("--gold", "like", "--out", "rm-calibrated")
    refused(tacit("calibrate", fitted, "audited.jsonl", *wrong), "no column 'like'", "did you mean 'liked'?")
    for name, change in (
        ("nine", lambda i, row: row if i < 9 else {**row, "liked": None}),
        ("alike", lambda i, row: {**row, "liked": 1}),
        ("inverted", lambda i, row: {**row, "liked": 1 - row["liked"]}),
        ("graded 1 to 5", lambda i, row: {**row, "liked": 1 + 4 * row["liked"]}),
        ("without answers", lambda i, row: {key: row[key] for key in ("prompt", "liked")}),
    ):
        write(here / "wrong.jsonl", [change(i, row) for i, row in enumerate(audited)])
        ran = tacit("calibrate", fitted, "wrong.jsonl", *CALIBRATE[1:])
        refused(ran, "tacit: ")
        assert not (here / "rm-calibrated").exists(), name


def test_a_fit_does_not_take_a_calibrated_model_for_its_own(
    tacit: Tacit, here: Path, audited: list[dict[str, Any]]
) -> None:
    fit = ("fit", "log.jsonl", "--signal", "copied", *SMALL, "--quiet", "--out")
    assert tacit(*fit, "rm").status == 0 and tacit(*fit, "rm").status == 0
    assert tacit("calibrate", "rm", *CALIBRATE).status == 0
    refused(tacit(*fit, "rm-calibrated"), "rm-calibrated already holds another model")
