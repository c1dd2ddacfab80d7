"""Context columns (slot, device, activity …) as the numbers that propensity heads see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit.errors import DataError, ModelError

OTHER = "(other)"
_MOST_LEVELS = 64
_LEAST_ROWS = 5  # rarer levels are pooled: a weight fitted on three rows is noise


@dataclass(frozen=True)
class _Numeric:
    column: str
    mean: float
    scale: float


@dataclass(frozen=True)
class _Categorical:
    column: str
    levels: tuple[str, ...]  # without OTHER
    shares: tuple[float, ...]  # of the levels and, last, of OTHER, in the fit


@dataclass(frozen=True)
class ContextCodec:
    """How each context column becomes numbers, learned on the training rows.

    Numbers (and booleans) are standardised. Anything else is one-hot over its levels, where rare ones share
    the level `(other)`. A level never seen in the fit is `(other)` too if that had rows, and otherwise the
    average row: a weight that no row has trained is never used.

    Example:
        >>> codec = ContextCodec.fit({"slot": np.array([0, 1, 2]), "device": np.array(["pc", "pc", "phone"])})
        >>> codec.names
        ('slot', 'device=pc', 'device=phone', 'device=(other)')
        >>> codec.transform({"slot": np.array([1]), "device": np.array(["phone"])}).tolist()
        [[0.0, 0.0, 1.0, 0.0]]
    """

    parts: tuple[_Numeric | _Categorical, ...]

    @classmethod
    def fit(cls, columns: Mapping[str, np.ndarray]) -> ContextCodec:
        """Learn from columns of equal length N.

        Raises:
            DataError: a column is empty, holds NaN or an infinity, or numbers too large to standardise; the message
                names the column, and the row where one is to blame.
        """
        parts: list[_Numeric | _Categorical] = []
        for column, values in columns.items():
            if len(values) == 0:
                raise DataError(f"context column {column!r} is empty; expected at least one row")
            numbers = _numbers(column, values) if _is_numeric(values) else None
            if numbers is not None:
                parts.append(_fit_numeric(column, numbers))
            else:
                parts.append(_fit_categorical(column, values))
        return cls(tuple(parts))

    @property
    def columns(self) -> tuple[str, ...]:
        """The context columns that the fit read."""
        return tuple(part.column for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the C output columns."""
        found: list[str] = []
        for part in self.parts:
            if isinstance(part, _Numeric):
                found.append(part.column)
            else:
                found += [f"{part.column}={level}" for level in (*part.levels, OTHER)]
        return tuple(found)

    def transform(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Turn columns of length N into float32 [N, C]; columns that the fit did not have are ignored.

        Raises:
            DataError: a fitted column is missing, differs in length, is text where numbers were fitted or numbers
                where text was, or holds NaN or an infinity.
        """
        rows = len(next(iter(columns.values()))) if columns else 0
        blocks: list[np.ndarray] = [np.zeros((rows, 0), dtype=np.float32)]
        for part in self.parts:
            if part.column not in columns:
                have = ", ".join(columns) or "none"
                raise DataError(
                    f"context column {part.column!r} is missing (found: {have}); the model was fitted with it"
                )
            values = columns[part.column]
            if len(values) != rows:
                raise DataError(
                    f"context column {part.column!r} has {len(values)} rows, expected {rows} as in the others"
                )
            if isinstance(part, _Numeric):
                if rows and not _is_numeric(values):
                    raise DataError(
                        f"context column {part.column!r} holds text; the model was fitted on numbers"
                    )
                numbers = (_numbers(part.column, values) - part.mean) / part.scale
                blocks.append(numbers.astype(np.float32)[:, None])
            else:
                if rows and _is_numeric(values):
                    raise DataError(_numbers_for_text(part, values))
                blocks.append(_one_hot(part, values))
        return np.concatenate(blocks, axis=1)

    def to_json(self) -> dict[str, Any]:
        """Return the codec as JSON values."""
        columns: list[dict[str, Any]] = []
        for part in self.parts:
            if isinstance(part, _Numeric):
                columns.append(
                    {"column": part.column, "kind": "numeric", "mean": part.mean, "scale": part.scale}
                )
            else:
                entry = {"column": part.column, "kind": "categorical"}
                columns.append({**entry, "levels": list(part.levels), "shares": list(part.shares)})
        return {"columns": columns}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ContextCodec:
        """Read back what `to_json` gave.

        Raises:
            ModelError: the value is not one that `to_json` writes.
        """
        try:
            return cls(tuple(_part_from_json(entry) for entry in value["columns"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"context codec cannot be read ({error!r}); the model folder is damaged"
            ) from error


def idle_columns(columns: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Columns that are the same on every row once a codec has read them, and why: "is constant" …

    A head learns nothing from them, whatever they are called.

    Example:
        >>> idle_columns({"slot": np.zeros(40), "hour": np.arange(40.0), "time": np.arange(40).astype(str)})
        {'slot': 'is constant', 'time': 'has only levels too rare to use (each on fewer than 2 rows)'}
    """
    found = {column: _idle(column, values) for column, values in columns.items() if len(values)}
    return {column: why for column, why in found.items() if why is not None}


def context_varies(columns: Mapping[str, np.ndarray]) -> bool:
    """Whether some context column can teach a head anything.

    Example:
        >>> context_varies({"slot": np.zeros(40)}), context_varies({"hour": np.arange(40.0)}), context_varies({})
        (False, True, False)
    """
    return len(idle_columns(columns)) < len(columns)


def _idle(column: str, values: np.ndarray) -> str | None:
    if _is_numeric(values):
        numbers_N = _numbers(column, values)
        return "is constant" if numbers_N.min() == numbers_N.max() else None
    part = _fit_categorical(column, values)
    if part.shares[-1] == 1.0 and len(set(_levels(values))) > 1:
        return f"has only levels too rare to use (each on fewer than {_least_rows(len(values))} rows)"
    return "is constant" if max(part.shares) == 1.0 else None


def _part_from_json(entry: Mapping[str, Any]) -> _Numeric | _Categorical:
    column = str(entry["column"])
    if entry["kind"] == "numeric":
        return _Numeric(column, float(entry["mean"]), float(entry["scale"]))
    levels, shares = tuple(map(str, entry["levels"])), tuple(map(float, entry["shares"]))
    if entry["kind"] != "categorical" or len(shares) != len(levels) + 1:
        raise ValueError(f"column {column}")
    return _Categorical(column, levels, shares)


def _is_numeric(values: np.ndarray) -> bool:
    """Numbers and booleans; None in a column of Python objects counts as a missing number."""
    if values.dtype.kind in "biuf":
        return True
    if values.dtype.kind != "O":
        return False
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, (int, float, np.number, np.bool_)) for value in known)


def _numbers(column: str, values: np.ndarray) -> np.ndarray:
    numbers_N = np.array(
        [np.nan if v is None else v for v in values] if values.dtype.kind == "O" else values, np.float64
    )
    bad = np.flatnonzero(~np.isfinite(numbers_N))
    if len(bad):
        raise DataError(
            f"context column {column!r}, row {bad[0]}: found {numbers_N[bad[0]]}, expected a finite number "
            f"({len(bad)} such rows); fill them in, or write the column as text with its own word for unknown"
        )
    return numbers_N


def _levels(values: np.ndarray | Sequence[Any]) -> np.ndarray:
    return np.array(["(missing)" if value is None else str(value) for value in values], dtype=object)


def _fit_numeric(column: str, numbers_N: np.ndarray) -> _Numeric:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(numbers_N.mean()), float(numbers_N.std())
        scale = 1.0 if deviation <= 1e-9 * max(1.0, abs(mean)) else deviation
        farthest = float(np.abs(numbers_N - mean).max()) / scale
    if not (np.isfinite(deviation) and farthest < np.finfo(np.float32).max):
        largest = numbers_N[np.abs(numbers_N).argmax()]
        raise DataError(
            f"context column {column!r}: found {largest:.3g}, expected numbers whose spread can be computed, a size of "
            "1e30 at most; rescale the column (its logarithm, say), or leave it out"
        )
    return _Numeric(column, mean, scale)


def _least_rows(rows: int) -> int:
    """Rows that a level needs to be one of its own."""
    return min(_LEAST_ROWS, -(-rows // 20))


def _fit_categorical(column: str, values: np.ndarray) -> _Categorical:
    levels, counts = np.unique(_levels(values), return_counts=True)
    least = _least_rows(len(values))
    by_size = sorted(zip((-counts).tolist(), levels.tolist(), strict=True))
    kept = tuple(level for size, level in by_size if -size >= least and level != OTHER)[:_MOST_LEVELS]
    share = {level: -size / len(values) for size, level in by_size}
    shares = [share[level] for level in kept]
    pooled = sum(-size for size, level in by_size if level not in kept) / len(values)
    return _Categorical(column, kept, (*shares, pooled))


def _numbers_for_text(part: _Categorical, values: np.ndarray) -> str:
    """Why numbers are refused: logs hold 1 as 1.0, which is no level "1", so that all rows would be unseen levels."""
    levels = ", ".join(map(repr, part.levels[:3])) + (", …" if len(part.levels) > 3 else "")
    return (
        f"context column {part.column!r} holds numbers ({values[0]}); the model was fitted on text "
        f"({levels or 'rare levels only'}): write the column as text (strings in JSONL or Parquet; a CSV column of "
        "nothing but numbers is always read as numbers), or fit again on numbers"
    )


def _one_hot(part: _Categorical, values: np.ndarray) -> np.ndarray:
    at = {level: position for position, level in enumerate(part.levels)}
    width = len(part.levels) + 1
    unseen = np.array(part.shares, dtype=np.float32)
    if part.shares[-1] > 0:
        unseen = np.eye(width, dtype=np.float32)[-1]
    table = np.concatenate([np.eye(width, dtype=np.float32)[:-1], unseen[None]])
    codes = np.array([at.get(level, width - 1) for level in _levels(values)], dtype=np.int64)
    hot_NL: np.ndarray = table[codes]
    return hot_NL
