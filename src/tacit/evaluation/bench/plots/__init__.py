"""The pictures of a run: against alpha, by world, and how far probabilities can be believed.

Every function that makes a figure returns it; only `draw` writes. matplotlib is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tacit.evaluation.bench.plots.alpha import alpha_figure
from tacit.evaluation.bench.plots.dots import METRIC, dots_figure
from tacit.evaluation.bench.plots.reliability import reliability_figures
from tacit.evaluation.bench.plots.style import DPI, house_style
from tacit.evaluation.bench.results import Line
from tacit.evaluation.bench.run import BenchResult
from tacit.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["alpha_figure", "dots_figure", "draw", "figures", "reliability_figures"]


def draw(result: BenchResult, table: dict[str, list[Line]], folder: Path) -> list[Path]:
    """Write the pictures of a run as PNG files, each whole or not at all; the same run gives the same bytes.

    Args:
        result: of the run.
        table: its lines by case, as `tacit.evaluation.bench.results.lines` gives them.
        folder: to write to; files of the same names are replaced.

    Returns:
        The files, named `<suite>-alpha.png`, `<suite>-cases.png`, `<suite>-reliability-<protocol>-<n>.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    written = []
    with house_style():
        for name, figure in figures(result, table):
            path = folder / f"{result.suite}-{name}.png"
            with atomic_path(path) as temporary:
                # matplotlib would write its version into the file.
                figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
            written.append(path)
    return written


def figures(result: BenchResult, table: dict[str, list[Line]]) -> Iterator[tuple[str, Figure]]:
    """Yield (name, figure) of all pictures that a run has: cases with an alpha as curves, all others as dots, where any
    within-prompt accuracy is defined.

    Args:
        result: of the run.
        table: its lines by case.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    curves = {case: rows for case, rows in table.items() if rows and "alpha" in rows[0].score.case.labels}
    others = {
        case: rows
        for case, rows in table.items()
        if case not in curves and any(np.isfinite(line.intervals[METRIC].value) for line in rows)
    }
    if curves:
        yield "alpha", alpha_figure(result, curves)
    if others:
        yield "cases", dots_figure(result, others)
    for name, figure in reliability_figures(result, table):
        yield f"reliability-{name}", figure
