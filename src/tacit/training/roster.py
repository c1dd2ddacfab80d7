"""Who trains on what: members, the folds that they hold out, and teams of members that belong together.

Each member of an ensemble holds out one share of the prompts and trains on the rest, so that together the members
judge every row once and no separate validation set is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HOLD_OUT_FOLDS = 5


@dataclass(frozen=True)
class Roster:
    """The members asked for, before the candidates of capacity multiply them.

    Attributes:
        seeds: M integers.
        rows_MN: bool [M, N], rows that a member may use at all (an outer cross-validation leaves some out).
        fold_N: int64 [N] in 0..HOLD_OUT_FOLDS−1, constant within a prompt.
        hold_out: M integers, the fold by which each member is judged.
        team: M integers; capacity is chosen once per team, by the mean criterion of its members.
        half_N: bool [N], constant within a prompt, for cross-fitting temperatures on small held-out sets.
        place_N: int64 [N], the place of a row's prompt in a random order.
    """

    seeds: tuple[int, ...]
    rows_MN: Tensor
    fold_N: Tensor
    hold_out: tuple[int, ...]
    team: tuple[int, ...]
    half_N: Tensor
    place_N: Tensor


def grouped_folds(groups_N: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """A fold for every row, the same for all rows of a group; folds of nearly equal numbers of groups."""
    names, codes = np.unique(groups_N, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    fold_of_group = np.empty(len(names), dtype=np.int64)
    fold_of_group[shuffled] = np.arange(len(names)) % folds
    return fold_of_group[codes]


def roster(groups_N: NDArray[np.int64], members: int, seed: int) -> Roster:
    """The usual ensemble: one team, member m judged by fold m."""
    fold_N = torch.from_numpy(grouped_folds(groups_N, HOLD_OUT_FOLDS, seed))
    rows_MN = torch.ones(members, len(groups_N), dtype=torch.bool)
    return Roster(
        tuple(seed * 1000 + m for m in range(members)),
        rows_MN,
        fold_N,
        tuple(m % HOLD_OUT_FOLDS for m in range(members)),
        (0,) * members,
        torch.from_numpy(grouped_folds(groups_N, 2, seed + 1) == 0),
        torch.from_numpy(grouped_folds(groups_N, len(groups_N), seed + 2)),
    )


def teams(one: Roster, rows_TN: Tensor, seeds: Sequence[int] | None = None) -> Roster:
    """Several ensembles like `one` in a single pass; team t may use the rows `rows_TN[t]` only.

    Args:
        one: the ensemble to repeat.
        rows_TN: bool [T, N]; the training rows of each fold of a cross-validation, or of each seed of a world.
        seeds: T integers added to the members' seeds (times 1000), so that teams start apart; all 0 by default.
    """
    T, M = rows_TN.shape[0], len(one.seeds)
    shift = seeds if seeds is not None else [0] * T
    return Roster(
        tuple(seed + 1000 * shift[t] for t in range(T) for seed in one.seeds),
        rows_TN.repeat_interleave(M, dim=0),
        one.fold_N,
        one.hold_out * T,
        tuple(t for t in range(T) for _ in range(M)),
        one.half_N,
        one.place_N,
    )
