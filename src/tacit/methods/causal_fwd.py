"""`causal_fwd`: CausalRM's nuisances with a proper likelihood of the noisy label; the family's recommended form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.causal_ips import CausalIPS
from tacit.methods.method import Claim, Logits
from tacit.methods.observations import Observations


@dataclass(frozen=True)
class CausalForward(CausalIPS):
    """Ratings are noisy and given by choice: weigh them, and explain each as a true opinion seen through noise.

    | Inputs | Labels |
    |---|---|
    | f: text; p: text and context | an explicit label 0/1, missing where none was given |

    Loss: −(o/p̂)·log P(r | x),  P(r=1 | x) = (1 − ρ01)σ(f) + ρ10(1 − σ(f)). Not an unbiased estimate of the clean risk,
    but its minimiser is r(x) for any positive weights, and it is bounded below: a memorised row does no more harm than
    elsewhere, which cannot be said of `causal_ips` and `causal_dr`. Without weights it is `forward_correction`.

    Args:
        rho01: false-negative rate P(r=0 | r*=1) if known; None: estimated by `noise`.
        rho10: false-positive rate P(r=1 | r*=0) if known; None: estimated by `noise`.
        noise: rule by which unknown rates are estimated.
        quantile: of the anchors.
        clip: propensities below it count as this; .1 as published.
        propensity: loss of the propensity stage; "mse" as published.
        self_normalised: divide weights by their mean.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
        >>> half, rho01, rho10 = torch.tensor([[0.5], [0.3], [0.2]])
        >>> obs = obs.with_columns(p=half, rho01=rho01, rho10=rho10)
        >>> CausalForward().loss({"reward": torch.zeros(3)}, obs)  # P(r=1) = ½·0.7 + ½·0.2 = 0.45: −2·log P
        tensor([1.5970, 1.1957, 0.0000])
    """

    key: ClassVar[str] = "causal_fwd"
    claims: ClassVar[Claim] = "consistent"

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """(o/p)·(−log P(r | x)) [..., B]."""
        return self.criterion(logits, obs)
