"""The knobs of fine-tuning, with TRL's names and habits; what is ours is about feedback."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
import torch.utils.checkpoint
from transformers import TrainingArguments

from tacit.knobs import as_number


@dataclass
class FeedbackRewardConfig(TrainingArguments):  # type: ignore[misc]  # transformers is untyped here
    r"""Configuration of the [`FeedbackRewardTrainer`].

    Only the parameters of reward training from feedback are listed; the others are those of
    [`~transformers.TrainingArguments`].

    Parameters:
        > Parameters that control the model

        model_init_kwargs (`dict[str, Any]`, *optional*):
            Keywords for `AutoModelForSequenceClassification.from_pretrained` when `model` is a string.
        disable_dropout (`bool`, *optional*, defaults to `True`):
            Whether to disable dropout in the model.
        members (`int`, *optional*, defaults to `1`):
            Rows of the reward head. More than one are trained on prompts drawn with replacement, share the backbone,
            and their spread is the uncertainty; the checkpoint holds their mean.

        > Parameters that control what the log means

        method (`str`, *optional*, defaults to `"auto"`):
            Key of the estimator, see `tacit methods`.
        method_parameters (`dict[str, Any]`, *optional*):
            Its parameters.
        signals (`list[str]`, *optional*):
            Columns of what users did: `NAME`, `NAME:negative` or `NAME:explicit`. By default `label`, which is a signal
            that `False` leaves *silent*, not a dislike as in KTO.
        context (`list[str]`, *optional*):
            Columns that move clicks but not preference; seen by the propensity heads only.
        gold (`str`, *optional*):
            Column of trusted labels, which are trained on. Those that a `FeedbackLog` names itself are not, unless
            they are named here too.
        prompt_id (`str`, *optional*):
            Column that groups the answers to one prompt.
        nuisances (`dict[str, Any]`, *optional*):
            What is known: by name a column, or one number, such as `{"p": "propensity", "rho01": 0.1}`.
        holdout (`float`, *optional*, defaults to `0.1`):
            Share of prompts that judge the fit when no `eval_dataset` is given.

        > Parameters that control the data preprocessing

        max_length (`int`, *optional*, defaults to `1024`):
            Most tokens of a chat in training. Of longer ones the first and the last are kept; how many is told.
        pad_to_multiple_of (`int`, *optional*, defaults to `8`):
            Batches are as wide as a multiple of this many tokens.

        > Parameters that control the training

        propensity_learning_rate (`float`, *optional*, defaults to `1e-2`):
            Of the small heads: larger, so that they keep pace with the backbone.
        propensity_hidden (`list[int]`, *optional*):
            Hidden sizes of the propensity heads; by default they are logistic in their inputs.
        patience (`int`, *optional*, defaults to `3`):
            Evaluations without a better held-out likelihood before training stops.

    > [!NOTE]
    > These parameters have default values different from [`~transformers.TrainingArguments`]: `learning_rate` 1e-4,
    > `logging_steps` 10, `bf16` where the GPU has it, `eval_strategy` and `save_strategy` "epoch",
    > `load_best_model_at_end` (by the held-out likelihood of the observed data), `save_total_limit` 2,
    > `restore_callback_states_from_checkpoint` True, `train_sampling_strategy` "group_by_length",
    > `remove_unused_columns` False, `report_to` "none".
    """

    learning_rate: float = field(default=1e-4, metadata={"help": "Initial learning rate of the backbone."})
    logging_steps: float = field(default=10, metadata={"help": "Log every so many steps."})
    bf16: bool | None = field(
        default=None, metadata={"help": "Train in bfloat16; by default where the GPU has it."}
    )
    remove_unused_columns: bool | None = field(default=False, metadata={"help": "Keep False."})
    train_sampling_strategy: str = field(
        default="group_by_length", metadata={"help": "Batches of chats of similar length."}
    )
    eval_strategy: Any = field(default="epoch", metadata={"help": "When to judge: no, steps, epoch."})
    save_strategy: Any = field(default="epoch", metadata={"help": "When to save: no, steps, epoch."})
    save_total_limit: int | None = field(
        default=2, metadata={"help": "Checkpoints kept, the best one included."}
    )
    load_best_model_at_end: bool = field(
        default=True, metadata={"help": "End with the best held-out likelihood."}
    )
    metric_for_best_model: str | None = field(
        default="criterion", metadata={"help": "What judges an evaluation."}
    )
    greater_is_better: bool | None = field(default=False, metadata={"help": "Smaller criteria are better."})
    restore_callback_states_from_checkpoint: bool = field(
        default=True, metadata={"help": "A resumed run stops early where the whole one would."}
    )
    neftune_noise_alpha: float | None = field(
        default=None, metadata={"help": "Strength of noise on the embeddings in training."}
    )
    report_to: Any = field(default="none", metadata={"help": "Trackers."})

    model_init_kwargs: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "Keywords for AutoModelForSequenceClassification.from_pretrained."}
    )
    disable_dropout: bool = field(default=True, metadata={"help": "Disable dropout in the model."})
    members: int = field(default=1, metadata={"help": "Rows of the reward head."})

    method: str = field(default="auto", metadata={"help": "Key of the estimator."})
    method_parameters: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "Parameters of the estimator."}
    )
    signals: list[str] | None = field(
        default=None, metadata={"help": "Columns of what users did: NAME, NAME:negative, NAME:explicit."}
    )
    context: list[str] | None = field(
        default=None, metadata={"help": "Columns that move clicks but not preference."}
    )
    gold: str | None = field(default=None, metadata={"help": "Column of trusted labels."})
    prompt_id: str | None = field(
        default=None, metadata={"help": "Column that groups answers to one prompt."}
    )
    nuisances: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "Known nuisances: by name a column or a number."}
    )
    holdout: float = field(default=0.1, metadata={"help": "Share of prompts that judge the fit."})

    max_length: int = field(default=1024, metadata={"help": "Most tokens of a chat in training."})
    pad_to_multiple_of: int = field(default=8, metadata={"help": "Width of batches is a multiple of this."})

    propensity_learning_rate: float = field(
        default=1e-2, metadata={"help": "Learning rate of the small heads."}
    )
    propensity_hidden: list[int] = field(
        default_factory=list, metadata={"help": "Hidden sizes of the propensity heads."}
    )
    patience: int = field(default=3, metadata={"help": "Evaluations without progress before training stops."})

    _VALID_DICT_FIELDS: ClassVar[list[str]] = [
        *TrainingArguments._VALID_DICT_FIELDS,
        "model_init_kwargs",
        "method_parameters",
        "nuisances",
    ]

    def __post_init__(self) -> None:
        for knob in fields(self):  # YAML reads 1e-3 as text
            setattr(self, knob.name, as_number(knob.name, getattr(self, knob.name), knob.default))
        for name in (
            "members",
            "max_length",
            "pad_to_multiple_of",
            "patience",
            "per_device_train_batch_size",
        ):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise ValueError(f"{name}: found {value}, expected 1 or more")
        self.neftune_noise_alpha = as_number("neftune_noise_alpha", self.neftune_noise_alpha, default=0.0)
        if not 0 <= self.holdout < 1:
            raise ValueError(f"holdout: found {self.holdout}, expected a share from 0 to below 1")
        if self.bf16 is None:
            self.bf16 = bool(
                not self.fp16
                and not self.use_cpu
                and torch.cuda.is_available()
                and torch.cuda.is_bf16_supported()
            )
        if str(getattr(self.eval_strategy, "value", self.eval_strategy)) == "no":
            self.load_best_model_at_end = False
        super().__post_init__()
        for name in ("gradient_checkpointing_kwargs", "activation_checkpointing_kwargs"):  # older, newer
            _check_checkpointing(name, getattr(self, name, None))


def _check_checkpointing(name: str, keywords: Any) -> None:
    """Refuse what `torch.utils.checkpoint.checkpoint` would refuse in the first step."""
    if keywords is None:
        return
    if not isinstance(keywords, Mapping):
        raise ValueError(f"{name}: found {keywords!r}, expected keywords and their values")
    known = inspect.signature(torch.utils.checkpoint.checkpoint).parameters.values()
    allowed = {"preserve_rng_state", *(one.name for one in known if one.kind is one.KEYWORD_ONLY)}
    unknown = sorted(str(key) for key in keywords.keys() - allowed)
    if unknown:
        raise ValueError(
            f"{name}: unknown keyword {unknown[0]!r}; expected some of {', '.join(sorted(allowed))}"
        )


def as_mapping(value: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """A knob that holds names and values; transformers hands JSON from a command line over as text.

    Example:
        >>> as_mapping('{"gate": false}')
        {'gate': False}
    """
    found: Mapping[str, Any] = json.loads(value) if isinstance(value, str) else value or {}
    return dict(found)
