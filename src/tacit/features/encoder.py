"""Encoders: what turns a text into a vector, and how one is chosen by name.

`minilm` is the embedded default, `hashing` needs no torch at all, and any Hugging Face encoder or decoder is
named by its hub id or its folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from tacit.errors import DataError

Precision = Literal["fp32", "bf16"]


class Encoder(Protocol):
    """What turns texts into vectors.

    Attributes:
        name: `"minilm"`, `"hashing:256"`, a Hugging Face id, or the absolute path of a folder.
        content_hash: SHA-256 over weights, tokenizer and settings. Two encoders with the same hash give the
            same vectors, up to the rounding of their `precision`.
        dimension: length D of one vector.
        paired: True where prompt and response are encoded apart and combined (sentence encoders, hashing);
            False where a chat is rendered and encoded as one text (decoders).
        precision: the arithmetic in use, `"fp32"` or `"bf16"`; vectors of different precision are cached
            apart.

    Example:
        >>> import numpy as np
        >>> from tacit import fit
        >>> from tacit.features import Encoder
        >>> from tacit.worlds import demo_world
        >>> class Letters:
        ...     # how often each letter occurs
        ...     name, content_hash, dimension, paired, precision = "letters", "letters-1", 26, True, "fp32"
        ...
        ...     def render(self, messages):
        ...         return " ".join(turn["content"] for turn in messages)
        ...
        ...     def encode(self, texts, *, quiet=True):
        ...         letters = "abcdefghijklmnopqrstuvwxyz"
        ...         return np.array([[text.lower().count(one) for one in letters] for text in texts], np.float16)
        >>> knobs = {"members": 2, "hidden": (), "weight_decay": 1.0, "max_epochs": 3}
        >>> fit(demo_world(seeds=1, limit=24).log, encoder=Letters(), config=knobs)
        RewardModel(implicit_rm, encoder='letters', members=2, fitted to 'demo')
    """

    @property
    def name(self) -> str:
        """Name as the user would give it."""
        ...

    @property
    def content_hash(self) -> str:
        """SHA-256 over weights, tokenizer and settings."""
        ...

    @property
    def dimension(self) -> int:
        """Length of one vector."""
        ...

    @property
    def paired(self) -> bool:
        """Whether prompt and response are encoded apart."""
        ...

    @property
    def precision(self) -> Precision:
        """Arithmetic in use."""
        ...

    def render(self, messages: list[dict[str, str]]) -> str:
        """Write a chat as one text: by a decoder's chat template, by a plain join without one."""
        ...

    def encode(self, texts: Sequence[str], *, quiet: bool = True) -> np.ndarray:
        """Encode texts as float16 [N, D]. A vector does not depend on the other texts of the call."""
        ...


def join_messages(messages: list[dict[str, str]]) -> str:
    r"""Join a chat's contents with blank lines: the rendering where there is no chat template.

    Example:
        >>> join_messages([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}])
        'Hi\n\nHello'
    """
    return "\n\n".join(message["content"] for message in messages)


def clean_texts(texts: Sequence[str]) -> list[str]:
    r"""Check that texts are strings and replace what UTF-8 cannot hold (half an emoji, cut by a logger).

    Raises:
        DataError: an entry is not a string.

    Example:
        >>> clean_texts(["ok", "cut \ud83d"])
        ['ok', 'cut ?']
    """
    if isinstance(texts, str):
        raise DataError("expected a list of texts to encode, found one string; put it in a list")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"text {row} to encode: expected a string, found {type(text).__name__}")
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
