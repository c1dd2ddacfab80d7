"""Fine-tuning on several processes is fine-tuning on one: same losses, same folder. Two processes, CPU, gloo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from finetune_worker import run

from finetune_world import texts
from tacit.training.finetune import FeedbackRewardTrainer
from tacit.training.finetune.order import EpochOrder
from tiny_models import tiny_causal


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts, responses, _ = texts()
    return tiny_causal(tmp_path_factory.mktemp("models") / "base", prompts + responses)


def launched(base: Path, out: Path, kind: str, *jobs: str) -> dict[str, Any]:
    """Jobs on two processes, as torchrun starts them; what each found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    worker = Path(__file__).with_name("finetune_worker.py")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    done = subprocess.run(
        [*launcher, str(worker), str(base), str(out), kind, *jobs],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {job: json.loads((out / f"{job}.json").read_text()) for job in jobs}


@pytest.fixture(scope="module")
def alone(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("alone")
    return {job: run(str(base), out / job, job, 1) for job in ("full", "lora", "batch", "uneven")}


@pytest.fixture(scope="module")
def ddp(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return launched(base, tmp_path_factory.mktemp("ddp"), "ddp", "full", "lora", "batch", "uneven")


@pytest.fixture(scope="module")
def fsdp2(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return launched(base, tmp_path_factory.mktemp("fsdp2"), "fsdp2", "full", "resumed")


def assert_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    for key in ("loss", "grad_norm", "mean_reward", "scores", "level"):
        np.testing.assert_allclose(two[key], one[key], atol=1e-4, err_msg=key)


@pytest.mark.parametrize("job", ["full", "lora"])
def test_ddp_gives_the_losses_and_the_folder_of_one_process(
    job: str, alone: dict[str, Any], ddp: dict[str, Any]
) -> None:
    assert len(ddp[job]["loss"]) == 20
    assert_same(alone[job], ddp[job])
    assert ddp[job]["num_tokens"] == alone[job]["num_tokens"]


@pytest.mark.parametrize(("job", "sharded"), [("full", "full"), ("lora", "resumed")])
def test_fsdp2_gives_the_losses_and_the_folder_of_one_process(
    job: str, sharded: str, alone: dict[str, Any], fsdp2: dict[str, Any]
) -> None:
    assert len(fsdp2[sharded]["loss"]) == 20
    assert_same(alone[job], fsdp2[sharded])


def test_fsdp2_with_an_adapter_goes_on_from_a_checkpoint_as_if_nothing_had_been(
    fsdp2: dict[str, Any],
) -> None:
    found = fsdp2["resumed"]
    assert found["again"] == {key: found[key] for key in found["again"]}


def test_rows_that_only_fill_the_last_batch_of_an_epoch_do_not_count(
    alone: dict[str, Any], ddp: dict[str, Any]
) -> None:
    # 45 rows are two batches of 16 and one of 13: the second process gets 5 rows and three that come again
    assert len(ddp["uneven"]["loss"]) == 6
    for key in ("loss", "grad_norm", "scores"):
        np.testing.assert_allclose(ddp["uneven"][key], alone["uneven"][key], atol=1e-4, err_msg=key)


def test_statistics_of_a_batch_are_those_of_one_process_as_with_accumulated_batches(
    base: Path, tmp_path: Path, alone: dict[str, Any], ddp: dict[str, Any]
) -> None:
    # snips divides by a mean over the batch: over the rows of one process, which is what accumulation gives too
    more = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}
    accumulated = run(str(base), tmp_path, "batch", 1, **more)
    np.testing.assert_allclose(ddp["batch"]["loss"], accumulated["loss"], atol=1e-4)
    np.testing.assert_allclose(ddp["batch"]["scores"], accumulated["scores"], atol=1e-4)
    assert np.mean(ddp["batch"]["loss"]) == pytest.approx(np.mean(alone["batch"]["loss"]), abs=0.02)


@pytest.mark.parametrize(("job", "asks_as_before_5_19"), [("full", True), ("uneven", False)])
def test_accumulated_batches_give_the_losses_of_one_big_batch(
    job: str,
    asks_as_before_5_19: bool,
    base: Path,
    tmp_path: Path,
    alone: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if asks_as_before_5_19:  # transformers, who divides by the number of batches
        monkeypatch.setattr(FeedbackRewardTrainer, "loss_is_scaled_for_ga", None)
    found = run(str(base), tmp_path, job, 1, per_device_train_batch_size=4, gradient_accumulation_steps=4)
    for key in ("loss", "grad_norm", "scores"):
        np.testing.assert_allclose(found[key], alone[job][key], atol=1e-4, err_msg=key)


def test_the_order_is_the_same_for_whoever_asks_and_another_in_every_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 99, 203).tolist()

    def order(epoch: int, seed: int = 0) -> list[int]:
        return list(EpochOrder(203, 8, seed=seed, epoch=lambda: epoch, lengths=lengths))

    assert order(1) == order(1)
    assert sorted(order(1)) == sorted(order(2)) == list(range(203))
    assert order(1) != order(2) and order(1) != order(1, seed=1)
    assert lengths[order(1)[0]] == max(lengths)


def test_batches_of_similar_length_pad_a_small_part_of_what_random_ones_do() -> None:
    lengths = np.random.default_rng(0).integers(1, 99, 4000)

    def padding(of: list[int] | None) -> int:
        order = list(EpochOrder(4000, 8, seed=0, epoch=lambda: 0, lengths=of))
        return sum(
            int((lengths[order[at : at + 8]].max() - lengths[order[at : at + 8]]).sum())
            for at in range(0, 4000, 8)
        )

    assert padding(lengths.tolist()) < 0.1 * padding(None)
