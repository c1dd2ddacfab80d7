"""Metrics: numpy arrays in, one float out; how good a score is against labels that can be trusted.

Everything takes `scores` [N] first, then the gold labels `target` [N], then (for metrics inside a prompt) the
prompt of each row, `groups` [N]. Definitions are those of the estimators' reference, section "Metrics".

Two families stand here, and the difference matters for what a method may claim:

* *order*: `within_prompt_accuracy`, `auroc`, `spearman`, `ndcg`, `within_prompt_ndcg`, `best_of_n_regret`,
  `grpo_agreement`. They stay when the scores are passed through an increasing function (`grpo_agreement`: a
  linear one).
* *level*: `brier`, `nll`, `ece`, `rmse`, `mae`, `r2`. They need probabilities (`nll`: logits).

A quantity that the data do not define (no pair to order, one class only, constant scores in a correlation) is
NaN, never 0: a table shows it as "–".

Legend: N rows, P pairs, G prompts, S seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]


# ---- order


def within_prompt_accuracy(scores: Numbers, target: Numbers, groups: Numbers) -> float:
    """Say how often the better of two answers to the same prompt has the higher score.

    The mean over prompts of the share of pairs with `target[i] > target[j]` that the scores put in that
    order; a tie in the scores counts ½. Works for binary and for graded targets. Prompts without a pair (all
    targets equal) are left out; `comparable_prompts` counts the others. NaN if none is left.

    Args:
        scores: [N] probabilities or logits.
        target: [N] gold labels, 0/1 or graded.
        groups: [N] the prompt of each row.

    Raises:
        DataError: lengths differ, or a value is NaN.

    Example:
        >>> import numpy as np
        >>> scores, target = np.array([0.9, 0.1, 0.3, 0.3]), np.array([1, 0, 1, 0])
        >>> within_prompt_accuracy(scores, target, groups=np.array([7, 7, 8, 8]))
        0.75
    """
    shares_G, _ = pair_shares(scores, target, groups)
    return _mean(shares_G[~np.isnan(shares_G)])


def comparable_prompts(target: Numbers, groups: Numbers) -> int:
    """Count the prompts that hold two answers with different targets.

    Example:
        >>> import numpy as np
        >>> comparable_prompts(np.array([1, 0, 1, 1]), np.array([0, 0, 1, 1]))
        1
    """
    shares_G, _ = pair_shares(np.zeros(len(target)), target, groups)
    return int(np.sum(~np.isnan(shares_G)))


def pair_shares(scores: Numbers, target: Numbers, groups: Numbers) -> tuple[FloatArray, IntArray]:
    """Give each prompt's share of correctly ordered pairs.

    Returns:
        shares [G], in the order of the sorted prompt ids, NaN where a prompt holds no pair; and the index
        of one row of each prompt [G].
    """
    s_N, t_N = checked(scores, target)
    g_N, first_G = group_index(groups, len(s_N))
    right_G, pairs_G = np.zeros(len(first_G)), np.zeros(len(first_G))
    for pairs in ordered_pairs(s_N, t_N, g_N):
        np.add.at(pairs_G, pairs.group_P, 1.0)
        np.add.at(right_G, pairs.group_P, pairs.right_P)
    with np.errstate(invalid="ignore"):
        return right_G / pairs_G, first_G


@dataclass(frozen=True)
class OrderedPairs:
    """Some pairs of rows of one group whose targets differ, in the order of their groups.

    Attributes:
        first_P, second_P: rows.
        group_P: their group.
        right_P: 1 where the scores have the order of the targets, ½ where they tie, else 0.
    """

    first_P: IntArray
    second_P: IntArray
    group_P: IntArray
    right_P: FloatArray


def ordered_pairs(s_N: FloatArray, t_N: FloatArray, g_N: IntArray) -> Iterator[OrderedPairs]:
    """Yield every pair once, a few at a time.

    Each row is compared with the one `step` places further, for growing steps: time goes with the number of pairs, but
    memory stays at N, so that one prompt with thousands of answers does no harm.
    """
    order_N = np.argsort(g_N, kind="stable")
    s_N, t_N, g_N = s_N[order_N], t_N[order_N], g_N[order_N]
    left_P = np.arange(len(g_N))
    step = 1
    while len(left_P):
        left_P = left_P[left_P + step < len(g_N)]
        left_P = left_P[g_N[left_P] == g_N[left_P + step]]
        differs_P = left_P[t_N[left_P] != t_N[left_P + step]]
        by_target_P = np.sign(t_N[differs_P] - t_N[differs_P + step])
        by_score_P = np.sign(s_N[differs_P] - s_N[differs_P + step])
        yield OrderedPairs(
            order_N[differs_P], order_N[differs_P + step], g_N[differs_P], (1 + by_target_P * by_score_P) / 2
        )
        step += 1


def auroc(scores: Numbers, target: Numbers) -> float:
    """Give the chance that a random positive row scores above a random negative one, ties ½.

    NaN if one class is missing. A graded target has no AUROC: choose a threshold first.

    Raises:
        DataError: lengths differ, a value is NaN, or a target is neither 0 nor 1.

    Example:
        >>> import numpy as np
        >>> auroc(np.array([0.2, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
        0.875
    """
    s_N, t_N = checked(scores, target)
    check_binary(t_N)
    positive = int(t_N.sum())
    negative = len(t_N) - positive
    if not positive or not negative:
        return float("nan")
    above = ranks(s_N)[t_N == 1].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def pearson(scores: Numbers, target: Numbers) -> float:
    """Give the linear correlation, NaN if either side is constant.

    Example:
        >>> import numpy as np
        >>> pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
        1.0
    """
    s_N, t_N = checked(scores, target)
    if len(s_N) < 2 or np.ptp(s_N) == 0 or np.ptp(t_N) == 0:
        return float("nan")
    s_N, t_N = s_N - s_N.mean(), t_N - t_N.mean()
    # Scaling first keeps squares of tiny or huge logits inside float64.
    s_N, t_N = s_N / np.abs(s_N).max(), t_N / np.abs(t_N).max()
    return float(np.clip((s_N @ t_N) / np.sqrt((s_N @ s_N) * (t_N @ t_N)), -1.0, 1.0))


def spearman(scores: Numbers, target: Numbers) -> float:
    """Give the correlation of the ranks (ties share their mean rank), NaN if either side is constant.

    Example:
        >>> import numpy as np
        >>> spearman(np.array([1.0, 2.0, 30.0]), np.array([0.1, 0.5, 0.6]))
        1.0
    """
    s_N, t_N = checked(scores, target)
    return pearson(ranks(s_N), ranks(t_N))


def seed_spearman(scores: Numbers) -> float:
    """Say how far the seeds of one method agree: the mean Spearman correlation over pairs of seeds.

    Low agreement between seeds is how a quantity that the data do not identify looks from outside.

    Args:
        scores: [S, N], one row of scores per seed. Fewer than two seeds give NaN.

    Example:
        >>> import numpy as np
        >>> seed_spearman(np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]]))
        1.0
    """
    pairs = [(a, b) for a in range(len(scores)) for b in range(a)]
    return _mean(np.array([spearman(scores[a], scores[b]) for a, b in pairs]))


def ndcg(scores: Numbers, target: Numbers) -> float:
    """Give the discounted gain of all rows in one list, over its ideal value; 0 if no row is positive.

    Rows with equal scores stand in random order in the definition; this is the mean over all their
    orders, which random draws only approach.

    Example:
        >>> import numpy as np
        >>> round(ndcg(np.array([0.9, 0.5, 0.1]), np.array([0, 1, 0])), 4)
        0.6309
    """
    s_N, t_N = checked(scores, target)
    gain, ideal = _discounted(s_N, t_N, np.zeros(len(t_N), dtype=np.int64), 1)
    return float(gain[0] / ideal[0]) if ideal[0] > 0 else 0.0


def within_prompt_ndcg(scores: Numbers, target: Numbers, groups: Numbers) -> float:
    """Say how near the best answers stand to the top of their prompt's list: the mean NDCG over prompts.

    Gains are the targets themselves; answers with equal scores share their places. Prompts whose targets are all equal
    are left out: every order of them is ideal. NaN if none is left.

    Example:
        >>> import numpy as np
        >>> scores, target = np.array([0.9, 0.5, 0.3, 0.1]), np.array([0, 1, 0.5, 0.5])
        >>> round(within_prompt_ndcg(scores, target, groups=np.array([7, 7, 8, 8])), 4)
        0.6309
    """
    values_G = prompt_ndcg(scores, target, groups)
    return _mean(values_G[~np.isnan(values_G)])


def prompt_ndcg(scores: Numbers, target: Numbers, groups: Numbers) -> FloatArray:
    """Give each prompt's NDCG [G], in the order of the sorted prompt ids; NaN where all its targets are equal."""
    s_N, t_N = checked(scores, target)
    g_N, first_G = group_index(groups, len(s_N))
    gain_G, ideal_G = _discounted(s_N, t_N, g_N, len(first_G))
    told_G = (_spread(t_N, g_N, len(first_G)) > 0) & (ideal_G > 0)
    values_G: FloatArray = np.divide(gain_G, ideal_G, out=np.full(len(first_G), np.nan), where=told_G)
    return values_G


def _discounted(
    s_N: FloatArray, t_N: FloatArray, g_N: IntArray, groups: int
) -> tuple[FloatArray, FloatArray]:
    """Give each group's discounted gain in the order of the scores, and in the best order."""

    def discounts(key_N: FloatArray) -> tuple[IntArray, FloatArray]:
        order_N = np.lexsort((-key_N, g_N))
        size_G = np.bincount(g_N, minlength=groups)
        place_N = np.arange(len(g_N)) - np.repeat(np.cumsum(size_G) - size_G, size_G)
        return order_N, 1 / np.log2(place_N + 2)

    order_N, discount_N = discounts(s_N)
    # Rows of one group and one score form a block, whose places they share.
    new_N = np.r_[True, (np.diff(s_N[order_N]) != 0) | (np.diff(g_N[order_N]) != 0)][: len(g_N)]
    block_N = np.cumsum(new_N) - 1
    mean_gain = np.bincount(block_N, weights=t_N[order_N]) / np.bincount(block_N)
    gain_G, ideal_G = np.zeros(groups), np.zeros(groups)
    np.add.at(gain_G, g_N[order_N], mean_gain[block_N] * discount_N)
    best_N, discount_N = discounts(t_N)
    np.add.at(ideal_G, g_N[best_N], t_N[best_N] * discount_N)
    return gain_G, ideal_G


def best_of_n_regret(scores: Numbers, target: Numbers, groups: Numbers) -> float:
    """Say what is lost by showing the answer with the highest score instead of the best one.

    The mean over prompts with at least two answers of `max(target) - target[argmax(scores)]`; several answers
    with the same highest score count with their mean target. NaN if no prompt has two answers.

    Example:
        >>> import numpy as np
        >>> best_of_n_regret(np.array([0.9, 0.1, 0.2, 0.4]), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]))
        0.5
    """
    values_G = prompt_regrets(scores, target, groups)
    return _mean(values_G[~np.isnan(values_G)])


def prompt_regrets(scores: Numbers, target: Numbers, groups: Numbers) -> FloatArray:
    """Give each prompt's regret [G], in the order of the sorted prompt ids; NaN where it has one answer."""
    s_N, t_N = checked(scores, target)
    g_N, first_G = group_index(groups, len(s_N))
    best_s_G, best_t_G = np.full(len(first_G), -np.inf), np.full(len(first_G), -np.inf)
    np.maximum.at(best_s_G, g_N, s_N)
    np.maximum.at(best_t_G, g_N, t_N)
    chosen_N = s_N == best_s_G[g_N]
    chosen_G = np.bincount(g_N[chosen_N], minlength=len(first_G))
    shown_G = np.bincount(g_N[chosen_N], weights=t_N[chosen_N], minlength=len(first_G)) / chosen_G
    regret_G: FloatArray = np.where(np.bincount(g_N, minlength=len(first_G)) >= 2, best_t_G - shown_G, np.nan)
    return regret_G


def grpo_agreement(scores: Numbers, target: Numbers, groups: Numbers) -> float:
    """Say how far the group-normalised advantages made from the scores agree with those made from the gold.

    The mean over prompts of the correlation of the two advantages inside the prompt. Prompts with a constant
    target are left out; constant scores give advantages of zero and count 0. NaN if no prompt is left.

    Example:
        >>> import numpy as np
        >>> float(round(grpo_agreement(np.array([0.9, 0.1]), np.array([1, 0]), np.array([0, 0])), 6))
        1.0
    """
    s_N, t_N = checked(scores, target)
    g_N, first_G = group_index(groups, len(s_N))
    size_G = np.bincount(g_N, minlength=len(first_G))

    def centred(x_N: FloatArray) -> tuple[FloatArray, FloatArray]:
        x_N = x_N - (np.bincount(g_N, weights=x_N) / size_G)[g_N]
        return x_N, np.sqrt(np.bincount(g_N, weights=x_N**2))

    varies_G = [_spread(x_N, g_N, len(first_G)) > 0 for x_N in (s_N, t_N)]
    (s_N, s_norm_G), (t_N, t_norm_G) = centred(s_N), centred(t_N)
    with np.errstate(invalid="ignore", divide="ignore"):
        corr_G = np.bincount(g_N, weights=s_N * t_N) / (s_norm_G * t_norm_G)
    return _mean(np.where(varies_G[0], corr_G, 0.0)[varies_G[1]])


# ---- level


def brier(probabilities: Numbers, target: Numbers) -> float:
    """Give the mean squared distance of probability and label; lower is better, proper for 0/1 labels.

    Example:
        >>> import numpy as np
        >>> brier(np.array([0.5, 1.0]), np.array([0, 1]))
        0.125
    """
    p_N, t_N = checked(probabilities, target)
    return _mean((t_N - p_N) ** 2)


def rmse(probabilities: Numbers, target: Numbers) -> float:
    """Give the root of the mean squared distance.

    Example:
        >>> import numpy as np
        >>> rmse(np.array([0.5, 0.5]), np.array([0, 1]))
        0.5
    """
    return float(np.sqrt(brier(probabilities, target)))


def mae(probabilities: Numbers, target: Numbers) -> float:
    """Give the mean absolute distance. On 0/1 labels it rewards rounding: show it, never select by it.

    Example:
        >>> import numpy as np
        >>> mae(np.array([0.5, 1.0]), np.array([0, 1]))
        0.25
    """
    p_N, t_N = checked(probabilities, target)
    return _mean(np.abs(t_N - p_N))


def r2(probabilities: Numbers, target: Numbers) -> float:
    """Give the share of the target's variance that is explained; NaN if the target is constant.

    Example:
        >>> import numpy as np
        >>> r2(np.array([0.0, 1.0]), np.array([0, 1]))
        1.0
    """
    p_N, t_N = checked(probabilities, target)
    if not len(t_N) or np.ptp(t_N) == 0:
        return float("nan")
    return float(1 - np.sum((t_N - p_N) ** 2) / np.sum((t_N - t_N.mean()) ** 2))


def nll(logits: Numbers, target: Numbers) -> float:
    """Give the mean negative log-likelihood of the target (0/1, or a probability), from *logits*, in nats.

    Example:
        >>> import numpy as np
        >>> round(nll(np.array([0.0, 0.0]), np.array([0, 1])), 4)
        0.6931
    """
    f_N, t_N = checked(logits, target)
    return _mean(np.logaddexp(0.0, f_N) - t_N * f_N)


def ece(probabilities: Numbers, target: Numbers, bins: int = 15) -> float:
    """Give the expected calibration error: how far mean label and mean probability lie apart, bin by bin.

    Bins hold equal numbers of rows; rows with the same probability are never torn apart, so a model that says
    the same everywhere has one bin.

    Example:
        >>> import numpy as np
        >>> round(ece(np.full(4, 0.5), np.array([0, 1, 1, 1])), 4)
        0.25
    """
    p_N, t_N = checked(probabilities, target)
    if not len(p_N):
        return float("nan")
    _, which_N, count = np.unique(p_N, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - count
    bin_N = (below * bins // len(p_N))[which_N]
    return float(np.abs(np.bincount(bin_N, weights=t_N - p_N)).sum() / len(p_N))


# ---- shared


def ranks(values: FloatArray) -> FloatArray:
    """Rank values from 1, ties at their mean rank.

    Example:
        >>> import numpy as np
        >>> ranks(np.array([0.3, 0.1, 0.3])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, which_N, count = np.unique(values, return_inverse=True, return_counts=True)
    rank: FloatArray = np.cumsum(count) - (count - 1) / 2
    return rank[which_N]


def check_binary(target: FloatArray) -> None:
    """Refuse a target that is not 0/1.

    Raises:
        DataError: naming the first row that is not.
    """
    odd = np.flatnonzero((target != 0) & (target != 1))
    if len(odd):
        raise DataError(
            f"target: row {odd[0]} is {target[odd[0]]:g}, but AUROC needs 0 or 1: "
            "turn a graded target into 0/1 with a threshold first"
        )


def checked(scores: Numbers, target: Numbers) -> tuple[FloatArray, FloatArray]:
    """Give both as float64 [N], or refuse them.

    Raises:
        DataError: lengths differ, or a value is NaN or infinite.
    """
    s_N, t_N = np.asarray(scores, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if s_N.ndim != 1 or s_N.shape != t_N.shape:
        raise DataError(
            f"scores and target: found shapes {s_N.shape} and {t_N.shape}, expected one value per row in both"
        )
    for name, x_N in (("scores", s_N), ("target", t_N)):
        bad = np.flatnonzero(~np.isfinite(x_N))
        if len(bad):
            raise DataError(
                f"{name}: row {bad[0]} is {x_N[bad[0]]}, expected a finite number: leave such rows out"
            )
    return s_N, t_N


def group_index(groups: Numbers, rows: int) -> tuple[IntArray, IntArray]:
    """Number the groups from 0 [N]; give the first row of each [G]."""
    groups = np.asarray(groups)
    if groups.shape != (rows,):
        raise DataError(
            f"groups: found shape {groups.shape}, expected one prompt for each of the {rows} rows"
        )
    _, first_G, index_N = np.unique(groups, return_index=True, return_inverse=True)
    return index_N.astype(np.int64), first_G.astype(np.int64)


def _spread(x_N: FloatArray, g_N: IntArray, groups: int) -> FloatArray:
    high_G, low_G = np.full(groups, -np.inf), np.full(groups, np.inf)
    np.maximum.at(high_G, g_N, x_N)
    np.minimum.at(low_G, g_N, x_N)
    spread_G: FloatArray = high_G - low_G
    return spread_G


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
