"""What a head may look at: columns of one or more arrays, gathered and standardised batch by batch.

The arrays stay as they are (float16 embeddings, possibly memory-mapped): a batch is gathered, brought to mean 0
and deviation 1 in float32, and handed on. The embeddings are never held twice; only of a small log (`View.keep`)
are the standardised rows kept beside them for a training, which reads them many times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.features.scaling import Standardiser

_KEPT = 1 << 25
"""Numbers (64 MiB of bfloat16) of a view that is standardised once; a larger one is standardised batch by batch."""
_ROWS = 4096
"""Rows standardised at a time for keeping."""


@dataclass(frozen=True)
class Block:
    """Some columns: an array [N, d] (float16 or float32) and its scaling.

    Every column is standardised and the block divided by √d, so that a block counts as one feature of variance 1
    however wide it is: a thousand embedding columns do not drown ten style columns under a common weight decay.
    """

    values: NDArray[np.floating]
    scaling: Standardiser

    @classmethod
    def fit(cls, values: NDArray[np.floating], rows: NDArray[np.int64] | None = None) -> Block:
        """A block scaled on its own rows, or on some of them."""
        fitted = Standardiser.fit(values if rows is None else values[rows])
        width = np.float32(max(1, values.shape[1]))
        return cls(values, Standardiser(fitted.mean, fitted.scale * np.sqrt(width)))

    @cached_property
    def constants(self) -> tuple[Tensor, Tensor]:
        """Mean and reciprocal of the deviation, float32 [D]: a product takes a quarter of a quotient's time."""
        mean = torch.from_numpy(np.asarray(self.scaling.mean, dtype=np.float32))
        scale = torch.from_numpy(np.asarray(self.scaling.scale, dtype=np.float32))
        return mean, 1 / scale


@dataclass(frozen=True)
class View:
    """The blocks that a head sees side by side. `name` tells views apart; equal names are gathered once.

    Attributes:
        name: of the view.
        blocks: side by side; all have the same rows.
        kept: the standardised rows themselves, [N, D], if `keep` has made them.
    """

    name: str
    blocks: tuple[Block, ...]
    kept: Tensor | None = field(default=None, repr=False, compare=False)

    @property
    def width(self) -> int:
        """D: columns of all blocks."""
        return sum(block.values.shape[1] for block in self.blocks)

    def rows(self, index_B: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The standardised features of some rows, [B, D]."""
        if self.kept is not None and self.kept.dtype == dtype:
            return self.kept.index_select(0, index_B)
        x_BD = torch.empty(index_B.shape[0], self.width, dtype=dtype)
        start = 0
        for block in self.blocks:
            stop = start + block.values.shape[1]
            mean_D, per_scale_D = block.constants
            x_BD[:, start:stop] = _gather(block.values, index_B).sub_(mean_D).mul_(per_scale_D)
            start = stop
        return x_BD

    def keep(self, dtype: torch.dtype) -> View:
        """A view that finds its rows standardised, the same bits, unless there are more than 2²⁵ numbers."""
        N = len(self.blocks[0].values)
        if N * self.width > _KEPT:
            return self
        kept_ND = torch.empty(N, self.width, dtype=dtype)
        for rows in torch.arange(N).split(_ROWS):
            kept_ND[rows[0] : rows[-1] + 1] = self.rows(rows, dtype)
        return View(self.name, self.blocks, kept_ND)


def _gather(values: NDArray[np.floating], index_B: Tensor) -> Tensor:
    if values.flags.writeable and values.flags.c_contiguous:
        return torch.from_numpy(values).index_select(0, index_B).to(torch.float32)
    return torch.from_numpy(np.ascontiguousarray(values[index_B.numpy()]).astype(np.float32))


Views = Mapping[str, View]
"""View of every head by the view name that the method declares: reward, propensity, length."""
