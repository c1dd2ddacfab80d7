"""Published sets and formats whose columns say what they are: which one a table is, and how to read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tacit.data.carry import carried, names_its_texts
from tacit.data.published import helpsteer, kto, oasst1, realhumaneval, saferlhf, truthfulqa, ultrafeedback
from tacit.data.raw import RawTable, logger
from tacit.data.roles import Roles
from tacit.data.signal import Signal
from tacit.errors import ConfigError, DataError, did_you_mean


@dataclass(frozen=True)
class Source:
    """A known set: how to recognise it by its columns, how to read it, which signals it offers.

    `confirm` looks at the rows too, for a set whose columns are not its own; it decides for "auto" only.
    """

    title: str
    detect: Callable[[Sequence[str]], bool]
    load: Callable[[RawTable], tuple[RawTable, Roles]]
    signals: Mapping[str, Signal] = field(default_factory=dict)
    confirm: Callable[[RawTable], bool] = lambda raw: True

    def recognises(self, raw: RawTable) -> bool:
        """Whether `raw` is this set, by its columns and, where these do not decide, by its rows."""
        return self.detect(raw.columns) and bool(len(raw)) and self.confirm(raw)


# The first that recognises a table reads it.
SOURCES = {
    "oasst1": Source("OASST1", oasst1.detect, oasst1.load, oasst1.SIGNALS),
    "realhumaneval": Source(
        "RealHumanEval chat", realhumaneval.detect, realhumaneval.load, realhumaneval.SIGNALS
    ),
    "kto": Source("KTO (label false = nothing seen, not disliked)", kto.detect, kto.load, kto.SIGNALS),
    "helpsteer": Source("HelpSteer", helpsteer.detect, helpsteer.load),
    "ultrafeedback": Source("UltraFeedback", ultrafeedback.detect, ultrafeedback.load),
    "ultrafeedback_binarised": Source(
        "UltraFeedback binarised", ultrafeedback.detect_binarised, ultrafeedback.load_binarised
    ),
    "saferlhf": Source("PKU-SafeRLHF (gold 1 = harmless)", saferlhf.detect, saferlhf.load),
    # Never found by itself: it stands after the one that has the same columns.
    "saferlhf_published": Source(
        "PKU-SafeRLHF as published (gold 1 = HARMFUL)", saferlhf.detect, saferlhf.load_as_published
    ),
    "truthfulqa": Source(
        "TruthfulQA judged answers", truthfulqa.detect, truthfulqa.load, confirm=truthfulqa.confirm
    ),
}


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
    known = dict(chosen.signals) if chosen is not None else {}
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
