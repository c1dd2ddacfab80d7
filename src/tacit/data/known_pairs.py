"""Which pairs of prompt and response a log held, as short hashes: enough to know its rows again in another log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.data.log import FeedbackLog

_MOST = 1 << 14
"""Hashes kept of a log. Of a log with more pairs the smallest are, and rows with hashes as small are a fair sample."""
_BYTES = 6
"""Of each hash: a million rows meet 2¹⁴ hashes of 48 bits by chance once in 17,000 logs."""
_DIGITS = 2 * _BYTES


@dataclass(frozen=True, eq=False)
class KnownPairs:
    """The pairs of a log, known by their hashes.

    Whoever holds the hashes can test whether a pair that he has, to the letter, was in the log; no text can be read
    from them.

    Args:
        distinct: different pairs in the log.
        hashes: uint64, ascending: of all pairs, or the smallest of a large log.

    Example:
        >>> from tacit.data import Roles
        >>> log = FeedbackLog.from_columns({"prompt": ["Hi", "Hi"], "response": ["Hello!", "What?"]}, Roles())
        >>> KnownPairs.of(log.take([1])).share(log)
        0.5
    """

    distinct: int
    hashes: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, log: FeedbackLog, most: int = _MOST) -> KnownPairs:
        """Of a log's rows."""
        found = np.unique(_hash_pairs(log.prompts(), log.responses()))
        return cls(len(found), found[:most])

    @property
    def complete(self) -> bool:
        """Whether every pair is known; else `share` is an estimate."""
        return len(self.hashes) == self.distinct

    def share(self, log: FeedbackLog) -> float | None:
        """Share of a log's rows whose pair is one of these; None where the sample holds none of its rows."""
        hash_N = _hash_pairs(log.prompts(), log.responses())
        if not self.complete:
            hash_N = hash_N[hash_N <= self.hashes[-1]]
        return float(np.isin(hash_N, self.hashes).mean()) if len(hash_N) else None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: all hashes in one text, twelve hexadecimal digits each."""
        return {"distinct": self.distinct, "hashes": "".join(f"{value:0{_DIGITS}x}" for value in self.hashes)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> KnownPairs:
        """Read what `to_json` wrote."""
        text = value["hashes"]
        hashes = [int(text[start : start + _DIGITS], 16) for start in range(0, len(text), _DIGITS)]
        return cls(value["distinct"], np.array(hashes, dtype=np.uint64))


def _hash_pairs(prompts: Sequence[str], responses: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Hash of each pair; the prompt's length goes first, so that "a", "bc" and "ab", "c" differ."""
    digests = (
        hashlib.sha256(f"{len(prompt)}:{prompt}{response}".encode()).digest()[:_BYTES]
        for prompt, response in zip(prompts, responses, strict=True)
    )
    return np.fromiter((int.from_bytes(digest) for digest in digests), dtype=np.uint64, count=len(prompts))
