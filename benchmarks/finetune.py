"""Tokens per second and model FLOPs utilisation of fine-tuning, beside TRL's RewardTrainer on the same model and chats.

    python benchmarks/finetune.py                                   # a small random Qwen3, for any machine
    python benchmarks/finetune.py --model Qwen/Qwen3-0.6B --bf16 --steps 40 --batch 32 --chats 8000 --out finetune.json

Both train on the same chats with the same number of them per step; TRL reads them as pairs, of which it forwards both
sides. Each runs with its own habits (ours sorts chats of similar length together, TRL draws pairs at random);
`--order random` takes that advantage away. Tokens are those that are not padding; steps are timed after a warm-up, the
contenders take turns, and the ratio is the median over turns. Without a GPU, seconds are those of the processor, so
that neighbours on the machine do not count. Model FLOPs of a token: 6 × weights that multiply it (4 × with an adapter,
whose frozen weights get no gradient) and 12 × layers × width × mean length for attention, with nothing taken off for
its mask.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read by OpenMP when torch is loaded

import numpy as np
import torch
from transformers import TrainerCallback

PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # dense bfloat16, as NVIDIA states it
TARGET = 1.0


def chats(count: int, median: int, seed: int) -> tuple[list[str], list[str]]:
    """Prompts, two answers each, and responses of lognormal length, in words."""
    rng = np.random.default_rng(seed)
    words = np.array([f"w{i}" for i in range(2000)])
    lengths = np.clip(rng.lognormal(np.log(median), 0.7, count), 4, 16 * median).astype(int)
    responses = [" ".join(rng.choice(words, n)) for n in lengths]
    prompts = [" ".join(rng.choice(words, 20)) for _ in range(count // 2)]
    return [prompts[i // 2] for i in range(count)], responses


def small_model(folder: Path, texts: list[str], width: int, layers: int) -> Path:
    """A folder with a Qwen3 of random weights and a tokenizer of words."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from tiny_models import tiny_tokenizer

    tokenizer = tiny_tokenizer(texts)
    tokenizer.model_max_length = 4096
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 64,
        head_dim=32,
        max_position_embeddings=4096,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Meter(TrainerCallback):
    """Seconds and tokens of the steps after the warm-up."""

    def __init__(self, trainer: Any, warmup: int) -> None:
        self.warmup, self.seconds, self.places = warmup, 0.0, 0
        self.tokens: torch.Tensor | int = 0
        self.counting = False
        self.chats = 0  # of the steps that are timed
        self._loss = trainer.compute_loss
        # not a hook on the network: that would be compiled with it, and again at every count
        trainer.compute_loss = self._count

    def _count(self, model: Any, inputs: dict[str, Any], *args: Any, **keywords: Any) -> Any:
        if self.counting:
            self.tokens = self.tokens + inputs["attention_mask"].sum()  # read when all is over
            self.places += inputs["attention_mask"].numel()
        return self._loss(model, inputs, *args, **keywords)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock once the warm-up is over."""
        if state.global_step == self.warmup:
            synchronise()
            self.counting, self.start = True, clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop it at the last step."""
        if state.global_step == state.max_steps:
            synchronise()
            self.seconds = clock() - self.start

    def found(self, network: torch.nn.Module, *, lora: bool, peak: float | None) -> dict[str, float]:
        """Tokens per second, the share of places that is padding, TFLOP/s, and the share of the peak if known."""
        tokens = int(self.tokens)
        config = network.config
        inside = sum(p.numel() for name, p in network.named_parameters() if "embed_tokens" not in name)
        mean_length = tokens / max(self.chats, 1)
        per_token = (4 if lora else 6) * inside
        per_token += 12 * config.num_hidden_layers * config.hidden_size * mean_length
        rate = tokens / self.seconds
        told = {
            "tokens_per_second": rate,
            "padding": 1 - tokens / self.places,
            "tflops": rate * per_token / 1e12,
        }
        return told if peak is None else {**told, "mfu": rate * per_token / peak}


def clock() -> float:
    """Seconds: of the wall, or without a GPU those that this process computed."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def knobs(options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """What both trainers are told."""
    return {
        "output_dir": str(out),
        "max_steps": options.steps + options.warmup,
        "per_device_train_batch_size": options.batch,
        "learning_rate": 1e-5,
        "bf16": options.bf16,
        "use_cpu": not torch.cuda.is_available(),
        "eval_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 10,
        "max_length": options.max_length,
        "torch_compile": options.compile,
    }


def adapter(options: argparse.Namespace) -> Any:
    """The same adapter for both, or none."""
    if not options.lora:
        return None
    from peft import LoraConfig

    return LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="SEQ_CLS")


def ours(options: argparse.Namespace, model: str, texts: tuple[list[str], list[str]], out: Path) -> Any:
    """A FeedbackRewardTrainer, and the classifier in it."""
    from tacit.data import FeedbackLog, Roles, Signal
    from tacit.training.finetune import FeedbackRewardConfig, FeedbackRewardTrainer

    clicks = np.random.default_rng(0).integers(0, 2, len(texts[0])).tolist()
    log = FeedbackLog.from_columns(
        {"prompt": texts[0], "response": texts[1], "copied": clicks}, Roles(signals=(Signal("copied"),))
    )
    more = {"train_sampling_strategy": "random"} if options.order == "random" else {}
    args = FeedbackRewardConfig(**knobs(options, out), **more, method="implicit_rm", holdout=0.0)
    trainer = FeedbackRewardTrainer(model, args=args, train_dataset=log, peft_config=adapter(options))
    return trainer, trainer.model.backbone


def theirs(options: argparse.Namespace, model: str, texts: tuple[list[str], list[str]], out: Path) -> Any:
    """TRL's RewardTrainer on the same chats as pairs, and its classifier."""
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    prompts, responses = texts
    rows: dict[str, list[Any]] = {"chosen": [], "rejected": []}
    for i in range(0, len(prompts), 2):
        for side, j in (("chosen", i), ("rejected", i + 1)):
            user, answer = (
                {"role": "user", "content": prompts[j]},
                {"role": "assistant", "content": responses[j]},
            )
            rows[side].append([user, answer])
    told = knobs(options, out) | {"per_device_train_batch_size": options.batch // 2}
    args = RewardConfig(**told, gradient_checkpointing=False, model_init_kwargs={"dtype": "float32"})
    trainer = RewardTrainer(
        model, args=args, train_dataset=Dataset.from_dict(rows), peft_config=adapter(options)
    )
    return trainer, trainer.model


def measured(
    contender: Any, options: argparse.Namespace, model: str, texts: Any, peak: float | None
) -> dict[str, float]:
    """One run of a contender."""
    with tempfile.TemporaryDirectory() as out:
        trainer, network = contender(options, model, texts, Path(out))
        meter = Meter(trainer, options.warmup)
        meter.chats = options.steps * options.batch
        trainer.add_callback(meter)
        trainer.train()
        found = meter.found(network, lora=options.lora, peak=peak)
    del trainer, network
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found


def main() -> int:
    """Print a table; exit status 1 below the target."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="hub id or folder; by default a small random Qwen3")
    parser.add_argument("--width", type=int, default=256, help="of the random model")
    parser.add_argument("--layers", type=int, default=4, help="of the random model")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--lora", action="store_true", help="an adapter of rank 16 instead of all weights")
    parser.add_argument("--compile", action="store_true", help="torch.compile; take a longer --warmup")
    parser.add_argument("--order", choices=("own", "random"), default="own", help="how we draw batches")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16, help="chats per step")
    parser.add_argument("--chats", type=int, default=1600)
    parser.add_argument("--words", type=int, default=60, help="median length of a response")
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--peak", type=float, help="FLOP/s of the device; known for H100, H200 and A100 in bfloat16"
    )
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    peak = options.peak or next(
        (rate for name, rate in PEAK.items() if name in device and options.bf16), None
    )
    texts = chats(options.chats, options.words, 0)
    found: dict[str, list[dict[str, float]]] = {"FeedbackRewardTrainer": [], "TRL RewardTrainer": []}
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or str(
            small_model(Path(folder) / "model", texts[0] + texts[1], options.width, options.layers)
        )
        for _ in range(options.repeats):
            for name, contender in zip(found, (ours, theirs), strict=True):
                found[name].append(measured(contender, options, model, texts, peak))
    middle = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in found.items()
    }
    turns = zip(*found.values(), strict=True)
    ratio = statistics.median(mine["tokens_per_second"] / other["tokens_per_second"] for mine, other in turns)
    name = options.model or "a small random Qwen3"
    print(f"\n{name} on {device}, {options.batch} chats per step, {options.steps} steps")
    for name, figures in middle.items():
        mfu = f", MFU {figures['mfu']:.3f}" if "mfu" in figures else ""
        print(
            f"{name:24} {figures['tokens_per_second']:12,.0f} tokens/s  {figures['padding']:6.1%} padding  "
            f"{figures['tflops']:9.3f} TFLOP/s{mfu}"
        )
    print(f"ratio {ratio:.2f} (target ≥ {TARGET})")
    if options.out:
        settings = {key: value for key, value in vars(options).items() if key != "out"}
        told = {
            "device": device,
            "torch": torch.__version__,
            "settings": settings,
            "median": middle,
            "runs": found,
            "ratio": ratio,
        }
        options.out.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
