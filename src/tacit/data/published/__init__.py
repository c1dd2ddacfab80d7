"""Published sets and formats whose columns say what they are: which one a table is, and how to read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tacit.data.published import kto, oasst1, realhumaneval
from tacit.data.raw import RawTable, logger
from tacit.data.roles import Roles
from tacit.data.signal import Signal
from tacit.errors import ConfigError, DataError


@dataclass(frozen=True)
class Source:
    """A known set: how to recognise it by its columns, how to read it, which signals it offers."""

    title: str
    detect: Callable[[Sequence[str]], bool]
    load: Callable[[RawTable], tuple[RawTable, Roles]]
    signals: Mapping[str, Signal]


SOURCES = {
    "oasst1": Source("OASST1", oasst1.detect, oasst1.load, oasst1.SIGNALS),
    "realhumaneval": Source(
        "RealHumanEval chat", realhumaneval.detect, realhumaneval.load, realhumaneval.SIGNALS
    ),
    "kto": Source("KTO (label false = nothing seen, not disliked)", kto.detect, kto.load, kto.SIGNALS),
}


def interpret(
    raw: RawTable, source: str, signals: Sequence[str | Signal] | None, given: Mapping[str, Any]
) -> tuple[RawTable, Roles]:
    """Read `raw` as `source` ("auto" looks at the columns) and put the caller's roles over the source's own.

    Raises:
        ConfigError: an unknown source.
        DataError: a source named by the caller whose columns are not there.
    """
    if source not in ("auto", "plain", *SOURCES):
        raise ConfigError(f"unknown source {source!r}; expected auto, plain, {', '.join(SOURCES)}")
    chosen = SOURCES.get(source)
    if chosen is not None and not chosen.detect(raw.columns) and len(raw):
        raise DataError(f"{raw.name}: not {chosen.title}: columns are {', '.join(raw.columns[:20])}")
    if source == "auto" and not {"prompt", "response"} & set(given):
        chosen = next((known for known in SOURCES.values() if known.detect(raw.columns)), None)
    roles = Roles()
    if chosen is not None and len(raw):
        raw, roles = chosen.load(raw)
        logger.info("%s: read as %s", raw.name, chosen.title)
    elif "response" not in raw.columns and "completion" in raw.columns:
        roles = Roles(response="completion")  # TRL's name for it
    changes = dict(given)
    if signals is not None:
        named = chosen.signals if chosen is not None else {}
        changes["signals"] = tuple(
            signal if isinstance(signal, Signal) else named.get(signal) or Signal.parse(signal)
            for signal in signals
        )
    return raw, replace(roles, **changes)
