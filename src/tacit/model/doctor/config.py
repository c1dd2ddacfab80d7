"""Checks of config.json: what tools that dispatch on it will make of the model."""

from __future__ import annotations

from contextlib import suppress

from tacit.model.doctor.finding import Finding, fails, ok, skipped
from tacit.model.doctor.patient import Patient, UnreadableError
from tacit.model.doctor.scores import alone

_MERGED = "an adapter has no config.json of its own; decided when it is merged"


def architecture(patient: Patient) -> Finding:
    """A sequence classifier by name."""
    if patient.is_adapter:
        return skipped("architecture", _MERGED)
    found = patient.config.get("architectures") or []
    if isinstance(found, list) and len(found) == 1 and str(found[0]).endswith("ForSequenceClassification"):
        return ok("architecture", str(found[0]))
    return fails(
        "architecture",
        f"architectures is {found or 'not set'}",
        "vLLM and SGLang choose by this name what to load: they would serve a language model, or nothing",
        'set "architectures": ["<Family>ForSequenceClassification"] in config.json',
    )


def labels(patient: Patient) -> Finding:
    """One label, said in config.json."""
    if patient.is_adapter:
        return skipped("labels", _MERGED + " (load its base with num_labels=1)")
    names, count = patient.config.get("id2label"), patient.config.get("num_labels")
    stated = len(names) if isinstance(names, dict) else count
    if stated == 1:
        return ok(
            "labels", "one label, in id2label" if isinstance(names, dict) else "one label, in num_labels"
        )
    return fails(
        "labels",
        "neither id2label nor num_labels is set" if stated is None else f"config.json names {stated} labels",
        "transformers, vLLM and OpenRLHF load two labels where none are named, and a reward is one number",
        'set "id2label": {"0": "LABEL_0"} and "label2id": {"LABEL_0": 0} in config.json'
        if stated is None
        else "train a head with one output, or drop all rows of the head's weight but the one that is the reward",
    )


def activation(patient: Patient) -> Finding:
    """Raw logits by default: vLLM applies a sigmoid to one label unless the problem is a regression."""
    if patient.is_adapter:
        return skipped("activation", _MERGED)
    found = patient.config.get("problem_type")
    if found == "regression":
        return ok("activation", 'problem_type "regression": logits are handed out as they are')
    from scipy.special import expit

    told = "problem_type is not set" if found is None else f"problem_type is {found!r}"
    with suppress(UnreadableError):
        score = float(alone(patient)[0])
        told += f"; a score of {score:+.3f} would be handed out as {expit(score):.3f}"
    return fails(
        "activation",
        told,
        "vLLM puts a sigmoid on a single label (the sigmoid trap): rewards are squeezed into 0…1, and differ from "
        "those of TRL, OpenRLHF and SGLang",
        'set "problem_type": "regression" in config.json',
    )


def remote_code(patient: Patient) -> Finding:
    """Nothing to be executed on loading."""
    scripts = sorted(path.name for path in patient.folder.glob("*.py"))
    named = patient.config.get("auto_map")  # of an adapter: its base's
    if not named:
        beside = f"; {', '.join(scripts)} beside it is never loaded" if scripts else ""
        return ok("remote-code", "needs no code of its own" + beside)
    return fails(
        "remote-code",
        f"config.json names code of its own ({', '.join(sorted(map(str, named)))})",
        "tools that do not trust remote code load another class or refuse, the others execute what the folder holds",
        "use a class of transformers, and drop auto_map and the .py files",
    )


def normalisation(patient: Patient) -> Finding:
    """mean and std of the scores, which OpenRLHF may divide by. For information."""
    mean, std = patient.config.get("mean"), patient.config.get("std")
    if isinstance(mean, int | float) and isinstance(std, int | float) and std > 0:
        return ok("normalisation", f"mean {mean:+.3f} and std {std:.3f} of scores are stated")
    return Finding(
        "normalisation",
        "info",
        "mean and std of the scores are not stated in config.json",
        "only OpenRLHF reads them, and only with --reward.normalize_enable",
        'add "mean" and "std" of scores on responses like those to be scored, if you use that option',
    )
