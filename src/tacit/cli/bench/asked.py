"""What a run of `tacit bench` was asked for, whatever its suite: how its results are named, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from tacit.files import sha256_json

if TYPE_CHECKING:
    from tacit.data import FeedbackLog
    from tacit.methods import Method

PAIR = ("oasst1", "realhumaneval")
"""What the real suite reads where no data is named."""
SEEDS = 5
_LONGEST = 60
"""Characters of the names of logs in the name of a folder; file systems take 255 bytes."""


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


@dataclass(frozen=True)
class Asked:
    """The words of one command line, after the checks that all suites share.

    Attributes:
        roles: columns of a log of one's own, by role; those named.
        keys: the methods as typed; none stands for all.
        methods: the same, those of one's own loaded.
    """

    suite: Suite
    data: list[str] | None
    roles: Mapping[str, Any]
    keys: Sequence[str]
    methods: Sequence[str | Method]
    seeds: int | None
    protocol: Protocol
    out: Path
    limit: int | None
    max_epochs: int | None
    jobs: int | None
    encoder: str
    cache: Path | None
    json: bool
    quiet: bool

    @property
    def parts(self) -> Path:
        """Where finished parts of runs lie, those of all suites."""
        return self.out / "parts"

    def folder(self, logs: Sequence[tuple[str, FeedbackLog]]) -> Path:
        """Where the results lie."""
        return self.out / folder_name(self.suite, logs)

    def command(self) -> str:
        """The command that makes the same results again."""
        parts = ["tacit bench", f"--suite {self.suite.value}"]
        parts += [f"--data {quote(Path(name).name)}" for name in self.data or ()]
        for role, value in self.roles.items():
            columns = [value] if isinstance(value, str) else value
            parts += [f"{option(role)} {quote(column)}" for column in columns]
        parts += [f"--methods {','.join(self.keys)}"] if self.keys else []
        parts += [] if self.suite is Suite.REAL else [f"--seeds {self.seeds or SEEDS}"]
        parts += [] if self.protocol is Protocol.HONEST else [f"--protocol {self.protocol.value}"]
        parts += [] if self.encoder == "minilm" else [f"--encoder {self.encoder}"]
        parts += [] if self.limit is None else [f"--limit {self.limit}"]
        parts += [] if self.max_epochs is None else [f"--max-epochs {self.max_epochs}"]
        return " ".join(parts)


def folder_name(suite: Suite, logs: Sequence[tuple[str, FeedbackLog]]) -> str:
    """Suite and data; a log of one's own also by where it lies and what it holds, for two files may be called alike."""
    from tacit.evaluation.bench.data import is_named

    names = [name for name, _ in logs]
    if suite is Suite.REAL and names == list(PAIR):
        return suite.value
    folder = f"{suite.value}-{'-'.join(Path(name).stem for name in names)[:_LONGEST]}"
    own = [[str(Path(name).resolve()), log.fingerprint()] for name, log in logs if not is_named(name)]
    return f"{folder}-{sha256_json(own)[:6]}" if own else folder


def option(role: str) -> str:
    """The option of a role."""
    return "--signal" if role == "signals" else f"--{role.replace('_', '-')}"


def title(name: str) -> str:
    """What tables call a data set: its name, or the last part of its path."""
    return Path(name).name


def note_refused(refused: Sequence[tuple[str, str, str]], asked: Sequence[str | Method]) -> None:
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


def say(written: dict[str, Path]) -> None:
    """Tell which files were written."""
    for what, path in written.items():
        print(f"{what}: {path}")


def paths(written: dict[str, Path]) -> dict[str, str]:
    """The files written, for JSON."""
    return {what: str(path) for what, path in written.items()}
