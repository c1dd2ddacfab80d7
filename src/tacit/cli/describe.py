"""A log's summary as lines of text, 80 columns wide, for `tacit log`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tacit.cli.render import number

if TYPE_CHECKING:
    from tacit.data.summary import ContextSummary, LogSummary, Spread

_WIDTH = 80
_NAME = 24  # longest name shown whole in a table
_PAIRS, _POLICIES, _LEVELS = 10, 12, 5  # rows shown; --json has all of them


def describe(summary: LogSummary, idle: Mapping[str, str], *, hints: bool = True) -> Iterator[str]:
    """The lines that `tacit log` prints.

    Args:
        summary: from `tacit.data.summarise`.
        idle: context columns that carry nothing, and why, from `tacit.features.idle_columns`.
        hints: say what to name next where the log names no signal or no context.
    """
    yield summary.name
    yield from _facts(summary)
    if summary.signals:
        yield ""
        yield from _signals(summary)
    if summary.pairs:
        yield ""
        yield from _pairs(summary)
    if summary.context:
        yield ""
        yield from _table(
            ("context", "kind", "missing", "values"),
            [(c.name, c.kind, number(c.missing), _values(c)) for c in summary.context],
            left=(0, 1, 3),
        )
    if summary.policies:
        yield ""
        yield from _policies(summary)
    if hints:
        yield from _hints(summary, idle)


def _facts(summary: LogSummary) -> Iterator[str]:
    form = "conversations" if summary.chat else "plain text"
    facts = [
        ("rows", f"{summary.rows:,}, one per shown response"),
        ("prompts", f"{summary.prompts:,}, {form}"),
        ("rows per prompt", _spread(summary.rows_per_prompt)),
        ("prompt length", _spread(summary.prompt_characters) + " characters"),
        ("response length", _spread(summary.response_characters) + " characters"),
    ]
    if summary.gold is not None:
        facts.append(
            ("gold labels", f"on {_share(summary.gold.share)} of the rows, mean {number(summary.gold.mean)}")
        )
    if summary.ranked is not None:
        facts.append(("ranks", f"on {_share(summary.ranked)} of the rows"))
    if summary.users is not None:
        most = max(summary.users.busiest.values(), default=0.0)
        facts.append(("users", f"{summary.users.users:,}, the busiest has {_share(most)} of the rows"))
    for reason, count in summary.quarantine.items():
        facts.append(("left out", f"{count:,} {'row' if count == 1 else 'rows'}: {reason}"))
    if summary.copies:
        facts.append(("copies", told_copies(summary.copies)))
    for name, value in facts:
        yield from textwrap.wrap(f"  {name:<17}{value}", _WIDTH, subsequent_indent=" " * 19)


def told_copies(copies: int) -> str:
    """What rows may be that stand in the log twice; none is dropped, because two users may have done the same."""
    rows = "1 row is an exact copy" if copies == 1 else f"{copies:,} rows are exact copies"
    return f"{rows} of another (every column alike): drop them if your pipeline logged an event twice"


def _signals(summary: LogSummary) -> Iterator[str]:
    yield from _table(
        ("signal", "polarity", "fired", "1", "0", "null"),
        [
            (
                s.name,
                "positive" if s.polarity > 0 else "negative",
                number(s.rate),
                number(s.ones / summary.rows),
                number(1 - s.missing - s.ones / summary.rows),
                number(s.missing),
            )
            for s in summary.signals
        ],
        left=(0, 1),
    )
    yield "  fired: share of 1 where it could be recorded; 1, 0, null: shares of all rows"


def _pairs(summary: LogSummary) -> Iterator[str]:
    shown = sorted(summary.pairs, key=lambda pair: -abs(pair.phi or 0))[:_PAIRS]
    yield from _table(
        ("two signals", "rows with both", "both fired", "correlation"),
        [(f"{_cut(p.first)}, {_cut(p.second)}", f"{p.rows:,}", number(p.both), number(p.phi)) for p in shown],
        more=len(summary.pairs) - len(shown),
    )


def _policies(summary: LogSummary) -> Iterator[str]:
    names = [signal.name for signal in summary.signals][:4]
    yield from _table(
        ("policy", "rows", *(f"{_cut(name, 10)} fired" for name in names)),
        [
            (p.policy, f"{p.rows:,}", *(number(p.rates[name]) for name in names))
            for p in summary.policies[:_POLICIES]
        ],
        more=len(summary.policies) - _POLICIES,
    )


def _hints(summary: LogSummary, idle: Mapping[str, str]) -> Iterator[str]:
    for name, why in idle.items():
        yield ""
        yield from textwrap.wrap(f"Context column {_cut(name)!r} {why}: it carries nothing.", _WIDTH)
    if not summary.signals:
        yield "\nNo signal is named: use --signal COLUMN (or --signal COLUMN:negative)."
    elif len(summary.context) == len(idle) and [s.kind for s in summary.signals] == ["implicit"]:
        yield "\nOne signal and no context: name columns that move clicks but not preference"
        yield "(--context position), or more signals; else style and preference stay mixed."


def _values(column: ContextSummary) -> str:
    if column.spread is not None:
        return f"{_spread(column.spread)}; {column.distinct:,} different"
    levels = list((column.levels or {}).items())
    text = ", ".join(f"{_cut(name, 14)} {_share(share)}" for name, share in levels[:_LEVELS])
    return text + (f", {column.distinct - _LEVELS:,} more" if column.distinct > _LEVELS else "")


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,), more: int = 0
) -> Iterator[str]:
    """Aligned columns; text wraps in the last one if that is among `left`."""
    cells = [[_cut(row[0], 2 * _NAME), *row[1:]] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(columns, *cells, strict=True)]
    last = len(columns) - 1
    for row in (list(columns), *cells):
        parts = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        start = "  " + "  ".join(parts[:last]) + "  "
        if last not in left:
            yield start + parts[last]
            continue
        wrapped = textwrap.wrap(row[last], max(20, _WIDTH - len(start))) or [""]
        yield (start + wrapped[0]).rstrip()
        for line in wrapped[1:]:
            yield " " * len(start) + line
    if more > 0:
        yield f"  … and {more} more (--json)"


def _spread(spread: Spread) -> str:
    if spread.min == spread.max:
        return f"{spread.min:,.4g}"
    return f"{_plain(spread.min)} to {_plain(spread.max)}, median {_plain(spread.median)}"


def _plain(value: float) -> str:
    if abs(value) >= 1e15:  # three hundred digits tell nobody anything
        return f"{value:.3g}"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"


def _share(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else "under 1 %"


def _cut(name: str, width: int = _NAME) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"
