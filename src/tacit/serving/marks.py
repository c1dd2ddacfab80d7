"""Special tokens around a decoded text, known by their spelling; a tag or an address in a text is the user's own."""

from __future__ import annotations

import re

# Those of Llama, Qwen, Gemma, Phi and DeepSeek. Which tokenizer wrote a query is not said in it.
_MARK = r"<(?:/?s|bos|eos|pad|(?:start|end)_of_turn|\|turn|turn\||[|｜][^<>\s]{1,60}[|｜])>"
_ONE = re.compile(_MARK)
_LONGEST = 64  # characters of one token
_OPENING = re.compile(rf"\s*+(?:{_MARK}\s*+)*+")  # possessive: read once, whatever the text


def without_ending(text: str) -> str:
    """A text without the special tokens at its end, read backwards, one token at a time.

    Example:
        >>> [without_ending(text) for text in ("It is.<|im_end|>\\n</s>", "Use <b>bold</b>", "a ")]
        ['It is.', 'Use <b>bold</b>', 'a ']
    """
    end = _before_space(text, len(text))
    if (begin := _mark_before(text, end)) is None:
        return text
    while begin is not None:
        end, begin = begin, _mark_before(text, _before_space(text, begin))
    return text[:end]


def prompt_end(query: str, prompt: str) -> int | None:
    """Where the response begins in a query, which may have more special tokens before its prompt; None: nowhere.

    Example:
        >>> [prompt_end(query, "<b>Why</b>?") for query in ("<s><b>Why</b>? So.", "So.")]
        [14, None]
    """
    if query.startswith(prompt):
        return len(prompt)
    begin = _opening(query) - _opening(prompt)  # the prompt may open with such tokens too
    return begin + len(prompt) if begin > 0 and query.startswith(prompt, begin) else None


def _opening(text: str) -> int:
    found = _OPENING.match(text)
    return found.end() if found else 0


def _mark_before(text: str, end: int) -> int | None:
    begin = text.rfind("<", max(0, end - _LONGEST), end)
    return begin if begin >= 0 and _ONE.fullmatch(text, begin, end) else None


def _before_space(text: str, end: int) -> int:
    while end and text[end - 1].isspace():
        end -= 1
    return end
