"""Intervals: the grouped bootstrap, which draws whole prompts and never single rows.

Answers to one prompt resemble each other, so rows are not independent and an interval over rows would be
too short. A *draw* gives every prompt a weight 0, 1, 2, … (how often it was drawn) and every row the weight
of its prompt. A metric that can be computed from row weights does all draws at once:

    interval = bootstrap(weighted_auroc(scores, target), groups)
    better = paired_difference(weighted_auroc(ours, target), weighted_auroc(theirs, target), groups)

Any other metric is a function of row numbers, slower and just as correct as long as it looks at no prompts:

    bootstrap(lambda rows: rmse(score[rows], gold[rows]), groups)

Not for `ece`: chance alone keeps the mean label of a bin away from its mean probability, and draws add as much again.
They lie above the value, the more so the better a model is calibrated, and such an interval often holds neither the
value nor the truth.

Legend: N rows, D draws, G groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from tacit.errors import DataError
from tacit.evaluation.metrics import (
    FloatArray,
    IntArray,
    Numbers,
    check_binary,
    checked,
    group_index,
    ordered_pairs,
    pair_shares,
)

_CELLS = 4_000_000
"""Row weights held at once: 32 MB of float64."""
_ROUNDING = 1e-12
"""A variance below this share of the whole is none."""


@dataclass(frozen=True)
class Interval:
    """A value and the range that holds 95 % of its bootstrap draws.

    All NaN where the value is not defined; the bounds alone where nothing says how far it varies.
    """

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """JSON-ready: "value", "low" and "high", None where one is not defined."""
        return {name: value if np.isfinite(value) else None for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, told: Mapping[str, float | None]) -> Interval:
        """What `to_json` wrote."""
        return cls(**{name: float("nan") if value is None else value for name, value in told.items()})


@dataclass(frozen=True)
class Weighted:
    """A metric that can be computed from row weights.

    `over` turns weights [D, N] into values [D], NaN where a draw leaves the metric undefined.
    """

    over: Callable[[FloatArray], FloatArray]


Metric = Weighted | Callable[[IntArray], float]


def bootstrap(metric: Metric, groups: Numbers, *, draws: int = 1000, seed: int = 0) -> Interval:
    """Put a 95 % percentile interval around a metric by drawing groups with replacement.

    Args:
        metric: a `Weighted` metric, or a function from row numbers [any length, with repeats] to a float.
            Such a function sees a prompt that was drawn twice as one prompt with double rows: metrics
            inside prompts need `weighted_within_prompt` or `weighted_mean` of a value per prompt.
        groups: [N] the prompt of each row: what is drawn.
        draws: number of draws; 0 gives the value alone.
        seed: of the draws. The same seed and groups give the same draws for every metric.

    Returns:
        The metric on all rows and the 2.5 and 97.5 percent quantiles of the draws. Draws in which it is not
        defined (say, one class only) are left out; if it is not defined on all rows, everything is NaN. The bounds of
        one group alone are NaN: every draw of it is the same.

    Raises:
        DataError: no rows.

    Example:
        >>> import numpy as np
        >>> from tacit.evaluation.metrics import brier
        >>> p, target, groups = np.array([0.9, 0.2, 0.8, 0.4]), np.array([1, 0, 1, 1]), np.array([0, 0, 1, 1])
        >>> interval = bootstrap(weighted_mean((p - target) ** 2), groups, draws=200)
        >>> interval.value == brier(p, target) and interval.low <= interval.value <= interval.high
        True
    """
    value, drawn_D = _evaluate(metric, groups, draws, seed)
    return _interval(value, drawn_D)


def paired_difference(
    first: Metric, second: Metric, groups: Numbers, *, draws: int = 1000, seed: int = 0
) -> Interval:
    """Put an interval around `first - second`, both computed on the same draws.

    Two methods scored on the same prompts go up and down together: judge them by the paired interval.

    Args:
        first: the metric of one method, as in `bootstrap`.
        second: the same metric of the other method.
        groups: [N] the prompt of each row.
        draws: number of draws.
        seed: of the draws.

    Example:
        >>> import numpy as np
        >>> target, groups = np.array([1, 0, 1, 0]), np.array([0, 0, 1, 1])
        >>> same = weighted_auroc(np.array([0.9, 0.1, 0.4, 0.6]), target)
        >>> paired_difference(same, same, groups, draws=100)
        Interval(value=0.0, low=0.0, high=0.0)
    """
    first_value, first_D = _evaluate(first, groups, draws, seed)
    second_value, second_D = _evaluate(second, groups, draws, seed)
    return _interval(first_value - second_value, first_D - second_D)


@dataclass(frozen=True)
class Drawn:
    """A metric on all rows and on every draw [D], for those who need both intervals and differences of it."""

    value: float
    draws_D: FloatArray

    @classmethod
    def of(cls, metric: Metric, groups: Numbers, *, draws: int = 1000, seed: int = 0) -> Drawn:
        """Evaluate a metric on the draws that `bootstrap` makes with the same arguments."""
        return cls(*_evaluate(metric, groups, draws, seed))

    def interval(self) -> Interval:
        """As `bootstrap` gives it."""
        return _interval(self.value, self.draws_D)

    def minus(self, other: Drawn) -> Interval:
        """The interval of the difference, as `paired_difference` gives it; both on the same draws."""
        return _interval(self.value - other.value, self.draws_D - other.draws_D)


def averaged(parts: Sequence[Weighted]) -> Weighted:
    """Make the mean of several metrics of the same rows: of the seeds of a world, of repeated cross-validations.

    Example:
        >>> both = averaged([weighted_mean([0.0, 1.0]), weighted_mean([1.0, 2.0])])
        >>> bootstrap(both, groups=[0, 1], draws=0).value
        1.0
    """
    return Weighted(lambda weights_DN: np.mean([part.over(weights_DN) for part in parts], axis=0))


def weighted_mean(values: Numbers) -> Weighted:
    """Make the metric "mean of `values`" [N] over rows: squared errors for Brier, losses for likelihoods.

    Example:
        >>> bootstrap(weighted_mean([0.0, 1.0, 0.5]), groups=[0, 1, 2], draws=0).value
        0.5
    """
    v_N = np.asarray(values, dtype=np.float64)

    def over(weights_DN: FloatArray) -> FloatArray:
        return _ratio(weights_DN @ v_N, weights_DN.sum(axis=1))

    return Weighted(over)


def weighted_within_prompt(
    scores: Numbers, target: Numbers, groups: Numbers, units: Numbers | None = None
) -> Weighted:
    """Make the within-prompt accuracy of `tacit.evaluation.metrics` ready for resampling.

    Args:
        scores: [N] probabilities or logits.
        target: [N] gold labels, 0/1 or graded.
        groups: [N] the prompt of each row.
        units: [N] what is drawn, if that is something else, such as users. A prompt whose rows are all of one unit
            counts as often as it was drawn. Of one that several units share, each pair counts as often as its rows were
            drawn (w_i·w_j; w where both are of one unit), and the prompt once if any pair is left: its own luck is part
            of the interval then. Time goes with the number of such pairs.

    Example:
        >>> right_in_one_of_two = weighted_within_prompt([0.9, 0.1, 0.4, 0.6], [1, 0, 1, 0], [5, 5, 6, 6])
        >>> bootstrap(right_in_one_of_two, [5, 5, 6, 6], draws=0).value
        0.5
    """
    s_N, t_N = checked(scores, target)
    shares_G, first_G = pair_shares(s_N, t_N, groups)
    g_N, _ = group_index(groups, len(s_N))
    unit_N, _ = group_index(groups if units is None else units, len(s_N))
    shared_G = _shared(g_N, first_G, units)
    whole_G = ~shared_G & ~np.isnan(shares_G)
    whole_shares_G, whole_first_G = shares_G[whole_G], first_G[whole_G]
    across = np.flatnonzero(shared_G[g_N])  # rows of shared prompts

    def shares_of_pairs(weights_DN: FloatArray) -> FloatArray:
        """Of the shared prompts [D, G], NaN where no pair of a prompt was drawn."""
        right_DG = np.zeros((len(weights_DN), len(first_G)))
        pairs_DG = np.zeros_like(right_DG)
        for pairs in ordered_pairs(s_N[across], t_N[across], g_N[across]):
            if not len(pairs.group_P):
                continue
            first_P, second_P = across[pairs.first_P], across[pairs.second_P]
            weight_DP = weights_DN[:, first_P]
            apart_P = unit_N[first_P] != unit_N[second_P]
            weight_DP = np.where(apart_P, weight_DP * weights_DN[:, second_P], weight_DP)
            starts = np.flatnonzero(np.r_[True, np.diff(pairs.group_P) != 0])
            own_G = pairs.group_P[starts]
            pairs_DG[:, own_G] += np.add.reduceat(weight_DP, starts, axis=1)
            right_DG[:, own_G] += np.add.reduceat(weight_DP * pairs.right_P, starts, axis=1)
        return np.divide(right_DG, pairs_DG, out=np.full_like(right_DG, np.nan), where=pairs_DG > 0)

    def over(weights_DN: FloatArray) -> FloatArray:
        weights_DG = weights_DN[:, whole_first_G]
        top_D, bottom_D = weights_DG @ whole_shares_G, weights_DG.sum(axis=1)
        if len(across):
            share_DG = shares_of_pairs(weights_DN)
            top_D = top_D + np.nan_to_num(share_DG).sum(axis=1)
            bottom_D = bottom_D + (~np.isnan(share_DG)).sum(axis=1)
        return _ratio(top_D, bottom_D)

    return Weighted(over)


def weighted_auroc(scores: Numbers, target: Numbers) -> Weighted:
    """Make the AUROC ready for resampling: the scores are sorted once, each draw is one pass over the rows.

    Raises:
        DataError: lengths differ, a value is NaN, or a target is neither 0 nor 1.

    Example:
        >>> bootstrap(weighted_auroc([0.9, 0.4, 0.6], [1, 1, 0]), [0, 1, 2], draws=0).value
        0.5
    """
    s_N, t_N = checked(scores, target)
    check_binary(t_N)
    order_N = np.argsort(s_N, kind="stable")
    ones, zeros = (order_N[t_N[order_N] == value] for value in (1, 0))
    fewer, most = (np.searchsorted(s_N[zeros], s_N[ones], side=side) for side in ("left", "right"))

    def over(weights_DN: FloatArray) -> FloatArray:
        below = np.zeros((len(weights_DN), len(zeros) + 1))  # weight of the first so many negative rows
        np.cumsum(weights_DN[:, zeros], axis=1, out=below[:, 1:])
        passed = np.take(below, fewer, axis=1)
        passed += np.take(below, most, axis=1)  # twice the weight below a positive row: a tie counts ½
        positive = weights_DN[:, ones]
        pairs = positive.sum(axis=1) * below[:, -1]
        return _ratio(np.einsum("dn,dn->d", positive, passed) / 2, pairs)

    return Weighted(over)


def weighted_spearman(scores: Numbers, target: Numbers) -> Weighted:
    """Make Spearman's correlation ready for resampling: both sides are sorted once.

    Ranks are those among the rows that a draw repeats: ties share their mean rank, and so do the copies of a row.

    Example:
        >>> round(bootstrap(weighted_spearman([1.0, 2.0, 3.0], [0.1, 0.9, 0.3]), [0, 1, 2], draws=0).value, 6)
        0.5
    """
    sides = [_Blocks.of(values_N) for values_N in checked(scores, target)]

    def over(weights_DN: FloatArray) -> FloatArray:
        first_DN, second_DN = (side.centred_ranks(weights_DN) for side in sides)
        both_D = np.einsum("dn,dn,dn->d", weights_DN, first_DN, second_DN)
        squares_D = [np.einsum("dn,dn,dn->d", weights_DN, r_DN, r_DN) for r_DN in (first_DN, second_DN)]
        return np.clip(_ratio(both_D, np.sqrt(squares_D[0] * squares_D[1])), -1.0, 1.0)

    return Weighted(over)


def weighted_pearson(scores: Numbers, target: Numbers) -> Weighted:
    """Make Pearson's correlation ready for resampling.

    Example:
        >>> round(bootstrap(weighted_pearson([1.0, 2.0, 3.0], [0.1, 0.9, 0.5]), [0, 1, 2], draws=0).value, 6)
        0.5
    """
    s_N, t_N = (values_N - values_N.mean() for values_N in checked(scores, target))

    def moments(share_DN: FloatArray, x_N: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of each draw [D]; what rounding leaves of the variance of equal values is none."""
        mean_D = share_DN @ x_N
        spread_D = share_DN @ x_N**2 - mean_D**2
        return mean_D, np.where(spread_D > _ROUNDING * (x_N**2).mean(), spread_D, 0.0)

    def over(weights_DN: FloatArray) -> FloatArray:
        share_DN = weights_DN / weights_DN.sum(axis=1, keepdims=True)
        (s_D, s_spread_D), (t_D, t_spread_D) = moments(share_DN, s_N), moments(share_DN, t_N)
        both_D = share_DN @ (s_N * t_N) - s_D * t_D
        return np.clip(_ratio(both_D, np.sqrt(s_spread_D * t_spread_D)), -1.0, 1.0)

    return Weighted(over)


def weighted_over_prompts(
    values: Callable[[Numbers, Numbers, Numbers], FloatArray],
    scores: Numbers,
    target: Numbers,
    groups: Numbers,
    units: Numbers | None = None,
) -> Weighted:
    """Make the mean over prompts of a value of each prompt ready for resampling.

    Args:
        values: `prompt_ndcg` or `prompt_regrets` of `tacit.evaluation.metrics`, or another like them: scores, target
            and groups to one value per prompt [G], NaN where a prompt has none.
        scores: [N] probabilities or logits.
        target: [N] gold labels, 0/1 or graded.
        groups: [N] the prompt of each row.
        units: [N] what is drawn, if that is something else, such as users. A prompt whose rows are all of one unit
            counts as often as it was drawn. One that several units share counts once, with those of its rows that were
            drawn; time goes with the number of such rows and of draws.

    Example:
        >>> from tacit.evaluation.metrics import prompt_regrets
        >>> lost = weighted_over_prompts(prompt_regrets, [0.9, 0.1, 0.2, 0.4], [0, 1, 0, 1], [0, 0, 1, 1])
        >>> bootstrap(lost, [0, 0, 1, 1], draws=0).value
        0.5
    """
    s_N, t_N = checked(scores, target)
    values_G = values(s_N, t_N, groups)
    g_N, first_G = group_index(groups, len(s_N))
    shared_G = _shared(g_N, first_G, units)
    whole_G = ~shared_G & ~np.isnan(values_G)
    whole_values_G, whole_first_G = values_G[whole_G], first_G[whole_G]
    across = np.flatnonzero(shared_G[g_N])  # rows of shared prompts

    def over(weights_DN: FloatArray) -> FloatArray:
        weights_DG = weights_DN[:, whole_first_G]
        top_D, bottom_D = weights_DG @ whole_values_G, weights_DG.sum(axis=1)
        for d, weights_N in enumerate(weights_DN[:, across]) if len(across) else ():
            rows = across[weights_N > 0]
            found_G = values(s_N[rows], t_N[rows], g_N[rows])
            top_D[d] += np.nansum(found_G)
            bottom_D[d] += np.sum(~np.isnan(found_G))
        return _ratio(top_D, bottom_D)

    return Weighted(over)


def _shared(g_N: IntArray, first_G: IntArray, units: Numbers | None) -> NDArray[np.bool_]:
    """Tell of each group whether its rows are of several units [G]."""
    shared_G = np.zeros(len(first_G), dtype=bool)
    if units is not None:
        unit_N, _ = group_index(units, len(g_N))
        shared_G[g_N[unit_N != unit_N[first_G][g_N]]] = True
    return shared_G


@dataclass(frozen=True)
class _Blocks:
    """Rows in ascending order of a value; rows of one value form a block."""

    order_N: IntArray
    starts_B: IntArray
    block_N: IntArray

    @classmethod
    def of(cls, values_N: FloatArray) -> _Blocks:
        order_N = np.argsort(values_N, kind="stable")
        new_N = np.r_[True, np.diff(values_N[order_N]) != 0]
        block_N = np.empty(len(values_N), dtype=np.int64)
        block_N[order_N] = np.cumsum(new_N) - 1
        return cls(order_N, np.flatnonzero(new_N), block_N)

    def centred_ranks(self, weights_DN: FloatArray) -> FloatArray:
        """Mean rank of each row's block among the rows that were drawn, less the mean of all ranks."""
        size_DB = np.add.reduceat(weights_DN[:, self.order_N], self.starts_B, axis=1)
        upto_DB = np.cumsum(size_DB, axis=1)
        centred_DB: FloatArray = upto_DB - (size_DB + upto_DB[:, -1:]) / 2
        return centred_DB[:, self.block_N]


def _evaluate(metric: Metric, groups: Numbers, draws: int, seed: int) -> tuple[float, FloatArray]:
    """Give the metric on all rows and on each draw [D]."""
    groups = np.asarray(groups)
    if groups.ndim != 1 or not len(groups):
        raise DataError(
            f"groups: found shape {groups.shape}, expected one prompt per row and at least one row"
        )
    draws = draws if (groups != groups[0]).any() else 0
    if isinstance(metric, Weighted):
        value = float(metric.over(np.ones((1, len(groups))))[0])
        drawn = [metric.over(weights_DN) for weights_DN in _row_weights(groups, draws, seed)]
        return value, np.concatenate([np.zeros(0), *drawn])
    rows_N = np.arange(len(groups))
    values = [
        metric(np.repeat(rows_N, weights_N.astype(np.int64)))
        for weights_DN in _row_weights(groups, draws, seed)
        for weights_N in weights_DN
    ]
    return float(metric(rows_N)), np.array(values, dtype=np.float64)


def _row_weights(groups: Numbers, draws: int, seed: int) -> Iterator[FloatArray]:
    """Yield the draws as row weights [D, N], a few at a time so that memory stays bounded."""
    _, index_N = np.unique(groups, return_inverse=True)
    count = int(index_N.max()) + 1
    rng = np.random.default_rng(seed)
    at_once = max(1, _CELLS // len(groups))
    for start in range(0, draws, at_once):
        chosen_DG = rng.integers(count, size=(min(at_once, draws - start), count))
        offsets_D = np.arange(len(chosen_DG))[:, None] * count
        times_DG = np.bincount((chosen_DG + offsets_D).ravel(), minlength=chosen_DG.size)
        yield times_DG.reshape(chosen_DG.shape)[:, index_N].astype(np.float64)


def _interval(value: float, drawn_D: FloatArray) -> Interval:
    drawn_D = drawn_D[~np.isnan(drawn_D)]
    if np.isnan(value) or not len(drawn_D):
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.quantile(drawn_D, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))


def _ratio(top_D: FloatArray, bottom_D: FloatArray) -> FloatArray:
    ratio_D: FloatArray = np.divide(top_D, bottom_D, out=np.full(len(top_D), np.nan), where=bottom_D > 0)
    return ratio_D
