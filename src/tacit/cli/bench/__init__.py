"""`tacit bench`: every estimator on worlds whose truth is known, or on real logs, as one table.

The options and the checks that all suites share stand here; what a suite does, in `worlds` and `real`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tacit.cli.bench.asked import Asked, Protocol, Suite, option
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
    from tacit.cli.bench.real import bench_real
    from tacit.cli.bench.worlds import bench_worlds
    from tacit.cli.options import refuse_repeated
    from tacit.cli.own_method import load_method

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
    asked = Asked(
        suite=suite,
        data=data,
        roles=roles,
        keys=keys,
        methods=[load_method(key) if ":" in key else key for key in keys],
        seeds=seeds,
        protocol=protocol,
        out=out,
        limit=limit,
        max_epochs=max_epochs,
        jobs=jobs,
        encoder=encoder,
        cache=cache,
        json=json,
        quiet=quiet,
    )
    (bench_real if suite is Suite.REAL else bench_worlds)(asked)


def _refuse_roles(roles: Mapping[str, Any], suite: Suite, data: list[str] | None) -> None:
    """Roles belong to a log that is named, and a simulated suite draws its own signals, context and users."""
    if roles and (not data or "demo" in data):
        raise ConfigError(
            f"{option(next(iter(roles)))} names a column of a log of your own; say which log with --data PATH"
        )
    drawn = [role for role in ("signals", "context", "user_id", "session_id") if role in roles]
    if drawn and suite is not Suite.REAL:
        raise ConfigError(
            f"{option(drawn[0])} is for --suite real; suite {suite.value} draws users of its own on texts with gold "
            "(--gold), leave it out"
        )
