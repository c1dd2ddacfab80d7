"""Reliability: of the answers that a method gives 70 %, are 70 % liked?

Shapes: S seeds, n test rows, G prompts, b bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tacit.evaluation.bench.plots.style import (
    DARK,
    GREY,
    HEADS,
    Run,
    entitle,
    handle,
    legend,
    new_figure,
    of_run,
    runs,
)
from tacit.evaluation.bench.results import DRAWS, Line, has_level, probability
from tacit.evaluation.bench.run import BenchResult, Judged
from tacit.evaluation.bootstrap import Interval, Weighted, bootstrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 10
PANELS = 6


@dataclass(frozen=True)
class Reliability:
    """A method's bins, in ascending order of probability; b may be below `BINS` where probabilities are tied.

    Attributes:
        mean_b: mean probability.
        label_b: share of liked rows, with its interval.
        count_b: rows, all seeds together.
    """

    mean_b: NDArray[np.float64]
    label_b: tuple[Interval, ...]
    count_b: NDArray[np.int64]


def reliability(line: Line, judged: Judged, *, bins: int = BINS, draws: int = DRAWS) -> Reliability:
    """Sort the test rows of all seeds into bins of equal mass and compare labels with probabilities.

    Rows with the same probability are never torn apart. Intervals are drawn over prompts, all seeds of a prompt
    together: seeds share the texts, and answers to one prompt resemble each other.

    Args:
        line: of a method whose score is a probability.
        judged: r* and prompts of the case.
        bins: at most as many.
        draws: of the bootstrap.
    """
    p_N = probability(line.score.scores_Sn).ravel()
    liked_N = judged.liked_Sn.astype(np.float64).ravel()
    _, prompt_n = np.unique(judged.prompts_n, return_inverse=True)
    prompt_N = np.tile(prompt_n, len(judged.liked_Sn))
    _, which_N, count = np.unique(p_N, return_inverse=True, return_counts=True)
    bin_N = ((np.cumsum(count) - count) * bins // len(p_N))[which_N]
    G = int(prompt_n.max()) + 1

    def sums(values_N: NDArray[np.float64]) -> NDArray[np.float64]:
        flat: NDArray[np.float64] = np.bincount(prompt_N * bins + bin_N, values_N, G * bins).astype(
            np.float64
        )
        return flat.reshape(G, bins)

    rows_Gb, liked_Gb, p_Gb = sums(np.ones_like(p_N)), sums(liked_N), sums(p_N)
    kept = [b for b in range(bins) if rows_Gb[:, b].any()]
    count_b = rows_Gb.sum(0)[kept]
    # One number per prompt and bin, so that a draw costs prompts and not rows.
    labels = tuple(bootstrap(_ratio(liked_Gb[:, b], rows_Gb[:, b]), np.arange(G), draws=draws) for b in kept)
    return Reliability(p_Gb.sum(0)[kept] / count_b, labels, count_b.astype(np.int64))


def reliability_figures(result: BenchResult, table: dict[str, list[Line]]) -> Iterator[tuple[str, Figure]]:
    """Yield (name, figure): a panel per case, at most six a figure, protocols apart.

    Only highlighted methods whose score is a probability are shown.

    Args:
        result: of the run.
        table: lines by case.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    for run in runs(table):
        shown = {case: _believable(of_run(rows, run)) for case, rows in table.items()}
        cases = [case for case, rows in shown.items() if rows]
        pages = [cases[start : start + PANELS] for start in range(0, len(cases), PANELS)]
        for number, page in enumerate(pages, 1):
            yield f"{run}-{number}", _page(result, {case: shown[case] for case in page}, run)


def _believable(rows: list[Line]) -> list[Line]:
    found = {line.score.contender.name: line for line in rows if has_level(line.score)}
    return [found[name] for name in HEADS if name in found]


def _page(result: BenchResult, table: dict[str, list[Line]], run: Run) -> Figure:
    wide = min(3, len(table))
    deep = -(-len(table) // wide)
    figure = new_figure(2.4 + 3.3 * wide, 1.6 + 4.1 * deep)
    axes = figure.subplots(2 * deep, wide, squeeze=False, sharex=True, height_ratios=[4, 1] * deep)
    for number, (case, rows) in enumerate(table.items()):
        row, column = divmod(number, wide)
        _panel(axes[2 * row][column], axes[2 * row + 1][column], rows, result.judged[case])
        axes[2 * row][column].set_title(case)
        # Axes that share x hide the ticks of all but the lowest; a panel above an empty place needs its own.
        axes[2 * row + 1][column].tick_params(labelbottom=True)
        axes[2 * row + 1][column].set_xlabel("probability")
        if column == 0:
            axes[2 * row][column].set_ylabel("share liked")
            axes[2 * row + 1][column].set_ylabel("rows")
    figure.align_ylabels(axes[:, 0])
    for number in range(len(table), wide * deep):
        row, column = divmod(number, wide)
        axes[2 * row][column].set_axis_off()
        axes[2 * row + 1][column].set_axis_off()
    names = {line.score.contender.name for rows in table.values() for line in rows}
    legend(figure, [handle(name, look) for name, look in HEADS.items() if name in names])
    caption = (
        f"Test rows of all seeds in {BINS} bins of equal mass (ties stay together), mean label against mean "
        "probability; on the diagonal a probability means what it says. Bars: 95 % interval, bootstrap over test "
        "prompts. Below: rows by probability, 20 bins of equal width, relative to the fullest bin of the method. Where "
        "methods agree, one shows as a rim around the other."
    )
    entitle(figure, "Reliability of probabilities", result, [run], caption)
    return figure


def _panel(ax: Axes, below: Axes, rows: list[Line], judged: Judged) -> None:
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=1)
    curves = [reliability(line, judged) for line in rows]
    for order, (line, found) in enumerate(zip(rows, curves, strict=True)):
        look = HEADS[line.score.contender.name]
        # Some estimators agree; what lies below shows as a rim.
        rim = sum(_same(found, above) for above in curves[order + 1 :])
        value = np.array([i.value for i in found.label_b])
        low, high = np.array([i.low for i in found.label_b]), np.array([i.high for i in found.label_b])
        # Bars may be many: they lie behind all points, and fainter.
        ax.vlines(found.mean_b, low, high, color=look.colour, alpha=0.5, linewidth=0.9, zorder=2)
        ax.plot(
            found.mean_b,
            value,
            color=look.colour,
            linestyle=look.line,
            linewidth=1.2 + 1.6 * rim,
            marker=look.marker,
            markersize=look.size + 3 * rim,
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=3,
        )
        height, edges = np.histogram(probability(line.score.scores_Sn), bins=20, range=(0, 1))
        below.stairs(height / height.max(), edges, color=look.colour, linestyle=look.line, linewidth=1.0)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    below.set_ylim(0, 1.05)
    below.set_yticks([])
    below.grid(False, axis="y")
    for spine in (*ax.spines.values(), *below.spines.values()):
        spine.set_color(DARK)


def _same(one: Reliability, other: Reliability) -> bool:
    if len(one.mean_b) != len(other.mean_b):
        return False
    labels = [abs(i.value - j.value) for i, j in zip(one.label_b, other.label_b, strict=True)]
    return bool(np.abs(one.mean_b - other.mean_b).max() < 0.02 and max(labels) < 0.04)


def _ratio(top_G: NDArray[np.float64], bottom_G: NDArray[np.float64]) -> Weighted:
    def over(weights_DG: NDArray[np.float64]) -> NDArray[np.float64]:
        rows_D = weights_DG @ bottom_G
        ratio_D: NDArray[np.float64] = np.divide(
            weights_DG @ top_G, rows_D, out=np.full(len(rows_D), np.nan), where=rows_D > 0
        )
        return ratio_D

    return Weighted(over)
