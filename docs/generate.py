"""Write the tables of docs/methods.md from the estimators themselves: `python docs/generate.py` (or --check).

A test runs the check, so that the page cannot fall behind the code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tacit import FeedbackLog, Signal
from tacit.data import Roles
from tacit.fitting import choose_method
from tacit.methods import available, identifiability_rank

PAGE = Path(__file__).parent / "methods.md"

LOGS: tuple[tuple[str, tuple[Signal, ...], str], ...] = (
    ("one positive signal (copies, clicks)", (Signal("copied"),), "name context, or audit some rows"),
    (
        "one positive signal with a known misclick rate",
        (Signal("copied", misclick=0.02),),
        "name context, or audit some rows",
    ),
    ("one negative signal (regenerations)", (Signal("regenerated", -1),), "name context, or audit some rows"),
    (
        "thumbs: one positive, one negative",
        (Signal("up"), Signal("down", -1)),
        "the level stays open up to a constant: audit some rows if you need it",
    ),
    (
        "two positive signals",
        (Signal("copied"), Signal("shared")),
        "nothing more, if nobody clicks by mistake",
    ),
    (
        "three signals or more",
        (Signal("copied"), Signal("shared"), Signal("down", -1)),
        "nothing more: misclick rates are learned too",
    ),
)
"""What a log has, its signals, and what would help."""

RANKS: tuple[tuple[str, tuple[int, ...], bool, bool], ...] = (
    ("1 positive", (1,), False, False),
    ("1 positive, misclicks", (1,), False, True),
    ("1 positive, 1 negative", (1, -1), False, False),
    ("1 positive, 1 negative, shared gate", (1, -1), True, False),
    ("2 positive", (1, 1), False, False),
    ("2 positive, misclicks", (1, 1), False, True),
    ("2 positive, shared gate", (1, 1), True, False),
    ("3 positive, misclicks", (1, 1, 1), False, True),
    ("2 positive, 1 negative, misclicks", (1, 1, -1), False, True),
    ("2 positive, 1 negative, shared gate", (1, 1, -1), True, False),
    ("2 positive, 2 negative, shared gate", (1, 1, -1, -1), True, False),
    ("4 positive, misclicks", (1, 1, 1, 1), False, True),
)
"""Signals, gate and misclicks of the identification table."""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def choice() -> str:
    """What your log has → what `auto` takes."""
    rows = []
    for title, signals, help_ in LOGS:
        columns: dict[str, list[Any]] = {"prompt": ["a", "b"], "response": ["c", "d"]}
        columns |= {signal.name: [0, 1] for signal in signals}
        log = FeedbackLog.from_columns(columns, Roles(signals=signals))
        rows.append((title, f"`{choose_method(log).key}`", help_))
    return table(("your log has", "`auto` takes", "what would help"), rows)


def estimators() -> str:
    """One row per estimator."""
    rows = [
        (
            f"`{key}`",
            " ".join((method.__doc__ or "").strip().split("\n\n")[0].split()),
            method.assumes,
            method.not_identified,
            method.citation,
        )
        for key, method in available().items()
    ]
    return table(("method", "in a sentence", "assumes", "not identified", "source"), rows)


def identification() -> str:
    """One row per combination of signals."""
    rows = []
    for title, polarity, gate, misclicks in RANKS:
        found = identifiability_rank(polarity, gate=gate, misclicks=misclicks)
        rows.append(
            (title, str(found.parameters), str(found.rank), "yes" if found.preference_identified else "no")
        )
    return table(("signals", "unknowns", "rank", "preference identified"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "choice": choice,
    "estimators": estimators,
    "identification": identification,
}


def filled(text: str) -> str:
    """The page with every table between its two markers replaced."""
    for name, make in TABLES.items():
        pattern = rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(pattern, rf"\g<1>{make()}\n\g<2>", text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{PAGE.name}: expected one marker '<!-- generated: {name} -->', found {count}")
    return text


def main() -> None:
    """Write the page, or with --check say whether it is current."""
    old = PAGE.read_text(encoding="utf-8")
    new = filled(old)
    if "--check" in sys.argv:
        sys.exit(0 if new == old else f"{PAGE.name} is out of date: run python docs/generate.py")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
