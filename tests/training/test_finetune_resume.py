"""A run that was killed with SIGKILL goes on as if nothing had been."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from killed_worker import DYING_STEP, settings

import tacit
from finetune_world import clicks_log, texts
from tacit.finetuning import feedback_trainer
from tacit.training.finetune.checkpoints import last_complete
from tiny_models import tiny_causal

JOBS = tuple(DYING_STEP)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts, responses, _ = texts()
    return tiny_causal(tmp_path_factory.mktemp("models") / "base", prompts + responses)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the process that is killed: on some processors two threads add up in another order than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def killed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each job left when it was killed."""
    out = tmp_path_factory.mktemp("killed")
    worker = Path(__file__).with_name("killed_worker.py")
    done = subprocess.run(
        [sys.executable, str(worker), str(base), str(out), *JOBS],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def history(folder: Path) -> list[dict[str, Any]]:
    """What was logged until the last checkpoint; times left out."""
    found = last_complete(folder)
    assert found is not None
    return json.loads((found / "trainer_state.json").read_text())["log_history"]


def assert_same_curve(one: Path, two: Path, steps: int) -> None:
    first, second = history(one), history(two)
    for key in (
        "loss",
        "grad_norm",
        "mean_reward",
        "propensity",
        "num_tokens",
        "learning_rate",
        "eval_criterion",
    ):
        values = [entry[key] for entry in first if key in entry]
        assert len(values) == (steps // 5 if key == "eval_criterion" else steps)
        np.testing.assert_allclose(
            [entry[key] for entry in second if key in entry], values, rtol=1e-6, atol=1e-6, err_msg=key
        )


@pytest.mark.parametrize("job", JOBS)
def test_a_killed_run_goes_on_with_the_curve_and_ends_with_the_model_of_a_whole_one(
    job: str, base: Path, tmp_path: Path, killed: Path
) -> None:
    log = clicks_log()
    whole = tacit.finetune(log, **settings(str(base), tmp_path / "whole", job))
    left = tmp_path / "left"
    shutil.copytree(killed / job, left)
    assert last_complete(left) == left / "checkpoint-10"
    assert (left / "checkpoint-15").exists() == (DYING_STEP[job] == 15), (
        "half of it, where the kill fell into it"
    )
    resumed = tacit.finetune(log, **settings(str(base), left, job), resume=True)
    assert_same_curve(tmp_path / "whole", left, 30)
    pairs = list(zip(log.prompts()[:20], log.responses()[:20], strict=True))
    np.testing.assert_allclose(resumed.member_scores(pairs), whole.member_scores(pairs), atol=1e-5)
    assert resumed.level == pytest.approx(whole.level, abs=1e-6)
    shutil.copytree(killed / job / "checkpoint-10", tmp_path / "copy")
    assert_restored(base, tmp_path, job)


def assert_restored(base: Path, folder: Path, job: str) -> None:
    """Every trained tensor of the checkpoint is in the trainer, and a checkpoint of an adapter holds no other."""
    from safetensors.torch import load_file

    trainer = feedback_trainer(clicks_log(), **settings(str(base), folder / "opened", job))
    trainer._load_from_checkpoint(str(folder / "copy"))
    saved = load_file(folder / "copy" / "model.safetensors")
    trained = {name: value for name, value in trainer.model.named_parameters() if value.requires_grad}
    assert trained.keys() == saved.keys()
    assert {"level"} <= saved.keys() and any("side.propensity" in name for name in saved)
    assert all((value == saved[name]).all() for name, value in trained.items())


@pytest.mark.parametrize("last", [10, 15])  # 15: killed when all was trained, and nothing saved
def test_a_resumed_run_stops_early_where_the_whole_one_did(base: Path, tmp_path: Path, last: int) -> None:
    more = settings(str(base), tmp_path / "whole", "full")
    more["args"] |= {"learning_rate": 1e-12, "propensity_learning_rate": 0.0, "patience": 2}  # no progress
    whole = feedback_trainer(clicks_log(), **more)
    whole.train()
    assert whole.state.global_step == 15
    more["args"]["output_dir"] = str(tmp_path / "again")
    again = feedback_trainer(clicks_log(), **more)
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{last}"))
    assert again.state.global_step == 15
    done, same = whole.fitted(), again.fitted()
    assert done is not None and same is not None
    for name, value in done.network.state_dict().items():
        assert torch.equal(value, same.network.state_dict()[name]), name


@pytest.fixture
def checkpoints(killed: Path, tmp_path: Path) -> Path:
    for step in (5, 10, 20):
        shutil.copytree(killed / "lora" / "checkpoint-10", tmp_path / f"checkpoint-{step}")
        state = tmp_path / f"checkpoint-{step}" / "trainer_state.json"
        state.write_text(json.dumps({**json.loads(state.read_text()), "global_step": step}))
    return tmp_path


@pytest.mark.parametrize("name", ["trainer_state.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(
    checkpoints: Path, name: str, damage: str
) -> None:
    assert last_complete(checkpoints) == checkpoints / "checkpoint-20"
    file = checkpoints / "checkpoint-20" / name
    content = file.read_bytes()
    file.unlink()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    assert last_complete(checkpoints) == checkpoints / "checkpoint-10"


def test_without_a_whole_checkpoint_training_begins_and_says_so(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run" / "checkpoint-5").mkdir(parents=True)
    more = settings(str(base), tmp_path / "run", "full")
    more["args"] |= {"max_steps": 2, "save_strategy": "no", "eval_strategy": "no"}
    with caplog.at_level(logging.WARNING, logger="tacit"):
        trainer = feedback_trainer(clicks_log(), **more)
        trainer.train(resume_from_checkpoint=True)
    assert trainer.state.global_step == 2
    assert any("no whole checkpoint" in message for message in caplog.messages)
