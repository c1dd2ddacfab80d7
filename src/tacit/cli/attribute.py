"""`tacit attribute`: what was shown and what users then did, joined to a log."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import Json, Quiet

if TYPE_CHECKING:
    from tacit.data.attribution import Attributed


def attribute(
    shown: Annotated[
        str,
        typer.Argument(metavar="SHOWN", help="A row per response that was shown; a file, folder or pattern."),
    ],
    events: Annotated[
        str, typer.Argument(metavar="EVENTS", help="A row per thing that a user did; likewise.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The log to write, .parquet or .jsonl.")],
    signal: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Kind of event that becomes a column; repeat it. Default: all."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="How long after a response events count: 90s, 30m, 24h, 7d. Default: for ever.",
        ),
    ] = None,
    id: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the response's id, in both.")
    ] = "response_id",
    event: Annotated[str, typer.Option(metavar="NAME", help="Column that says what happened.")] = "event",
    at: Annotated[str, typer.Option(metavar="NAME", help="Column that says when.")] = "at",
    shown_at: Annotated[
        str, typer.Option(metavar="NAME", help="Column that says when the response was shown.")
    ] = "shown_at",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Join responses that were shown with the events that followed: one row each, 1 it happened, 0 it did not."""
    import numpy as np

    from tacit.cli import notes
    from tacit.cli.options import refuse_unwritable_file
    from tacit.cli.render import print_json
    from tacit.data.attribution import Names
    from tacit.data.attribution import attribute as join
    from tacit.data.input_rows import InputRows
    from tacit.data.times import span

    for source in (shown, events):
        refuse_unwritable_file(out, source)
    done = join(
        shown,
        events,
        signals=signal,
        window=None if window is None else span(window),
        names=Names(id, event, at, shown_at),
    )
    notes.release()
    every = np.arange(len(done.rows))
    InputRows(done.rows, every, every, len(every)).write(out, {})
    if json:
        print_json(_facts(done, out))
    elif not quiet:
        _print(done, out, windowed=window is not None)


def _facts(done: Attributed, out: Path) -> dict[str, Any]:
    return {
        "out": str(out),
        "rows": len(done.rows),
        "signals": {kind: {**told, "late": done.late[kind]} for kind, told in done.events.items()},
        "responses_left_out": dict(done.rows.quarantine.counts),
        "events_left_out": dict(done.left_out.counts),
    }


def _print(done: Attributed, out: Path, *, windowed: bool) -> None:
    from tacit.cli.render import number, print_table

    rows = len(done.rows)
    caption = [
        f"{what} left out: {quarantine.describe().split(': ', 1)[1]}"
        for what, quarantine in (("Responses", done.rows.quarantine), ("Events", done.left_out))
        if quarantine.total
    ]
    if not windowed:
        caption.append(
            "Without --window an event counts whenever it came, and the youngest responses had the least time for one."
        )
    print_table(
        f"{rows:,} responses → {out}",
        ("event", "events", "responses", "rate", "half within", "95 % within", "too late"),
        [
            (
                kind,
                f"{told['events']:,}",
                f"{told['rows']:,}",
                number(told["rows"] / rows),
                _spelled(told["half_within"]),
                _spelled(told["most_within"]),
                f"{done.late[kind]:,}",
            )
            for kind, told in done.events.items()
        ],
        "\n".join(caption),
    )


def _spelled(seconds: float) -> str:
    """A span of time in the unit that keeps it short.

    Example:
        >>> _spelled(5), _spelled(5400), _spelled(float("nan"))
        ('5 s', '1.5 h', '–')
    """
    if math.isnan(seconds):
        return "–"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
