"""Pairs of rows of one prompt, for losses that compare: every row with up to so many others of its prompt.

Shapes: B rows, P ordered pairs, G prompts, any leading dimensions (members).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tacit.errors import DegenerateDataError
from tacit.methods.observations import Observations

PARTNERS = 10
"""Others of its prompt with which a row is compared at most; the order of the rows decides which.

As many as the negatives that BPR draws per positive and epoch. With up to 11 answers per prompt these are all pairs.
"""


def ordered_pairs(group_B: Tensor, partners: int = PARTNERS) -> tuple[Tensor, Tensor]:
    """Indices i, j [P] of ordered pairs i ≠ j of the same group.

    A row meets the rows that follow it in its group, round the end, so that with more rows than `partners` each is
    met equally often; batches are shuffled, so the partners change from epoch to epoch.

    Example:
        >>> i, j = ordered_pairs(torch.tensor([7, 3, 7, 3, 3]))
        >>> sorted(zip(i.tolist(), j.tolist()))
        [(0, 2), (1, 3), (1, 4), (2, 0), (3, 1), (3, 4), (4, 1), (4, 3)]
    """
    B = group_B.shape[0]
    order_B = torch.argsort(group_B, stable=True)
    _, sizes_G = torch.unique_consecutive(group_B[order_B], return_counts=True)
    size_B = sizes_G.repeat_interleave(sizes_G)
    start_B = (sizes_G.cumsum(0) - sizes_G).repeat_interleave(sizes_G)
    place_B = torch.arange(B, device=group_B.device) - start_B
    steps = min(partners, int(sizes_G.max()) - 1) if B else 0
    first, second = [], []
    for step in range(1, steps + 1):
        there = torch.nonzero(size_B > step)[:, 0]
        other = start_B[there] + (place_B[there] + step) % size_B[there]
        first.append(order_B[there])
        second.append(order_B[other])
    none = order_B[:0]
    return (torch.cat(first) if first else none), (torch.cat(second) if second else none)


@dataclass(frozen=True)
class Pairs:
    """The ordered pairs of a batch.

    Attributes:
        i_P, j_P: int64 [P], rows.
        rows: B.
        usable_P: bool [..., P], both rows are known and count for this member.
    """

    i_P: Tensor
    j_P: Tensor
    rows: int
    usable_P: Tensor

    def first(self, value_B: Tensor) -> Tensor:
        """Of the rows i, [..., P]."""
        return value_B.index_select(-1, self.i_P)

    def second(self, value_B: Tensor) -> Tensor:
        """Of the rows j, [..., P]."""
        return value_B.index_select(-1, self.j_P)

    @cached_property
    def partners_B(self) -> Tensor:
        """How many usable pairs each row has [..., B], at least 1."""
        return _added(self.usable_P.to(torch.float32), self.i_P, self.rows).clamp(min=1)

    def row_means(self, value_P: Tensor) -> Tensor:
        """Mean over the usable partners of each row, [..., P] → [..., B]; 0 for a row without any."""
        return _added(value_P * self.usable_P, self.i_P, self.rows) / self.partners_B

    def averaged(self, value_P: Tensor, weight_P: Tensor, obs: Observations) -> Tensor:
        """Row terms [..., B] whose mean over the rows that count is Σ w·v / Σ w over the usable pairs of the batch.

        Every row counts its partners alike, so a prompt's pairs share the weight of its rows, however many there are.
        0 everywhere where no pair has weight.
        """
        norm = obs.mean(self.row_means(weight_P))
        return self.row_means(weight_P * value_P) / torch.where(norm > 0, norm, torch.ones_like(norm))


def pairs_within(key: str, obs: Observations, known_B: Tensor) -> Pairs:
    """The ordered pairs within each prompt of the batch.

    Args:
        key: of the method, for the message.
        obs: of the batch, whole prompts.
        known_B: bool [..., B], rows that may be in a pair; rows without weight may not.

    Raises:
        DegenerateDataError: prompts are not known.
    """
    i_P, j_P = ordered_pairs(require_groups(key, obs))
    mine_B = known_B if obs.weight_B is None else known_B & (obs.weight_B > 0)
    return Pairs(i_P, j_P, obs.n_rows, mine_B.index_select(-1, i_P) & mine_B.index_select(-1, j_P))


def in_company(group_B: Tensor, known_B: Tensor) -> Tensor:
    """Known rows of prompts with another known row, bool [..., B].

    Example:
        >>> in_company(torch.tensor([0, 0, 1, 1]), torch.tensor([True, True, True, False])).tolist()
        [True, True, False, False]
    """
    code_B, G = _codes(group_B)
    return known_B & (_added(known_B.to(torch.int64), code_B, G).index_select(-1, code_B) > 1)


def in_contrast(group_B: Tensor, label_B: Tensor, known_B: Tensor) -> Tensor:
    """Known rows of prompts in which both labels are known, bool [..., B].

    Example:
        >>> label, known = torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.ones(4, dtype=torch.bool)
        >>> in_contrast(torch.tensor([0, 0, 1, 1]), label, known).tolist()
        [True, True, False, False]
    """
    code_B, G = _codes(group_B)
    ones_G = _added((known_B & (label_B > 0)).to(torch.int64), code_B, G)
    zeros_G = _added((known_B & (label_B <= 0)).to(torch.int64), code_B, G)
    return known_B & ((ones_G > 0) & (zeros_G > 0)).index_select(-1, code_B)


def require_groups(key: str, obs: Observations) -> Tensor:
    """The prompt of each row.

    Raises:
        DegenerateDataError: prompts are not known.
    """
    if obs.group_B is None:
        raise DegenerateDataError(
            f"{key}: compares answers to one prompt, and the prompts are not known; supply groups (prompt ids)"
        )
    return obs.group_B


def refuse_unpaired(key: str, label_B: Tensor, known_B: Tensor, obs: Observations) -> None:
    """Raise unless some prompt has a row with label 1 and one with label 0 among the known rows (guard G8).

    Raises:
        DegenerateDataError: otherwise.
    """
    group_B = require_groups(key, obs)
    if not bool(in_contrast(group_B, label_B, known_B).any()):
        prompts = _codes(group_B)[1]
        raise DegenerateDataError(
            f"{key}: none of {prompts} prompts has answers of both labels; pairs are taken within a prompt, so it "
            "needs several answers per prompt (is prompt_id missing?)"
        )


def _codes(group_B: Tensor) -> tuple[Tensor, int]:
    """Prompts numbered from 0, and how many there are."""
    names_G, code_B = torch.unique(group_B, return_inverse=True)
    return code_B, int(names_G.numel())


def _added(value_P: Tensor, index_P: Tensor, size: int) -> Tensor:
    """Sums of the values that share an index, [..., P] → [..., size]."""
    return value_P.new_zeros(*value_P.shape[:-1], size).index_add(-1, index_P, value_P)
