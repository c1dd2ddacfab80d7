"""Fits side by side: one process a core, one thread each.

The products of small heads are too small for two threads to share; two fits are not. Every fit runs on one thread,
whatever the number of processes, so that a result does not depend on the machine's cores.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from pickle import PicklingError
from typing import TypeVar

import torch
from joblib import Parallel, cpu_count, delayed

from tacit.errors import ConfigError, IdentificationWarning, TacitError

MOST = 8
"""Processes that `jobs=None` starts at most: each holds a copy of torch."""
_LOOK = 1.0
"""Seconds after which a process looks again whether the one that started it is still there."""

T = TypeVar("T")
R = TypeVar("R")


def processes(jobs: int | None) -> int:
    """The number asked for, or one per core that this process may use.

    Raises:
        ConfigError: fewer than one.
    """
    if jobs is None:
        return min(MOST, int(cpu_count()))
    if jobs < 1:
        raise ConfigError(f"jobs is {jobs}, expected 1 or more, or None for one per core")
    return jobs


def side_by_side(
    work: Callable[[T], R], todo: Sequence[T], jobs: int, *, scratch: Path | None = None
) -> Iterator[tuple[int, R, tuple[str, ...]]]:
    """The results of all tasks as they come, each with its position and what its work warned of about identification.

    Args:
        work: done on one thread; it and its tasks can be pickled.
        todo: the tasks, begun in this order.
        jobs: processes; with 1 everything runs here.
        scratch: folder that the processes remove if this one is killed and cannot.

    Raises:
        TacitError: a process is gone, most often for its memory; or a task cannot be sent to one.
    """
    if jobs == 1 or len(todo) < 2:
        for i, task in enumerate(todo):
            yield _do(i, task, work)
        return
    # Arrays reach the workers as maps, copied when written to: torch takes them as they are.
    pool = Parallel(
        n_jobs=jobs,
        mmap_mode="c",
        return_as="generator_unordered",
        initializer=end_with,
        initargs=(os.getpid(), scratch),
    )
    try:
        yield from pool(delayed(_do)(i, task, work) for i, task in enumerate(todo))
    except PicklingError as error:
        raise TacitError(_unsent(error.__context__ or error)) from error
    except BrokenProcessPool as error:
        if "un-serialize" in str(error):  # loky's word for a task that arrived and could not be read
            raise TacitError(_unsent(str(error.__cause__).strip().strip('"').splitlines()[-1])) from error
        raise TacitError(
            f"a process that fitted one of {len(todo)} jobs is gone ({type(error).__name__}); run the same command "
            f"again with fewer than {jobs} side by side (--jobs)"
        ) from error


def _unsent(reason: object) -> str:
    return (
        f"an estimator cannot be sent to another process ({reason}); define it in a module that can be imported, or "
        "fit one after the other: jobs=1 (--jobs 1)"
    )


def end_with(parent: int, scratch: Path | None = None) -> None:
    """End this process once its parent is gone: killed, that cannot end it, and it would wait for work for good.

    Args:
        parent: process id. On Windows nothing is done: an orphan there keeps the number of its parent.
        scratch: folder that is removed then.
    """
    if sys.platform == "win32":
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)  # by all of them at once, the first of whom does it
        os._exit(1)  # from a thread; results are written whole or not at all

    threading.Thread(target=watch, daemon=True).start()


def with_doubts(work: Callable[[], R]) -> tuple[R, tuple[str, ...]]:
    """The result of some work, and what it warned of about identification, which is told to nobody else."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", IdentificationWarning)
        result = work()
    return result, tuple(dict.fromkeys(str(warning.message) for warning in caught))


def _do(i: int, task: T, work: Callable[[T], R]) -> tuple[int, R, tuple[str, ...]]:
    with _one_thread():
        result, told = with_doubts(lambda: work(task))
    return i, result, told


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
