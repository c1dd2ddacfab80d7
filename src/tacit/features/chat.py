"""A conversation as tokens, the one way everywhere: template rendered once, no special token added a second time.

Training, scoring, serving and the checks of an export all come through here; a reward model whose callers render in
another way scores other texts than it has learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tacit.errors import DataError, one_line, shown


@dataclass(frozen=True)
class Chat:
    """A tokenizer and the longest chat it may give.

    Attributes:
        name: of the model, for messages.
        tokenizer: from transformers.
        longest: most tokens of one chat.
        templated: its chat template writes the special tokens, so that the tokenizer must not.
    """

    name: str
    tokenizer: Any
    longest: int
    templated: bool = True

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """A chat as one text.

        Raises:
            DataError: the template refuses these roles.
        """
        from jinja2 import TemplateError

        try:
            return str(self.tokenizer.apply_chat_template(list(messages), tokenize=False))
        except TemplateError as error:
            roles = ", ".join(message.get("role", "?") for message in messages)
            raise DataError(
                f"model {self.name!r}: its chat template refuses a chat with roles {roles}: {one_line(error)}"
            ) from error

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered chats, never empty, at most `longest` each.

        A doubled opening token is one; what is cut follows the first token, since the response stands at the end.
        """
        return [self.shorten(ids) for ids in self.whole_ids(texts)]

    def whole_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered chats of any length; a doubled opening token is one."""
        if not texts:
            return []
        encoded = self.tokenizer(
            list(texts), add_special_tokens=not self.templated, padding=False, verbose=False
        )
        return [self._opened_once(ids) for ids in encoded["input_ids"]]

    def shorten(self, ids: list[int]) -> list[int]:
        """One opening token, and no more than `longest` in all."""
        ids = self._opened_once(ids)
        if len(ids) <= self.longest:
            return ids or [self._lone()]
        return ids[:1] + ids[len(ids) - self.longest + 1 :] if self.longest > 1 else ids[-1:]

    def _opened_once(self, ids: list[int]) -> list[int]:
        bos = self.tokenizer.bos_token_id
        return ids[1:] if bos is not None and ids[:2] == [bos, bos] else ids

    def _lone(self) -> int:
        """What stands for an empty text."""
        known = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id)
        return next((i for i in known if i is not None), 0)


def checked_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer itself.

    Raises:
        ValueError: its longest text is no number, with which transformers would compare every text.
    """
    longest = tokenizer.model_max_length
    if isinstance(longest, bool) or not isinstance(longest, int | float):
        raise ValueError(
            f"model_max_length is {shown(longest)}, expected a number of tokens in tokenizer_config.json"
        )
    return tokenizer


def reach(config: Any, tokenizer: Any, most: int | None = None) -> int:
    """Longest text that a model's positions allow; RoBERTa's family counts them from the padding id on."""
    unbounded = 1 << 20
    positions = getattr(config.get_text_config(), "max_position_embeddings", None) or most or unbounded
    if "roberta" in config.model_type or config.model_type in ("camembert", "mpnet"):
        positions -= (getattr(config, "pad_token_id", None) or 0) + 1
    return max(1, min(int(positions), int(tokenizer.model_max_length), most or unbounded))


def give_template(tokenizer: Any) -> bool:
    """Give a tokenizer without a chat template a plain one; returns whether it did.

    Base models and encoders have none, and then every stack would render a chat in its own way. The template writes
    the special tokens that the tokenizer would add around a text, because nobody adds them after rendering.
    """
    if getattr(tokenizer, "chat_template", None):
        return False
    before, after = _wrapping(tokenizer)
    tokenizer.chat_template = (
        f"{before}{{% for message in messages %}}"
        "{{ message['role'] }}: {{ message['content'] }}{% if not loop.last %}{{ '\\n\\n' }}{% endif %}"
        f"{{% endfor %}}{{% if add_generation_prompt %}}{{{{ '\\n\\nassistant: ' }}}}{{% endif %}}{after}"
    )
    return True


def _wrapping(tokenizer: Any) -> tuple[str, str]:
    """The tokens a tokenizer puts before and after a text, as text.

    An end-of-sequence token is left out: after a rendered chat no stack appends it.
    """
    probe = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    at = next((i for i in range(len(whole)) if whole[i : i + len(probe)] == probe), 0)
    before, after = whole[:at], whole[at + len(probe) :]
    if tokenizer.bos_token_id is not None or tokenizer.cls_token_id is None:
        after = []
    return tokenizer.decode(before), tokenizer.decode(after)


_PADDING = ("<|finetune_right_pad_id|>", "<|endoftext|>", "<|pad|>", "[PAD]", "<pad>", "<unk>")


_RARE = "\u2603 \ua66e \U00012000 \U0001fae8 zqxj"
"""Snowman, an old letter, cuneiform, a late emoji, no word: what a vocabulary without bytes does not know."""


def stands_in_texts(tokenizer: Any, token: int | None) -> bool:
    """Whether ordinary text turns into this token: that of unknown words does, unless they become bytes."""
    return (
        token is not None and token in tokenizer(_RARE, add_special_tokens=False, verbose=False)["input_ids"]
    )


def give_padding(tokenizer: Any, model: Any = None) -> bool:
    """Give a tokenizer a padding token that ends nothing and stands in no text; returns whether anything changed.

    A classifier reads the right-most token that is not padding, whatever the attention mask says. Where padding is the
    end token it reads another one than vLLM, SGLang and OpenRLHF do; where it is the token for unknown words, it does
    not read those at the end of an answer. The tokenizer's own padding is kept if it is neither; else a token that is
    there to spare is taken, else one is added.

    Args:
        tokenizer: from transformers.
        model: whose configuration follows, and whose embeddings grow where the vocabulary has no token to spare.
    """
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    changed = pad is None or pad == eos or stands_in_texts(tokenizer, pad)
    if changed:
        known = tokenizer.get_vocab()
        taken = {tokenizer.eos_token, tokenizer.bos_token}
        fit = (token for token in _PADDING if token in known and token not in taken)
        spare = next((token for token in fit if not stands_in_texts(tokenizer, known[token])), None)
        if spare is None:
            tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
        else:
            tokenizer.pad_token = spare
    if model is not None:
        if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        model.config.pad_token_id = model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    tokenizer.padding_side = "right"
    return changed
