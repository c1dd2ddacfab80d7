"""`sar_ipw`: positive rows weighted by how rarely a like shows there (Bekker, Robberechts & Davis 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods.exposure_weighted import ExposureWeighted, inverse_exposure
from tacit.methods.latent import implicit_nll
from tacit.methods.method import Claim, Logits
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_clip
from tacit.methods.primitives import bce

_ALMOST_ONE = 1 - 1e-6


@dataclass(frozen=True)
class SARIPW(ExposureWeighted):
    """A like that rarely shows counts for several when it does, and is taken off the silent rows.

    | Inputs | Labels |
    |---|---|
    | text; e = P(y=1 | r*=1, x, z), known or estimated first from context and style | any positive signal fired |

    Loss: bce(f, y/e), that is (1/e)·softplus(−f) + (1−1/e)·softplus(f) for a signal and softplus(f) for silence. Its
    expectation is the logistic loss on r*, given the true e. It is unbounded below (targets exceed 1): held-out rows
    are judged by −log P(y) with P(y=1) = e·σ(f), and `nonnegative` guards networks as in `nnpu`.

    Where e is not supplied it is estimated by the likelihood of `implicit_rm` (`tacit.methods.stages.exposure`).

    Relation: inverse propensity scoring for implicit signals; with one e for all rows it is `upu`, with e = 1 `naive`.

    Args:
        clip: propensities below it count as this.
        nonnegative: take a step back when the part for disliked rows, Rn = mean[(1 − y/e)·softplus(f)], falls below 0.
        e_max: scale an estimated e so that its .99 quantile is this; None: as estimated.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0])).with_columns(e=torch.tensor([0.25, 0.25]))
        >>> SARIPW().loss({"reward": torch.ones(2)}, obs)  # softplus(1) = 1.3133, less 1/¼ = 4 for a click
        tensor([-2.6867,  1.3133])
    """

    clip: float = 0.05
    nonnegative: bool = False

    key: ClassVar[str] = "sar_ipw"
    claims: ClassVar[Claim] = "clean_risk"
    citation: ClassVar[str] = (
        "Bekker, Robberechts, Davis, Beyond the selected completely at random assumption for learning from positive "
        "and unlabeled data, ECML-PKDD 2019, arXiv 1809.03207"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_clip(self.key, self.clip)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, y/e) [..., B]."""
        target_B = inverse_exposure(obs, self.clip)
        loss_B = bce(logits["reward"], target_B)
        if not self.nonnegative:
            return loss_B
        disliked_B = (1 - target_B) * softplus(logits["reward"])
        return torch.where(obs.mean(disliked_B, obs.any_positive()[1]) >= 0, loss_B, -disliked_B)

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y), P(y=1) = e·σ(f) [..., B]."""
        e_B = obs.column("e").clamp(min=self.clip, max=_ALMOST_ONE)
        return implicit_nll(logits["reward"], torch.logit(e_B), obs.any_positive()[0])
