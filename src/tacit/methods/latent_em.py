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
    """

    objective: Literal["marginal", "em"] = "em"

    key: ClassVar[str] = "latent_em"
    citation: ClassVar[str] = "Dawid & Skene 1979; Dempster, Laird & Rubin 1977"
