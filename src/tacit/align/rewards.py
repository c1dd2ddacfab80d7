"""What a policy is paid: the members' mean less a price for their disagreement and for length, or no reward at all.

The adapters, GRPO and best-of-n share this file, so that one response earns the same in each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.data.texts import plain_text
from tacit.errors import ConfigError
from tacit.model import Scorer, load_model


@dataclass(frozen=True)
class RewardGuard:
    """Three brakes on a policy that would rather please the reward model than the user; all are off by default.

        reward = mean(logits) − λ · std(logits) − c · max(0, tokens − max_tokens)

    Attributes:
        uncertainty_penalty: λ ≥ 0, logits per logit of member spread (population standard deviation). Where members
            disagree, the mean is a guess, and optimisation seeks out the guesses that are too high
            (Coste et al. 2024, arXiv:2310.02743, "uncertainty-weighted optimisation").
        max_uncertainty: abstain (None) where the spread, in logits, is greater.
        max_tokens: length up to which tokens cost nothing.
        token_penalty: c ≥ 0, logits per token beyond `max_tokens`. It makes length beyond the bound expensive whatever
            the cause; it does not remove a length preference below the bound. `tacit evaluate` shows how large that is.

    Raises:
        ConfigError: a negative number, or one of `max_tokens` and `token_penalty` without the other.

    Example:
        >>> import numpy as np
        >>> guard = RewardGuard(uncertainty_penalty=1.0, max_uncertainty=1.5, max_tokens=10, token_penalty=0.5)
        >>> guard.apply(np.array([[1.0, 3.0, 2.0], [1.0, 1.0, 6.0]]), [10, 14, 1])
        [1.0, -1.0, None]
    """

    uncertainty_penalty: float = 0.0
    max_uncertainty: float | None = None
    max_tokens: int | None = None
    token_penalty: float = 0.0

    def __post_init__(self) -> None:
        for name in ("uncertainty_penalty", "max_uncertainty", "max_tokens", "token_penalty"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value}, expected a finite number of 0 or more")
        if (self.max_tokens is not None) != (self.token_penalty > 0):
            raise ConfigError(
                f"max_tokens is {self.max_tokens} and token_penalty {self.token_penalty}: they work together; give "
                "both, or neither"
            )

    @property
    def needs_members(self) -> bool:
        """Whether it looks at the members' spread."""
        return self.uncertainty_penalty > 0 or self.max_uncertainty is not None

    def apply(self, members_MN: NDArray[Any], tokens_N: Sequence[int] | None = None) -> list[float | None]:
        """Rewards [N] from the members' logits [M, N] and the responses' lengths in tokens.

        Raises:
            ConfigError: `token_penalty` without lengths.
        """
        logits_MN = np.asarray(members_MN, dtype=np.float64)
        spread_N = logits_MN.std(0)
        reward_N = logits_MN.mean(0) - self.uncertainty_penalty * spread_N
        if self.max_tokens is not None:
            if tokens_N is None:
                raise ConfigError(
                    "token_penalty needs the length of each response in tokens; none were passed"
                )
            reward_N = reward_N - self.token_penalty * np.maximum(0, np.asarray(tokens_N) - self.max_tokens)
        limit = math.inf if self.max_uncertainty is None else self.max_uncertainty
        return [float(r) if s <= limit else None for r, s in zip(reward_N, spread_N, strict=True)]


@dataclass
class GuardedReward:
    """A reward model behind a guard, for one training process.

    A blank response (a policy may well stop at once) has no text to score. It earns the lowest reward that this process
    has seen so far, and never more than 0: nobody likes an empty answer, and no empty answer beats a written one.

    Attributes:
        scorer: any reward model of Tacit.
        guard: what is taken off its scores.
        lowest: the lowest reward so far, at most 0.
        spread_N: of the last call, the members' standard deviation per response; NaN where it was blank.
        mean_N: likewise the members' mean, before the guard took anything off.

    Example:
        >>> from tacit import fit
        >>> from tacit.worlds import demo_world
        >>> knobs = {"members": 2, "hidden": (), "weight_decay": 1.0, "max_epochs": 3}
        >>> rm = fit(demo_world(seeds=1, limit=24).log, encoder="hashing:32", config=knobs)
        >>> reward = GuardedReward.open(rm, RewardGuard(uncertainty_penalty=0.5))
        >>> written, blank = reward.pairs([("How?", "Like this."), ("How?", " ")])
        >>> blank <= min(written, 0.0)
        True
    """

    scorer: Scorer
    guard: RewardGuard = field(default_factory=RewardGuard)
    lowest: float = 0.0
    spread_N: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    mean_N: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def open(cls, model: str | Path | Scorer, guard: RewardGuard | None = None) -> GuardedReward:
        """Open a model folder, or take a loaded model.

        Raises:
            ModelError: no model in the folder.
            ConfigError: a guard that looks at the members' spread, on a model with one member.
        """
        scorer = model if isinstance(model, Scorer) else load_model(model)
        guard = guard or RewardGuard()
        if guard.needs_members:
            require_members(scorer)
        return cls(scorer, guard)

    def pairs(
        self, pairs: Sequence[tuple[Any, Any]], tokens_N: Sequence[int] | None = None
    ) -> list[float | None]:
        """Rewards of (prompt, response) pairs, each part plain text or chat messages."""
        written = [i for i, (_, response) in enumerate(pairs) if not is_blank(response)]
        members_MW = self.scorer.member_scores([pairs[i] for i in written])
        lengths_W = None if tokens_N is None else [tokens_N[i] for i in written]
        return self._guarded(len(pairs), written, members_MW, lengths_W)

    def rendered(self, texts: Sequence[str]) -> list[float | None]:
        """Rewards of whole chats, rendered by a template with their special tokens.

        Raises:
            ConfigError: a model that reads prompt and response apart.
        """
        return self._guarded(len(texts), list(range(len(texts))), self.scorer.member_text_scores(texts), None)

    def _guarded(
        self, rows: int, written: list[int], members_MW: NDArray[Any], tokens_W: Sequence[int] | None
    ) -> list[float | None]:
        rewards = self.guard.apply(members_MW, tokens_W)
        self.lowest = min([self.lowest, *(reward for reward in rewards if reward is not None)])
        result: list[float | None] = [self.lowest] * rows
        for i, reward in zip(written, rewards, strict=True):
            result[i] = reward
        self.spread_N, self.mean_N = np.full((2, rows), np.nan)
        self.spread_N[written], self.mean_N[written] = members_MW.std(0), members_MW.mean(0)
        return result


def is_blank(response: Any) -> bool:
    """Whether a response, text or messages in any shape that a log takes, holds nothing but white space."""
    text = plain_text(response)
    return text is not None and not text.strip()


def require_members(scorer: Scorer) -> None:
    """Refuse a model whose members cannot disagree.

    Raises:
        ConfigError: one member.
    """
    members = len(scorer.member_scores([("a question", "an answer")]))
    if members < 2:
        raise ConfigError(
            "this reward model has one member, whose spread is always 0: uncertainty_penalty and max_uncertainty would "
            "do nothing; leave them out, or make it with two or more (--members of tacit fit, members under training "
            "in a file of tacit finetune)"
        )
