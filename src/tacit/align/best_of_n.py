"""Best-of-n: of several responses to a prompt, the one a reward model prefers, with its doubts priced in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.align.generation import Policy, generate
from tacit.align.rewards import RewardGuard, is_blank, require_members
from tacit.errors import ConfigError, DataError, shown
from tacit.model import Scorer


@dataclass(frozen=True)
class Best:
    """What was chosen for one prompt.

    Attributes:
        prompt: as given.
        candidates: all responses [n].
        index: of the chosen one, or None where none could be judged.
        rewards: of all responses [n]; None where there was nothing to judge, or the model abstained.
    """

    prompt: Any
    candidates: list[str]
    index: int | None
    rewards: list[float | None]

    @property
    def response(self) -> str | None:
        """The chosen response."""
        return None if self.index is None else self.candidates[self.index]


def best_of_n(
    scorer: Scorer,
    prompts: Sequence[Any],
    candidates: Sequence[Sequence[Any]],
    *,
    uncertainty_penalty: float = 0.0,
    max_uncertainty: float | None = None,
    quiet: bool = True,
) -> list[int | None]:
    """Choose one candidate of each prompt.

    Args:
        scorer: a reward model.
        prompts: [P] text or chat messages.
        candidates: for each prompt its responses, as many as there are; None or blank ones are never chosen.
        uncertainty_penalty: λ of mean − λ · member spread. Choosing the maximum of n noisy scores favours those that
            are too high, the more so the larger n; pessimism takes some of that back.
        max_uncertainty: never choose a response whose member spread, in logits, is greater.
        quiet: no progress bar.

    Returns:
        [P] the index of the highest reward among a prompt's candidates, of equal ones the first; None where no
        candidate could be judged.

    Raises:
        DataError: not one list of candidates per prompt.
        ConfigError: pessimism with a model of one member.

    Example:
        >>> from tacit import fit
        >>> from tacit.worlds import demo_world
        >>> knobs = {"members": 2, "hidden": (), "weight_decay": 1.0, "max_epochs": 3}
        >>> rm = fit(demo_world(seeds=1, limit=24).log, encoder="hashing:32", config=knobs)
        >>> prompts = ["How do I sort a list?", "How do I open a file?"]
        >>> best_of_n(rm, prompts, [["", "Use sorted(xs)."], [" "]], uncertainty_penalty=0.5)
        [1, None]
    """
    guard = RewardGuard(uncertainty_penalty=uncertainty_penalty, max_uncertainty=max_uncertainty)
    return [first_highest(rewards) for rewards in _judged(scorer, prompts, candidates, guard, quiet)]


def sample_best_of_n(
    policy: str | Path | Policy,
    scorer: Scorer,
    prompts: Sequence[Any],
    *,
    n: int = 8,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
    seed: int = 0,
    uncertainty_penalty: float = 0.0,
    max_uncertainty: float | None = None,
    quiet: bool = True,
) -> list[Best]:
    """Sample n responses per prompt from a local causal language model and choose, as `best_of_n` does.

    Args:
        policy: folder, hub id, or a `Policy`.
        scorer: a reward model.
        prompts: [P] text or chat messages.
        n: responses per prompt.
        max_new_tokens: length at which a response is cut.
        temperature: of sampling, above 0.
        seed: of sampling.
        uncertainty_penalty: as in `best_of_n`.
        max_uncertainty: as in `best_of_n`.
        quiet: no progress bar.

    Raises:
        ConfigError: a policy that cannot be opened, or options that do not fit.
    """
    guard = RewardGuard(uncertainty_penalty=uncertainty_penalty, max_uncertainty=max_uncertainty)
    drawn = generate(
        policy,
        prompts,
        n=n,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        quiet=quiet,
    )
    judged = _judged(scorer, prompts, drawn, guard, quiet)
    return [
        Best(prompt, responses, first_highest(rewards), rewards)
        for prompt, responses, rewards in zip(prompts, drawn, judged, strict=True)
    ]


def first_highest(rewards: Sequence[float | None]) -> int | None:
    """The index of the highest reward, of equal ones the first; None where there is none.

    Example:
        >>> first_highest([None, 1.0, 3.0, 3.0]), first_highest([None]), first_highest([])
        (2, None, None)
    """
    best: int | None = None
    highest = float("-inf")
    for index, reward in enumerate(rewards):
        if reward is not None and (best is None or reward > highest):
            best, highest = index, reward
    return best


def _judged(
    scorer: Scorer,
    prompts: Sequence[Any],
    candidates: Sequence[Sequence[Any]],
    guard: RewardGuard,
    quiet: bool,
) -> list[list[float | None]]:
    """Rewards of every candidate; all pairs are scored in one go."""
    if not isinstance(scorer, Scorer):
        raise ConfigError(f"scorer is {shown(scorer)}, expected a reward model: tacit.load(folder)")
    if isinstance(prompts, str):
        raise DataError(f"prompts is one text, {shown(prompts)}, expected a list of prompts")
    # By position: a column of a data frame that was sorted or filtered would look things up by its labels.
    prompts, candidates = list(prompts), [list(responses) for responses in candidates]
    if len(prompts) != len(candidates):
        raise DataError(
            f"{len(prompts)} prompts but {len(candidates)} lists of candidates; expected one list per prompt"
        )
    if guard.needs_members:
        require_members(scorer)
    places = [
        (p, c)
        for p, responses in enumerate(candidates)
        for c, response in enumerate(responses)
        if response is not None and not is_blank(response)
    ]
    judged: list[list[float | None]] = [[None] * len(responses) for responses in candidates]
    members_MN = scorer.member_scores([(prompts[p], candidates[p][c]) for p, c in places], quiet=quiet)
    for (p, c), reward in zip(places, guard.apply(members_MN), strict=True):
        judged[p][c] = reward
    return judged
