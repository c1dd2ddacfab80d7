"""The jobs of a bench: each result is kept at once, and what is kept already is not fitted again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import TacitError
from tacit.evaluation.bench.contenders import Contender
from tacit.evaluation.bench.parts import doubts_of, kept_doubts, read_part, write_part
from tacit.evaluation.bench.problems import Problem
from tacit.evaluation.side_by_side import side_by_side, with_doubts

Part = dict[str, NDArray[Any]]
Done = tuple[int, Part | str, tuple[str, ...]]
"""Position of a job; its result, or why there is none; what it warned of."""
Fit = Callable[[Problem, Contender], NDArray[np.float32]]


@dataclass(frozen=True)
class Job:
    """One contender on one case, and the hash under which its result is kept, unless it is not to be."""

    problem: Problem
    contender: Contender
    key: str
    kept: bool = True


def run_jobs(
    todo: Sequence[Job], fit: Fit, folder: Path, jobs: int, *, scratch: Path | None = None
) -> Iterator[Done]:
    """The result of each job, or why it could not be fitted, with its position, as they come; each is kept at once.

    Args:
        todo: the jobs. What `folder` holds already is not fitted again.
        fit: test scores of a contender.
        folder: of parts.
        jobs: processes; with 1 the jobs run here, in order.
        scratch: see `side_by_side`.
    """
    missing = []
    for i, job in enumerate(todo):
        part = read_part(folder, job.key, "scores", "seconds", "doubts")
        if part is None:
            missing.append(i)
        else:
            yield i, part, doubts_of(part)
    work = partial(_run, fit=fit, folder=folder)
    for n, found, _ in side_by_side(work, [todo[i] for i in missing], jobs, scratch=scratch):
        yield missing[n], found, () if isinstance(found, str) else doubts_of(found)


def _run(job: Job, fit: Fit, folder: Path) -> Part | str:
    started = time.perf_counter()
    try:
        scores_Sn, doubts = with_doubts(partial(fit, job.problem, job.contender))
    except TacitError as error:  # one that cannot be fitted does not end a run of hours
        return str(error)
    except Exception as error:
        error.add_note(
            f"while fitting {job.contender.name}; tacit.testing.check_method finds faults of estimators"
        )
        raise
    seconds = np.array(time.perf_counter() - started)
    part = {"scores": scores_Sn, "seconds": seconds, "doubts": kept_doubts(doubts)}
    if job.kept:
        write_part(folder, job.key, **part)
    return part
