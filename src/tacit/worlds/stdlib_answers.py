"""Real text without a download: Python's own documentation, as good and bad answers to questions about it.

Every Python carries some two thousand docstrings. Each becomes a question ("What does `shutil.which` do?")
with candidate answers of known kind: the right page, the page of a neighbour, a page cut in the middle, a
page buried in generalities. `tacit.worlds.users` lets simulated users react to them.

The text depends on the Python version and platform (their documentation differs), on nothing else.
"""

from __future__ import annotations

import importlib
import inspect
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.errors import DataError

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

# Importing these starts nothing: no window, no thread, no network, no output.
_MODULES = """
    argparse array ast asyncio base64 binascii bisect builtins bz2 calendar cmath codecs collections
    colorsys concurrent.futures configparser contextlib copy csv dataclasses datetime decimal
    difflib dis email.message email.utils enum fileinput filecmp fnmatch fractions ftplib functools
    gc getopt getpass gettext glob graphlib gzip hashlib heapq hmac html html.parser http.client
    http.cookies http.server imaplib importlib.metadata importlib.util inspect io ipaddress
    itertools json linecache locale logging logging.handlers lzma mailbox math mimetypes operator
    optparse os os.path pathlib pickle pickletools pkgutil platform plistlib poplib pprint pstats
    queue random re reprlib sched secrets select selectors shelve shlex shutil signal smtplib socket
    socketserver sqlite3 ssl stat statistics string struct subprocess symtable sysconfig tarfile
    tempfile textwrap threading time timeit tokenize trace traceback tracemalloc types typing
    unicodedata unittest unittest.mock urllib.parse urllib.request urllib.robotparser uuid warnings
    wave weakref webbrowser wsgiref.util xml.dom.minidom xml.etree.ElementTree xml.sax.saxutils
    xmlrpc.client zipfile zlib zoneinfo
"""

_QUESTIONS = (
    "What does `{name}` do in Python?",
    "How do I use `{name}`?",
    "Can you explain `{name}` from Python's standard library?",
    "In Python, what is `{name}` good for?",
    "I came across `{name}` in some code. What is it?",
)

_FEWEST_WORDS = 12
_PAGE_WORDS = 38
_FILLER_WORDS = 16


@dataclass(frozen=True)
class AnswerSet:
    """Questions and candidate answers; lists and arrays run over the N rows, one row per answer."""

    prompts: list[str]
    responses: list[str]
    prompt_ids: npt.NDArray[np.int64]
    """Rows of one question share it; questions are numbered from 0."""
    kinds: list[str]
    """What each answer is, one of `KINDS`."""


@dataclass(frozen=True)
class _Page:
    name: str
    module: str
    text: str
    call: str
    example: str
    """Interactive examples of the docstring, or empty."""


def stdlib_answers(limit: int | None = None, *, seed: int = 0) -> AnswerSet:
    """Make questions about the standard library with five candidate answers each.

    Args:
        limit: at most this many questions; 1,200 if not given.
        seed: of the choice of questions, of their wording and of the kinds of answer that each one gets.

    Raises:
        DataError: this Python was started with `-OO` and has no docstrings, or the limit is below 1.

    Example:
        >>> answers = stdlib_answers(limit=3)
        >>> len(set(answers.prompts)), len(answers.prompts) == len(answers.responses) == len(answers.kinds)
        (3, True)
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit: found {limit}, expected at least 1 question")
    pages = _pages()
    if not pages:
        raise DataError("stdlib_answers: this Python keeps no docstrings: start it without -OO")
    rng = random.Random(seed)
    neighbours: dict[str, list[_Page]] = {}
    for page in pages:
        neighbours.setdefault(page.module, []).append(page)
    intros = {module: intro for module in neighbours if (intro := _module_intro(module))}
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
    page: _Page, wrong: _Page, mentioned: list[_Page], intros: dict[str, str], rng: random.Random
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


def _titled(page: _Page, text: str = "") -> str:
    """Head a text with the name it documents, as pages of the documentation are."""
    return f"`{page.name}`: {text or page.text}"


def _with_code(page: _Page) -> str:
    example = page.example or f"import {page.module}\n\n{page.call}"
    if page.module == "builtins":
        example = page.example or page.call
    return f"{_titled(page)}\n\n```python\n{example}\n```"


def _pages() -> list[_Page]:
    """Collect the documentation, each text once, in an order that does not depend on the run."""
    pages: dict[str, _Page] = {}
    for module in _MODULES.split():
        for name, thing in _public(module):
            doc = getattr(thing, "__doc__", None)
            # Generated docstrings can carry an address in memory, which differs from run to run.
            if not isinstance(doc, str) or " at 0x" in doc:
                continue
            text, example = _prose(inspect.cleandoc(doc))
            if len(text.split()) >= _FEWEST_WORDS and text not in pages:
                pages[text] = _Page(name, module, text, _call(name, thing), example)
    return list(pages.values())


def _public(module: str) -> Iterator[tuple[str, object]]:
    """Yield the public functions and classes of a module, and the methods of its classes."""
    try:
        found = importlib.import_module(module)
    except ImportError:  # some builds of Python go without ssl, sqlite3 or bz2
        return
    prefix = "" if module == "builtins" else f"{module}."
    listed = getattr(found, "__all__", None)
    for name in sorted(set(listed or vars(found))):
        thing = getattr(found, name, None)
        if name.startswith("_") or not callable(thing):
            continue
        if listed is None and getattr(thing, "__module__", module).strip("_") != module:
            continue
        yield f"{prefix}{name}", thing
        if inspect.isclass(thing):
            for method, value in sorted(vars(thing).items()):
                if not method.startswith("_") and callable(getattr(thing, method, None)):
                    yield f"{prefix}{name}.{method}", value


def _prose(doc: str) -> tuple[str, str]:
    """Split a docstring into prose of limited length and its interactive examples."""
    lines, examples = [], []
    for line in doc.splitlines():
        if line.lstrip().startswith((">>> ", "... ")):
            examples.append(line.strip()[4:])
        else:
            lines.append(line.rstrip())
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", "\n".join(lines))]
    return _at_most("\n\n".join(part for part in paragraphs if part), _PAGE_WORDS), "\n".join(examples[:6])


def _at_most(text: str, words: int) -> str:
    """Shorten a text to whole sentences, or to `words` words where the first sentence is longer."""
    found = list(re.finditer(r"\S+", text))
    if len(found) <= words:
        return text
    cut = text[: found[words - 1].end()]
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s|$)", cut)]
    return cut[: ends[-1]] if ends else cut


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s|\n\n", text, maxsplit=1)[0]


def _call(name: str, thing: object) -> str:
    """Write a call with the parameters' names and the defaults that are the same on every machine."""
    try:
        parameters = inspect.signature(thing).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return f"{name}(...)"
    stars: dict[object, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    written = []
    for parameter in parameters:
        star = stars.get(parameter.kind, "")
        default = parameter.default
        if parameter.name == "self":
            continue
        if default is parameter.empty:
            written.append(f"{star}{parameter.name}")
        else:
            # Other defaults show paths, encodings or addresses of this machine.
            plain = default is None or isinstance(default, bool | int) or default in ("", "r", "rb", "utf-8")
            written.append(f"{parameter.name}={default!r}" if plain else f"{parameter.name}=...")
    return f"{name}({', '.join(written)})"


def _module_intro(module: str) -> str:
    doc = getattr(importlib.import_module(module), "__doc__", None)
    if not isinstance(doc, str):
        return ""
    text, _ = _prose(inspect.cleandoc(doc))
    if "Copyright" in text or "@" in text:
        return ""
    return _at_most(text.replace("\n\n", " "), _FILLER_WORDS)
