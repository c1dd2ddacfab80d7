"""Writing and hashing files: a file appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_OF_MODELS = {
    ".json",
    ".safetensors",
    ".bin",
    ".jinja",
    ".model",
}  # what transformers reads of a model folder


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it onto `target` when the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        as_readable_as_others(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def as_readable_as_others(*files: Path) -> None:
    """Give files the mode that the umask gives new ones beside them: safetensors writes for the owner alone."""
    for file in files:
        probe = file.with_name(f".{secrets.token_hex(8)}.tmp")
        probe.touch()
        mode = probe.stat().st_mode
        probe.unlink()
        file.chmod(mode)


def write_bytes(target: Path, content: bytes) -> None:
    """Write `content` to `target` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_json(target: Path, value: Any) -> None:
    """Write `value` as sorted, indented JSON, atomically."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(target, (text + "\n").encode())


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a JSON value in its canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_model(folder: Path) -> str | None:
    """SHA-256 over what transformers reads of a model folder; None for a hub id, which is known by its name.

    The manifest of a model of Tacit holds the hashes of its files already.
    """
    if not folder.is_dir():
        return None
    manifest = folder / "tacit.json"
    files = [manifest] if manifest.is_file() else sorted(folder.iterdir())
    return sha256_json(
        {file.name: sha256_file(file) for file in files if file.suffix in _OF_MODELS and file.is_file()}
    )
