"""One thing to score: a pair, a rendered chat, or token ids; what it roughly costs, and its key in the cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

Kind = Literal["pair", "text", "tokens"]

_PER_TOKEN = 4  # characters of a token, for texts in the languages that tokenizers were trained on
_PER_ROW = 8  # tokens: what a row costs beyond its text (template, the call itself)


class Row(NamedTuple):
    """What waits in the queue.

    Attributes:
        kind: which method of the model takes it.
        value: (prompt, response), a text, or token ids.
        cost: estimated tokens; it shapes batches and the queue's bound, never a score.
        key: hash of kind and value.
    """

    kind: Kind
    value: Any
    cost: int
    key: bytes

    @property
    def tokens(self) -> int:
        """Of the value alone: exact for token ids, estimated from characters for text."""
        return self.cost - _PER_ROW


class Score(NamedTuple):
    """Mean and standard deviation of the members' logits; one member cannot disagree, so it has none."""

    reward: float
    uncertainty: float | None


def pair_row(prompt: str | list[dict[str, str]], response: str) -> Row:
    """A prompt, as text or as messages, and its response.

    Example:
        >>> pair_row("Why?", "Because.").cost
        11
    """
    if isinstance(prompt, str):
        size, asked = len(prompt), prompt
    else:
        size, asked = sum(len(message["content"]) for message in prompt), json.dumps(prompt)
    form = "t" if isinstance(prompt, str) else "m"
    return Row("pair", (prompt, response), _cost(size + len(response)), _key(f"p{form}", asked, response))


def text_row(text: str) -> Row:
    """A chat that is rendered already."""
    return Row("text", text, _cost(len(text)), _key("x", text))


def tokens_row(ids: Sequence[int]) -> Row:
    """A chat that is tokenised already; its cost is known."""
    return Row("tokens", list(ids), len(ids) + _PER_ROW, _key("i", ",".join(map(str, ids))))


def _cost(characters: int) -> int:
    return characters // _PER_TOKEN + _PER_ROW


def _key(*parts: str) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded) + encoded)  # lengths keep ("ab", "c") apart from ("a", "bc")
    return digest.digest()
