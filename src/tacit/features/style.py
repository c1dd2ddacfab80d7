"""Surface style of a response: what a user sees before reading, and what clicks follow.

Length, code, lists and headings move people's hands whether or not the answer is right, so both the reward
and the propensity heads may see them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from tacit.features.words import count_words

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_LIST_ITEM = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
_HEADER = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*")
_LINK = re.compile(r"https?://\S+")
_DIGIT = re.compile(r"\d")
_QUESTION = re.compile(r"[?？]")
_TERMINAL = tuple(".!?…。！？:)]}\"'”’`*|>~")  # a closing fence, bracket, quote or table row ends a text too


def _is_unfinished(response: str) -> float:
    text = response.rstrip()
    return float(not text.endswith(_TERMINAL) or len(_FENCE.findall(text)) % 2 == 1)


def _unix(text: str) -> str:
    """The text with one kind of line end: a blank line is one whichever program wrote it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _prose(response: str) -> str:
    """The response without its fenced code, in which `#` is a comment and `-` a minus."""
    return _FENCED.sub("\n", response)


# Each feature reads the response and its prose; counts enter as log(1 + count).
_FEATURES: dict[str, Callable[[str, str], float]] = {
    "log_length": lambda text, prose: np.log1p(count_words(text)),
    "code_blocks": lambda text, prose: np.log1p((len(_FENCE.findall(text)) + 1) // 2),
    "code_share": lambda text, prose: 1.0 - min(1.0, len(prose) / max(1, len(text))),
    "inline_code": lambda text, prose: np.log1p(len(_INLINE_CODE.findall(prose))),
    "list_items": lambda text, prose: np.log1p(len(_LIST_ITEM.findall(prose))),
    "paragraphs": lambda text, prose: np.log1p(
        sum(not block.isspace() for block in _BLANK_LINE.split(prose) if block)
    ),
    "headers": lambda text, prose: np.log1p(len(_HEADER.findall(prose))),
    "bold": lambda text, prose: np.log1p(len(_BOLD.findall(prose))),
    "questions": lambda text, prose: np.log1p(len(_QUESTION.findall(prose))),
    "digits": lambda text, prose: np.log1p(len(_DIGIT.findall(text))),
    "links": lambda text, prose: np.log1p(len(_LINK.findall(text))),
    "unfinished": lambda text, prose: _is_unfinished(text),
}

STYLE_NAMES: tuple[str, ...] = tuple(_FEATURES)
"""Names of the columns of `style_features`, in order."""


def style_features(responses: Sequence[str]) -> np.ndarray:
    r"""Measure surface style as float32 [N, S], one column per name in `STYLE_NAMES`, not standardised.

    Counts (`count_words`, code blocks, list items …) are log(1 + count); `code_share` is the fraction of characters
    in fenced code; `unfinished` is 1 where the text breaks off without closing punctuation or inside a code
    block.

    Example:
        >>> row = style_features(["Use:\n\n- `len`\n- `sum`"])[0]
        >>> round(float(np.expm1(row[STYLE_NAMES.index("list_items")])))
        2
    """
    style_NS = np.empty((len(responses), len(STYLE_NAMES)), dtype=np.float32)
    for row, text in enumerate(map(_unix, responses)):
        prose = _prose(text)
        style_NS[row] = [measure(text, prose) for measure in _FEATURES.values()]
    return style_NS
