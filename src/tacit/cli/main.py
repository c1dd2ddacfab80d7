"""`tacit`: the verbs, and the one place where an error becomes a line on standard error and exit status 2."""

from __future__ import annotations

import os
import re
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from tacit._version import __version__
from tacit.cli import notes
from tacit.cli.align import align
from tacit.cli.attribute import attribute
from tacit.cli.bench import bench
from tacit.cli.calibrate import calibrate
from tacit.cli.demo import demo
from tacit.cli.doctor import doctor
from tacit.cli.evaluate import evaluate
from tacit.cli.export import export
from tacit.cli.finetune import finetune
from tacit.cli.fit import fit
from tacit.cli.log import log
from tacit.cli.methods import methods
from tacit.cli.render import never_fail, printable
from tacit.cli.report import report
from tacit.cli.safety import safety
from tacit.cli.score import score
from tacit.cli.serve import serve
from tacit.errors import IdentificationWarning, TacitError
from tacit.extras import absent_package, lacking

app = typer.Typer(
    name="tacit",
    help="Reward models from the feedback users already give.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help needs no rich and answers at once
)
for verb in (
    *(demo, fit, report, score, evaluate, calibrate, log, attribute, methods, bench),
    *(finetune, doctor, export, serve, align, safety),
):
    app.command()(verb)


def _version(value: bool) -> None:
    if value:
        print(f"tacit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Reward models from the feedback users already give."""


def main() -> None:
    """Run the command line."""
    never_fail(sys.stdout, sys.stderr)
    notes.hold(quiet="--quiet" in sys.argv or "-q" in sys.argv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", IdentificationWarning)
            warnings.showwarning = _show_warning
            _run()
    except TacitError as error:
        _fail(str(error))
    except BrokenPipeError:
        sys.exit(_CLOSED_PIPE)
    except (ImportError, RuntimeError) as error:  # trl wraps the one in the other
        package = absent_package(error)
        if package is None:
            raise
        _fail(lacking("this", [package]))
    except (
        OSError
    ) as error:  # a full disk, a folder that may not be written: the user's to mend, so no traceback
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}; free space, or choose a place that can be read and written")
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # typer's answer to Ctrl-C, otherwise without a word
            print("tacit: interrupted; a fit goes on when the same command is given again", file=sys.stderr)
        raise


_INTERRUPTED, _CLOSED_PIPE = 130, 141
_UsageError: Any = typer.BadParameter.__base__  # of the click that typer brings, or of click itself


def _run() -> None:
    try:
        status = app(prog_name="tacit", standalone_mode=False)
        if isinstance(status, int) and status:  # an early exit, or Ctrl-C
            sys.exit(status)
    except _UsageError as error:
        _refuse_usage(error)
    finally:
        # `tacit score … | head -1` closes the pipe early, and a disk may be full: what could not be written stays in
        # the buffer, and the interpreter would try, and complain, once more while it exits.
        try:
            sys.stdout.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                sys.exit(_CLOSED_PIPE)
            raise


def _refuse_usage(error: Any) -> NoReturn:
    """One line for a word of the command line that means nothing; `tacit` alone is answered with its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        sys.exit(error.exit_code)
    path = error.ctx.command_path if error.ctx is not None else "tacit"
    message = error.format_message().rstrip(".")
    _fail(f"{_too_many_files(message) or message}; see {path} --help")


def _too_many_files(message: str) -> str:
    """What to write instead, where a shell has turned a pattern into many arguments."""
    found = re.search(r"unexpected extra argument\S* \((\S+)", message)
    if found is None:
        return ""
    file = Path(found[1].rstrip(")"))
    if not file.exists():
        return ""
    ending = "".join(file.suffixes[-2:] if file.suffix == ".gz" else [file.suffix])
    return (
        f"{file} is a file too many: a log is one argument; of several files name the folder, or a pattern in quotes: "
        f"'{file.parent / '*'}{ending}'"
    )


def _fail(message: str) -> NoReturn:
    print(f"tacit: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(2)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"tacit: warning: {printable(str(message))}", file=sys.stderr)
