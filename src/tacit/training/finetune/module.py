"""The network that is trained: a backbone whose head is the reward, and small heads on context and style beside it.

One module, so that data-parallel wrappers see every parameter in one forward pass. Shapes: B rows, T tokens, M members,
K signals, W columns of a view.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tacit.training.heads import Layout, forward, initial_weights


class FeedbackModule(nn.Module):
    """Reward and propensities of a batch, by head.

    Args:
        backbone: a sequence classifier with one row per member.
        layouts: of the heads beside it.
        start: initial level of the reward, a logit: its bias, which the head of a decoder does not have.
        seeds: one per member.
    """

    def __init__(
        self, backbone: Any, layouts: Mapping[str, Layout], start: float, seeds: Sequence[int]
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.layouts = dict(layouts)
        inner = backbone.get_base_model() if hasattr(backbone, "get_base_model") else backbone
        # decoders would keep keys and values of every layer for a next token that never comes
        caches = "use_cache" in inspect.signature(inner.forward).parameters
        self._keywords = {"use_cache": False} if caches else {}
        self.level = nn.Parameter(torch.full((len(seeds),), float(start)))
        self.side = nn.ParameterDict(
            {
                f"{name}:{key}": nn.Parameter(value)
                for name, layout in layouts.items()
                for key, value in initial_weights(layout, list(seeds)).items()
            }
        )

    @property
    def config(self) -> Any:
        """The backbone's configuration, where Trainer and Accelerate look for it."""
        return self.backbone.config

    @property
    def _no_split_modules(self) -> Any:
        """The layers that FSDP shards one by one."""
        return getattr(self.backbone, "_no_split_modules", None)

    @property
    def _keys_to_ignore_on_save(self) -> list[str]:
        """What a checkpoint of an adapter leaves out: the weights that are not trained."""
        trained = {name for name, value in self.named_parameters() if value.requires_grad}
        return [name for name in self.state_dict() if name not in trained]

    def tie_weights(self) -> None:
        """Nothing is tied: a classifier has no output embedding."""

    def get_input_embeddings(self) -> nn.Module:
        """The backbone's: `neftune_noise_alpha` puts its noise there."""
        found: nn.Module = self.backbone.get_input_embeddings()
        return found

    def activation_checkpointing_enable(self, *args: Any, **kwargs: Any) -> None:
        """As on the backbone."""
        self.backbone.activation_checkpointing_enable(*args, **kwargs)

    def gradient_checkpointing_enable(self, *args: Any, **kwargs: Any) -> None:
        """As on the backbone: the older name of the same."""
        self.backbone.gradient_checkpointing_enable(*args, **kwargs)

    def side_weights(self, name: str) -> dict[str, Tensor]:
        """Weights of one of the small heads."""
        return {
            key.partition(":")[2]: value.float()
            for key, value in self.side.items()
            if key.partition(":")[0] == name
        }

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, side: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Logits by head, float32, rows first: [B, M], or [B, M, K] for heads with one output per signal.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T].
            side: features by view, [B, W].
        """
        out = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **self._keywords)
        scores_BM = out.logits
        logits = {"reward": scores_BM.float() + self.level.float()}
        with torch.autocast(input_ids.device.type, enabled=False):
            for name, layout in self.layouts.items():
                x_BW = None if layout.head.view == "none" else side[layout.head.view].float()
                value = forward(layout, self.side_weights(name), x_BW)  # [M, B], or [M, 1] without features
                value = value.expand(-1, input_ids.shape[0], *value.shape[2:])
                logits[name] = value.transpose(0, 1).clone()  # FSDP2 warns of views that leave the module
        return logits
