"""How far one signal leaves the share of liked responses open: a factor moves between liking and acting."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from tacit.methods.method import Method
from tacit.methods.observations import Observations

_FEW = 0.01  # of the rows may exceed 1 when a level is moved: the largest of many estimates is mostly noise


PART = "linked_part"
"""The column of observations that numbers the parts of the texts that no context links, where there are several."""


def level_bounds(like_N: Tensor, act_N: Tensor, part_N: Tensor | None = None) -> tuple[float, float]:
    """Least and greatest share of likes that explain one signal as well as the shares that a fit found.

    One signal shows P(y=1) = r·e alone. For any k the pair (k·r, e/k) gives the same clicks, as long as neither is
    above 1: max e ≤ k ≤ 1/max r. Where context moves e and not r, nothing but k is open, and the order of responses is
    the same for every k. (Without such context r may be anything from P(y=1) to 1.) Parts of the texts that no context
    links have a k each: then the order between them is open too, and the share runs from all least k to all greatest.

    Args:
        like_N: r, the probability that the signal is due, of each row (of a negative signal: of a dislike).
        act_N: e, the probability that it is given where it is due.
        part_N: int64, the part of each row; None if all are linked.

    Returns:
        Mean of the probabilities at either end. An end is where one row in a hundred would exceed 1; these count as 1.

    Example:
        >>> r, e = torch.tensor([0.8, 0.2]), torch.tensor([0.6, 0.3])
        >>> level_bounds(r, e)  # k from 0.6 to 1/0.8: 0.6·½ and ½/0.8
        (0.3, 0.625)
        >>> level_bounds(r, e, torch.tensor([0, 1]))  # each on its own: r·e to 1, 0.48 and 0.06 to 1
        (0.27, 1.0)
    """
    if part_N is not None:
        parts = [(part_N == part).nonzero()[:, 0] for part in part_N.unique()]
        ends = [level_bounds(like_N[rows], act_N[rows]) for rows in parts]
        weights = [len(rows) / len(like_N) for rows in parts]
        least, most = (sum(w * end[i] for w, end in zip(weights, ends, strict=True)) for i in (0, 1))
        return round(least, 6), round(most, 6)
    like_N, act_N = like_N.double(), act_N.double()
    nearly_all = max(1, math.ceil((1 - _FEW) * len(like_N)))
    least, most = (float(value_N.kthvalue(nearly_all).values) for value_N in (act_N, like_N))
    low, high = (float((k * like_N).clamp(max=1).mean()) for k in (least, 1 / max(most, 1e-9)))
    return round(low, 6), round(high, 6)


def is_liking_times_acting(method: Method, logits: Mapping[str, Tensor], obs: Observations) -> bool:
    """Whether one signal is read as liking (or disliking) times acting, and nothing else can fire it."""
    return (
        method.exchangeable
        and obs.n_signals == 1
        and not any(obs.misclick)
        and "propensity" in logits
        and not logits.keys() & {"misclick", "activity"}
    )


def open_level(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, *, exclusion: bool = True
) -> tuple[float, float] | None:
    """Between what bounds a fit leaves the share of liked responses; None where something else settles it.

    Args:
        method: that was fitted.
        logits: by head, [M, N] or [M, N, K], of members that are averaged.
        obs: the N rows; the column `PART`, if there, numbers parts with a constant each.
        exclusion: context that varies is seen by the propensity and not by the reward. Without, the signal may have
            been given whenever it was due, or have been due always.

    Returns:
        See `level_bounds`; of a negative signal turned round, so that they are of likes.

    Example:
        >>> from tacit.methods import ImplicitRM, observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0]))
        >>> heads = {"reward": torch.zeros(1, 3), "propensity": torch.tensor([[1 / 3, 1.0, 3.0]]).log()}
        >>> open_level(ImplicitRM(), heads, obs)  # r = ½, e up to ¾: k from ¾ to 2
        (0.375, 1.0)
    """
    trusted = obs.gold_known_B is not None and bool(obs.gold_known_B.any())
    if trusted or not is_liking_times_acting(method, logits, obs):
        return None
    sign = obs.polarity[0]
    low, high = obs.signal_rates()[0], 1.0
    if exclusion:
        like_N = torch.sigmoid(sign * method.reward(logits).mean(0)).expand(obs.n_rows)
        act_N = torch.sigmoid(logits["propensity"].mean(0).reshape(-1)).expand(obs.n_rows)
        low, high = level_bounds(like_N, act_N, obs.columns.get(PART))
    return (low, high) if sign > 0 else (round(1 - high, 6), round(1 - low, 6))
