"""Checks of the weights: their format, the head, and whether all of them are there."""

from __future__ import annotations

from tacit.model.doctor.finding import Finding, fails, ok, skipped, unmade
from tacit.model.doctor.patient import HEADS, Patient

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def safetensors(patient: Patient) -> Finding:
    """Safetensors, and none that belong to something else."""
    files = sorted(path.name for path in patient.folder.glob("*.safetensors"))
    pickles = sorted(path.name for pattern in _PICKLES for path in patient.folder.glob(pattern))
    pickles = [name for name in pickles if name != "training_args.bin"]
    if not files:
        return fails(
            "safetensors",
            f"weights are pickles: {', '.join(pickles)}" if pickles else "the folder holds no weights",
            "a pickle executes code when it is read, and many tools refuse it"
            if pickles
            else "there is nothing to load",
            "load it once where you trust it and save it again: save_pretrained writes safetensors"
            if pickles
            else "copy the .safetensors files into the folder",
        )
    own = "adapter_model" if patient.is_adapter else "model"
    strangers = [name for name in files if not name.startswith(own)]
    if strangers and not patient.is_adapter:
        return fails(
            "safetensors",
            f"beside the model's weights lie {', '.join(strangers)}",
            "vLLM and SGLang read every *.safetensors in the folder as weights of the model",
            "keep them in another folder",
        )
    return ok(
        "safetensors", f"{len(files)} file{'s' if len(files) > 1 else ''}, {len(patient.shapes):,} tensors"
    )


def head(patient: Patient) -> Finding:
    """The head's weight stands in the checkpoint under the name that tools look for."""
    if patient.is_adapter:
        return skipped("head", "see adapter-head")
    if not patient.shapes:
        return unmade("head", "no safetensors weights to look into")
    wanted = "score.weight" if patient.is_decoder else "the classifier's weight"
    found = [name for name in patient.head_names if name.endswith("weight")]
    if patient.is_decoder:
        found = [name for name in found if name.split(".")[-2:] == ["score", "weight"]]
    if found:
        return ok("head", f"{found[-1]} {list(patient.shapes[found[-1]])}")
    others = [name for name in patient.shapes if "head" in name or name in ("score", "value.weight")]
    return fails(
        "head",
        f"{wanted} is not in the checkpoint" + (f", which has {', '.join(others[:3])}" if others else ""),
        "a missing head is drawn at random at each load: scores mean nothing, and only a warning says so",
        f"rename that tensor to {wanted}"
        if others and patient.is_decoder
        else "save the model together with its head",
    )


def head_bias(patient: Patient) -> Finding:
    """No bias in a decoder's head."""
    if not patient.is_decoder and not patient.is_adapter:
        return skipped("head-bias", "an encoder's own head may have a bias")
    biases = [name for name in patient.head_names if name.split(".")[-2:] == ["score", "bias"]]
    if not biases:
        return ok("head-bias", "none, as in other tools")
    return fails(
        "head-bias",
        f"the checkpoint has {', '.join(biases)}",
        "the heads of transformers, vLLM and OpenRLHF have no bias: the constant is lost, or the file refused",
        "drop the tensor and keep its value elsewhere; it changes no comparison of two scores",
    )


def adapter_head(patient: Patient) -> Finding:
    """The head is trained and saved with a PEFT adapter."""
    if not patient.is_adapter:
        return skipped("adapter-head", "not an adapter")
    task, kept = patient.adapter.get("task_type"), patient.adapter.get("modules_to_save") or []
    saved = [name for name in patient.head_names if "lora_" not in name]
    if task == "SEQ_CLS" and saved:
        return ok(
            "adapter-head", f"task_type SEQ_CLS, {saved[-1]} {list(patient.shapes[saved[-1]])} is saved"
        )
    if not saved:
        told = f"its weights hold no {' or '.join(HEADS[:2])} (task_type {task}, modules_to_save {kept or 'none'})"
        why = (
            "the head of the training is lost: each load draws another one at random, and scores mean nothing"
        )
        mend = 'train again with LoraConfig(task_type="SEQ_CLS"), which trains and saves the head'
    else:
        told = f"the head is saved, but task_type is {task}"
        why = "PEFT wraps the model as something else than a classifier; tools that go by task_type leave the head out"
        mend = 'set "task_type": "SEQ_CLS" in adapter_config.json'
    return fails("adapter-head", told, why, mend)
