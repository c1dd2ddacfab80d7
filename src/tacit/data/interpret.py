"""What a table is, a log as it stands or a known source, and the roles of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tacit.data import exports, published
from tacit.data.carry import carried, names_its_texts
from tacit.data.raw import RawTable, logger
from tacit.data.roles import Roles
from tacit.data.signal import Signal
from tacit.errors import ConfigError, DataError, did_you_mean

SOURCES = exports.SOURCES | published.SOURCES  # the first that recognises a table reads it


def interpret(
    raw: RawTable,
    source: str,
    signals: Sequence[str | Signal] | None,
    given: Mapping[str, Any],
    like: Roles | None = None,
    partly: bool = False,
) -> tuple[RawTable, Roles]:
    """Read `raw` as `source` ("auto" looks at the columns) and put the caller's roles over the source's own.

    Between the two stand the roles of another log, `like`; see `FeedbackLog.read`.

    Raises:
        ConfigError: an unknown source.
        DataError: a source named by the caller whose columns are not there.
    """
    if source not in ("auto", "plain", *SOURCES):
        hint = did_you_mean(source, ["auto", "plain", *SOURCES])
        raise ConfigError(f"unknown source {source!r}{hint}; expected auto, plain, {', '.join(SOURCES)}")
    chosen = SOURCES.get(source)
    if chosen is not None and not chosen.detect(raw.columns) and len(raw):
        raise DataError(f"{raw.name}: not {chosen.title}: columns are {', '.join(raw.columns[:20])}")
    named = {"prompt", "response"} & set(given) or names_its_texts(like, raw.columns)
    if source == "auto" and not named:
        chosen = next((known for known in SOURCES.values() if known.recognises(raw)), None)
    roles = Roles()
    if chosen is not None and len(raw):
        raw, roles = chosen.load(raw)
        logger.info("%s: read as %s", raw.name, chosen.title)
    elif "response" not in raw.columns and "completion" in raw.columns:
        roles = Roles(response="completion")  # TRL's name for it
    changes = dict(given)
    known = {signal.name: signal for signal in roles.signals} | dict(chosen.signals if chosen else {})
    if like is not None:
        taken = carried(
            like,
            raw.columns,
            texts=chosen is None,
            partly=partly,
            empty=raw.empty_columns if len(raw) else (),
        )
        changes = taken | changes
        known |= {signal.name: signal for signal in like.signals}
    if signals is not None:
        changes["signals"] = tuple(
            signal
            if isinstance(signal, Signal)
            else (known.get(signal) if isinstance(signal, str) else None) or Signal.parse(signal)
            for signal in signals
        )
    return raw, replace(roles, **changes)
