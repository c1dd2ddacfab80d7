"""Processes that fit side by side end with the one that started them, however that ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys, time
from pathlib import Path
from tacit.evaluation.bench.workers import Job, run_jobs

def fit(problem, contender):
    print("fitting", flush=True)
    time.sleep(300)

list(run_jobs([Job(None, None, "a"), Job(None, None, "b")], fit, Path(sys.argv[1]), 2))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="an orphan there keeps the number of its parent")
def test_a_killed_run_leaves_no_process_behind(tmp_path: Path) -> None:
    main = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert main.stdout is not None and main.stdout.readline() == "fitting\n"
    main.kill()
    main.communicate(timeout=30)  # the end of its output, which the workers hold open as long as they live
