"""Whether a run may go on in its output folder, and from which checkpoint."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from tacit.align.config import AlignConfig
from tacit.errors import ConfigError
from tacit.files import sha256_json, sha256_model
from tacit.training.finetune.checkpoints import last_complete

MARK = "run.json"  # what decides the run, while it is under way; align.json says it of one that has ended

logger = logging.getLogger("tacit")


def identity(config: AlignConfig, prompts: list[Any]) -> dict[str, Any]:
    """What decides a run: every option but the place it writes to, the prompts and the models by their content."""
    options: dict[str, Any] = json.loads(config.model_dump_json(exclude={"output"}))
    return {
        **options,
        "prompts": sha256_json(prompts),
        "policy": [config.policy, sha256_model(Path(config.policy))],
        "reward": [options["reward"], sha256_model(Path(config.reward.model))],
    }


def checkpoint_to_go_on_from(output: Path, asked: dict[str, Any] | None) -> Path | None:
    """The last whole checkpoint of this very run (`trainer: {save_strategy: steps, …}` writes them), or None.

    Args:
        output: folder of the run.
        asked: its identity; None on processes that leave the comparison to the first one.

    Raises:
        ConfigError: the folder holds anything else.
    """
    names = sorted(path.name for path in output.iterdir()) if output.is_dir() else []
    if set(names) <= {MARK}:
        return None
    began = MARK in names or any(name.startswith("checkpoint-") for name in names)
    if "align.json" in names or not began:
        raise ConfigError(f"output {output} already holds {names[0]}; choose a new folder, or empty it")
    if asked is not None:
        _require_same(output, asked)
    found = last_complete(output)
    if found is None:
        logger.warning("%s holds no whole checkpoint; the run begins again", output)
    else:
        logger.info("going on from %s", found)
    return found


def _require_same(output: Path, asked: dict[str, Any]) -> None:
    try:
        held = dict(json.loads((output / MARK).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ConfigError(
            f"output {output} holds checkpoints, but no {MARK} that says of which run; choose a new folder, or empty it"
        ) from None
    other = sorted(name for name in asked.keys() | held.keys() if asked.get(name) != held.get(name))
    if other:
        raise ConfigError(
            f"output {output} holds the beginning of another run, which differs in {', '.join(other)}; give that run's "
            "configuration and models to go on, choose a new folder, or empty it"
        )
