"""`tacit log`: describe a feedback log before anything is fitted."""

from __future__ import annotations

from typing import Annotated

import typer

from tacit.cli.options import (
    Context,
    Json,
    LogPath,
    MaxBad,
    Policy,
    Prompt,
    PromptId,
    Quiet,
    Response,
    SessionId,
    Signals,
    Source,
    UserId,
)


def log(
    path: LogPath,
    signal: Signals = None,
    context: Context = None,
    gold: Annotated[str | None, typer.Option(metavar="NAME", help="Column of trusted labels.")] = None,
    prompt: Prompt = None,
    response: Response = None,
    prompt_id: PromptId = None,
    user_id: UserId = None,
    session_id: SessionId = None,
    policy: Policy = None,
    source: Source = "auto",
    max_bad: MaxBad = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Describe a feedback log: roles, rates, missing values, and what could not be read."""
    from tacit.cli import notes
    from tacit.cli.describe import describe
    from tacit.cli.options import read_log
    from tacit.cli.render import print_json, printable
    from tacit.data import summarise
    from tacit.features import idle_columns

    feedback = read_log(
        path,
        signals=signal,
        context=context,
        gold=gold,
        prompt=prompt,
        response=response,
        prompt_id=prompt_id,
        user_id=user_id,
        session_id=session_id,
        policy=policy,
        source=source,
        max_bad=max_bad,
    )
    notes.release()
    summary = summarise(feedback)
    if json:
        print_json(summary.to_json())
        return
    idle = {} if quiet else idle_columns(feedback.context_columns())
    for line in describe(summary, idle, hints=not quiet):
        print(printable(line))
