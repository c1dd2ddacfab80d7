"""`tacit finetune` as a user runs it: the laptop recipe, and one line for what cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import Tacit
from safetensors.torch import load_file, save_file

from finetune_world import texts
from tacit.align.config import AlignConfig
from tacit.align.grpo import _peft
from tacit.cli.finetune import _adapter
from tacit.data import Signal
from tacit.model import FineTunedRewardModel
from tacit.training.finetune import FeedbackRewardConfig
from tacit.training.finetune.run_config import FinetuneSettings
from tiny_models import tiny_causal

RECIPES = Path(__file__).parents[2] / "recipes" / "finetune"
ALIGN = RECIPES.with_name("align")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prompts, responses, likes_N = texts()
    tiny_causal(tmp_path / "base", prompts + responses)
    rows = [
        {
            "prompt": p,
            "response": r,
            "copied": int(v and i % 3 > 0),
            "slot": i % 3,
            "device": "pc",
            "liked": int(v),
        }
        for i, (p, r, v) in enumerate(zip(prompts, responses, likes_N.tolist(), strict=True))
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shutil.copy(RECIPES / "laptop.yaml", tmp_path / "run.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_is_not_written_where_its_log_is_read(place: Path, tacit: Tacit) -> None:
    text = (place / "run.yaml").read_text()
    (place / "run.yaml").write_text(
        text.replace("log: log.jsonl", "log: .").replace("out: rm", "out: models/rm")
    )
    ran = tacit("finetune", "run.yaml")
    assert ran.status == 2 and "--out models/rm lies where the input is read" in ran.err
    assert not (place / "models").exists()


def test_the_laptop_recipes_make_a_model_that_scores_and_is_judged_and_a_policy_that_it_pays(
    place: Path, tacit: Tacit
) -> None:
    done = tacit("finetune", "run.yaml", "--json")
    assert done.status == 0, done.err
    told = done.json
    assert told["method"] == "implicit_rm" and told["training"]["steps"] > 0
    assert not (place / "rm.partial").exists()
    scored = tacit("score", "rm", "log.jsonl", "--json")
    assert len(scored.json["scores"]) == 400
    fit = tacit("fit", "log.jsonl", "--signal", "copied", "--encoder", "hashing:32", "--out", "rm")
    assert fit.status == 2 and "rm already holds another model" in fit.err
    again = tacit("finetune", "run.yaml")
    assert again.status == 2 and "already holds another model" in again.err
    judged = tacit("evaluate", "rm", "log.jsonl", "--gold", "liked", "--json", "--quiet")
    assert (judged.status, judged.err) == (0, "")
    assert [row["method"] for row in judged.json["rows"]] == ["constant", "length", "implicit_rm"]
    assert judged.json["rows"][-1]["auroc"]["value"] > 0.5 and judged.json["folds"] == 0
    assert "These are the rows of the fit" in judged.json["note"]
    refused = tacit("evaluate", "rm", "log.jsonl", "--gold", "liked", "--folds", "5")
    assert refused.status == 2 and refused.err.count("\n") == 1 and "leave --folds out" in refused.err
    aligned = tacit("align", ALIGN / "laptop.yaml", "--json")
    assert aligned.status == 0, aligned.err
    assert aligned.json["steps"] >= 1 and (place / "aligned" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("metod: naive", "metod: no such option; did you mean 'method'?"),
        ("training: {seed: 3}", "training.seed is set by tacit"),
        ("training: {no_such: 3}", "no_such"),
        ("lora: {r: 0}", "lora.r"),
        ("training: {members: 0}", "members: found 0, expected 1 or more"),
        ("training: {max_length: -5}", "max_length: found -5"),
        ("training: {learning_rate: fast}", "learning_rate: found 'fast', expected a number"),
        ("training: {holdout: 1e0}", "holdout: found 1.0"),
        (
            "training: {accelerator_config: none.json}",
            "args: [Errno 2] No such file or directory: 'none.json'",
        ),
        (
            "signal: [{name: copied, polarty: 1}]",
            "run.yaml: signal {'name': 'copied', 'polarty': 1} (dict): unknown",
        ),
        (
            "signal: [{name: copied, misclick: 2}]",
            "run.yaml: signal 'copied': misclick is 2.0, expected a rate",
        ),
        ("seed: -3", "seed: Input should be greater than or equal to 0"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_and_nothing_is_written(
    place: Path, tacit: Tacit, line: str, said: str
) -> None:
    config = place / "run.yaml"
    kept = config.read_text().split("\nlora:")[0]
    config.write_text(f"{kept}\n{line}\n")
    done = tacit("finetune", "run.yaml")
    assert done.status == 2
    assert said in done.err and len(done.err.strip().splitlines()) == 1
    assert not (place / "rm").exists() and not (place / "rm.partial").exists()


@pytest.mark.parametrize("name", sorted(path.name for path in RECIPES.glob("*.yaml")))
def test_every_recipe_is_a_configuration_and_fits_the_one_that_goes_on_from_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = FinetuneSettings.read(RECIPES / name)
    knobs = FeedbackRewardConfig(str(tmp_path), **{**made.training, "bf16": False, "fsdp": None})
    monkeypatch.chdir(tmp_path)
    made.out.mkdir()
    (made.out / "tacit.json").write_text("{}")
    used = AlignConfig.read(ALIGN / name)
    assert (used.policy, str(used.prompts)) == (made.model, made.log)
    assert Path(used.reward.model) == made.out and used.reward.is_tacit
    assert knobs.members >= 2 and used.reward.guard().needs_members


def test_a_reward_model_that_is_not_there_is_not_taken_for_a_plain_classifier(
    tmp_path: Path, tacit: Tacit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = tacit("align", ALIGN / "laptop.yaml")
    assert done.status == 2 and done.err.count("\n") == 1
    assert "reward: no such folder rm/" in done.err


@pytest.mark.parametrize(
    ("out", "said"), [(".", "expected the name of a folder"), ("log.jsonl/rm", "is a file")]
)
def test_a_place_that_cannot_hold_a_model_is_refused_before_the_log_is_read(
    place: Path, tacit: Tacit, out: str, said: str
) -> None:
    text = (place / "run.yaml").read_text().replace("log: log.jsonl", "log: nowhere.jsonl")
    (place / "run.yaml").write_text(text.replace("out: rm", f"out: {out}"))
    ran = tacit("finetune", "run.yaml")
    assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1


def test_a_folder_that_holds_something_else_is_not_taken_for_checkpoints(place: Path, tacit: Tacit) -> None:
    (place / "rm.partial").mkdir()
    (place / "rm.partial" / "thesis.txt").write_text("years of work", encoding="utf-8")
    ran = tacit("finetune", "run.yaml")
    assert ran.status == 2 and "rm.partial is in the way" in ran.err
    assert [path.name for path in (place / "rm.partial").iterdir()] == ["thesis.txt"]


def test_a_run_does_not_go_on_with_another_model_at_the_same_place(
    place: Path, tacit: Tacit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(FineTunedRewardModel, "save", torn)
        assert tacit("finetune", "run.yaml").status != 0
    assert list((place / "rm.partial").glob("checkpoint-*"))
    weights = place / "base" / "model.safetensors"
    tensors = load_file(weights)
    save_file({name: value + 1 for name, value in tensors.items()}, weights, metadata={"format": "pt"})
    done = tacit("finetune", "run.yaml")
    assert done.status == 2 and "holds the beginning of another run" in done.err


def test_a_signal_of_the_file_may_say_all_that_a_signal_can(tmp_path: Path) -> None:
    down = "{name: down, polarity: negative, misclick: 0.02, exposure: thumbs}"
    text = f"log: a.jsonl\nmodel: m\nout: rm\nsignal: ['solved:explicit', {down}]\n"
    (tmp_path / "run.yaml").write_text(text)
    signals = FinetuneSettings.read(tmp_path / "run.yaml").signals
    assert signals == ["solved:explicit", Signal("down", -1, misclick=0.02, exposure="thumbs")]


def test_the_numbers_of_an_adapter_reach_peft_from_finetune_and_from_align() -> None:
    numbers = {"r": 3, "alpha": 7, "dropout": 0.25}
    run = {"log": "a.jsonl", "model": "m", "out": "rm", "lora": {**numbers, "target_modules": ["q_proj"]}}
    tuned = _adapter(FinetuneSettings.model_validate(run))
    reward = {"policy": "p", "reward": {"model": "m"}, "prompts": "a.jsonl", "output": "out"}
    aligned = _peft(AlignConfig.model_validate({**reward, "lora": numbers}))
    for found in (tuned, aligned):
        assert (found.r, found.lora_alpha, found.lora_dropout) == (3, 7, 0.25)
    assert (tuned.target_modules, tuned.task_type) == ({"q_proj"}, None)
    assert (aligned.target_modules, aligned.task_type) == ("all-linear", "CAUSAL_LM")
