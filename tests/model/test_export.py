"""Exports: what other stacks load scores as the model does, and what cannot be exported is refused with the way out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_decoder import CORPUS, causal, save_tokenizer, tiny_config
from toy_log import QUICK, columns, log_of
from transformers import AutoModelForSequenceClassification, AutoTokenizer, LlamaModel

import tacit.model.export.checkpoint
from tacit import FeedbackLog, RewardModel, fit
from tacit.errors import ConfigError, ModelError
from tacit.features import resolve_encoder
from tacit.model import load_model
from tacit.model.doctor import examine
from tacit.model.export import SIDE, export
from tacit.model.export.distil import agreement, distil
from tacit.model.export.head import fold
from tacit.model.scoring import FittedScorer

TABLE = columns(prompts=40)
LOG = log_of(TABLE)
PAIRS = list(zip(TABLE["prompt"], TABLE["response"], strict=True))
FAMILIES = ("qwen3", "llama")


def fitted(
    folder: Path, method: str = "auto", log: FeedbackLog = LOG, precision: Any = "fp32", **options: Any
) -> RewardModel:
    return fit(
        log,
        method=method,
        encoder=resolve_encoder(str(folder), precision=precision),
        **{"config": QUICK, "reward_features": "text", **options},
    )


@pytest.fixture(scope="module", params=FAMILIES)
def linear(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    return fitted(causal(tmp_path_factory.mktemp("decoder"), request.param))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return causal(tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="module")
def styled(decoder: Path) -> RewardModel:
    return fitted(decoder, reward_features="text+style")


def plain_scores(folder: Path, pairs: list[tuple[str, str]]) -> np.ndarray:
    """As TRL scores: the reward model's template, no special tokens added, one batch, `logits[:, 0]`."""
    words = AutoTokenizer.from_pretrained(folder)
    chats = [[{"role": "user", "content": p}, {"role": "assistant", "content": r}] for p, r in pairs]
    texts = [words.apply_chat_template(chat, tokenize=False) for chat in chats]
    batch = words(texts, padding=True, add_special_tokens=False, return_tensors="pt")
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return model(**{name: batch[name] for name in ("input_ids", "attention_mask")}).logits[:, 0].numpy()


def test_a_linear_head_on_a_frozen_decoder_is_exported_exactly(linear: RewardModel, tmp_path: Path) -> None:
    done = export(linear, tmp_path / "rm")
    assert done.how == "exact" and done.loss is None and done.cautions == []
    assert done.compared.relative <= 2e-3
    found, expected = plain_scores(tmp_path / "rm", PAIRS[:24]), linear.score(PAIRS[:24])
    assert np.ptp(expected) > 0.05  # the model tells answers apart at all
    np.testing.assert_allclose(found + done.level, expected, atol=2e-3 * done.compared.size)
    assert np.corrcoef(found, expected)[0, 1] > 0.999


def test_the_fold_is_the_members_mean_to_float_precision(linear: RewardModel) -> None:
    row = fold(linear)
    from tacit.model.inputs import log_inputs

    embedding_ND = log_inputs(linear.encoder, LOG, None).embedding_ND.astype(np.float64)
    np.testing.assert_allclose(embedding_ND @ row.weight_D + row.level, linear.score(LOG), atol=2e-5)


@pytest.mark.parametrize("method", ["divide_mix", "multi_ips"])
def test_methods_whose_reward_is_made_of_several_outputs_fold_too(method: str, decoder: Path) -> None:
    from tacit import Signal
    from tacit.model.inputs import log_inputs

    explicit = log_of(TABLE, signals=(Signal("copied", kind="explicit"),))
    model = fitted(decoder, method, explicit, config=QUICK.model_copy(update={"max_epochs": 12}))
    row = fold(model)
    embedding_ND = log_inputs(model.encoder, LOG, None).embedding_ND.astype(np.float64)
    np.testing.assert_allclose(embedding_ND @ row.weight_D + row.level, model.score(LOG), atol=2e-5)


def test_a_fit_in_bfloat16_is_compared_more_loosely_and_folded_as_exactly(
    decoder: Path, tmp_path: Path
) -> None:
    done = export(fitted(decoder, precision="bf16"), tmp_path / "rm")
    assert done.how == "exact" and done.compared.tolerance == 3e-2
    assert 1e-5 < done.compared.relative < 3e-2


def test_the_files_are_what_the_stacks_expect(linear: RewardModel, tmp_path: Path) -> None:
    export(linear, tmp_path / "rm")
    config = json.loads((tmp_path / "rm" / "config.json").read_text())
    assert config["architectures"][0].endswith("ForSequenceClassification")
    assert config["id2label"] == {"0": "LABEL_0"} and config["problem_type"] == "regression"
    assert config["pad_token_id"] not in (None, config["eos_token_id"])
    assert str(tmp_path) not in json.dumps(config) and "_name_or_path" not in config
    weights = load_file(tmp_path / "rm" / "model.safetensors")
    assert weights["score.weight"].shape == (1, 32) and weights["score.weight"].dtype == torch.float32
    assert "score.bias" not in weights and any(name.startswith("model.") for name in weights)
    assert [path.name for path in (tmp_path / "rm").glob("*.safetensors")] == ["model.safetensors"]
    words = json.loads((tmp_path / "rm" / "tokenizer_config.json").read_text())
    assert words["tokenizer_class"] == "PreTrainedTokenizerFast"  # transformers 4 knows no other name
    assert AutoTokenizer.from_pretrained(tmp_path / "rm").chat_template
    score_N = linear.score(LOG)
    side = json.loads((tmp_path / "rm" / SIDE).read_text())
    assert config["mean"] == pytest.approx(score_N.mean() - side["level"], abs=1e-3)
    assert config["std"] == pytest.approx(score_N.std(), rel=1e-3)
    assert side["source"]["fingerprint"] == linear.info["fingerprint"]
    assert side["method"]["key"] == "implicit_rm" and side["distilled"] is None


def test_the_doctor_finds_nothing_in_an_export(linear: RewardModel, tmp_path: Path) -> None:
    export(linear, tmp_path / "rm")
    assert [
        finding.check for finding in examine(tmp_path / "rm") if finding.status not in ("ok", "n/a")
    ] == []


def test_a_loaded_model_exports_the_same_weights(linear: RewardModel, tmp_path: Path) -> None:
    linear.save(tmp_path / "saved")
    export(linear, tmp_path / "one")
    export(RewardModel.load(tmp_path / "saved"), tmp_path / "two")
    one, two = (load_file(tmp_path / name / "model.safetensors")["score.weight"] for name in ("one", "two"))
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_bfloat16_halves_the_backbone_and_leaves_the_head(linear: RewardModel, tmp_path: Path) -> None:
    done = export(linear, tmp_path / "rm", dtype="bfloat16")
    weights = load_file(tmp_path / "rm" / "model.safetensors")
    assert weights.pop("score.weight").dtype == torch.float32
    assert {value.dtype for value in weights.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "rm" / "config.json").read_text())["dtype"] == "bfloat16"
    assert done.compared.tolerance == 3e-2


def test_texts_are_compared_where_they_are_given(linear: RewardModel, tmp_path: Path) -> None:
    assert export(linear, tmp_path / "rm", texts=PAIRS).compared.texts == 64


def without_pad(folder: Path) -> None:
    """Padding is the end token, as in many language models."""
    words = AutoTokenizer.from_pretrained(folder)
    words.pad_token = words.eos_token
    words.save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pad_token_id": None}))


def bare_backbone(folder: Path) -> None:
    torch.manual_seed(3)
    LlamaModel(tiny_config("llama")).save_pretrained(folder)


def untemplated(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    save_tokenizer(folder, template=None, adds="<|bos|> $A")


def double_opening(folder: Path) -> None:
    template = "{{ bos_token }}" + AutoTokenizer.from_pretrained(folder).chat_template
    save_tokenizer(folder, template=template, adds="<|bos|> $A")


@pytest.mark.parametrize("harm", [without_pad, bare_backbone, untemplated, double_opening])
def test_decoders_as_they_are_found_export_too(harm: Callable[[Path], None], tmp_path: Path) -> None:
    folder = causal(tmp_path / "decoder", "llama")
    harm(folder)
    model = fitted(folder)
    done = export(model, tmp_path / "rm")
    assert not done.cautions  # an opening token that only a hand would double is for information
    found = plain_scores(tmp_path / "rm", PAIRS[:12]) + done.level
    np.testing.assert_allclose(found, model.score(PAIRS[:12]), atol=2e-3 * done.compared.size)
    pad = json.loads((tmp_path / "rm" / "config.json").read_text())["pad_token_id"]
    assert pad is not None and pad != 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reward_that_sees_style_is_distilled_given_texts(family: str, tmp_path: Path) -> None:
    model = fitted(causal(tmp_path / "decoder", family), reward_features="text+style")
    done = export(model, tmp_path / "rm", texts=LOG)
    assert done.how == "distilled" and done.loss is not None
    assert 0.2 < done.loss.r2 < 1 and 0 < done.loss.spearman <= 1 and done.loss.agreement is not None
    assert done.loss.texts == len(LOG) and 0 < done.loss.held_out < len(LOG) / 2
    found = plain_scores(tmp_path / "rm", PAIRS) + done.level
    assert np.corrcoef(found, model.score(PAIRS))[0, 1] > 0.8
    assert [finding.check for finding in examine(tmp_path / "rm") if finding.status == "fails"] == []
    side = json.loads((tmp_path / "rm" / SIDE).read_text())
    assert side["how"] == "distilled" and side["distilled"]["r2"] == done.loss.r2


def test_hidden_layers_are_distilled_given_texts(decoder: Path, tmp_path: Path) -> None:
    config = QUICK.model_copy(update={"hidden": (8,)})
    model = fitted(decoder, config=config)
    with pytest.raises(ConfigError, match=r"hidden layers \(8\)"):
        export(model, tmp_path / "rm")
    assert export(model, tmp_path / "rm", texts=PAIRS).how == "distilled"


def test_a_linear_reward_is_distilled_to_itself() -> None:
    rng = np.random.default_rng(0)
    embedding_ND = rng.normal(3.0, 2.0, (400, 12))
    weight_D = rng.normal(size=12)
    row, loss = distil(embedding_ND, embedding_ND @ weight_D - 1.5, np.arange(400) // 4)
    np.testing.assert_allclose(row.weight_D, weight_D, atol=1e-4)
    assert row.level == pytest.approx(-1.5, abs=1e-3)
    assert loss.r2 > 0.999999 and loss.agreement == 1


def test_noise_is_measured_as_noise() -> None:
    """Held-out figures: on the texts of the fit, twelve free weights would explain some of it."""
    rng = np.random.default_rng(0)
    _, loss = distil(rng.normal(size=(100, 60)), rng.normal(size=100), np.arange(100) // 4)
    assert loss.r2 < 0.3 and abs(loss.spearman) < 0.6


def test_agreement_counts_pairs_within_a_prompt_only() -> None:
    truth, guess = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 9.0, 8.0])
    assert agreement(guess, truth, np.array([0, 0, 1, 1])) == 0.5
    assert agreement(guess, truth, np.arange(4)) is None
    assert agreement(np.zeros(4), truth, np.zeros(4, dtype=np.int64)) == 0  # a tie orders nothing


def test_a_rendered_chat_scores_as_its_messages_where_the_reward_reads_the_embedding_alone(
    linear: RewardModel, styled: RewardModel
) -> None:
    texts = [
        linear.encoder.render([{"role": "user", "content": p}, {"role": "assistant", "content": r}])
        for p, r in PAIRS[:9]
    ]
    np.testing.assert_allclose(linear.member_text_scores(texts), linear.member_scores(PAIRS[:9]), atol=1e-6)
    assert linear.member_text_scores([]).shape == (QUICK.members, 0)
    with pytest.raises(ConfigError, match="send messages, or fit with reward_features='text'"):
        styled.member_text_scores(texts)


def test_without_texts_the_refusal_names_both_ways_out(styled: RewardModel, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"measures of style.*--reward-features text --linear.*--texts FILE"
    ) as no:
        export(styled, tmp_path / "rm")
    assert "\n" not in str(no.value) and not (tmp_path / "rm").exists()


def test_too_few_texts_are_refused(styled: RewardModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="12 texts on 3 prompts are too few"):
        export(styled, tmp_path / "rm", texts=PAIRS[:12])


def test_an_encoder_that_reads_prompt_and_response_apart_is_refused_with_what_to_do(tmp_path: Path) -> None:
    model = fit(LOG, encoder="hashing:32", config=QUICK)
    with pytest.raises(ConfigError, match=r"reads prompt and response apart.*tacit serve.*tacit finetune"):
        export(model, tmp_path / "rm", texts=PAIRS)


@pytest.mark.parametrize("method", ["context_only", "constant"])
def test_a_method_that_scores_no_text_is_refused(method: str, decoder: Path, tmp_path: Path) -> None:
    model = fitted(decoder, method, reward_features="text+style")
    with pytest.raises(ConfigError, match=f"{method} scores no text"):
        export(model, tmp_path / "rm", texts=PAIRS)


def test_unknown_formats_types_and_occupied_folders_are_refused(linear: RewardModel, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(ConfigError, match="already holds other files"):
        export(linear, tmp_path / "full")
    with pytest.raises(ConfigError, match="expected hf"):
        export(linear, tmp_path / "rm", to="onnx")
    with pytest.raises(ConfigError, match="dtype is 'int8'"):
        export(linear, tmp_path / "rm", dtype="int8")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="found str"):
        export("model", tmp_path / "rm")  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_an_export_that_scores_otherwise_is_not_kept(
    linear: RewardModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tacit.model.export.checkpoint.classifier_on

    def wrong(encoder: Any, row: Any, dtype: Any) -> Any:
        network, tokenizer = written(encoder, row, dtype)
        network.score.weight.mul_(1.05)
        return network, tokenizer

    monkeypatch.setattr(tacit.model.export, "classifier_on", wrong)
    with pytest.raises(ModelError, match="was not kept"):
        export(linear, tmp_path / "rm")
    assert list(tmp_path.iterdir()) == []


def finetuned(folder: Path, members: int) -> FittedScorer:
    """A fine-tuned model as training leaves it, with weights of its own choosing."""
    from tiny_decoder import classifier

    from tacit import methods
    from tacit.model.classifier import Classifier
    from tacit.model.finetuned import FineTunedRewardModel

    opened = Classifier.open(classifier(folder))
    row_1H = opened.network.score.weight.detach().cpu().clone()
    rows_MH = torch.cat([row_1H + torch.linspace(-1, 1, members)[:, None], torch.zeros(members, 1)], dim=1)
    if members == 1:
        rows_MH[:, :-1] = row_1H
    info = {"level": -0.7, "fingerprint": "abc", "log": {"fingerprint": "def"}}
    return FineTunedRewardModel(methods.get("implicit_rm"), opened, rows_MH, info)


@pytest.mark.parametrize("members", [1, 3])
def test_a_fine_tuned_model_is_exported_as_it_is(members: int, tmp_path: Path) -> None:
    model = finetuned(tmp_path / "source", members)
    done = export(model, tmp_path / "rm", texts=PAIRS[:40])
    assert done.how == "fine-tuned" and done.level == -0.7
    assert done.compared.relative <= 1e-6
    found = plain_scores(tmp_path / "rm", PAIRS[:16])
    np.testing.assert_allclose(found, model.score(PAIRS[:16]), rtol=1e-5, atol=1e-5)
    assert json.loads((tmp_path / "rm" / SIDE).read_text())["level"] == -0.7
    assert [finding.check for finding in examine(tmp_path / "rm") if finding.status == "fails"] == []


def test_an_adapter_is_merged_into_what_is_exported(tmp_path: Path) -> None:
    from peft import LoraConfig

    from tacit import finetune

    args = {
        "output_dir": str(tmp_path / "run"),
        "num_train_epochs": 1,
        "learning_rate": 1e-2,
        "use_cpu": True,
    }
    lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    model = finetune(LOG, str(causal(tmp_path / "base", "llama")), args=args, peft_config=lora)
    model.save(tmp_path / "saved")
    done = export(load_model(tmp_path / "saved"), tmp_path / "rm", texts=PAIRS[:32])
    assert done.compared.relative <= 1e-6 and done.level == model.level
    np.testing.assert_allclose(plain_scores(tmp_path / "rm", PAIRS[:16]), model.score(PAIRS[:16]), atol=1e-6)
    config = json.loads((tmp_path / "rm" / "config.json").read_text())
    assert config["std"] > 0 and not (tmp_path / "rm" / "adapter_config.json").exists()
    assert [finding.check for finding in examine(tmp_path / "rm") if finding.status == "fails"] == []


def test_an_export_follows_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "rm").symlink_to(tmp_path / "disk")
    export(finetuned(tmp_path / "source", 1), tmp_path / "rm")
    assert (tmp_path / "rm").is_symlink() and (tmp_path / "disk" / SIDE).is_file()


def test_a_fine_tuned_model_in_bfloat16_keeps_its_own_weights(tmp_path: Path) -> None:
    model = finetuned(tmp_path / "source", 1)
    before = model.score(PAIRS[:4])
    assert export(model, tmp_path / "rm", dtype="bfloat16").compared.tolerance == 3e-2
    np.testing.assert_array_equal(model.score(PAIRS[:4]), before)
    assert load_file(tmp_path / "rm" / "model.safetensors")["model.norm.weight"].dtype == torch.bfloat16


def test_the_corpus_of_the_tiny_tokenizer_has_the_words_of_the_log() -> None:
    words = {word for text in CORPUS for word in text.split()}
    assert {word.strip(".") for text in TABLE["response"] for word in text.split()} <= words


def test_a_folder_moves_without_its_source(linear: RewardModel, tmp_path: Path) -> None:
    export(linear, tmp_path / "rm")
    shutil.move(tmp_path / "rm", tmp_path / "elsewhere")
    assert np.isfinite(plain_scores(tmp_path / "elsewhere", PAIRS[:2])).all()


def test_the_formula_beside_an_export_gives_the_models_probabilities(
    linear: RewardModel, tmp_path: Path
) -> None:
    models: dict[str, FittedScorer] = {
        "rm": linear,
        "audited": linear.with_calibration({"slope": 2.5, "shift": -0.7}),
        "tuned": finetuned(tmp_path / "source", 1).with_calibration({"slope": 0.4, "shift": 0.3}),
    }
    for name, model in models.items():
        done = export(model, tmp_path / name)
        side = json.loads((tmp_path / name / SIDE).read_text())
        known = {part: side.get(part) for part in ("level", "slope", "shift")}
        assert side["probability"] == done.chance
        found_N = plain_scores(tmp_path / name, PAIRS[:16]).astype(np.float64)
        chance_N = eval(
            done.chance or "", {"score": found_N, "sigmoid": lambda f: 1 / (1 + np.exp(-f)), **known}
        )
        np.testing.assert_allclose(chance_N, model.probability(PAIRS[:16]), atol=5e-3)
    assert side["slope"] == 0.4 and side["shift"] == 0.3
    written = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("rm", "audited")]
    assert written[0] == written[1]


def test_an_export_of_scores_that_only_order_names_no_probability(decoder: Path, tmp_path: Path) -> None:
    model = fitted(decoder, "bpr")
    assert export(model, tmp_path / "rm").chance is None
    assert json.loads((tmp_path / "rm" / SIDE).read_text())["probability"] is None
    done = export(model.with_calibration({"slope": 2.0, "shift": 0.5}), tmp_path / "audited")
    assert done.chance == "sigmoid(slope * (score + level) + shift)"
