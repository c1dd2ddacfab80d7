"""`tacit calibrate`: a model whose probabilities agree with a trusted slice, in a folder of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import Cache, Context, Json, LogPath, MaxBad, Prompt, PromptId, Quiet, Response, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tacit.data import Roles
    from tacit.model import FittedScorer


def calibrate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A folder written by tacit fit or tacit finetune.")
    ],
    path: LogPath,
    gold: Annotated[
        str,
        typer.Option(metavar="NAME", help="Column of trusted labels, 0 to 1; rows without one are left out."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; it must not hold anything yet.")],
    context: Context = None,
    prompt: Prompt = None,
    response: Response = None,
    prompt_id: PromptId = None,
    source: Source = "auto",
    max_bad: MaxBad = None,
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Set a model's probabilities right by audited answers; rewards and their order stay as they are."""
    from tacit.calibrating import calibrate as calibrated
    from tacit.cli import notes
    from tacit.cli.options import open_store, read_log, refuse_unwritable, refuse_where_read
    from tacit.model import load_model
    from tacit.model.folder import MANIFEST, refuse_occupied

    _refuse_itself(model, out)
    refuse_unwritable(out)
    refuse_occupied(out)
    refuse_where_read(out, path, within=MANIFEST)
    rm = load_model(model)
    log = read_log(
        path,
        context=context,
        gold=gold,
        prompt=prompt,
        response=response,
        prompt_id=prompt_id,
        source=source,
        max_bad=max_bad,
        like=_roles_of(rm),
        partly=True,
    )
    notes.release()
    done = calibrated(rm, log, store=open_store(cache), quiet=quiet or json)
    done.save(out)
    _report(done, out, as_json=json, quiet=quiet)


def _refuse_itself(model: Path, out: Path) -> None:
    from tacit.errors import ConfigError

    if out.resolve() == model.resolve():
        raise ConfigError(
            f"--out {out} is the model itself, expected another folder: a model is never overwritten"
        )


def _roles_of(rm: FittedScorer) -> Roles:
    """The roles of the fit, but for what users did and trusted labels of its own: neither is read here."""
    from tacit.data import Roles

    return replace(Roles.from_json(rm.info["roles"]), signals=(), gold=None, rank=None)


def _report(rm: FittedScorer, folder: Path, *, as_json: bool, quiet: bool) -> None:
    from tacit.cli.render import print_json, print_table

    found = rm.calibration
    assert found is not None
    if as_json:
        told = {name: value for name, value in found.items() if name != "pairs"}
        print_json({"model": str(folder), "method": rm.method.key, **told})
    elif not quiet:
        print_table(
            f"{folder}: {_rule(rm)}",
            ("on the trusted rows", "Brier", "NLL", "ECE", "mean P(liked)"),
            _table(found),
            _caption(found),
        )
        print(f"Next: tacit evaluate {quote(str(folder))} OTHER.jsonl --gold {quote(found['gold'])}")


def _rule(rm: FittedScorer) -> str:
    slope, constant = rm.slope, rm.logit(0.0)
    return f"P(liked) = sigmoid({'' if slope == 1 else f'{slope:.3f} · '}reward {constant:+.3f})"


_METRICS = ("brier", "nll", "ece", "mean_probability")


def _table(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for name, what in (
        ("before", "before"),
        ("after", "after, of prompts held out"),
        ("difference", "difference"),
    ):
        part = found[name]
        if part is not None:
            rows.append((what, *(_interval(part[metric]) for metric in _METRICS)))
    return rows


def _caption(found: Mapping[str, Any]) -> str:
    from tacit.cli.render import number

    lines = [
        f"{found['rows']:,} rows of {found['prompts']:,} prompts with {found['gold']!r}, "
        f"{number(found['mean_gold']['value'])} of them liked: the mean P(liked) there."
    ]
    if found["slope_interval"] is None:
        lines.append("Too few rows for a slope: it is left at 1, as the fit has it.")
    else:
        low, high = map(number, found["slope_interval"])
        lines.append(
            f"Slope {number(found['slope'])} [{low}, {high}]; 1 leaves the scores as sure as they were."
        )
    if found["before"] is None:
        lines.append("Before, the scores only ordered answers: they had no error of level.")
    if found["after"] is None:
        lines.append("So few rows do not tell what it is worth on prompts held out.")
    lines.append("Rewards, and the order of answers, are as they were.")
    return "\n".join(lines)


def _interval(value: Mapping[str, float | None]) -> str:
    from tacit.cli.render import with_interval
    from tacit.evaluation.bootstrap import Interval

    return with_interval(Interval.from_json(value))
