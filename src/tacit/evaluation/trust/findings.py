"""Can I trust it? Everything that `tacit report` says of a model, as numbers and sentences, without a picture.

folder  →  what it states
log     →  read once: rewards, who acts, what ought to fire
        →  biases · assumptions · surface · scores;   the audit from both
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tacit.data import FeedbackLog
from tacit.errors import DataError
from tacit.evaluation.bootstrap import Interval
from tacit.evaluation.table import Row
from tacit.evaluation.trust.assumption import Assumption
from tacit.evaluation.trust.assumptions import assumptions
from tacit.evaluation.trust.audit import Audit, audit
from tacit.evaluation.trust.biases import Bias, biases
from tacit.evaluation.trust.predictive import Predictive, predictive
from tacit.evaluation.trust.reading import Reading, read
from tacit.evaluation.trust.scores import Scores, scores
from tacit.evaluation.trust.statement import Statement, statement
from tacit.evaluation.trust.surface import Surface, surface
from tacit.features import EmbeddingStore
from tacit.model import FittedScorer


@dataclass(frozen=True)
class TrustReport:
    """What is known of a model, and how sure it is.

    Attributes:
        statement: what the model says of itself.
        log: name of the log that was looked at; None where none was.
        rows: of it; 0 without.
        origin: how far these rows are those of the fit, in a sentence.
        silent: why the model says nothing of the signals of this log; None where it does, or without a log.
        biases: by column; empty without a log.
        assumptions: a row each.
        predictive: predicted against observed rates; None where there are none.
        surface: length and style; None without a log, and of equal rewards.
        audit: how many answers to audit, and what gold says.
        scores: how they are spread; None without a log.
    """

    statement: Statement
    log: str | None
    rows: int
    origin: str
    silent: str | None
    biases: tuple[Bias, ...]
    assumptions: tuple[Assumption, ...]
    predictive: Predictive | None
    surface: Surface | None
    audit: Audit
    scores: Scores | None

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists; None for what is not defined."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def verdicts(self) -> dict[str, int]:
        """How many assumptions hold, are doubtful, cannot be checked and were not."""
        found: dict[str, int] = {}
        for row in self.assumptions:
            found[row.verdict] = found.get(row.verdict, 0) + 1
        return found


def trust_report(
    rm: FittedScorer,
    log: FeedbackLog | None = None,
    *,
    store: EmbeddingStore | None = None,
    quiet: bool = True,
) -> TrustReport:
    """Ask of a model what can be asked without the truth: what is biased, what it assumes, what would settle it.

    Args:
        rm: a model of `tacit.fit` or `tacit.finetune`, calibrated or not.
        log: N rows, best those of the fit, or newer ones with its signals and context; with `gold` (0 to 1) the answers
            that were audited. None: only what the model states, and how many answers to audit.
        store: embedding cache.
        quiet: no progress bar.

    Returns:
        Numbers and sentences. Rates are shares of rows, P(liked) and propensities lie in [0, 1], rewards and
        disagreement are in logits. Formulas stand in the modules of `tacit.evaluation.trust`: Wilson's interval
        (JASA 1927) in `audit`, cluster-robust z of observed less predicted rates in `predictive`, cross-fitted R² in
        `surface`.

    Raises:
        ConfigError: the model scores context, and the log does not name it.
        DataError: gold is named, and no row has any.

    Example:
        >>> import tacit
        >>> from tacit.worlds import demo_world
        >>> log = demo_world(seeds=1, limit=24).log
        >>> knobs = {"members": 2, "hidden": (), "weight_decay": 1.0, "max_epochs": 3}
        >>> found = trust_report(tacit.fit(log, encoder="hashing:32", config=knobs), log)
        >>> [bias.column for bias in found.biases]
        ['position', 'device', 'activity', 'response length (words)']
        >>> sum(found.biases[0].rows) == found.rows == len(log)
        True
        >>> found.assumptions[0].claim, found.assumptions[0].verdict
        ('no misclicks', 'cannot be checked from this log')
        >>> found.audit.needs[0].within, found.audit.needs[0].alone
        (0.05, 381)
    """
    said = statement(rm, log)
    if log is None:
        return TrustReport(
            statement=said,
            log=None,
            rows=0,
            origin="No log was named: sections 2, 4 and 6, and most checks of section 3, need one.",
            silent=None,
            biases=(),
            assumptions=assumptions(rm, said, None, (), None),
            predictive=None,
            surface=None,
            audit=audit(rm.info, rm.has_probability, None),
            scores=None,
        )
    if log.roles.gold is not None and not log.gold_values()[1].any():
        raise DataError(
            f"{log.name}: no row has gold in column {log.roles.gold!r}, expected a number on one row at least; fill it "
            "in, or name another column or none"
        )
    reading = read(rm, log, store=store, quiet=quiet)
    moved, told = biases(reading), predictive(reading)
    return TrustReport(
        statement=said,
        log=log.name.rsplit("/", 1)[-1] or log.name,
        rows=len(log),
        origin=_origin(reading),
        silent=reading.silent,
        biases=moved,
        assumptions=assumptions(rm, said, reading, moved, told),
        predictive=told,
        surface=surface(rm, reading),
        audit=audit(rm.info, rm.has_probability, reading),
        scores=scores(reading),
    )


def _origin(reading: Reading) -> str:
    share = reading.overlap.share
    if share is None:
        return "Whether the fit has read these rows is not known."
    if share == 0:
        return "The fit has not read these rows."
    told = (
        "These are the rows of the fit"
        if share == 1
        else f"The fit has read {100 * share:.1f} % of these rows"
    )
    if reading.held_out:
        return f"{told}: signal rates are foretold by members that did not train on the row; all else is in-sample."
    return f"{told}: what the model says of them is in-sample."


def summary(found: TrustReport) -> Iterator[str]:
    """Paragraphs of a few lines: the verdicts.

    Args:
        found: of `trust_report`.
    """
    yield found.statement.told
    for bias in found.biases:
        yield from (
            f"{bias.column}: {told}" for told, one in zip(bias.told, bias.signals, strict=True) if one.moves
        )
    counts = found.verdicts()
    yield "Assumptions: " + ", ".join(
        f"{counts[name]} {words}"
        for name, words in (
            ("holds", "checked and borne out"),
            ("doubtful", "doubtful"),
            ("cannot be checked from this log", "that this log cannot check"),
            ("not checked", "not checked"),
        )
        if name in counts
    )
    for row in found.assumptions:
        if row.verdict == "doubtful":
            yield f"  doubtful: {row.claim} ({row.found})"
    if found.surface is not None:
        yield f"Does length explain everything? {found.surface.told}"
        if found.surface.judged is not None:
            yield found.surface.do
    yield f"To settle the share liked: {found.audit.told}"
    if found.audit.audited is not None:
        yield audited_words(found.audit)


def audited_words(found: Audit) -> str:
    """What the audit says, and whether the model agrees."""
    from tacit.evaluation.trust.words import between, count, rate

    one = found.audited
    if one is None:
        return "No answer is audited here."
    told = (
        f"{count(one.rows, 'audited answer')}, if drawn at random: {rate(one.share.value)} liked, "
        f"{between(one.share.low, one.share.high)} (95 %)"
    )
    if one.stated is not None:
        told += f"; the fit's own interval {'overlaps' if one.stated else 'lies apart'}"
    if one.predicted is None or one.difference is None:
        return f"{told}; the scores have no level to compare."
    told += f"; the model says {rate(one.predicted)} of the same answers"
    if one.verdict == "nothing to compare":
        return f"{told}; of one prompt there is no interval."
    gap = f"{rate(one.difference.value)}, {between(one.difference.low, one.difference.high)}"
    return f"{told}: they {one.verdict} (model less audit {gap})."


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Interval | Row):
        return value.to_json()
    if isinstance(value, Predictive):
        cells = [{**dataclasses.asdict(cell), "z": cell.z} for cell in value.cells]
        return {"held_out": value.held_out, "bound": value.bound, "off": len(value.off), "cells": cells}
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
