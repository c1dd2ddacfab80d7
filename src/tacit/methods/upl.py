"""`upl`: unbiased pairwise learning without negative weights; published as UPRL too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.clicked_pairs import WeightedPairs, silent_weights
from tacit.methods.method import Claim, Logits, Stage
from tacit.methods.observations import Observations
from tacit.methods.pair_losses import pair_loss
from tacit.methods.parameters import refuse_clip
from tacit.methods.stages.exposure import Exposure
from tacit.methods.stages.relevance import Relevance


@dataclass(frozen=True)
class UPL(WeightedPairs):
    """Clicked answers against silent ones, each silent one by how probable it is that it is disliked.

    | Inputs | Labels |
    |---|---|
    | f, q: text; e = P(y=1 | r*=1), known or estimated first | any positive signal fired; several answers per prompt |

    Loss of row i: the mean over its partners j in the prompt of
        (y_i/e_i)·(1−y_j)·(1−q_j)/(1−q_j e_j)·softplus(−(f_i − f_j)),
    q = P(r*=1 | x) from a pointwise head fitted first, out of fold, by inverse propensities. The fraction is
    P(r*_j=0 | y_j=0), so weights lie in [0, 1/e_i]. With e and q right the expectation is `ubpr`'s,
    r_i(1−r_j)·softplus(−(f_i − f_j)), at a variance that is nowhere larger. Where e is not supplied it is estimated as
    in `ubpr`.

    Relations: q = 0 is `bpr` weighted by 1/e_i.

    Args:
        clip: propensities below it count as this.
        e_max: scale an estimated e so that its .99 quantile is this; None: as estimated.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0]), groups=torch.tensor([5, 5, 5]))
        >>> obs = obs.with_columns(e=torch.tensor([0.5]), relevance=torch.tensor([0.5, 0.5, 1.0]))
        >>> UPL().loss({"reward": torch.zeros(3)}, obs)  # mean of 2·(½/¾)·log 2 and, for a sure like, 2·0
        tensor([0.4621, 0.0000, 0.0000])
    """

    clip: float = 0.1

    key: ClassVar[str] = "upl"
    claims: ClassVar[Claim] = "clean_pairs"
    assumes: ClassVar[str] = (
        "e and the pointwise relevance right, e estimated from context and style by the likelihood of implicit_rm "
        "unless supplied; no misclicks; answers to one prompt react independently"
    )
    citation: ClassVar[str] = "Ren, Tang, Rong, Zhu, SIGIR 2023, arXiv 2304.05066"

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_clip(self.key, self.clip)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The propensity e, then the pointwise relevance q."""
        return (Stage(Exposure(self.e_max), ("e",)), Stage(Relevance(self.clip), ("relevance",)))

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """Mean over the partners of the weighted pair losses [..., B]; never negative."""
        pairs, weight_P = silent_weights(self.key, obs, self.clip, obs.column("relevance"))
        f_B = logits["reward"]
        return pairs.row_means(weight_P * pair_loss(pairs.first(f_B), pairs.second(f_B)))
