"""Texts of unlike lengths through one forward pass: side by side in one long row, each attending to itself alone.

Everything in a transformer but attention works token by token, so tokens of many texts can share its matrix products.
A few hundred tokens fill them; the handful of texts that happen to have one width does not. Attention runs once per
width, over texts of that width alone, so a vector is that of a batch of its own width (`batching.py`).

Suffixes: N texts of one width, T tokens of all of them, H attention heads, W tokens of a text, d columns of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit.features.batching import Batch, pad

if TYPE_CHECKING:
    import torch

_NAME = "tacit_packed"
FAMILIES = ("bert",)
"""Backbones whose attention is plain and looks both ways, and which take positions as given: others, with causal or
sliding windows, would need masks that this attention does not have."""


@dataclass(frozen=True)
class Segment:
    """Texts of one width, padded, in a row of many.

    Attributes:
        start: first token.
        texts: N.
        width: W.
        mask_NW: int64, 1 for a real token.
    """

    start: int
    texts: int
    width: int
    mask_NW: torch.Tensor

    @property
    def tokens(self) -> slice:
        """Where the segment's N·W tokens stand."""
        return slice(self.start, self.start + self.texts * self.width)


@dataclass(frozen=True)
class Packed:
    """What the backbone is given.

    Attributes:
        ids_1T: int64 token ids of all texts.
        positions_1T: int64, of each token within its own text.
        segments: in order, without gaps.
    """

    ids_1T: torch.Tensor
    positions_1T: torch.Tensor
    segments: tuple[Segment, ...]


def bins(batches: Sequence[Batch], budget: int) -> list[list[Batch]]:
    """Batches of one width each, joined in order while they fit a budget of cells.

    Example:
        >>> import numpy as np
        >>> plan = [Batch(np.arange(2), 16), Batch(np.arange(1), 8), Batch(np.arange(5), 8)]
        >>> [[batch.width for batch in joined] for joined in bins(plan, 48)]
        [[16, 8], [8]]
    """
    joined: list[list[Batch]] = []
    left = 0
    for batch in batches:
        cells = len(batch.rows) * batch.width
        if not joined or cells > left:
            joined.append([])
            left = budget
        joined[-1].append(batch)
        left -= cells
    return joined


def pack(groups: Sequence[tuple[Sequence[Sequence[int]], int]], filler: int) -> Packed:
    """Lay groups of token lists, each padded to its width, end to end.

    Args:
        groups: (token lists, width) pairs.
        filler: the padding token.
    """
    import torch

    ids, positions, segments, start = [], [], [], 0
    for token_lists, width in groups:
        ids_NW, mask_NW = pad(token_lists, width, filler)
        ids.append(ids_NW.reshape(-1))
        positions.append(np.tile(np.arange(width), len(token_lists)))
        segments.append(Segment(start, len(token_lists), width, torch.from_numpy(mask_NW)))
        start += ids_NW.size
    return Packed(
        torch.from_numpy(np.concatenate(ids))[None],
        torch.from_numpy(np.concatenate(positions))[None],
        tuple(segments),
    )


def attend_within_texts(model: Any) -> None:
    """Let a backbone of `FAMILIES` attend within the segments of a `Packed`, handed to it as `segments=`."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(_NAME, _attention)
    AttentionMaskInterface.register(_NAME, _no_mask)
    model.set_attn_implementation(_NAME)


def _attention(
    module: torch.nn.Module,
    query_1HTd: torch.Tensor,
    key_1HTd: torch.Tensor,
    value_1HTd: torch.Tensor,
    attention_mask: None,
    *,
    segments: tuple[Segment, ...],
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as `transformers` calls it: [1, H, T, d] each, returns [1, T, H, d]."""
    import torch

    H, T, d = query_1HTd.shape[1:]
    qkv_3THd = torch.stack((query_1HTd[0], key_1HTd[0], value_1HTd[0])).transpose(1, 2).contiguous()
    mixed_THd = torch.empty(T, H, d, dtype=query_1HTd.dtype, device=query_1HTd.device)
    for segment in segments:
        shape = (segment.texts, segment.width, H, d)
        q_NHWd, k_NHWd, v_NHWd = qkv_3THd[:, segment.tokens].view(3, *shape).transpose(2, 3)
        # Rows without a cell of padding have a segment of their own (`plan_batches`), and another kernel.
        mask = None if bool(segment.mask_NW.all()) else segment.mask_NW.bool()[:, None, None, :]
        out_NHWd = torch.nn.functional.scaled_dot_product_attention(
            q_NHWd, k_NHWd, v_NHWd, attn_mask=mask, scale=scaling
        )
        mixed_THd[segment.tokens].view(shape).copy_(out_NHWd.transpose(1, 2))
    return mixed_THd[None], None


def _no_mask(*_: Any, **__: Any) -> None:
    """`transformers` asks for a mask over all tokens; the segments say it better."""
    return
