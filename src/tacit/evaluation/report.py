"""Judging a saved model on a log: as it is on a new log, by cross-validated refits on its own.

A fine-tuned model is judged as it is on any log: to fine-tune it anew for every fold is a training run of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from tacit import methods
from tacit.data import FeedbackLog
from tacit.errors import ConfigError, DegenerateDataError
from tacit.evaluation.as_it_is import (
    NONE,
    Judged,
    log_of_fit,
    lost_nuisance,
    observe_as_fitted,
    overlap_with_calibration,
    overlap_with_fit,
    predict_as_it_is,
)
from tacit.evaluation.bootstrap import Interval
from tacit.evaluation.crossval import cross_validate, truths, unit_of, without_values
from tacit.evaluation.policies import PolicyRow, by_policy, without_policy
from tacit.evaluation.style_alone import Style
from tacit.evaluation.table import LOWER_IS_BETTER, MORE, Predictions, Row, compare
from tacit.features import EmbeddingStore
from tacit.fitting import prepare
from tacit.methods import Method, Observations
from tacit.model import FittedScorer, RewardModel
from tacit.training.config import TrainingConfig

_ESTIMATES_DIFFER = 0.1
"""Shares of rows of two fits that are estimated from samples of them count as different beyond this."""


_FEW = 5000
"""Rows below which the caption says so: of 1,241 another division into folds moved metrics by two hundredths."""


@dataclass(frozen=True)
class Evaluation:
    """The table, the model's differences from the others, and the rewards by policy.

    Attributes:
        main: the model's name in the table.
        title: of the table.
        caption: what has to be known to read it, a fact a line.
        rows: by method.
        policies: mean rewards by policy; empty where the log names none.
        folds: of the refits; 0 if the model was judged as it is.
        against: name of the model beside which this one was judged, if any.
    """

    main: str
    title: str
    caption: str
    rows: list[Row]
    policies: list[PolicyRow]
    folds: int
    against: str | None = None

    def differences(self) -> dict[str, dict[str, Interval]]:
        """Paired differences of the model from the references."""
        return next(row.against for row in self.rows if row.method == self.main)

    def comparable(self) -> bool:
        """Whether some metric of both models has an interval: of one prompt, none has."""
        gains = self._judging()
        return any(math.isfinite(gain.low) for gain in gains.values())

    def worse(self) -> dict[str, Interval]:
        """Metrics in which the model does worse than `against`: its whole paired interval lies on the wrong side of 0.

        ECE, which has no interval, is never among them, nor are the metrics of `MORE`. Each of several metrics raises
        false alarms of its own.
        """
        return {
            name: gain
            for name, gain in self._judging().items()
            if (gain.low > 0 if name in LOWER_IS_BETTER else gain.high < 0)
        }

    def _judging(self) -> dict[str, Interval]:
        """Differences from `against` that a verdict may hang on."""
        gains = {} if self.against is None else self.differences()[self.against]
        return {name: gain for name, gain in gains.items() if name not in MORE}

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "model": self.main,
            **({} if self.against is None else {"against": self.against, "worse": list(self.worse())}),
            "folds": self.folds,
            "rows": [row.to_json() for row in self.rows],
            "policies": [policy.to_json() for policy in self.policies],
            "note": self.caption,
        }


def evaluate_model(
    rm: FittedScorer,
    log: FeedbackLog,
    *,
    folds: int | None = None,
    repeats: int = 1,
    by: str | None = None,
    threshold: float = 0.5,
    against: FittedScorer | None = None,
    names: tuple[str, str] = ("this", "other"),
    store: EmbeddingStore | None = None,
    quiet: bool = True,
) -> Evaluation:
    """Judge a model beside `constant`, `length` and, refitted, `style`, `naive` and `oracle`; or beside another model.

    Args:
        rm: a model of `tacit.fit` or of `tacit.finetune`.
        log: with signals, gold or ranks to judge by.
        folds: 0 scores the log with the model as it is; K refits the model's method K times on the other folds.
            None refits (5) if this is the log of the fit, because a model must not be judged on its own training rows;
            a fine-tuned model is not refitted, and judged as it is.
            A model that was given gold is refitted with the gold of the other folds. Rows of the fit in another log are
            told by the caption and in the model's protocol.
        repeats: how many times to refit, each time with other folds and another seed; metrics are means. The division
            of a small log into folds moves them by a few hundredths. Intervals are of the answers judged, as for one.
        by: role or column that folds and bootstrap keep together.
        threshold: gold above it counts as liked for AUROC.
        against: another model, last week's say, that is scored on the same rows; `differences` then holds what the
            model gains on it. Nothing is refitted, and of each is told how many of its own training rows are here.
        names: of the model and of `against`, which stand behind their methods where these are the same.
        store: embedding cache.
        quiet: no progress bars.

    Raises:
        ConfigError: a threshold outside [0, 1); repeats without refits; nothing to judge by: no gold, no ranks, and
            signals of which the model gives no likelihood; refits of a model that was fine-tuned, or given nuisances
            that this log lacks, or gold that it does not name; or `against` with refits, or without gold and ranks
            where the two were fitted to other signals.
        DataError: no row has the gold or the rank that is named.

    Example:
        >>> import tacit
        >>> from tacit.worlds import demo_world
        >>> log = demo_world(seeds=1, limit=24).log
        >>> knobs = {"members": 2, "hidden": (), "weight_decay": 1.0, "max_epochs": 3}
        >>> rm = tacit.fit(log, encoder="hashing:32", config=knobs)
        >>> found = evaluate_model(rm, log, folds=0)
        >>> [row.method for row in found.rows]
        ['constant', 'length', 'implicit_rm']
        >>> found.caption
        'These are the rows of the fit: scores are flattered. Use --folds 5.'
        >>> older = tacit.fit(log.take(range(len(log) - 4)), encoder="hashing:32", config=knobs)
        >>> found = evaluate_model(rm, log, against=older, names=("new", "old"))
        >>> [(row.method, row.protocol) for row in found.rows[2:]]
        [('implicit_rm (old)', 'partly in-sample'), ('implicit_rm (new)', 'in-sample')]
        >>> list(found.differences())
        ['implicit_rm (old)', 'constant']
    """
    if not 0 <= threshold < 1:
        raise ConfigError(
            f"threshold is {threshold:g}, expected 0 or more and less than 1: gold lies in [0, 1], and what is above "
            "the threshold counts as liked"
        )
    if against is not None:
        _refuse_refits(folds)
    own = log_of_fit(rm, log) is not None
    chosen = 0 if against is not None else _folds(rm, folds, own)
    if repeats < 1 or (repeats > 1 and not chosen):
        raise ConfigError(
            f"repeats is {repeats}, expected 1 or more, and 1 where nothing is refitted; name --folds K (folds=K) for "
            "refits"
        )
    use_gold = False
    if isinstance(rm, RewardModel) and chosen:
        log, use_gold = _to_refit(rm, log)
    if log.roles.gold is None and log.roles.rank is None and not log.roles.signals:
        raise ConfigError(f"{log.name}: nothing to judge by; name --gold, --rank or the signals of the fit")
    unit = by or unit_of(log)
    main, other = _names(rm, against, names)
    # No row is judged by a refit that trained on it, nor by a map that trusted rows made of another fit.
    ours, theirs = Judged(rm.with_calibration(None), main, NONE), None
    truth = truths(log, unit, threshold)
    if isinstance(rm, RewardModel) and chosen:
        config = TrainingConfig(**rm.info["training"]["config"])
        observed = observe_as_fitted(rm, log)
        prepared = replace(prepare(log, rm.encoder, store=store, quiet=quiet), observations=observed)

        def refits(contenders: list[Method], use_gold: bool = False) -> list[Predictions]:
            return [
                found
                for turn in range(repeats)
                for found in cross_validate(
                    prepared,
                    contenders,
                    folds=chosen,
                    by=unit,
                    propensity_features=rm.propensity_features,
                    reward_features=rm.reward_features,
                    config=config.model_copy(update={"seed": config.seed + turn}),
                    use_gold=use_gold,
                    quiet=quiet,
                )
            ]

        contenders = _contenders(rm.method, observed)
        if use_gold:  # for the model alone: what it is compared with stays blind
            blind = [method for method in contenders if method.key != rm.method.key]
            predictions = refits(blind) + refits([rm.method], use_gold=True)
        else:
            predictions = refits(contenders)
        times = f"{repeats} times " if repeats > 1 else ""
        title = f"{log.name}: {times}{chosen}-fold cross-validation over {unit.removesuffix('_id')}s, 95 % intervals"
    else:
        ours = _judged(rm, main, log, own)
        if against is not None:
            theirs = _judged(against, other, log, log_of_fit(against, log) is not None)
        predictions = predict_as_it_is(ours, log, against=theirs, store=store, quiet=quiet)
        title = f"{log.name}: {len(log):,} responses, 95 % intervals over {unit.removesuffix('_id')}s"
    rows = compare(
        predictions,
        truth,
        references=(*([other] if theirs else []), "naive", "oracle", "constant"),
        more=True,
    )
    found = next(p for p in predictions if p.method == main)
    return Evaluation(
        main,
        title,
        _caption(rows, ours, theirs, chosen, log)
        + (
            "\nRefits are not calibrated: --folds 0 judges the calibrated model, as it is."
            if chosen and rm.calibration
            else ""
        )
        + (
            "\nOther folds would move these figures, which their intervals do not hold: --repeats 5 takes the mean."
            if chosen and repeats == 1 and len(log) < _FEW
            else ""
        ),
        rows,
        by_policy(log, found.reward_N, found.probability_N if found.has_level else None, truth.units_N),
        chosen,
        theirs.name if theirs else None,
    )


def _judged(rm: FittedScorer, name: str, log: FeedbackLog, own: bool) -> Judged:
    """A model as it is, and what it knows of these rows."""
    return Judged(rm, name, overlap_with_fit(rm, log, own), overlap_with_calibration(rm, log))


def _refuse_refits(folds: int | None) -> None:
    if folds:
        raise ConfigError(
            f"folds is {folds}, but two models are compared as they are, expected 0: leave --folds out (folds=None), "
            "or --against (against=None)"
        )


def _names(rm: FittedScorer, against: FittedScorer | None, names: tuple[str, str]) -> tuple[str, str]:
    """What the two are called in the table: their methods, with their own names behind if these are not told apart."""
    if against is None:
        return rm.method.key, ""
    keys = (rm.method.key, against.method.key)
    if len({*keys, "constant", "length"}) == 4:
        return keys
    if names[0] == names[1]:
        raise ConfigError(f"names are {names[0]!r} twice, expected one for each model")
    return f"{keys[0]} ({names[0]})", f"{keys[1]} ({names[1]})"


def _folds(rm: FittedScorer, asked: int | None, own: bool) -> int:
    """How many refits: what was asked for, or 5 on the log of the fit; none of a fine-tuned model."""
    if isinstance(rm, RewardModel):
        return asked if asked is not None else (5 if own else 0)
    if asked:
        raise ConfigError(
            f"folds is {asked}, but the model was fine-tuned, expected one of tacit fit, which alone is refitted here; "
            "leave --folds out (folds=0) to score it as it is, on rows that it was not trained on"
        )
    return 0


def _to_refit(rm: RewardModel, log: FeedbackLog) -> tuple[FeedbackLog, bool]:
    """The log with the gold that the fit was given, if any; and whether a method that can do without was given it."""
    lost = lost_nuisance(rm, log)
    if lost is not None:
        raise ConfigError(
            f"the model was fitted with {lost}, so it cannot be refitted; use --folds 0 (folds=0) to score as it is"
        )
    gold = rm.info["roles"]["gold"]
    if gold is None or rm.method.reads_gold or not rm.method.uses_gold:
        return log, False
    if log.roles.gold is None and gold in log.table.column_names:
        log = log.with_roles(gold=gold)
    if log.roles.gold != gold:
        raise ConfigError(
            f"the model was fitted with the gold column {gold!r}, found {log.roles.gold or 'none'}, so it cannot be "
            f"refitted; use --gold {gold}, or --folds 0 (folds=0) to score as it is"
        )
    return log, True


def _contenders(method: Method, obs: Observations) -> list[Method]:
    wanted: list[Method] = [methods.Constant(), methods.Length(), Style(), methods.Naive(), method]
    if obs.gold_B is not None:
        wanted.append(methods.Oracle())
    kept: dict[str, Method] = {}
    for candidate in wanted:
        try:
            candidate.check(obs)
        except DegenerateDataError:
            if candidate is method:
                raise
            continue
        kept[candidate.key] = candidate
    return list(kept.values())


def _caption(rows: list[Row], ours: Judged, theirs: Judged | None, folds: int, log: FeedbackLog) -> str:
    main, refits = ours.name, theirs is None and isinstance(ours.rm, RewardModel)
    lines = _overlaps(ours, theirs, refits=refits) + _calibrations(ours, theirs)
    if not refits:
        who = (
            "A fine-tuned model is judged as it is"
            if theirs is None
            else "Both models are judged as they are"
        )
        lines.append(f"{who}: naive and oracle, which would have to be fitted to these rows, are left out.")
    lines += [f"{line[0].upper()}{line[1:]}." for line in without_values(log)]
    if silent := without_policy(log):
        lines.append(f"Responses that name no policy: {silent:,}; they stand in no row of the policies.")
    own = next(row for row in rows if row.method == main)
    if not ours.has_level:
        lines.append(
            f"The scores of {main} only order answers: they have no level, and no error of one is told."
        )
    if set(own.metrics) <= {"base_rate"}:
        lines.append(f"Nothing here judges {main}; name --gold or --rank.")
    for name, title in (("within_prompt_accuracy", "order within prompts"), ("auroc", "AUROC")):
        lines += [
            f"{row.method.capitalize()} alone does better than {main} in {title}."
            for row in rows
            if row.method in ("length", "style")
            and name in own.metrics
            and row.metrics[name].value > own.metrics[name].value
        ]
    return "\n".join(lines + _told_gold(rows, ours, theirs, folds))


def _overlaps(ours: Judged, theirs: Judged | None, *, refits: bool) -> list[str]:
    """Says how many of these rows each model was fitted to, and whom that favours."""
    if theirs is None:
        told = [ours.overlap.describe(refits=refits)]
    else:
        told = [model.overlap.describe(refits=False, of=model.name) for model in (ours, theirs)]
        told.append(_favour(ours, theirs))
    return [line for line in told if line]


def _calibrations(ours: Judged, theirs: Judged | None) -> list[str]:
    """Says of each calibrated model whether the rows that did it are among these."""
    told = []
    for model in (ours, theirs):
        if model is None or model.rm.calibration is None:
            continue
        share, rows = model.calibrated.share, model.rm.calibration["rows"]
        if share is None:
            told.append(f"Whether rows that calibrated {model.name} are among these is not known.")
        elif share == 0:
            told.append(f"{model.name} was calibrated on {rows:,} trusted rows, none of them among these.")
        else:
            about = "" if model.calibrated.exact else "about "
            which = (
                "These are the rows that"
                if share == 1
                else f"Of the rows with gold {about}{100 * share:.1f} %"
            )
            told.append(
                f"{which} calibrated {model.name}: its probabilities are flattered. Judge them by other rows; its card "
                "tells what prompts held out say."
            )
    return told


def _favour(ours: Judged, theirs: Judged) -> str:
    """Says which of two models was fitted to more of these rows, if either was for all that is known."""
    more, less = sorted((ours, theirs), key=lambda model: -(model.overlap.share or 0))
    if more.overlap.share is None or less.overlap.share is None:
        return ""
    known = more.overlap.exact and less.overlap.exact
    if more.overlap.share - less.overlap.share <= (0 if known else _ESTIMATES_DIFFER):
        return ""
    return f"The difference favours {more.name}, which was fitted to more of these rows than {less.name}."


def _told_gold(rows: list[Row], ours: Judged, theirs: Judged | None, folds: int) -> list[str]:
    """Says which methods learned from gold."""
    if folds:
        told, where = [row.method for row in rows if row.protocol == "oracle"], "the other folds"
        rest = "every other method never saw one"
    else:
        told = [model.name for model in (ours, theirs) if model is not None and model.read_gold]
        where, rest = "its fit" if len(told) == 1 else "their fits", "the others never saw one"
    if not told:
        return []
    verb = "were" if len(told) > 1 else "was"
    return [f"{' and '.join(told)} {verb} trained on the gold labels of {where}; {rest}."]


__all__ = ["Evaluation", "evaluate_model"]
