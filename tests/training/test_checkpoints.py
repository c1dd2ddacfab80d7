"""A checkpoint is whole where its state is written and each of its weight files opens, however they are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tacit.training.finetune.checkpoints import last_complete

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def checkpoint(folder: Path, step: int, files: tuple[str, ...]) -> Path:
    made = folder / f"checkpoint-{step}"
    made.mkdir()
    for i, name in enumerate(files):
        save_file({f"w{i}": torch.zeros(8)}, made / name)
    if len(files) > 1:
        index = {"weight_map": {f"w{i}": name for i, name in enumerate(files)}}
        (made / "model.safetensors.index.json").write_text(json.dumps(index))
    (made / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return made


@pytest.mark.parametrize("files", [("model.safetensors",), ("adapter_model.safetensors",), SHARDS])
@pytest.mark.parametrize("damage", ["cut", "missing", "no state"])
def test_the_last_checkpoint_whose_files_are_all_whole_is_taken(
    files: tuple[str, ...], damage: str, tmp_path: Path
) -> None:
    first, last = checkpoint(tmp_path, 9, files), checkpoint(tmp_path, 10, files)
    assert last_complete(tmp_path) == last
    hurt = last / ("trainer_state.json" if damage == "no state" else files[-1])
    content = hurt.read_bytes()
    hurt.unlink()
    if damage == "cut":
        hurt.write_bytes(content[:-4])
    assert last_complete(tmp_path) == first


@pytest.mark.parametrize("index", ["{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {}}'])
def test_an_index_that_names_no_weights_makes_no_checkpoint(index: str, tmp_path: Path) -> None:
    (checkpoint(tmp_path, 1, ()) / "model.safetensors.index.json").write_text(index)
    assert last_complete(tmp_path) is None
