"""The members: which rows each may use, what they have learned, and what they say of a row.

Shapes: N rows of the log, B rows of a batch, M members, K signals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tacit.methods.method import Method
from tacit.training.heads import Layout, forward, join_rows, select_members
from tacit.training.temperature import Calibration
from tacit.training.views import View, Views

_WIDE = 64
"""Columns from which the first product is worth bfloat16; narrower inputs (context, style) stay float32."""

Weights = dict[str, dict[str, Tensor]]
"""Tensors of every head, by head and name; see `tacit.training.heads`."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Which member trains on which rows, and which rows judge it.

    Attributes:
        seeds: M integers, one per member.
        train_MN: bool [M, N].
        held_out_MN: bool [M, N], disjoint from `train_MN`.
        half_N: bool [N], splits held-out rows in two by prompt for cross-fitting.
        weight_decay: M floats, for the reward head.
        judged_by_MN: bool [M, N], those of the held-out rows that judge every epoch; None for all.
    """

    seeds: tuple[int, ...]
    train_MN: Tensor
    held_out_MN: Tensor
    half_N: Tensor
    weight_decay: tuple[float, ...]
    judged_by_MN: Tensor | None = None

    @property
    def judged_MN(self) -> Tensor:
        """Rows that judge every epoch of a member, bool [M, N]."""
        return self.held_out_MN if self.judged_by_MN is None else self.judged_by_MN

    def pick(self, members: Tensor) -> Plan:
        """Of some members (int64 index)."""
        return Plan(
            tuple(self.seeds[m] for m in members.tolist()),
            self.train_MN[members],
            self.held_out_MN[members],
            self.half_N,
            tuple(self.weight_decay[m] for m in members.tolist()),
            None if self.judged_by_MN is None else self.judged_by_MN[members],
        )


@dataclass
class Ensemble:
    """M trained members: layouts, weights and temperatures of every head, and how well each did."""

    layouts: dict[str, Layout]
    weights: dict[str, dict[str, Tensor]]
    calibration: Calibration
    criterion_M: Tensor
    epoch_M: Tensor
    epochs_run: int = 0
    curve: list[list[float]] = field(default_factory=list)

    @property
    def members(self) -> int:
        """M."""
        return int(self.criterion_M.shape[0])

    def logits(self, views: Views, rows_B: Tensor, *, batch: int = 4096) -> dict[str, Tensor]:
        """Calibrated logits of all members on some rows, float32, [M, B] or [M, B, K] by head."""
        parts = []
        for chunk in rows_B.split(batch):
            parts.append(self.calibration.apply(raw_logits(self.layouts, self.weights, views, chunk)))
        return join_rows(self.layouts, parts)

    @torch.no_grad()
    def mean_logits(self, views: Views, rows_B: Tensor) -> dict[str, Tensor]:
        """Calibrated logits of some rows in the mean over the members, [B] or [B, K] by head."""
        return {
            name: value.mean(0).expand(len(rows_B), *value.shape[2:])
            for name, value in self.logits(views, rows_B).items()
        }

    @torch.no_grad()
    def rewards(self, method: Method, views: Views, rows_B: Tensor) -> Tensor:
        """Calibrated reward logits of all members on some rows, float32 [M, B]."""
        reward = method.reward(self.only(*method.reward_heads).logits(views, rows_B))
        return reward.expand(self.members, rows_B.shape[0])

    def only(self, *heads: str) -> Ensemble:
        """The same members with some of their heads: scoring needs the reward alone."""
        return replace(self, layouts={name: self.layouts[name] for name in heads})

    def pick(self, members: Sequence[int]) -> Ensemble:
        """Some members, as an ensemble of their own."""
        index = torch.tensor(list(members))
        return Ensemble(
            self.layouts,
            {name: select_members(self.layouts[name], w, index) for name, w in self.weights.items()},
            self.calibration.pick(index),
            self.criterion_M[index],
            self.epoch_M[index],
            self.epochs_run,
        )


def raw_logits(
    layouts: dict[str, Layout],
    weights: dict[str, dict[str, Tensor]],
    views: Views,
    rows_B: Tensor,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Uncalibrated logits of every head. Heads with the same view share one gathered batch."""
    gathered: dict[str, Tensor] = {}
    logits = {}
    for name, layout in layouts.items():
        x_BD = None
        if layout.head.view != "none":
            view = views[layout.head.view]
            if view.name not in gathered:
                gathered[view.name] = view.rows(rows_B, _of_width(view.width, dtype))
            x_BD = gathered[view.name]
        logits[name] = forward(layout, weights[name], x_BD)
    return logits


def keep_views(layouts: Mapping[str, Layout], views: Views, dtype: torch.dtype) -> dict[str, View]:
    """The views that these heads see, with small ones standardised once, as `raw_logits` with `dtype` asks for them."""
    declared = {layout.head.view for layout in layouts.values()} - {"none"}
    kept = {view.name: view.keep(_of_width(view.width, dtype)) for view in (views[name] for name in declared)}
    return {name: kept[views[name].name] for name in declared}


def _of_width(width: int, dtype: torch.dtype) -> torch.dtype:
    return dtype if width >= _WIDE else torch.float32
