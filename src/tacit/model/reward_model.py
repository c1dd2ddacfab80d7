"""The artefact: a reward model that scores pairs of prompt and response, saved as a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from tacit import methods
from tacit.data import FeedbackLog
from tacit.errors import ConfigError, ModelError
from tacit.features import ContextCodec, EmbeddingStore, resolve_encoder
from tacit.methods import Head, Method
from tacit.model.card import model_card
from tacit.model.folder import read_manifest, read_tensors, write_folder
from tacit.model.inputs import Inputs, PropensityFeatures, RewardFeatures, Scalings, log_inputs
from tacit.model.method_of import method_of
from tacit.model.scoring import FittedScorer, Listed, Pairs, as_log, fitted_to, listed
from tacit.training.ensemble import Ensemble
from tacit.training.heads import Layout
from tacit.training.temperature import Calibration
from tacit.training.views import Views

if TYPE_CHECKING:
    from tacit.features import Encoder


@dataclass(frozen=True, eq=False)
class RewardModel(FittedScorer):
    """An ensemble of reward heads on a frozen encoder.

    Made by `tacit.fit`, or read by `RewardModel.load`. Scores are logits of P(the user likes the response),
    averaged over members after each member's temperature.

    Attributes:
        method: the estimator and its parameters.
        ensemble: members of all heads.
        scalings: standardisation of the features.
        encoder: text → vectors.
        codec: context columns → numbers, or None.
        propensity_features: what the propensity heads see.
        reward_features: what the reward heads see.
        info: everything else that the folder states: roles, log, training, metrics, identification, versions.

    Example:
        >>> import tempfile
        >>> from tacit import RewardModel, fit
        >>> from tacit.worlds import demo_world
        >>> log = demo_world(seeds=1, limit=24).log
        >>> knobs = {"members": 2, "hidden": (), "weight_decay": 1.0, "max_epochs": 3}
        >>> rm = fit(log, encoder="hashing:32", config=knobs)
        >>> rm
        RewardModel(implicit_rm, encoder='hashing:32', members=2, fitted to 'demo')
        >>> pairs = [("How do I sort a list?", "Use sorted(xs)."), ("How do I sort a list?", "No.")]
        >>> rm.score(pairs).shape, rm.uncertainty(pairs).shape
        ((2,), (2,))
        >>> with tempfile.TemporaryDirectory() as place:
        ...     rm.save(f"{place}/rm")
        ...     again = RewardModel.load(f"{place}/rm")
        >>> bool((again.score(pairs) == rm.score(pairs)).all())
        True
    """

    method: Method
    ensemble: Ensemble
    scalings: Scalings
    encoder: Encoder
    codec: ContextCodec | None
    propensity_features: PropensityFeatures
    info: dict[str, Any] = field(default_factory=dict)
    reward_features: RewardFeatures = "text+style"

    def __repr__(self) -> str:
        return (
            f"RewardModel({self.method.key}, encoder={self.encoder.name!r}, members={self.ensemble.members}, "
            f"fitted to {fitted_to(self.info)})"
        )

    @property
    def longest(self) -> int | None:
        """Most tokens of a pair that the encoder reads."""
        each = getattr(self.encoder, "longest", None)
        return each if each is None or not self.encoder.paired else 2 * int(each)

    def member_scores(
        self, pairs: Pairs, *, store: EmbeddingStore | None = None, quiet: bool = True
    ) -> NDArray[np.float32]:
        """Logits of every member, float32 [M, N]."""
        pairs = listed(pairs)
        if len(pairs) == 0:  # a log needs rows, a caller with nothing to score does not
            return np.zeros((self.ensemble.members, 0), dtype=np.float32)
        inputs = self._inputs(pairs, store, quiet)
        return self.view_scores(self._views(inputs), len(inputs.style_NS))

    def views(self, log: FeedbackLog, *, store: EmbeddingStore | None = None, quiet: bool = True) -> Views:
        """What the heads see of a log; what sees context is left out where the log does not name that of the fit."""
        return self._views(self._inputs(log, store, quiet))

    def _stating(self, info: dict[str, Any]) -> Self:
        return replace(self, info=info)

    def view_scores(self, views: Views, rows: int) -> NDArray[np.float32]:
        """Logits of every member [M, N] on views of N rows."""
        for head in self.method.reward_heads:
            layout = self.ensemble.layouts[head]
            seen = layout.head.view
            if seen != "none" and (seen not in views or views[seen].width != layout.inputs):
                raise ConfigError(
                    f"{self.method.key} scores context, not text: pass a FeedbackLog whose roles name the context of "
                    f"the fit ({', '.join(self.codec.columns) if self.codec is not None else 'none'})"
                )
        return self.ensemble.rewards(self.method, views, torch.arange(rows)).numpy().astype(np.float32)

    @property
    def heads(self) -> tuple[Head, ...]:
        """All heads."""
        return tuple(layout.head for layout in self.ensemble.layouts.values())

    @property
    def context_seen(self) -> tuple[str, ...]:
        """Columns of context that some head sees."""
        seeing = {"context", "all"} | ({"propensity"} if self.propensity_features == "context" else set())
        return self.codec.columns if self.codec and seeing & {head.view for head in self.heads} else ()

    def head_logits(
        self,
        log: FeedbackLog,
        *,
        beside: bool = True,
        store: EmbeddingStore | None = None,
        quiet: bool = True,
    ) -> tuple[NDArray[np.float32], dict[str, torch.Tensor]]:
        """Scores of every member [M, N], and logits by head in their mean; see `FittedScorer`."""
        views = self.views(log, store=store, quiet=quiet)
        scores_MN = self.view_scores(views, len(log))
        return scores_MN, self.ensemble.mean_logits(views, torch.arange(len(log))) if beside else {}

    def member_text_scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits of every member [M, N] for rendered chats; needs a decoder, and a reward on its embedding alone."""
        if self.encoder.paired:
            return super().member_text_scores(texts)
        views = {self.ensemble.layouts[head].head.view for head in self.method.reward_heads}
        if self.reward_features != "text" or views != {"reward"}:
            raise ConfigError(
                "this model scores the response apart from the chat it stands in (its style, its length), which one "
                "rendered text does not tell; send messages, or fit with reward_features='text'"
            )
        if len(texts) == 0:
            return np.zeros((self.ensemble.members, 0), dtype=np.float32)
        unread_NS = np.zeros((len(texts), len(self.scalings.blocks["style"].mean)), dtype=np.float32)
        inputs = Inputs(self.encoder.encode(texts), unread_NS)
        return (
            self.ensemble.rewards(self.method, self._views(inputs), torch.arange(len(texts)))
            .numpy()
            .astype(np.float32)
        )

    def strata(
        self, log: FeedbackLog, *, store: EmbeddingStore | None = None, quiet: bool = True
    ) -> NDArray[np.float32]:
        """Posterior of the strata PA, NA, PP, NP of each row of a log with one signal, float32 [N, 4].

        A row whose signal could not be recorded gets the prior: nothing was observed, not even silence.

        Raises:
            ConfigError: the method has no strata (only `implicit_rm` does), or the log names no signal or lacks
                the context of the fit.
        """
        if self.method.key != "implicit_rm":
            raise ConfigError(f"strata need a model fitted by implicit_rm, this one is {self.method.key}")
        if len(log.roles.signals) != 1:
            raise ConfigError(f"strata need a log with one signal, {log.name} names {len(log.roles.signals)}")
        views = self.views(log, store=store, quiet=quiet)
        if "propensity" not in views and self.codec is not None:
            raise ConfigError(
                f"strata need the context of the fit: {log.name} names {log.roles.context or 'none'} as context, "
                f"expected {self.codec.columns}"
            )
        logits = self.ensemble.logits(views, torch.arange(len(log)))
        y_NK, visible_NK = log.signal_matrix()
        phi = methods.strata(
            logits["reward"].mean(0),
            logits["propensity"].mean(0),
            torch.from_numpy(y_NK[:, 0]),
            torch.from_numpy(visible_NK[:, 0]),
        )
        return phi.detach().numpy()

    def save(self, folder: str | Path) -> None:
        """Write the model folder, whole or not at all.

        Raises:
            ConfigError: the folder already holds something.
        """
        manifest = dict(
            self.info,
            method={"key": self.method.key, "parameters": self.method.parameters()},
            encoder={
                "name": self.encoder.name,
                "content_hash": self.encoder.content_hash,
                "precision": self.encoder.precision,
            },
            propensity_features=self.propensity_features,
            reward_features=self.reward_features,
            context=self.codec.to_json() if self.codec is not None else None,
            heads=[_layout_json(layout) for layout in self.ensemble.layouts.values()],
        )
        tensors = {
            f"head.{name}.{key}": value.detach().contiguous()
            for name, weights in self.ensemble.weights.items()
            for key, value in weights.items()
        }
        for name, scale in self.ensemble.calibration.scale.items():
            tensors[f"calibration.{name}.scale"] = scale.contiguous()
            tensors[f"calibration.{name}.shift"] = self.ensemble.calibration.shift[name].contiguous()
        for name, value in self.scalings.tensors().items():
            tensors[name] = torch.from_numpy(np.ascontiguousarray(value))
        write_folder(Path(folder), manifest, tensors, model_card(manifest, self.method))

    @classmethod
    def load(
        cls, folder: str | Path, *, encoder: str | Encoder | None = None, method: Method | None = None
    ) -> RewardModel:
        """Read a model folder.

        Args:
            folder: written by `save`.
            encoder: the one of the fit, where its name alone does not find it: an `Encoder` of your own, or the folder
                to which a Hugging Face model has moved. None: by the name in the folder.
            method: the estimator of the fit, where it is one of your own. None: by the key in the folder.

        Raises:
            ModelError: the folder is not a model, is damaged, or its encoder or method is not found or is another one.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if "kind" in manifest:
            raise ModelError(
                f"{folder} holds a fine-tuned model; open it with tacit.load or FineTunedRewardModel.load"
            )
        tensors = read_tensors(folder)
        encoder = _encoder_of(folder, manifest["encoder"], encoder)
        layouts = {entry["name"]: _layout_from_json(entry) for entry in manifest["heads"]}
        weights: dict[str, dict[str, torch.Tensor]] = {name: {} for name in layouts}
        scales: dict[str, dict[str, torch.Tensor]] = {"scale": {}, "shift": {}}
        scaling_arrays = {}
        for key, value in tensors.items():
            kind, name, part = key.split(".")
            if kind == "head":
                weights[name][part] = value
            elif kind == "calibration":
                scales[part][name] = value
            else:
                scaling_arrays[key] = value.numpy()
        members = int(manifest["training"]["members"])
        ensemble = Ensemble(
            layouts,
            weights,
            Calibration(scales["scale"], scales["shift"]),
            torch.full((members,), float(manifest["metrics"]["held_out_criterion"])),
            torch.zeros(members, dtype=torch.int64),
        )
        codec = ContextCodec.from_json(manifest["context"]) if manifest["context"] is not None else None
        own = (
            "method",
            "encoder",
            "propensity_features",
            "reward_features",
            "context",
            "heads",
            "files",
            "format",
        )
        return cls(
            method_of(folder, manifest["method"], method),
            ensemble,
            Scalings.from_tensors(scaling_arrays),
            encoder,
            codec,
            manifest["propensity_features"],
            {key: value for key, value in manifest.items() if key not in own},
            manifest.get("reward_features", "text+style"),  # older folders do not say
        )

    def _views(self, inputs: Inputs) -> Views:
        return self.scalings.views(inputs, self.propensity_features, self.reward_features)

    def _inputs(self, pairs: Listed, store: EmbeddingStore | None, quiet: bool) -> Inputs:
        log = pairs if isinstance(pairs, FeedbackLog) else as_log(pairs)
        context_NC = None
        if (
            isinstance(pairs, FeedbackLog)
            and self.codec is not None
            and set(self.codec.columns) <= set(log.roles.context)
        ):
            context_NC = self.codec.transform(log.context_columns())
        return log_inputs(self.encoder, log, store, quiet=quiet, context_NC=context_NC)


def _encoder_of(folder: Path, stated: Mapping[str, Any], given: str | Encoder | None) -> Encoder:
    """The encoder of a saved model: as given, or found by the name in the folder."""
    if given is None or isinstance(given, str):
        name = stated["name"] if given is None else given
        try:
            encoder = resolve_encoder(name, precision=stated["precision"])
        except ConfigError as error:
            raise ModelError(
                f"{folder}: the encoder of the fit is not found by its name {name!r} ({error}); hand it over: "
                "RewardModel.load(folder, encoder=…)"
            ) from None
    else:
        encoder = given
    found, expected = getattr(encoder, "content_hash", None), stated["content_hash"]
    if found != expected:
        raise ModelError(
            f"{folder}: encoder {getattr(encoder, 'name', encoder)} is not the one of the fit (content hash "
            f"{str(found)[:12]}, expected {expected[:12]} of {stated['name']}); install that version, or hand over "
            "the right one: RewardModel.load(folder, encoder=…)"
        )
    return encoder


def _layout_json(layout: Layout) -> dict[str, Any]:
    head = layout.head
    return {
        "name": head.name,
        "view": head.view,
        "bias": list(head.bias),
        "scalar": head.scalar,
        "inputs": layout.inputs,
        "hidden": list(layout.hidden),
    }


def _layout_from_json(entry: Mapping[str, Any]) -> Layout:
    head = Head(entry["name"], entry["view"], tuple(entry["bias"]), entry["scalar"])
    return Layout(head, entry["inputs"], tuple(entry["hidden"]))
