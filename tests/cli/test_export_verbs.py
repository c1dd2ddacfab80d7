"""`tacit export` and `tacit doctor` as a user runs them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from command_line import Tacit

sys.path.append(str(Path(__file__).parents[1] / "model"))
from tiny_decoder import causal, classifier

FIT = ("--signal", "copied", "--context", "position", "--members", "2", "--epochs", "3", "--quiet")


def test_a_healthy_model_is_status_0_and_a_broken_one_status_1(tacit: Tacit, tmp_path: Path) -> None:
    folder = classifier(tmp_path)
    ran = tacit("doctor", folder)
    assert ran.status == 0 and ran.out.endswith(f"{folder}: nothing fails\n") and ran.err == ""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "problem_type": None}))
    ran = tacit("doctor", folder)
    assert ran.status == 1 and ran.err == ""
    lines = ran.out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("fails"))
    assert lines[at].split()[1] == "activation"
    assert "why: vLLM" in lines[at + 1] and 'mend: set "problem_type"' in lines[at + 2]
    assert lines[-1].endswith("1 of 17 checks fail")


def test_findings_as_json_and_from_files_alone(tacit: Tacit, tmp_path: Path) -> None:
    told = tacit("doctor", classifier(tmp_path), "--static", "--json")
    assert told.status == 0 and told.json["failed"] == []
    status = {check["check"]: check["status"] for check in told.json["checks"]}
    assert status["labels"] == "ok" and status["padding"] == "n/a"


def test_checks_that_could_not_be_made_are_counted_in_the_last_line_with_what_they_lack(
    tacit: Tacit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    base = AutoModelForSequenceClassification.from_pretrained(classifier(tmp_path / "base"))
    lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="SEQ_CLS")
    get_peft_model(base, lora).save_pretrained(tmp_path / "lora")
    whole = tacit("doctor", tmp_path / "lora")
    assert whole.status == 0 and whole.out.endswith("lora: nothing fails\n")
    assert whole.out.count("\nn/a") == 5, "what does not apply to an adapter is not counted"
    monkeypatch.setitem(sys.modules, "peft", None)
    ran = tacit("doctor", tmp_path / "lora")
    assert ran.status == 0
    assert ran.out.splitlines()[-1].partition("lora: ")[2] == (
        "nothing fails, but 3 of 17 could not be made: loads, finite, padding (an adapter is measured with peft: pip "
        'install "tacit[train]")'
    )
    told = tacit("doctor", tmp_path / "lora", "--static", "--json").json
    assert told["unmade"] == ["finite", "padding"]
    assert [check["check"] for check in told["checks"] if not check["made"]] == told["unmade"]


def test_what_fails_is_counted_beside_what_could_not_be_made(tacit: Tacit, tmp_path: Path) -> None:
    folder = classifier(tmp_path)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    ran = tacit("doctor", folder)
    assert ran.status == 1
    assert "1 of 17 checks fail, and 5 of 17 could not be made: chat-template, bos, end-token (the" in ran.out


def test_a_folder_of_tacit_fit_is_bad_input_for_the_doctor(tacit: Tacit, fitted: Path) -> None:
    ran = tacit("doctor", fitted)
    assert ran.status == 2 and ran.out == "" and "export it first" in ran.err and ran.err.count("\n") == 1


def test_fit_export_and_doctor_one_after_another(tacit: Tacit, here: Path) -> None:
    causal(here / "decoder")
    options = ("--encoder", "decoder", "--reward-features", "text", "--linear", "--out", "rm")
    assert tacit("fit", "log.jsonl", *FIT, *options).status == 0
    assert json.loads((here / "rm" / "tacit.json").read_text())["reward_features"] == "text"
    again = tacit("fit", "log.jsonl", *FIT, *options)
    assert again.status == 0  # the very same fit
    told = tacit("export", "rm", "--out", "exported")
    assert told.status == 0 and "AutoModelForSequenceClassification" in told.out
    assert "sigmoid(score" in told.out and told.err == ""
    assert tacit("doctor", "exported").status == 0
    assert tacit("export", "rm", "--out", "second", "--json").json["how"] == "exact"
    other = tacit("fit", "log.jsonl", *FIT, "--encoder", "decoder", "--out", "rm")
    assert other.status == 2 and "already holds another model" in other.err


def test_distilling_needs_texts_and_prints_what_it_costs(tacit: Tacit, here: Path) -> None:
    causal(here / "decoder")
    assert tacit("fit", "log.jsonl", *FIT, "--encoder", "decoder", "--out", "rm").status == 0
    refused = tacit("export", "rm", "--out", "exported")
    assert refused.status == 2 and "--texts FILE" in refused.err and refused.err.count("\n") == 1
    assert not (here / "exported").exists()
    told = tacit("export", "rm", "--out", "exported", "--texts", "log.jsonl")
    assert told.status == 0 and "held-out ones it keeps R²" in told.out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--to", "onnx"), "expected hf"),
        (("--dtype", "int4"), "dtype is 'int4'"),
        ((), "reads prompt and response apart"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    options: tuple[str, ...], told: str, tacit: Tacit, fitted: Path, tmp_path: Path
) -> None:
    ran = tacit("export", fitted, "--out", tmp_path / "exported", *options)
    assert ran.status == 2 and told in ran.err and ran.err.count("\n") == 1


def test_a_switch_may_stand_in_the_configuration(tacit: Tacit, here: Path) -> None:
    (here / "run.yaml").write_text(
        "log: log.jsonl\nsignal: copied\nlinear: true\nencoder: hashing:32\nepochs: 3\n"
    )
    assert tacit("fit", "--config", "run.yaml", "--out", "rm", "--quiet").status == 0
    assert json.loads((here / "rm" / "tacit.json").read_text())["training"]["config"]["hidden"] == []
    (here / "run.yaml").write_text("log: log.jsonl\nsignal: copied\nlinear: 3\n")
    assert "linear is 3, expected true or false" in tacit("fit", "--config", "run.yaml", "--out", "rm4").err
    assert "--reward-features: found 'x', expected text+style or text" in (
        tacit("fit", "log.jsonl", "--signal", "copied", "--reward-features", "x", "--out", "rm5").err
    )
