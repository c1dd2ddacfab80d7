"""What a model can be given: pairs always, rendered chats and token ids where it reads a chat as one text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tacit.errors import ConfigError
from tacit.features.transformer import TransformerEncoder, quiet_transformers
from tacit.model import Scorer


@dataclass(frozen=True)
class Reads:
    """What a model reads.

    Attributes:
        apart: prompt and response apart; a rendered chat is refused.
        renders: it writes a chat through a template of its own, so that a prompt must not be rendered already.
        vocabulary: ids below this number are tokens; 0 where it takes no ids.
        longest: most tokens of one chat.
        opening: the token with which every rendered chat begins, as text, or "". Callers of vLLM strip it, because
            vLLM adds it again.
    """

    apart: bool
    renders: bool = False
    vocabulary: int = 0
    longest: int = 0
    opening: str = ""

    def with_opening(self, text: str) -> str:
        """A rendered chat with its opening token, which stands there once.

        Example:
            >>> [Reads(False, opening="<s>").with_opening(text) for text in ("Hi", "<s>Hi")]
            ['<s>Hi', '<s>Hi']
        """
        return text if text.startswith(self.opening) else self.opening + text

    def refuse_tokens(self, ids: Sequence[int]) -> str | None:
        """Why these ids cannot be scored, or None. On a GPU an unknown id would end the whole process.

        Example:
            >>> Reads(False, vocabulary=100, longest=8).refuse_tokens([5, 100])
            'token 100 is unknown: the model has 100 of them, counted from 0'
        """
        if not self.vocabulary:
            return "this model takes no token ids; send the text, or messages"
        if max(ids) >= self.vocabulary:
            return f"token {max(ids)} is unknown: the model has {self.vocabulary} of them, counted from 0"
        if len(ids) > self.longest:
            return f"{len(ids)} tokens are more than the {self.longest} this model reads; cut the prompt"
        return None


def reads(scorer: Scorer) -> Reads:
    """Ask a model; this loads its weights as well, so that the first caller waits no longer than the next."""
    scorer.member_scores([("Is the server ready?", "It is.")])
    encoder: Any = getattr(scorer, "encoder", None)
    try:
        scorer.member_text_scores(["Is the server ready?"])
    except ConfigError:
        return Reads(apart=True, renders=not getattr(encoder, "paired", True))
    classifier: Any = getattr(scorer, "classifier", None)
    if classifier is None:
        return Reads(
            apart=False, opening=_opening_of(encoder) if isinstance(encoder, TransformerEncoder) else ""
        )
    chat = classifier.chat
    return Reads(
        apart=False,
        vocabulary=int(classifier.network.get_input_embeddings().weight.shape[0]),
        longest=chat.longest,
        opening=_opening(chat.tokenizer, chat.render),
    )


def _opening_of(encoder: TransformerEncoder) -> str:
    from transformers import AutoTokenizer

    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(
            encoder.folder, trust_remote_code=False, local_files_only=True
        )
    return _opening(tokenizer, encoder.render)


def _opening(tokenizer: Any, render: Callable[[list[dict[str, str]]], str]) -> str:
    """The token that a template writes first, where it is the one that clients strip."""
    bos = str(tokenizer.bos_token or "")
    text = render([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    return bos if bos and text.startswith(bos) else ""
