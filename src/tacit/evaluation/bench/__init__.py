"""`tacit bench`: every estimator on problems whose truth is known, or on real logs, under a stated protocol."""

from __future__ import annotations

from tacit.evaluation.bench.contenders import Contender, contenders
from tacit.evaluation.bench.data import find_data
from tacit.evaluation.bench.markdown import markdown
from tacit.evaluation.bench.problems import Problem
from tacit.evaluation.bench.real import BUDGET as REAL_BUDGET
from tacit.evaluation.bench.real import RealResult, run_real
from tacit.evaluation.bench.results import Line, lines
from tacit.evaluation.bench.run import BUDGET, BenchResult, run_bench
from tacit.evaluation.bench.suites import SUITES, Case
from tacit.evaluation.bench.write import write_run

__all__ = [
    "BUDGET",
    "REAL_BUDGET",
    "SUITES",
    "BenchResult",
    "Case",
    "Contender",
    "Line",
    "Problem",
    "RealResult",
    "contenders",
    "find_data",
    "lines",
    "markdown",
    "run_bench",
    "run_real",
    "write_run",
]
