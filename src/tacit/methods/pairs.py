"""Pairs of rows of one prompt, for losses that compare: every row with up to so many others of its prompt.

Shapes: B rows, P ordered pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.errors import DegenerateDataError
from tacit.methods.observations import Observations

PARTNERS = 32
"""Others of its prompt with which a row is compared at most; the order of the rows decides which."""


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
    place_B = torch.arange(B) - start_B
    steps = min(partners, int(sizes_G.max()) - 1) if B else 0
    first, second = [], []
    for step in range(1, steps + 1):
        there = torch.nonzero(size_B > step)[:, 0]
        other = start_B[there] + (place_B[there] + step) % size_B[there]
        first.append(order_B[there])
        second.append(order_B[other])
    none = torch.zeros(0, dtype=torch.int64)
    return (torch.cat(first) if first else none), (torch.cat(second) if second else none)


def row_means(value_P: Tensor, i_P: Tensor, rows: int) -> Tensor:
    """Sum over the partners of each row divided by how many it has, [..., P] → [..., B]; 0 for a row without any."""
    count_B = torch.zeros(rows, dtype=value_P.dtype).index_add_(
        0, i_P, torch.ones_like(i_P, dtype=value_P.dtype)
    )
    total = torch.zeros(*value_P.shape[:-1], rows, dtype=value_P.dtype).index_add(-1, i_P, value_P)
    return total / count_B.clamp(min=1)


def require_groups(key: str, obs: Observations) -> Tensor:
    """The prompt of each row.

    Raises:
        DegenerateDataError: prompts are not known, or none of them has two rows of different label.
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
    label_B, known_B = label_B.reshape(-1, group_B.shape[0]), known_B.reshape(-1, group_B.shape[0])
    _, code_B = torch.unique(group_B, return_inverse=True)
    ones = torch.zeros(int(code_B.max()) + 1, dtype=torch.bool)
    zeros = ones.clone()
    for label, known in zip(label_B, known_B.expand_as(label_B), strict=True):
        ones[code_B[(label > 0) & known]] = True
        zeros[code_B[(label <= 0) & known]] = True
    if not bool((ones & zeros).any()):
        raise DegenerateDataError(
            f"{key}: none of {len(ones)} prompts has answers of both labels; pairs are taken within a prompt, so it "
            "needs several answers per prompt (is prompt_id missing?)"
        )
