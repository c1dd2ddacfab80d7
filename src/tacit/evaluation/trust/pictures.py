"""The pictures of the page, as data: SVG, drawn by matplotlib, which is imported where it is used."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tacit.evaluation.bench.plots.style import (
    BLACK,
    BLUE,
    DARK,
    GREEN,
    LIGHT,
    ORANGE,
    PURPLE,
    house_style,
    new_figure,
)
from tacit.evaluation.trust.biases import Bias
from tacit.evaluation.trust.predictive import PREDICTED, Predictive
from tacit.evaluation.trust.scores import Scores
from tacit.evaluation.trust.words import rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIGNALS = ((ORANGE, "s"), (PURPLE, "D"), (GREEN, "v"))
"""Colour and marker of the first three signals; more would not be told apart."""

_LABEL = 16  # letters under a bin


@dataclass(frozen=True)
class Picture:
    """A picture that stands in the page itself.

    Attributes:
        source: a data URI.
        alt: what it shows, for who cannot see it.
    """

    source: str
    alt: str


def bias_picture(bias: Bias) -> Picture:
    """Signal rates, propensity and P(liked) by the bins of a column.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with house_style():
        figure = new_figure(6.4, 3.3)
        ax = figure.subplots()
        at = list(range(len(bias.bins)))
        drawn = bias.signals[: len(_SIGNALS)]
        for (colour, marker), one in zip(_SIGNALS, drawn, strict=False):
            _line(ax, at, one.fired, colour, marker, "-", f"{_cut(one.signal, 24)} fired")
            if one.acting is not None:
                _line(
                    ax,
                    at,
                    one.acting,
                    colour,
                    marker,
                    ":",
                    f"{_cut(one.signal, 24)}, fitted propensity",
                    hollow=True,
                )
        if bias.audited is not None:
            _line(ax, at, bias.audited, BLACK, "*", "", "audited, mean label")
        if bias.liked is not None:
            _line(ax, at, bias.liked, BLUE, "o", "-", "P(liked), mean")
        ax.set_ylim(-0.03, 1.03)
        ax.set_xlim(-0.4, max(0.4, len(at) - 0.6))
        ax.set_xticks(
            at, [_cut(label, _LABEL) for label in bias.bins], rotation=0 if _short(bias.bins) else 20
        )
        ax.set_xlabel(_cut(bias.column, 60))
        ax.set_ylabel("share of the rows")
        if ax.lines:
            figure.legend(loc="outside lower left", ncols=2, frameon=False)
    told = [f"{one.signal} fired " + ", ".join(map(rate, one.fired)) for one in drawn]
    if bias.liked is not None:
        told.append("mean P(liked) " + ", ".join(map(rate, bias.liked)))
    return _picture(figure, f"By {bias.column} ({', '.join(bias.bins)}): {'; '.join(told)}.")


def predictive_picture(found: Predictive, signals: Sequence[str]) -> Picture:
    """Observed against predicted rates, by tenths of the rows.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    shown = list(signals)[: len(_SIGNALS)]
    with house_style():
        figure = new_figure(6.4, 3.2)
        axes = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for ax, signal, (colour, marker) in zip(axes, shown, _SIGNALS, strict=False):
            cells = found.of(signal, PREDICTED)
            most = max((cell.high for cell in cells), default=1.0)
            most = min(1.0, 1.08 * max([most, *(cell.predicted for cell in cells)]))
            ax.plot([0, most], [0, most], color=DARK, linewidth=0.8, linestyle=":")
            ax.errorbar(
                [cell.predicted for cell in cells],
                [cell.observed for cell in cells],
                yerr=[
                    [cell.observed - cell.low for cell in cells],
                    [cell.high - cell.observed for cell in cells],
                ],
                color=colour,
                marker=marker,
                linestyle="none",
                markersize=4.5,
                elinewidth=1.0,
            )
            ax.set_title(_cut(signal, 30))
            ax.set_xlabel("foretold rate")
        axes[0].set_ylabel("observed rate (95 %)")
    told = [
        f"{signal}: "
        + ", ".join(
            f"{rate(c.predicted)} foretold, {rate(c.observed)} observed" for c in found.of(signal, PREDICTED)
        )
        for signal in shown
    ]
    return _picture(figure, f"Observed against foretold rates by tenths of the rows. {'; '.join(told)}.")


def scores_picture(found: Scores) -> Picture:
    """How scores are spread.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with house_style():
        figure = new_figure(6.4, 2.4)
        ax = figure.subplots()
        widths = [high - low for low, high in zip(found.edges, found.edges[1:], strict=False)]
        ax.bar(
            found.edges[:-1],
            found.rows,
            width=widths,
            align="edge",
            color=BLUE,
            edgecolor="white",
            linewidth=0.6,
        )
        ax.axvline(found.quantiles[2], color=DARK, linewidth=1.0, linestyle="--")
        ax.annotate(
            "median",
            (found.quantiles[2], 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -10),
            textcoords="offset points",
        )
        ax.set_xlabel(found.of)
        ax.set_ylabel("responses")
        ax.grid(False, axis="x")
        ax.spines["bottom"].set_color(LIGHT)
    quantiles = ", ".join(map(rate, found.quantiles))
    return _picture(figure, f"Responses by {found.of}; 5, 25, 50, 75 and 95 % of them lie below {quantiles}.")


def _line(
    ax: Axes,
    at: Sequence[int],
    values: Sequence[float | None],
    colour: str,
    marker: str,
    line: str,
    label: str,
    *,
    hollow: bool = False,
) -> None:
    ax.plot(
        at,
        [float("nan") if value is None else value for value in values],
        color=colour,
        marker=marker,
        linestyle=line,
        linewidth=1.4,
        markersize=5,
        markerfacecolor="white" if hollow else colour,
        label=label,
    )


def _short(labels: Sequence[str]) -> bool:
    return sum(min(len(label), _LABEL) for label in labels) < 55


def _cut(text: str, letters: int) -> str:
    """A name as it stands in a picture: not longer than there is room, and no markup of matplotlib's."""
    text = text if len(text) <= letters else f"{text[: letters - 1]}…"
    return text.replace("$", r"\$")


def _picture(figure: Figure, alt: str) -> Picture:
    """The figure as a data URI; the same figure gives the same bytes."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "tacit", "svg.fonttype": "path"}), io.BytesIO() as buffer:
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{data}", alt)
