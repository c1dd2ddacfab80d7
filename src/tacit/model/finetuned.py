"""A fine-tuned reward model: a plain sequence classifier that every stack loads, and what only Tacit knows beside it.

config.json, model.safetensors, tokenizer…    the checkpoint, as transformers writes it
tacit.json                                    method, log, identification, metrics, checksums
tacit/heads.safetensors                       members' heads, propensity heads (in a folder of its own: vLLM reads
                                              every .safetensors at the top)
README.md                                     the card
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.data import FeedbackLog
from tacit.errors import ModelError
from tacit.features import EmbeddingStore
from tacit.features.transformer import quiet_transformers
from tacit.methods import Head, Method
from tacit.model.card import finetuned_card
from tacit.model.classifier import Classifier, chat_of
from tacit.model.folder import CHECKPOINT_HEADS, read_manifest, read_tensors, write_folder
from tacit.model.legible import make_legible
from tacit.model.method_of import method_of
from tacit.model.scoring import FittedScorer, Pairs, as_log, fitted_to, listed
from tacit.training.finetune.backbone import head_of, linear, put_head
from tacit.training.finetune.fitted import FineTuned
from tacit.training.finetune.side import SideFeatures
from tacit.training.heads import Layout, forward

KIND = "finetuned"


@dataclass(frozen=True, eq=False)
class FineTunedRewardModel(FittedScorer):
    """A backbone with a linear head, fine-tuned by `FeedbackRewardTrainer`.

    A score is the raw logit of the checkpoint, the same in every stack; `logit` makes it that of a probability.

    Attributes:
        method: the estimator and its parameters.
        classifier: network with one output, and its tokenizer.
        rows_MH: head of every member [M, H + 1], the last column its bias.
        info: what the folder states: roles, log, training, metrics, identification, versions, `level`.
        side: tensors of the heads beside the backbone, and of their scalings.

    Made by `tacit.finetune`, whose example shows one; read by `tacit.load`.
    """

    method: Method
    classifier: Classifier
    rows_MH: torch.Tensor
    info: dict[str, Any] = field(default_factory=dict)
    side: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, done: FineTuned, info: Mapping[str, Any]) -> FineTunedRewardModel:
        """The model that a training run leaves.

        Args:
            done: from `FeedbackRewardTrainer.fitted()`.
            info: roles, log, training, metrics, identification, versions.
        """
        name = str(done.network.config.name_or_path or "model")
        side = {f"side.{h}.{k}": v for h, weights in done.weights.items() for k, v in weights.items()}
        for head in done.weights.keys() & done.temperature.scale.keys():
            side[f"temperature.{head}.scale"] = torch.tensor([done.temperature.scale[head]])
            side[f"temperature.{head}.shift"] = torch.as_tensor(done.temperature.shift[head]).reshape(-1)
        side |= {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in done.side.tensors().items()}
        heads = [
            {
                "name": name,
                "view": layout.head.view,
                "scalar": layout.head.scalar,
                "hidden": list(layout.hidden),
            }
            for name, layout in done.layouts.items()
        ]
        return cls(
            done.method,
            Classifier(
                done.network.requires_grad_(False), chat_of(name, done.network.config, done.tokenizer)
            ),
            done.rows_MH,
            dict(info, level=done.level, context=done.side.to_json(), heads=heads),
            side,
        )

    def __repr__(self) -> str:
        return (
            f"FineTunedRewardModel({self.method.key}, backbone={self.classifier.chat.name!r}, "
            f"members={len(self.rows_MH)}, fitted to {fitted_to(self.info)})"
        )

    @property
    def level(self) -> float:
        """What is added to a score to make it the logit of the fit."""
        return float(self.info.get("level", 0.0))

    @property
    def longest(self) -> int | None:
        """Most tokens of a chat that are read."""
        return self.classifier.chat.longest

    @property
    def side_features(self) -> SideFeatures:
        """How context and style became numbers for the propensity heads."""
        arrays = {name: value.numpy() for name, value in self.side.items()}
        return SideFeatures.from_parts(self.info.get("context"), arrays)

    def member_scores(
        self, pairs: Pairs, *, store: EmbeddingStore | None = None, quiet: bool = True
    ) -> NDArray[np.float32]:
        """Logits of every member, float32 [M, N]; `store` is not used: nothing here is frozen."""
        pairs = listed(pairs)
        if len(pairs) == 0:
            return np.zeros((len(self.rows_MH), 0), dtype=np.float32)
        log = pairs if isinstance(pairs, FeedbackLog) else as_log(pairs)
        chat = self.classifier.chat
        texts = [chat.render([dict(turn) for turn in messages]) for messages in log.messages()]
        return np.ascontiguousarray(self._every_member().text_scores(texts, quiet=quiet).T)

    def _stating(self, info: dict[str, Any]) -> Self:
        return replace(self, info=info)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The reward, and the heads beside the backbone."""
        return (Head("reward", "reward", (0.0,)), *(layout.head for layout in self._layouts()))

    @property
    def context_seen(self) -> tuple[str, ...]:
        """Columns of context that some head beside the backbone sees; the reward sees none."""
        codec = self.side_features.codec
        seeing = any(head.view in ("context", "propensity") for head in self.heads)
        return codec.columns if codec is not None and seeing else ()

    def head_logits(
        self,
        log: FeedbackLog,
        *,
        beside: bool = True,
        store: EmbeddingStore | None = None,
        quiet: bool = True,
    ) -> tuple[NDArray[np.float32], dict[str, torch.Tensor]]:
        """Scores of every member [M, N], and logits by head in their mean; see `FittedScorer`."""
        scores_MN = self.member_scores(log, quiet=quiet)
        if not beside:
            return scores_MN, {}
        logits = {"reward": torch.from_numpy(scores_MN.mean(0)) + self.level}
        layouts = self._layouts()
        features = self.side_features.views(log, {layout.head.view for layout in layouts} - {"none"})
        for layout in layouts:
            head = layout.head
            value = forward(layout, self._of_head("side", head.name), features.get(head.view)).mean(0)
            tempered = self._of_head("temperature", head.name)
            if tempered:
                value = tempered["scale"] * value + tempered["shift"]
            logits[head.name] = value.expand(len(log), *value.shape[1:])
        return scores_MN, logits

    def _layouts(self) -> list[Layout]:
        """The networks beside the backbone."""
        layouts = []
        for entry in self.info["heads"]:
            name, hidden, at = entry["name"], tuple(entry["hidden"]), entry["view"] != "none"
            last = self._of_head("side", name)[f"bias{len(hidden)}" if at else "bias"]
            head = Head(name, entry["view"], (0.0,) * last.shape[-1], entry["scalar"])
            width = self.side_features.widths[head.view] if at else 0
            layouts.append(Layout(head, width, hidden))
        return layouts

    def _of_head(self, kind: str, name: str) -> dict[str, torch.Tensor]:
        """Tensors of a head beside the backbone by their own names: of its network, or of its temperature."""
        start = f"{kind}.{name}."
        return {key.removeprefix(start): value for key, value in self.side.items() if key.startswith(start)}

    def member_text_scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits of every member [M, N] for chats that are rendered already, special tokens included."""
        return np.ascontiguousarray(self._every_member().text_scores(texts).T)

    def member_token_scores(self, token_lists: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits of every member [M, N] for chats given as token ids, none of them empty."""
        return np.ascontiguousarray(self._every_member().token_scores(token_lists).T)

    def _every_member(self) -> Classifier:
        """The classifier with a row per member; itself where there is one."""
        if len(self.rows_MH) == 1:
            return self.classifier
        held = getattr(self.classifier.network, "_tacit_members", None)
        if held is None:
            import copy

            network = copy.copy(self.classifier.network)  # shares every tensor but the head
            network._modules = dict(network._modules)
            network.config = copy.deepcopy(network.config)
            head, name = head_of(network)
            if "." in name:  # a head inside a block of its own, as RoBERTa's
                top = name.partition(".")[0]
                network._modules[top] = copy.deepcopy(network._modules[top])
            put_head(network, name, linear(self.rows_MH.to(head.weight.device), head))
            held = replace(self.classifier, network=network)
            object.__setattr__(self.classifier.network, "_tacit_members", held)
        return held

    def save(self, folder: str | Path) -> None:
        """Write the folder, whole or not at all.

        Raises:
            ConfigError: the folder already holds something.
        """
        manifest = dict(
            self.info,
            kind=KIND,
            method={"key": self.method.key, "parameters": self.method.parameters()},
            encoder={"name": self.classifier.chat.name, "content_hash": "", "precision": "fp32"},
        )

        def checkpoint(place: Path) -> None:
            with quiet_transformers():
                self.classifier.network.save_pretrained(place)
                self.classifier.chat.tokenizer.save_pretrained(place)
            make_legible(place, self.classifier.chat.tokenizer.model_input_names)

        tensors = {"members": self.rows_MH.contiguous()} | {
            name: value.contiguous() for name, value in self.side.items()
        }
        card = finetuned_card(manifest, self.method)
        write_folder(Path(folder), manifest, tensors, card, heads=CHECKPOINT_HEADS, also=checkpoint)

    @classmethod
    def load(cls, folder: str | Path, *, method: Method | None = None) -> FineTunedRewardModel:
        """Read a folder.

        Args:
            folder: written by `save`.
            method: the estimator of the fit, where it is one of your own. None: by the key in the folder.

        Raises:
            ModelError: the folder is not a fine-tuned model, is damaged, or its method is not found or is another one.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest.get("kind") != KIND:
            raise ModelError(f"{folder} holds heads on a frozen encoder; open it with tacit.load")
        tensors = read_tensors(folder, CHECKPOINT_HEADS)
        own = ("method", "encoder", "files", "format", "kind")
        return cls(
            method_of(folder, manifest["method"], method),
            Classifier.open(folder),
            tensors.pop("members"),
            {key: value for key, value in manifest.items() if key not in own},
            tensors,
        )
