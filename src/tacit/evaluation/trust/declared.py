"""What a method declares that it assumes, clause by clause: how each was checked, and what came out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from tacit.evaluation.trust.assumption import Assumption, Floats, Known, Verdict, without_log
from tacit.evaluation.trust.bins import bins_of
from tacit.evaluation.trust.predictive import Cell, mean_error
from tacit.evaluation.trust.reading import Reading, SignalReading
from tacit.evaluation.trust.words import between, count, rate
from tacit.methods.nuisances.estimate import Z95, wilson

_GOLD = 100  # audited rows from which they can bear an assumption out
_ROWS_OF_GOLD = 50  # of one context
_SEEN = 0.1  # shift of a context that an audit has to be able to see
_CHANCE = 0.01  # of a doubt where nothing is wrong, each check by itself: a page has several
_SURELY, _MISTAKES = 0.01, 0.05  # rates of mistakes that are surely above the one, or surely below the other


def of_clause(clause: str, known: Known) -> Assumption | None:
    """A clause of the declaration, by what it speaks of; one that nobody here knows cannot be checked."""
    if clause.startswith("nothing"):
        return None
    check = next((check for words, check in _CLAUSES.items() if words in clause), _unknown)
    return check(clause, known)


def _unknown(clause: str, known: Known) -> Assumption:
    return Assumption(
        clause,
        "No data of this kind contradict it or bear it out.",
        "cannot be checked from this log",
        "–",
        "Audit answers drawn at random (section 5) and judge the model by them: `tacit evaluate --gold`.",
    )


def _exclusion(clause: str, known: Known) -> Assumption:
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


def _misclicks(clause: str, known: Known) -> Assumption:
    """Whether a signal is given that is not due: by gold, or by rows that carry a like and a dislike."""
    gold, reading = known.gold(), known.reading
    if gold is not None and reading is not None:
        found = [row for one in reading.signals if (row := _mistakes(one, *gold)) is not None]
        if found:
            worst = max(found, key=lambda row: row[1] / row[2])
            name, wrong, rows = worst
            share = wilson(wrong, rows)
            verdict: Verdict = "not checked"
            if share.low > _SURELY:
                verdict = "doubtful"
            elif share.high < _MISTAKES:
                verdict = "holds"
            return Assumption(
                clause,
                "Audited answers on which a signal fired that was not due (positive on disliked, negative on liked): "
                "mistakes, or users who see it otherwise.",
                verdict,
                f"{name} on {wrong:,} of {count(rows, 'row')}, {between(share.low, share.high)} (95 %)",
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


def _independent_of_liking(clause: str, known: Known) -> Assumption:
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
        f"{rate(one_cell.predicted)} expected (± {rate(Z95 * one_cell.error)})",
        "Refit with these labels (--gold), or calibrate." if worst else "Nothing to do.",
    )


def _independent_signals(clause: str, known: Known) -> Assumption:
    """Pairs of signals: both fired, observed against predicted."""
    reading = known.reading
    if reading is None:
        return without_log(clause, "How often two signals fire together, against the model.")
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


def _better_than_chance(clause: str, known: Known) -> Assumption:
    """Whether signals fire more often where they are due: by gold."""
    gold, reading = known.gold(), known.reading
    if gold is not None and reading is not None:
        told = [row for one in reading.signals if (row := _by_cause(one, *gold)) is not None]
        if told:
            name, due, other, error = min(told, key=lambda row: (row[1] - row[2]) / row[3])
            sure: Verdict = "not checked"
            if abs(due - other) > Z95 * error:
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


def _same_activity(clause: str, known: Known) -> Assumption:
    """Methods that take everybody to be as active: contexts that fire at other rates speak against it."""
    if known.reading is None:
        return without_log(clause, "Signal rates by context.")
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


def _at_random(clause: str, known: Known) -> Assumption:
    return Assumption(
        clause,
        "Labels that were not given are not seen; nothing in the log says that they would be like those that were.",
        "cannot be checked from this log",
        "–",
        "Audit answers that got no label, drawn at random (--gold).",
    )


def _gold_true(clause: str, known: Known) -> Assumption:
    return Assumption(
        clause,
        "Trusted labels are taken at their word.",
        "cannot be checked from this log",
        f"{count(known.said.gold_rows, 'row')} of the fit had one",
        "Let a second person judge some of them, and compare.",
    )


_CLAUSES: dict[str, Callable[[str, Known], Assumption]] = {
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
