"""`nnpu`: positive-unlabelled learning whose risk on disliked rows is not let below zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tacit.methods.method import Claim, Logits
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_negative
from tacit.methods.positive_unlabelled import partial_risks
from tacit.methods.upu import UPU


@dataclass(frozen=True)
class NNPU(UPU):
    """`upu` that stops fitting where the risk left over for disliked rows falls below zero, which only noise can do.

    | Inputs | Labels |
    |---|---|
    | text; π, the share of liked responses, known or estimated first | any positive signal fired |

    Rp = π·mean_P[softplus(−f)],  Rn = mean_A[softplus(f)] − π·mean_P[softplus(f)].
    Loss: Rp + Rn while Rn ≥ −β, as `upu`; else −γ·Rn, a step back (`mode="ascent"`), or Rp alone (`mode="clamp"`, as in
    published code for logs). Each member decides on its own rows of the batch. Biased in small samples, consistent.

    Args:
        prior: π if known, above the share of rows with a signal; None: estimated.
        rule: by which an unknown prior is estimated; see `tacit.methods.stages.prior`.
        beta: how far below zero Rn may go, 0 or more.
        gamma: size of the step back.
        mode: what happens below: "ascent" or "clamp".

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        >>> heads = {"reward": torch.tensor([3.0, 1 / 3, 1 / 3, 1 / 3]).log()}
        >>> NNPU(prior=0.5).loss(heads, obs)  # Rn = ¼·(−log 4 + 3·log 4/3) < 0: its rows, turned round
        tensor([ 1.3863, -0.2877, -0.2877, -0.2877])
        >>> NNPU(prior=0.5, mode="clamp").loss(heads, obs)  # Rp: ½·4·log 4/3 on the positive
        tensor([0.5754, 0.0000, 0.0000, 0.0000])
    """

    beta: float = 0.0
    gamma: float = 1.0
    mode: Literal["ascent", "clamp"] = "ascent"

    key: ClassVar[str] = "nnpu"
    claims: ClassVar[Claim] = "consistent"
    citation: ClassVar[str] = (
        "Kiryo, Niu, du Plessis, Sugiyama, Positive-unlabeled learning with non-negative risk estimator, NeurIPS 2017, "
        "arXiv 1703.00593"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, beta=self.beta, gamma=self.gamma)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """Rows of Rp + Rn, or of −γ·Rn (or Rp) for members whose Rn is below −β in this batch [..., B]."""
        liked_B, disliked_B = partial_risks(logits["reward"], self._prior(obs), obs)
        enough = obs.mean(disliked_B, obs.any_positive()[1]) >= -self.beta
        below_B = -self.gamma * disliked_B if self.mode == "ascent" else liked_B
        return torch.where(enough, liked_B + disliked_B, below_B)
