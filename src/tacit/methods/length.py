"""`length`: how far the length of a response alone explains the log. Stands beside every result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tacit.methods.method import Head, Setting, mean_rate
from tacit.methods.naive import Naive
from tacit.methods.observations import Observations
from tacit.methods.primitives import logit


@dataclass(frozen=True)
class Length(Naive):
    """Logistic regression of the naive label on the logarithm of the word count, and nothing else.

    A reward model that does not beat it within prompts has learned length, not preference.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        >>> Length().heads(obs)  # it sees the length, and starts from logit ¼ = −log 3
        (Head(name='reward', view='length', bias=(-1.098...,), scalar=True),)
    """

    key: ClassVar[str] = "length"
    setting: ClassVar[Setting] = "any"
    assumes: ClassVar[str] = "nothing: content-blind"
    not_identified: ClassVar[str] = "preference: only length is seen"
    citation: ClassVar[str] = "content-blind baseline"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head that sees the length."""
        return (Head("reward", "length", (logit(mean_rate(*obs.any_positive())),)),)
