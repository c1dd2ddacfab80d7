"""What a head may look at: columns of one or more arrays, gathered and standardised batch by batch.

The arrays stay as they are (float16 embeddings, possibly memory-mapped): a batch is gathered, brought to mean 0
and deviation 1 in float32, and handed on. The embeddings are never held twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.features.scaling import Standardiser


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


@dataclass(frozen=True)
class View:
    """The blocks that a head sees side by side. `name` tells views apart; equal names are gathered once."""

    name: str
    blocks: tuple[Block, ...]

    @property
    def width(self) -> int:
        """D: columns of all blocks."""
        return sum(block.values.shape[1] for block in self.blocks)

    def rows(self, index_B: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The standardised features of some rows, [B, D]."""
        B = index_B.shape[0]
        x_BD = torch.empty(B, self.width, dtype=dtype)
        start = 0
        for block in self.blocks:
            stop = start + block.values.shape[1]
            gathered = _gather(block.values, index_B)
            mean = torch.from_numpy(np.asarray(block.scaling.mean, dtype=np.float32))
            scale = torch.from_numpy(np.asarray(block.scaling.scale, dtype=np.float32))
            # By the reciprocal: a product takes a quarter of a quotient's time.
            x_BD[:, start:stop] = gathered.sub_(mean).mul_(1 / scale)
            start = stop
        return x_BD


def _gather(values: NDArray[np.floating], index_B: Tensor) -> Tensor:
    if values.flags.writeable and values.flags.c_contiguous:
        return torch.from_numpy(values).index_select(0, index_B).to(torch.float32)
    return torch.from_numpy(np.ascontiguousarray(values[index_B.numpy()]).astype(np.float32))


Views = Mapping[str, View]
"""View of every head by the view name that the method declares: reward, propensity, length."""
