"""Models of the Hugging Face format, built here with random weights: pooling, special tokens, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    PreTrainedTokenizerFast,
)

from tacit.errors import ConfigError, DataError
from tacit.features import embed_pairs, pair_dimension, resolve_encoder
from tacit.features.transformer import TransformerEncoder, pool

CORPUS = ["the cat sat on the mat", "why is the sky blue", "because light scatters", "user assistant yes no"]
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}</s>"
CHAT = [
    {"role": "user", "content": "why is the sky blue"},
    {"role": "assistant", "content": "light scatters"},
]


def tokenizer(
    folder: Path, *, adds_bos: bool, template: str | None, side: str = "right"
) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordLevel(unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.train_from_iterator(
        CORPUS, trainers.WordLevelTrainer(special_tokens=["<pad>", "<s>", "</s>", "<unk>"])
    )
    if adds_bos:
        inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side=side,
        model_max_length=64,
    )
    wrapped.chat_template = template
    wrapped.save_pretrained(folder)
    return wrapped


def decoder(folder: Path, *, causal: bool = True, **tokens: object) -> Path:
    tokenizer(folder, **{"adds_bos": True, "template": TEMPLATE, **tokens})  # type: ignore[arg-type]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    (LlamaForCausalLM if causal else LlamaModel)(config).save_pretrained(folder)
    return folder


def encoder(folder: Path) -> Path:
    tokenizer(folder, adds_bos=True, template=None)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def last_hidden(folder: Path, ids: list[int], model: type = LlamaModel) -> torch.Tensor:
    with torch.no_grad():
        return model.from_pretrained(folder).eval()(input_ids=torch.tensor([ids])).last_hidden_state[0]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_decoder_gives_the_last_real_token_whatever_the_padding_side(side: str, tmp_path: Path) -> None:
    found = resolve_encoder(str(decoder(tmp_path, side=side)), precision="fp32")
    assert not found.paired and found.dimension == pair_dimension(found) == 32
    words = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    texts = ["<s> the cat", "<s> why is the sky blue because light scatters yes no", "<s> no"]
    for vector, text in zip(found.encode(texts), texts, strict=True):
        ids = words(text, add_special_tokens=False)["input_ids"]
        np.testing.assert_allclose(vector, last_hidden(tmp_path, ids)[-1], atol=2e-3)


def test_a_chat_template_is_rendered_once_and_bos_stands_once(tmp_path: Path) -> None:
    found = resolve_encoder(str(decoder(tmp_path)), precision="fp32")
    rendered = found.render(CHAT)
    assert rendered == "<s>user why is the sky blue assistant light scatters </s>"
    ids = found._tokenise([rendered])[0]  # type: ignore[attr-defined]
    assert ids.count(1) == 1 and ids[0] == 1 and ids[-1] == 2
    pairs = embed_pairs(found, ["ignored"], ["ignored"], [CHAT], None)
    np.testing.assert_array_equal(pairs, found.encode([rendered]))


@pytest.mark.parametrize(("adds_bos", "expected"), [(True, 1), (False, 0)])
def test_without_a_template_bos_stands_once_if_the_tokenizer_adds_it(
    adds_bos: bool, expected: int, tmp_path: Path
) -> None:
    found = resolve_encoder(str(decoder(tmp_path, template=None, adds_bos=adds_bos)), precision="fp32")
    assert found.render(CHAT) == "why is the sky blue\n\nlight scatters"
    for text in ("the cat", "<s> the cat"):
        ids = found._tokenise([text])[0]  # type: ignore[attr-defined]
        assert ids.count(1) == max(expected, text.count("<s>"))


def test_a_bare_backbone_of_a_decoder_family_is_a_decoder(tmp_path: Path) -> None:
    assert not resolve_encoder(str(decoder(tmp_path, causal=False))).paired


def test_a_long_chat_keeps_its_first_token_and_its_end(tmp_path: Path) -> None:
    found = resolve_encoder(str(decoder(tmp_path)), precision="fp32")
    ids = found._tokenise(["<s> " + "the cat " * 200 + "yes no"])[0]  # type: ignore[attr-defined]
    words = PreTrainedTokenizerFast.from_pretrained(tmp_path).convert_ids_to_tokens(ids)
    assert len(words) == 64 and words[0] == "<s>" and words[-2:] == ["yes", "no"]


def test_an_empty_text_still_has_a_vector(tmp_path: Path) -> None:
    found = resolve_encoder(str(decoder(tmp_path, template=None, adds_bos=False)), precision="fp32")
    assert np.isfinite(found.encode([""])).all()


def test_an_encoder_is_mean_pooled_over_real_tokens_to_unit_length(tmp_path: Path) -> None:
    found = resolve_encoder(str(encoder(tmp_path)), precision="fp32")
    assert found.paired
    words = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    texts = ["the cat sat", "why is the sky blue because light scatters", "no"]
    for vector, text in zip(found.encode(texts), texts, strict=True):
        mean = last_hidden(tmp_path, words(text)["input_ids"], BertModel).mean(0)
        np.testing.assert_allclose(vector, mean / mean.norm(), atol=2e-3)


def sentence_folder(folder: Path, pooling: dict[str, object], *more: str, at: str = "1_Pooling") -> Path:
    """Beside a model, what sentence-transformers writes: its modules in order, and how it pools."""
    library = "sentence_transformers.sentence_transformer.modules"
    (folder / at).mkdir(exist_ok=True)
    (folder / at / "config.json").write_text(json.dumps({"embedding_dimension": 32, **pooling}))
    modules = [("", f"{library}.transformer.Transformer"), (at, f"{library}.pooling.Pooling")]
    modules += [(f"{i}_{name.split('.')[-1]}", name) for i, name in enumerate(more, 2)]
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


@pytest.mark.parametrize("at", ["1_Pooling", "pooling"])
@pytest.mark.parametrize(
    ("stated", "token"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, 0),
        ({"pooling_mode": "cls"}, 0),
        ({"pooling_mode_lasttoken": True}, -1),
        ({"pooling_mode": "lasttoken"}, -1),
        ({"pooling_mode_mean_tokens": True}, None),
        ({"pooling_mode": "mean"}, None),
        ({}, None),
    ],
)
def test_the_pooling_a_sentence_transformers_folder_states_is_taken_in_either_spelling(
    stated: dict[str, object], token: int | None, at: str, tmp_path: Path
) -> None:
    sentence_folder(encoder(tmp_path), stated, "sentence_transformers.models.Normalize", at=at)
    ids = PreTrainedTokenizerFast.from_pretrained(tmp_path)("the cat sat")["input_ids"]
    hidden = last_hidden(tmp_path, ids, BertModel)
    expected = hidden.mean(0) if token is None else hidden[token]
    found = resolve_encoder(str(tmp_path), precision="fp32").encode(["the cat sat"])[0]
    np.testing.assert_allclose(found, expected / expected.norm(), atol=2e-3)


def test_the_stated_pooling_is_taken_without_a_list_of_modules_and_tells_encoders_apart(
    tmp_path: Path,
) -> None:
    mean = resolve_encoder(str(encoder(tmp_path)), precision="fp32")
    (sentence_folder(tmp_path, {"pooling_mode": "cls"}) / "modules.json").unlink()
    first = resolve_encoder(str(tmp_path), precision="fp32")
    assert (first.encode(["the cat"]) != mean.encode(["the cat"])).any()
    assert first.content_hash != mean.content_hash


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"pooling_mode": "max"}, "pools by max"),
        ({"pooling_mode": ["cls", "mean"]}, "pools by cls and mean"),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, "pools by max and mean"),
        ({"pooling_mode_weightedmean_tokens": True}, "pools by weightedmean"),
    ],
)
def test_a_pooling_that_is_not_ours_is_refused_instead_of_a_mean(
    stated: dict[str, object], found: str, tmp_path: Path
) -> None:
    sentence_folder(encoder(tmp_path), stated)
    with pytest.raises(ConfigError, match=rf"{found}, expected one of cls, lasttoken, mean; name") as refused:
        resolve_encoder(str(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("module", ["sentence_transformers.models.Dense", "custom_st.Transformer"])
def test_a_module_that_would_change_the_vectors_is_refused_instead_of_left_out(
    module: str, tmp_path: Path
) -> None:
    sentence_folder(encoder(tmp_path), {"pooling_mode": "mean"}, module)
    with pytest.raises(ConfigError, match=rf"module {module}, expected .*; name another") as refused:
        resolve_encoder(str(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("damage", ["{", "[]", None])
def test_a_damaged_sentence_transformers_folder_is_one_line(damage: str | None, tmp_path: Path) -> None:
    sentence_folder(encoder(tmp_path), {})
    stated = tmp_path / "1_Pooling" / "config.json"
    stated.unlink() if damage is None else stated.write_text(damage)
    with pytest.raises(ConfigError, match=r"1_Pooling.config\.json .*fetch the model again") as refused:
        resolve_encoder(str(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_decoder_gives_unit_vectors_only_where_its_folder_says_so(tmp_path: Path) -> None:
    raw = resolve_encoder(str(decoder(tmp_path)), precision="fp32")
    sentence_folder(tmp_path, {"pooling_mode": "lasttoken"}, "sentence_transformers.models.Normalize")
    unit = resolve_encoder(str(tmp_path), precision="fp32")
    hidden = raw.encode(["<s> the cat"])[0].astype(np.float32)
    np.testing.assert_allclose(unit.encode(["<s> the cat"])[0], hidden / np.linalg.norm(hidden), atol=2e-3)
    assert isinstance(raw, TransformerEncoder) and raw.reads_last_token
    assert isinstance(unit, TransformerEncoder) and not unit.reads_last_token
    assert raw.content_hash != unit.content_hash


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("build", [decoder, encoder])
def test_a_vector_is_the_same_alone_and_in_company(build: object, precision: str, tmp_path: Path) -> None:
    found = resolve_encoder(str(build(tmp_path)), precision=precision)  # type: ignore[operator, arg-type]
    texts = [
        "the cat",
        "why is the sky blue because light scatters",
        "no",
        "the mat sat on the cat",
        "yes no " * 20,
    ]
    alone = np.concatenate([found.encode([text]) for text in texts])
    np.testing.assert_array_equal(found.encode(texts), alone)


@pytest.mark.parametrize("mask", [[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
def test_pooling_never_reads_padding(mask: list[int]) -> None:
    hidden = torch.arange(5.0)[None, :, None].expand(1, 5, 2)
    real = [i for i, m in enumerate(mask) if m]
    masks = torch.tensor([mask])
    assert pool(hidden, masks, "mean")[0, 0] == sum(real) / len(real)
    assert pool(hidden, masks, "first")[0, 0] == real[0]
    assert pool(hidden, masks, "last")[0, 0] == real[-1]


def test_weights_or_tokenizer_change_the_content_hash(tmp_path: Path) -> None:
    before = resolve_encoder(str(encoder(tmp_path))).content_hash
    assert resolve_encoder(str(tmp_path)).content_hash == before
    model = BertModel.from_pretrained(tmp_path)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[5, 5] += 1
    model.save_pretrained(tmp_path)
    assert resolve_encoder(str(tmp_path)).content_hash != before


def test_a_folder_without_a_model_and_pickled_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json is missing"):
        resolve_encoder(str(tmp_path))
    encoder(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="pickles are not read"):
        resolve_encoder(str(tmp_path))


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    encoder(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(ConfigError, match="weights do not load") as refused:
        resolve_encoder(str(tmp_path)).encode(["a"])
    assert "\n" not in str(refused.value)


def test_a_chat_that_the_template_refuses_is_a_data_error(tmp_path: Path) -> None:
    decoder(tmp_path, template="{{ raise_exception('roles must alternate') }}")
    with pytest.raises(DataError, match="user, assistant: roles must alternate"):
        resolve_encoder(str(tmp_path)).render(CHAT)


def test_a_folder_named_from_here_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bert").mkdir()
    encoder(tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    names = {resolve_encoder(spec, precision="fp32").name for spec in ("bert", "./bert")}
    assert names == {str(tmp_path / "bert")}
