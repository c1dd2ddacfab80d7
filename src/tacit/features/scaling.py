"""Standardising features: mean 0, deviation 1 per column, learned once and stored with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tacit.errors import DataError, ModelError

_CELLS = 1 << 22  # numbers widened at a time: a memory-mapped log is never copied whole


@dataclass(frozen=True)
class Standardiser:
    """Column means and deviations.

    Attributes:
        mean: float32 [D].
        scale: float32 [D]; 1 where a column is constant, so that it becomes 0 and not NaN.

    Example:
        >>> scaler = Standardiser.fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> scaler.apply(np.array([[1.0, 5.0], [4.0, 6.0]])).tolist()
        [[-1.0, 0.0], [2.0, 1.0]]
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, features_ND: np.ndarray) -> Standardiser:
        """Learn from [N, D] of any float type, in chunks and in float64.

        Raises:
            DataError: no rows, or a value that is not finite.
        """
        if features_ND.ndim != 2 or len(features_ND) == 0:
            raise DataError(
                f"features to standardise have shape {features_ND.shape}; expected [N, D] with N at least 1"
            )
        rows, width = features_ND.shape
        mean_D, squares_D = np.zeros(width), np.zeros(width)
        seen = 0
        step = max(1, _CELLS // max(1, width))
        for start in range(0, rows, step):
            chunk_BD = np.asarray(features_ND[start : start + step], dtype=np.float64)
            if not np.isfinite(chunk_BD).all():
                row, column = (int(i) for i in np.argwhere(~np.isfinite(chunk_BD))[0])
                raise DataError(
                    f"features to standardise: row {start + row}, column {column} is "
                    f"{chunk_BD[row, column]}; expected a finite number"
                )
            # Chan's update: the mean of squares would cancel for columns far from zero.
            count = len(chunk_BD)
            chunk_mean_D = chunk_BD.mean(axis=0)
            shift_D = chunk_mean_D - mean_D
            squares_D += np.square(chunk_BD - chunk_mean_D).sum(axis=0) + shift_D**2 * seen * count / (
                seen + count
            )
            mean_D += shift_D * count / (seen + count)
            seen += count
        scale_D = np.sqrt(squares_D / rows)
        scale_D[scale_D <= 1e-6 * np.maximum(np.abs(mean_D), 1e-6)] = 1.0
        return cls(mean_D.astype(np.float32), scale_D.astype(np.float32))

    def apply(self, features_ND: np.ndarray) -> np.ndarray:
        """Standardise [N, D] into a new float32 array.

        Raises:
            DataError: D is not the one that was fitted.
        """
        if features_ND.ndim != 2 or features_ND.shape[1] != len(self.mean):
            raise DataError(
                f"features have shape {features_ND.shape}; expected [N, {len(self.mean)}] as in the fit"
            )
        out_ND = features_ND.astype(np.float32)
        out_ND -= self.mean
        out_ND /= self.scale
        return out_ND

    def tensors(self) -> dict[str, np.ndarray]:
        """Arrays to be saved as safetensors."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Standardiser:
        """Read back what `tensors` gave.

        Raises:
            ModelError: an array is missing, or the two do not fit.
        """
        try:
            mean_D, scale_D = (np.asarray(tensors[name], dtype=np.float32) for name in ("mean", "scale"))
        except KeyError as error:
            raise ModelError(
                f"standardiser: tensor {error} is missing; the model folder is damaged"
            ) from error
        if mean_D.ndim != 1 or mean_D.shape != scale_D.shape or not (scale_D > 0).all():
            raise ModelError(
                "standardiser: mean and scale do not fit each other; the model folder is damaged"
            )
        return cls(mean_D, scale_D)
