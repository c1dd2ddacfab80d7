"""`tacit report`: a page that says what is biased in a log, what a model assumes, and what would settle it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.options import (
    Cache,
    Context,
    Json,
    MaxBad,
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
    from tacit.evaluation.trust import TrustReport

_WIDTH = 80
_NAME = "report.html"


def report(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A folder written by tacit fit or tacit finetune.")
    ],
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="LOG",
            help="A log, as of tacit fit: that of the fit, or a newer one. Without it, only what the model states.",
        ),
    ] = None,
    gold: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column of trusted labels, 0 to 1: the answers audited so far."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page to write; default report.html in the model's folder."),
    ] = None,
    signal: Signals = None,
    context: Context = None,
    prompt: Prompt = None,
    response: Response = None,
    prompt_id: PromptId = None,
    user_id: UserId = None,
    session_id: SessionId = None,
    source: Source = "auto",
    max_bad: MaxBad = None,
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a page on whether to trust a model: biases, assumptions, length, how many answers to audit."""
    from tacit.cli import notes
    from tacit.cli.options import open_store, read_log
    from tacit.cli.render import print_json
    from tacit.data import Roles
    from tacit.errors import ConfigError
    from tacit.evaluation.trust import trust_report
    from tacit.evaluation.trust.page import lacks_pictures, write_page
    from tacit.model import load_model

    if path is None and gold is not None:
        raise ConfigError(
            f"--gold {gold} is a column of a log, and no log is named; expected tacit report MODEL LOG"
        )
    rm = load_model(model)
    target = model / _NAME if out is None else out
    _refuse(target, path)
    log = None
    if path is not None:
        log = read_log(
            path,
            signals=signal,
            context=context,
            gold=gold,
            prompt=prompt,
            response=response,
            prompt_id=prompt_id,
            user_id=user_id,
            session_id=session_id,
            source=source,
            max_bad=max_bad,
            like=Roles.from_json(rm.info["roles"]),
            partly=True,
        )
    absent = lacks_pictures()
    if absent is not None:
        notes.say(f"{target} has no pictures: {absent}")
    notes.release()
    found = trust_report(rm, log, store=open_store(cache), quiet=quiet or json)
    write_page(found, target)
    if json:
        print_json({"out": str(target), **found.to_json()})
    elif not quiet:
        _print(found, target)


def _refuse(target: Path, path: str | None) -> None:
    """Say before the work, not after it, that the page could not be written there.

    Raises:
        ConfigError: another ending, a folder, a file of the model, or a place that is read or may not be written.
    """
    from tacit.cli.options import refuse_unwritable, refuse_where_read
    from tacit.data.readers import STANDARD_INPUT
    from tacit.errors import ConfigError

    if target.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {target}: expected a name that ends in .html, such as {_NAME}")
    if target.is_dir():
        raise ConfigError(f"--out {target} is a folder, expected the name of a file to write")
    refuse_unwritable(target)
    if path not in (None, STANDARD_INPUT):
        refuse_where_read(target, str(path))


def _print(found: TrustReport, target: Path) -> None:
    from tacit.cli.render import printable
    from tacit.evaluation.trust.findings import summary

    print(f"{found.statement.method} on {printable(found.statement.log)}")
    if found.log is not None:
        print(f"looked at on {printable(found.log)}, {found.rows:,} rows")
    for told in (found.origin, *summary(found)):
        indent = "    " if told.startswith(" ") else "  "
        for line in textwrap.wrap(
            printable(told),
            _WIDTH,
            initial_indent=indent[:-2] if indent == "    " else "",
            subsequent_indent=indent,
        ):
            print(line)
    print(f"Read {target}")
