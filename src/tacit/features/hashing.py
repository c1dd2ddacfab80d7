"""The hashing encoder: words and word pairs, hashed with a sign into D numbers. Needs scikit-learn only.

For tests, for the smallest installs and as a floor in comparisons: it knows words, not meaning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tacit.errors import ConfigError
from tacit.features.encoder import Precision, clean_texts, join_messages
from tacit.files import sha256_json

_ROWS = 4096  # texts per step: bounds the dense float64 copy


class HashingEncoder:
    """Signed feature hashing of words and bigrams, log counts, unit length.

    Args:
        dimension: length of a vector, from 8 to 65,536. Collisions grow as it shrinks.

    Raises:
        ConfigError: the dimension is out of range.

    Example:
        >>> vectors = HashingEncoder(64).encode(["a cat", "A cat!", "two dogs"])
        >>> vectors.shape, bool((vectors[0] == vectors[1]).all())
        ((3, 64), True)
    """

    paired = True
    precision: Precision = "fp32"

    def __init__(self, dimension: int) -> None:
        if not 8 <= dimension <= 65536:
            raise ConfigError(f"encoder 'hashing:{dimension}': expected a dimension from 8 to 65536")
        self.name = f"hashing:{dimension}"
        self.dimension = dimension
        self.content_hash = sha256_json(
            {"encoder": "hashing", "dimension": dimension, "ngrams": [1, 2], "version": 1}
        )

    def __repr__(self) -> str:
        return f"HashingEncoder({self.dimension})"

    def render(self, messages: list[dict[str, str]]) -> str:
        """Join the contents with blank lines."""
        return join_messages(messages)

    def encode(self, texts: Sequence[str], *, quiet: bool = True) -> np.ndarray:
        """Encode texts as float16 [N, D] of unit length; a text without a word is the zero vector."""
        from sklearn.feature_extraction.text import HashingVectorizer

        vectorizer = HashingVectorizer(
            n_features=self.dimension, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", norm=None
        )
        cleaned = clean_texts(texts)
        vectors_ND = np.empty((len(cleaned), self.dimension), dtype=np.float16)
        for start in range(0, len(cleaned), _ROWS):
            counts = vectorizer.transform(cleaned[start : start + _ROWS])
            counts.data = np.sign(counts.data) * np.log1p(np.abs(counts.data))
            dense = counts.toarray()
            norm = np.sqrt(np.square(dense).sum(axis=1, keepdims=True))
            vectors_ND[start : start + _ROWS] = dense / np.maximum(norm, 1e-12)
        return vectors_ND
