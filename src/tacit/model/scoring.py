"""What every reward model can do, on whatever it stands: score pairs, and say how sure it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tacit.data import FeedbackLog, Roles
from tacit.errors import ConfigError, DataError, shown
from tacit.features import EmbeddingStore
from tacit.methods import Head, Method

if TYPE_CHECKING:
    from tacit.model.export import Exported


class Table(Protocol):
    """A data frame of pandas or polars, an Arrow table, a query: whatever hands out Arrow data."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> object:
        """Arrow's stream of the columns."""


Listed = Sequence[tuple[Any, str]] | Sequence[Mapping[str, Any]] | FeedbackLog
"""Pairs that can be counted."""

Pairs = Listed | Table
"""(prompt, response) tuples, {"prompt", "response"} mappings, a table with these two columns, or a log.

A prompt is text or chat messages. An iterator of pairs is read to its end.
"""

Score = TypeVar("Score", float, NDArray[np.float32], NDArray[np.float64])
"""One score, or an array of them."""


class Scorer(ABC):
    """A reward model: `RewardModel` on a frozen encoder, or `FineTunedRewardModel`. Open any with `tacit.load`."""

    @property
    def level(self) -> float:
        """What is added to a score to make it the logit that the fit estimated.

        A fine-tuned model keeps this constant out of its scores, because the heads of other stacks have no bias.
        """
        return 0.0

    @property
    def slope(self) -> float:
        """What trusted rows made of a logit of the fit, with `shift`; see `logit`. 1 of a model as it was fitted."""
        return 1.0

    @property
    def shift(self) -> float:
        """What trusted rows added to the logit of the fit; 0 of a model as it was fitted."""
        return 0.0

    @property
    def has_probability(self) -> bool:
        """Whether the sigmoid of `logit` is P(the user likes the response), and no mere number from 0 to 1."""
        return True

    def logit(self, score: Score) -> Score:
        """Logit of P(the user likes the response) from its score: slope · (score + level) + shift.

        The one place where a reward becomes a probability: what scores, serves, exports and judges comes here.
        """
        return self.slope * (score + self.level) + self.shift

    @property
    def longest(self) -> int | None:
        """Most tokens of a pair that are read; None where there is no end, or none is known."""
        return None

    @abstractmethod
    def member_scores(
        self, pairs: Pairs, *, store: EmbeddingStore | None = None, quiet: bool = True
    ) -> NDArray[np.float32]:
        """Logits of every member, float32 [M, N]."""

    def member_text_scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits of every member [M, N] for chats that are rendered already, special tokens included.

        Raises:
            ConfigError: the model reads prompt and response apart and cannot take a rendered chat.
        """
        raise ConfigError(
            "this model reads prompt and response apart; send messages (or prompt and response), not one rendered text"
        )

    def score(
        self, pairs: Pairs, *, store: EmbeddingStore | None = None, quiet: bool = True
    ) -> NDArray[np.float32]:
        """Reward of each pair, a logit, in input order.

        Args:
            pairs: see `Pairs`.
            store: embedding cache; None computes without one.
            quiet: no progress bar.

        Raises:
            ConfigError: a pair is neither a tuple nor a mapping with prompt and response, a row of a table cannot be
                used, or the model scores context (`context_only`) and `pairs` is not a log that names the context of
                the fit.
        """
        reward: NDArray[np.float32] = self.member_scores(pairs, store=store, quiet=quiet).mean(0)
        return reward

    def probability(
        self, pairs: Pairs, *, store: EmbeddingStore | None = None, quiet: bool = True
    ) -> NDArray[np.float32]:
        """P(the user likes the response) of each pair: the sigmoid of the `logit` of its score.

        Where not `has_probability`, it orders as the score does, and is no probability; `tacit.calibrate` makes it one.
        """
        return sigmoid(self.logit(self.score(pairs, store=store, quiet=quiet)))

    def uncertainty(
        self, pairs: Pairs, *, store: EmbeddingStore | None = None, quiet: bool = True
    ) -> NDArray[np.float32]:
        """Standard deviation of the members' logits of each pair; 0 where there is one member."""
        spread: NDArray[np.float32] = self.member_scores(pairs, store=store, quiet=quiet).std(0)
        return spread


class FittedScorer(Scorer):
    """A reward model that was fitted to a log by a method, and can be judged by its labels and by its signals.

    Attributes:
        method: the estimator and its parameters.
        info: what its folder states: roles, log, training, metrics, identification, versions, and the calibration of
            a model that `tacit.calibrate` made.
    """

    method: Method
    info: dict[str, Any]

    def export(self, out: str | Path, **options: Any) -> Exported:
        """Write a `*ForSequenceClassification` folder; options and errors are those of `tacit.model.export.export`."""
        from tacit.model.export import export

        return export(self, out, **options)

    @property
    def calibration(self) -> Mapping[str, Any] | None:
        """What `tacit.calibrate` states; None of a model as it was fitted."""
        return self.info.get("calibration")

    @property
    def slope(self) -> float:
        """See `Scorer`."""
        return 1.0 if self.calibration is None else float(self.calibration["slope"])

    @property
    def shift(self) -> float:
        """See `Scorer`."""
        return 0.0 if self.calibration is None else float(self.calibration["shift"])

    @property
    def has_probability(self) -> bool:
        """Whether its method estimates a probability, or trusted rows have made its scores one."""
        return states_probability(self.method, self.info)

    def with_calibration(self, calibration: Mapping[str, Any] | None) -> Self:
        """The same model with this calibration in place of its own; None takes it away.

        Args:
            calibration: JSON-ready, with `slope` above 0 and `shift`, and whatever else `tacit.calibrate` states, which
                the card tells.
        """
        info = {key: value for key, value in self.info.items() if key != "calibration"}
        return self._stating(info if calibration is None else {**info, "calibration": dict(calibration)})

    @abstractmethod
    def _stating(self, info: dict[str, Any]) -> Self:
        """The same model with another `info`."""

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write the model folder, whole or not at all.

        Raises:
            ConfigError: the folder already holds something.
        """

    @property
    @abstractmethod
    def heads(self) -> tuple[Head, ...]:
        """All heads, of the reward and of what stands beside it; their biases are not told."""

    @property
    @abstractmethod
    def context_seen(self) -> tuple[str, ...]:
        """Columns of context that some head sees: what a log has to name for `head_logits`."""

    @abstractmethod
    def head_logits(
        self,
        log: FeedbackLog,
        *,
        beside: bool = True,
        store: EmbeddingStore | None = None,
        quiet: bool = True,
    ) -> tuple[NDArray[np.float32], dict[str, Tensor]]:
        """What every head says of the N rows of a log, which is read once for all of them.

        Args:
            log: with the columns of `context_seen`, if `beside` is set.
            beside: not the score alone.
            store: embedding cache; None computes without one.
            quiet: no progress bar.

        Returns:
            The scores of every member [M, N] as `member_scores` gives them; and by head the calibrated logits in the
            mean over the members, [N] or [N, K], the reward's with its `level`: what `Method.log_likelihood` takes.
            Empty without `beside`.
        """


def states_probability(method: Method, info: Mapping[str, Any]) -> bool:
    """Whether a model of this method that states this has a probability: of the fit, or of a calibration."""
    return method.level == "prob" or "calibration" in info


def fitted_to(info: Mapping[str, Any]) -> str:
    """The log of a model in the words of `repr`: its name, where the folder states one."""
    name = info.get("log", {}).get("name")
    return "an unnamed log" if name is None else repr(name)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + e⁻ˣ), without overflow, of a logit alone as of one among others: torch's depends on where it stands."""
    from scipy.special import expit

    return np.asarray(expit(np.asarray(logits, dtype=np.float32)))


def listed(pairs: Any) -> Listed:
    """Pairs that can be counted: as they are, a table as a log, an iterator (a `zip`) read to its end.

    Raises:
        ConfigError: something else, or a table with a row that cannot be used.
    """
    if isinstance(pairs, FeedbackLog | list | tuple):
        return pairs
    if hasattr(pairs, "columns") or hasattr(pairs, "__arrow_c_stream__"):
        return _read_table(pairs)  # iterated, a data frame gives the names of its columns
    if isinstance(pairs, str | bytes | Mapping) or not isinstance(pairs, Iterable):
        raise ConfigError(
            f"pairs: found {shown(pairs)}, expected a list of (prompt, response) pairs or a FeedbackLog"
        )
    return list(pairs)


def _read_table(table: Any) -> Listed:
    """A table as a log without signals, a row for each of its own."""
    if hasattr(table, "__len__") and len(table) == 0:
        return []
    try:
        log = FeedbackLog.read(table, source="plain")
    except DataError as error:
        raise ConfigError(
            f"pairs: {error}; in a table, expected the columns prompt and response, or read it with "
            f"FeedbackLog.read(table, …)"
        ) from error
    return _complete(log)


def as_log(pairs: Sequence[Any]) -> FeedbackLog:
    """Pairs as a log without signals.

    Raises:
        ConfigError: a pair is neither a tuple nor a mapping with prompt and response, or holds no text.
    """
    prompts, responses = [], []
    for i, pair in enumerate(pairs):
        if isinstance(pair, Mapping) and "prompt" in pair and ("response" in pair or "completion" in pair):
            prompts.append(pair["prompt"])
            responses.append(pair["response"] if "response" in pair else pair["completion"])
        elif isinstance(pair, tuple | list) and len(pair) == 2:
            prompts.append(pair[0])
            responses.append(pair[1])
        else:
            raise ConfigError(
                f"pair {i}: found {type(pair).__name__}, expected (prompt, response) or a mapping with those two keys"
            )
    return _complete(
        FeedbackLog.from_columns({"prompt": prompts, "response": responses}, Roles(), name="pairs")
    )


def _complete(log: FeedbackLog) -> FeedbackLog:
    """The log, if it has every row: one score a row has to come back."""
    if log.quarantine.total:
        raise ConfigError(f"pairs: {log.quarantine.describe()}; every pair needs a text to be scored")
    return log
