"""Times as exports write them, as seconds: dates of Arrow, ISO 8601 text, and epochs in s, ms, µs or ns."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tacit.data.raw import RawTable
from tacit.errors import DataError

_LONGEST_S = 1e11  # epochs beyond it (the year 5138) count smaller units, each a thousandth of the one before
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")


def epoch_seconds(raw: RawTable, name: str) -> npt.NDArray[np.float64]:
    """A column of times as seconds since 1970 [N], NaN where there is none; times without a zone are UTC.

    Numbers are epochs; of which unit, their size says.

    Raises:
        DataError: a value that is no time, with its row.
    """
    column = raw.column(name)
    if not isinstance(column, list):
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("us", tz="UTC" if getattr(column.type, "tz", None) else None))
            micros = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
            return np.asarray(micros, dtype=np.float64) / 1e6
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            return _scaled(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    values = [seconds_of(value) for value in raw.values(name)]
    bad = next((i for i, value in enumerate(values) if value is None), None)
    if bad is not None:
        raise DataError(
            f"{raw.where(bad)}: column {name!r} holds {raw.values(name)[bad]!r}, expected a time: seconds since 1970, "
            "or ISO 8601 such as 2026-11-28T09:30:00Z"
        )
    return _scaled(np.array([value for value in values if value is not None], dtype=np.float64))


def span(text: str) -> float:
    """A span of time in seconds: "90s", "30m", "24h", "7d".

    Raises:
        DataError: another text, or no time at all.

    Example:
        >>> span("30m"), span("1.5h")
        (1800.0, 5400.0)
    """
    found = _SPAN.fullmatch(text.strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not seconds:
        raise DataError(f"{text!r} is no span of time, expected a number and a unit: 90s, 30m, 24h or 7d")
    return seconds


def _scaled(values_N: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = np.abs(values_N[np.isfinite(values_N)])
    middle = float(np.median(known)) if len(known) else 0.0
    while middle >= _LONGEST_S:
        values_N, middle = values_N / 1000, middle / 1000
    return values_N


def seconds_of(value: Any) -> float | None:
    """One time in seconds (of a number as it stands): NaN of nothing, None of what is no time.

    Example:
        >>> seconds_of("1970-01-01 00:01:00"), seconds_of("1970-01-01T01:00:00+01:00"), seconds_of("soon")
        (60.0, 0.0, None)
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    try:
        if isinstance(value, str):
            return _of_text(value.strip())
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _of_text(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        found = datetime.fromisoformat(text.removesuffix(" UTC"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
