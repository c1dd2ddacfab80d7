"""From a feedback log to a policy that learns from it, on a laptop, nothing downloaded.

    pip install -c constraints.txt ".[train,rlhf,serve]"
    python examples/finetune_export_align.py

For a tiny Qwen3 and a tiny Llama, whose tokenizers are trained on the spot:

    a simulated log  →  fine-tuning with LoRA  →  export  →  reload with AutoModelForSequenceClassification
                     →  one step of GRPO, paid by the exported folder and by our callable
                     →  a server whose three endpoints give that same score

Every arrow is checked; the script ends with a table, or with the first assertion that does not hold. With a real
backbone only `make_backbone` goes: name a folder or a hub id instead.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
import urllib.request
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: small products beside other work

import numpy as np
import torch
from peft import LoraConfig
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.utils import logging as transformers_logging
from trl import GRPOConfig, GRPOTrainer

import tacit
from tacit.align.adapters.trl import trl_reward
from tacit.data import FeedbackLog, Roles, Signal
from tacit.model.export import export
from tacit.serving.app import create_app

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} </s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TASKS = ("sort", "sum", "reverse", "filter", "count", "join")
THINGS = ("a list", "numbers", "some words", "a file", "two tables")


def simulate(rows: int = 800, seed: int = 0) -> FeedbackLog:
    """Users like answers that say what to call, and copy one that they like where they have a hand free."""
    rng = np.random.default_rng(seed)
    table: dict[str, list[Any]] = {"prompt": [], "response": [], "copied": [], "slot": []}
    for _ in range(rows // 4):
        task, thing = rng.choice(TASKS), rng.choice(THINGS)
        for _ in range(4):
            helps, slot = rng.random() < 0.5, int(rng.integers(3))
            acts = rng.random() < (0.9, 0.5, 0.2)[slot]
            table["prompt"].append(f"how do I {task} {thing}")
            table["response"].append(
                f"call {task} on {thing}" if helps else f"you can {task} {thing} somehow"
            )
            table["copied"].append(int(helps and acts))
            table["slot"].append(slot)
    return FeedbackLog.from_columns(table, Roles(signals=(Signal("copied"),), context=("slot",)))


def make_backbone(folder: Path, family: str, texts: list[str]) -> Path:
    """A causal language model of random weights, with a tokenizer of the words of the log."""
    inner = Tokenizer(models.WordLevel(unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = ["<pad>", "<s>", "</s>", "<unk>", "<|user|>", "<|assistant|>", "<|system|>"]
    inner.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=special))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=128,
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    model = (
        Qwen3ForCausalLM(Qwen3Config(**shape, head_dim=12))
        if family == "qwen3"
        else LlamaForCausalLM(LlamaConfig(**shape))
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def reload_and_score(folder: Path, log: FeedbackLog) -> np.ndarray:
    """As anyone would who has transformers and has never heard of Tacit."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [tokenizer.apply_chat_template(chat, tokenize=False) for chat in log.messages()]
    batch = tokenizer(texts, padding=True, add_special_tokens=False, return_tensors="pt")
    with torch.no_grad():
        scores: np.ndarray = model(**batch).logits[:, 0].numpy()
    return scores


def one_grpo_step(policy: Path, reward: Path, place: Path, log: FeedbackLog) -> dict[str, float]:
    """A step of TRL's GRPO, paid twice: by the folder as TRL loads it, and by our callable."""
    from datasets import Dataset

    prompts = [{"prompt": [{"role": "user", "content": prompt}]} for prompt in log.prompts()[:16:4]]
    trainer = GRPOTrainer(
        model=str(policy),
        reward_funcs=[str(reward), trl_reward(reward.parent / "rm", name="callable")],
        args=GRPOConfig(
            output_dir=str(place),
            max_steps=1,
            num_generations=4,
            per_device_train_batch_size=4,
            max_completion_length=8,
            logging_steps=1,
            bf16=False,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(prompts),
        processing_class=AutoTokenizer.from_pretrained(policy),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    logged: dict[str, float] = next(row for row in trainer.state.log_history if "reward" in row)
    return logged


class Server:
    """The model over HTTP on a free port of this machine, for as long as the block lasts."""

    def __init__(self, folder: Path) -> None:
        import uvicorn

        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        app = create_app(tacit.load(folder), folder.name)
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})

    def __enter__(self) -> Server:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to a JSON body."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def served_scores(folder: Path, log: FeedbackLog) -> dict[str, np.ndarray]:
    """The score of each chat by endpoint, as OpenRLHF, verl or vLLM's clients, and ours, ask for it."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rendered = [tokenizer.apply_chat_template(chat, tokenize=False) for chat in log.messages()]
    pairs = [{"prompt": p, "response": r} for p, r in zip(log.prompts(), log.responses(), strict=True)]
    with Server(folder) as server:
        scores = server.post("/v1/score", {"pairs": pairs})["scores"]
        rewards = server.post("/get_reward", {"query": rendered})["rewards"]
        classes = server.post("/classify", {"model": folder.name, "input": rendered})["data"]
    return {
        "/v1/score": np.array([row["reward"] for row in scores]),
        "/get_reward": np.array(rewards),
        "/classify": np.array([row["probs"][0] for row in classes]),
    }


def run(family: str, place: Path) -> None:
    """The whole way, for one family of models."""
    started = time.perf_counter()
    log = simulate()
    few = log.take(range(32))
    base = make_backbone(place / "base", family, log.prompts() + log.responses())

    rm = tacit.finetune(
        log,
        str(base),
        method="implicit_rm",
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"),
        args={
            "output_dir": str(place / "checkpoints"),
            "use_cpu": True,
            "learning_rate": 1e-2,
            "num_train_epochs": 6,
            "per_device_train_batch_size": 32,
        },
    )
    rm.save(place / "rm")
    expected = rm.score(few)
    helps = np.array([response.startswith("call") for response in few.responses()])
    gap = expected[helps].mean() - expected[~helps].mean()
    assert gap > 1, f"the reward tells liked from other answers by {gap:.2f} logits only"

    export(rm, place / "export")
    reloaded = reload_and_score(place / "export", few)
    digits = 1e-6 * max(1, np.abs(expected).max())  # of float32
    assert np.abs(reloaded - expected).max() < digits, "the export scores something else"

    logged = one_grpo_step(base, place / "export", place / "grpo", log)
    paid = logged["rewards/export/mean"], logged["rewards/callable/mean"]
    assert abs(paid[0] - paid[1]) < 1e-4, f"the folder and the callable pay differently: {paid}"

    served = served_scores(place / "rm", few)
    for path, scores in served.items():
        assert np.abs(scores - expected).max() < 1e-5, f"{path} gives another score"

    print(
        f"{family:<6} liked − not liked {gap:+.2f} logits   export {np.abs(reloaded - expected).max():.1e}   "
        f"GRPO paid {paid[0]:+.3f} by the folder, {paid[1]:+.3f} by the callable   "
        + "   ".join(f"{path} {np.abs(scores - expected).max():.1e}" for path, scores in served.items())
        + f"   {time.perf_counter() - started:.0f} s"
    )


def main() -> None:
    """Both families."""
    warnings.simplefilter("ignore", FutureWarning)  # transformers renames what TRL calls by its older name
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for family in ("qwen3", "llama"):
        with tempfile.TemporaryDirectory() as place:
            run(family, Path(place))


if __name__ == "__main__":
    main()
