"""`constant`: one number for every response. The floor that a reward model must beat on Brier and NLL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tacit.methods.method import Head, Setting, mean_rate
from tacit.methods.naive import Naive
from tacit.methods.observations import Observations
from tacit.methods.primitives import logit


@dataclass(frozen=True)
class Constant(Naive):
    """Predict the observed positive rate for every response, whatever it says.

    Fitted by the same loss as `naive`, with a head that sees nothing.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        >>> Constant().heads(obs)  # logit ¼ = −log 3
        (Head(name='reward', view='none', bias=(-1.098...,), scalar=True),)
        >>> Constant().loss({"reward": -torch.tensor([3.0, 3.0, 3.0, 3.0]).log()}, obs)  # −log ¼ and −log ¾
        tensor([1.3863, 0.2877, 0.2877, 0.2877])
    """

    key: ClassVar[str] = "constant"
    setting: ClassVar[Setting] = "any"
    assumes: ClassVar[str] = "nothing: content-blind"
    not_identified: ClassVar[str] = "everything but the click rate"
    citation: ClassVar[str] = "content-blind baseline"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """A free constant, started at the observed rate, which is already its optimum."""
        return (Head("reward", "none", (logit(mean_rate(*obs.any_positive())),)),)
