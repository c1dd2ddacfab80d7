"""Every assumption on which the model rests: how it was checked, what came out, and what to do.

The first rows are the method's own declaration (`Method.assumes`), clause by clause; then what every fit rests on.
"holds" is said of what was checked and could have failed; what these data cannot tell is said to be so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from tacit.evaluation.trust.audit import Z, half_width
from tacit.evaluation.trust.biases import Bias
from tacit.evaluation.trust.bins import bins_of
from tacit.evaluation.trust.predictive import PREDICTED, Cell, Predictive, mean_error
from tacit.evaluation.trust.reading import ACTING, Reading, SignalReading
from tacit.evaluation.trust.statement import WIDE, Statement
from tacit.evaluation.trust.words import between, count, rate
from tacit.features import context_varies, idle_columns
from tacit.model import FittedScorer

Verdict = Literal["holds", "doubtful", "cannot be checked from this log", "not checked"]
"""The last: it can be checked, and was not, for want of a log, of rows or of gold."""

Floats = NDArray[np.float64]

_AGREE = 0.8  # Spearman of members below which the order hangs on luck
_PROFILE = 2.0  # nats by which a move of all scores by ½ is told from the fit
_ONES = 30  # rows that a signal has to fire on to tell its rates
_FEW_ACT = 0.05  # propensity below which silence says nothing
_MANY_PASSIVE = 0.05  # share of such rows
_GOLD = 100  # audited rows from which they can bear an assumption out
_ROWS_OF_GOLD = 50  # of one context
_SEEN = 0.1  # shift of a context that an audit has to be able to see
_CHANCE = 0.01  # of a doubt where nothing is wrong, each check by itself: a page has several
_SURELY, _MISTAKES = 0.01, 0.05  # rates of mistakes that are surely above the one, or surely below the other


@dataclass(frozen=True)
class Assumption:
    """One row of the table.

    Attributes:
        claim: in plain words; of the method's declaration, its own.
        checked: how.
        verdict: what came of it.
        found: the numbers.
        do: what follows.
    """

    claim: str
    checked: str
    verdict: Verdict
    found: str
    do: str


@dataclass(frozen=True)
class _Known:
    """What can be looked at."""

    rm: FittedScorer
    said: Statement
    reading: Reading | None
    biases: tuple[Bias, ...]
    fit: Predictive | None

    def gold(self) -> tuple[Floats, NDArray[np.bool_]] | None:
        """Gold and where it is, of a log that has any."""
        if self.reading is None:
            return None
        gold_N, known_N = self.reading.log.gold_values()
        return (gold_N.astype(np.float64), known_N) if known_N.any() else None


def assumptions(
    rm: FittedScorer,
    said: Statement,
    reading: Reading | None,
    biases: tuple[Bias, ...],
    fit: Predictive | None,
) -> tuple[Assumption, ...]:
    """Go through them.

    Args:
        rm: the model.
        said: what it states.
        reading: of a log; None without.
        biases: of the same log, by column.
        fit: predicted rates against observed ones.
    """
    known = _Known(rm, said, reading, biases, fit)
    declared = [row for clause in said.assumes.split("; ") if (row := _of_clause(clause, known)) is not None]
    general = (_signals, _context, _linked, _overlap, _foretells, _order, _roles, _level)
    return (*declared, *(row for check in general if (row := check(known)) is not None))


def _of_clause(clause: str, known: _Known) -> Assumption | None:
    """A clause of the declaration, by what it speaks of; one that nobody here knows cannot be checked."""
    if clause.startswith("nothing"):
        return None
    check = next((check for words, check in _CLAUSES.items() if words in clause), _unknown)
    return check(clause, known)


def _unknown(clause: str, known: _Known) -> Assumption:
    return Assumption(
        clause,
        "No data of this kind contradict it or bear it out.",
        "cannot be checked from this log",
        "–",
        "Audit answers drawn at random (section 5) and judge the model by them: `tacit evaluate --gold`.",
    )


# ---- the method's own


def _exclusion(clause: str, known: _Known) -> Assumption:
    """Does context move preference? Only an audit tells: gold less P(liked), by context."""
    columns = ", ".join(known.said.context) or "none is named"
    claim = f"{clause} ({columns})"
    if not known.said.context:
        return Assumption(
            claim,
            "There is nothing to check: no context is named.",
            "cannot be checked from this log",
            "–",
            "Name columns that move clicks but not preference (--context).",
        )
    gold, reading = known.gold(), known.reading
    if gold is None or reading is None or reading.liked_N is None:
        return Assumption(
            claim,
            "No log of clicks can tell: liking what stands first because it stands first looks the same.",
            "cannot be checked from this log",
            "–",
            "Audit answers from every context, by people who do not see it, and name them --gold here; or show the "
            "same answers in contexts drawn at random.",
        )
    cells = _gold_by_context(reading, *gold)
    if gold[1].sum() < _GOLD or not cells:
        return Assumption(
            claim,
            "Audited answers against P(liked), by context.",
            "not checked",
            f"{count(int(gold[1].sum()), 'audited answer')}, {_GOLD} or more are needed",
            "Audit more, from every context.",
        )
    found, unseen = _worst_of(cells), _bound(cells) * max(cell.error for cell in cells)
    checked = f"{count(int(gold[1].sum()), 'audited answer')} against P(liked), by context, less the mean difference."
    if found is not None:
        return Assumption(
            claim,
            checked,
            "doubtful",
            f"{found.by} {found.label}: {rate(found.observed)} liked, {rate(found.predicted)} expected",
            f"Leave {found.by} out of the context, or refit with these labels (--gold).",
        )
    enough = unseen <= _SEEN
    return Assumption(
        claim,
        checked,
        "holds" if enough else "not checked",
        f"no context differs beyond chance; a shift up to {rate(unseen)} would not be seen",
        "Nothing to do." if enough else "Audit more, from every context.",
    )


def _gold_by_context(reading: Reading, gold_N: Floats, known_N: NDArray[np.bool_]) -> list[Cell]:
    liked_N = reading.liked_N
    assert liked_N is not None
    y, p, unit = gold_N[known_N], liked_N[known_N], reading.unit_N[known_N]
    moved = np.clip(p + (y.mean() - p.mean()), 0, 1)
    cells = []
    for name, values in reading.log.context_columns().items():
        bins = bins_of(name, values[known_N])
        for j, label in enumerate(bins.labels):
            rows = bins.at_N == j
            if rows.sum() >= _ROWS_OF_GOLD:
                error = mean_error(y[rows], moved[rows], unit[rows])
                cells.append(
                    Cell(
                        "gold",
                        name,
                        label,
                        int(rows.sum()),
                        float(y[rows].mean()),
                        float(moved[rows].mean()),
                        error,
                    )
                )
    return cells


def _worst_of(cells: list[Cell]) -> Cell | None:
    """The cell farthest off, if it is beyond what chance gives the farthest of so many."""
    worst = max(cells, key=lambda cell: abs(cell.z))
    return worst if abs(worst.z) > _bound(cells) else None


def _bound(cells: list[Cell]) -> float:
    return float(norm.isf(_CHANCE / 2 / len(cells)))


def _misclicks(clause: str, known: _Known) -> Assumption:
    """Whether a signal is given that is not due: by gold, or by rows that carry a like and a dislike."""
    gold, reading = known.gold(), known.reading
    if gold is not None and reading is not None:
        found = [row for one in reading.signals if (row := _mistakes(one, *gold)) is not None]
        if found:
            worst = max(found, key=lambda row: row[1] / row[2])
            name, wrong, rows = worst
            share = wrong / rows
            centre = (share + Z * Z / (2 * rows)) / (1 + Z * Z / rows)
            half = half_width(rows, share)
            low, high = max(0.0, centre - half), min(1.0, centre + half)
            verdict: Verdict = "not checked"
            if low > _SURELY:
                verdict = "doubtful"
            elif high < _MISTAKES:
                verdict = "holds"
            return Assumption(
                clause,
                "Audited answers on which a signal fired that was not due (positive on disliked, negative on liked): "
                "mistakes, or users who see it otherwise.",
                verdict,
                f"{name} on {wrong:,} of {count(rows, 'row')}, {between(low, high)} (95 %)",
                {
                    "doubtful": "Name the rate (a signal's misclick) with latent_ml, or add signals: three tell it.",
                    "holds": "Nothing to do.",
                }.get(verdict, "Audit more rows: these leave it open."),
            )
    if reading is not None and len({one.signal.polarity for one in reading.signals}) == 2:
        likes = np.any([one.fired_N for one in reading.signals if one.signal.polarity > 0], axis=0)
        dislikes = np.any([one.fired_N for one in reading.signals if one.signal.polarity < 0], axis=0)
        both = int((likes & dislikes).sum())
        learned = any(head.name == "misclick" for head in known.rm.heads)
        if both:
            return Assumption(
                clause,
                "Rows that carry a like and a dislike: one of the two was a mistake, or two users differ.",
                "doubtful",
                f"{count(both, 'row')} of {len(reading.log):,}; the fit "
                + ("learned a rate of mistakes" if learned else "allows none"),
                "Nothing to do: the rate is part of the fit."
                if learned
                else "Use latent_ml, which learns the rate.",
            )
    return Assumption(
        clause,
        "A mistaken click looks like any other; without gold only rows that carry a like and a dislike would show it.",
        "cannot be checked from this log",
        "–",
        "Audit answers that fired a signal: the share of disliked ones is the mistake (name the column --gold).",
    )


def _mistakes(one: SignalReading, gold_N: Floats, known_N: NDArray[np.bool_]) -> tuple[str, int, int] | None:
    """(signal, rows on which it fired and was not due, rows on which it was not due); None of fewer than 20."""
    due_N = gold_N > 0.5 if one.signal.polarity > 0 else gold_N < 0.5
    rows_N = known_N & one.seen_N & ~due_N & (gold_N != 0.5)
    rows = int(rows_N.sum())
    return (one.signal.name, int((one.fired_N & rows_N).sum()), rows) if rows >= 20 else None


def _independent_of_liking(clause: str, known: _Known) -> Assumption:
    """Acting among those who like: by gold, against the fitted propensity."""
    gold, reading = known.gold(), known.reading
    unchecked = Assumption(
        clause,
        "Who likes is not seen, so neither is whether those who like act as the fit says.",
        "cannot be checked from this log",
        "–",
        "Audit answers drawn at random: of the liked ones, as many should have fired as the propensity says.",
    )
    if gold is None or reading is None:
        return unchecked
    gold_N, known_N = gold
    cells = []
    for one in reading.signals:
        if one.act_N is None:
            continue
        due_N = gold_N > 0.5 if one.signal.polarity > 0 else gold_N < 0.5
        rows = known_N & one.seen_N & due_N
        if rows.sum() >= 20:
            y, p = one.fired_N[rows].astype(np.float64), one.act_N[rows]
            error = mean_error(y, p, reading.unit_N[rows])
            cells.append(
                Cell(one.signal.name, "gold", "", int(rows.sum()), float(y.mean()), float(p.mean()), error)
            )
    if not cells:
        return unchecked
    worst = _worst_of(cells)
    one_cell = worst or cells[0]
    return Assumption(
        clause,
        "Of audited answers that are due a signal, the share that got it, against the fitted propensity (1 %). A gap "
        "may also be a propensity that is off.",
        "doubtful" if worst else "holds" if min(cell.rows for cell in cells) >= _GOLD else "not checked",
        f"{one_cell.signal}: {rate(one_cell.observed)} of {count(one_cell.rows, 'row')}, "
        f"{rate(one_cell.predicted)} expected (± {rate(Z * one_cell.error)})",
        "Refit with these labels (--gold), or calibrate." if worst else "Nothing to do.",
    )


def _independent_signals(clause: str, known: _Known) -> Assumption:
    """Pairs of signals: both fired, observed against predicted."""
    reading = known.reading
    if reading is None:
        return _without_log(clause, "How often two signals fire together, against the model.")
    cells = []
    for (j, k), predicted_N in reading.both.items():
        one, two = reading.signals[j], reading.signals[k]
        rows = one.seen_N & two.seen_N & np.isfinite(predicted_N)
        if rows.sum() >= 30:
            y = (one.fired_N & two.fired_N)[rows].astype(np.float64)
            error = mean_error(y, predicted_N[rows], reading.unit_N[rows])
            name = f"{one.signal.name} and {two.signal.name}"
            cells.append(
                Cell(name, "both", "", len(y), float(y.mean()), float(predicted_N[rows].mean()), error)
            )
    if len(reading.signals) < 2 or not cells:
        return Assumption(
            clause,
            "One signal depends on no other.",
            "cannot be checked from this log" if len(reading.signals) < 2 else "not checked",
            "–",
            "Nothing to do with one signal." if len(reading.signals) < 2 else "Name the signals of the fit.",
        )
    worst = _worst_of(cells)
    told = worst or max(cells, key=lambda cell: abs(cell.z))
    numbers = f"{told.signal}: {rate(told.observed, 3)} of the rows, {rate(told.predicted, 3)} expected"
    if worst is not None:
        return Assumption(
            clause,
            "How often two signals fire together, against the model.",
            "doubtful",
            numbers,
            "Keep one of the two, or add a signal of another kind.",
        )
    if len(reading.signals) == 2:
        return Assumption(
            clause,
            "How often the two fire together; but two signals have rates enough to fit that whatever the truth.",
            "cannot be checked from this log",
            numbers,
            "A third signal, or an audit, would check it.",
        )
    return Assumption(
        clause, "How often two signals fire together, against the model.", "holds", numbers, "Nothing to do."
    )


def _better_than_chance(clause: str, known: _Known) -> Assumption:
    """Whether signals fire more often where they are due: by gold."""
    gold, reading = known.gold(), known.reading
    if gold is not None and reading is not None:
        told = [row for one in reading.signals if (row := _by_cause(one, *gold)) is not None]
        if told:
            name, due, other, error = min(told, key=lambda row: (row[1] - row[2]) / row[3])
            sure: Verdict = "not checked"
            if abs(due - other) > Z * error:
                sure = "holds" if due > other else "doubtful"
            return Assumption(
                clause,
                "Signal rates on audited answers: where they are due, and where not.",
                sure,
                f"{name}: {rate(due)} where due, {rate(other)} where not",
                "Nothing to do."
                if sure == "holds"
                else "Look at the polarity of the signal; audit more answers.",
            )
    return Assumption(
        clause,
        "The fit is built so: a signal is never taken to fire more often where it is not due.",
        "cannot be checked from this log",
        "–",
        "Audit answers: the signal should fire more often on liked ones (negative: on disliked ones).",
    )


def _by_cause(
    one: SignalReading, gold_N: Floats, known_N: NDArray[np.bool_]
) -> tuple[str, float, float, float] | None:
    """(signal, its rate where it is due, where it is not, standard error of the difference); None of few rows."""
    rows_N = known_N & one.seen_N & (gold_N != 0.5)
    due_N = rows_N & ((gold_N > 0.5) if one.signal.polarity > 0 else (gold_N < 0.5))
    parts = [one.fired_N[due_N], one.fired_N[rows_N & ~due_N]]
    if min(map(len, parts)) < _ROWS_OF_GOLD:
        return None
    due, other = (float(part.mean()) for part in parts)
    variance = sum(p * (1 - p) / len(part) for p, part in zip((due, other), parts, strict=True))
    return one.signal.name, due, other, max(float(np.sqrt(variance)), 1e-9)


def _same_activity(clause: str, known: _Known) -> Assumption:
    """Methods that take everybody to be as active: contexts that fire at other rates speak against it."""
    if known.reading is None:
        return _without_log(clause, "Signal rates by context.")
    moving = [
        (bias.column, one)
        for bias in known.biases
        for one in bias.signals
        if one.moves and bias.column in known.said.context + known.reading.log.roles.context
    ]
    if moving:
        column, one = moving[0]
        return Assumption(
            clause,
            "Signal rates by context: they should hardly differ if answers do not.",
            "doubtful",
            f"{one.signal} differs by {column}",
            "Fit a method that models who acts (implicit_rm, latent_ml), with this context.",
        )
    return Assumption(
        clause,
        "Signal rates by context; alike rates are what it implies, and no proof.",
        "cannot be checked from this log",
        "no context that differs" if known.biases[:-1] else "no context is named",
        "Audit liked answers that nobody acted on; or fit a method that models who acts.",
    )


def _at_random(clause: str, known: _Known) -> Assumption:
    return Assumption(
        clause,
        "Labels that were not given are not seen; nothing in the log says that they would be like those that were.",
        "cannot be checked from this log",
        "–",
        "Audit answers that got no label, drawn at random (--gold).",
    )


def _gold_true(clause: str, known: _Known) -> Assumption:
    return Assumption(
        clause,
        "Trusted labels are taken at their word.",
        "cannot be checked from this log",
        f"{count(known.said.gold_rows, 'row')} of the fit had one",
        "Let a second person judge some of them, and compare.",
    )


_CLAUSES: dict[str, Callable[[str, _Known], Assumption]] = {
    "misclicks": _misclicks,
    "context moves": _exclusion,
    "activity depends on the context alone": _exclusion,
    "activity independent of preference": _independent_of_liking,
    "signals independent given preference": _independent_signals,
    "better than chance": _better_than_chance,
    "activity the same": _same_activity,
    "every user who likes": _same_activity,
    "equally active": _same_activity,
    "silence is dislike": _same_activity,
    "at random": _at_random,
    "gold labels are": _gold_true,
}


# ---- of every fit


def _signals(known: _Known) -> Assumption | None:
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


def _uses_context(known: _Known) -> bool:
    return known.rm.method.exchangeable or "context" in known.rm.method.needs


def _context(known: _Known) -> Assumption | None:
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
        return _without_log(claim, "Whether context columns vary, and signals with them.")
    columns = known.reading.log.context_columns()
    if not columns:
        return _without_log(
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


def _linked(known: _Known) -> Assumption | None:
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


def _overlap(known: _Known) -> Assumption | None:
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
    return _without_log(claim, checked, None if known.reading is None else known.reading.silent)


def _foretells(known: _Known) -> Assumption | None:
    claim = "the model foretells what users do"
    checked = "Predicted against observed rate of each signal, by tenths, context and length."
    if not known.said.signals or not known.rm.info["identification"].get("models_signals", True):
        return None
    if known.reading is None:
        return _without_log(claim, checked)
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


def _order(known: _Known) -> Assumption:
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


def _roles(known: _Known) -> Assumption | None:
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


def _level(known: _Known) -> Assumption | None:
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


def _without_log(claim: str, checked: str, why: str | None = None) -> Assumption:
    return Assumption(
        claim, checked, "not checked", why or "no log was named", "Name the log: `tacit report MODEL LOG`."
    )
