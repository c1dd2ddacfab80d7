"""Fits side by side: one process a core, one thread each.

The products of small heads are too small for two threads to share; two fits are not. Every fit runs on one thread,
whatever the number of processes, so that a result does not depend on the machine's cores.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray

from tacit.errors import ConfigError, IdentificationWarning, TacitError
from tacit.evaluation.bench.contenders import Contender
from tacit.evaluation.bench.parts import read_part, write_part
from tacit.evaluation.bench.problems import Problem

MOST = 8
"""Processes that `jobs=None` starts at most: each holds a copy of torch."""
_LOOK = 1.0
"""Seconds after which a process looks again whether the one that started it is still there."""

Part = dict[str, NDArray[Any]]
Done = tuple[int, Part | str, tuple[str, ...]]
"""Position of a job; its result, or why there is none; what it warned of."""
Fit = Callable[[Problem, Contender], NDArray[np.float32]]


@dataclass(frozen=True)
class Job:
    """One contender on one case, and the hash under which its result is kept."""

    problem: Problem
    contender: Contender
    key: str


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


def run_jobs(todo: Sequence[Job], fit: Fit, folder: Path, jobs: int) -> Iterator[Done]:
    """The result of each job, or why it could not be fitted, with its position, as they come; each is kept at once.

    Args:
        todo: the jobs. What `folder` holds already is not fitted again.
        fit: test scores of a contender.
        folder: of parts.
        jobs: processes; with 1 the jobs run here, in order.
    """
    missing = []
    for i, job in enumerate(todo):
        part = read_part(folder, job.key, "scores", "seconds")
        if part is None:
            missing.append(i)
        else:
            yield i, part, ()
    if jobs == 1 or len(missing) < 2:
        for i in missing:
            yield _run(i, todo[i], fit, folder)
        return
    # Arrays reach the workers as maps, copied when written to: torch takes them as they are.
    pool = Parallel(
        n_jobs=jobs,
        mmap_mode="c",
        return_as="generator_unordered",
        initializer=end_with,
        initargs=(os.getpid(),),
    )
    try:
        yield from pool(delayed(_run)(i, todo[i], fit, folder) for i in missing)
    except BrokenProcessPool as error:  # killed for its memory, most often
        raise TacitError(
            f"a process that fitted one of {len(missing)} jobs is gone ({type(error).__name__}); what was finished is "
            f"kept: run the same command again with fewer than {jobs} side by side (--jobs)"
        ) from error


def end_with(parent: int) -> None:
    """End this process once its parent is gone: killed, that cannot end it, and it would wait for jobs for good.

    Args:
        parent: process id. On Windows nothing is done: an orphan there keeps the number of its parent.
    """
    if sys.platform == "win32":
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os._exit(1)  # from a thread; results are written whole or not at all

    threading.Thread(target=watch, daemon=True).start()


def _run(i: int, job: Job, fit: Fit, folder: Path) -> Done:
    started = time.perf_counter()
    try:
        with _one_thread(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", IdentificationWarning)
            scores_Sn = fit(job.problem, job.contender)
    except TacitError as error:  # one that cannot be fitted does not end a run of hours
        return i, str(error), ()
    part = {"scores": scores_Sn, "seconds": np.array(time.perf_counter() - started)}
    write_part(folder, job.key, **part)
    return i, part, tuple(dict.fromkeys(str(warning.message) for warning in caught))


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
