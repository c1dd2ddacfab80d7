"""Read the documentation of Python's own standard library, in a process where nobody has changed it.

Libraries patch the standard library when they are imported (transformers adds methods to
`logging.Logger`, torch replaces `inspect.getfile`), so the pages would depend on what else is loaded.
This file therefore runs itself as a script in a bare interpreter, imports nothing but the standard
library, and passes the pages on as JSON.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

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

_FEWEST_WORDS = 12
_PAGE_WORDS = 38
_FILLER_WORDS = 16


@dataclass(frozen=True)
class Page:
    """The documentation of one public function, class or method."""

    name: str
    module: str
    text: str
    call: str
    """How it is called, with parameter names."""
    example: str
    """Interactive examples of the docstring, or empty."""


@dataclass(frozen=True)
class Library:
    """All pages, each text once, and the first words of each module's own documentation."""

    pages: list[Page]
    intros: dict[str, str]


@functools.cache
def read_library() -> Library:
    """Read the pages; once per process, a third of a second.

    Raises:
        subprocess.CalledProcessError: the bare interpreter does not run.

    Example:
        >>> next(page for page in read_library().pages if page.name == "shutil.which").call
        'shutil.which(cmd, mode=1, path=None)'
    """
    command = [sys.executable, "-I", "-S", __file__]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return Library([Page(**page) for page in found["pages"]], found["intros"])


def _pages() -> list[Page]:
    """Collect the pages in an order that does not depend on the run."""
    pages: dict[str, Page] = {}
    for module in _MODULES.split():
        for name, thing in _public(module):
            doc = getattr(thing, "__doc__", None)
            # Generated docstrings can carry an address in memory, which differs from run to run.
            if not isinstance(doc, str) or " at 0x" in doc:
                continue
            text, example = _prose(inspect.cleandoc(doc))
            if len(text.split()) >= _FEWEST_WORDS and text not in pages:
                pages[text] = Page(name, module, text, _call(name, thing), example)
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


def _call(name: str, thing: object) -> str:
    """Write a call with the parameters' names and the defaults that are the same on every machine."""
    try:
        parameters = inspect.signature(thing).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError, AttributeError):  # the last for `select.epoll` in Python 3.13.0
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
            plain = default is None or type(default) in (bool, int) or default in ("", "r", "rb", "utf-8")
            written.append(f"{parameter.name}={default!r}" if plain else f"{parameter.name}=...")
    return f"{name}({', '.join(written)})"


def _module_intro(module: str) -> str:
    try:
        doc = importlib.import_module(module).__doc__
    except ImportError:
        return ""
    if not isinstance(doc, str):
        return ""
    text, _ = _prose(inspect.cleandoc(doc))
    if "Copyright" in text or "@" in text:
        return ""
    return _at_most(text.replace("\n\n", " "), _FILLER_WORDS)


def _write_library() -> None:
    intros = {module: intro for module in _MODULES.split() if (intro := _module_intro(module))}
    json.dump(asdict(Library(_pages(), intros)), sys.stdout)


if __name__ == "__main__":
    _write_library()
