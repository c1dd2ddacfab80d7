"""GRPO with TRL, a Tacit reward and its guards, from one checked configuration."""

from __future__ import annotations

import json
import logging
import math
import os
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from tacit.align.adapters.trl import trl_reward
from tacit.align.bounds import bounds_callback
from tacit.align.config import AlignConfig
from tacit.align.generation import require_place
from tacit.align.resuming import MARK, checkpoint_to_go_on_from, identity
from tacit.data.raw import need_columns
from tacit.data.readers import open_raw
from tacit.data.texts import read_texts
from tacit.errors import ConfigError, DataError
from tacit.features.chat import checked_tokenizer
from tacit.features.transformer import LOADING_ERRORS, quiet_transformers
from tacit.files import write_json
from tacit.knobs import as_number
from tacit.progress import progress

logger = logging.getLogger("tacit")


@dataclass(frozen=True)
class Aligned:
    """What a run did.

    Attributes:
        output: folder of the policy.
        steps: optimiser steps taken.
        prompts: different prompts it drew from.
        stopped: why it ended early, one sentence per bound; empty where it did not.
        history: TRL's metrics of each logging step.
    """

    output: str
    steps: int
    prompts: int
    stopped: list[str]
    history: list[dict[str, float]]


def align(config: AlignConfig, *, quiet: bool = True) -> Aligned:
    """Train a policy against a reward model with GRPO (Shao et al. 2024, arXiv:2402.03300, as TRL implements it).

    Args:
        config: what to run.
        quiet: no progress bar.

    Raises:
        ConfigError: TRL is missing, an option that TRL refuses, a policy that cannot be opened, or an output folder
            that holds anything but the beginning of this very run.
        DataError: prompts that cannot be used.
    """
    trl = _trl()
    if not config.reward.is_tacit:
        require_place("reward.model", config.reward.model)
    prompts = read_prompts(config)
    asked = identity(config, prompts) if is_first_process() else None
    resume = checkpoint_to_go_on_from(config.output, asked)
    tokenizer = _tokenizer(config.policy)
    if not isinstance(prompts[0], str) and not tokenizer.chat_template:
        raise ConfigError(
            f"{config.prompts} holds chat messages, but the tokenizer of {config.policy} has no chat template; give it "
            "one, or use plain prompts"
        )
    arguments = _arguments(
        trl, config
    )  # before the reward is opened: it tells this process which GPU is its own
    if asked is not None:  # written after the arguments, for which processes wait for each other
        write_json(config.output / MARK, asked)
    watch = bounds_callback(config.bounds)
    from datasets import Dataset
    from transformers import PrinterCallback

    with (
        quiet_transformers(),
        progress("aligning", config.steps, quiet=quiet or not is_first_process()) as bar,
    ):
        trainer = _made(
            trl.GRPOTrainer,
            config.policy,
            model=config.policy,
            reward_funcs=_rewards(config),
            args=arguments,
            train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
            processing_class=tokenizer,
            callbacks=[watch, _progress_callback(bar.advance)],
            peft_config=_peft(config),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=resume and str(resume))
        trainer.save_model(str(config.output))
    history = [{k: v for k, v in row.items() if v is not None} for row in trainer.state.log_history]
    done = Aligned(
        str(config.output), int(trainer.state.global_step), len(prompts), _stops(config, watch), history
    )
    if trainer.is_world_process_zero():
        (config.output / "training_args.bin").unlink(missing_ok=True)  # a pickle, which nothing here reads
        write_json(
            config.output / "align.json", {"config": json.loads(config.model_dump_json()), **_plain(done)}
        )
        (config.output / MARK).unlink(missing_ok=True)
    return done


def is_first_process() -> bool:
    """Whether this is the one process, or the first of those that `accelerate launch` started."""
    return os.environ.get("RANK", "0") == "0"


def read_prompts(config: AlignConfig) -> list[Any]:
    """The different prompts of the file in order of appearance, each text or a list of messages.

    Raises:
        DataError: no such file or column, or no usable prompt.
    """
    raw = open_raw(config.prompts)
    need_columns(raw, [(config.prompt_column, "prompt")])
    column, bad = read_texts(raw.column(config.prompt_column), "prompt", str(config.prompts))
    usable_N = ~np.any(list(bad.values()), axis=0)
    for reason, rows_N in bad.items():
        if rows_N.any():
            logger.info("%s: %d rows left out: %s", config.prompts, int(rows_N.sum()), reason)
    values = (value for value, usable in zip(column.to_pylist(), usable_N, strict=True) if usable)
    different = list({json.dumps(value, sort_keys=True): value for value in values}.values())
    if not different:
        raise DataError(f"{config.prompts}: no usable prompt in column {config.prompt_column!r}")
    return different


def _rewards(config: AlignConfig) -> list[Any]:
    reward = config.reward
    if reward.is_tacit:
        return [trl_reward(reward.model, **asdict(reward.guard()))]
    if reward.max_tokens is None:
        return [reward.model]

    def over_length(completion_ids: Any, **_: Any) -> list[float]:
        limit, price = reward.max_tokens or 0, reward.token_penalty
        return [-price * max(0, len(ids) - limit) for ids in completion_ids]

    return [reward.model, over_length]  # TRL adds them up


def _trl() -> Any:
    try:
        import trl
    except ImportError as error:
        raise ConfigError(f'tacit align needs trl: pip install "tacit[rlhf]" ({error})') from None
    return trl


def _arguments(trl: Any, config: AlignConfig) -> Any:
    import torch

    batch = config.per_device_train_batch_size * config.gradient_accumulation_steps
    batch *= int(os.environ.get("WORLD_SIZE", "1"))
    if batch % config.num_generations:
        raise ConfigError(
            f"{batch} responses per step (per_device_train_batch_size × gradient_accumulation_steps × processes) are "
            f"no multiple of num_generations {config.num_generations}; make them one"
        )
    on_gpu = config.device == "auto" and torch.cuda.is_available()
    given = {"logging_steps": 1, "save_strategy": "no", "report_to": "none", **config.trainer}
    numbers = {knob.name: knob.default for knob in fields(trl.GRPOConfig)}
    try:
        given = {name: as_number(name, value, numbers.get(name)) for name, value in given.items()}
    except ValueError as error:
        raise ConfigError(f"trainer.{error}") from None
    return _made(
        trl.GRPOConfig,
        "trainer",
        output_dir=str(config.output),
        max_steps=config.steps,
        learning_rate=config.learning_rate,
        beta=config.beta,
        num_generations=config.num_generations,
        max_completion_length=config.max_completion_length,
        per_device_train_batch_size=config.per_device_train_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        temperature=config.temperature,
        mask_truncated_completions=config.mask_truncated_completions,
        seed=config.seed,
        disable_tqdm=True,
        **{"bf16": on_gpu, "use_cpu": not on_gpu} | given,
    )


def _made(kind: Any, what: str, **options: Any) -> Any:
    """Call a class of TRL; what it refuses, or a package or model that it cannot open, becomes one line."""
    from tacit.features.transformer import refused_in_one_line

    with refused_in_one_line(what):
        return kind(**options)


def _tokenizer(policy: str) -> Any:
    from transformers import AutoTokenizer

    require_place("policy", policy)
    try:
        return checked_tokenizer(
            AutoTokenizer.from_pretrained(policy, padding_side="left", truncation_side="left")
        )
    except LOADING_ERRORS as error:
        first = " ".join(str(error).split())
        raise ConfigError(f"policy {policy!r}: its tokenizer cannot be opened: {first}") from None


def _peft(config: AlignConfig) -> Any:
    if config.lora is None:
        return None
    try:
        return config.lora.peft(target_modules="all-linear", task_type="CAUSAL_LM")
    except ImportError:
        raise ConfigError('lora needs peft: pip install "tacit[train]"') from None


def _stops(config: AlignConfig, watch: Any) -> list[str]:
    return list(watch.reasons) if config.bounds.action == "stop" else []


def _plain(done: Aligned) -> dict[str, Any]:
    """Without NaN and infinities, which JSON has not."""
    history = [
        {k: v for k, v in row.items() if not (isinstance(v, float) and not math.isfinite(v))}
        for row in done.history
    ]
    return {"steps": done.steps, "prompts": done.prompts, "stopped": done.stopped, "history": history}


def _progress_callback(advance: Any) -> Any:
    """Report each step, and the reward of the last log beside it; TRL's own printer writes to standard output."""
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        note = ""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and logs.get("reward") is not None:
                self.note = f"reward {logs['reward']:.3f}"

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            advance(1, self.note)

    return Steps()
