"""`tacit bench --suite real`: every method on logs as they are, judged by reviewers or by signals held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tacit.cli.bench.asked import PAIR, Asked, Protocol, note_refused, paths, say, title
from tacit.errors import ConfigError

if TYPE_CHECKING:
    from tacit.evaluation.bench import RealResult


def bench_real(asked: Asked) -> None:
    """Cross-validate every method on every log, show what its judges say, and write it down."""
    from tacit.cli import notes
    from tacit.cli.options import note_quarantine, open_store
    from tacit.evaluation.bench import REAL_BUDGET, find_data, run_real, write_run

    store = open_store(asked.cache)
    if asked.protocol is not Protocol.HONEST:
        raise ConfigError("--protocol oracle needs simulated truth; the real suite is honest only")
    if asked.jobs is not None:
        raise ConfigError(
            f"--jobs {asked.jobs} is for simulated worlds; the real suite fits one after the other"
        )
    if asked.seeds is not None:
        raise ConfigError(
            f"--seeds {asked.seeds} is for simulated users; the real suite reads logs as they are, leave it out"
        )
    logs = [(name, find_data(name, roles=asked.roles)) for name in asked.data or PAIR]
    results = [
        run_real(
            log,
            asked.parts,
            data=title(name),
            methods=asked.methods,
            encoder=asked.encoder,
            config=REAL_BUDGET
            if asked.max_epochs is None
            else REAL_BUDGET.model_copy(update={"max_epochs": asked.max_epochs}),
            store=store,
            quiet=asked.quiet,
        )
        for name, log in logs
    ]
    for _, log in logs:
        note_quarantine(log)
    note_refused([(r.data, name, reason) for r in results for name, reason in r.refused], asked.methods)
    notes.release()
    written = write_run(results, asked.folder(logs), command=asked.command())
    _show(results, written, json=asked.json)


def _show(results: list[RealResult], written: dict[str, Path], *, json: bool) -> None:
    from tacit.cli.render import print_json, print_table, with_interval

    if json:
        print_json(
            {
                "suite": "real",
                "logs": {r.data: [row.to_json() for row in r.rows] for r in results},
                "refused": [
                    {"log": r.data, "method": name, "reason": reason}
                    for r in results
                    for name, reason in r.refused
                ],
                "files": paths(written),
            }
        )
        return
    for result in results:
        metrics = list(dict.fromkeys(name for row in result.rows for name in row.metrics))
        shown = [m for m in ("within_prompt_accuracy", "auroc", "brier", "log_likelihood") if m in metrics]
        print_table(
            f"real: {result.data}",
            ("method", "protocol", *(m.replace("_", " ") for m in shown)),
            [
                (
                    row.method,
                    row.protocol,
                    *(with_interval(row.metrics[m]) if m in row.metrics else "–" for m in shown),
                )
                for row in result.rows
            ],
        )
    say(written)
