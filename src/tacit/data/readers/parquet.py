"""Parquet: types and nulls are in the file, nothing has to be guessed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet

from tacit.data.raw import RawTable, from_arrow, logger
from tacit.errors import DataError

_WIDEN = "permissive"  # one null makes pandas write a column of 0 and 1 as floats


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
        raise DataError(f"{path}: damaged Parquet file: {str(error).splitlines()[0]}") from error
    return from_arrow(table.replace_schema_metadata(None), str(path))


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files below a folder by their names, in order; hidden ones (`.tmp`, `_temporary/`) are none."""
    found = [path.relative_to(folder) for path in folder.rglob("*.parquet") if path.is_file()]
    return sorted(folder / path for path in found if not any(part[0] in "._" for part in path.parts))


def read_parquet_folder(folder: Path, files: Sequence[Path]) -> RawTable:
    """Read `files` below `folder` as one table; folders called `key=value` are columns, as Hive writes them.

    Raises:
        DataError: a damaged file, or files whose columns have types that do not fit one another.
    """
    _check_fit(files)
    base = folder.resolve()
    options = pa.dataset.FileSystemFactoryOptions(
        partition_base_dir=str(base), partitioning=pa.dataset.HivePartitioning.discover()
    )
    try:
        factory = pa.dataset.FileSystemDatasetFactory(
            pa.fs.LocalFileSystem(),
            [str(base / file.relative_to(folder)) for file in files],  # a file may be a link to elsewhere
            pa.dataset.ParquetFileFormat(),
            options,
        )
        table = factory.finish(factory.inspect(promote_options=_WIDEN)).to_table()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{folder}: its Parquet files are not readable as one table: {str(error).splitlines()[0]}; write each "
            f"column with one type"
        ) from error
    logger.info("%s: read %d Parquet files", folder, len(files))
    return from_arrow(table.replace_schema_metadata(None), str(folder))


def _check_fit(files: Sequence[Path]) -> None:
    """Refuse the first file that Arrow could not put below those before it; its own error does not name it."""
    schema = pa.schema([])
    for file in files:
        try:
            found = pa.parquet.read_schema(file)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file}: damaged Parquet file: {str(error).splitlines()[0]}") from error
        try:
            schema = pa.unify_schemas([schema, found], promote_options=_WIDEN)
        except pa.ArrowException as error:
            raise DataError(
                f"{file}: does not fit the files before it in the folder: {str(error).splitlines()[0]}; write each "
                f"column with one type"
            ) from error
