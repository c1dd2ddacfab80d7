"""`tacit bench`: every estimator on worlds whose truth is known, or on real logs, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import (
    Cache,
    Context,
    Encoder,
    Jobs,
    Json,
    Prompt,
    PromptId,
    Quiet,
    Response,
    SessionId,
    Signals,
    UserId,
)
from tacit.errors import ConfigError
from tacit.files import sha256_json

if TYPE_CHECKING:
    from tacit.data import FeedbackLog
    from tacit.evaluation.bench import BenchResult, Line, RealResult
    from tacit.methods import Method


class Suite(StrEnum):
    """What is run."""

    IMPLICIT = "implicit"
    CAUSAL = "causal"
    WORLDS = "worlds"
    REAL = "real"


class Protocol(StrEnum):
    """What a fit may read."""

    HONEST = "honest"
    ORACLE = "oracle"
    BOTH = "both"


def bench(
    suite: Annotated[
        Suite,
        typer.Option(
            help="implicit and causal: the papers' simulations over alpha; worlds: context, style, both, several "
            "signals, misclicks; real: logs judged by reviewers or held-out signals."
        ),
    ] = Suite.WORLDS,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="demo, truthfulqa, oasst1, realhumaneval, a path or a hub id; repeatable for real. Published names "
            "are looked for in $TACIT_DATA and in ./data.",
            metavar="NAME",
        ),
    ] = None,
    gold: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Column of trusted labels: worlds draw users from it, real is judged by it."
        ),
    ] = None,
    signal: Signals = None,
    context: Context = None,
    prompt: Prompt = None,
    response: Response = None,
    prompt_id: PromptId = None,
    user_id: UserId = None,
    session_id: SessionId = None,
    methods: Annotated[
        str,
        typer.Option(
            help="Names of tacit methods, or import paths of your own (module:Class), comma-separated; all of tacit's "
            "by default.",
            metavar="NAMES",
        ),
    ] = "",
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Repetitions of simulated users, fitted in one pass; 5 by default."),
    ] = None,
    protocol: Annotated[
        Protocol,
        typer.Option(help="oracle: clean labels stop and calibrate every fit, as in published tables."),
    ] = Protocol.HONEST,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder of results; a run given again computes only what is missing.", metavar="DIR"
        ),
    ] = Path("bench"),
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many prompts of the demo's texts.")
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(min=1, help="Smaller budget for a quick look; default as in the docs.")
    ] = None,
    jobs: Jobs = None,
    encoder: Encoder = "minilm",
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare estimators: one table with intervals, one tidy Parquet file, pictures."""
    from tacit.cli import notes
    from tacit.cli.options import note_quarantine, open_store, refuse_repeated
    from tacit.cli.own_method import load_method
    from tacit.evaluation.bench import BUDGET, REAL_BUDGET, find_data, lines, run_bench, run_real, write_run

    keys = [name.strip() for name in methods.split(",") if name.strip()]
    if limit is not None and (suite is Suite.REAL or (data or ["demo"]) != ["demo"]):
        raise ConfigError(
            f"--limit {limit} is for the demo's texts alone; leave it out, or leave --data at demo"
        )
    roles = {
        role: value
        for role, value in {
            "gold": gold,
            "signals": signal,
            "context": context,
            "prompt": prompt,
            "response": response,
            "prompt_id": prompt_id,
            "user_id": user_id,
            "session_id": session_id,
        }.items()
        if value
    }
    _refuse_roles(roles, suite, data)
    refuse_repeated(signal or [], context or [])
    chosen = [load_method(key) if ":" in key else key for key in keys]
    store, repeated = open_store(cache), seeds or _SEEDS
    if suite is Suite.REAL:
        if protocol is not Protocol.HONEST:
            raise ConfigError("--protocol oracle needs simulated truth; the real suite is honest only")
        if jobs is not None:
            raise ConfigError(
                f"--jobs {jobs} is for simulated worlds; the real suite fits one after the other"
            )
        if seeds is not None:
            raise ConfigError(
                f"--seeds {seeds} is for simulated users; the real suite reads logs as they are, leave it out"
            )
        config = (
            REAL_BUDGET if max_epochs is None else REAL_BUDGET.model_copy(update={"max_epochs": max_epochs})
        )
        logs = [(name, find_data(name, roles=roles)) for name in data or _PAIR]
        real = [
            run_real(
                log,
                out / "parts",
                data=_title(name),
                methods=chosen,
                encoder=encoder,
                config=config,
                store=store,
                quiet=quiet,
            )
            for name, log in logs
        ]
        for _, log in logs:
            note_quarantine(log)
        _note_refused([(r.data, name, reason) for r in real for name, reason in r.refused], chosen)
        notes.release()
        written = write_run(
            real,
            out / _folder(suite, logs),
            command=_command(suite, data, roles, keys, repeated, protocol, encoder, limit, max_epochs),
        )
        _show_real(real, written, json=json)
        return
    names = data or ["demo"]
    if len(names) > 1:
        raise ConfigError(f"--data is given {len(names)} times; suite {suite.value} takes one base of texts")
    honest, oracle = protocol is not Protocol.ORACLE, protocol is not Protocol.HONEST
    base = find_data(names[0], limit, roles=roles)
    result = run_bench(
        suite.value,
        base,
        out / "parts",
        data=_title(names[0]),
        methods=chosen,
        seeds=repeated,
        protocols=(*(("honest",) if honest else ()), *(("oracle",) if oracle else ())),
        encoder=encoder,
        config=BUDGET if max_epochs is None else BUDGET.model_copy(update={"max_epochs": max_epochs}),
        store=store,
        jobs=jobs,
        quiet=quiet,
    )
    note_quarantine(base)
    _note_refused(result.refused, chosen)
    notes.release()
    command = _command(suite, data, roles, keys, repeated, protocol, encoder, limit, max_epochs)
    table = lines(result)
    written = write_run(result, out / _folder(suite, [(names[0], base)]), command=command, table=table)
    _show(result, table, written, json=json)


def _note_refused(refused: Sequence[tuple[str, str, str]], asked: Sequence[str | Method]) -> None:
    """Say of those who were asked for by name where they could not take part, and why; the table says it of all."""
    from tacit.cli import notes
    from tacit.evaluation.bench.entrants import row_name

    names = {one if isinstance(one, str) else row_name(one) for one in asked}
    where: dict[tuple[str, str], list[str]] = {}
    for case, name, reason in refused:
        if name in names:
            where.setdefault((name, reason), []).append(case)
    for (name, reason), cases in where.items():
        notes.say(f"{name} took no part in {', '.join(dict.fromkeys(cases))}: {reason}")


def _refuse_roles(roles: Mapping[str, Any], suite: Suite, data: list[str] | None) -> None:
    """Roles belong to a log that is named, and a simulated suite draws its own signals, context and users."""
    if roles and (not data or "demo" in data):
        raise ConfigError(
            f"{_option(next(iter(roles)))} names a column of a log of your own; say which log with --data PATH"
        )
    drawn = [role for role in ("signals", "context", "user_id", "session_id") if role in roles]
    if drawn and suite is not Suite.REAL:
        raise ConfigError(
            f"{_option(drawn[0])} is for --suite real; suite {suite.value} draws users of its own on texts with gold "
            "(--gold), leave it out"
        )


def _option(role: str) -> str:
    return "--signal" if role == "signals" else f"--{role.replace('_', '-')}"


def _title(name: str) -> str:
    """What tables call a data set: its name, or the last part of its path."""
    return Path(name).name


_SEEDS = 5
_PAIR = ("oasst1", "realhumaneval")
"""What the real suite reads where no data is named."""
_LONGEST = 60
"""Characters of the names of logs in the name of a folder; file systems take 255 bytes."""


def _folder(suite: Suite, logs: Sequence[tuple[str, FeedbackLog]]) -> str:
    """Suite and data; a log of one's own also by where it lies and what it holds, for two files may be called alike."""
    from tacit.evaluation.bench.data import is_named

    names = [name for name, _ in logs]
    if suite is Suite.REAL and names == list(_PAIR):
        return suite.value
    folder = f"{suite.value}-{'-'.join(Path(name).stem for name in names)[:_LONGEST]}"
    own = [[str(Path(name).resolve()), log.fingerprint()] for name, log in logs if not is_named(name)]
    return f"{folder}-{sha256_json(own)[:6]}" if own else folder


def _command(
    suite: Suite,
    data: list[str] | None,
    roles: Mapping[str, Any],
    keys: list[str],
    seeds: int,
    protocol: Protocol,
    encoder: str,
    limit: int | None,
    max_epochs: int | None,
) -> str:
    parts = ["tacit bench", f"--suite {suite.value}"]
    parts += [f"--data {quote(Path(name).name)}" for name in data or ()]
    for role, value in roles.items():
        columns = [value] if isinstance(value, str) else value
        parts += [f"{_option(role)} {quote(column)}" for column in columns]
    parts += [f"--methods {','.join(keys)}"] if keys else []
    parts += [] if suite is Suite.REAL else [f"--seeds {seeds}"]
    parts += [] if protocol is Protocol.HONEST else [f"--protocol {protocol.value}"]
    parts += [] if encoder == "minilm" else [f"--encoder {encoder}"]
    parts += [] if limit is None else [f"--limit {limit}"]
    parts += [] if max_epochs is None else [f"--max-epochs {max_epochs}"]
    return " ".join(parts)


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
                "files": _paths(written),
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
    _say(written)


def _show_real(results: list[RealResult], written: dict[str, Path], *, json: bool) -> None:
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
                "files": _paths(written),
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
    _say(written)


def _say(written: dict[str, Path]) -> None:
    for what, path in written.items():
        print(f"{what}: {path}")


def _paths(written: dict[str, Path]) -> dict[str, str]:
    return {what: str(path) for what, path in written.items()}


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
