"""What every fit rests on, whatever its method declares: rows enough, context, overlap, order, level."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tacit.evaluation.trust.assumption import Assumption, Known, without_log
from tacit.evaluation.trust.predictive import PREDICTED
from tacit.evaluation.trust.reading import ACTING, Reading
from tacit.evaluation.trust.statement import WIDE
from tacit.evaluation.trust.words import between, rate
from tacit.features import context_varies, idle_columns

_AGREE = 0.8  # Spearman of members below which the order hangs on luck
_PROFILE = 2.0  # nats by which a move of all scores by ½ is told from the fit
_ONES = 30  # rows that a signal has to fire on to tell its rates
_FEW_ACT = 0.05  # propensity below which silence says nothing
_MANY_PASSIVE = 0.05  # share of such rows


def _signals(known: Known) -> Assumption | None:
    signals = known.said.signals
    if not signals:
        return None
    ones = {s.name: round((s.rate or 0.0) * (1 - s.missing) * known.said.rows) for s in signals}
    rare = {name: fired for name, fired in ones.items() if fired < _ONES}
    told = ", ".join(f"{name} on {fired:,} rows" for name, fired in (rare or ones).items())
    return Assumption(
        "users did something often enough to learn from it",
        f"Rows of the fit on which each signal fired; {_ONES} or more are expected.",
        "doubtful" if rare else "holds",
        told,
        "Wait for a longer log, or add signals." if rare else "Nothing to do.",
    )


def _uses_context(known: Known) -> bool:
    return known.rm.method.exchangeable or "context" in known.rm.method.needs


def _context(known: Known) -> Assumption | None:
    if not _uses_context(known):
        return None
    claim = "signals differ by context, which tells acting from liking if nothing else does"
    if not known.said.context:
        alone = len(known.said.signals) == 1 and not known.said.gold_rows
        return Assumption(
            claim,
            "Context columns of the fit.",
            "doubtful" if alone else "not checked",
            "none is named" + ("" if alone else "; several signals or gold do without"),
            "Name columns that move clicks but not preference (--context), or add signals."
            if alone
            else "Nothing to do.",
        )
    if known.reading is None:
        return without_log(claim, "Whether context columns vary, and signals with them.")
    columns = known.reading.log.context_columns()
    if not columns:
        return without_log(
            claim, "Whether context columns vary, and signals with them.", "name the context too"
        )
    idle = idle_columns(columns)
    if not context_varies(columns):
        return Assumption(
            claim,
            "Whether context columns vary.",
            "doubtful",
            f"{', '.join(idle)}: no use",
            "Name one that varies.",
        )
    moving = [
        bias.column for bias in known.biases if bias.column in columns and any(s.moves for s in bias.signals)
    ]
    return Assumption(
        claim,
        "Whether signal rates differ between contexts beyond chance (1 %).",
        "holds" if moving else "doubtful",
        f"they do by {', '.join(moving)}" if moving else "they do not, by any column",
        "Nothing to do."
        if moving
        else "Name context that moves clicks; this does not tell acting from liking.",
    )


def _linked(known: Known) -> Assumption | None:
    links = known.rm.info["identification"].get("linked")
    if links is None:
        return None
    apart = links["crossing"] is not None
    shares = ", ".join(rate(share) for share in links["shares"])
    return Assumption(
        "texts of all kinds are seen in shared contexts",
        "The cut of the texts that context tells best: the share of its variance that is left untold (by the fit).",
        "doubtful" if apart else "holds",
        f"{links['components']} parts ({shares} of the rows), {rate(links['crossing'])} cross"
        if apart
        else f"one part; {rate(links['left'])} is left untold",
        "Do not compare rewards between the parts; show texts of each in contexts of the others, or audit (--gold)."
        if apart
        else "Nothing to do.",
    )


def _overlap(known: Known) -> Assumption | None:
    claim = "everywhere somebody would act"
    estimated = known.rm.info.get("estimated", {}).get("p") or known.rm.info.get("estimated", {}).get("e")
    acting = any(head.name in ACTING for head in known.rm.heads)
    if not acting and estimated is None:
        return None
    checked = f"Fitted propensities below {rate(_FEW_ACT)}, where silence says nothing."
    acts = [] if known.reading is None else [s.act_N for s in known.reading.signals if s.act_N is not None]
    if acts:
        most_N = np.max(acts, axis=0)
        share = float((most_N < _FEW_ACT).mean())
        low, high = (float(q) for q in np.quantile(most_N, (0.05, 0.95)))
        doubtful = share > _MANY_PASSIVE
        return Assumption(
            claim,
            checked,
            "doubtful" if doubtful else "holds",
            f"on {rate(share)} of the rows; nine of ten rows lie from {between(low, high)}",
            "Rewards of responses that only stood there are guesses: show some where people look."
            if doubtful
            else "Nothing to do.",
        )
    if estimated is not None:
        doubtful = estimated["low"] < _FEW_ACT
        return Assumption(
            claim,
            checked,
            "doubtful" if doubtful else "holds",
            f"estimated before the reward: mean {rate(estimated['mean'])}, nine of ten rows from "
            f"{between(estimated['low'], estimated['high'])}",
            "Few rows weigh as much as many: compare clips, or name more context."
            if doubtful
            else "Nothing to do.",
        )
    return without_log(claim, checked, None if known.reading is None else known.reading.silent)


def _foretells(known: Known) -> Assumption | None:
    claim = "the model foretells what users do"
    checked = "Predicted against observed rate of each signal, by tenths, context and length."
    if not known.said.signals or not known.rm.info["identification"].get("models_signals", True):
        return None
    if known.reading is None:
        return without_log(claim, checked)
    if known.fit is None:
        return Assumption(
            claim,
            checked,
            "not checked",
            known.reading.silent or "too few rows",
            "Name signals and context of the fit.",
        )
    how = _told_origin(known.reading)
    off = known.fit.off
    if not off:
        return Assumption(
            claim,
            f"{checked} {how}",
            "holds" if known.fit.held_out or known.reading.overlap.share == 0 else "not checked",
            f"none of {len(known.fit.cells)} cells is off beyond chance",
            "Nothing to do."
            if known.fit.held_out or known.reading.overlap.share == 0
            else "Name a log that the fit has not read.",
        )
    worst = off[0]
    where = "predicted rate" if worst.by == PREDICTED else worst.by
    return Assumption(
        claim,
        f"{checked} {how}",
        "doubtful",
        f"{len(off)} of {len(known.fit.cells)} cells are off; {worst.signal} at {where} {worst.label}: "
        f"{rate(worst.observed)}, {rate(worst.predicted)} foretold",
        "Refit on newer rows, or name context that explains the difference.",
    )


def _told_origin(reading: Reading) -> str:
    if reading.held_out:
        return "Each row by a member that did not train on it."
    share = reading.overlap.share
    if share is None:
        return "Whether the fit has read these rows is not known."
    if share == 0:
        return "The fit has not read these rows."
    return f"In-sample: the fit has read {100 * share:.0f} % of these rows, so that agreement says little."


def _order(known: Known) -> Assumption:
    claim, checked = (
        "the order does not hang on luck",
        "Agreement of the members, which differ in seed and held-out prompts.",
    )
    agreement = known.said.member_spearman
    if agreement is None:
        return Assumption(
            claim, checked, "not checked", "one member, or nothing to compare", "Fit with several members."
        )
    return Assumption(
        claim,
        checked,
        "holds" if agreement >= _AGREE else "doubtful",
        f"Spearman {rate(agreement)}; {rate(_AGREE)} or more is expected",
        "Nothing to do."
        if agreement >= _AGREE
        else "More rows, context or signals; until then mind the uncertainty.",
    )


def _roles(known: Known) -> Assumption | None:
    swap = known.said.swap_index
    if swap is None:
        return None
    return Assumption(
        "the heads explain what they are meant to",
        "Swap index: a member's reward with another's propensity, less that with another's reward.",
        "doubtful" if swap > 0 else "holds",
        f"{rate(swap)}; above 0 they change roles",
        "Name context, or add a signal." if swap > 0 else "Nothing to do.",
    )


def _level(known: Known) -> Assumption | None:
    said = known.said
    if not known.rm.has_probability or said.calibrated is not None:
        return None
    claim = "level: the log tells what share is liked"
    if said.interval is not None:
        width = said.interval[1] - said.interval[0]
        return Assumption(
            claim,
            "The fit's interval (95 %, by profile likelihood), within its assumptions.",
            "holds" if width <= WIDE else "doubtful",
            between(*said.interval),
            "Nothing to do." if width <= WIDE else "Use the order; audit answers for the level (section 5).",
        )
    if said.profile is not None:
        lost = min(nats for shift, nats in said.profile if abs(shift) == 0.5)
        return Assumption(
            claim,
            "Nats lost when all scores are moved by ½ and all else is refitted, within the form of the fit.",
            "holds" if lost >= _PROFILE else "doubtful",
            f"{lost:.1f}; {_PROFILE:.0f} or more tell the move from the fit",
            "Nothing to do."
            if lost >= _PROFILE
            else "Use the order; audit answers for the level (section 5).",
        )
    if said.bounds is not None:
        wide = said.bounds[1] - said.bounds[0] > WIDE
        return Assumption(
            claim,
            "What one signal leaves open however long the log.",
            "doubtful" if wide else "not checked",
            f"{between(*said.bounds)}, without the error of so many rows",
            "A second signal or audited answers settle it." if wide else "Nothing to do.",
        )
    return Assumption(
        claim,
        "The method states a level, and no interval for it.",
        "cannot be checked from this log",
        rate(said.liked),
        "Audit answers (section 5).",
    )


CHECKS: tuple[Callable[[Known], Assumption | None], ...] = (
    _signals,
    _context,
    _linked,
    _overlap,
    _foretells,
    _order,
    _roles,
    _level,
)
"""In the order of the table; None where a check has nothing to do with the model."""
