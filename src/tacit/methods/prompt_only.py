"""`prompt_only`: how far the prompt alone explains the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tacit.methods.method import Head, Setting, mean_rate
from tacit.methods.naive import Naive
from tacit.methods.observations import Observations
from tacit.methods.primitives import logit


@dataclass(frozen=True)
class PromptOnly(Naive):
    """Logistic regression of the naive label on the prompt's embedding, and nothing else.

    All answers to a prompt get one score: within prompts it ranks by chance, and what it gains beyond is what prompts
    give away about their users.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        >>> PromptOnly().heads(obs)  # it sees the prompt, and starts from logit ¼ = −log 3
        (Head(name='reward', view='prompt', bias=(-1.098...,), scalar=True),)
    """

    key: ClassVar[str] = "prompt_only"
    setting: ClassVar[Setting] = "any"
    assumes: ClassVar[str] = "nothing: content-blind"
    not_identified: ClassVar[str] = "preference between answers: only the prompt is seen"
    citation: ClassVar[str] = "content-blind baseline"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head that sees the prompt."""
        return (Head("reward", "prompt", (logit(mean_rate(*obs.any_positive())),)),)
