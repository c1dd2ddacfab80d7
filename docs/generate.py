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
from tacit.methods import available, identifiability_rank
from tacit.methods.method import Setting
from tacit.training.choose import choose_method

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
        "nothing more, if no answer gets both and the text moves thumbs through preference alone; audited rows make "
        "sure of the level",
    ),
    (
        "two positive signals",
        (Signal("copied"), Signal("shared")),
        "nothing more, if nobody clicks by mistake",
    ),
    (
        "one label that was asked for, missing where nobody answered",
        (Signal("solved", kind="explicit"),),
        "noise rates from audited rows (`noise_rates.from_gold`); they are estimated from anchors otherwise",
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
    ("1 positive, 1 negative, shared gate, misclicks", (1, -1), True, True),
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


SETTINGS: dict[Setting, str] = {
    "implicit": "Implicit: clicks, where silence is ambiguous",
    "explicit": "Explicit: labels, given where users cared to",
    "pairwise": "Pairwise: answers to one prompt, compared by their labels",
    "any": "Any log: references that every result is held against",
}
"""Headings of the tables of estimators."""

WORDS: dict[str, str] = {
    "signal": "a signal that fires on some rows and is silent on others",
    "label": "a label 0/1, missing where none was given",
    "context": "context columns",
    "propensity": "a propensity from outside (`nuisances={'e': …}`)",
    "prior": "the share of liked responses (`nuisances={'prior': …}`)",
    "several answers per prompt": "several answers to a prompt",
    "gold": "trusted labels",
}
"""The words of `Method.needs`, spelt out."""


def needs() -> str:
    """What your log has → which estimators can be fitted to it, by what they declare."""
    groups: dict[tuple[Setting, tuple[str, ...]], list[str]] = {}
    for key, method in available().items():
        groups.setdefault((method.setting, method.needs), []).append(f"`{key}`")
    order = list(SETTINGS)
    rows = [
        (", ".join(WORDS[word] for word in words), setting, ", ".join(keys))
        for (setting, words), keys in sorted(groups.items(), key=lambda item: order.index(item[0][0]))
    ]
    return table(("your log has", "setting", "estimators"), rows)


def estimators() -> str:
    """One table per setting, one row per estimator."""
    parts = []
    for setting, heading in SETTINGS.items():
        rows = [
            (
                f"`{key}`",
                " ".join((method.__doc__ or "").strip().split("\n\n")[0].split()),
                ", ".join(method.needs)
                + ("; gold if given" if method.uses_gold and not method.reads_gold else ""),
                f"`{method.level}`",
                f"`{method.claims}`",
                method.assumes,
                method.not_identified,
                method.citation,
            )
            for key, method in available().items()
            if method.setting == setting
        ]
        if rows:
            columns = ("method", "in a sentence", "needs", "level", "claims")
            made = table((*columns, "assumes", "not identified", "source"), rows)
            parts.append(f"### {heading}\n\n{made}\n")
    return "\n".join(parts)


def identification() -> str:
    """One row per combination of signals."""
    rows = []
    for title, polarity, gate, misclicks in RANKS:
        found, across = (
            identifiability_rank(polarity, gate=gate, misclicks=misclicks, responses=n) for n in (1, 2)
        )
        told = ["yes" if one.preference_identified else "no" for one in (found, across)]
        rows.append((title, str(found.parameters), str(found.rank), *told))
    return table(("signals", "unknowns", "rank", "preference identified", "across responses"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "choice": choice,
    "needs": needs,
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
