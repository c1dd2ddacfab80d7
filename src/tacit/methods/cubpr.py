"""`cubpr`: UBPR with bounded weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.clicked_pairs import WeightedPairs, unbiased_weights
from tacit.methods.method import Claim, Logits
from tacit.methods.observations import Observations
from tacit.methods.pair_losses import pair_loss
from tacit.methods.parameters import refuse_clip


@dataclass(frozen=True)
class CUBPR(WeightedPairs):
    """`ubpr` with small propensities raised to a floor and, if wanted, the loss of a pair kept above −beta.

    | Inputs | Labels |
    |---|---|
    | f: text; e = P(y=1 | r*=1), known or estimated first | any positive signal fired; several answers per prompt |

    Loss of row i: the mean over its partners j in the prompt of w·softplus(−(f_i − f_j)), or of
    max(w·softplus(−(f_i − f_j)), −nn_beta), with w = (y_i/e_i)(1 − y_j/e_j), e ← max(e, clip).
    Variance is paid for with bias: pairs below the floor count too little, and with nn_beta = 0 pairs in which both
    answers were clicked count as nothing. Without `nn_beta` the loss is unbounded below, like `ubpr`'s; held-out rows
    are judged as in `ubpr`, with negative weights at 0.
    Where e is not supplied it is estimated as in `ubpr`.

    Args:
        clip: propensities below it count as this.
        nn_beta: the least loss of a pair is −nn_beta; None: no limit.
        e_max: scale an estimated e so that its .99 quantile is this; None: as estimated.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 1.0, 1.0]), groups=torch.tensor([5, 5, 6, 6]))
        >>> obs = obs.with_columns(e=torch.tensor([0.02, 0.02, 0.5, 0.5]))  # the first is raised to .1
        >>> CUBPR().loss({"reward": torch.zeros(4)}, obs)  # 10·log 2; two clicks: 2·(1 − 2)·log 2 each
        tensor([ 6.9315,  0.0000, -1.3863, -1.3863])
        >>> CUBPR(nn_beta=0.0).loss({"reward": torch.zeros(4)}, obs)
        tensor([6.9315, 0.0000, 0.0000, 0.0000])
    """

    clip: float = 0.1
    nn_beta: float | None = None

    key: ClassVar[str] = "cubpr"
    claims: ClassVar[Claim] = "none"
    assumes: ClassVar[str] = (
        "e right and mostly above the floor, estimated from context and style by the likelihood of implicit_rm unless "
        "supplied; no misclicks; answers to one prompt react independently"
    )
    citation: ClassVar[str] = "Saito, Unbiased pairwise learning from biased implicit feedback, ICTIR 2020"

    def __post_init__(self) -> None:
        """Refuse a clip that is no propensity, and a limit that no loss is above."""
        super().__post_init__()
        refuse_clip(self.key, self.clip)
        if self.nn_beta is not None and self.nn_beta < 0:
            raise ConfigError(f"method cubpr: nn_beta is {self.nn_beta}, expected 0 or more, or None")

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """Mean over the partners of the pairs' bounded losses [..., B]."""
        pairs, weight_P = unbiased_weights(self.key, obs, self.clip)
        f_B = logits["reward"]
        value_P = weight_P * pair_loss(pairs.first(f_B), pairs.second(f_B))
        return pairs.row_means(value_P if self.nn_beta is None else value_P.clamp(min=-self.nn_beta))

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """The loss with negative weights at 0 [..., B]; bounded below."""
        pairs, weight_P = unbiased_weights(self.key, obs, self.clip)
        f_B = logits["reward"]
        return pairs.row_means(weight_P.clamp(min=0) * pair_loss(pairs.first(f_B), pairs.second(f_B)))
