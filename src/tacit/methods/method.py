"""What an estimator declares: its heads, its per-row loss, its needs, its assumption and its level.

A method never sees text, files or an optimiser. It gets logits by head name and `Observations`, and returns
one number per row, so that the head engine, the fine-tuning trainer and an exact-expectation test share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from tacit.errors import ConfigError, DegenerateDataError, shown
from tacit.methods.observations import Observations
from tacit.methods.parameters import require_number

View = Literal["reward", "propensity", "all", "context", "prompt", "style", "length", "none"]
Claim = Literal["none", "clean_risk", "clean_squared", "clean_pairs", "consistent"]
Setting = Literal["implicit", "explicit", "pairwise", "any"]
Level = Literal["prob", "prob_scaled", "logit_shift", "rank"]
Logits = Mapping[str, Tensor]


@dataclass(frozen=True)
class Head:
    """One network to be fitted.

    Attributes:
        name: the key under which its logits reach the loss.
        view: which features it may see. `reward`: the text; `propensity`: context and style;
            `all`: text and context; `context`: context alone, a free constant where the log has none; `prompt`: the
            prompt's embedding; `style`, `length`: these alone; `none`: a free constant per output.
        bias: initial logit of each output; its length is the number of outputs.
        scalar: logits come as [..., B] instead of [..., B, outputs].

    Example:
        >>> Head("propensity", "context", (0.0,))  # one logit per row, from the context alone, ½ at first
        Head(name='propensity', view='context', bias=(0.0,), scalar=True)
    """

    name: str
    view: View
    bias: tuple[float, ...]
    scalar: bool = True


@dataclass(frozen=True)
class Stage:
    """A nuisance that is fitted first, out of fold, and reaches the next stages as columns of the observations.

    Attributes:
        method: what is fitted; its `nuisances` turns out-of-fold logits into columns.
        makes: names of those columns. A stage whose columns the caller has supplied is not run.

    Example:
        >>> import torch
        >>> from tacit.methods import IPS, observations
        >>> (stage,) = IPS().stages(observations(torch.tensor([1.0, 0.0])))
        >>> stage.method.key, stage.makes
        ('selection', ('p',))
    """

    method: Method
    makes: tuple[str, ...]


@dataclass(frozen=True)
class Method:
    """Base of all estimators. Subclasses are frozen dataclasses whose fields are the method's parameters.

    Class attributes, the declaration that tables, checks and the engine read:
        key: its name.
        setting: "implicit" (clicks; silence is ambiguous), "explicit" (labels, given where users cared to), "pairwise"
            (rows of one prompt are compared) or "any".
        needs: what the log must have, in words of the log: "signal", "label", "several answers per prompt", "gold" …
        level: what the score means (probability, up to a scale, up to a shift, order only).
        assumes, not_identified, citation: sentences for cards and tables.
        claims: what a test may hold it to, with true nuisances: its expected loss is the clean risk ("clean_risk":
            logistic, "clean_squared", "clean_pairs"), or the true parameters are a stationary point ("consistent").
        reads_gold: trains on trusted labels, asked or not, and cannot do without.
        reads_misclicks: takes a signal's known rate of mistakes (`Signal.misclick`) into account.
        uses_gold: learns from trusted labels where a fit is asked to hand them over (`use_gold`).
        by_group: batches must hold whole prompts.
        refreshes: `refresh` is to be called after every epoch.
        warm_up: epochs before which no state may be kept as the best.
        waits: the reward learns nothing while warming up, so that a fit has to be longer than `warm_up`.
        reads: names of nuisances that it takes from outside besides those that its stages make.
        exchangeable: its reward and propensity heads can change places when they see the same features.
        reward_heads: heads that `reward` reads.
        linear: its reward head is linear whatever capacity the budget allows (nuisances that need no more).
        calibrated: heads that get a temperature; None: all that see features.
        comparable: the criterion can compare capacities; else the first candidate is taken.
        sketch: so many leading coordinates of the text's features reach the loss as columns `sketch0`.., for methods
            that compare neighbours.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> @dataclass(frozen=True)
        ... class Brier(Method):
        ...     key = "brier"
        ...     def heads(self, obs):
        ...         return (Head("reward", "reward", (0.0,)),)
        ...     def loss(self, logits, obs):
        ...         return (torch.sigmoid(logits["reward"]) - obs.any_positive()[0]).square()
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> Brier().loss({"reward": torch.tensor([3.0, 3.0]).log()}, obs)  # σ(f) = ¾: (¼)² and (¾)²
        tensor([0.0625, 0.5625])
    """

    key: ClassVar[str]
    setting: ClassVar[Setting] = "implicit"
    needs: ClassVar[tuple[str, ...]] = ("signal",)
    level: ClassVar[Level] = "prob"
    assumes: ClassVar[str]
    not_identified: ClassVar[str]
    citation: ClassVar[str]
    claims: ClassVar[Claim] = "none"
    reads_gold: ClassVar[bool] = False
    reads_misclicks: ClassVar[bool] = False
    uses_gold: ClassVar[bool] = False
    by_group: ClassVar[bool] = False
    refreshes: ClassVar[bool] = False
    warm_up: ClassVar[int] = 0
    waits: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ()
    exchangeable: ClassVar[bool] = False
    reward_heads: ClassVar[tuple[str, ...]] = ("reward",)
    linear: ClassVar[bool] = False
    calibrated: ClassVar[tuple[str, ...] | None] = None
    comparable: ClassVar[bool] = True
    sketch: ClassVar[int] = 0

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            value, allowed = getattr(self, field.name), _choices(hints[field.name])
            if isinstance(value, np.generic):  # parameters go into JSON
                value = value.item()
                object.__setattr__(self, field.name, value)
            require_number(self.key, field.name, value, hints[field.name])
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

    def reward(self, logits: Logits) -> Tensor:
        """The reward logit [..., B] from the heads named in `reward_heads`."""
        return logits["reward"]

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """Nuisances to be fitted first, in order."""
        return ()

    def starts_linear(self, obs: Observations) -> bool:
        """Whether a network's propensities should begin where they end beside a strongly shrunken linear reward.

        With one click to explain, a network that learns its rows by heart leaves nothing for the propensity; several
        signals tell reward and propensity apart on their own, and a good start is only a narrow one.
        """
        return self.exchangeable

    def nuisances(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """Columns that this method makes when it serves as a stage.

        Args:
            logits: by head, each row by a member that did not train on it, calibrated; [B] or [B, K].
            obs: the same rows.

        Returns:
            Columns by name, each [B], or [1] for a number that all rows share.
        """
        return {}

    def refresh(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """Columns to be renewed after an epoch, for methods that declare `refreshes`; called once before the first too.

        Args:
            logits: by head, of all rows by all members as they stand, uncalibrated, no gradient; [M, N] or [M, N, K].
            obs: all rows, with the columns of the last call; `weight_B` says which rows each member trains on.

        Returns:
            Columns by name, each [M, N] or [M, 1].
        """
        return {}

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """What a held-out row is judged by, shape [..., B]: observed data only. The loss, unless overridden."""
        return self.loss(logits, obs)

    def counts(self, obs: Observations) -> Tensor:
        """Whether a row carries any information for this method, bool [..., B]."""
        return obs.visible_BK.any(-1)

    def judges(self, obs: Observations) -> Tensor:
        """Rows by which a set of rows can teach or judge something, bool [..., B]; `counts`, unless overridden.

        A mean may run over rows that say nothing by themselves: of inverse propensities, over rows without a label.
        """
        return self.counts(obs)

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


def require_method(method: object) -> Method:
    """The method itself.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(method, Method):
        return method
    if isinstance(method, type) and issubclass(method, Method):
        raise ConfigError(f"method is the class {method.__name__}, expected one of it: {method.__name__}()")
    raise ConfigError(f"method is {shown(method)}, expected an estimator, such as ImplicitRM()")


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


def refuse_complaints(key: str, obs: Observations) -> None:
    """Raise if no signal is positive: then the sure event is the complaint, and silence the ambiguous one.

    Raises:
        DegenerateDataError: there are signals, all of them negative.
    """
    if obs.n_signals and not any(polarity > 0 for polarity in obs.polarity):
        raise DegenerateDataError(
            f"{key}: found negative signals alone, of which a like would be the absence; it takes a signal for a sure "
            "like and silence for no evidence, expected a positive signal; use method latent_ml, which reads either"
        )


def mean_rate(value_B: Tensor, known_B: Tensor) -> float:
    """Mean of the known values; 0.5 when none is known."""
    total = known_B.sum()
    return float((torch.where(known_B, value_B, torch.zeros_like(value_B))).sum() / total) if total else 0.5
