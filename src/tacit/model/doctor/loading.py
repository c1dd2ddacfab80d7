"""Checks that need the whole model: does it load, are its weights all there, are its scores numbers?"""

from __future__ import annotations

from tacit.model.doctor.finding import Finding, fails, ok, skipped, unmade
from tacit.model.doctor.patient import HEADS, Patient, UnmeasuredError, UnreadableError
from tacit.model.doctor.scores import alone


def loads(patient: Patient) -> Finding:
    """Model and tokenizer load, offline and without remote code."""
    try:
        _ = patient.tokenizer
        if not patient.measure:
            return ok("loads", "the tokenizer does; the model was not to be loaded")
        if patient.is_adapter and patient.base is None:
            return unmade("loads", patient.no_base)
        if not patient.shapes:
            return unmade("loads", "only safetensors are read, see safetensors")
        model, _ = patient.loaded
    except UnmeasuredError as reason:
        return unmade("loads", str(reason))
    except UnreadableError as reason:
        return fails(
            "loads",
            str(reason),
            "what transformers cannot load, no tool that stands on it can",
            "save model and tokenizer again with save_pretrained, with a version of transformers that knows the family",
        )
    weights = sum(weight.numel() for weight in model.parameters())
    return ok("loads", f"{type(model).__name__}, {weights:,} weights")


def finite(patient: Patient) -> Finding:
    """Scores are finite, and not all the same. Measured."""
    try:
        _ = patient.loaded, patient.tokenizer
    except UnreadableError as reason:
        return unmade("finite", str(reason))
    try:
        scores_N = alone(patient)
    except UnreadableError as reason:
        return fails(
            "finite",
            str(reason),
            "one NaN in a batch of rewards makes the advantages of all of them NaN",
            "look for NaN in the weights, for token ids beyond the embeddings, and for a training that diverged",
        )
    return ok("finite", f"{len(scores_N)} texts score {scores_N.min():+.3f} to {scores_N.max():+.3f}")


def complete(patient: Patient) -> Finding:
    """Every weight but the head's stands in the checkpoint. Measured by loading."""
    if patient.is_adapter:
        return skipped("complete", "the backbone is the base's")
    try:
        missing = patient.loaded[1]
    except UnreadableError as reason:
        return unmade("complete", str(reason))
    missing = [name for name in missing if not any(part in HEADS for part in name.split("."))]
    if not missing:
        return ok("complete", "no weight of the backbone is missing")
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return fails(
        "complete",
        f"the checkpoint lacks {', '.join(missing[:3])}{more}",
        "what is missing is drawn at random at each load",
        "copy all shards, or save the model again",
    )
