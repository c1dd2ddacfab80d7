"""One process of a distributed run: runs jobs one after another, and writes losses and scores of each as JSON.

Launched by test_finetune_distributed.py: torchrun ... finetune_worker.py BASE OUT JOB [JOB ...]
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import torch
from peft import LoraConfig

from finetune_world import clicks_log, rated_log
from tacit.finetuning import feedback_trainer
from tacit.training.finetune.reporting import train_quietly

FSDP2 = {"fsdp": True, "fsdp_config": {"fsdp_version": 2, "activation_checkpointing": True}}
JOBS: dict[str, dict[str, Any]] = {
    "full": {"method": "implicit_rm"},
    "lora": {"method": "implicit_rm", "lora": True},
    "batch": {"method": "snips"},
    "uneven": {"method": "implicit_rm", "rows": 50, "max_steps": 6},
    "resumed": {"method": "implicit_rm", "lora": True, "save_strategy": "steps", "save_steps": 10}
    | {"eval_strategy": "steps", "eval_steps": 10},
}


def trainer_of(base: str, folder: Path, job: str, world: int, **more: Any) -> Any:
    """The trainer of a job; batches over all processes are the same for every number of them."""
    wants = dict(JOBS[job])
    log = (rated_log if wants["method"] == "snips" else clicks_log)(wants.pop("rows", 400))
    method, lora = wants.pop("method"), wants.pop("lora", False)
    args = {
        "output_dir": str(folder),
        "use_cpu": True,
        "max_steps": 20,
        "learning_rate": 1e-3,
        "per_device_train_batch_size": 16 // world,
        "logging_steps": 1,
        "eval_strategy": "no",
        "save_strategy": "no",
        **wants,
        **more,
    }
    adapter = LoraConfig(r=4, target_modules="all-linear") if lora else None
    return feedback_trainer(log, base, method=method, args=args, peft_config=adapter, encoder="hashing:32")


def run(base: str, folder: Path, job: str, world: int, **more: Any) -> dict[str, Any] | None:
    """What a run logs at each step, and the scores of the folder that it saves; None on the other processes."""
    trainer = trainer_of(base, folder / "run", job, world, **more)
    done = train_quietly(trainer, resume=False, quiet=True)
    trainer.save_model(str(folder / "plain"))
    found = logged(trainer)
    if job == "resumed":  # the second half again, from the checkpoint of the first
        again = trainer_of(base, folder / "again", job, world, **more)
        train_quietly(again, resume=str(folder / "run" / "checkpoint-10"), quiet=True)
        found["again"] = logged(again)
    if not trainer.is_world_process_zero():
        return None
    return {**found, "level": done.level, "scores": plain_scores(folder / "plain")}


def logged(trainer: Any) -> dict[str, Any]:
    """Loss, norm of the gradient, mean reward and number of tokens of every step."""
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    return {key: [step[key] for step in steps] for key in ("loss", "grad_norm", "mean_reward", "num_tokens")}


def plain_scores(folder: Path) -> list[float]:
    """Scores that transformers alone gives to a few chats."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    scores = []
    for chat in clicks_log().messages()[:8]:
        ids = tokenizer(tokenizer.apply_chat_template(chat, tokenize=False), add_special_tokens=False)
        with torch.no_grad():
            scores.append(float(network(input_ids=torch.tensor([ids["input_ids"]])).logits[0, 0]))
    return scores


def shard_on_cpu() -> None:
    """Let accelerate shard on the CPU: it would run DDP, though torch's `fully_shard` works there."""
    from accelerate.state import AcceleratorState, DistributedType, PartialState

    as_it_was = AcceleratorState.__init__

    def init(self: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
        as_it_was(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
            PartialState._shared_state["distributed_type"] = (
                DistributedType.FSDP
            )  # as accelerate does elsewhere

    AcceleratorState.__init__ = init


if __name__ == "__main__":
    torch.set_num_threads(1)
    base, out, kind, *jobs = sys.argv[1:]
    if kind == "fsdp2":
        shard_on_cpu()
    for job in jobs:
        found = run(base, Path(out) / job, job, 2, **(FSDP2 if kind == "fsdp2" else {}))
        if found is not None:
            (Path(out) / f"{job}.json").write_text(json.dumps(found))
        print(os.environ["RANK"], job, "done", flush=True)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    sys.stdout.flush()
    os._exit(
        0
    )  # on a busy machine threads of torch's own are still ending, and the interpreter would abort on them
