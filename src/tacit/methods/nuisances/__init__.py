"""What methods must be told and a log does not say: who answers, how often labels lie, how many rows are good.

numpy in, numbers out; each module stands alone. scikit-learn is imported where it is used.
"""

from __future__ import annotations

from tacit.methods.nuisances import calibration, class_prior, noise_rates, propensity, trusted_map
from tacit.methods.nuisances.calibration import Affine, Beta, CalibrationMap, Isotonic
from tacit.methods.nuisances.cross_fitting import out_of_fold
from tacit.methods.nuisances.estimate import Estimate, wilson
from tacit.methods.nuisances.noise_rates import NoiseRates
from tacit.methods.nuisances.propensity import Diagnosis, Propensity

__all__ = [
    "Affine",
    "Beta",
    "CalibrationMap",
    "Diagnosis",
    "Estimate",
    "Isotonic",
    "NoiseRates",
    "Propensity",
    "calibration",
    "class_prior",
    "noise_rates",
    "out_of_fold",
    "propensity",
    "trusted_map",
    "wilson",
]
