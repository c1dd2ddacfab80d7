"""Linear reward heads as one row: standardisation and temperatures folded in, members averaged, in float64.

A member's logit is scale·(wᵀ(e − μ)/σ + b) + shift. That is a row r = scale·w/σ on the embedding e and a constant
scale·(b − wᵀμ/σ) + shift; the mean over members is a row and a constant again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.errors import ModelError
from tacit.model.reward_model import RewardModel
from tacit.training.heads import Layout
from tacit.training.temperature import Calibration

_FOLDED = 1e-4  # float32 sums of a few thousand products, relative to the largest


@dataclass(frozen=True)
class Row:
    """A reward that is linear in the last hidden state: weight·e + level.

    Attributes:
        weight_D: float64 [D], becomes `score.weight`.
        level: the constant, which the heads of other stacks have no place for.
    """

    weight_D: NDArray[np.float64]
    level: float


def why_not_linear(model: RewardModel) -> str | None:
    """What keeps the reward from being linear in the embedding; None where it is."""
    if any(layout.hidden for layout in _layouts(model)):
        widths = "×".join(map(str, next(layout.hidden for layout in _layouts(model) if layout.hidden)))
        return f"its reward head has hidden layers ({widths})"
    if any(layout.head.view != "reward" for layout in _layouts(model)):
        return "its reward is no function of the embedding"
    return (
        None
        if model.reward_features == "text"
        else "its reward head sees measures of style besides the embedding"
    )


def fold(model: RewardModel) -> Row:
    """The reward of a model for which `why_not_linear` is None, as one row.

    The columns of the heads go through calibration and method as if they were rows of a log: both are linear, and the
    constants that they add are added to the last one only.
    """
    scaling = model.scalings.blocks["embedding"]
    calibration = model.ensemble.calibration
    slopes, constants = {}, {}
    for layout in _layouts(model):
        name, weights = layout.head.name, model.ensemble.weights[layout.head.name]
        bias_MK = weights["bias0"].double()[:, 0]
        M, K = bias_MK.shape
        weight_MDK = weights["weight0"].double().view(layout.inputs, M, K).transpose(0, 1)
        slopes[name] = weight_MDK[..., 0] if layout.head.scalar else weight_MDK
        constants[name] = bias_MK if layout.head.scalar else bias_MK[:, None, :]
    without_shift = Calibration(
        {name: value.double() for name, value in calibration.scale.items()},
        {name: torch.zeros_like(value).double() for name, value in calibration.shift.items()},
    )
    with_shift = Calibration(
        without_shift.scale, {name: value.double() for name, value in calibration.shift.items()}
    )
    weight_D = model.method.reward(without_shift.apply(slopes)).mean(0).numpy() / scaling.scale.astype(
        np.float64
    )
    constant = float(model.method.reward(with_shift.apply(constants)).mean())
    return Row(weight_D, constant - float(weight_D @ scaling.mean.astype(np.float64)))


def require_same(row: Row, embedding_ND: NDArray[np.floating], score_N: NDArray[np.floating]) -> None:
    """Refuse a row that does not give the scores of its model on the same embeddings.

    Raises:
        ModelError: it does not: the method's reward is not linear in its heads.
    """
    found_N = embedding_ND.astype(np.float64) @ row.weight_D + row.level
    size = max(1.0, abs(row.level), float(np.abs(score_N).max()))
    if not np.abs(found_N - score_N).max() <= _FOLDED * size:
        raise ModelError(
            f"folded to one row, the head differs from the model by {np.abs(found_N - score_N).max():.2g} logits; give "
            "texts to distil it instead (--texts FILE)"
        )


def _layouts(model: RewardModel) -> list[Layout]:
    return [model.ensemble.layouts[name] for name in model.method.reward_heads]
