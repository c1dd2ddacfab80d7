"""Checks of padding: the token itself, and whether a score stays the same in company and under either padding."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tacit.errors import one_line
from tacit.features.chat import stands_in_texts
from tacit.model.doctor.finding import Finding, fails, ok, unmade
from tacit.model.doctor.patient import Patient, UnreadableError
from tacit.model.doctor.scores import alone, last_token, score_tokens

_TOLERANCE = 1e-4  # of scores of size 1 in float32; another kernel per batch size moves them by 1e-6


def ends(patient: Patient) -> set[int]:
    """Ids that end a sequence: of config.json and of the tokenizer; what is no id is left out."""
    found = [*_listed(patient.stated("eos_token_id"))]
    found.append(getattr(patient.tokenizer_or_none(), "eos_token_id", None))
    return {i for i in found if _is_id(i)}


def _listed(stated: Any) -> list[Any]:
    return stated if isinstance(stated, list) else [stated]


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _no_ids(patient: Patient) -> list[str]:
    """What config.json says where an id is expected, and is none; an end may be a list of ids."""
    pad, end = patient.stated("pad_token_id"), patient.stated("eos_token_id")
    wrong = [] if pad is None or _is_id(pad) else [f"pad_token_id is {pad!r}, expected an integer"]
    if end is not None and not all(map(_is_id, _listed(end))):
        wrong.append(f"eos_token_id is {end!r}, expected an integer or a list of them")
    return wrong


def pad_token(patient: Patient) -> Finding:
    """A padding token that is set, does not end a sequence and stands in no text."""
    if patient.base is None:
        return unmade("pad-token", patient.no_base)
    wrong = _no_ids(patient)
    if wrong:
        return fails(
            "pad-token",
            "; ".join(wrong),
            "tools compare these with token ids, and refuse the folder or find no padding and no end",
            "write the ids that the tokenizer gives these tokens into config.json",
        )
    pad = patient.stated("pad_token_id")
    if pad is None:
        return fails(
            "pad-token",
            "pad_token_id is not set in config.json",
            "transformers, hence TRL and RewardBench, refuses batches of two texts and more",
            "set pad_token_id in config.json to a token that stands in no text, and the tokenizer's pad_token "
            "to that token",
        )
    if patient.is_decoder and pad in ends(patient):
        return fails(
            "pad-token",
            f"pad_token_id is {pad}, which is also the end-of-sequence token{_two_readings(patient, pad)}",
            "transformers scores the right-most token that is not pad: where a text ends with this token it reads "
            "another position than vLLM, SGLang and OpenRLHF",
            "add a token for padding alone, resize the embeddings, set pad_token_id in config.json and the tokenizer's "
            "pad_token to it",
        )
    if patient.is_decoder and _stands_in_texts(patient, pad):
        return fails(
            "pad-token",
            f"pad_token_id is {pad}, which the tokenizer writes for words that it does not know",
            "transformers scores the right-most token that is not pad: such words at the end of an answer are not read",
            "add a token for padding alone, resize the embeddings, set pad_token_id in config.json and the tokenizer's "
            "pad_token to it",
        )
    return ok(
        "pad-token",
        f"pad_token_id {pad}" + (", which ends nothing, nor stands in text" if patient.is_decoder else ""),
    )


def _stands_in_texts(patient: Patient, pad: int) -> bool:
    try:
        return stands_in_texts(patient.tokenizer, pad)
    except Exception:  # a tokenizer that does not tokenise: `loads` and `padding` say so
        return False


def _two_readings(patient: Patient, end: int) -> str:
    """The score of a text that ends with `end`, as transformers reads it and at its last token."""
    try:
        model, _ = patient.loaded
        tokens = [i for i in patient.token_lists[0] if i != end] + [end]
        transformers, others = float(score_tokens(model, [tokens])[0]), last_token(model, tokens)
    except Exception:  # a number would be welcome, it is not the finding
        return ""
    return f"; a text that ends with it scores {transformers:+.3f} in transformers, {others:+.3f} at its last token"


def padding(patient: Patient) -> Finding:
    """The same score alone, in a batch, padded on the right and on the left. Measured."""
    try:
        scores_N = alone(patient)
    except UnreadableError as reason:
        return unmade("padding", str(reason))
    model, _ = patient.loaded
    stated = patient.stated("pad_token_id")
    if stated is None:
        return unmade("padding", "there is no padding token, see pad-token")
    filler = getattr(patient.tokenizer, "pad_token_id", None)
    filler = stated if filler is None else filler
    moved = {}
    for side in _sides(patient):
        try:
            batch_N = score_tokens(model, patient.token_lists, filler=filler, side=side)
        except Exception as error:  # what a foreign folder raises is not ours to foresee
            return fails(
                "padding",
                f"a batch padded on the {side} raises {type(error).__name__}: {one_line(error)}",
                "trainers and servers score in batches",
                "make the tokenizer's pad_token one that the model has an embedding for",
            )
        moved[side] = float(np.abs(batch_N - scores_N).max())
    size = max(1.0, float(np.abs(scores_N).max()))
    changes = ", ".join(f"{change:.1e} padded {side}" for side, change in moved.items())
    told = (
        f"{len(scores_N)} texts alone and in one batch: largest change {changes}, "
        f"of scores up to {float(np.abs(scores_N).max()):.3f}"
    )
    if max(moved.values()) <= _TOLERANCE * size:
        return ok("padding", told)
    if filler != stated:
        told += f"; the tokenizer pads with {filler}, config.json says {stated}"
        mend = f"make both the same: pad_token_id {filler} in config.json, if that token ends no text"
    elif moved.get("right", 0.0) <= _TOLERANCE * size:
        mend = "score with padding_side 'right', one text at a time, or on a backbone with relative positions"
    else:
        mend = "score one text at a time, and look for a head that reads a position the mask does not choose"
    return fails(
        "padding",
        told,
        "the same answer gets another reward in a batch, or in a tool that pads on the other side (as generation does)",
        mend,
    )


def _sides(patient: Patient) -> tuple[Literal["right", "left"], ...]:
    """Both for a decoder, which generation pads on the left; an encoder is only padded as its tokenizer says."""
    if patient.is_decoder:
        return ("right", "left")
    return ("left",) if getattr(patient.tokenizer, "padding_side", "right") == "left" else ("right",)
