"""Any Hugging Face encoder or decoder as a Tacit encoder, by hub id or folder; no remote code, no pickles."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tacit.errors import ConfigError, one_line
from tacit.features.chat import Chat, checked_tokenizer, reach
from tacit.features.encoder import Precision, join_messages
from tacit.features.sentences import sentence_settings
from tacit.features.transformer import TransformerEncoder, quiet_transformers
from tacit.files import sha256_file, sha256_json

_WANTED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]  # weights, configuration, tokenizer

_LONGEST = 4096
"""Tokens read of a text at most, even where the model could read more: attention over a whole book would
exhaust memory, and a log's answers are far shorter."""


def load_huggingface(spec: str, precision: Precision | None = None) -> TransformerEncoder:
    """Return the encoder in the folder or under the hub id `spec`.

    An encoder (BERT and its kin) is mean-pooled to unit length and takes prompt and response apart. A decoder
    (Llama and its kin) gives the last token's raw hidden state of the rendered chat, which is what a
    `*ForSequenceClassification` head reads. Where a sentence-transformers folder says otherwise (another pooling, unit
    length for a decoder), it is heeded; the prompts that it may name are not added.

    Raises:
        ConfigError: the model does not exist, cannot be fetched, is of a kind that gives no such vector, or is a
            sentence-transformers folder that makes vectors in a way that is not known here.
    """
    from transformers import AutoConfig, AutoTokenizer

    folder = _locate(spec)
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"encoder {spec!r}: {folder} holds no .safetensors weights; convert them, pickles are not read"
        )
    with quiet_transformers():
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            tokenizer = checked_tokenizer(
                AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            )
        except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
            raise ConfigError(f"encoder {spec!r}: transformers cannot read it: {one_line(error)}") from error
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"encoder {spec!r}: {config.model_type} is an encoder-decoder; expected an encoder or a decoder"
        )
    decoder = is_decoder(config)
    stated = sentence_settings(spec, folder)
    pooling = stated.pooling or ("last" if decoder else "mean")
    normalise = stated.normalise or not decoder
    longest = min(stated.longest or _LONGEST, reach(config, tokenizer, _LONGEST))
    dimension = getattr(config.get_text_config(), "hidden_size", None)
    if not isinstance(dimension, int):
        raise ConfigError(
            f"encoder {spec!r}: {config.model_type} names no hidden_size; expected a text model"
        )
    templated = decoder and bool(getattr(tokenizer, "chat_template", None))
    chat = Chat(spec, tokenizer, longest, templated)
    settings = {
        "encoder": "huggingface",
        "files": {str(path.relative_to(folder)): _sha256(path) for path in _files(folder)},
        "pooling": pooling,
        "normalise": normalise,
        "longest": longest,
    }
    return TransformerEncoder(
        name=spec,
        folder=folder,
        content_hash=sha256_json(settings),
        dimension=dimension,
        paired=not decoder,
        pooling=pooling,
        normalise=normalise,
        longest=longest,
        tokenise=_tokeniser(chat, keep_end=decoder),
        render=chat.render if templated else join_messages,
        precision=precision,
    )


def is_decoder(config: Any) -> bool:
    """Whether a transformers configuration describes a causal language model.

    Bare backbones (`LlamaModel`) say nothing in their architecture's name; there the model family decides.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    names = getattr(config, "architectures", None) or []
    if getattr(config, "is_decoder", False) or any(
        re.search(r"ForCausalLM$|LMHeadModel$", name) for name in names
    ):
        return True
    family = config.model_type
    return family in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and family not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def _locate(spec: str) -> Path:
    folder = Path(spec).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(
                f"encoder {spec!r}: {folder / 'config.json'} is missing; expected a Hugging Face model folder"
            )
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(spec, allow_patterns=_WANTED))
    except (
        OSError,
        ValueError,
        HFValidationError,
    ) as error:  # not found, gated, offline: the hub's own classes
        raise ConfigError(
            f"encoder {spec!r}: no such folder, and the hub did not give it ({one_line(error)}); "
            "check the name and the connection, or use minilm or hashing"
        ) from error


def _files(folder: Path) -> list[Path]:
    """Files that decide the vectors, at the top of the folder and in the pooling module's."""
    return sorted(
        {path for pattern in _WANTED for path in folder.glob(pattern)} | set(folder.glob("1_Pooling/*.json"))
    )


def _sha256(path: Path) -> str:
    """SHA-256 of a file; the hub's cache names large blobs by it, which spares reading 16 GB again."""
    blob = path.resolve().name
    return blob if path.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", blob) else sha256_file(path)


def _tokeniser(chat: Chat, *, keep_end: bool) -> Callable[[list[str]], list[list[int]]]:
    """Return texts → token ids: whole chats for a decoder, the beginning of a text for an encoder."""

    def tokenise(texts: list[str]) -> list[list[int]]:
        if keep_end:
            return chat.token_ids(texts)
        encoded = chat.tokenizer(texts, padding=False, truncation=True, max_length=chat.longest)
        return [chat.shorten(ids) for ids in encoded["input_ids"]]

    return tokenise
