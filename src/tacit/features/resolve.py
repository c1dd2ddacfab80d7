"""From the name of an encoder to the encoder: embedded default, hashing, a folder or a hub id."""

from __future__ import annotations

from pathlib import Path

from tacit.errors import ConfigError, did_you_mean
from tacit.features.encoder import Encoder, Precision

DEFAULT_HASHING_DIMENSION = 256


def resolve_encoder(spec: str, *, precision: Precision | None = None) -> Encoder:
    """Return the encoder that `spec` names.

    Args:
        spec: `"minilm"`; `"hashing"` or `"hashing:512"`; a folder that holds a Hugging Face model; or a hub
            id written `owner/name`. Only a hub id may reach the network, and only if no folder has that name.
        precision: the arithmetic to use; None takes bf16 where the machine has it in hardware, fp32
            otherwise. A saved model names the precision it was fitted with, so that its scores are the same
            elsewhere.

    Raises:
        ConfigError: nothing has that name, its package is not installed, or its weights are not the ones
            expected.

    Example:
        >>> resolve_encoder("hashing:128")
        HashingEncoder(128)
        >>> resolve_encoder("hashing:128").dimension
        128
    """
    if spec == "minilm":
        from tacit.features.minilm import load_minilm

        return load_minilm(precision)
    family, colon, rest = spec.partition(":")
    if family == "hashing":
        from tacit.features.hashing import HashingEncoder

        if not colon:
            return HashingEncoder(DEFAULT_HASHING_DIMENSION)
        if not rest.isascii() or not rest.isdigit():
            raise ConfigError(
                f"encoder {spec!r}: expected hashing:DIMENSION with a whole number, such as hashing:512"
            )
        return HashingEncoder(int(rest))
    looks_like_path = spec.startswith((".", "/", "~")) or "\\" in spec
    if looks_like_path or Path(spec).is_dir():
        folder = Path(spec).expanduser()
        if not folder.is_dir():
            raise ConfigError(
                f"encoder {spec!r}: there is no such folder; expected one that holds a Hugging Face model"
            )
        spec = str(folder.absolute())  # a saved model has to find it from anywhere
    elif spec.count("/") != 1 or not all(spec.split("/")):
        hint = did_you_mean(spec, ["minilm", "hashing"])
        raise ConfigError(
            f"unknown encoder {spec!r}{hint}; expected minilm, hashing, hashing:DIMENSION, "
            "a model folder, or a Hugging Face id written owner/name"
        )
    from tacit.features.huggingface import load_huggingface

    return load_huggingface(spec, precision)
