"""`tacit demo`: build a world with known truth, fit, and compare."""

from __future__ import annotations

from typing import Annotated

import typer

from tacit.cli.options import Cache, Encoder, Jobs, Json, Quiet

_COLUMNS = ("method", "within-prompt accuracy", "AUROC", "Brier", "ECE", "liked (estimate)")


def demo(
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with its own luck.")] = 5,
    questions: Annotated[
        int | None, typer.Option(min=20, help="At most this many questions, for a quick look.")
    ] = None,
    jobs: Jobs = None,
    encoder: Encoder = "minilm",
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate users of Python's own documentation, fit every method to their copies, compare with the truth."""
    from tacit.cli import notes
    from tacit.cli.options import open_store
    from tacit.cli.render import number, print_json, print_table
    from tacit.evaluation.demo import METRICS, run_demo

    notes.release()
    result = run_demo(
        seeds, encoder=encoder, limit=questions, store=open_store(cache), jobs=jobs, quiet=quiet or json
    )
    if json:
        print_json(result.to_json())
        return
    rows = [
        (
            row.method,
            *(number(row.mean(m)) + (f" ± {number(row.spread(m))}" if seeds > 1 else "") for m in METRICS),
        )
        for row in result.rows
    ]
    print_table(
        f"{result.responses:,} answers to {result.prompts:,} questions, copied by simulated users; "
        + (f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"),
        _COLUMNS,
        rows,
        f"Truth: {number(result.true_base_rate)} of the answers are liked. Only oracle saw who liked what; a ranking "
        "by chance has .500.\n",
    )
    for sentence in result.sentences():
        print_wrapped(sentence)


def print_wrapped(text: str) -> None:
    """Print a paragraph wrapped to the terminal."""
    from rich.console import Console

    console = Console()
    console.print(text, highlight=False, markup=False, width=min(100, console.width))
