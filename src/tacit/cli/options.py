"""Options that several verbs share, and the log they describe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli import notes
from tacit.errors import ConfigError

if TYPE_CHECKING:
    from tacit.data import FeedbackLog, Signal
    from tacit.data.raw import RawTable
    from tacit.features import EmbeddingStore

LARGEST_SEED = 2**32 - 1
"""What `TrainingConfig` takes; here too, so that --help need not load it."""

LogPath = Annotated[
    str,
    typer.Argument(
        metavar="LOG",
        help="A .jsonl, .json, .parquet or .csv file; a folder of them, or a pattern in quotes, 'logs/*.jsonl'; a "
        "folder of save_to_disk; a hub id owner/name; or - for JSON lines from standard input.",
    ),
]
Signals = Annotated[
    list[str] | None,
    typer.Option(
        "--signal",
        help="Column of a signal: NAME, NAME:negative, or NAME:explicit for a label. Repeatable.",
        metavar="NAME",
    ),
]
Context = Annotated[
    list[str] | None,
    typer.Option(
        "--context",
        help="Column that moves clicks but not preference; user_activity is computed of --user-id. Repeatable.",
        metavar="NAME",
    ),
]
Nuisances = Annotated[
    list[str] | None,
    typer.Option(
        "--nuisance",
        help="What is known: NAME=COLUMN or NAME=NUMBER, such as e=seen (who acts) or rho10=0.05. Repeatable.",
        metavar="NAME=VALUE",
    ),
]
PromptId = Annotated[
    str | None, typer.Option(help="Column that groups responses to one prompt.", metavar="NAME")
]
Prompt = Annotated[str | None, typer.Option(help="Column of the prompt.", metavar="NAME")]
Response = Annotated[str | None, typer.Option(help="Column of the response.", metavar="NAME")]
UserId = Annotated[str | None, typer.Option(help="Column of the user.", metavar="NAME")]
SessionId = Annotated[str | None, typer.Option(help="Column of the session.", metavar="NAME")]
Policy = Annotated[
    str | None, typer.Option(help="Column of the model that wrote the response.", metavar="NAME")
]
Source = Annotated[
    str,
    typer.Option(
        help="auto, plain, or what is to be read: openwebui, kto, oasst1 … (docs/logs.md).", metavar="NAME"
    ),
]
MaxBad = Annotated[
    int | None, typer.Option(help="Stop when more rows than this cannot be used.", metavar="N", min=0)
]
Encoder = Annotated[
    str, typer.Option(help="minilm, hashing, hashing:256, or a Hugging Face id or path.", metavar="NAME")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Fits side by side; one per core by default. Results do not depend on it.", metavar="N"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.")]
Cache = Annotated[
    Path | None,
    typer.Option(help="Embedding cache; default $TACIT_CACHE or ~/.cache/tacit/embeddings.", metavar="DIR"),
]


def read_log(
    path: str | RawTable,
    *,
    signals: Sequence[str | Signal] | None = None,
    context: list[str] | None = None,
    **others: Any,
) -> FeedbackLog:
    """Read a log; what had to be left out waits as a note (see `notes.release`).

    `path` may be what `open_raw` read; `others` are the other arguments of `FeedbackLog.read`.

    Raises:
        ConfigError: one column given twice to a repeatable option.
        DataError: a log that cannot be used as it is.
    """
    from tacit.data import FeedbackLog

    refuse_repeated(signals or [], context or [])
    log = FeedbackLog.read(path, signals=signals or None, context=context or None, **others)
    note_quarantine(log)
    return log


def note_quarantine(log: FeedbackLog) -> None:
    """What had to be left out of a log waits as a note."""
    if log.quarantine.total:
        notes.say(log.quarantine.describe())


def refuse_where_read(out: Path, source: str, *, within: str = "") -> None:
    """Raise if what is written would be read as well, when the same input is read again.

    Args:
        out: a file, or a folder.
        source: a file, a folder of files or a pattern.
        within: a file that will lie in `out`, where that is a folder.

    Raises:
        ConfigError: `out` lies there.
    """
    from tacit.data.readers import would_match

    read = Path(source).resolve()
    added = read.exists() and out.resolve().is_relative_to(read)
    if added or would_match(source, out) or would_match(source, out / within):
        raise ConfigError(
            f"--out {out} lies where the input is read, which it would change; expected another place"
        )


def refuse_unwritable(folder: Path) -> None:
    """Say before the work, not after it, that a folder could not be made.

    Raises:
        ConfigError: no name of a folder, or a place that is none or may not be written.
    """
    from tacit.errors import ConfigError

    if folder.name in ("", ".."):
        raise ConfigError(f"--out {folder}: expected the name of a folder to make, such as rm")
    _refuse_parent(folder)


def refuse_unwritable_file(out: Path, *sources: str) -> None:
    """Say before the work, not after it, that a file of rows could not be written.

    Args:
        out: the file.
        sources: what is read.

    Raises:
        ConfigError: no .parquet or .jsonl, a folder, a place that is read, or one that may not be written.
    """
    from tacit.data.input_rows import ending
    from tacit.errors import ConfigError

    ending(out)
    if out.is_dir():
        raise ConfigError(f"--out {out} is a folder, expected the name of a file to write")
    for source in sources:
        refuse_where_read(out, source)
    _refuse_parent(out)


def _refuse_parent(out: Path) -> None:
    import os

    from tacit.errors import ConfigError

    parent = next(p for p in out.resolve().parents if p.exists())  # a symlink is followed
    if not parent.is_dir():
        raise ConfigError(f"--out {out}: {parent} is a file, expected a folder; choose another --out")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"--out {out}: {parent} may not be written; choose another --out")


def refuse_repeated(signals: Sequence[str | Signal], context: list[str]) -> None:
    """Raise if a repeatable option names one column twice.

    Raises:
        ConfigError: it does.
    """
    from tacit.data import Signal

    _refuse_twice("--signal", [(s if isinstance(s, Signal) else Signal.parse(s)).name for s in signals])
    _refuse_twice("--context", context)


def _refuse_twice(option: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{option} names column {name!r} twice; expected each column once, drop one")


def known_nuisances(given: Sequence[str]) -> dict[str, str | float]:
    """Numbers, or names of columns, by name.

    Raises:
        ConfigError: no name, no value, or a name twice.

    Example:
        >>> known_nuisances(["e=seen", "rho10=0.05"])
        {'e': 'seen', 'rho10': 0.05}
    """
    found: dict[str, str | float] = {}
    for text in given:
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value:
            raise ConfigError(f"--nuisance {text}: expected NAME=COLUMN or NAME=NUMBER, such as e=seen")
        if name in found:
            raise ConfigError(f"--nuisance names {name!r} twice; expected each once, drop one")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found


def open_store(cache: Path | None) -> EmbeddingStore:
    """The embedding cache."""
    from tacit.features import EmbeddingStore

    return EmbeddingStore(cache)
