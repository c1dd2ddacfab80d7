"""Does length explain everything? How much of the reward can be told from the surface of a response.

Within a prompt, the reward and the style features are taken less their means over the prompt's answers; what is
explained of the rest is

    R² = 1 − Σ (y − ŷ)² / Σ y²

with ŷ by a ridge regression on standardised features that saw no answer to the prompt (five folds over prompts, the
penalty chosen inside the training part). It may be negative: worse than saying nothing. Over all rows the same without
taking prompts' means off, and less the mean of the training part.

N rows, S style features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.data import FeedbackLog
from tacit.evaluation.bootstrap import Interval, bootstrap, weighted_spearman
from tacit.evaluation.crossval import truths, unit_of
from tacit.evaluation.table import Predictions, Row, compare
from tacit.evaluation.trust.reading import Reading
from tacit.evaluation.trust.words import between, rate
from tacit.features import STYLE_NAMES
from tacit.model import FittedScorer

Floats = NDArray[np.float64]

_FOLDS = 5
_PENALTIES = tuple(float(10.0**power) for power in range(-2, 5))
_NAMED = 4  # features
_LEAST_GOLD = 50  # rows with gold, from which a ridge on style is fitted to the gold of other prompts
_MUCH, _LITTLE = 0.7, 0.4


@dataclass(frozen=True)
class Explained:
    """How much of the reward the surface tells.

    Attributes:
        rows: that are compared: all, or those of prompts with several answers.
        spearman: of reward and words, with its interval over prompts (sessions, users).
        style: R² of all style features; NaN where it is not defined.
        length: R² of the length alone.
    """

    rows: int
    spearman: Interval
    style: float
    length: float


@dataclass(frozen=True)
class Surface:
    """Length and style against the reward, and against gold where it is named.

    Attributes:
        overall: over all rows.
        within: within prompts that have several answers; None where there are fewer than five.
        strongest: style features by the weight of a ridge on all rows, standard deviations of the reward per standard
            deviation of the feature, strongest first; within prompts where these can be compared.
        judged: the model, `length` and `style` by gold; None without.
        told: what it comes to, in a sentence.
        do: what follows.
    """

    overall: Explained
    within: Explained | None
    strongest: tuple[tuple[str, float], ...]
    judged: tuple[Row, ...] | None
    told: str
    do: str


def surface(rm: FittedScorer, reading: Reading) -> Surface | None:
    """Compare rewards with the surface of the responses; None where all rewards are equal.

    Args:
        rm: the model, whose name stands in the table beside gold.
        reading: of the log.
    """
    reward_N = reading.reward_N
    if np.ptp(reward_N) < 1e-9:
        return None
    overall = _explained(reward_N, reading.style_NS, reading, centred=False)
    several_N = np.bincount(reading.prompt_N)[reading.prompt_N] > 1
    within, y_n, x_nS = None, reward_N - reward_N.mean(), reading.style_NS
    if len(np.unique(reading.prompt_N[several_N])) >= _FOLDS:
        own_n = within_groups(reward_N[several_N], reading.prompt_N[several_N])
        if np.ptp(own_n) > 1e-9:
            y_n = own_n
            x_nS = within_groups(reading.style_NS[several_N], reading.prompt_N[several_N])
            within = _explained(y_n, x_nS, reading, centred=True, rows_N=several_N)
    judged = _judged(rm, reading)
    told, do = _verdict(overall, within)
    return Surface(
        overall, within, _strongest(y_n, x_nS), judged, told, do if judged is None else _by_gold(judged)
    )


def within_groups(value_N: Floats, group_N: NDArray[np.int64]) -> Floats:
    """Values [N] or [N, S] less the mean of their group.

    Example:
        >>> within_groups(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 1])).tolist()
        [-1.0, 1.0, 0.0]
    """
    _, at_N, rows_G = np.unique(group_N, return_inverse=True, return_counts=True)
    sums = np.zeros((len(rows_G), *value_N.shape[1:]))
    np.add.at(sums, at_N, value_N)
    means: Floats = sums / rows_G.reshape(-1, *[1] * (value_N.ndim - 1))
    return value_N - means[at_N]


def cross_fitted_r2(y_N: Floats, x_NS: Floats, fold_N: NDArray[np.int64], *, centred: bool) -> float:
    """R² of ridge predictions of folds that were left out; NaN where y is constant.

    Args:
        y_N: what is to be explained.
        x_NS: features.
        fold_N: fold of each row.
        centred: y has mean 0 by its making (within prompts): no constant is fitted, and 0 is what is to be beaten;
            else the mean of the training part.

    Example:
        >>> x = np.arange(40.0)[:, None]
        >>> cross_fitted_r2(3 * x[:, 0], x, np.arange(40) % 5, centred=False) > 0.999
        True
    """
    left, total = 0.0, 0.0
    predicted_N = _cross_fitted(y_N, x_NS, fold_N, constant=not centred)
    for fold in np.unique(fold_N):
        test = fold_N == fold
        mean = 0.0 if centred else float(y_N[~test].mean())
        left += float(np.square(y_N[test] - predicted_N[test]).sum())
        total += float(np.square(y_N[test] - mean).sum())
    return 1 - left / total if total > 0 else float("nan")


def _cross_fitted(y_N: Floats, x_NS: Floats, fold_N: NDArray[np.int64], *, constant: bool) -> Floats:
    predicted_N = np.zeros(len(y_N))
    for fold in np.unique(fold_N):
        test = fold_N == fold
        mean_S, scale_S = _scale(x_NS[~test], constant=constant)
        ridge = _ridge(constant)
        ridge.fit((x_NS[~test] - mean_S) / scale_S, y_N[~test])
        predicted_N[test] = ridge.predict((x_NS[test] - mean_S) / scale_S)
    return predicted_N


def _ridge(constant: bool) -> Any:
    from sklearn.linear_model import RidgeCV

    return RidgeCV(alphas=list(_PENALTIES), fit_intercept=constant)


def _scale(x_NS: Floats, *, constant: bool) -> tuple[Floats, Floats]:
    mean_S = x_NS.mean(0) if constant else np.zeros(x_NS.shape[1])
    scale_S = np.sqrt(np.square(x_NS - mean_S).mean(0))
    return mean_S, np.where(scale_S > 1e-9, scale_S, 1.0)


def _explained(
    y_n: Floats, x_nS: Floats, reading: Reading, *, centred: bool, rows_N: NDArray[np.bool_] | None = None
) -> Explained:
    log = reading.log if rows_N is None else reading.log.take(rows_N)
    unit_n = reading.unit_N if rows_N is None else reading.unit_N[rows_N]
    fold_n = log.folds(_FOLDS) if len(set(log.prompt_codes().tolist())) >= _FOLDS else None
    r2 = [
        float("nan") if fold_n is None else cross_fitted_r2(y_n, part, fold_n, centred=centred)
        for part in (x_nS, x_nS[:, :1])
    ]
    return Explained(len(y_n), bootstrap(weighted_spearman(y_n, x_nS[:, 0]), unit_n), *r2)


def _strongest(y_n: Floats, x_nS: Floats) -> tuple[tuple[str, float], ...]:
    mean_S, scale_S = _scale(x_nS, constant=True)
    ridge = _ridge(True).fit((x_nS - mean_S) / scale_S, y_n / y_n.std())
    order = np.argsort(-np.abs(ridge.coef_))[:_NAMED]
    return tuple((STYLE_NAMES[s], float(ridge.coef_[s])) for s in order if abs(ridge.coef_[s]) > 1e-6)


def _judged(rm: FittedScorer, reading: Reading) -> tuple[Row, ...] | None:
    """The model, length, and a ridge on style fitted to the gold of other prompts, judged by gold on the same draws."""
    log = reading.log
    known_N = log.gold_values()[1]
    if not known_N.any():
        return None
    own, length_N = reading.reward_N, reading.style_NS[:, 0]
    predictions = [Predictions("length", "honest", length_N, has_level=False)]
    style_N = _style_of_gold(log, reading.style_NS)
    if style_N is not None:
        predictions.append(Predictions("style", "oracle", style_N, has_level=False))
    told = reading.overlap.protocol
    predictions.append(Predictions(rm.method.key, told, own, has_level=False))
    rows = compare(
        [_of(p, known_N) for p in predictions],
        truths(log.take(known_N), unit_of(log)),
        references=("length", "style"),
    )
    return tuple(rows)


def _of(p: Predictions, rows_N: NDArray[np.bool_]) -> Predictions:
    return Predictions(p.method, p.protocol, p.score_N[rows_N], has_level=p.has_level)


def _style_of_gold(log: FeedbackLog, style_NS: Floats) -> Floats | None:
    """What a ridge on style says of each row with gold, fitted to the gold of other prompts; 0 elsewhere."""
    gold_N, known_N = log.gold_values()
    rows = log.take(known_N)
    if known_N.sum() < _LEAST_GOLD or len(set(rows.prompt_codes().tolist())) < _FOLDS:
        return None
    found_N = np.zeros(len(log))
    found_N[known_N] = _cross_fitted(
        gold_N[known_N].astype(np.float64), style_NS[known_N], rows.folds(_FOLDS), constant=True
    )
    return found_N


def _verdict(overall: Explained, within: Explained | None) -> tuple[str, str]:
    best = overall if within is None else within
    where = "between answers to one prompt" if within is not None else "between all answers"
    style, length = max(0.0, best.style), max(0.0, best.length)
    if not np.isfinite(best.style):
        return "Too few prompts to say how much of the reward the surface tells.", "Name a longer log."
    told = (
        f"of the differences in reward {where}, surface style tells {rate(style)} and length alone {rate(length)} "
        "(1 would be all of it)."
    )
    if length > _MUCH:
        return f"Yes, nearly: {told}", "Compare with `length` by audited answers before you use it (--gold)."
    if style > _MUCH:
        return f"Length does not, surface style nearly does: {told}", (
            "Compare with `length` by audited answers (--gold); a fit with --reward-features text leaves style out."
        )
    if style > _LITTLE:
        return (
            f"In part: {told}",
            "Watch length where a policy is trained on it (uncertainty and length penalties).",
        )
    return f"No: {told}", "Nothing to do."


def _by_gold(rows: Sequence[Row]) -> str:
    """What the model gains on length, in the metric that is defined."""
    flattered = "" if rows[-1].protocol == "honest" else ", on rows that the fit has read, which flatters it"
    for name, what in (("within_prompt_accuracy", "within-prompt accuracy"), ("auroc", "AUROC")):
        gain = differences(rows).get("length", {}).get(name)
        if gain is None or not np.isfinite(gain.value):
            continue
        own = rows[-1].metrics[name].value
        length = next(row for row in rows if row.method == "length").metrics[name].value
        told = (
            f"By audited answers the model has a {what} of {rate(own)}, length alone {rate(length)}: "
            f"{rate(gain.value)} more"
        )
        if not np.isfinite(gain.low):
            return f"{told}, of one prompt."
        told += f" ({between(gain.low, gain.high)})"
        if gain.low > 0:
            return f"{told}: better than length{flattered}."
        return f"{told}, which may be nothing{flattered}: audit more answers before you prefer it to length."
    return "The audited answers do not differ, so that they judge no order: audit more."


def differences(rows: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """What the model, which stands last, gains on the others."""
    return rows[-1].against
