"""The knobs of head training, with their usual values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from tacit.errors import ConfigError, did_you_mean, shown

_EPOCH = 1 << 16
"""Rows after which a fit looks how far it is: a pass over a larger log is cut into epochs of about as many."""


class TrainingConfig(BaseModel):
    """How the ensemble of heads is fitted. Defaults suit a thousand to a million rows.

    Raises:
        ConfigError: an unknown knob, or a value that it cannot have.

    Example:
        >>> TrainingConfig(members=0)
        Traceback (most recent call last):
        tacit.errors.ConfigError: config: members is 0 (int), expected: input should be greater than or equal to 1
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: int = Field(5, ge=1, description="ensemble size; each member holds out its own share of prompts")
    hidden: tuple[PositiveInt, ...] | None = Field(
        None, description="reward head: () linear, (256, 64) as published; None: chosen by likelihood"
    )
    weight_decay: float | None = Field(
        None, ge=0, description="decoupled decay of the reward head; None: chosen by likelihood"
    )
    propensity_hidden: tuple[PositiveInt, ...] = Field(
        (), description="propensity heads: () is logistic in its inputs"
    )
    lr: float | None = Field(
        None, gt=0, description="reward head; None: 5e-3 when linear, 1e-3 with hidden layers"
    )
    propensity_lr: float = Field(
        1e-2, gt=0, description="other heads: larger, so that they keep pace with the reward head"
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        description="rows of a step; None: 512, fewer on a small log so that a pass has 8 steps or more",
    )
    max_epochs: int = Field(
        100, ge=1, description="an epoch is a pass over the rows, or a part of one of about 65,536 rows"
    )
    patience: int = Field(12, ge=1, description="epochs without a better held-out likelihood before stopping")
    seed: int = Field(0, ge=0, lt=2**32, description="what NumPy, torch and transformers all take")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="of the first product; auto: bf16 where the CPU multiplies it in hardware"
    )

    if not TYPE_CHECKING:  # type checkers read the signature off the fields

        def __init__(self, **knobs: Any) -> None:
            try:
                super().__init__(**knobs)
            except ValidationError as error:
                raise ConfigError(_told(error)) from None

    @classmethod
    def of(cls, config: TrainingConfig | Mapping[str, Any] | None) -> TrainingConfig:
        """The knobs from themselves, from a mapping by name, or the defaults for None; checked (again).

        Raises:
            ConfigError: something else, an unknown knob, or a value that it cannot have.
        """
        if config is None:
            return cls()
        if isinstance(config, TrainingConfig):
            return cls(**config.model_dump())  # `model_copy` does not check what it updates
        if isinstance(config, Mapping) and all(isinstance(name, str) for name in config):
            return cls(**config)
        raise ConfigError(f"config is {shown(config)}, expected a TrainingConfig or a mapping of its knobs")

    def reward_lr(self, hidden: tuple[int, ...]) -> float:
        """Learning rate of a reward head of these hidden sizes."""
        return self.lr if self.lr is not None else (1e-3 if hidden else 5e-3)

    def rows_per_step(self, rows: int) -> int:
        """Batch size on a log of that many training rows."""
        return self.batch_size if self.batch_size is not None else max(32, min(512, -(-rows // 8)))

    @staticmethod
    def epochs_of_a_pass(rows: int) -> int:
        """Into how many epochs a pass over that many training rows is cut."""
        return max(1, round(rows / _EPOCH))


def _told(error: ValidationError) -> str:
    """The first complaint as one line."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = list(TrainingConfig.model_fields)
        return (
            f"config: unknown knob {name!r}{did_you_mean(name, known)}; expected some of {', '.join(known)}"
        )
    message = " ".join(str(first["msg"]).split())
    return f"config: {name} is {shown(first['input'])}, expected: {message[:1].lower()}{message[1:]}"
