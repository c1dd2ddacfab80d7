"""`context_only`: how far slot, device and time alone explain the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tacit.methods.method import Head, Setting, mean_rate
from tacit.methods.naive import Naive
from tacit.methods.observations import Observations
from tacit.methods.primitives import logit


@dataclass(frozen=True)
class ContextOnly(Naive):
    """Logistic regression of the naive label on the context, and nothing else; a constant without context.

    Is the signal about users and slots, or about content? A reward model must beat this within prompts.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        >>> ContextOnly().heads(obs)  # it sees the context, and starts from logit ¼ = −log 3
        (Head(name='reward', view='context', bias=(-1.098...,), scalar=True),)
    """

    key: ClassVar[str] = "context_only"
    setting: ClassVar[Setting] = "any"
    needs: ClassVar[tuple[str, ...]] = ("signal", "context")
    assumes: ClassVar[str] = "nothing: content-blind"
    not_identified: ClassVar[str] = "preference: only context is seen"
    citation: ClassVar[str] = "content-blind baseline"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head that sees the context."""
        return (Head("reward", "context", (logit(mean_rate(*obs.any_positive())),)),)
