"""`tacit bench`: every estimator on problems whose truth is known, or on real logs, under a stated protocol."""

from __future__ import annotations

from tacit.evaluation.bench.contenders import Contender, contenders
from tacit.evaluation.bench.problems import Problem
from tacit.evaluation.bench.run import BenchResult, run_bench
from tacit.evaluation.bench.suites import SUITES, Case

__all__ = ["SUITES", "BenchResult", "Case", "Contender", "Problem", "contenders", "run_bench"]
