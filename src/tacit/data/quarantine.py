"""Rows that could not be used: how many, why, and where the first of them stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_EXAMPLES_PER_REASON = 3


@dataclass(frozen=True)
class BadRow:
    """One quarantined row: the file, its line (JSONL) or data row, from 1, and what is wrong with it."""

    file: str
    row: int
    reason: str


@dataclass(frozen=True)
class Quarantine:
    """Counts per reason, and the first few rows of each.

    Example:
        >>> bad = Quarantine().plus("log.jsonl", "response is empty", [4, 9])
        >>> bad.total
        2
        >>> print(bad.describe())
        2 rows quarantined: response is empty (2; log.jsonl rows 4, 9)
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[BadRow, ...] = ()

    @property
    def total(self) -> int:
        """Number of quarantined rows."""
        return sum(self.counts.values())

    @property
    def commonest(self) -> str:
        """The reason with the most rows, or "" when there is none."""
        return max(self.counts, key=lambda reason: self.counts[reason], default="")

    def plus(self, file: str, reason: str, rows: Iterable[int]) -> Quarantine:
        """The same quarantine with `rows` (1-based) of `file` added under `reason`."""
        added = [int(row) for row in rows]
        if not added:
            return self
        known = sum(example.reason == reason for example in self.examples)
        room = max(_EXAMPLES_PER_REASON - known, 0)
        return Quarantine(
            counts={**self.counts, reason: self.counts.get(reason, 0) + len(added)},
            examples=self.examples + tuple(BadRow(file, row, reason) for row in added[:room]),
        )

    def and_then(self, other: Quarantine) -> Quarantine:
        """This quarantine and that of rows that follow."""
        counts, examples = dict(self.counts), list(self.examples)
        for reason, count in other.counts.items():
            counts[reason] = counts.get(reason, 0) + count
            room = _EXAMPLES_PER_REASON - sum(bad.reason == reason for bad in self.examples)
            examples += [bad for bad in other.examples if bad.reason == reason][: max(room, 0)]
        return Quarantine(counts, tuple(examples))

    def describe(self) -> str:
        """One line: the total, then each reason with its count and its first rows, commonest first."""
        if not self.total:
            return "no row quarantined"
        parts = []
        for reason in sorted(self.counts, key=lambda reason: -self.counts[reason]):
            shown = [example for example in self.examples if example.reason == reason]
            more = ", …" if self.counts[reason] > len(shown) else ""
            files = [
                _listed(file, [bad.row for bad in shown if bad.file == file], more)
                for file in dict.fromkeys(bad.file for bad in shown)
            ]
            parts.append(f"{reason} ({self.counts[reason]}; {', '.join(files)}{more})")
        return f"{self.total} {'row' if self.total == 1 else 'rows'} quarantined: " + "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The quarantine as a JSON object."""
        examples = [{"file": bad.file, "row": bad.row, "reason": bad.reason} for bad in self.examples]
        return {"total": self.total, "counts": dict(self.counts), "examples": examples}


def _listed(file: str, rows: list[int], more: str) -> str:
    return f"{file} {'row' if len(rows) == 1 and not more else 'rows'} {', '.join(map(str, rows))}"
