"""Fits side by side: the same results in any number of processes, which end with the one that started them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from tacit.errors import ConfigError, IdentificationWarning
from tacit.evaluation.side_by_side import processes, side_by_side

RUN = """
import sys, time
from pathlib import Path
from tacit.evaluation.side_by_side import side_by_side

def work(task):
    print("working", flush=True)
    time.sleep(300)

list(side_by_side(work, [1, 2], 2, scratch=Path(sys.argv[1])))
"""


def threads_and_square(task: int) -> tuple[int, int]:
    warnings.warn(f"doubtful {task}", IdentificationWarning, stacklevel=1)
    warnings.warn("of no interest", UserWarning, stacklevel=1)
    return torch.get_num_threads(), task * task


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_is_done_on_one_thread_and_comes_with_its_position_and_its_doubts(jobs: int) -> None:
    before = torch.get_num_threads()
    done = sorted(side_by_side(threads_and_square, [3, 5, 7], jobs))
    assert done == [(i, (1, task * task), (f"doubtful {task}",)) for i, task in enumerate([3, 5, 7])]
    assert torch.get_num_threads() == before


def test_at_least_one_process_is_needed() -> None:
    assert processes(3) == 3
    assert processes(None) >= 1
    with pytest.raises(ConfigError, match="jobs is 0, expected 1 or more"):
        processes(0)


@pytest.mark.skipif(sys.platform == "win32", reason="an orphan there keeps the number of its parent")
def test_a_killed_run_leaves_neither_process_nor_scratch_behind(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "embedding").write_bytes(b"0" * 1000)
    main = subprocess.Popen([sys.executable, "-c", RUN, str(scratch)], stdout=subprocess.PIPE, text=True)
    assert main.stdout is not None and main.stdout.readline() == "working\n"
    main.kill()
    main.communicate(timeout=30)  # the end of its output, which the workers hold open as long as they live
    assert not scratch.exists()
