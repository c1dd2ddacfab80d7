"""The artefact: RewardModel — score, save, load."""

from __future__ import annotations

from tacit.model.inputs import Inputs, PropensityFeatures, Scalings, log_inputs
from tacit.model.reward_model import Pairs, RewardModel, sigmoid

__all__ = ["Inputs", "Pairs", "PropensityFeatures", "RewardModel", "Scalings", "log_inputs", "sigmoid"]
