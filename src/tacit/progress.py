"""Progress: a bar on a terminal, a log line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

logger = logging.getLogger("tacit")

_SECONDS_BETWEEN_LINES = 15.0


class Progress(Protocol):
    """What long work reports to: `advance(n)` steps done, with an optional note beside the bar."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Report `steps` more done."""
        ...


class Silent:
    """A progress that says nothing."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Do nothing."""


class _Lines:
    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done = title, total, 0
        self._said = time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            logger.info("%s %d/%d %s", self._title, self._done, self._total, note)


@contextmanager
def progress(title: str, total: int, *, quiet: bool = False) -> Iterator[Progress]:
    """Show the progress of `total` steps under `title` on standard error.

    Example:
        >>> with progress("embedding", 2, quiet=True) as bar:
        ...     bar.advance(2)
    """
    if quiet:
        yield Silent()
    elif not sys.stderr.isatty():
        yield _Lines(title, total)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}"),
        )
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(title, total=total, note="")

            class _Bar:
                def advance(self, steps: int = 1, note: str = "") -> None:
                    bars.update(task, advance=steps, note=note)

            yield _Bar()
