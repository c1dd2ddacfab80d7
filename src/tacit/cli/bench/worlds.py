"""`tacit bench` on simulated users: worlds whose truth is known, and the papers' simulations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit.cli.bench.asked import SEEDS, Asked, Protocol, note_refused, paths, say, title
from tacit.errors import ConfigError

if TYPE_CHECKING:
    from tacit.evaluation.bench import BenchResult, Line


def bench_worlds(asked: Asked) -> None:
    """Fit every method in every case of a suite, show how well each found the truth, and write it down."""
    from tacit.cli import notes
    from tacit.cli.options import note_quarantine, open_store
    from tacit.evaluation.bench import BUDGET, find_data, lines, run_bench, write_run

    store = open_store(asked.cache)
    names = asked.data or ["demo"]
    if len(names) > 1:
        raise ConfigError(
            f"--data is given {len(names)} times; suite {asked.suite.value} takes one base of texts"
        )
    honest, oracle = asked.protocol is not Protocol.ORACLE, asked.protocol is not Protocol.HONEST
    base = find_data(names[0], asked.limit, roles=asked.roles)
    result = run_bench(
        asked.suite.value,
        base,
        asked.parts,
        data=title(names[0]),
        methods=asked.methods,
        seeds=asked.seeds or SEEDS,
        protocols=(*(("honest",) if honest else ()), *(("oracle",) if oracle else ())),
        encoder=asked.encoder,
        config=BUDGET
        if asked.max_epochs is None
        else BUDGET.model_copy(update={"max_epochs": asked.max_epochs}),
        store=store,
        jobs=asked.jobs,
        quiet=asked.quiet,
    )
    note_quarantine(base)
    note_refused(result.refused, asked.methods)
    notes.release()
    table = lines(result)
    written = write_run(result, asked.folder([(names[0], base)]), command=asked.command(), table=table)
    _show(result, table, written, json=asked.json)


def _show(result: BenchResult, table: dict[str, list[Line]], written: dict[str, Path], *, json: bool) -> None:
    from tacit.cli.render import number, print_json, print_table, with_interval

    if json:
        refused = [dict(zip(("case", "method", "reason"), one, strict=True)) for one in result.refused]
        print_json(
            {
                "suite": result.suite,
                "data": result.data,
                "cases": _json(table),
                "refused": refused,
                "files": paths(written),
            }
        )
        return
    for case, rows in table.items():
        print_table(
            f"{result.suite}: {case}",
            ("method", "protocol", "within-prompt accuracy", "recovered", "AUROC", "Brier"),
            [
                (
                    line.score.contender.name,
                    line.score.contender.protocol,
                    with_interval(line.intervals["within_prompt_accuracy"]),
                    number(line.recovered, 2),
                    number(line.mean("auroc")),
                    number(line.mean("brier")),
                )
                for line in rows
            ],
        )
    say(written)


def _json(table: dict[str, list[Line]]) -> dict[str, Any]:
    return {
        case: [
            {
                "method": line.score.contender.name,
                "protocol": line.score.contender.protocol,
                "level": line.score.contender.method.level,
                "recovered": line.recovered,
                "seconds": line.score.seconds,
                **{
                    metric: {"value": i.value, "low": i.low, "high": i.high}
                    for metric, i in line.intervals.items()
                },
                "by_seed": line.by_seed,
            }
            for line in rows
        ]
        for case, rows in table.items()
    }
