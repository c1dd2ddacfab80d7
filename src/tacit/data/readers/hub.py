"""Hugging Face datasets: a folder of `save_to_disk`, or an id on the hub. Code from a hub is never run."""

from __future__ import annotations

from pathlib import Path

from tacit.data.raw import RawTable
from tacit.data.readers.objects import read_object
from tacit.errors import DataError, one_line


def is_dataset(path: Path) -> bool:
    """Whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote this folder."""
    return any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))


def read_folder(path: Path) -> RawTable:
    """Read a folder that `save_to_disk` wrote.

    Raises:
        DataError: a damaged folder.
    """
    from datasets import load_from_disk

    try:
        return read_object(load_from_disk(str(path)), str(path))
    except DataError:
        raise
    except (
        IndexError
    ) as error:  # what datasets raises for a folder without data files, as it writes an empty set
        raise DataError(f"{path}: the log is empty; expected at least one row") from error
    except Exception as error:  # datasets raises many kinds for a damaged folder
        raise DataError(
            f"{path}: damaged dataset folder: {one_line(error)}; write it again with save_to_disk"
        ) from error


def read_hub(name: str) -> RawTable:
    """Read a dataset by its hub id, "owner/name".

    Raises:
        DataError: no such dataset, no network, or one that needs code of its own.
    """
    from datasets import load_dataset

    try:
        return read_object(load_dataset(name), name)
    except DataError:
        raise
    except Exception as error:  # the network, the hub and the dataset's builder each have their own kinds
        raise DataError(
            f"{name}: no such file, and not readable as a hub dataset: {one_line(error)}; "
            f"check the id and the network"
        ) from error
