"""One way to turn a chat into tokens: template once, one opening token, padding that ends nothing."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

from tacit.features.chat import Chat, give_padding, give_template
from tiny_models import tiny_tokenizer

WORDS = ["what is up", "all is well"]
CHAT = [{"role": "user", "content": "what is up"}, {"role": "assistant", "content": "all is well"}]


def test_a_rendered_chat_opens_once_though_template_and_tokenizer_both_open_it() -> None:
    tokenizer = tiny_tokenizer(WORDS)
    chat = Chat("tiny", tokenizer, 64)
    [ids] = chat.token_ids([chat.render(CHAT)])
    assert ids.count(tokenizer.bos_token_id) == 1
    assert chat.token_ids([tokenizer.bos_token + " " + chat.render(CHAT)])[0] == ids


def test_what_is_cut_is_the_middle() -> None:
    chat = Chat("tiny", tiny_tokenizer(WORDS), 4)
    whole = Chat("tiny", chat.tokenizer, 64).token_ids([chat.render(CHAT)])[0]
    assert chat.token_ids([chat.render(CHAT)])[0] == [whole[0], *whole[-3:]]


def test_a_model_without_a_template_gets_one_that_writes_its_special_tokens_and_no_end() -> None:
    tokenizer = tiny_tokenizer(WORDS, template=None)
    assert give_template(tokenizer)
    assert not give_template(tokenizer)
    text = Chat("tiny", tokenizer, 64).render(CHAT)
    assert text.startswith("<s>")
    assert not text.endswith("</s>")


@pytest.mark.parametrize("pad", [None, "</s>"])
def test_padding_is_never_the_end_token(pad: str | None) -> None:
    tokenizer = tiny_tokenizer(WORDS)
    tokenizer.pad_token = pad
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    model = LlamaForSequenceClassification(config)
    assert give_padding(tokenizer, model)
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert not give_padding(tokenizer, model)


def unknown_words(*, bytes_too: bool, pad: str | None) -> PreTrainedTokenizerFast:
    """A vocabulary of a few words whose only token to spare is the one for others; or one of bytes."""
    known = ["<s>", "</s>", "<unk>", *WORDS[0].split(), *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {token: i for i, token in enumerate(known)}
    if bytes_too:
        inner = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    else:
        inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token=pad
    )


@pytest.mark.parametrize("pad", [None, "</s>", "<unk>"])
def test_padding_is_no_token_that_stands_for_unknown_words(pad: str | None) -> None:
    tokenizer = unknown_words(bytes_too=False, pad=pad)
    ids = tokenizer("what is missing?")["input_ids"]
    assert tokenizer.unk_token_id in ids
    assert give_padding(tokenizer)
    assert tokenizer.pad_token == "<|pad|>" and tokenizer.pad_token_id == len(tokenizer) - 1
    assert tokenizer("what is missing?")["input_ids"] == ids and not give_padding(tokenizer)


@pytest.mark.parametrize("pad", [None, "<unk>"])
def test_where_unknown_words_become_bytes_their_token_is_to_spare(pad: str | None) -> None:
    tokenizer = unknown_words(bytes_too=True, pad=pad)
    assert give_padding(tokenizer) == (pad is None)
    assert tokenizer.pad_token == "<unk>"
    assert tokenizer.unk_token_id not in tokenizer("what is missing?")["input_ids"]


def test_a_vocabulary_without_a_spare_token_grows_with_the_embeddings() -> None:
    tokenizer = tiny_tokenizer(WORDS)
    tokenizer.pad_token = "</s>"
    from tacit.features import chat

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    model = LlamaForSequenceClassification(config)
    before = len(tokenizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat, "_PADDING", ())
        assert give_padding(tokenizer, model)
    assert len(tokenizer) == before + 1
    assert model.get_input_embeddings().weight.shape[0] == before + 1
