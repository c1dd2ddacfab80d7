"""What the model states of itself, read from its folder, and what the log adds: nothing here is computed anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tacit.data import FeedbackLog
from tacit.data.raw import from_arrow
from tacit.data.times import epoch_seconds
from tacit.errors import DataError
from tacit.evaluation.trust.words import between, count, rate
from tacit.model import FittedScorer


@dataclass(frozen=True)
class SignalStated:
    """A signal of the fit: its share of 1 where it could be recorded, and the share of rows where it could not."""

    name: str
    polarity: int
    kind: str
    rate: float | None
    missing: float


@dataclass(frozen=True)
class Statement:
    """What `tacit.json` says.

    Attributes:
        method: its key.
        assumes: its assumptions, in its own words.
        citation: whose it is.
        log: name of the log of the fit.
        rows, prompts, quarantined, gold_rows: of it.
        signals: of the fit.
        context: columns that propensities see.
        dates: first and last day of the log that the report was given, where it names times; None else.
        members: of the ensemble.
        liked: estimated share of liked responses; None where scores only order, or none is stated.
        interval: shares that the log of the fit does not rule out (95 %); None where it states none.
        bounds: what one signal leaves open however long the log; None where something else settles it.
        profile: nats lost when all scores are moved; None where it is not stated.
        calibrated: mean label of the rows that calibrated the model; None of a model as it was fitted.
        member_spearman, strata_kappa, swap_index: agreement of the members; None where it is not known.
        not_identified: what the log of the fit does not tell, in words.
        warnings: of the fit.
        version: of Tacit that made it.
        told: the share, in a sentence.
        do: what follows.
    """

    method: str
    assumes: str
    citation: str
    log: str
    rows: int
    prompts: int
    quarantined: int
    gold_rows: int
    signals: tuple[SignalStated, ...]
    context: tuple[str, ...]
    dates: tuple[str, str] | None
    members: int
    liked: float | None
    interval: tuple[float, float] | None
    bounds: tuple[float, float] | None
    profile: tuple[tuple[float, float], ...] | None
    calibrated: float | None
    member_spearman: float | None
    strata_kappa: float | None
    swap_index: float | None
    not_identified: str
    warnings: tuple[str, ...]
    version: str
    told: str
    do: str


def statement(rm: FittedScorer, log: FeedbackLog | None) -> Statement:
    """Read what a model states.

    Args:
        rm: the model.
        log: of the report, for its dates.
    """
    info, method = rm.info, rm.method
    fitted, metrics, said = info["log"], info["metrics"], info["identification"]
    kinds = {entry["name"]: entry.get("kind", "implicit") for entry in info["roles"]["signals"]}
    has_level = method.level == "prob"
    interval, bounds = (_pair(metrics.get(name)) for name in ("base_rate_interval", "base_rate_bounds"))
    calibrated = None if rm.calibration is None else rm.calibration["mean_gold"]["value"]
    liked = metrics.get("base_rate") if has_level else None
    told, do = _level(liked, interval, bounds, calibrated, method.key, has_level)
    profile = metrics.get("level_profile")
    return Statement(
        method=method.key,
        assumes=said["assumes"],
        citation=said["citation"],
        log=fitted["name"],
        rows=fitted["rows"],
        prompts=fitted["prompts"],
        quarantined=fitted["quarantined"],
        gold_rows=fitted["gold_rows"],
        signals=tuple(
            SignalStated(s["name"], s["polarity"], kinds.get(s["name"], "implicit"), s["rate"], s["missing"])
            for s in fitted["signals"]
        ),
        context=tuple(info["roles"]["context"]),
        dates=None if log is None else dates_of(log),
        members=int(info["training"]["members"]),
        liked=liked,
        interval=interval if has_level else None,
        bounds=bounds if has_level else None,
        profile=None if profile is None else tuple((float(a), float(b)) for a, b in profile),
        calibrated=calibrated,
        member_spearman=metrics.get("member_spearman"),
        strata_kappa=metrics.get("strata_kappa"),
        swap_index=metrics.get("swap_index"),
        not_identified=said["not_identified"],
        warnings=tuple(said["warnings"]),
        version=info["versions"]["tacit"],
        told=told,
        do=do,
    )


def dates_of(log: FeedbackLog) -> tuple[str, str] | None:
    """First and last day (UTC) of a log that names times; None where it does not, or where they are none."""
    if log.roles.timestamp is None:
        return None
    try:
        seconds_N = epoch_seconds(from_arrow(log.table, log.name), log.roles.timestamp)
    except DataError:  # the report does not stand or fall by them
        return None
    known = seconds_N[np.isfinite(seconds_N)]
    if not len(known):
        return None
    first, last = (datetime.fromtimestamp(float(at), UTC).date() for at in (known.min(), known.max()))
    return (first.isoformat(), last.isoformat()) if first.year >= _EARLIEST else None


_EARLIEST = 2000
"""Numbers of earlier years are seconds of a session, not dates."""


def _pair(value: Any) -> tuple[float, float] | None:
    return None if value is None else (float(value[0]), float(value[1]))


WIDE = 0.1
"""Width of an interval, ±.05, up to which a share counts as known."""


def _level(
    liked: float | None,
    interval: tuple[float, float] | None,
    bounds: tuple[float, float] | None,
    calibrated: float | None,
    key: str,
    has_level: bool,
) -> tuple[str, str]:
    if calibrated is not None:
        return (
            f"Calibrated on trusted rows, of which {rate(calibrated)} are liked"
            + (f"; the fit alone had estimated {rate(liked)} for its log." if liked is not None else "."),
            "Take P(liked) as it is, for responses like those that were audited.",
        )
    if not has_level:
        return (
            f"{key} orders responses; it does not say what share of them is liked.",
            "Use the order. For probabilities: `tacit calibrate`, from 50 audited answers.",
        )
    if liked is None:
        return (
            "The fit held no rows out, so it states no share of liked responses.",
            "Audit some (section 5).",
        )
    told = f"Users like {rate(liked)} of the responses, by the fit"
    if interval is None:
        return f"{told}, which states no interval for it.", "How sure that is, section 3 says under “level”."
    width = interval[1] - interval[0]
    do = "Use the order; audited answers settle the level (section 5), and so would more rows."
    if width <= WIDE:
        do = "Take the level as it is, as far as section 3 bears it out."
    elif bounds is not None and bounds[1] - bounds[0] > width / 2:
        do = "More rows will not settle the level: a second signal or audited answers will. Use the order."
    return f"{told}; its log does not rule out {between(*interval)} (95 %).", do


def facts(found: Statement) -> Mapping[str, str]:
    """The statement as a table of words."""
    who = [
        f"{s.name}{'' if s.polarity > 0 else ' (negative)'} fired on {rate(s.rate)} of the rows where it could"
        + (f"; on {rate(s.missing)} of all rows it could not be recorded" if s.missing else "")
        for s in found.signals
    ]
    rows = {
        "Method": f"{found.method}; it assumes: {found.assumes}",
        "Log of the fit": f"{found.log}, {count(found.rows, 'response')} to {count(found.prompts, 'prompt')}"
        + (f", {found.quarantined:,} could not be used" if found.quarantined else ""),
        "Signals": "; ".join(who) or "none",
        "Context": ", ".join(found.context) or "none",
        "Trusted labels in the fit": f"{found.gold_rows:,}",
    }
    if found.dates is not None:
        rows["Dates of the log"] = f"{found.dates[0]} to {found.dates[1]}"
    if found.bounds is not None:
        rows["Open however long the log"] = f"{between(*found.bounds)}: one signal shows liking times acting"
    rows["Members"] = _members(found)
    rows["Not told by the log"] = found.not_identified
    rows["Made by"] = f"tacit {found.version}; {found.citation}"
    return rows


def _members(found: Statement) -> str:
    if found.member_spearman is None:
        return f"{found.members}; how far they agree is not known"
    told = (
        f"{found.members}; they agree on the order to a Spearman correlation of {rate(found.member_spearman)}"
    )
    if found.strata_kappa is not None:
        told += f", on why silent rows are silent to a kappa of {rate(found.strata_kappa)}"
    if found.swap_index is not None:
        told += f"; swap index {rate(found.swap_index)} (above 0: the heads change roles)"
    return told
