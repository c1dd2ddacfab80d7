"""Results as they come: one safetensors file per contender and case, named by the hash of its configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.files import atomic_path

_SHOWN = 20  # characters of the hash in a file name


def read_part(folder: Path, key: str, *names: str) -> dict[str, NDArray[Any]] | None:
    """The arrays of a finished fit; None if it has not been run, or its file is damaged or lacks one of `names`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / f"{key[:_SHOWN]}.safetensors"
    if not path.exists():
        return None
    try:
        tensors = load_file(path)
    except SafetensorError:
        return None
    return tensors if set(names) <= set(tensors) else None


def write_part(folder: Path, key: str, **arrays: Any) -> None:
    """Keep the result of one fit, whole or not at all."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / f"{key[:_SHOWN]}.safetensors") as temporary:
        save_file({name: np.asarray(value, order="C") for name, value in arrays.items()}, temporary)


def kept_doubts(doubts: Sequence[str]) -> NDArray[np.uint8]:
    """Warnings of a fit as an array of its part: whoever finds the fit done has to hear of them as well."""
    return np.frombuffer(json.dumps(doubts).encode(), dtype=np.uint8)


def doubts_of(part: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    """The warnings in the array `doubts` of a part."""
    return tuple(json.loads(part["doubts"].tobytes()))


def in_short(doubts: Sequence[str]) -> str:
    """Every seed, fold and stage of a fit may warn of the same; the first says it."""
    return doubts[0] + (f" (and {len(doubts) - 1} more)" if doubts[1:] else "")
