"""Prompt and response as one vector: the input of every head that sees the text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tacit.errors import DataError
from tacit.features.encoder import Encoder
from tacit.features.store import EmbeddingStore

_ROWS = 8192  # rows per step: bounds the float32 copies of a large log


def pair_dimension(encoder: Encoder) -> int:
    """Length of the vector `embed_pairs` makes of one pair: three parts for a paired encoder, else one.

    Example:
        >>> from tacit.features import resolve_encoder
        >>> pair_dimension(resolve_encoder("hashing:64"))
        192
    """
    return 3 * encoder.dimension if encoder.paired else encoder.dimension


def embed_pairs(
    encoder: Encoder,
    prompts: list[str],
    responses: list[str],
    messages: list[list[dict[str, str]]],
    store: EmbeddingStore | None,
    *,
    quiet: bool = True,
) -> np.ndarray:
    """Embed N pairs of prompt and response.

    A paired encoder gives the response's unit vector r, the match √D·(p∘r), and the prompt's unit vector p;
    the match makes a linear head able to ask whether the answer fits the question, and √D gives it the scale
    of the others. Any other encoder gives the vector of the whole rendered chat.

    Args:
        encoder: from `resolve_encoder`.
        prompts: N texts; each distinct one is encoded once.
        responses: N texts.
        messages: N chats, response included; read only where the encoder is not paired.
        store: the cache, or None to encode without one.
        quiet: no progress bar.

    Returns:
        float16 [N, `pair_dimension(encoder)`]; a row does not depend on the others.

    Raises:
        DataError: the lists differ in length.

    Example:
        >>> from tacit.features import resolve_encoder
        >>> chats = [[{"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}]]
        >>> embed_pairs(resolve_encoder("hashing:32"), ["How?"], ["So."], chats, store=None).shape
        (1, 96)
    """
    if encoder.paired:
        if len(prompts) != len(responses):
            raise DataError(
                f"{len(prompts)} prompts but {len(responses)} responses; expected one prompt per response"
            )
        # In one call: texts of one length share a batch, and a few pairs at a time have few of each length.
        rows, vectors = _encode_distinct(encoder, [*responses, *prompts], store, quiet=quiet)
        response_rows, prompt_rows = rows[: len(responses)], rows[len(responses) :]
        dimension = encoder.dimension
        pairs_NF = np.empty((len(responses), 3 * dimension), dtype=np.float16)
        for start in range(0, len(responses), _ROWS):
            part = slice(start, start + _ROWS)
            p_BD = _unit(vectors[prompt_rows[part]])
            r_BD = _unit(vectors[response_rows[part]])
            pairs_NF[part, :dimension] = r_BD
            pairs_NF[part, dimension : 2 * dimension] = np.float32(np.sqrt(dimension)) * p_BD * r_BD
            pairs_NF[part, 2 * dimension :] = p_BD
        return pairs_NF
    if len(messages) != len(responses):
        raise DataError(
            f"{len(messages)} chats but {len(responses)} responses; expected one chat per response"
        )
    rows_N, vectors = _encode_distinct(
        encoder, [encoder.render(chat) for chat in messages], store, quiet=quiet
    )
    if len(vectors) == len(rows_N):  # all distinct, hence in order: a large log is not copied
        return vectors
    chats_ND: np.ndarray = vectors[rows_N]
    return chats_ND


def _encode_distinct(
    encoder: Encoder, texts: Sequence[str], store: EmbeddingStore | None, *, quiet: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors [U, D] of the distinct texts, and each text's row among them [N]."""
    row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    distinct = list(row_of)
    vectors = (
        encoder.encode(distinct, quiet=quiet)
        if store is None
        else store.encode(encoder, distinct, quiet=quiet)
    )
    return np.array([row_of[text] for text in texts], dtype=np.int64), vectors


def _unit(vectors_BD: np.ndarray) -> np.ndarray:
    """Rows as float32 of unit length; a zero row stays zero."""
    wide_BD = vectors_BD.astype(np.float32)
    norm_B1 = np.sqrt(np.square(wide_BD).sum(axis=1, keepdims=True))
    unit_BD: np.ndarray = wide_BD / np.maximum(norm_B1, np.float32(1e-12))
    return unit_BD
