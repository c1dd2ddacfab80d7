"""Scoring token lists the way the tools around us do: alone or in a batch, padded on either side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tacit.errors import one_line
from tacit.model.doctor.patient import Patient, UnreadableError


def score_tokens(
    model: Any,
    token_lists: Sequence[Sequence[int]],
    *,
    filler: int = 0,
    side: Literal["left", "right"] = "right",
) -> NDArray[np.float64]:
    """First logit of each token list, all in one batch, padded with `filler` on one side under a mask. [N]"""
    import torch

    width = max(map(len, token_lists))
    ids_BT = torch.full((len(token_lists), width), filler)
    mask_BT = torch.zeros((len(token_lists), width), dtype=torch.int64)
    for row, tokens in enumerate(token_lists):
        where = slice(0, len(tokens)) if side == "right" else slice(width - len(tokens), width)
        ids_BT[row, where] = torch.tensor(list(tokens))
        mask_BT[row, where] = 1
    with torch.inference_mode():
        logits_B: NDArray[np.float64] = (
            model(input_ids=ids_BT, attention_mask=mask_BT).logits[:, 0].double().numpy()
        )
    return logits_B


def alone(patient: Patient) -> NDArray[np.float64]:
    """The score of each built-in chat in a batch of its own. [N]

    Raises:
        UnreadableError: the model does not load or cannot score, or a score is not a finite number.
    """
    model, _ = patient.loaded
    try:
        scores_N = np.concatenate([score_tokens(model, [ids]) for ids in patient.token_lists])
    except UnreadableError:
        raise
    except Exception as error:  # what a foreign folder raises is not ours to foresee
        raise UnreadableError(f"scoring raises {type(error).__name__}: {one_line(error)}") from None
    if not np.isfinite(scores_N).all():
        shown = ", ".join(f"{score:.3g}" for score in scores_N)
        raise UnreadableError(f"scores that are not finite: {shown}")
    return scores_N


def last_token(model: Any, tokens: Sequence[int]) -> float:
    """The score at the very last token, pad or not: what vLLM, SGLang and OpenRLHF read."""
    settings = (model.config, model.config.get_text_config())
    before = [setting.pad_token_id for setting in settings]
    try:
        for setting in settings:
            setting.pad_token_id = None  # without one, transformers takes the last token of a lone text
        return float(score_tokens(model, [tokens])[0])
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.pad_token_id = value
