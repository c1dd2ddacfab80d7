"""What every nuisance refuses before it computes: cells that are not numbers, labels that are not 0 or 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tacit.errors import DataError, DegenerateDataError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def column(values: ArrayLike, name: str, rows: int | None = None) -> Floats:
    """One number per row as float64, NaN allowed.

    Raises:
        DataError: not a column, or not of that many rows.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} holds values that are not numbers; expected one number per row") from None
    if found.ndim != 1:
        raise DataError(f"{name} has shape {found.shape}; expected one number per row")
    if rows is not None and len(found) != rows:
        raise DataError(
            f"{name} has {len(found)} rows, the other columns {rows}; pass the same rows everywhere"
        )
    if len(found) == 0:
        raise DegenerateDataError(f"{name} is empty; expected at least one row")
    return found


def scores(values: ArrayLike, name: str = "score", rows: int | None = None) -> Floats:
    """Finite numbers, one per row (logits).

    Raises:
        DataError: a value is NaN or infinite; names its row.
    """
    found = column(values, name, rows)
    _refuse_first(~np.isfinite(found), found, name, "a finite number")
    return found


def probabilities(values: ArrayLike, name: str = "probability", rows: int | None = None) -> Floats:
    """Numbers from 0 to 1, one per row.

    Raises:
        DataError: a value is NaN or outside; names its row.
    """
    found = column(values, name, rows)
    _refuse_first(~((found >= 0) & (found <= 1)), found, name, "0 to 1, pass probabilities and not logits")
    return found


def labels(values: ArrayLike, name: str = "label", rows: int | None = None) -> Bools:
    """Labels that are 0 or 1 in every row.

    Raises:
        DataError: another value, NaN among them; names its row.
    """
    found = column(values, name, rows)
    _refuse_first((found != 0) & (found != 1), found, name, "0 or 1, leave out rows without a label")
    return np.equal(found, 1)


def labels_or_nan(values: ArrayLike, name: str = "label", rows: int | None = None) -> Floats:
    """Labels that are 0, 1, or NaN where nothing was observed.

    Raises:
        DataError: another value; names its row.
    """
    found = column(values, name, rows)
    _refuse_first(
        (found != 0) & (found != 1) & ~np.isnan(found), found, name, "0, 1, or NaN where unobserved"
    )
    return found


def features(values: ArrayLike, rows: int) -> Floats:
    """Finite features [N, D].

    Raises:
        DataError: wrong shape, or a cell that is NaN or infinite; names its row and column.
    """
    found = np.asarray(values)
    if found.ndim != 2 or len(found) != rows or found.shape[1] == 0:
        raise DataError(f"features have shape {found.shape}; expected ({rows}, D) with at least one column")
    if found.dtype.kind not in "fiub":
        raise DataError(
            f"features are of type {found.dtype}; expected numbers, encode texts and categories first"
        )
    found = found.astype(np.float64, copy=False)
    bad = ~np.isfinite(found)
    if bad.any():
        row, at = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(f"feature {at} is {found[row, at]:g} in row {row}; expected a finite number")
    return found


def positives_and_others(values: ArrayLike, rows: int | None = None) -> Bools:
    """PU labels: 1 where labelled positive, 0 where unlabelled, some of each (guards G2, G3).

    Raises:
        DegenerateDataError: no positive, or nothing unlabelled.
    """
    y_N = labels(values, "label", rows)
    if not y_N.any() or y_N.all():
        raise DegenerateDataError(
            f"{int(y_N.sum())} positives in {len(y_N)} rows; expected some positives and some unlabelled rows"
        )
    return y_N


def _refuse_first(bad: Bools, found: Floats, name: str, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"{name} is {found[row]:g} in row {row}; expected {expected}")
