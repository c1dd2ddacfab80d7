"""Baselines that see the prompt or the context alone: fitted, saved, and scored where what they see is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from toy_log import QUICK, columns, log_of

from tacit import RewardModel, fit
from tacit.errors import ConfigError
from tacit.features import resolve_encoder
from tacit.features.hashing import HashingEncoder
from tacit.fitting import prepare
from tacit.training.views import Block

TABLE = columns(prompts=40)
LOG = log_of(TABLE)


class OneText(HashingEncoder):
    """Reads a chat as one text; never asked to."""

    paired = False

    def encode(self, texts: Sequence[str], *, quiet: bool = True) -> np.ndarray:
        raise AssertionError("embedded although the fit cannot be")


def test_prompt_only_scores_prompts_alone_also_when_loaded(tmp_path: Path) -> None:
    rm = fit(LOG, method="prompt_only", encoder="hashing:32", config=QUICK)
    pairs = [("question 1", "clear"), ("question 1", "clear"), ("question 2", "clear")]
    one, same, other = rm.score(pairs)
    assert one == same != other
    rm.save(tmp_path / "rm")
    np.testing.assert_array_equal(RewardModel.load(tmp_path / "rm").score(pairs), rm.score(pairs))


def test_the_prompt_view_is_the_end_of_the_embedding_uncopied_and_scaled_as_a_block_of_its_own() -> None:
    prepared = prepare(LOG, "hashing:32")
    (block,) = prepared.scalings.views(prepared.inputs)["prompt"].blocks
    embedding = prepared.inputs.embedding_ND
    assert block.values.shape == (len(LOG), 32) and np.shares_memory(block.values, embedding)
    alone = Block.fit(np.ascontiguousarray(embedding[:, 64:]))
    np.testing.assert_allclose(block.scaling.mean, alone.scaling.mean, rtol=1e-6)
    np.testing.assert_allclose(block.scaling.scale, alone.scaling.scale, rtol=1e-6)
    vector = resolve_encoder("hashing:32").encode(["question 0"])[0].astype(np.float32)
    np.testing.assert_allclose(block.values[0], vector / np.linalg.norm(vector), atol=1e-3)


def test_an_encoder_of_whole_chats_has_no_prompt_to_see_and_is_refused_before_it_embeds() -> None:
    with pytest.raises(
        ConfigError, match=r"^prompt_only sees the prompt alone, but encoder hashing:32 [^\n]*$"
    ):
        fit(LOG, method="prompt_only", encoder=OneText(32), config=QUICK)


def test_context_only_scores_a_log_with_the_context_and_refuses_texts(tmp_path: Path) -> None:
    fit(LOG, method="context_only", encoder="hashing:32", config=QUICK).save(tmp_path / "rm")
    rm = RewardModel.load(tmp_path / "rm")
    score_N, slot_N = rm.score(LOG), np.array(TABLE["slot"])
    assert len(set(score_N.round(4).tolist())) == 2
    assert score_N[slot_N == 1].mean() > score_N[slot_N == 0].mean()
    for pairs in ([("question 1", "clear")], log_of(TABLE, context=())):
        with pytest.raises(ConfigError, match=r"^context_only scores context, not text: [^\n]*\(slot\)$"):
            rm.score(pairs)  # type: ignore[arg-type]


def test_context_only_without_context_is_a_constant_that_scores_anything() -> None:
    rm = fit(log_of(TABLE, context=()), method="context_only", encoder="hashing:32", config=QUICK)
    assert len(set(rm.score([("question 1", "clear"), ("question 2", "wrong")]).tolist())) == 1
