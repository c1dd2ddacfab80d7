"""`tacit.calibrate`: the probabilities of a fitted model set right by a few trusted rows, its order left as it is.

A reward model's order may be right where its level is not: one signal leaves the share of liked answers open, and what
a pair loss fits has no level at all. A small audit settles that: sigmoid(slope · logit + shift) is fitted to its labels
and saved with the model. Rewards do not change.

    score + level  →  slope, shift by maximum likelihood  →  judged on prompts held out  →  the model that states them

N rows with a trusted label.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tacit.data import FeedbackLog, KnownPairs
from tacit.errors import ConfigError, DataError, DegenerateDataError, IdentificationWarning, shown
from tacit.evaluation.as_it_is import overlap_with_fit
from tacit.evaluation.bootstrap import Drawn, Interval, Metric, bootstrap, weighted_mean
from tacit.evaluation.metrics import ece
from tacit.features import EmbeddingStore
from tacit.methods.nuisances.logistic import sigmoid
from tacit.methods.nuisances.maps import Affine
from tacit.methods.nuisances.trusted_map import likeliest, shift_alone, slope_and_shift
from tacit.model import FittedScorer

Floats = NDArray[np.float64]
Model = TypeVar("Model", bound=FittedScorer)

LEAST_ROWS, LEAST_PROMPTS = 10, 5
"""Fewer say nothing of other prompts."""

FOR_SLOPE = 50
"""Rows from which the slope is fitted as well; below, its error costs more than leaving it at 1."""

_FOLDS, _DRAWS = 5, 200
_PER_BIN = 20
"""Rows that a bin of the ECE holds at least, which would otherwise be little but chance in a small slice."""


@dataclass(frozen=True)
class Slice:
    """The trusted rows of a log.

    Attributes:
        log: these rows.
        fit_N: logits as the fit gave them, score + level.
        gold_N: trusted labels, 0 to 1.
        prompt_N: the prompt of each, which intervals draw and folds keep together.
        sloped: whether the slope is fitted, or left at 1.
    """

    log: FeedbackLog
    fit_N: Floats
    gold_N: Floats
    prompt_N: NDArray[np.int64]
    sloped: bool

    @property
    def two_sided(self) -> bool:
        """Whether the labels say of anything that it is liked, and of anything that it is not."""
        return bool(0 < self.gold_N.mean() < 1)

    def rows(self, chosen: NDArray[Any]) -> Slice:
        """Some of the rows: numbers, with repeats, or a mask [N]."""
        return replace(
            self, fit_N=self.fit_N[chosen], gold_N=self.gold_N[chosen], prompt_N=self.prompt_N[chosen]
        )


def calibrate(
    rm: Model, log: FeedbackLog, *, store: EmbeddingStore | None = None, quiet: bool = True
) -> Model:
    """A model whose probabilities agree with trusted labels, and whose rewards and order are those of `rm`.

    Below 50 rows only the shift is fitted. What it is worth is judged by five-fold cross-fitting over prompts: each row
    by the map of the other prompts. A calibration that `rm` has already is replaced: the map is one of the fit.

    Args:
        rm: from `tacit.fit`, `tacit.finetune` or `tacit.load`; its method may be one whose scores only order.
        log: rows with gold (`FeedbackLog.read(…, gold=COLUMN)`), 10 of 5 prompts at least, drawn at random from those
            the probabilities are to hold for, and not rows of the fit. Rows without gold are left out.
        store: embedding cache.
        quiet: no progress bar.

    Returns:
        The model, as it states itself in `calibration`: `slope`, `shift` and their 95 % intervals; `rows`, `prompts`,
        `gold`, `log`, `fingerprint` and `pairs` of the slice; `mean_gold`, which is the mean probability there, too;
        `before`, `after` and `difference` of Brier score, NLL, ECE and the mean probability (`before` is null of scores
        that only order);
        `of_fit`, the share of rows that the fit has read.

    Raises:
        ConfigError: `log` is no log or names no gold; or the scores have no scale, and the rows are too few to give
            them one.
        DataError: too few rows or prompts with gold, labels that are all 0 or all 1.
        IdentificationError: the labels contradict the order of the scores.

    Example:
        >>> import tacit
        >>> from tacit.data import Roles
        >>> from tacit.worlds import demo_world
        >>> knobs = {"members": 2, "hidden": (), "weight_decay": 1.0, "max_epochs": 3}
        >>> rm = tacit.fit(demo_world(seeds=1, limit=24).log, encoder="hashing:32", config=knobs)
        >>> audit = {"prompt": [f"question {i}" for i in range(12)], "response": ["Yes."] * 12, "liked": [0, 0, 1] * 4}
        >>> audited = tacit.FeedbackLog.from_columns(audit, Roles(gold="liked"))
        >>> again = tacit.calibrate(rm, audited)
        >>> bool((again.score(audited) == rm.score(audited)).all()), round(float(again.probability(audited).mean()), 3)
        (True, 0.333)
    """
    rows = _slice(rm, log, store, quiet)
    found = _fitted(rows)
    judged = _judged(rows, rm.with_calibration(None).has_probability)
    overlap = overlap_with_fit(rm, rows.log, own=False).share
    spread = _intervals(rows)
    for text in _doubts(spread, judged["difference"], overlap):
        warnings.warn(text, IdentificationWarning, stacklevel=2)
    return rm.with_calibration(
        {
            "slope": found.scale,
            "shift": found.level,
            "slope_interval": _ends(spread["slope"]) if rows.sloped else None,
            "shift_interval": _ends(spread["shift"]),
            "rows": len(rows.gold_N),
            "prompts": len(np.unique(rows.prompt_N)),
            "gold": rows.log.roles.gold,
            "log": rows.log.name,
            "fingerprint": rows.log.fingerprint(),
            "mean_gold": bootstrap(weighted_mean(rows.gold_N), rows.prompt_N).to_json(),
            **judged,
            "of_fit": overlap,
            "pairs": KnownPairs.of(rows.log).to_json(),
        }
    )


def _slice(rm: FittedScorer, log: FeedbackLog, store: EmbeddingStore | None, quiet: bool) -> Slice:
    """The rows with gold and what the fit says of them, if they are enough."""
    if not isinstance(log, FeedbackLog):
        raise ConfigError(
            f"calibrate needs a FeedbackLog with gold, found {shown(log)}; read a file with "
            "FeedbackLog.read(path, gold=COLUMN)"
        )
    if log.roles.gold is None:
        raise ConfigError(f"{log.name}: no column of trusted labels is named; use --gold COLUMN (gold=…)")
    given_N, known_N = log.gold_values()
    chosen, gold_N = log.take(known_N), given_N[known_N].astype(np.float64)
    prompt_N = chosen.prompt_codes()
    where = f"{log.name}: {len(gold_N)} rows of {len(np.unique(prompt_N))} prompts have a trusted label"
    if len(gold_N) < LEAST_ROWS or len(np.unique(prompt_N)) < LEAST_PROMPTS:
        raise DataError(
            f"{where} in column {log.roles.gold!r}, expected {LEAST_ROWS} or more of {LEAST_PROMPTS} or more prompts; "
            "audit more answers, drawn at random"
        )
    if not 0 < gold_N.mean() < 1:
        raise DegenerateDataError(
            f"{where}, and all are {gold_N[0]:g} in column {log.roles.gold!r}; expected liked and disliked answers"
        )
    sloped = len(gold_N) >= FOR_SLOPE
    if not sloped and rm.method.level != "prob":
        raise ConfigError(
            f"{where}; the scores of {rm.method.key} order answers and have no scale of their own, which takes "
            f"{FOR_SLOPE} rows; audit more answers, drawn at random"
        )
    score_N = rm.score(chosen, store=store, quiet=quiet).astype(np.float64)
    return Slice(chosen, score_N + rm.level, gold_N, prompt_N, sloped)


def _fitted(rows: Slice) -> Affine:
    return (slope_and_shift if rows.sloped else shift_alone)(rows.fit_N, rows.gold_N)


def _likeliest(rows: Slice) -> Affine:
    """As `_fitted`, with a slope of any sign: in a draw or a fold it may come out below 0."""
    return (likeliest if rows.sloped else shift_alone)(rows.fit_N, rows.gold_N)


def _cross_fitted(rows: Slice) -> Floats | None:
    """Logits [N] by the map of the other prompts; None where some of these maps have labels of one kind only."""
    fold_N = rows.log.folds(_FOLDS)
    logit_N = np.empty_like(rows.fit_N)
    for fold in range(_FOLDS):
        others = rows.rows(fold_N != fold)
        if not others.two_sided:
            return None
        found = _likeliest(others)
        logit_N[fold_N == fold] = found.scale * rows.fit_N[fold_N == fold] + found.level
    return logit_N


def _judged(rows: Slice, had_probability: bool) -> dict[str, Any]:
    """Brier score, NLL and ECE before, after and what was gained; None where there is nothing to judge."""
    before = _errors(rows, rows.fit_N) if had_probability else None
    crossed_N = _cross_fitted(rows)
    after = None if crossed_N is None else _errors(rows, crossed_N)
    gained = None
    if before is not None and after is not None:
        gained = {name: after[name].minus(before[name]).to_json() for name in after}
    return {"before": _stated(before), "after": _stated(after), "difference": gained}


def _errors(rows: Slice, logit_N: Floats) -> dict[str, Drawn]:
    p_N, gold_N = sigmoid(logit_N), rows.gold_N
    bins = min(15, max(2, len(gold_N) // _PER_BIN))
    metrics: dict[str, tuple[Metric, int]] = {
        "brier": (weighted_mean((p_N - gold_N) ** 2), 1000),
        "nll": (weighted_mean(np.logaddexp(0.0, logit_N) - gold_N * logit_N), 1000),
        "mean_probability": (weighted_mean(p_N), 1000),
        "ece": (lambda chosen: ece(p_N[chosen], gold_N[chosen], bins), 0),  # draws lie above it
    }
    return {name: Drawn.of(one, rows.prompt_N, draws=draws) for name, (one, draws) in metrics.items()}


def _stated(errors: Mapping[str, Drawn] | None) -> dict[str, Any] | None:
    return None if errors is None else {name: one.interval().to_json() for name, one in errors.items()}


def _intervals(rows: Slice) -> dict[str, Interval]:
    """Slope and shift over draws of whole prompts, in each of which they are fitted anew."""

    def of(part: str) -> Interval:
        def metric(chosen: NDArray[np.int64]) -> float:
            drawn = rows.rows(chosen)
            return float(getattr(_likeliest(drawn), part)) if drawn.two_sided else math.nan

        return bootstrap(metric, rows.prompt_N, draws=_DRAWS)

    return {"slope": of("scale"), "shift": of("level")}


def _doubts(
    spread: Mapping[str, Interval], difference: Mapping[str, Any] | None, overlap: float | None
) -> list[str]:
    """What should be heard before the probabilities are believed."""
    found = []
    if spread["slope"].low <= 0:
        found.append(
            f"the slope lies between {spread['slope'].low:.2f} and {spread['slope'].high:.2f} (95 %): so few labels do "
            "not show that the order of the scores is right at all; audit more answers"
        )
    if difference is not None and difference["brier"]["value"] >= 0:
        change = Interval.from_json(difference["brier"])
        found.append(
            f"on prompts held out the Brier score does not fall (after less before {change.value:+.3f}, 95 % from "
            f"{change.low:+.3f} to {change.high:+.3f}): these labels give no reason to prefer it to the model as it was"
        )
    if overlap:
        found.append(
            f"{100 * overlap:.0f} % of the trusted rows are rows of the fit, whose scores are flattered: the slope may "
            "come out too steep for other rows; audit answers that the fit has not read"
        )
    return found


def _ends(interval: Interval) -> list[float | None]:
    told = interval.to_json()
    return [told["low"], told["high"]]


__all__ = ["FOR_SLOPE", "LEAST_PROMPTS", "LEAST_ROWS", "calibrate"]
