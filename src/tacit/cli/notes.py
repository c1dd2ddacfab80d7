"""Notes on standard error ("read as OASST1", "3 rows quarantined"), held back until the input is known to be good.

A run that fails shows one line, its error; what would have stood before it helps nobody find the cause.
"""

from __future__ import annotations

import logging
import sys

from tacit.cli.render import printable


class _Held(logging.Handler):
    """Keeps lines until `release`, then prints them and everything after at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[str] | None = []

    def emit(self, record: logging.LogRecord) -> None:
        line = "\n".join(map(printable, self.format(record).splitlines()))  # an error's traceback has many
        if self.waiting is None:
            print(line, file=sys.stderr)
        else:
            self.waiting.append(line)


def hold(*, quiet: bool) -> None:
    """Start a run: lines of the library wait for `release`; with `quiet` only warnings are kept."""
    logger = logging.getLogger("tacit")
    for handler in [h for h in logger.handlers if isinstance(h, _Held)]:
        logger.removeHandler(handler)
    logger.addHandler(_Held())
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    for noisy in ("httpx", "httpcore", "urllib3", "filelock", "datasets", "transformers", "huggingface_hub"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def say(text: str) -> None:
    """Add a line of the command line's own."""
    logging.getLogger("tacit").info("%s", text)


def release() -> None:
    """The input is good: print what waits; later lines are printed as they come."""
    for handler in logging.getLogger("tacit").handlers:
        if isinstance(handler, _Held) and handler.waiting is not None:
            for line in handler.waiting:
                print(line, file=sys.stderr)
            handler.waiting = None
