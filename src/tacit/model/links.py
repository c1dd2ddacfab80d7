"""What a log says of how context links its texts: found once, before a fit, and told in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.data import FeedbackLog
from tacit.features import context_varies
from tacit.features.links import COORDINATES, Links, find_links
from tacit.methods import Method
from tacit.model.inputs import Inputs
from tacit.training.sketch import sketch
from tacit.training.views import Views

_NAMED = 3  # parts, and values of a part, that a sentence names
_VALUES = 16  # different numbers from which a column is named by its middle


def context_tells(method: Method, log: FeedbackLog) -> bool:
    """Whether one signal is explained by liking and acting, without gold, beside context that varies."""
    return (
        method.exchangeable
        and len(log.roles.signals) == 1
        and log.roles.gold is None
        and context_varies(log.context_columns())
    )


def log_links(method: Method, log: FeedbackLog, views: Views, inputs: Inputs) -> Links | None:
    """The parts of the texts that the context of a log does not link; None where it is not context that tells.

    See `context_tells`; nor is it where propensity heads see the text. None also of logs with too few prompts to say.
    """
    if inputs.context_NC is None or views["propensity"].name == "text" or not context_tells(method, log):
        return None
    text_NS = np.stack(
        [one.numpy() for one in sketch(views["reward"], len(log), COORDINATES).values()], axis=1
    )
    return find_links(text_NS, inputs.context_NC, log.prompt_codes(), log.signal_matrix()[1][:, 0])


def links_to_json(links: Links | None) -> dict[str, Any] | None:
    """How many parts, their shares of the rows, and how loosely the loosest two hang together."""
    if links is None:
        return None
    return {
        "components": len(links.shares),
        "shares": links.shares,
        "crossing": links.crossing,
        "left": links.left,
    }


def links_warning(links: Links | None, columns: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """What to hear of parts of the texts that no context links, with an example from the context columns.

    Example:
        >>> links = Links(np.array([0, 0, 0, 1]), 0.0, 0.0)
        >>> links_warning(links, {"device": np.array(["pc", "pc", "tv", "phone"])})[0][:94]
        "2 parts of the texts share hardly any context ('device' pc, tv with 75 % of them; phone with 2"
    """
    if links is None or links.crossing is None:
        return []
    name, values = max(columns.items(), key=lambda item: _told_by(item[1], links.part_N))
    parts = len(links.shares)
    named = "; ".join(
        f"{_values_of(values, links.part_N, part)} with {100 * links.shares[part]:.0f} %{'' if part else ' of them'}"
        for part in range(min(parts, _NAMED))
    )
    return [
        f"{parts} parts of the texts share hardly any context ({name!r} {named}{'; …' if parts > _NAMED else ''}; "
        f"{100 * links.crossing:.1f} % of the rows cross): the order between them is not told, only that within each; "
        "show texts of one part in the context of another, add a signal, or audit rows of every part (--gold)"
    ]


def between_parts(links: Links | None) -> str:
    """What follows a sentence on what the log does not tell."""
    if links is None or links.crossing is None:
        return ""
    shares = ", ".join(f"{100 * share:.0f} %" for share in links.shares)
    return f"; the order between {len(links.shares)} parts of the texts ({shares} of the rows) that no context links"


def _told_by(values_N: npt.NDArray[Any], part_N: npt.NDArray[np.int64]) -> float:
    """The share of rows whose part is the most frequent one at their value of a column (at its tenth, of numbers)."""
    level_N = _levels(values_N)
    counts = np.zeros((level_N.max() + 1, part_N.max() + 1))
    np.add.at(counts, (level_N, part_N), 1)
    return float(counts.max(1).sum() / len(part_N))


def _levels(values_N: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if _is_measure(values_N):
        numbers_N = values_N.astype(np.float64)
        tenths = np.quantile(numbers_N, np.linspace(0.1, 0.9, 9))
        return np.searchsorted(tenths, numbers_N).astype(np.int64)
    return np.unique(values_N.astype(str), return_inverse=True)[1].astype(np.int64)


def _is_measure(values_N: npt.NDArray[Any]) -> bool:
    try:
        return len(np.unique(values_N.astype(np.float64))) > _VALUES
    except (TypeError, ValueError):
        return False


def _values_of(values_N: npt.NDArray[Any], part_N: npt.NDArray[np.int64], part: int) -> str:
    """The values of a column that go with a part more than with others, most frequent first; of numbers the middle."""
    if _is_measure(values_N):
        return f"about {np.median(values_N[part_N == part].astype(np.float64)):.3g}"
    names, level_N = np.unique(values_N.astype(str), return_inverse=True)
    counts = np.zeros((len(names), part_N.max() + 1))
    np.add.at(counts, (level_N, part_N), 1)
    own = np.flatnonzero(counts.argmax(1) == part)
    own = own[np.argsort(-counts[own, part], kind="stable")]
    if not len(own):
        return "others"
    told = [" ".join(name[:40].split()) for name in names[own[:_NAMED]]]
    return ", ".join(told) + (", …" if len(own) > _NAMED else "")
