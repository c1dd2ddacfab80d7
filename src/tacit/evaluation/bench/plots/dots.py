"""Within-prompt accuracy by world: every contender a row, every world a panel."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tacit.evaluation.bench.plots.style import (
    BLACK,
    BLUE,
    GREY,
    LIGHT,
    Look,
    entitle,
    handle,
    legend,
    new_figure,
    role_of,
    runs,
)
from tacit.evaluation.bench.results import Line, naive_of
from tacit.evaluation.bench.run import BenchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRIC = "within_prompt_accuracy"
ROW = 0.215  # inches; names of 8 points are 0.11 high


def dots_figure(result: BenchResult, table: dict[str, list[Line]]) -> Figure:
    """Draw the within-prompt accuracy of all contenders, one panel per case, names shared.

    The best stand on top, by their mean over cases of the distance from the case's median, so that a contender that
    could not take part in a hard case does not gain by it.

    Args:
        result: of the run.
        table: lines by case.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    names = _ordered(table)
    figure = new_figure(3.6 + 2.05 * len(table), 2.1 + ROW * len(names))
    axes = figure.subplots(1, len(table), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (case, rows) in zip(axes, table.items(), strict=True):
        _panel(ax, rows, names)
        ax.set_title(case.replace(", ", "\n"))
        ax.set_xlabel("within-prompt accuracy")
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    axes[0].set_yticks(range(len(names)), names)
    blind = {
        line.score.contender.name for rows in table.values() for line in rows if role_of(line) == "blind"
    }
    for label, name in zip(axes[0].get_yticklabels(), names, strict=True):
        label.set_color(GREY if name in blind else BLACK)
    one_signal = any(
        line.score.contender.name == "naive_one_signal" for rows in table.values() for line in rows
    )
    handles = [
        handle("estimator, honest", Look(BLUE, "o", "")),
        handle("reads clean labels\nor true nuisances", Look(BLUE, "o", ""), filled=False),
        handle("content-blind baseline", Look(GREY, "o", "")),
        handle(
            "naive (on the first signal,\nwhere there are several)" if one_signal else "naive",
            Look(BLACK, "", ":", 1.3),
        ),
        handle("oracle", Look(BLACK, "", "-", 1.1)),
    ]
    legend(figure, handles)
    caption = (
        "Dots: mean over seeds; bars: 95 % interval, bootstrap over test prompts. Hollow: protocol oracle. Best on "
        "top, by the mean over panels of the distance from the panel's median. "
        "A row without a dot: could not take part."
    )
    entitle(figure, "Within-prompt accuracy of every contender", result, runs(table), caption)
    return figure


def _ordered(table: dict[str, list[Line]]) -> list[str]:
    distances: dict[str, dict[str, list[float]]] = {}
    for rows in table.values():
        median = float(np.nanmedian([line.intervals[METRIC].value for line in rows]))
        for line in rows:
            one = line.score.contender
            by_protocol = distances.setdefault(one.name, {})
            by_protocol.setdefault(one.protocol, []).append(line.intervals[METRIC].value - median)
    # A name that ran under both protocols has one row, placed by its honest result.
    means = {
        name: float(np.nanmean(found.get("honest") or found["oracle"])) for name, found in distances.items()
    }
    return sorted(means, key=lambda name: (-means[name], name))


def _panel(ax: Axes, rows: list[Line], names: list[str]) -> None:
    ax.grid(False)
    for row in range(0, len(names), 2):
        ax.axhspan(row - 0.5, row + 0.5, color="#F5F5F5", linewidth=0, zorder=0)
    ax.grid(True, axis="x")
    at = naive_of([line.score for line in rows])
    naive = None if at is None else rows[at]
    oracle = next((line for line in rows if line.score.contender.name == "oracle"), None)
    for reference, style, width in ((naive, ":", 1.3), (oracle, "-", 1.1)):
        if reference is not None:
            ax.axvline(
                reference.intervals[METRIC].value, color=BLACK, linestyle=style, linewidth=width, zorder=1
            )
    both = {name for name, times in Counter(line.score.contender.name for line in rows).items() if times > 1}
    for line in rows:
        one, interval = line.score.contender, line.intervals[METRIC]
        hollow = one.protocol == "oracle"
        colour = GREY if role_of(line) == "blind" else BLUE
        shift = (0.17 if hollow else -0.17) * (one.name in both)
        ax.errorbar(
            [interval.value],
            [names.index(one.name) + shift],
            xerr=[[interval.value - interval.low], [interval.high - interval.value]],
            color=colour,
            marker="o",
            markersize=4.5,
            markerfacecolor="white" if hollow else colour,
            elinewidth=1.1,
            linestyle="none",
            zorder=3,
        )
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_color(LIGHT)
