"""What all pictures share: who is highlighted and how, titles, captions, legends.

Colours are those of Okabe and Ito, told apart by readers with any colour vision; markers and line styles say the same
once more. Their yellow is left out: it cannot be seen on white.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tacit.evaluation.bench.contenders import BASELINES, Stopped
from tacit.evaluation.bench.results import Line
from tacit.evaluation.bench.run import BenchResult
from tacit.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

DPI = 150
SMALL, MEDIUM, LARGE = 8, 9, 11  # points

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
LIGHT, GREY, DARK = "#BDBDBD", "#8C8C8C", "#404040"

Run = Literal["honest", "oracle"]
Role = Literal["head", "other", "blind", "given"]


@dataclass(frozen=True)
class Look:
    """How a line is drawn."""

    colour: str
    marker: str
    line: Literal["-", "--", "-.", ":", ""]
    width: float = 1.6

    @property
    def size(self) -> float:
        """Of the marker, points; stars and crosses cover less than discs of the same size."""
        return {"*": 9.0, "P": 6.5, "X": 6.5}.get(self.marker, 5.5)


HEADS: dict[str, Look] = {
    # Two references and the heads of the families; a log is implicit or explicit, so at most eight meet.
    "oracle": Look(BLACK, "*", "-", 1.2),
    "naive": Look(BLACK, "s", ":", 1.4),
    "naive_observed": Look(BLACK, "s", ":", 1.4),
    "implicit_rm": Look(VERMILLION, "^", "-"),
    "latent_ml": Look(BLUE, "o", "-"),
    "nnpu": Look(GREEN, "D", "--"),
    "sar_ipw": Look(ORANGE, "P", "--"),
    "recrec_f": Look(SKY, "v", "-."),
    "bpr": Look(PURPLE, "X", "-."),
    "causal_ips": Look(BLUE, "o", "-"),
    "causal_dr": Look(VERMILLION, "^", "-"),
    "causal_fwd": Look(GREEN, "D", "-"),
    "ips": Look(SKY, "v", "--"),
    "dr": Look(ORANGE, "P", "--"),
    "robust_divide_mix": Look(PURPLE, "X", "-."),
}
REST: dict[Role, tuple[str, Look]] = {
    "other": ("other estimators", Look(LIGHT, "", "-", 0.9)),
    "blind": ("content-blind baselines", Look(GREY, "", ":", 1.1)),
    "given": ("given true nuisances", Look(GREY, "", "--", 0.9)),
}
"""All others: drawn thin, named once."""


def run_of(line: Line) -> Run:
    """Under which protocol an estimator was trained; references that are given the truth belong to honest runs."""
    return "oracle" if isinstance(line.score.contender.method, Stopped) else "honest"


def role_of(line: Line) -> Role:
    """How a line is shown."""
    one = line.score.contender
    if one.name in HEADS:
        return "head"
    if one.name in BASELINES:
        return "blind"
    return "given" if one.protocol == "oracle" and not isinstance(one.method, Stopped) else "other"


def runs(table: dict[str, list[Line]]) -> list[Run]:
    """The protocols under which estimators of a table were trained, honest first."""
    found = {
        run_of(line)
        for rows in table.values()
        for line in rows
        if role_of(line) in ("head", "other") and not line.score.contender.method.reads_gold
    }
    return [run for run in ("honest", "oracle") if run in found] or ["honest"]


def of_run(rows: list[Line], run: Run) -> list[Line]:
    """The lines to show for a protocol: its own, and the references that are the same under both."""
    return [
        line
        for line in rows
        if run_of(line) == run or role_of(line) == "blind" or line.score.contender.method.reads_gold
    ]


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with matplotlib's defaults and ours, whatever the reader's own configuration says.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    _require_matplotlib()
    from matplotlib import style

    ours = {
        "font.size": MEDIUM,
        "axes.titlesize": MEDIUM,
        "axes.labelsize": MEDIUM,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": MEDIUM,
        "figure.titlesize": LARGE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#EBEBEB",
        "grid.linewidth": 0.7,
    }
    with style.context(["default", ours]):
        yield


def _require_matplotlib() -> None:
    require("a picture", "matplotlib")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches, whose parts make room for one another; it is drawn by Agg, without a display."""
    _require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


_LEGEND_INCHES = 3.4  # it stands at the right edge, level with the title


def entitle(figure: Figure, title: str, result: BenchResult, protocols: list[Run], caption: str) -> None:
    """Say above what is shown, of which run; and below how to read it.

    The caption takes the place of the label of all x axes, for which the layout makes room.
    """
    seeds = f"{result.seeds} seed" + "s" * (result.seeds > 1)
    under = ("protocol " if len(protocols) == 1 else "protocols ") + " and ".join(protocols)
    facts = f"suite {result.suite} · data {result.data} · {seeds} · {under}"
    inches = figure.get_figwidth()
    beside = inches - _LEGEND_INCHES
    figure.suptitle(
        "\n".join([*_wrap(title, beside, LARGE), *_wrap(facts, beside, LARGE)]), x=0.01, ha="left"
    )
    figure.supxlabel("\n".join(_wrap(caption, inches, SMALL)), x=0.01, ha="left", fontsize=SMALL, color=DARK)


def _wrap(text: str, inches: float, size: int) -> list[str]:
    # A letter is a little over half as wide as it is high.
    return textwrap.wrap(text, max(20, int(inches * 72 / (size * 0.56))))


def handle(name: str, look: Look, *, filled: bool = True) -> Line2D:
    """An entry of a legend."""
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        label=name,
        color=look.colour,
        marker=look.marker,
        linestyle=look.line,
        linewidth=look.width,
        markersize=look.size,
        markeredgewidth=1.0 if not filled else 0.0,
        markerfacecolor=look.colour if filled else "white",
    )


def legend(figure: Figure, handles: list[Line2D]) -> None:
    """Name lines to the right of all axes."""
    figure.legend(handles=handles, loc="outside right upper", frameon=False, handlelength=3.2)
