"""`label_wave`: cross-entropy, stopped when predictions on the training rows have calmed down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.method import Level, Logits, Setting
from tacit.methods.noisy_labels import NoisyLabels, eligible
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce


@dataclass(frozen=True)
class LabelWave(NoisyLabels):
    """Plain training, ended by the moment at which fewest predictions change; no held-out label is needed.

    | Inputs | Labels |
    |---|---|
    | f: text | an explicit label 0/1, missing where none was given |

    Loss: bce(f, r). After each epoch, the share of a member's labelled training rows whose class (f > 0) is not that of
    the epoch before, averaged over the last `window` epochs. The state kept is that of the first local minimum: no
    smaller value for as many epochs as the training's patience. As long as the window is not full the criterion counts
    down from 2 towards 1, above every share, so that patience does not run; a training that ends first keeps its last
    epoch. The criterion says nothing of held-out rows: heads get no temperature, and capacity is the first candidate.

    Estimates P(r=1 | x), noise and all; stopping early is all the protection there is. Against the published code,
    predictions are compared at the end of an epoch, as classes, and not by a cross-entropy, which falls as networks
    grow sure.

    Reference: Yuan, Feng, Liu, "Early stopping against label noise without validation data", ICLR 2024, arXiv
    2502.07551.

    Args:
        window: epochs that are averaged, 1 or more; usually 3 to 10.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 1.0, 0.0]))
        >>> for f in torch.tensor([[[0.0, 0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0, 1.0]], [[1.0, -1.0, 1.0, 1.0]]]):
        ...     obs = obs.with_columns(**LabelWave(window=1).refresh({"reward": f}, obs))
        >>> LabelWave(window=1).criterion({"reward": f}, obs)  # in the second epoch one class of four changed
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    window: int = 10

    key: ClassVar[str] = "label_wave"
    setting: ClassVar[Setting] = "explicit"
    needs: ClassVar[tuple[str, ...]] = ("label",)
    level: ClassVar[Level] = "prob"
    refreshes: ClassVar[bool] = True
    comparable: ClassVar[bool] = False
    calibrated: ClassVar[tuple[str, ...] | None] = ()  # the criterion does not read held-out logits
    assumes: ClassVar[str] = (
        "predictions are calmest just before wrong labels are memorised; labels at random given text"
    )
    not_identified: ClassVar[str] = "noise apart from disagreement; selection"
    citation: ClassVar[str] = "Yuan, Feng & Liu, ICLR 2024, arXiv 2502.07551"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 1:
            raise ConfigError(f"method {self.key}: window is {self.window}, expected 1 or more epochs")

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, r) [..., B]."""
        return bce(logits["reward"], obs.explicit()[0])

    def refresh(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """`wave` [M, 1], and its making: `class` [M, N] and `changed0`.. [M, 1], the latest first, −1 unknown."""
        class_MN = (logits["reward"] > 0).to(logits["reward"].dtype)
        unknown = torch.full_like(class_MN[..., :1], -1)
        changed = [obs.columns.get(f"changed{i}", unknown) for i in range(self.window)]
        # The weights before the first epoch predict one class everywhere: a change from there is no wave.
        before_MN = obs.columns.get("class") if obs.columns.get("trained") is not None else None
        if before_MN is not None:
            share = obs.mean((class_MN != before_MN).to(class_MN.dtype), eligible(obs))
            changed = [share, *changed[:-1]]
        made = {"class": class_MN, "wave": moving_average(torch.stack(changed))}
        if "class" in obs.columns:
            made["trained"] = torch.ones_like(unknown)
        return made | {f"changed{i}": value for i, value in enumerate(changed)}

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """The moving average of changed predictions, the same for every row [..., B]."""
        return obs.column("wave").expand_as(logits["reward"])


def moving_average(changed: Tensor) -> Tensor:
    """Mean over the window (first dimension); 1 + the missing share of the window where some are unknown (−1).

    Example:
        >>> moving_average(torch.tensor([[0.1, 0.3], [0.3, -1.0]])).tolist()
        [0.2..., 1.5]
    """
    missing = (changed < 0).to(changed.dtype).mean(0)
    return torch.where(missing > 0, 1 + missing, changed.mean(0))
