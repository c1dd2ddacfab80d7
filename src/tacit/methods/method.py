"""What an estimator declares: its heads, its per-row loss, its needs, its assumption and its level.

A method never sees text, files or an optimiser. It gets logits by head name and `Observations`, and returns
one number per row, so that the head engine, the fine-tuning trainer and an exact-expectation test share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from tacit.errors import ConfigError, DegenerateDataError
from tacit.methods.observations import Observations

View = Literal["reward", "propensity", "length", "none"]
Level = Literal["prob", "prob_scaled", "logit_shift", "rank"]
Logits = Mapping[str, Tensor]


@dataclass(frozen=True)
class Head:
    """One network to be fitted.

    Attributes:
        name: the key under which its logits reach the loss.
        view: which features it may see. `reward`: the text; `propensity`: context and style;
            `length`: the length alone; `none`: a free constant per output.
        bias: initial logit of each output; its length is the number of outputs.
        scalar: logits come as [..., B] instead of [..., B, outputs].
    """

    name: str
    view: View
    bias: tuple[float, ...]
    scalar: bool = True


@dataclass(frozen=True)
class Method:
    """Base of all estimators. Subclasses are frozen dataclasses whose fields are the method's parameters."""

    key: ClassVar[str]
    setting: ClassVar[str] = "implicit"
    level: ClassVar[Level] = "prob"
    assumes: ClassVar[str]
    not_identified: ClassVar[str]
    citation: ClassVar[str]
    reads_gold: ClassVar[bool] = False

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            value, allowed = getattr(self, field.name), _choices(hints[field.name])
            if allowed and not any(type(value) is type(choice) and value == choice for choice in allowed):
                raise ConfigError(
                    f"method {self.key}: {field.name} is {value!r}, expected one of "
                    f"{', '.join(map(repr, allowed))}"
                )

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """The heads to fit, with their initial biases set from the observed rates."""
        raise NotImplementedError

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """One number per row, shape [..., B]; smaller is better.

        Args:
            logits: by head name; [..., B] for scalar heads, [..., B, K] otherwise.
            obs: what the log shows of the same rows.
        """
        raise NotImplementedError

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """What a held-out row is judged by, shape [..., B]: observed data only. The loss, unless overridden."""
        return self.loss(logits, obs)

    def counts(self, obs: Observations) -> Tensor:
        """Whether a row carries any information for this method, bool [..., B]."""
        return obs.visible_BK.any(-1)

    def log_likelihood(self, logits: Logits, obs: Observations) -> Tensor | None:
        """log P(signals) of each row [..., B] for methods that model the signals, else None."""
        return None

    def check(self, obs: Observations) -> None:
        """Refuse data from which the method cannot learn.

        Raises:
            DegenerateDataError: no positive, or nothing but positives.
        """
        refuse_degenerate(self.key, *obs.any_positive())

    def open_questions(self, obs: Observations) -> str:
        """What these data leave open, in words for the model card; `not_identified`, unless overridden."""
        return self.not_identified

    def variants(self, obs: Observations) -> tuple[Method, ...]:
        """Forms of this method between which the held-out criterion decides; itself, unless overridden."""
        return (self,)

    def parameters(self) -> dict[str, Any]:
        """The method's parameters by name, JSON-ready."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _choices(hint: Any) -> tuple[Any, ...]:
    """The values that a parameter's type allows; none when the type does not enumerate them."""
    if hint is bool:
        return (True, False)
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        parts = [_choices(part) for part in get_args(hint)]
        return tuple(choice for part in parts for choice in part) if all(parts) else ()
    return ()


def refuse_degenerate(key: str, label_B: Tensor, known_B: Tensor) -> None:
    """Raise unless both labels occur among the known rows."""
    ones = int(((label_B > 0) & known_B).sum())
    seen = int(known_B.sum())
    if seen == 0:
        raise DegenerateDataError(
            f"{key}: no row has a visible signal; check the signal names and their exposure columns"
        )
    if ones == 0:
        raise DegenerateDataError(
            f"{key}: none of {seen} rows is positive; a reward cannot be learned from silence alone "
            "(wrong signal column, or polarity :negative missing?)"
        )
    if ones == seen:
        raise DegenerateDataError(
            f"{key}: all {seen} rows are positive; rows where the signal could have fired and did not "
            "are needed as 0 (were they dropped from the export?)"
        )


def mean_rate(value_B: Tensor, known_B: Tensor) -> float:
    """Mean of the known values; 0.5 when none is known."""
    total = known_B.sum()
    return float((torch.where(known_B, value_B, torch.zeros_like(value_B))).sum() / total) if total else 0.5
