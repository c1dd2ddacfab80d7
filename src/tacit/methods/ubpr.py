"""`ubpr`: pairwise ranking from clicks, unbiased once the activity is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.clicked_pairs import NEVER, WeightedPairs, unbiased_weights
from tacit.methods.method import Claim, Logits
from tacit.methods.observations import Observations
from tacit.methods.pair_losses import pair_loss


@dataclass(frozen=True)
class UBPR(WeightedPairs):
    """Clicked answers against all others of the prompt, each weighted so that activity cancels on average.

    | Inputs | Labels |
    |---|---|
    | f: text; e = P(y=1 | r*=1), known or estimated first | any positive signal fired; several answers per prompt |

    Loss of row i: the mean over its partners j in the prompt of
        (y_i/e_i)(1 − y_j/e_j)·softplus(−(f_i − f_j)).
    Its expectation is r_i(1−r_j)·softplus(−(f_i − f_j)), minimised by f = logit r plus a constant, if e is right and
    the signals of two answers are independent given their features. Where both are clicked the weight is negative: the
    loss is unbounded below. Held-out rows are judged with such pairs left out: bounded, but biased. That criterion is
    least at log(r/(1 − r·e)), whose differences are smaller than those of logit r, and whose order is another where e
    differs much within a prompt. It chooses epochs, capacity and scale; it trains nothing.

    e is best known: from randomised exposure, or from the code that placed the answers. Where it is not supplied it is
    estimated from context and style by the likelihood of `implicit_rm` (`tacit.methods.stages.exposure`), whose
    assumptions are then this method's too; the published code hands over the simulator's truth.

    Relations: e = 1 is `bpr`; `cubpr` bounds the weights; `upl` removes their negative part without bias if the
    pointwise relevance is right.

    Args:
        e_max: scale an estimated e so that its .99 quantile is this; None: as estimated.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 1.0, 1.0]), groups=torch.tensor([5, 5, 6, 6]))
        >>> obs = obs.with_columns(e=torch.tensor([0.25, 0.25, 0.5, 0.5]))
        >>> UBPR().loss({"reward": torch.zeros(4)}, obs)  # 4·log 2; two clicks: 2·(1 − 2)·log 2 each
        tensor([ 2.7726,  0.0000, -1.3863, -1.3863])
    """

    key: ClassVar[str] = "ubpr"
    claims: ClassVar[Claim] = "clean_pairs"
    assumes: ClassVar[str] = (
        "e right, estimated from context and style by the likelihood of implicit_rm unless supplied; no misclicks; "
        "answers to one prompt react independently"
    )
    citation: ClassVar[str] = "Saito, Unbiased pairwise learning from biased implicit feedback, ICTIR 2020"

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """Mean over the partners of w·softplus(−(f_i − f_j)), w = (y_i/e_i)(1 − y_j/e_j) [..., B]."""
        pairs, weight_P = unbiased_weights(self.key, obs, NEVER)
        f_B = logits["reward"]
        return pairs.row_means(weight_P * pair_loss(pairs.first(f_B), pairs.second(f_B)))

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """The loss with negative weights at 0 [..., B]; bounded below."""
        pairs, weight_P = unbiased_weights(self.key, obs, NEVER)
        f_B = logits["reward"]
        return pairs.row_means(weight_P.clamp(min=0) * pair_loss(pairs.first(f_B), pairs.second(f_B)))
