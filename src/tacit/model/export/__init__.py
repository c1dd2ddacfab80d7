"""`tacit export`: a reward model as a folder that every stack loads, or the reason why it cannot be one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from tacit._version import __version__
from tacit.data import FeedbackLog
from tacit.errors import ConfigError
from tacit.features import EmbeddingStore
from tacit.features.transformer import TransformerEncoder
from tacit.files import write_json
from tacit.model.doctor.finding import Finding
from tacit.model.doctor.patient import CHATS
from tacit.model.export.checkpoint import Compared, Dtype, classifier_on, compare, judge, write
from tacit.model.export.distil import Loss, distil
from tacit.model.export.head import Row, fold, require_same, why_not_linear
from tacit.model.finetuned import FineTunedRewardModel
from tacit.model.folder import appearing, refuse_occupied
from tacit.model.inputs import log_inputs
from tacit.model.reward_model import RewardModel
from tacit.model.scoring import Pairs, Scorer, as_log, listed

__all__ = ["SIDE", "Compared", "Dtype", "Exported", "Loss", "export"]

SIDE = "tacit_export.json"
"""What no other stack reads: the constant that makes a score a probability, and where the model comes from."""

_COMPARED = 64
_FROZEN, _SAME, _ROUNDED = 2e-3, 1e-6, 3e-2
"""Allowed differences relative to the size of scores: embeddings are rounded to float16 (seven standard deviations of
that); nothing changes; bfloat16 all through a backbone."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        how: `fine-tuned`, `exact` (a linear head on a frozen decoder) or `distilled`.
        level: added to a score to make it the logit of the fit.
        compared: scores of the folder, loaded again, beside the model's.
        loss: what distilling cost; None otherwise.
        cautions: what `tacit doctor` says of the tokenizer as its authors made it.
        chance: how a score becomes P(liked), by the names of `level`, `slope` and `shift`; None of scores that order.
        slope: what trusted rows made of that logit, see `Scorer.logit`; 1 of a model that is not calibrated.
        shift: likewise; 0 of a model that is not calibrated.
    """

    folder: Path
    how: str
    level: float
    compared: Compared
    loss: Loss | None
    cautions: list[Finding]
    chance: str | None = "sigmoid(score + level)"
    slope: float = 1.0
    shift: float = 0.0


def export(
    model: Scorer,
    out: str | Path,
    *,
    to: str = "hf",
    dtype: Dtype = "auto",
    texts: Pairs | None = None,
    store: EmbeddingStore | None = None,
    quiet: bool = True,
) -> Exported:
    """Write a reward model as a Hugging Face `*ForSequenceClassification` folder with one raw logit.

    A fine-tuned model is one already. A linear head on the embedding of a frozen decoder becomes its head, exactly. Any
    other reward on a frozen decoder is distilled to the nearest linear head, given texts to do it on. The folder is
    loaded again and compared before it appears under its name.

    Args:
        model: from `tacit.fit`, `tacit.finetune` or `tacit.load`.
        out: a folder that does not exist yet. TRL logs rewards under its name: keep it short.
        to: "hf".
        dtype: of the weights; "auto" leaves them as they are.
        texts: pairs like those to be scored, at least 40 on 10 prompts; needed to distil, and compared in any case.
        store: embedding cache for `texts`.
        quiet: no progress bars.

    Raises:
        ConfigError: the model cannot be a sequence classifier, or not without `texts`; an unknown format or dtype; or
            `out` already holds something.
        ModelError: the written folder did not score as the model does; nothing is kept.
    """
    if to != "hf":
        raise ConfigError(f"export to {to!r} is unknown, expected hf (a Hugging Face folder)")
    if dtype not in get_args(Dtype):
        raise ConfigError(f"dtype is {dtype!r}, expected one of {', '.join(get_args(Dtype))}")
    folder = Path(out)
    refuse_occupied(folder)
    pairs = None if texts is None else listed(texts)
    pairs = pairs if pairs is None or isinstance(pairs, FeedbackLog) else as_log(pairs)
    few = _few(pairs)
    loss = None
    if isinstance(model, FineTunedRewardModel):
        how, level, scores, size = "fine-tuned", model.level, None, 1.0
        network, tokenizer = model.classifier.network, model.classifier.chat.tokenizer
        if hasattr(network, "peft_config"):
            raise ConfigError(
                "the model still carries its adapter; merge it first: network.merge_and_unload()"
            )
        expected_N = model.score(few, quiet=quiet).astype(np.float64)
        exact = network.dtype == torch.float32 and dtype in ("auto", "float32")
        tolerance = _SAME if exact else _ROUNDED
    elif isinstance(model, RewardModel):
        encoder = _decoder(model)
        reason = why_not_linear(model)
        few_ND = log_inputs(encoder, few, store, quiet=quiet).embedding_ND.astype(np.float64)
        if reason is None:
            how, row = "exact", fold(model)
            score_N = model.score(few, store=store, quiet=quiet).astype(np.float64)
            require_same(row, few_ND, score_N)
            expected_N, scores = score_N - row.level, _stated(model, row.level)
        else:
            how = "distilled"
            row, loss, score_N = _distilled(model, reason, pairs, store, quiet)
            expected_N, scores = score_N[: len(few)], (float(score_N.mean()), float(score_N.std()))
        level, size = row.level, float(np.sqrt(np.square(few_ND * row.weight_D).sum(1)).max())
        network, tokenizer = classifier_on(encoder, row, dtype)
        rounded = encoder.precision == "bf16" or dtype in ("bfloat16", "float16")
        tolerance = _ROUNDED if rounded else _FROZEN
    else:
        raise ConfigError(
            f"export needs a model of tacit.fit or tacit.finetune, found {type(model).__name__}"
        )
    with appearing(folder) as temporary:
        write(network, tokenizer, temporary, dtype, scores)
        compared = compare(temporary, few.messages(), expected_N, tolerance, size)
        cautions = judge(temporary)
        write_json(temporary / SIDE, _side(model, how, level, compared, loss))
    return Exported(
        folder,
        how,
        level,
        compared,
        loss,
        cautions,
        chance=_chance(model),
        slope=model.slope,
        shift=model.shift,
    )


def _chance(model: FineTunedRewardModel | RewardModel) -> str | None:
    """The formula of `Scorer.logit`, for other stacks."""
    if not model.has_probability:
        return None
    return (
        "sigmoid(score + level)" if model.calibration is None else "sigmoid(slope * (score + level) + shift)"
    )


def _decoder(model: RewardModel) -> TransformerEncoder:
    """The encoder of a model whose reward a head on the last hidden state can express.

    Raises:
        ConfigError: it cannot.
    """
    name = model.encoder.name
    views = {model.ensemble.layouts[head].head.view for head in model.method.reward_heads}
    if views & {"none", "context", "all", "prompt"}:
        raise ConfigError(f"{model.method.key} scores no text; expected a model of another method")
    if model.encoder.paired:
        raise ConfigError(
            f"encoder {name} reads prompt and response apart, and no sequence classifier does; serve it as it is "
            "(tacit serve), or train one that can be exported (tacit finetune, or tacit fit --encoder DECODER)"
        )
    if not isinstance(model.encoder, TransformerEncoder) or not model.encoder.reads_last_token:
        raise ConfigError(
            f"encoder {name} gives another vector than the last token's hidden state, which is what a sequence "
            "classifier's head reads; serve the model as it is: tacit serve"
        )
    return model.encoder


def _few(pairs: FeedbackLog | None) -> FeedbackLog:
    """What is compared: the first of the given texts, or four of our own."""
    if pairs is None:
        return as_log([(chat[:-1], chat[-1]["content"]) for chat in CHATS])
    return pairs if len(pairs) <= _COMPARED else pairs.take(range(_COMPARED))


def _stated(model: RewardModel, level: float) -> tuple[float, float] | None:
    """Mean and deviation of the exported scores on the log of the fit."""
    metrics = model.info.get("metrics", {})
    if "score_mean" not in metrics:  # a folder of an older version
        return None
    return float(metrics["score_mean"]) - level, float(metrics["score_std"])


def _distilled(
    model: RewardModel, reason: str, pairs: FeedbackLog | None, store: EmbeddingStore | None, quiet: bool
) -> tuple[Row, Loss, NDArray[np.float64]]:
    """The nearest row, what it costs, and the scores that it gives the texts."""
    if pairs is None:
        raise ConfigError(
            f"{reason}, and a sequence classifier is one linear map of the last hidden state; fit again with a linear "
            "head on the embedding (tacit fit --reward-features text --linear), or give texts to distil such a head "
            "from this model (--texts FILE)"
        )
    embedding_ND = log_inputs(model.encoder, pairs, store, quiet=quiet).embedding_ND
    row, loss = distil(embedding_ND, model.score(pairs, store=store, quiet=quiet), pairs.prompt_codes())
    return row, loss, embedding_ND.astype(np.float64) @ row.weight_D


def _side(model: Any, how: str, level: float, compared: Compared, loss: Loss | None) -> dict[str, Any]:
    return {
        "format": 1,
        "how": how,
        "level": level,
        **({} if model.calibration is None else {"slope": model.slope, "shift": model.shift}),
        "probability": _chance(model),
        "method": {
            "key": model.method.key,
            "parameters": model.method.parameters(),
            "level": model.method.level,
        },
        "source": {
            "kind": "fine-tuned" if how == "fine-tuned" else "frozen",
            "fingerprint": model.info.get("fingerprint"),
            "log": model.info.get("log", {}).get("fingerprint"),
            "encoder": None if how == "fine-tuned" else model.encoder.content_hash,
        },
        "compared": compared.to_json(),
        "distilled": None if loss is None else loss.to_json(),
        "tacit": __version__,
    }
