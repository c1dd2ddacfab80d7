"""`kto`: the Kahneman–Tversky loss of single answers, in its form for a reward model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.method import Head, Level, Logits, Method
from tacit.methods.observations import Observations


@dataclass(frozen=True)
class KTO(Method):
    """Clicked answers should lie above a reference point and silent ones below it, with fading returns.

    | Inputs | Labels |
    |---|---|
    | f: text | any positive signal fired |

    Loss, with h = beta·f and the reference z0 = max(0, mean of h over the batch), held constant:
        y=1: λ_D·(1 − σ(h − z0));   y=0: λ_U·(1 − σ(z0 − h)),   λ_U = 1.
    Published for a policy, where h is the log-ratio to a reference model (beta 0.1) and z0 its mean over mismatched
    prompts and answers; a reward head stands alone, and beta = 1 is its natural unit.

    Silence is read as dislike, as in `naive`; the bounded loss forgives single contradictions. Order only: certainty
    minimises it, so the score's level and scale say nothing.

    Args:
        beta: scale of the reward.
        desirable: λ_D; None: chosen in each batch so that clicks and silence weigh the same,
            λ_D·n_D = λ_U·n_U, the low end of the published range [1, 4/3].

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> KTO(desirable=1.0).loss({"reward": torch.zeros(2)}, observations(torch.tensor([1.0, 0.0])))
        tensor([0.5000, 0.5000])
    """

    beta: float = 1.0
    desirable: float | None = None

    key: ClassVar[str] = "kto"
    level: ClassVar[Level] = "rank"
    assumes: ClassVar[str] = "silence is dislike"
    not_identified: ClassVar[str] = "level and scale; preference apart from activity"
    citation: ClassVar[str] = "Ethayarajh, Xu, Muennighoff, Jurafsky, Kiela, ICML 2024, arXiv 2402.01306"
    # A loss that certainty minimises would take every larger scale for a better one: no temperature.
    calibrated: ClassVar[tuple[str, ...] | None] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("beta", self.beta), ("desirable", self.desirable)):
            if value is not None and not value > 0:
                raise ConfigError(f"method kto: {name} is {value}, expected a number above 0")

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from 0: where the sigmoid is steepest."""
        return (Head("reward", "reward", (0.0,)),)

    def counts(self, obs: Observations) -> Tensor:
        """Rows on which a deciding signal was visible."""
        return obs.any_positive()[1]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """λ·σ(∓(h − z0)) [..., B]; the reference is the mean over the rows given, when rows are judged too."""
        y_B, known_B = obs.any_positive()
        h_B = self.beta * logits["reward"]
        reference = obs.mean(h_B, known_B).clamp(min=0).detach()
        gain = self._desirable(y_B, known_B, obs)
        return y_B * gain * torch.sigmoid(reference - h_B) + (1 - y_B) * torch.sigmoid(h_B - reference)

    def _desirable(self, y_B: Tensor, known_B: Tensor, obs: Observations) -> Tensor | float:
        if self.desirable is not None:
            return self.desirable
        share = obs.mean(y_B, known_B)
        return (1 - share) / torch.where(share > 0, share, torch.ones_like(share))
