"""`ubpr`: pairwise ranking from clicks, unbiased once the activity is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.method import Claim, Head, Level, Logits, Method, Stage
from tacit.methods.observations import Observations
from tacit.methods.pair_losses import pair_loss
from tacit.methods.pairs import Pairs, in_company, in_contrast, pairs_within, refuse_unpaired, require_groups
from tacit.methods.stages.exposure import Exposure

_NEVER = 1e-6
"""A propensity of 0 would make an infinite weight."""


@dataclass(frozen=True)
class UBPR(Method):
    """Clicked answers against all others of the prompt, each weighted so that activity cancels on average.

    | Inputs | Labels |
    |---|---|
    | f: text; e = P(y=1 | r*=1), known or estimated first | any positive signal fired; several answers per prompt |

    Loss of row i: the mean over its partners j in the prompt of
        (y_i/e_i)(1 − y_j/e_j)·softplus(−(f_i − f_j)).
    Its expectation is r_i(1−r_j)·softplus(−(f_i − f_j)), minimised by f = logit r plus a constant, if e is right and
    the signals of two answers are independent given their features. Where both are clicked the weight is negative: the
    loss is unbounded below. Held-out rows are judged with such pairs left out, which the temperature answers with
    differences smaller than those of logit r; their order stays.

    e is best known: from randomised exposure, or from the code that placed the answers. Where it is not supplied it is
    estimated from context and style by the likelihood of `implicit_rm` (`tacit.methods.stages.exposure`), whose
    assumptions are then this method's too; the published code hands over the simulator's truth.

    Relations: e = 1 is `bpr`; `cubpr` bounds the weights; `upl` removes their negative part without bias if the
    pointwise relevance is right.

    Args:
        e_max: scale an estimated e so that its .99 quantile is this; None: as estimated.
    """

    e_max: float | None = None

    key: ClassVar[str] = "ubpr"
    needs: ClassVar[tuple[str, ...]] = ("signal", "several answers per prompt")
    level: ClassVar[Level] = "logit_shift"
    claims: ClassVar[Claim] = "clean_pairs"
    by_group: ClassVar[bool] = True
    assumes: ClassVar[str] = (
        "e right, estimated from context and style by the likelihood of implicit_rm unless supplied; no misclicks; "
        "answers to one prompt react independently"
    )
    not_identified: ClassVar[str] = "an additive constant, and one per prompt; e from the signal alone"
    citation: ClassVar[str] = "Saito, Unbiased pairwise learning from biased implicit feedback, ICTIR 2020"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from 0."""
        return (Head("reward", "reward", (0.0,)),)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The propensity e."""
        return (Stage(Exposure(self.e_max), ("e",)),)

    def check(self, obs: Observations) -> None:
        """Some prompt has a clicked and a silent answer."""
        refuse_unpaired(self.key, *obs.any_positive(), obs)

    def counts(self, obs: Observations) -> Tensor:
        """Visible rows of prompts with another visible row."""
        return in_company(require_groups(self.key, obs), obs.any_positive()[1])

    def judges(self, obs: Observations) -> Tensor:
        """Rows of prompts with a clicked and a silent answer: other pairs weigh nothing."""
        return in_contrast(require_groups(self.key, obs), *obs.any_positive())

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """Mean over the partners of w·softplus(−(f_i − f_j)), w = (y_i/e_i)(1 − y_j/e_j) [..., B]."""
        pairs, weight_P = unbiased_weights(self.key, obs, _NEVER)
        f_B = logits["reward"]
        return pairs.row_means(weight_P * pair_loss(pairs.first(f_B), pairs.second(f_B)))

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """The loss with negative weights at 0 [..., B]; bounded below."""
        pairs, weight_P = unbiased_weights(self.key, obs, _NEVER)
        f_B = logits["reward"]
        return pairs.row_means(weight_P.clamp(min=0) * pair_loss(pairs.first(f_B), pairs.second(f_B)))


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
    doubt_B = (1 - relevance_B) / (1 - relevance_B * e_B).clamp(min=_NEVER)
    dislike_B = torch.where(y_B > 0, torch.zeros_like(doubt_B), doubt_B)
    return pairs, pairs.first(y_B / e_B) * pairs.second(dislike_B)
