"""Two numbers that turn a model's logits into probabilities of liking, by maximum likelihood on trusted rows.

sigmoid(slope·f + shift), slope > 0, so that no two answers change places. Unlike `calibration.platt` it takes graded
labels, few rows, and leaves the mean probability on these rows at the mean label; `calibration.platt` moves both
towards ½. F is the logit of a row, N rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tacit.errors import DegenerateDataError, IdentificationError
from tacit.methods.nuisances.checks import Floats, probabilities, scores
from tacit.methods.nuisances.logistic import logistic, sigmoid
from tacit.methods.nuisances.maps import Affine

_STEEPEST = 5.0
"""Prior deviation of the slope per standard deviation of the scores: a row one deviation up then has odds of 150. It
keeps rows finite that a threshold separates; of 100 others it moves the slope by a percent."""


def slope_and_shift(f_N: ArrayLike, gold_N: ArrayLike) -> Affine:
    """The likeliest sigmoid(slope·f + shift), its slope under a weak normal prior around 0.

    The prior leaves the shift alone: the mean probability of the rows is their mean label, to rounding.

    Args:
        f_N: logits of rows that did not train the model.
        gold_N: trusted labels from 0 to 1: grades are shares of people who like the answer.

    Raises:
        IdentificationError: the slope would not be positive: the rows contradict the order of the scores.
        DegenerateDataError: all labels are 0, or all 1.
        DataError: malformed rows.

    Example:
        >>> found = slope_and_shift([-2.0, -1.0, 0.0, 1.0, 2.0], [0, 0.2, 0.1, 0.9, 1])
        >>> found.scale > 0, round(float(found.probability([-2.0, -1.0, 0.0, 1.0, 2.0]).mean()), 9)
        (True, 0.44)
    """
    f, gold = _rows(f_N, gold_N)
    found = likeliest(f, gold)
    if not found.scale > 0:
        up, down = ((weight * f).sum() / weight.sum() for weight in (gold, 1 - gold))
        raise IdentificationError(
            f"the trusted labels contradict the order of the scores: liked answers score {up:.3g} on average, "
            f"disliked ones {down:.3g}; expected labels that rise with the score: check their polarity, audit more "
            "answers, or fit a model that knows what they judge"
        )
    return found


def shift_alone(f_N: ArrayLike, gold_N: ArrayLike) -> Affine:
    """The likeliest sigmoid(f + shift): the one whose mean on the rows is their mean label.

    Args:
        f_N: logits, in the units of a logit of liking up to a constant.
        gold_N: trusted labels from 0 to 1.

    Raises:
        DegenerateDataError: all labels are 0, or all 1.
        DataError: malformed rows.

    Example:
        >>> round(shift_alone([0.0, 0.0, 0.0, 0.0], [1, 1, 1, 0]).level, 9) == round(float(np.log(3)), 9)
        True
    """
    f, gold = _rows(f_N, gold_N)
    # Newton on a monotone function of one number, held between bounds that close in on the root.
    target = float(np.log(gold.mean()) - np.log1p(-gold.mean()))
    low, high = target - float(f.max()), target - float(f.min())
    shift = target - float(f.mean())
    for _ in range(200):
        p = sigmoid(f + shift)
        excess = float(p.mean() - gold.mean())
        low, high = (low, shift) if excess > 0 else (shift, high)
        bend = float((p * (1 - p)).mean())
        newton = shift - excess / bend if bend > 0 else np.inf
        after = newton if low < newton < high else low + (high - low) / 2
        if abs(after - shift) <= 1e-14 * max(1.0, abs(shift)):
            break
        shift = after
    return Affine(1.0, shift)


def likeliest(f: Floats, gold: Floats) -> Affine:
    """`slope_and_shift` of any sign, on checked rows: what intervals and cross-fitting repeat.

    Labels of both sides bound the loss in the shift, the prior in the slope.
    """
    centre, spread = float(f.mean()), float(f.std()) or 1.0
    x_N2 = np.column_stack([(f - centre) / spread, np.ones_like(f)])
    w_2 = logistic(
        x_N2,
        gold,
        ridge_F=np.array([1 / _STEEPEST**2, 0.0]),
        start_F=np.array([0.0, float(np.log(gold.mean()) - np.log1p(-gold.mean()))]),
    )
    slope = float(w_2[0]) / spread
    return Affine(slope, float(w_2[1]) - slope * centre)


def _rows(f_N: ArrayLike, gold_N: ArrayLike) -> tuple[Floats, Floats]:
    f = scores(f_N)
    gold = probabilities(gold_N, "gold label", len(f))
    if not 0 < gold.mean() < 1:
        raise DegenerateDataError(
            f"all {len(f)} trusted labels are {gold[0]:g}; expected liked and disliked answers among them"
        )
    return f, gold
