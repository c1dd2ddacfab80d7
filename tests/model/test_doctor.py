"""`tacit doctor`: a healthy model passes everything, and each broken copy is named by exactly its check."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_decoder import BOS, EOS, PAD, TEMPLATE, classifier, save_tokenizer
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
)

from tacit.errors import ConfigError, ModelError
from tacit.model.classifier import Classifier
from tacit.model.doctor import CHECKS, Finding, examine
from tacit.training.finetune.backbone import open_tokenizer

FAMILIES = ("qwen3", "llama")


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {family: classifier(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


def failed(folder: Path, **options: bool) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(folder, **options) if finding.status == "fails"}


def edit(name: str, **changes: object) -> Callable[[Path], None]:
    """Change a JSON file; None removes a key."""

    def apply(folder: Path) -> None:
        path = folder / name
        value = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: item for key, item in value.items() if item is not None}))

    return apply


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Change the weights."""

    def apply(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return apply


def pad_with_eos(folder: Path) -> None:
    edit("config.json", pad_token_id=EOS)(folder)
    words = AutoTokenizer.from_pretrained(folder)
    words.pad_token = words.eos_token
    words.save_pretrained(folder)


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def stranger(folder: Path) -> None:
    save_file({"value": torch.zeros(2)}, folder / "heads.safetensors")


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


BROKEN: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "pad is eos": ("pad-token", pad_with_eos, "also the end-of-sequence token"),
    "no pad": ("pad-token", edit("config.json", pad_token_id=None), "not set"),
    "no labels named": ("labels", edit("config.json", id2label=None, label2id=None), "neither id2label"),
    "two labels named": (
        "labels",
        edit("config.json", id2label={"0": "NO", "1": "YES"}, label2id={"NO": 0, "YES": 1}),
        "2 labels",
    ),
    "sigmoid trap": ("activation", edit("config.json", problem_type=None), "would be handed out as"),
    "a language model by name": (
        "architecture",
        edit("config.json", architectures=["LlamaForCausalLM"]),
        "CausalLM",
    ),
    "remote code": (
        "remote-code",
        edit("config.json", auto_map={"AutoModelForSequenceClassification": "modeling_own.Own"}),
        "code of its own",
    ),
    "double BOS": (
        "bos",
        lambda folder: save_tokenizer(
            folder, template="{{ bos_token }}{{ bos_token }}" + TEMPLATE, adds="<|bos|> $A"
        ),
        "twice in TRL",
    ),
    "BOS by the tokenizer alone": (
        "bos",
        lambda folder: save_tokenizer(folder, adds="<|bos|> $A"),
        "the tokenizer adds the opening token",
    ),
    "BOS by the template alone": (
        "bos",
        lambda folder: save_tokenizer(folder, template="{{ bos_token }}" + TEMPLATE),
        "never in verl",
    ),
    "EOS appended": ("end-token", lambda folder: save_tokenizer(folder, adds="$A <|endoftext|>"), "appends"),
    "no chat template": (
        "chat-template",
        no_template,
        "no chat template",
    ),
    "a template that raises": (
        "chat-template",
        lambda folder: save_tokenizer(folder, template="{{ raise_exception('no') }}"),
        "raises TemplateError",
    ),
    "pickles": ("safetensors", pickled, "pytorch_model.bin"),
    "weights of something else": ("safetensors", stranger, "heads.safetensors"),
    "no head": ("head", tensors(lambda weights: weights.pop("score.weight")), "not in the checkpoint"),
    "head of another name": (
        "head",
        tensors(lambda weights: weights.update({"value_head.weight": weights.pop("score.weight")})),
        "which has value_head.weight",
    ),
    "head bias": (
        "head-bias",
        tensors(lambda weights: weights.update({"score.bias": torch.ones(1)})),
        "score.bias",
    ),
    "a layer missing": (
        "complete",
        tensors(lambda weights: weights.pop("model.norm.weight")),
        "model.norm.weight",
    ),
    "NaN": ("finite", tensors(lambda weights: weights["score.weight"].fill_(float("nan"))), "nan"),
    "padded with another token": (
        "padding",
        edit("config.json", pad_token_id=BOS),
        "the tokenizer pads with 0",
    ),
    "no tokenizer": ("loads", no_tokenizer, "tokenizer does not load"),
}


NO_IDS = {
    "an end by its text": ("pad-token", {"eos_token_id": "</s>"}, "eos_token_id is '</s>'"),
    "ends by their text": ("pad-token", {"eos_token_id": ["</s>"]}, "eos_token_id is ['</s>']"),
    "padding as a list": ("pad-token", {"pad_token_id": [0]}, "pad_token_id is [0], expected an integer"),
    "padding as text": ("pad-token", {"pad_token_id": "0"}, "pad_token_id is '0'"),
    "classes as an object": ("architecture", {"architectures": {"a": 1}}, "architectures is {'a': 1}"),
    "classes as a number": ("architecture", {"architectures": 3}, "architectures is 3"),
}


@pytest.mark.parametrize("fault", NO_IDS)
def test_a_value_of_another_type_is_a_finding(fault: str, healthy: dict[str, Path], tmp_path: Path) -> None:
    check, changes, told = NO_IDS[fault]
    folder = tmp_path / "rm"
    shutil.copytree(healthy["qwen3"], folder)
    edit("config.json", **changes)(folder)
    assert told in failed(folder)[check].found


@pytest.mark.parametrize("longest", ["long", "256", [256], True])
def test_a_longest_text_that_is_no_number_is_a_finding(
    longest: Any, healthy: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "rm"
    shutil.copytree(healthy["qwen3"], folder)
    edit("tokenizer_config.json", model_max_length=longest)(folder)
    found = failed(folder)["loads"].found
    assert f"model_max_length is {longest!r}" in found and "\n" not in found
    with pytest.raises(ModelError, match=r"model_max_length is .*, expected a number of tokens"):
        Classifier.open(folder)
    with pytest.raises(ConfigError, match=r"its tokenizer does not load .model_max_length is"):
        open_tokenizer(str(folder))


def test_a_family_of_another_type_is_a_finding(healthy: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "rm"
    shutil.copytree(healthy["qwen3"], folder)
    edit("config.json", model_type=["qwen3"])(folder)
    assert "loads" in failed(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_healthy_model_passes_everything_that_applies(family: str, healthy: dict[str, Path]) -> None:
    findings = examine(healthy[family])
    assert [finding.check for finding in findings if finding.status not in ("ok", "n/a")] == []
    assert [finding.check for finding in findings if finding.status == "n/a"] == ["adapter-head"]
    assert len(findings) == len(CHECKS) == len({finding.check for finding in findings})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_named_by_exactly_its_check(
    fault: str, family: str, healthy: dict[str, Path], tmp_path: Path
) -> None:
    check, harm, told = BROKEN[fault]
    folder = tmp_path / "rm"
    shutil.copytree(healthy[family], folder)
    harm(folder)
    found = failed(folder)
    assert list(found) == [check]
    assert told in found[check].found and found[check].why and found[check].mend


def test_every_check_has_a_broken_copy_or_a_test_of_its_own() -> None:
    judged = {check for check, _, _ in BROKEN.values()} | {"adapter-head", "normalisation"}
    assert len(judged) == len(CHECKS)


def test_padding_that_stands_for_unknown_words_is_told(healthy: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "rm"
    shutil.copytree(healthy["llama"], folder)
    text = (folder / "tokenizer.json").read_text()
    whole = json.loads(text)
    whole["model"] = {"type": "WordLevel", "vocab": whole["model"]["vocab"], "unk_token": "<|pad|>"}
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    found = failed(folder)["pad-token"]
    assert f"pad_token_id is {PAD}, which the tokenizer writes for words that it does not know" in found.found
    assert "at the end of an answer are not read" in found.why and "padding alone" in found.mend


def test_pad_as_eos_is_told_with_the_two_scores_it_leads_to(healthy: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "rm"
    shutil.copytree(healthy["qwen3"], folder)
    pad_with_eos(folder)
    words = failed(folder)["pad-token"].found.split()
    transformers, others = (float(word.strip(",")) for word in words if word[0] in "+-")
    assert abs(transformers - others) > 0.01


def test_absolute_positions_make_a_model_sensitive_to_left_padding_and_only_left(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=320,
        n_positions=256,
        n_embd=32,
        n_layer=2,
        n_head=4,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    config.num_labels, config.problem_type = 1, "regression"
    model = GPT2ForSequenceClassification(config)
    torch.nn.init.normal_(model.score.weight)
    torch.nn.init.normal_(model.transformer.wpe.weight)
    model.save_pretrained(tmp_path)
    found = failed(tmp_path)
    assert list(found) == ["padding"]
    right, left = (float(word) for word in found["padding"].found.split() if "e-" in word or "e+" in word)
    assert right < 1e-4 and left > 1e-2
    assert "padding_side 'right'" in found["padding"].mend


def adapter(base: Path, folder: Path, **settings: object) -> Path:
    from peft import LoraConfig, get_peft_model

    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], **settings)  # type: ignore[arg-type]
    get_peft_model(model, config).save_pretrained(folder)
    return folder


def test_an_adapter_with_its_head_passes(healthy: dict[str, Path], tmp_path: Path) -> None:
    findings = examine(adapter(healthy["llama"], tmp_path / "lora", task_type="SEQ_CLS"))
    status = {finding.check: finding.status for finding in findings}
    assert "fails" not in status.values()
    assert status["adapter-head"] == status["padding"] == status["finite"] == "ok"


def test_an_adapter_without_its_head_is_named(healthy: dict[str, Path], tmp_path: Path) -> None:
    found = failed(adapter(healthy["llama"], tmp_path / "lora"))
    assert list(found) == ["adapter-head"]
    assert "hold no score" in found["adapter-head"].found


def test_an_adapter_with_its_head_but_another_task_is_named(healthy: dict[str, Path], tmp_path: Path) -> None:
    found = failed(adapter(healthy["llama"], tmp_path / "lora", modules_to_save=["score"]))
    assert list(found) == ["adapter-head"]
    assert "task_type is None" in found["adapter-head"].found


def test_an_adapter_whose_base_is_elsewhere_is_judged_by_its_files(
    healthy: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = adapter(healthy["llama"], tmp_path / "lora", task_type="SEQ_CLS")
    edit("adapter_config.json", base_model_name_or_path="nobody/nothing-here")(folder)
    save_tokenizer(folder)
    status = {finding.check: finding.status for finding in examine(folder)}
    assert "fails" not in status.values()
    assert status["adapter-head"] == status["chat-template"] == "ok"
    assert status["padding"] == status["loads"] == status["pad-token"] == "n/a"


def test_an_encoder_keeps_its_own_head(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, template=None)
    config = BertConfig(
        vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
    )
    config.num_labels, config.problem_type = 1, "regression"
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    assert failed(tmp_path) == {}


def test_without_measuring_no_model_is_loaded(
    healthy: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AutoModelForSequenceClassification, "from_pretrained", None)
    status = {finding.check: finding.status for finding in examine(healthy["qwen3"], measure=False)}
    assert "fails" not in status.values()
    assert status["padding"] == status["finite"] == status["complete"] == "n/a"


def test_two_opening_tokens_by_hand_alone_are_for_information(
    healthy: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "llama3-like"
    shutil.copytree(healthy["llama"], folder)
    save_tokenizer(folder, template="{{ bos_token }}" + TEMPLATE, adds="<|bos|> $A")
    found = {finding.check: finding for finding in examine(folder)}["bos"]
    assert found.status == "info"
    assert "double BOS" in found.why and "add_special_tokens=False" in found.mend


def test_mean_and_std_are_for_information(healthy: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(healthy["qwen3"], tmp_path / "rm")
    edit("config.json", mean=None)(tmp_path / "rm")
    found = {finding.check: finding for finding in examine(tmp_path / "rm", measure=False)}
    assert found["normalisation"].status == "info" and "OpenRLHF" in found["normalisation"].why


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "neither config.json nor adapter_config.json"),
        ({"tacit.json": "{}"}, "export it first"),
        ({"config.json": "{"}, "is not JSON"),
        ({"config.json": "{}", "model.safetensors": "x"}, "cannot be read as safetensors"),
    ],
)
def test_what_is_no_reward_model_is_refused_in_one_line(
    content: dict[str, str], told: str, tmp_path: Path
) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=told) as refused:
        examine(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        examine(tmp_path / "nothing")


def _refuse(error: Exception) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> Any:
        raise error

    return call


def test_a_model_larger_than_this_machine_is_not_judged(
    healthy: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 1)
    found = {finding.check: finding for finding in examine(healthy["qwen3"])}
    assert found["loads"].status == found["finite"].status == found["complete"].status == "n/a"
    assert "more than this machine has" in found["loads"].found


def test_an_adapter_is_not_judged_without_peft(
    healthy: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = adapter(healthy["llama"], tmp_path / "lora", task_type="SEQ_CLS")
    monkeypatch.setitem(sys.modules, "peft", None)
    loads = {finding.check: finding for finding in examine(folder)}["loads"]
    assert loads.status == "n/a" and 'pip install "tacit[train]"' in loads.found


@pytest.mark.parametrize("part", [AutoTokenizer, AutoModelForSequenceClassification])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ImportError("needs tiktoken, which is not installed"), "n/a"),
        (
            ValueError(
                "a family of 2031; pip install a newer transformers; needs more than this machine has"
            ),
            "fails",
        ),
    ],
)
def test_only_a_missing_package_is_no_fault_of_the_folder(
    part: Any, error: Exception, status: str, healthy: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "from_pretrained", _refuse(error))
    found = {finding.check: finding for finding in examine(healthy["qwen3"])}
    assert found["loads"].status == status and str(error) in found["loads"].found


def test_scores_are_not_judged_without_a_tokenizer_and_fail_by_whatever_scoring_raises(
    healthy: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "rm"
    shutil.copytree(healthy["qwen3"], folder)
    no_tokenizer(folder)
    assert {finding.check: finding for finding in examine(folder)}["finite"].status == "n/a"
    monkeypatch.setattr(
        "tacit.model.doctor.scores.score_tokens", _refuse(ValueError("ids of another tokenizer"))
    )
    assert "ids of another tokenizer" in failed(healthy["qwen3"])["finite"].found
