"""From pairs of text and context to the views that heads see, the same way in fitting and in scoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tacit.data import FeedbackLog
from tacit.errors import ModelError
from tacit.features import EmbeddingStore, Encoder, Standardiser, embed_pairs, style_features
from tacit.training.views import Block, View, Views

PropensityFeatures = Literal["context", "text"]
"""What propensity heads see: context and style (exclusion, the default), or all the text as published."""

RewardFeatures = Literal["text+style", "text"]
"""What reward heads see: the embedding and twelve measures of style (the default), or the embedding alone.

A linear head on the embedding of a decoder alone is a sequence classifier: `tacit export` writes it exactly.
"""


@dataclass(frozen=True)
class Inputs:
    """Arrays of N rows.

    Attributes:
        embedding_ND: float16 [N, D] of the pair.
        style_NS: float32 [N, S], `STYLE_NAMES` in order; the first column is the length.
        context_NC: float32 [N, C], or None where the log has no context or scoring does not need it.
        prompt_columns: so many of the last embedding columns are the prompt's alone; 0 where the encoder reads prompt
            and response as one text.
    """

    embedding_ND: NDArray[np.float16]
    style_NS: NDArray[np.float32]
    context_NC: NDArray[np.float32] | None = None
    prompt_columns: int = 0


def log_inputs(
    encoder: Encoder,
    log: FeedbackLog,
    store: EmbeddingStore | None,
    *,
    quiet: bool = True,
    context_NC: NDArray[np.float32] | None = None,
) -> Inputs:
    """Embed and measure the N pairs of a log."""
    responses = log.responses()
    # A paired encoder reads no chats: built as Python objects, a million of them would need gigabytes.
    chats = [] if encoder.paired else log.messages()
    embedding_ND = embed_pairs(encoder, log.prompts(), responses, chats, store, quiet=quiet)
    prompt_columns = (
        embedding_ND.shape[1] // 3 if encoder.paired else 0
    )  # response, match, prompt: `embed_pairs`
    return Inputs(embedding_ND, style_features(responses), context_NC, prompt_columns)


@dataclass(frozen=True)
class Scalings:
    """Column means and deviations of every block, learned from the log and stored with the model."""

    blocks: Mapping[str, Standardiser]

    @classmethod
    def fit(cls, inputs: Inputs) -> Scalings:
        """Learn from all rows of a log; labels play no part."""
        blocks = {
            "embedding": Block.fit(inputs.embedding_ND).scaling,
            "style": Block.fit(inputs.style_NS).scaling,
            "length": Block.fit(inputs.style_NS[:, :1]).scaling,
        }
        if inputs.context_NC is not None:
            blocks["context"] = Block.fit(inputs.context_NC).scaling
        return cls(blocks)

    def views(
        self,
        inputs: Inputs,
        propensity_features: PropensityFeatures = "context",
        reward_features: RewardFeatures = "text+style",
    ) -> Views:
        """What each kind of head sees. The reward never sees context; by default no propensity sees the embedding."""
        style = Block(inputs.style_NS, self.blocks["style"])
        text = View("text", (Block(inputs.embedding_ND, self.blocks["embedding"]), style))
        reward = text if reward_features == "text+style" else View("embedding", text.blocks[:1])
        context = None
        if "context" in self.blocks and inputs.context_NC is not None:
            context = Block(inputs.context_NC, self.blocks["context"])
        views = {
            "reward": reward,
            "all": text if context is None else View("all", (*text.blocks, context)),
            "style": View("style", (style,)),
            "length": View("length", (Block(inputs.style_NS[:, :1].copy(), self.blocks["length"]),)),
        }
        if propensity_features == "text":
            views["propensity"] = text
        elif "context" not in self.blocks:
            views["propensity"] = View("style", (style,))
        elif context is not None:
            views["propensity"] = View("context+style", (context, style))
        if context is not None:
            views["context"] = View("context", (context,))
        if inputs.prompt_columns:
            views["prompt"] = View("prompt", (self._prompt(inputs),))
        return views

    def _prompt(self, inputs: Inputs) -> Block:
        """The prompt's columns of the embedding, not copied; scaled as a block of their own."""
        P, D = inputs.prompt_columns, inputs.embedding_ND.shape[1]
        whole = self.blocks["embedding"]
        narrower = np.float32(np.sqrt(P / D))  # a block is divided by the root of its width
        return Block(
            inputs.embedding_ND[:, D - P :],
            Standardiser(whole.mean[D - P :], whole.scale[D - P :] * narrower),
        )

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, for safetensors."""
        return {
            f"scaling.{name}.{key}": value
            for name, scaling in self.blocks.items()
            for key, value in scaling.tensors().items()
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Scalings:
        """Read back what `tensors` gave."""
        grouped: dict[str, dict[str, NDArray[Any]]] = {}
        for key, value in tensors.items():
            kind, name, part = key.split(".")
            if kind == "scaling":
                grouped.setdefault(name, {})[part] = value
        if not {"embedding", "style", "length"} <= set(grouped):
            raise ModelError(f"the model's scalings are incomplete: found {sorted(grouped)}")
        return cls({name: Standardiser.from_tensors(parts) for name, parts in grouped.items()})
