"""Metrics against alpha: how every estimator bears feedback that comes less and less from low ratings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tacit.evaluation.bench.plots.style import (
    HEADS,
    REST,
    Look,
    Role,
    Run,
    entitle,
    handle,
    legend,
    new_figure,
    of_run,
    role_of,
    runs,
)
from tacit.evaluation.bench.results import Line
from tacit.evaluation.bench.run import BenchResult
from tacit.evaluation.bench.suites import NOISES
from tacit.evaluation.bootstrap import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = {
    "within_prompt_accuracy": "within-prompt accuracy",
    "auroc": "AUROC",
    "brier": "Brier score (lower is better)",
    "r2": "R²",
}
FLOOR = -1.0
"""R² has no lower bound; below this an estimator is worse than any constant and the figure would show little else."""

STEP = 0.007
"""Between highlighted curves at the same alpha; alphas are 0.1 apart."""

Curve = tuple[str, Role, list[float], list[Interval]]


def alpha_figure(result: BenchResult, table: dict[str, list[Line]]) -> Figure:
    """Draw every metric against alpha: a row of panels per metric, a column per noise scenario and protocol.

    Args:
        result: of the run.
        table: lines of the cases that carry an alpha.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    protocols = runs(table)
    noises = list(dict.fromkeys(rows[0].score.case.labels.get("noise") for rows in table.values()))
    columns: list[tuple[str | None, Run]] = [(noise, run) for noise in noises for run in protocols]
    figure = new_figure(2.3 + 3.1 * len(columns), 1.6 + 2.5 * len(METRICS))
    axes = figure.subplots(len(METRICS), len(columns), sharex=True, sharey="row", squeeze=False)
    asides = _asides({line.score.contender.name for rows in table.values() for line in rows})
    shown: dict[str, None] = {}
    for i, (metric, label) in enumerate(METRICS.items()):
        panels = [_curves(table, noise, run, metric) for noise, run in columns]
        low, high = _limits(metric, [curve for panel in panels for curve in panel])
        for j, (ax, panel) in enumerate(zip(axes[i], panels, strict=True)):
            for name, role, alphas, intervals in panel:
                look = HEADS[name] if role == "head" else REST[role][1]
                _draw(ax, alphas, intervals, look, role, asides.get(name, 0.0))
                shown[name if role == "head" else REST[role][0]] = None
            ax.set_ylim(low, high)
            ax.set_xticks(sorted({alpha for _, _, alphas, _ in panel for alpha in alphas}))
            if i == 0:
                ax.set_title(_column_title(*columns[j]))
            if i == len(METRICS) - 1:
                ax.set_xlabel("α")
        axes[i][0].set_ylabel(label)
    figure.align_ylabels(axes[:, 0])
    looks = {name: HEADS[name] for name in HEADS if name in shown}
    looks |= {name: look for name, look in REST.values() if name in shown}
    legend(figure, [handle(name, look) for name, look in looks.items()])
    cut = f" Curves that leave the R² panels fall below {FLOOR:g}." if _is_cut(table) else ""
    caption = (
        "Lines: mean over seeds. Bands and bars: 95 % interval, bootstrap over test prompts; curves at one α are set "
        "a little apart. The chance of feedback is "
        "proportional to α^(5 − rating): the smaller α, the steeper. Estimators without a level have no Brier score "
        f"and no R².{cut}"
    )
    entitle(figure, "Metrics against α", result, protocols, caption)
    return figure


def _curves(table: dict[str, list[Line]], noise: str | None, run: Run, metric: str) -> list[Curve]:
    found: dict[str, list[tuple[float, Interval]]] = {}
    roles: dict[str, Role] = {}
    for rows in table.values():
        labels = rows[0].score.case.labels
        if labels.get("noise") != noise:
            continue
        for line in of_run(rows, run):
            name = line.score.contender.name
            if metric in line.intervals:
                found.setdefault(name, []).append((float(labels["alpha"]), line.intervals[metric]))
                roles[name] = role_of(line)
    curves = []
    # Highlighted lines last, so that they lie on top.
    for name in sorted(found, key=lambda name: (roles[name] == "head", name)):
        points = sorted(found[name], key=lambda point: point[0])
        curves.append((name, roles[name], [a for a, _ in points], [interval for _, interval in points]))
    return curves


def _draw(
    ax: Axes, alphas: list[float], intervals: list[Interval], look: Look, role: Role, aside: float
) -> None:
    values = np.array([interval.value for interval in intervals])
    if role != "head":
        ax.plot(alphas, values, color=look.colour, linestyle=look.line, linewidth=look.width, zorder=2)
        return
    low = np.array([interval.low for interval in intervals])
    high = np.array([interval.high for interval in intervals])
    at = np.array(alphas) + aside
    # Many faint bands add up to grey: the bars tell whose end is where.
    ax.fill_between(at, low, high, color=look.colour, alpha=0.06, linewidth=0, zorder=1)
    ax.vlines(at, low, high, color=look.colour, alpha=0.75, linewidth=1.0, zorder=3)
    ax.plot(
        at,
        values,
        color=look.colour,
        linestyle=look.line,
        linewidth=look.width,
        marker=look.marker,
        markersize=look.size,
        markeredgecolor="white",
        markeredgewidth=0.5,
        zorder=4,
    )


def _asides(names: Iterable[str]) -> dict[str, float]:
    """Small steps to the side for highlighted curves, so that equal ones can be told apart."""
    heads = [name for name in HEADS if name in names]
    return {name: STEP * (i - (len(heads) - 1) / 2) for i, name in enumerate(heads)}


def _limits(metric: str, curves: Iterable[Curve]) -> tuple[float, float]:
    heads = [i for _, role, _, intervals in curves if role in ("head", "blind") for i in intervals]
    ends = np.array([end for i in heads for end in (i.low, i.high) if np.isfinite(end)])
    if not len(ends):
        return 0.0, 1.0
    low, high = float(ends.min()), float(ends.max())
    if metric == "r2":
        low = max(low, FLOOR) if high > FLOOR else low
    room = 0.05 * max(high - low, 0.02)
    return low - room, high + room


def _is_cut(table: dict[str, list[Line]]) -> bool:
    return any(
        "r2" in line.intervals and line.intervals["r2"].low < FLOOR
        for rows in table.values()
        for line in rows
    )


def _column_title(noise: str | None, run: Run) -> str:
    if noise is None:
        return f"protocol {run}"
    rho01, rho10 = NOISES[noise]
    return f"{noise}: ρ01 = {rho01:g}, ρ10 = {rho10:g}\nprotocol {run}"
