"""Which checkpoint a run goes on from: the last one that was written to its end."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
from safetensors import SafetensorError


def last_complete(folder: str | Path) -> Path | None:
    """The checkpoint with the most steps that is whole, or None.

    A checkpoint is written in place, its `trainer_state.json` last: a process killed meanwhile leaves a folder without
    one, or with half of it. The checkpoints of TRL's trainers are read as well.

    Args:
        folder: `output_dir` of the run.

    Example:
        >>> print(last_complete("no/such/folder"))
        None
    """
    steps = {
        int(found.name.partition("-")[2]): found
        for found in Path(folder).glob("checkpoint-*")
        if found.name.partition("-")[2].isdigit()
    }
    return next((steps[step] for step in sorted(steps, reverse=True) if _is_whole(steps[step], step)), None)


def _is_whole(checkpoint: Path, step: int) -> bool:
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        if state.get("global_step") != step:
            return False
        weights = _weights(checkpoint)
        for file in weights:
            with safetensors.safe_open(file, framework="pt"):  # a missing or cut file does not open
                pass
    except (OSError, ValueError, AttributeError, KeyError, TypeError, SafetensorError):
        return False
    return (
        bool(weights) or any(checkpoint.glob("pytorch_model_fsdp*")) or any(checkpoint.glob("global_step*"))
    )  # sharded


def _weights(checkpoint: Path) -> list[Path]:
    """The files that a model or an adapter was saved to: one, or those that the index of a large model names."""
    names = [
        name for name in ("model.safetensors", "adapter_model.safetensors") if (checkpoint / name).is_file()
    ]
    index = checkpoint / "model.safetensors.index.json"
    if index.is_file():
        names += sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    return [checkpoint / name for name in names]
