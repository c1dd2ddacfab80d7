"""HelpSteer and HelpSteer2: raters' helpfulness, correctness, coherence, complexity and verbosity, 0 to 4.

Both sets have the same columns. Gold is 1 where helpfulness is 3 or 4; the five ratings stay as columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from tacit.data.published.graded import Scale, rated
from tacit.data.raw import RawTable
from tacit.data.roles import Roles

_ASPECTS = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_SCALE = Scale("helpfulness", low=0, high=4, cut=2, gold="helpful")


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are HelpSteer's or HelpSteer2's."""
    return {"prompt", "response", *_ASPECTS} <= set(columns)


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """The same rows and columns with gold; a row whose helpfulness is null is quarantined.

    Columns made: rating (helpfulness, 0 to 4), helpful (gold: rating above 2).
    """
    columns = {name: raw.values(name) for name in raw.columns}
    made = rated(raw, columns, range(len(raw)), columns["helpfulness"], _SCALE)
    return made, Roles(gold=_SCALE.gold)
