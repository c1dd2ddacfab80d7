"""A model folder on disk: tacit.json, heads.safetensors and README.md, all checked when read.

The folder appears whole or not at all: it is written under a temporary name and renamed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tacit.errors import ConfigError, ModelError
from tacit.files import as_readable_as_others, sha256_file, sha256_json, write_bytes, write_json

FORMAT = 1
MANIFEST, HEADS, CARD = "tacit.json", "heads.safetensors", "README.md"
CHECKPOINT_HEADS = "tacit/heads.safetensors"
"""Where the heads lie beside a checkpoint of transformers: servers read every .safetensors at the top of a folder."""


def write_folder(
    folder: Path,
    manifest: Mapping[str, Any],
    tensors: Mapping[str, Any],
    card: str,
    *,
    heads: str = HEADS,
    also: Callable[[Path], None] | None = None,
) -> None:
    """Write a model folder.

    Args:
        folder: where.
        manifest: JSON-ready.
        tensors: by name.
        card: Markdown.
        heads: file of the tensors.
        also: writes further files into the folder it is given; they are checked when read, too.

    Raises:
        ConfigError: `folder` exists and is not empty.
    """
    from safetensors.torch import save_file

    refuse_occupied(folder)
    with appearing(folder) as temporary:
        if also is not None:
            also(temporary)
        (temporary / heads).parent.mkdir(exist_ok=True)
        save_file(dict(tensors), temporary / heads)
        write_bytes(temporary / CARD, card.encode())
        written = sorted(path for path in temporary.rglob("*") if path.is_file())
        files = {path.relative_to(temporary).as_posix(): sha256_file(path) for path in written}
        body = dict(manifest, format=FORMAT, files=files)
        write_json(temporary / MANIFEST, dict(body, checksum=sha256_json(json.loads(json.dumps(body)))))


@contextlib.contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes the name `folder` when all went well and is removed when not.

    Args:
        folder: which `refuse_occupied` let pass; of a symlink, what it leads to is written.
    """
    place = folder.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        as_readable_as_others(*(path for path in temporary.rglob("*") if path.is_file()))
        if place.is_dir():
            place.rmdir()  # empty: refuse_occupied saw to it
        temporary.replace(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_occupied(folder: Path) -> None:
    """Raise if `folder` holds anything, or is the root of a mounted file system, which no other folder can replace.

    Raises:
        ConfigError: it does, or is.
    """
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; --out needs a folder that does not exist yet")
    if os.path.ismount(folder.resolve()):
        raise ConfigError(
            f"{folder} is a mount point, expected a folder that can be replaced; choose one inside it: "
            f"--out {folder / 'model'}"
        )
    if folder.is_dir() and any(folder.iterdir()):
        what = "another model" if (folder / MANIFEST).exists() else "other files"
        raise ConfigError(f"{folder} already holds {what}; choose another folder (--out), or remove it first")


def kind_of(folder: Path) -> str | None:
    """What a model folder says that it holds; None for heads on a frozen encoder, and for what is no model.

    Nothing is checked here: `read_manifest` does that, once, which takes a while for a large checkpoint.
    """
    try:
        kind = json.loads((folder / MANIFEST).read_bytes()).get("kind")
    except (OSError, ValueError, AttributeError, RecursionError):  # nested too deep to be ours
        return None
    return kind if isinstance(kind, str) else None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked manifest of a model folder.

    Raises:
        ModelError: not a model folder, an unknown format, or a file that is missing or was changed.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder; expected a model written by tacit fit or tacit finetune")
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelError(
            f"{folder} holds no {MANIFEST}; expected a model written by tacit fit or tacit finetune"
        )
    try:
        manifest = json.loads(path.read_bytes())
        checksum = manifest.pop("checksum")
        files = manifest["files"]
        intact = sha256_json(manifest) == checksum
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise ModelError(f"{path} is damaged: it does not match its checksum; restore it or fit again")
    if manifest["format"] != FORMAT:
        raise ModelError(
            f"{path} has format {manifest['format']}, this version reads {FORMAT}; upgrade tacit or fit again"
        )
    for name, expected in files.items():
        file = folder / name
        if not file.is_file():
            raise ModelError(f"{file} is missing; restore it or fit again")
        if name != CARD and sha256_file(file) != expected:  # a card may be edited, weights may not
            raise ModelError(
                f"{file} is damaged: its SHA-256 is not the one in {MANIFEST}; restore it or fit again"
            )
    return dict(manifest)


def read_tensors(folder: Path, heads: str = HEADS) -> dict[str, Any]:
    """The tensors of a model folder, as torch tensors."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(folder / heads))
    except SafetensorError as error:
        raise ModelError(f"{folder / heads} is damaged: {error}; restore it or fit again") from None
