"""What methods that set clicked answers against others of their prompt share: who counts, and the weights of pairs.

Shapes: B rows, P ordered pairs of one prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.method import Head, Level, Method, Stage, refuse_complaints
from tacit.methods.observations import Observations
from tacit.methods.pairs import Pairs, in_company, in_contrast, pairs_within, refuse_unpaired, require_groups
from tacit.methods.parameters import refuse_e_max, refuse_scaled_and_known
from tacit.methods.stages.exposure import Exposure

NEVER = 1e-6
"""A propensity of 0 would make an infinite weight."""


@dataclass(frozen=True)
class ClickedPairs(Method):
    """Base: pairs of answers to one prompt, of which any positive signal tells the clicked ones."""

    needs: ClassVar[tuple[str, ...]] = ("signal", "several answers per prompt")
    level: ClassVar[Level] = "logit_shift"
    by_group: ClassVar[bool] = True

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from 0."""
        return (Head("reward", "reward", (0.0,)),)

    def check(self, obs: Observations) -> None:
        """Some prompt has a clicked and a silent answer."""
        refuse_unpaired(self.key, *obs.any_positive(), obs)

    def counts(self, obs: Observations) -> Tensor:
        """Visible rows of prompts with another visible row."""
        return in_company(require_groups(self.key, obs), obs.any_positive()[1])

    def judges(self, obs: Observations) -> Tensor:
        """Rows of prompts with a clicked and a silent answer: other pairs weigh nothing."""
        return in_contrast(require_groups(self.key, obs), *obs.any_positive())


@dataclass(frozen=True)
class WeightedPairs(ClickedPairs):
    """Base: the same with propensities e, supplied or estimated first.

    Args:
        e_max: scale an estimated e so that its .99 quantile is this; None: as estimated.
    """

    e_max: float | None = None

    not_identified: ClassVar[str] = "an additive constant, and one per prompt; e from the signal alone"

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_e_max(self.key, self.e_max)

    def check(self, obs: Observations) -> None:
        """A positive signal, of which e is the propensity; some prompt has a clicked and a silent answer.

        Raises:
            DegenerateDataError: there is none.
            ConfigError: e is supplied and to be scaled as well.
        """
        refuse_complaints(self.key, obs)
        refuse_scaled_and_known(self.key, self.e_max, obs.columns)
        super().check(obs)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The propensity e."""
        return (Stage(Exposure(self.e_max), ("e",)),)


def unbiased_weights(key: str, obs: Observations, clip: float) -> tuple[Pairs, Tensor]:
    """The pairs of a batch and (y_i/e_i)(1 − y_j/e_j) [..., P], e clipped below.

    Its expectation is r_i(1 − r_j), for independent y_i and y_j.
    """
    y_B, known_B = obs.any_positive()
    pairs = pairs_within(key, obs, known_B)
    liked_B = y_B / obs.column("e").clamp(min=clip)
    return pairs, pairs.first(liked_B) * (1 - pairs.second(liked_B))


def silent_weights(key: str, obs: Observations, clip: float, relevance_B: Tensor) -> tuple[Pairs, Tensor]:
    """The pairs of a batch and (y_i/e_i)(1 − y_j)·P(r*_j=0 | y_j=0) [..., P], e clipped below; in [0, 1/e_i].

    P(r*=0 | y=0) = (1 − q)/(1 − q·e).
    """
    y_B, known_B = obs.any_positive()
    pairs = pairs_within(key, obs, known_B)
    e_B = obs.column("e").clamp(min=clip)
    doubt_B = (1 - relevance_B) / (1 - relevance_B * e_B).clamp(min=NEVER)
    dislike_B = torch.where(y_B > 0, torch.zeros_like(doubt_B), doubt_B)
    return pairs, pairs.first(y_B / e_B) * pairs.second(dislike_B)
