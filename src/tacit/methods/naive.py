"""`naive`: read the log as labels. What everybody does first, and what every other method must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.method import Head, Level, Logits, Method, mean_rate
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce, logit


@dataclass(frozen=True)
class Naive(Method):
    """Any positive signal is a like, everything else a dislike; plain binary cross-entropy.

    | Inputs | Labels |
    |---|---|
    | text | any positive signal fired (with negative signals only: none of them fired) |

    Estimates P(click | x) = r(x)·e(x): right about order only where users act alike on every response, and
    never about the level. Rows on which no positive signal could be recorded are left out.

    Loss: softplus(f) − y·f.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))  # copied or shared; neither
        >>> Naive().loss({"reward": torch.tensor([3.0, 3.0]).log()}, obs)  # σ(f) = ¾: −log ¾ and −log ¼
        tensor([0.2877, 1.3863])
    """

    key: ClassVar[str] = "naive"
    level: ClassVar[Level] = "prob"
    assumes: ClassVar[str] = "every user who likes a response acts on it (e = 1)"
    not_identified: ClassVar[str] = "preference apart from activity: the score is r·e"
    citation: ClassVar[str] = "the usual reading of a log"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, its bias at the observed rate."""
        return (Head("reward", "reward", (logit(mean_rate(*obs.any_positive())),)),)

    def counts(self, obs: Observations) -> Tensor:
        """Rows on which a deciding signal was visible."""
        return obs.any_positive()[1]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, any positive) [..., B]."""
        return bce(logits["reward"], obs.any_positive()[0])

    def log_likelihood(self, logits: Logits, obs: Observations) -> Tensor | None:
        """log P(any positive) [..., B], 0 where not visible; for one signal, the log-likelihood of the log."""
        if obs.n_signals != 1:
            return None
        loss_B = self.loss(logits, obs)
        return torch.where(self.counts(obs), -loss_B, torch.zeros_like(loss_B))
