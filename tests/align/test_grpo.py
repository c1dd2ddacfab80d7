"""`tacit align`: a real GRPO step from one YAML file, bounds that stop it, and configurations that are refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, TrainerCallback

from tacit.align import grpo
from tacit.align.adapters.trl import trl_reward
from tacit.align.bounds import bounds_callback, crossed
from tacit.align.config import AlignConfig, BoundsConfig
from tacit.align.generation import Policy
from tacit.align.grpo import Aligned, _plain, align, read_prompts
from tacit.errors import ConfigError, DataError, TacitError

RECIPES = Path(__file__).parents[2] / "recipes" / "align"


@pytest.fixture
def place(tmp_path: Path, reward_folder: Path, policy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rm/, a policy and prompts, both by the names of the recipe too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rm").symlink_to(reward_folder)
    (tmp_path / "policy").symlink_to(policy_folder)
    (tmp_path / "base").symlink_to(policy_folder)
    rows = [
        {"prompt": [{"role": "user", "content": f"question {i % 4} of it"}], "liked": 1} for i in range(8)
    ]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.copy(tmp_path / "prompts.jsonl", tmp_path / "log.jsonl")
    (tmp_path / "rm-7b").symlink_to(reward_folder)
    return tmp_path


def written(place: Path, **changes: Any) -> Path:
    options: dict[str, Any] = {
        "policy": "policy",
        "reward": {"model": "rm"},
        "prompts": "prompts.jsonl",
        "output": "out",
        "steps": 2,
        "num_generations": 4,
        "per_device_train_batch_size": 4,
        "max_completion_length": 12,
        "learning_rate": 0.01,
        "mask_truncated_completions": False,
        "device": "cpu",
    }
    path = place / "run.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in {**options, **changes}.items() if v is not None}))
    return path


def run(place: Path, **changes: Any) -> Any:
    return align(AlignConfig.read(written(place, **changes)))


def test_a_run_moves_the_policy_and_leaves_a_folder_that_opens(place: Path) -> None:
    done = run(place)
    assert (done.steps, done.prompts, done.stopped) == (2, 4, [])
    before, after = (AutoModelForCausalLM.from_pretrained(place / name) for name in ("policy", "out"))
    moved = max(
        float((a - b).detach().abs().max())
        for a, b in zip(before.parameters(), after.parameters(), strict=True)
    )
    assert moved > 1e-3
    assert not list((place / "out").glob("*.bin"))  # no pickles
    told = json.loads((place / "out" / "align.json").read_text())
    assert told["steps"] == 2 and told["config"]["reward"]["model"] == "rm"
    first = done.history[0]
    assert {"kl", "reward", "rewards/rm/mean", "rewards/rm/uncertainty", "rewards/rm/abstained"} <= set(first)


def test_the_laptop_recipe_runs_as_it_stands(place: Path) -> None:
    config = AlignConfig.read(RECIPES / "laptop.yaml")
    done = align(config)
    assert done.steps in (1, 2) and not done.output.startswith("/")
    adapter = load_file(place / "aligned" / "adapter_model.safetensors")
    assert all(value.shape[0] == 8 or value.shape[1] == 8 for value in adapter.values())


def test_every_recipe_is_a_valid_configuration_of_this_trl(place: Path) -> None:
    from trl import GRPOConfig

    known = {field.name for field in dataclasses.fields(GRPOConfig)}
    recipes = sorted(RECIPES.glob("*.yaml"))
    assert [path.name for path in recipes] == ["7b_8gpu.yaml", "laptop.yaml"]
    for path in recipes:
        config = AlignConfig.read(path)
        assert set(config.trainer) <= known
    big = AlignConfig.read(RECIPES / "7b_8gpu.yaml")
    responses = 8 * big.per_device_train_batch_size * big.gradient_accumulation_steps
    assert responses == 512 and responses % big.num_generations == 0


def test_a_run_stops_at_its_bound_and_says_why(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", logger="tacit"):
        done = run(place, steps=4, bounds={"max_mean_length": 1.5})
    assert done.steps == 1 and (place / "out" / "config.json").exists()
    assert len(done.stopped) == 1 and "beyond max_mean_length 1.5" in done.stopped[0]
    assert [record.getMessage() for record in caplog.records] == [f"{done.stopped[0]}; stopped"]


def test_a_bound_may_only_warn(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", logger="tacit"):
        done = run(place, bounds={"max_mean_length": 1.5, "action": "warn"})
    assert (done.steps, done.stopped) == (2, [])
    assert len(caplog.records) == 1 and caplog.records[0].getMessage().endswith("; going on")


def test_what_is_written_of_a_diverged_run_is_json() -> None:
    rows = [{"grad_norm": float("inf"), "kl": float("nan"), "loss": 0.5}]
    assert _plain(Aligned("out", 1, 1, [], rows))["history"] == [{"loss": 0.5}]


@pytest.mark.parametrize(
    ("logs", "names"),
    [
        ({"kl": 0.5, "completions/mean_length": 10.0}, []),
        ({"kl": 0.51, "completions/mean_length": 10.1}, ["max_kl", "max_mean_length"]),
        ({"kl": float("nan")}, ["max_kl"]),
        ({"train_loss": 0.1, "kl": None}, []),
    ],
)
def test_bounds_are_passed_only_beyond_them(logs: dict[str, Any], names: list[str]) -> None:
    bounds = BoundsConfig(max_kl=0.5, max_mean_length=10.0)
    assert [name for name, _ in crossed(bounds, logs)] == names
    from transformers import TrainerControl, TrainerState

    control = TrainerControl()
    bounds_callback(bounds).on_log(None, TrainerState(), control, logs=logs)
    assert control.should_training_stop == bool(names)


def test_doubt_and_length_change_what_trl_logs(place: Path) -> None:
    plain = run(place, steps=1).history[0]
    guard = {"model": "rm", "uncertainty_penalty": 0.5, "max_tokens": 1, "token_penalty": 0.25}
    guarded = run(place, steps=1, output="second", reward=guard).history[0]
    assert guarded["completions/mean_length"] == plain["completions/mean_length"]
    lengths = plain["completions/mean_length"] - 1  # every response is longer than one token
    assert plain["completions/min_length"] >= 1
    expected = plain["reward"] - 0.5 * plain["rewards/rm/uncertainty"] - 0.25 * lengths
    assert guarded["reward"] == pytest.approx(expected, abs=1e-4)


def test_a_model_that_always_doubts_moves_nothing(place: Path) -> None:
    done = run(place, steps=1, beta=0.0, reward={"model": "rm", "max_uncertainty": 0.0})
    before, after = (AutoModelForCausalLM.from_pretrained(place / name) for name in ("policy", "out"))
    assert done.history[0]["rewards/rm/abstained"] == 1
    for a, b in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_plain_classifier_may_be_the_reward(place: Path) -> None:
    tiny.one_label_classifier(place / "other_rm")
    reward = {"model": "other_rm", "max_tokens": 1, "token_penalty": 0.25}
    first = run(place, steps=1, reward=reward).history[0]
    assert first["rewards/over_length/mean"] == pytest.approx(-0.25 * (first["completions/mean_length"] - 1))
    assert first["reward"] == pytest.approx(
        first["rewards/other_rm/mean"] + first["rewards/over_length/mean"], abs=1e-5
    )


def test_the_callable_stands_in_a_trainer_of_the_user(place: Path, reward_folder: Path) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    trainer = GRPOTrainer(
        model="policy",
        reward_funcs=[trl_reward(reward_folder)],
        args=GRPOConfig(
            output_dir="mine",
            max_steps=1,
            num_generations=2,
            per_device_train_batch_size=2,
            max_completion_length=6,
            bf16=False,
            use_cpu=True,
            report_to="none",
            logging_steps=1,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(
            [{"prompt": "question 1", "topic": "it"}] * 4
        ),  # plain text, a column more
    )
    trainer.train()
    assert trainer.state.log_history[0]["rewards/rm/mean"] == trainer.state.log_history[0]["reward"]


def test_a_log_gives_each_prompt_once_and_names_what_it_leaves_out(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"question": text} for text in ("a", "b", "a", " ", None)]
    (place / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = AlignConfig.read(written(place, prompts="log.jsonl", prompt_column="question"))
    with caplog.at_level("INFO", logger="tacit"):
        assert read_prompts(config) == ["a", "b"]
    assert sorted(record.getMessage() for record in caplog.records) == [
        "log.jsonl: 1 rows left out: prompt is empty",
        "log.jsonl: 1 rows left out: prompt is missing",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": None}, "policy: is missing"),
        ({"stepps": 3}, "stepps: no such option"),
        ({"reward": {"model": "rm", "lambda": 1}}, "reward.lambda: no such option"),
        ({"steps": 0}, "steps: Input should be greater than or equal to 1, found 0"),
        ({"beta": 0.0, "bounds": {"max_kl": 1.0}}, "needs beta > 0"),
        ({"bounds": {"max_mean_length": 13}}, "could never be passed"),
        ({"trainer": {"max_steps": 3}}, "trainer.max_steps is set by tacit"),
        ({"trainer": {"disable_tqdm": False}}, "trainer.disable_tqdm is set by tacit"),
        ({"reward": {"model": "nowhere", "uncertainty_penalty": 1.0}}, "no such folder nowhere"),
        ({"reward": {"model": "rm", "max_tokens": 5}}, "work together"),
    ],
)
def test_a_wrong_configuration_is_one_line(place: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        AlignConfig.read(written(place, **changes))
    assert words in str(refused.value) and "run.yaml" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"per_device_train_batch_size": 3}, "multiple of num_generations"),
        ({"trainer": {"use_vlm": True}}, "use_vlm"),
        ({"trainer": {"use_vllm": True}}, "vLLM"),
        ({"trainer": {"report_to": "wandb"}}, "wandb"),
        (
            {"trainer": {"max_grad_norm": "much"}},
            "trainer.max_grad_norm: found 'much', expected a number",
        ),
        ({"policy": "nowhere"}, "'nowhere'"),
        ({"prompts": "nowhere.jsonl"}, "no such file"),
        ({"prompt_column": "question"}, "no column 'question'"),
        ({"reward": {"model": "nowhere"}}, "reward.model 'nowhere'"),
        ({"output": "policy"}, "already holds"),
    ],
)
def test_what_only_a_run_can_find_is_one_line(place: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TacitError) as refused:
        run(place, **changes)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_numbers_that_yaml_reads_as_text_are_numbers(place: Path) -> None:
    assert yaml.safe_load("max_grad_norm: 1e-1") == {"max_grad_norm": "1e-1"}
    assert run(place, trainer={"max_grad_norm": "1e-1", "logging_steps": "2e0"}).steps == 2


def test_a_policy_whose_longest_text_is_no_number_is_one_line(place: Path) -> None:
    told = shutil.copytree(place / "policy", place / "odd") / "tokenizer_config.json"
    told.write_text(json.dumps({**json.loads(told.read_text()), "model_max_length": "128"}))
    with pytest.raises(ConfigError, match=r"policy .*model_max_length is '128'"):
        run(place, policy="odd")
    with pytest.raises(ConfigError, match=r"policy .*model_max_length is '128'"):
        Policy.open(place / "odd")


def test_chat_prompts_need_a_template(place: Path, tmp_path: Path) -> None:
    tiny.policy(tmp_path / "bare", template=None)
    with pytest.raises(ConfigError, match="no chat template"):
        run(place, policy="bare")


SAVING = {"save_strategy": "steps", "save_steps": 1}


def interrupted(place: Path, after: int = 1, **changes: Any) -> None:
    """A run that ends in the middle, as soon as the checkpoint of this step is written."""

    class Interrupt(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == after:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(grpo, "_progress_callback", lambda _: Interrupt())
        run(place, **{"steps": 3, "trainer": SAVING, **changes})


def test_an_interrupted_run_goes_on_from_its_checkpoint(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(place)
    with caplog.at_level("INFO", logger="tacit"):
        done = run(place, steps=3, trainer=SAVING)
    assert "going on from out/checkpoint-1" in caplog.messages
    assert done.steps == 3 and (place / "out" / "checkpoint-3").is_dir()
    assert not (place / "out" / "run.json").exists()  # align.json says it now
    with pytest.raises(ConfigError, match="already holds"):
        run(place, steps=3, trainer=SAVING)


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(place: Path) -> None:
    interrupted(place)
    with pytest.raises(ConfigError, match="which differs in learning_rate, seed;"):
        run(place, steps=3, trainer=SAVING, learning_rate=0.02, seed=1)
    prompts = (place / "prompts.jsonl").read_text()
    (place / "prompts.jsonl").write_text(prompts.replace("question 3", "question 9"))
    with pytest.raises(ConfigError, match="which differs in prompts;"):
        run(place, steps=3, trainer=SAVING)
    (place / "prompts.jsonl").write_text(prompts)
    for name, change in (("rm", tiny.reward_model), ("policy", tiny.policy)):  # another model under the name
        kept = (place / name).rename(place / "kept")
        change(place / name)
        touched = place / name / ("tacit.json" if name == "rm" else "config.json")
        touched.write_text(touched.read_text() + " ")
        differs = "reward" if name == "rm" else name
        with pytest.raises(ConfigError, match=f"which differs in {differs};") as refused:
            run(place, steps=3, trainer=SAVING)
        assert "\n" not in str(refused.value)
        shutil.rmtree(place / name)
        kept.rename(place / name)
    (place / "out" / "run.json").unlink()
    with pytest.raises(ConfigError, match="says of which run"):
        run(place, steps=3, trainer=SAVING)


@pytest.mark.parametrize("lora", [None, {"r": 2}])
def test_a_checkpoint_that_a_kill_cut_short_is_passed_over(
    lora: Any, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(place, after=2, lora=lora)
    (place / "out" / "checkpoint-2" / "trainer_state.json").unlink()
    weights = "adapter_model.safetensors" if lora else "model.safetensors"
    assert (place / "out" / "checkpoint-1" / weights).is_file()
    with caplog.at_level("INFO", logger="tacit"):
        assert run(place, steps=3, trainer=SAVING, lora=lora).steps == 3
    assert "going on from out/checkpoint-1" in caplog.messages


def test_a_run_killed_before_its_first_checkpoint_leaves_no_bar(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "run.json").write_text("{}")
    assert run(place, steps=1).steps == 1


def test_a_file_that_is_no_table_of_options_is_one_line(tmp_path: Path) -> None:
    for content in ("- a list", "a: [", "\x00"):
        (tmp_path / "c.yaml").write_text(content)
        with pytest.raises(ConfigError) as refused:
            AlignConfig.read(tmp_path / "c.yaml")
        assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="no such file"):
        AlignConfig.read(tmp_path / "none.yaml")
    with pytest.raises((ConfigError, DataError)):
        AlignConfig.read(tmp_path)
