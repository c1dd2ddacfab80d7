"""What methods share that divide a click by how likely one who likes the response was to give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.method import Level, Stage
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_e_max, refuse_scaled_and_known
from tacit.methods.positive_unlabelled import PositiveUnlabelled
from tacit.methods.stages.exposure import Exposure


@dataclass(frozen=True)
class ExposureWeighted(PositiveUnlabelled):
    """Base: a propensity e, supplied or estimated first.

    Args:
        e_max: scale an estimated e so that its .99 quantile is this; None: as estimated.
    """

    e_max: float | None = None

    level: ClassVar[Level] = "prob"
    assumes: ClassVar[str] = (
        "no misclicks; e is right, estimated from context and style by the likelihood of implicit_rm unless supplied, "
        "and above the clip"
    )
    not_identified: ClassVar[str] = "e from the signal alone: its level, and without context its shape"

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_e_max(self.key, self.e_max)

    def check(self, obs: Observations) -> None:
        """Positives and silence, and a propensity that is either supplied or scaled."""
        super().check(obs)
        refuse_scaled_and_known(self.key, self.e_max, obs.columns)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The label propensity."""
        return (Stage(Exposure(self.e_max), ("e",)),)


def inverse_exposure(obs: Observations, clip: float) -> Tensor:
    """y / max(e, clip) [..., B], with E[y/e | r*] = r*.

    Example:
        >>> import torch
        >>> from tacit.methods.observations import observations
        >>> obs = observations(torch.tensor([1.0, 1.0, 0.0]), columns={"e": torch.tensor([0.5, 0.01, 0.5])})
        >>> inverse_exposure(obs, clip=0.05)
        tensor([ 2., 20.,  0.])
    """
    return obs.any_positive()[0] / obs.column("e").clamp(min=clip)
