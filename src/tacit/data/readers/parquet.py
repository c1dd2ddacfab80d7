"""Parquet: types and nulls are in the file, nothing has to be guessed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from tacit.data.raw import RawTable, from_arrow
from tacit.errors import DataError, one_line


def read_parquet(path: Path) -> RawTable:
    """Read one Parquet file.

    Raises:
        DataError: a damaged file.
    """
    try:
        # Opened by us, so that a path with a `key=value` folder is not read as a partitioned set.
        with path.open("rb") as handle:
            table = pa.parquet.read_table(handle)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: damaged Parquet file: {one_line(error)}") from error
    return from_arrow(table.replace_schema_metadata(None), str(path))
