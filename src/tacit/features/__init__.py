"""Text and context into numbers: encoders, embedding store, style, context, scaling. No torch at import."""

from __future__ import annotations

from tacit.features.context import ContextCodec, context_varies, idle_columns
from tacit.features.encoder import Encoder, Precision
from tacit.features.pairs import embed_pairs, pair_dimension
from tacit.features.resolve import resolve_encoder
from tacit.features.scaling import Standardiser
from tacit.features.store import EmbeddingStore
from tacit.features.style import STYLE_NAMES, style_features

__all__ = [
    "STYLE_NAMES",
    "ContextCodec",
    "EmbeddingStore",
    "Encoder",
    "Precision",
    "Standardiser",
    "context_varies",
    "embed_pairs",
    "idle_columns",
    "pair_dimension",
    "resolve_encoder",
    "style_features",
]
