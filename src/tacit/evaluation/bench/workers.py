"""Fits side by side: one process a core, one thread each.

The products of small heads are too small for two threads to share; two fits are not. Every fit runs on one thread,
whatever the number of processes, so that a result does not depend on the machine's cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray

from tacit.errors import TacitError
from tacit.evaluation.bench.contenders import Contender
from tacit.evaluation.bench.parts import read_part, write_part
from tacit.evaluation.bench.problems import Problem

MOST = 8
"""Processes that `jobs=None` starts at most: each holds a copy of torch."""

Part = dict[str, NDArray[Any]]
Fit = Callable[[Problem, Contender], NDArray[np.float32]]


@dataclass(frozen=True)
class Job:
    """One contender on one case, and the hash under which its result is kept."""

    problem: Problem
    contender: Contender
    key: str


def processes(jobs: int | None) -> int:
    """The number asked for, or one per core that this process may use."""
    if jobs is not None:
        return jobs
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return min(MOST, cores)


def run_jobs(todo: Sequence[Job], fit: Fit, folder: Path, jobs: int) -> Iterator[tuple[int, Part | str]]:
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
            yield i, part
    if jobs == 1 or len(missing) < 2:
        for i in missing:
            yield _run(i, todo[i], fit, folder)
        return
    # Copy-on-write maps of the embeddings: workers share them, and torch takes them as they are.
    pool = Parallel(n_jobs=jobs, mmap_mode="c", return_as="generator_unordered")
    yield from pool(delayed(_run)(i, todo[i], fit, folder) for i in missing)


def _run(i: int, job: Job, fit: Fit, folder: Path) -> tuple[int, Part | str]:
    started = time.perf_counter()
    try:
        with _one_thread():
            scores_Sn = fit(job.problem, job.contender)
    except TacitError as error:  # one that cannot be fitted does not end a run of hours
        return i, str(error)
    part = {"scores": scores_Sn, "seconds": np.array(time.perf_counter() - started)}
    write_part(folder, job.key, **part)
    return i, part


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
