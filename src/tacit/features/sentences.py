"""What a sentence-transformers folder says of its vectors: its modules, their pooling, the longest text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.errors import ConfigError, shown
from tacit.features.transformer import Pooling

_POOLINGS: dict[str, Pooling] = {"cls": "first", "lasttoken": "last", "mean": "mean"}

_BEFORE_6 = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The flags that stood in place of `pooling_mode` before version 6."""

_ELSE = (
    "name another encoder, or a copy of the folder without modules.json and 1_Pooling for its plain vectors"
)


@dataclass(frozen=True)
class SentenceSettings:
    """What the folder states; in a plain Hugging Face folder, nothing.

    Attributes:
        pooling: from token vectors to one; None where it is not said.
        normalise: whether vectors are scaled to unit length.
        longest: most tokens read of a text; None where it is not said.
    """

    pooling: Pooling | None
    normalise: bool
    longest: int | None


def sentence_settings(spec: str, folder: Path) -> SentenceSettings:
    """Read the folder of the encoder that the user named `spec`.

    Raises:
        ConfigError: it pools in a way or has a module that would give other vectors than ours, or cannot be read.
    """
    modules, bert = _modules(spec, folder), folder / "sentence_bert_config.json"
    longest = _read(spec, bert, dict).get("max_seq_length") if bert.is_file() else None
    pooling = modules.get("Pooling")
    return SentenceSettings(
        None if pooling is None else _pooling(spec, folder / pooling / "config.json"),
        "Normalize" in modules,
        longest if isinstance(longest, int) else None,
    )


def _modules(spec: str, folder: Path) -> dict[str, str]:
    """Folder of each module by the name of its class; without a list of them, of the pooling where it usually lies."""
    listed = folder / "modules.json"
    if not listed.is_file():
        return {"Pooling": "1_Pooling"} if (folder / "1_Pooling" / "config.json").is_file() else {}
    found = {}
    for module in _read(spec, listed, list):
        whole = str(module["type"]) if isinstance(module, dict) and "type" in module else shown(module)
        library, name = whole.split(".")[0], whole.split(".")[-1]
        # A class of another library may do anything; any other of theirs (Dense, …) changes the vectors.
        if library != "sentence_transformers" or name not in ("Transformer", "Pooling", "Normalize"):
            raise ConfigError(
                f"encoder {spec!r}: {listed} names the module {whole}, expected Transformer, Pooling "
                f"and Normalize of sentence_transformers; {_ELSE}"
            )
        found[name] = str(module.get("path", ""))
    return found


def _pooling(spec: str, path: Path) -> Pooling:
    stated = _read(spec, path, dict)
    flags = [mode for flag, mode in _BEFORE_6.items() if stated.get(flag)]
    modes = stated.get("pooling_mode", flags or "mean")
    modes = [str(mode) for mode in (modes if isinstance(modes, list) else [modes])]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise ConfigError(
            f"encoder {spec!r}: {path} pools by {' and '.join(modes) or 'nothing'}, expected one of "
            f"{', '.join(_POOLINGS)}; {_ELSE}"
        )
    return _POOLINGS[modes[0]]


def _read(spec: str, path: Path, kind: type[Any]) -> Any:
    """What a JSON file holds, a dict or a list."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"encoder {spec!r}: {path} cannot be read ({error}); fetch the model again"
        ) from error
    if not isinstance(value, kind):
        raise ConfigError(
            f"encoder {spec!r}: {path} holds {shown(value)}, expected a JSON {'object' if kind is dict else 'array'}; "
            "fetch the model again"
        )
    return value
