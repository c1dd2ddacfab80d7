"""`tacit align config.yaml`: everything about a GRPO run, checked before a model is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tacit.align.rewards import RewardGuard
from tacit.settings import LoraSettings, Settings

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1)]


class RewardConfig(Settings):
    """The reward model, and the brakes of `RewardGuard`.

    Attributes:
        model: a Tacit folder; or a Hugging Face sequence classifier with one label (folder or hub id), which has no
            members and so takes no uncertainty options.
    """

    model: str
    uncertainty_penalty: _NotNegative = 0.0
    max_uncertainty: _NotNegative | None = None
    max_tokens: _Count | None = None
    token_penalty: _NotNegative = 0.0

    @model_validator(mode="after")
    def _fits(self) -> RewardConfig:
        guard = self.guard()
        if guard.needs_members and not Path(self.model).is_dir():
            raise ValueError(
                f"no such folder {self.model}; uncertainty_penalty and max_uncertainty need one written by tacit fit "
                "or tacit finetune: a plain classifier, of the hub too, has no members"
            )
        if guard.needs_members and not self.is_tacit:
            raise ValueError(
                f"{self.model} holds no tacit.json: a plain classifier has no members, whose spread "
                "uncertainty_penalty and max_uncertainty need"
            )
        return self

    @property
    def is_tacit(self) -> bool:
        """Whether `model` is a folder written by Tacit."""
        return (Path(self.model) / "tacit.json").is_file()

    def guard(self) -> RewardGuard:
        """The guard these options describe."""
        return RewardGuard(
            self.uncertainty_penalty, self.max_uncertainty, self.max_tokens, self.token_penalty
        )


class BoundsConfig(Settings):
    """When a run has gone too far.

    Attributes:
        max_kl: mean KL per token to the policy the run began with, in nats, as TRL logs it; needs `beta` > 0.
        max_mean_length: mean completion length in tokens of a logging step.
        action: "stop" saves what there is and ends; "warn" says it once and goes on.
    """

    max_kl: _Positive | None = None
    max_mean_length: _Positive | None = None
    action: Literal["stop", "warn"] = "stop"


class AlignConfig(Settings):
    """GRPO with TRL. Names are TRL's where TRL has one.

    Attributes:
        policy: causal language model, folder or hub id.
        reward: see `RewardConfig`.
        prompts: .jsonl, .parquet or .csv; each different prompt is used once, so a feedback log will do.
        output: new folder for the trained policy (or its adapter), its tokenizer and `align.json`.
        prompt_column: column of the prompts, text or chat messages.
        steps: optimiser steps.
        learning_rate: of AdamW.
        beta: weight of the KL term of the loss; 0 needs no reference model and measures no KL.
        num_generations: responses sampled per prompt: the group whose mean is the baseline.
        max_completion_length: tokens.
        per_device_train_batch_size: responses per device and step; with the number of devices and
            `gradient_accumulation_steps` it has to be a multiple of `num_generations`.
        gradient_accumulation_steps: backward passes per step.
        temperature: of sampling.
        mask_truncated_completions: leave responses that hit `max_completion_length` out of the loss.
        bounds: see `BoundsConfig`.
        lora: an adapter on all linear layers, see `LoraSettings`; None trains all weights.
        device: "auto" takes the GPU, in bf16, where there is one; "cpu" computes in float32.
        seed: of sampling and of the order of prompts.
        trainer: further options of TRL's GRPOConfig, by name: vLLM, FSDP, DeepSpeed, reporting.

    Example:
        >>> brakes = {"model": "rm", "max_tokens": 400, "token_penalty": 0.01}
        >>> run = AlignConfig(policy="Qwen/Qwen3-0.6B", reward=brakes, prompts="log.jsonl", output="aligned")
        >>> run.num_generations, run.reward.guard().max_tokens
        (8, 400)
    """

    policy: str
    reward: RewardConfig
    prompts: Path
    output: Path
    prompt_column: str = "prompt"
    steps: _Count = 500
    learning_rate: _Positive = 1e-6
    beta: _NotNegative = 0.04
    num_generations: Annotated[int, Field(ge=2)] = 8
    max_completion_length: _Count = 512
    per_device_train_batch_size: _Count = 8
    gradient_accumulation_steps: _Count = 1
    temperature: _Positive = 1.0
    mask_truncated_completions: bool = True
    bounds: BoundsConfig = BoundsConfig()
    lora: LoraSettings | None = None
    device: Literal["auto", "cpu"] = "auto"
    seed: int = 0
    trainer: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> AlignConfig:
        if self.bounds.max_kl is not None and self.beta == 0:
            raise ValueError(
                "bounds.max_kl needs beta > 0: without it no reference model is kept to measure KL from"
            )
        if (
            self.bounds.max_mean_length is not None
            and self.bounds.max_mean_length > self.max_completion_length
        ):
            raise ValueError(
                f"bounds.max_mean_length is {self.bounds.max_mean_length:g}, beyond max_completion_length "
                f"{self.max_completion_length}: it could never be passed"
            )
        mine = sorted(
            {*type(self).model_fields, "max_steps", "output_dir", "disable_tqdm"} & self.trainer.keys()
        )
        if mine:
            raise ValueError(
                f"trainer.{mine[0]} is set by tacit; expected options of GRPOConfig that this file lacks"
            )
        return self
