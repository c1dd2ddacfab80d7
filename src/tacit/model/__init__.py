"""The artefact: a reward model that scores pairs, saved as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit.model.folder import kind_of
from tacit.model.inputs import Inputs, PropensityFeatures, RewardFeatures, Scalings, log_inputs
from tacit.model.reward_model import RewardModel
from tacit.model.scoring import FittedScorer, Pairs, Scorer, sigmoid

if TYPE_CHECKING:
    from tacit.model.finetuned import FineTunedRewardModel


def load_model(folder: str | Path) -> FittedScorer:
    """Open any reward model that Tacit wrote: on a frozen encoder, or fine-tuned.

    Raises:
        ModelError: the folder is not a model, or is damaged.

    Example:
        >>> import tempfile
        >>> import tacit
        >>> from tacit.worlds import demo_world
        >>> log = demo_world(seeds=1, limit=24).log
        >>> knobs = {"members": 2, "hidden": (), "weight_decay": 1.0, "max_epochs": 3}
        >>> with tempfile.TemporaryDirectory() as place:
        ...     tacit.fit(log, encoder="hashing:32", config=knobs).save(f"{place}/rm")
        ...     tacit.load(f"{place}/rm")
        RewardModel(implicit_rm, encoder='hashing:32', members=2, fitted to 'demo')
    """
    if kind_of(Path(folder)) is None:
        return RewardModel.load(folder)
    from tacit.model.finetuned import FineTunedRewardModel  # brings transformers' Trainer along

    return FineTunedRewardModel.load(folder)


def __getattr__(name: str) -> Any:
    if name == "FineTunedRewardModel":
        from tacit.model.finetuned import FineTunedRewardModel

        return FineTunedRewardModel
    raise AttributeError(f"module 'tacit.model' has no attribute {name!r}")


__all__ = [
    "FineTunedRewardModel",
    "FittedScorer",
    "Inputs",
    "Pairs",
    "PropensityFeatures",
    "RewardFeatures",
    "RewardModel",
    "Scalings",
    "Scorer",
    "load_model",
    "log_inputs",
    "sigmoid",
]
