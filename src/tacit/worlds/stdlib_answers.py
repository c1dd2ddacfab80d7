"""Real text without a download: Python's own documentation, as good and bad answers to questions about it.

Every Python carries some two thousand docstrings. Each becomes a question ("What does `shutil.which` do?")
with candidate answers of known kind: the right page, the page of a neighbour, a page cut in the middle, a
page buried in generalities. `tacit.worlds.users` lets simulated users react to them.

The text depends on the Python version and platform (their documentation differs), on nothing else.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.errors import DataError
from tacit.worlds.stdlib_pages import Page, read_library

PROMPTS = 1200
"""Prompts taken when no limit is given: enough to learn from, and embedded within a minute on two cores."""

ANSWERS_PER_PROMPT = 5

KINDS = ("right", "code", "padded", "terse", "truncated", "wrong", "wrong_long")
"""What an answer can be.

* `right`: the page that was asked for;
* `code`: the same with a code block that shows the call;
* `padded`: the same between paragraphs about the module and about other modules;
* `terse`: its first sentence;
* `truncated`: cut in the middle of a sentence;
* `wrong`: the page of another function of the same module;
* `wrong_long`: such a page with a code block and padding.
"""


_QUESTIONS = (
    "What does `{name}` do in Python?",
    "How do I use `{name}`?",
    "Can you explain `{name}` from Python's standard library?",
    "In Python, what is `{name}` good for?",
    "I came across `{name}` in some code. What is it?",
)


@dataclass(frozen=True)
class AnswerSet:
    """Questions and candidate answers; lists and arrays run over the N rows, one row per answer."""

    prompts: list[str]
    responses: list[str]
    prompt_ids: npt.NDArray[np.int64]
    """Rows of one question share it; questions are numbered from 0."""
    kinds: list[str]
    """What each answer is, one of `KINDS`."""


def stdlib_answers(limit: int | None = None, *, seed: int = 0) -> AnswerSet:
    """Make questions about the standard library with five candidate answers each.

    Args:
        limit: at most this many questions; 1,200 if not given.
        seed: of the choice of questions, of their wording and of the kinds of answer that each one gets.

    Raises:
        DataError: this build of Python has no docstrings, or the limit is below 1.

    Example:
        >>> answers = stdlib_answers(limit=3)
        >>> len(set(answers.prompts)), len(answers.prompts) == len(answers.responses) == len(answers.kinds)
        (3, True)
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit: found {limit}, expected at least 1 question")
    library = read_library()
    pages, intros = library.pages, library.intros
    if not pages:
        raise DataError("stdlib_answers: this build of Python has no docstrings: use one that has")
    rng = random.Random(seed)
    neighbours: dict[str, list[Page]] = {}
    for page in pages:
        neighbours.setdefault(page.module, []).append(page)
    asked = rng.sample(pages, min(len(pages), limit or PROMPTS))
    prompts, responses, prompt_ids, kinds = [], [], [], []
    for number, page in enumerate(asked):
        question = rng.choice(_QUESTIONS).format(name=page.name)
        others = [other for other in neighbours[page.module] if other is not page] or pages
        answers = _candidates(page, rng.choice(others), rng.sample(others, min(2, len(others))), intros, rng)
        for kind in rng.sample(list(answers), min(ANSWERS_PER_PROMPT, len(answers))):
            prompts.append(question)
            responses.append(answers[kind])
            prompt_ids.append(number)
            kinds.append(kind)
    return AnswerSet(prompts, responses, np.array(prompt_ids, dtype=np.int64), kinds)


def _candidates(
    page: Page, wrong: Page, mentioned: list[Page], intros: dict[str, str], rng: random.Random
) -> dict[str, str]:
    """Give one answer per kind, leaving out kinds that would repeat a text."""
    other_intros = [intro for module, intro in intros.items() if module != page.module]

    def padded(text: str) -> str:
        see = ", ".join(f"`{other.name}`" for other in mentioned)
        first = intros.get(page.module, rng.choice(other_intros))
        second, third = rng.sample(other_intros, 2)
        return f"{first}\n\n{text}\n\nSee also {see}.\n\n{second}\n\n{third}"

    words = page.text.split(" ")
    kept = max(5, int(len(words) * rng.uniform(0.35, 0.6)))
    wrong_text = _with_code(wrong) if rng.random() < 0.5 else _titled(wrong)
    candidates = {
        "right": _titled(page),
        "code": _with_code(page),
        "padded": padded(_titled(page)),
        "terse": _titled(page, _first_sentence(page.text)),
        "truncated": _titled(page, " ".join(words[:kept]).rstrip(" .,;:\n")),
        "wrong": _titled(wrong),
        "wrong_long": padded(wrong_text),
    }
    seen: dict[str, str] = {}
    for kind, text in candidates.items():
        seen.setdefault(text, kind)
    return {kind: text for text, kind in seen.items()}


def _titled(page: Page, text: str = "") -> str:
    """Head a text with the name it documents, as pages of the documentation are."""
    return f"`{page.name}`: {text or page.text}"


def _with_code(page: Page) -> str:
    example = page.example or f"import {page.module}\n\n{page.call}"
    if page.module == "builtins":
        example = page.example or page.call
    return f"{_titled(page)}\n\n```python\n{example}\n```"


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s|\n\n", text, maxsplit=1)[0]
