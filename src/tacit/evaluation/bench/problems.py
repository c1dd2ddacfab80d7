"""A problem: one simulated log on real text, as tensors that every contender shares, with the truth beside it.

The texts are embedded once for all worlds; only the context and the signals of a world are its own.
Shapes: S seeds, N rows, K signals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.data import FeedbackLog
from tacit.errors import ConfigError, DataError
from tacit.features import ContextCodec, EmbeddingStore, Encoder
from tacit.methods import Observations
from tacit.model import Inputs, PropensityFeatures, Scalings, log_inputs
from tacit.training.roster import grouped_folds
from tacit.training.views import Block, View, Views
from tacit.worlds import World

TEST_FOLDS = 4  # a quarter of the prompts is kept for the test


@dataclass(frozen=True)
class Texts:
    """The texts of a base log as numbers: what all worlds on it share.

    Attributes:
        log: prompts, responses, gold.
        inputs: embedding and style; no context.
        scalings: of both, learned on all rows without labels.
        groups_N: int64, the prompt of each row.
        test_N: bool, rows that no contender trains on.
        prompt: the prompt's embedding alone, or None where the encoder reads prompt and response as one text.
    """

    log: FeedbackLog
    inputs: Inputs
    scalings: Scalings
    groups_N: NDArray[np.int64]
    test_N: NDArray[np.bool_]
    prompt: Block | None

    @classmethod
    def of(
        cls, base: FeedbackLog, encoder: Encoder, store: EmbeddingStore | None, *, quiet: bool = True
    ) -> Texts:
        """Embed a base log, or read it from the store.

        Raises:
            DataError: fewer prompts than a quarter can be kept of for the test.
        """
        groups_N = base.prompt_codes()
        prompts = len(np.unique(groups_N))
        if prompts < TEST_FOLDS:
            raise DataError(
                f"{base.name}: found {prompts} different prompt{'s' * (prompts != 1)}, expected {TEST_FOLDS} or more, "
                "for a quarter of them is kept for the test; take a log of more prompts"
            )
        inputs = log_inputs(encoder, base, store, quiet=quiet)
        prompt = None
        if encoder.paired:
            D = inputs.embedding_ND.shape[1] // 3
            prompt = Block.fit(np.ascontiguousarray(inputs.embedding_ND[:, 2 * D :]))
        return cls(
            base, inputs, Scalings.fit(inputs), groups_N, grouped_folds(groups_N, TEST_FOLDS, 0) == 0, prompt
        )

    def mapped(self, folder: Path) -> Texts:
        """The same with its embeddings in files: processes that fit side by side map them, and none holds a copy."""
        prompt = self.prompt
        if prompt is not None:
            prompt = replace(prompt, values=_mapped(prompt.values, folder / "prompt"))
        embedding_ND = _mapped(self.inputs.embedding_ND, folder / "embedding")
        return replace(self, inputs=replace(self.inputs, embedding_ND=embedding_ND), prompt=prompt)


def _mapped(values: NDArray[Any], path: Path) -> NDArray[Any]:
    values.tofile(path)
    return np.memmap(path, dtype=values.dtype, mode="c", shape=values.shape)  # written to by nobody


@dataclass(frozen=True)
class Problem:
    """One world as every contender meets it.

    Attributes:
        texts: shared by all worlds.
        world: the log of each seed, and the truth.
        context_NC: the world's context as numbers, or None.
        observations: signals float [S, N, K] of all seeds; no gold.
        liked_SN: r* of every seed, float 0/1.
        truth: columns that an oracle contender may be given: `e` or `p` [S, N] (of the first signal), `prior`,
            `misclick`, `rho01`, `rho10` [S, 1].
    """

    texts: Texts
    world: World
    context_NC: NDArray[np.float32] | None
    observations: Observations
    liked_SN: Tensor
    truth: dict[str, Tensor]

    @property
    def seeds(self) -> int:
        """S."""
        return self.liked_SN.shape[0]

    @property
    def explicit(self) -> bool:
        """Whether the log holds labels, given where users cared to, rather than clicks."""
        return all(signal.kind == "explicit" for signal in self.world.log.roles.signals)

    @classmethod
    def of(cls, texts: Texts, world: World) -> Problem:
        """A world's tensors."""
        columns = world.log.context_columns()
        context_NC = ContextCodec.fit(columns).transform(columns) if columns else None
        signals = torch.from_numpy(np.ascontiguousarray(world.signals_SNK))
        visible = ~torch.isnan(signals)
        observed = Observations(
            torch.nan_to_num(signals, nan=0.0),
            visible,
            tuple(signal.polarity for signal in world.log.roles.signals),
            group_B=torch.from_numpy(texts.groups_N),
        )
        liked_SN = torch.from_numpy(world.truth.liked_SN).to(torch.float32)
        propensity = torch.from_numpy(world.truth.propensity_SNK[..., 0]).float().expand_as(liked_SN)
        truth = {
            "prior": liked_SN.mean(1, keepdim=True),
            "misclick": torch.full((len(liked_SN), 1), float(world.truth.misclick_K[0])),
            "rho01": torch.full((len(liked_SN), 1), float(world.truth.rho01)),
            "rho10": torch.full((len(liked_SN), 1), float(world.truth.rho10)),
            "p" if all(s.kind == "explicit" for s in world.log.roles.signals) else "e": propensity,
        }
        return cls(texts, world, context_NC, observed, liked_SN, truth)

    def views(self, form: PropensityFeatures) -> Views:
        """Features of all rows, by view."""
        inputs = replace(self.texts.inputs, context_NC=self.context_NC)
        blocks = dict(self.texts.scalings.blocks)
        if self.context_NC is not None:
            blocks["context"] = Block.fit(self.context_NC).scaling
        views = dict(Scalings(blocks).views(inputs, form))
        if self.texts.prompt is not None:
            views["prompt"] = View("prompt", (self.texts.prompt,))
        return views


def refuse_without_gold(base: FeedbackLog) -> None:
    """Raise unless every row of a base log has gold: worlds draw preferences from it."""
    if base.roles.gold is None:
        raise ConfigError(
            f"{base.name}: no gold is named, and a world draws what users like from it; name a column of numbers in "
            "[0, 1] (--gold) or use a published rated set"
        )
    known_N = base.gold_values()[1]
    if not known_N.all():
        row = int(np.flatnonzero(~known_N)[0])
        missing = int((~known_N).sum())
        raise ConfigError(
            f"{base.where(row)}: column {base.roles.gold!r} (gold) is missing, expected a number in [0, 1] on every "
            f"row, for a world draws what users like from it ({missing} of {len(base)} rows have none); fill "
            "it in, or drop these rows"
        )
