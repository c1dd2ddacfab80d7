"""`style`: a judge that has not read a word. Stands beside every refit, fitted to the signals of the same folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tacit.methods import Head, Length, Observations
from tacit.methods.method import mean_rate
from tacit.methods.primitives import logit


@dataclass(frozen=True)
class Style(Length):
    """Logistic regression of the naive label on the measures of style: length, code, lists, headings …

    It sees neither text nor gold. A reward model that does not beat it has learned how answers look.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> Style().heads(observations(torch.tensor([1.0, 0.0, 0.0, 0.0])))  # it starts from logit ¼ = −log 3
        (Head(name='reward', view='style', bias=(-1.098...,), scalar=True),)
    """

    key: ClassVar[str] = "style"
    not_identified: ClassVar[str] = "preference: only style is seen"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head that sees the style."""
        return (Head("reward", "style", (logit(mean_rate(*obs.any_positive())),)),)
