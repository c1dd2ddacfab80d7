"""Tacit: reward models from the feedback users already give. This file names the public API, nothing else."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tacit._version import __version__

if TYPE_CHECKING:
    from tacit import methods
    from tacit.calibrating import calibrate
    from tacit.data import FeedbackLog, Signal
    from tacit.finetuning import finetune
    from tacit.fitting import fit
    from tacit.model import FineTunedRewardModel, RewardModel
    from tacit.model import load_model as load

__all__ = [
    "FeedbackLog",
    "FineTunedRewardModel",
    "RewardModel",
    "Signal",
    "__version__",
    "calibrate",
    "finetune",
    "fit",
    "load",
    "methods",
]

# Idle OpenMP threads sleep instead of spinning: beside another busy process a fit of small matrices is otherwise ten
# times slower and more, and alone it loses nothing. Read when torch is first imported; what the user set stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOME = {
    "FeedbackLog": ("tacit.data", "FeedbackLog"),
    "Signal": ("tacit.data", "Signal"),
    "RewardModel": ("tacit.model", "RewardModel"),
    "FineTunedRewardModel": ("tacit.model", "FineTunedRewardModel"),
    "load": ("tacit.model", "load_model"),
    "calibrate": ("tacit.calibrating", "calibrate"),
    "finetune": ("tacit.finetuning", "finetune"),
    "fit": ("tacit.fitting", "fit"),
    "methods": ("tacit.methods", None),
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import tacit` loads neither torch nor transformers."""
    if name not in _HOME:
        raise AttributeError(f"module 'tacit' has no attribute {name!r}")
    module_name, attribute = _HOME[name]
    module = import_module(module_name)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value
