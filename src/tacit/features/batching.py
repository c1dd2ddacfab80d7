"""Batches of token lists in which a text's vector cannot depend on its neighbours.

Padding is what makes a transformer's output depend on the batch: a longer neighbour changes the width of the
sums, and in bf16 that moves a vector in the third digit. Here the width of a batch is a function of the text
alone (its length rounded up), and only texts of the same width share a batch. What remains is the order in
which a machine's matrix products add up: where that does not depend on the number of rows, a vector is bit for bit the
same in any batch; where it does (seen on an Intel processor with AMX), it moves in its last digits.
`tests/features/test_minilm.py` pins both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDING = 8
"""Widths are multiples of this many tokens: at most 7 cells of padding per text, and never a matrix product
of fewer than 8 rows (below that, BLAS libraries switch kernels and round differently)."""

BATCH_TOKENS = 2048
"""Cells per batch on a CPU: larger batches fall out of the cache (8,192 was a fifth slower in our trial)."""

GPU_ROUNDING, GPU_BATCH_TOKENS = 32, 16384
"""The same on a GPU, where starting a batch costs more than its padding: 2,000 texts took an H100 half as long with
widths of 32 as with widths of 8."""


@dataclass(frozen=True)
class Batch:
    """Rows that are encoded together, all padded to the same width in tokens."""

    rows: np.ndarray  # int64, indices into the lengths that were planned
    width: int


def plan_batches(
    lengths: Sequence[int], *, longest: int, batch_tokens: int = BATCH_TOKENS, rounding: int = ROUNDING
) -> list[Batch]:
    """Group texts of equal rounded length into batches of at most `batch_tokens` cells, longest first.

    Args:
        lengths: tokens per text, each between 1 and `longest`.
        longest: the most tokens the model reads; no batch is wider.
        batch_tokens: rows times width of one batch; a text wider than that travels alone.
        rounding: widths are multiples of this many tokens.

    Returns:
        Batches that hold every row once.

    Example:
        >>> [(batch.rows.tolist(), batch.width) for batch in plan_batches([3, 16, 7, 8], longest=512)]
        [([1], 16), ([3], 8), ([0, 2], 8)]
    """
    if not lengths:
        return []
    lengths_N = np.asarray(lengths, dtype=np.int64)
    width_N = np.minimum(-(-lengths_N // rounding) * rounding, longest)
    # Rows without a single cell of padding go apart: attention without a mask runs another kernel.
    group_N = width_N * 2 + (width_N == lengths_N)
    order_N = np.argsort(-group_N, kind="stable")
    starts = np.flatnonzero(np.diff(group_N[order_N], prepend=-1))
    batches = []
    for start, end in zip(starts, [*starts[1:], len(order_N)], strict=True):
        width = int(width_N[order_N[start]])
        step = max(1, batch_tokens // width)
        batches += [Batch(order_N[i : min(i + step, end)], width) for i in range(start, end, step)]
    return batches


def plan_for(device: str, lengths: Sequence[int], *, longest: int) -> list[Batch]:
    """`plan_batches` as a device likes it: `"cpu"`, or the type of an accelerator."""
    if device == "cpu":
        return plan_batches(lengths, longest=longest)
    return plan_batches(lengths, longest=longest, batch_tokens=GPU_BATCH_TOKENS, rounding=GPU_ROUNDING)


def pad(token_lists: Sequence[Sequence[int]], width: int, filler: int) -> tuple[np.ndarray, np.ndarray]:
    """Pad on the right to `width`: int64 token ids [B, width] and the mask of real tokens [B, width].

    Example:
        >>> ids, mask = pad([[5, 6], [7]], 3, 0)
        >>> ids.tolist(), mask.tolist()
        ([[5, 6, 0], [7, 0, 0]], [[1, 1, 0], [1, 0, 0]])
    """
    ids_BT = np.full((len(token_lists), width), filler, dtype=np.int64)
    mask_BT = np.zeros((len(token_lists), width), dtype=np.int64)
    for row, tokens in enumerate(token_lists):
        ids_BT[row, : len(tokens)] = tokens
        mask_BT[row, : len(tokens)] = 1
    return ids_BT, mask_BT
