"""`tacit evaluate`: how good a model is on a log, with intervals and content-blind baselines."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.options import (
    Cache,
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

if TYPE_CHECKING:
    from tacit.data import Roles
    from tacit.evaluation.report import Evaluation
    from tacit.model import FittedScorer


def evaluate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A folder written by tacit fit or tacit finetune.")
    ],
    path: LogPath,
    gold: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of trusted labels to judge by.")
    ] = None,
    rank: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of ranks within a prompt, 0 is best.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Refit by cross-validation; default 5 on the training log, else 0: score as it is. Not of a "
            "fine-tuned model.",
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="Refit this many times, with other folds each time; metrics are means.")
    ] = 1,
    against: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Another model, last week's say: both are scored as they are."),
    ] = None,
    fail_if_worse: Annotated[
        bool,
        typer.Option(
            "--fail-if-worse", help="Status 1 where the model is surely worse than --against by some metric."
        ),
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column that folds keep together; default session, user, prompt."),
    ] = None,
    signal: Signals = None,
    context: Context = None,
    prompt: Prompt = None,
    response: Response = None,
    prompt_id: PromptId = None,
    user_id: UserId = None,
    session_id: SessionId = None,
    policy: Policy = None,
    source: Source = "auto",
    max_bad: MaxBad = None,
    threshold: Annotated[float, typer.Option(help="Gold above it counts as liked for AUROC.")] = 0.5,
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a model by trusted labels, ranks, or the likelihood of held-out signals."""
    from tacit.cli import notes
    from tacit.cli.options import open_store, read_log
    from tacit.cli.render import print_json
    from tacit.errors import ConfigError
    from tacit.evaluation.report import evaluate_model
    from tacit.model import RewardModel, load_model

    if fail_if_worse and against is None:
        raise ConfigError("--fail-if-worse compares with another model, expected --against MODEL")
    names = _names(model, against)
    rm = load_model(model)
    other = None if against is None else load_model(against)
    log = read_log(
        path,
        signals=signal,
        context=context,
        gold=gold,
        rank=rank,
        prompt=prompt,
        response=response,
        prompt_id=prompt_id,
        user_id=user_id,
        session_id=session_id,
        policy=policy,
        source=source,
        max_bad=max_bad,
        like=_roles_of(rm, other),
        partly=not (folds and isinstance(rm, RewardModel)),  # refits need all that the fit read
    )
    notes.release()
    result = evaluate_model(
        rm,
        log,
        folds=folds,
        repeats=repeats,
        by=by,
        threshold=threshold,
        against=other,
        names=names,
        store=open_store(cache),
        quiet=quiet or json,
    )
    if fail_if_worse and not result.comparable():
        raise ConfigError(
            f"{path}: no metric of both models has an interval, so --fail-if-worse could say nothing; expected judged "
            "answers to several prompts"
        )
    if json:
        print_json(result.to_json())
    else:
        _print(result)
    if fail_if_worse and result.worse():
        print(_verdict(result), file=sys.stderr)
        raise typer.Exit(1)


def _print(result: Evaluation) -> None:
    from tacit.cli.render import number, print_table, with_interval

    shown = [name for name in _TITLES if any(name in row.metrics for row in result.rows)]
    print_table(
        result.title,
        ("method", "protocol", *(_TITLES[name] for name in shown)),
        [
            (row.method, row.protocol, *(with_interval(row.metrics.get(name)) for name in shown))
            for row in result.rows
        ],
        result.caption,
    )
    differences = result.differences()
    compared = [name for name in shown if any(name in intervals for intervals in differences.values())]
    if compared:
        print_table(
            f"{result.main} minus the other, on the same bootstrap draws",
            ("other", *(_TITLES[name] for name in compared)),
            [
                (other, *(with_interval(intervals.get(name)) for name in compared))
                for other, intervals in differences.items()
            ],
        )
    if result.policies:
        signals = list(result.policies[0].rates)
        print_table(
            "by policy: what users did, and what they are estimated to like"
            + (f" by {result.main}" if result.against else ""),
            ("policy", "responses", *(f"{name} rate" for name in signals), "mean reward", "mean P(liked)"),
            [
                (
                    p.policy,
                    str(p.responses),
                    *(number(p.rates[name]) for name in signals),
                    with_interval(p.reward, 2),
                    with_interval(p.probability),
                )
                for p in result.policies
            ],
            "Intervals take the model as it is: compare policies by them. The level is as sure as the fit says.",
        )


def _verdict(result: Evaluation) -> str:
    """One line: by which metrics the model is worse, and by how much."""
    from tacit.cli.render import printable, with_interval

    told = (f"{_TITLES[name]} {with_interval(gain)}" for name, gain in result.worse().items())
    line = (
        f"{result.main} is worse than {result.against} by {', '.join(told)}: differences with 95 % intervals"
    )
    return f"tacit: {printable(' '.join(line.split()))}"


def _names(model: Path, against: Path | None) -> tuple[str, str]:
    """What two folders are called in the table.

    Raises:
        ConfigError: they are one.
    """
    from tacit.errors import ConfigError

    if against is None:
        return model.name, ""
    if model.resolve() == against.resolve():
        raise ConfigError(
            f"--against {against} is the model itself, expected another; name last week's folder, say"
        )
    short = model.resolve().name, against.resolve().name
    return short if short[0] != short[1] else (str(model), str(against))


def _roles_of(rm: FittedScorer, other: FittedScorer | None) -> Roles:
    """The roles of the model's fit, with the context of the other's as well."""
    from tacit.data import Roles

    roles = Roles.from_json(rm.info["roles"])
    if other is None:
        return roles
    more = Roles.from_json(other.info["roles"]).context
    return replace(roles, context=(*roles.context, *(name for name in more if name not in roles.context)))


_TITLES = {
    "within_prompt_accuracy": "within-prompt\naccuracy",
    "auroc": "AUROC",
    "spearman": "Spearman",
    "brier": "Brier",
    "ece": "ECE",
    "log_likelihood": "log-lik. of\nsignals",
    "base_rate": "mean\nP(liked)",
}
