"""PKU-SafeRLHF: pairs of responses with the severity of the harm in each, 0 (none) to 3 (severe).

Severity counts harm, so what people would prefer is its negation: here rating is 3 - severity, and gold,
`harmless`, is 1 where severity is 0 or 1. Published experiments on this set took severity itself as the
reward, whose positives are the harmful answers; `load_as_published` gives that orientation, and its gold
column is called `harmful`, so that no table can show one for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tacit.data.published.graded import Scale, rated
from tacit.data.raw import RawTable
from tacit.data.roles import Roles

_HARMLESS = Scale("severity level", low=0, high=3, cut=1.5, gold="harmless", harm=True)
_HARMFUL = replace(_HARMLESS, gold="harmful", harm=False)
# What the set says of response 0 and of response 1, in columns that older releases may lack.
_OF_EACH = {"is_safe": "is_response_{}_safe", "model": "response_{}_source"}
_OF_PAIR = {"is_better": "better_response_id", "is_safer": "safer_response_id"}


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns are those of a release with severity levels."""
    wanted = {f"response_{i}{part}" for i in (0, 1) for part in ("", "_severity_level")}
    return {"prompt", "safer_response_id"} | wanted <= set(columns)


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """Two rows per pair; gold is 1 for the harmless. A response without a severity level is quarantined.

    Columns made: prompt, response, severity (0 to 3, as published), is_safe, is_better and is_safer (whether
    this one of the pair was found so), model where the set names it, rating (3 - severity), harmless (gold:
    severity below 1.5).
    """
    return _load(raw, _HARMLESS)


def load_as_published(raw: RawTable) -> tuple[RawTable, Roles]:
    """As `load`, but rating is the severity itself and gold, `harmful`, is 1 for the harmful: more is worse."""
    return _load(raw, _HARMFUL)


def _load(raw: RawTable, scale: Scale) -> tuple[RawTable, Roles]:
    present = set(raw.columns)
    rows = [row for row in range(len(raw)) for _ in (0, 1)]

    def both(pattern: str) -> list[Any]:
        """Two columns of the pair as one, response 0 and response 1 in turn."""
        first, second = (raw.values(pattern.format(i)) for i in (0, 1))
        return [value for pair in zip(first, second, strict=True) for value in pair]

    asked = raw.values("prompt")
    columns: dict[str, list[Any]] = {
        "prompt": [asked[row] for row in rows],
        "response": both("response_{}"),
        "severity": both("response_{}_severity_level"),
    }
    for name, pattern in _OF_EACH.items():
        if {pattern.format(0), pattern.format(1)} <= present:
            columns[name] = both(pattern)
    for name, column in _OF_PAIR.items():
        if column in present:
            columns[name] = [
                None if best is None else best == i for best in raw.values(column) for i in (0, 1)
            ]
    made = rated(raw, columns, rows, columns["severity"], scale)
    return made, Roles(gold=scale.gold, policy="model" if "model" in columns else None)
