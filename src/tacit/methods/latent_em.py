"""`latent_em`: the likelihood of `latent_ml`, climbed by expectation–maximisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tacit.methods.latent_ml import LatentML


@dataclass(frozen=True)
class LatentEM(LatentML):
    """`latent_ml` written as expectation–maximisation: guess each preference, then fit to the guesses.

    By Fisher's identity a step has the same gradient as a step on −log P(y); held-out rows are judged by the
    likelihood either way. With the activity gate the likelihood itself is descended.

    Args:
        objective: "em", or "marginal", which is `latent_ml`.
        misclicks: as in `latent_ml`.
        gate: as in `latent_ml`.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs, f = observations(torch.tensor([0.0])), torch.zeros(1, requires_grad=True)
        >>> for method in (LatentEM(), LatentML()):  # q = ⅓: log 2 + ⅓·log 2; −log ¾; slopes ½ − ⅓
        ...     loss = method.loss({"reward": f, "propensity": torch.zeros(1, 1)}, obs)
        ...     print(loss.detach(), *torch.autograd.grad(loss.sum(), f))
        tensor([0.9242]) tensor([0.1667])
        tensor([0.2877]) tensor([0.1667])
    """

    objective: Literal["marginal", "em"] = "em"

    key: ClassVar[str] = "latent_em"
    citation: ClassVar[str] = "Dawid & Skene 1979; Dempster, Laird & Rubin 1977"
