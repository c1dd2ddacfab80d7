"""The report as one HTML file that asks nothing of a network: text, tables and pictures, no script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from tacit.evaluation.trust.findings import TrustReport, audited_words
from tacit.evaluation.trust.pictures import Picture, bias_picture, predictive_picture, scores_picture
from tacit.evaluation.trust.statement import facts
from tacit.evaluation.trust.surface import differences
from tacit.evaluation.trust.words import between, count, rate
from tacit.extras import lacking, missing
from tacit.files import write_bytes

_TEMPLATE = "page.html.jinja"
_COLUMNS = 12  # context columns that get a picture: a page is read, and sent by mail


@dataclass(frozen=True)
class Pictures:
    """Those of a page, as far as there are any.

    Attributes:
        biases: by column.
        predictive, scores: or None.
    """

    biases: dict[str, Picture] = field(default_factory=dict)
    predictive: Picture | None = None
    scores: Picture | None = None


def lacks_pictures() -> str | None:
    """What is missing for pictures, and how to mend it; None where nothing is."""
    absent = missing(["matplotlib"])
    return lacking("a report with pictures", absent) if absent else None


def write_page(found: TrustReport, out: Path) -> None:
    """Write the page, whole or not at all; a file of that name is replaced. The same report gives the same bytes.

    Without matplotlib there are no pictures, and the page says so; see `lacks_pictures`.

    Args:
        found: of `trust_report`.
        out: the file.
    """
    write_bytes(out, page(found).encode("utf-8"))


def page(found: TrustReport) -> str:
    """The HTML of a report."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "rate": rate,
        "signed": _signed,
        "interval": _interval,
        "rows": _rows,
        "prose": _prose,
    }
    source = files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8")
    absent = lacks_pictures()
    return environment.from_string(source).render(
        found=found,
        facts=facts(found.statement),
        pictures=Pictures() if absent else _pictures(found),
        absent=absent,
        audited=audited_words(found.audit),
        gains={}
        if found.surface is None or found.surface.judged is None
        else differences(found.surface.judged),
        verdict_class=_VERDICTS,
        between=between,
    )


def _pictures(found: TrustReport) -> Pictures:
    shown = (
        found.biases if len(found.biases) <= _COLUMNS else (*found.biases[: _COLUMNS - 1], found.biases[-1])
    )
    told = found.predictive
    return Pictures(
        {bias.column: bias_picture(bias) for bias in shown if len(bias.bins) > 1},
        None if told is None else predictive_picture(told, list(dict.fromkeys(c.signal for c in told.cells))),
        None if found.scores is None else scores_picture(found.scores),
    )


_VERDICTS = {
    "holds": "holds",
    "doubtful": "doubtful",
    "cannot be checked from this log": "open",
    "not checked": "open",
}


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else ''}{rate(value)}"


def _interval(value: Any) -> str:
    """.61 (.55 to .67), or the value alone where there is no interval."""
    text = rate(value.value)
    return text if rate(value.low) == "–" else f"{text} ({between(value.low, value.high)})"


def _prose(text: str) -> Markup:
    """Our own sentences, in which `backticks` mark what is typed."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _rows(number: int) -> str:
    return count(number, "row")


__all__: Sequence[str] = ["lacks_pictures", "page", "write_page"]
