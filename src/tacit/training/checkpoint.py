"""Saving the state of a fit between epochs, so that a killed fit goes on to the same bytes.

One safetensors file holds the tensors, its metadata the rest as JSON; it is replaced atomically.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tacit.files import atomic_path


class Checkpoint:
    """A folder of named training states.

    Args:
        folder: where states lie; created at the first save.
        every: least seconds between two saves of the same running state; a finished state is always saved.
    """

    def __init__(self, folder: Path, every: float = 5.0) -> None:
        self.folder = folder
        self._every = every
        self._saved = time.monotonic()

    def due(self) -> bool:
        """Whether enough time has passed since the last save."""
        return time.monotonic() - self._saved >= self._every

    def save(self, name: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Replace the state called `name`."""
        with atomic_path(self.folder / f"{name}.safetensors") as temporary:
            save_file(
                {key: value.detach().contiguous() for key, value in tensors.items()},
                temporary,
                metadata={"state": json.dumps(state)},
            )
        self._saved = time.monotonic()

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The state called `name`, or None when there is none that can be read."""
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as handle:
                state = json.loads((handle.metadata() or {})["state"])
                return {key: handle.get_tensor(key) for key in handle.keys()}, state  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError):
            return None  # a damaged state only costs the time to train again
