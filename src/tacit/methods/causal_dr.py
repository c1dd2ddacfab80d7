"""`causal_dr`: CausalRM (arXiv 2603.18736), doubly robust: a second guess where no label was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from tacit.methods.causal_ips import CausalIPS
from tacit.methods.labels import corrected_label
from tacit.methods.method import Claim, Logits, Stage
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce


@dataclass(frozen=True)
class CausalDR(CausalIPS):
    """Fill in a guess of the preference on every row and let the labels that were given correct it.

    | Inputs | Labels |
    |---|---|
    | f and the guess m: text; p: text and context | an explicit label 0/1, missing where none was given |

    Loss: bce(f, T),  T = m + (o/p̂)·(t − m),  t = (r − ρ10)/Δ. That is the imputed loss plus the weighted error of the
    imputation in one cross-entropy. E[T | x] = r(x) when p̂ is right, or when m is; ρ must be right in both cases.
    m = clip((n̂ − ρ10)/Δ, 0, 1) from a surrogate n̂ = P(r=1 | x), fitted out of fold on labelled rows.

    The published code imputes n̂ itself, noise included: then m is never r(x) and the second leg does not exist.
    `imputation="published"` reproduces that, for comparison only. Held-out rows are judged as in `causal_ips`.

    Args:
        rho01: false-negative rate P(r=0 | r*=1) if known; None: estimated by `noise`.
        rho10: false-positive rate P(r=1 | r*=0) if known; None: estimated by `noise`.
        noise: rule by which unknown rates are estimated.
        quantile: of the anchors.
        clip: propensities below it count as this; .1 as published.
        propensity: loss of the propensity stage; "mse" as published.
        self_normalised: divide weights by their mean.
        imputation: "denoised", or "published".

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, float("nan")])).with_columns(p=torch.tensor([0.5, 0.5]))
        >>> obs = obs.with_columns(noisy=torch.tensor([0.45, 0.45]))  # m = (0.45 − 0.2)/½ = ½
        >>> heads = {"reward": torch.ones(2)}  # softplus(1) = 1.3133
        >>> CausalDR(rho01=0.3, rho10=0.2).loss(heads, obs)  # t = 1.6: 1.3133 − (½ + 2·(1.6 − ½)), 1.3133 − ½
        tensor([-1.3867,  0.8133])
    """

    imputation: Literal["denoised", "published"] = "denoised"

    key: ClassVar[str] = "causal_dr"
    claims: ClassVar[Claim] = "clean_risk"
    assumes: ClassVar[str] = (
        "labels given at random given text and context; constant noise rates, with anchors; the propensity or the "
        "surrogate is right"
    )

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """Propensity; and the noisy surrogate, from which the imputation is made."""
        return (super().stages(obs)[0], *self.surrogate_stage(obs, "noisy"))

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, m + (o/p)(t − m)) [..., B]."""
        m_B = self.imputed(obs)
        target_B = m_B + self.weights(obs) * (corrected_label(obs, *self.rates(obs)) - m_B)
        return bce(logits["reward"], target_B)

    def imputed(self, obs: Observations) -> Tensor:
        """m [..., B]: P(r*=1 | x) as the surrogate has it."""
        if self.imputation == "published":
            return obs.column("noisy")
        rho01, rho10 = self.rates(obs)
        return ((obs.column("noisy") - rho10) / (1 - rho01 - rho10)).clamp(0, 1)
