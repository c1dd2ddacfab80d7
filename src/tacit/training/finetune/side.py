"""What the small heads beside a backbone see: context and surface style of every row, standardised, no text.

The same blocks as on frozen features: context and style for a propensity, the length alone for a baseline. Shapes: N
rows of a log, C context columns, S style columns, W columns of a view.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.data import FeedbackLog
from tacit.features import ContextCodec, Standardiser, style_features
from tacit.methods import Head
from tacit.training.heads import Layout
from tacit.training.views import Block, View

SIDE_VIEWS = ("propensity", "context", "length", "none")
"""What a head beside a backbone may see."""


@dataclass(frozen=True)
class SideFeatures:
    """How the context and style of a log become numbers, learned on the training rows.

    Attributes:
        codec: of the context columns, or None without context.
        scalings: by block: style, length, and context where there is one.
    """

    codec: ContextCodec | None
    scalings: Mapping[str, Standardiser]

    @classmethod
    def fit(cls, log: FeedbackLog) -> SideFeatures:
        """Learn from a log; labels play no part.

        Raises:
            DataError: a context value that cannot be used.
        """
        columns = log.context_columns()
        codec = ContextCodec.fit(columns) if columns else None
        blocks = _blocks(log, codec)
        return cls(codec, {name: Block.fit(values).scaling for name, values in blocks.items()})

    @property
    def widths(self) -> dict[str, int]:
        """W of every view that a head may name."""
        width = {name: len(scaling.mean) for name, scaling in self.scalings.items()}
        views = {"propensity": width["style"] + width.get("context", 0), "length": width["length"]}
        return {**views, "context": width["context"]} if "context" in width else views

    def views(self, log: FeedbackLog, names: Iterable[str]) -> dict[str, Tensor]:
        """Standardised features by view name, float32 [N, W].

        Raises:
            DataError: a context column of the fit is missing, or holds a value that cannot be used.
        """
        blocks = {
            name: Block(values, self.scalings[name]) for name, values in _blocks(log, self.codec).items()
        }
        parts = {"length": ("length",), "context": ("context",), "propensity": ("context", "style")}
        rows_N = torch.arange(len(log))
        return {
            name: View(name, tuple(blocks[part] for part in parts[name] if part in blocks)).rows(rows_N)
            for name in names
        }

    def layout(self, head: Head, hidden: tuple[int, ...]) -> Layout:
        """The network of a head that sees one of `SIDE_VIEWS`."""
        if head.view == "none" or (head.view == "context" and "context" not in self.widths):
            return Layout(Head(head.name, "none", head.bias, head.scalar), 0, ())
        return Layout(head, self.widths[head.view], hidden if head.view == "propensity" else ())

    def to_json(self) -> dict[str, Any] | None:
        """The codec, JSON-ready."""
        return self.codec.to_json() if self.codec is not None else None

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, for safetensors."""
        return {
            f"scaling.{name}.{key}": value
            for name, scaling in self.scalings.items()
            for key, value in scaling.tensors().items()
        }

    @classmethod
    def from_parts(cls, codec: Mapping[str, Any] | None, tensors: Mapping[str, NDArray[Any]]) -> SideFeatures:
        """Read back what `to_json` and `tensors` gave; other tensors are passed over."""
        grouped: dict[str, dict[str, NDArray[Any]]] = {}
        for key, value in tensors.items():
            if key.startswith("scaling."):
                _, name, part = key.split(".")
                grouped.setdefault(name, {})[part] = value
        return cls(
            ContextCodec.from_json(codec) if codec is not None else None,
            {name: Standardiser.from_tensors(parts) for name, parts in grouped.items()},
        )


def _blocks(log: FeedbackLog, codec: ContextCodec | None) -> dict[str, NDArray[np.float32]]:
    style_NS = style_features(log.responses())
    blocks = {"style": style_NS, "length": np.ascontiguousarray(style_NS[:, :1])}
    if codec is not None:
        blocks["context"] = codec.transform(log.context_columns())
    return blocks
