"""How heads on frozen features are fitted: the ensemble engine, its selection and its checkpoints."""

from __future__ import annotations

from tacit.training.config import TrainingConfig
from tacit.training.estimator import HeadEstimator

__all__ = ["HeadEstimator", "TrainingConfig"]
