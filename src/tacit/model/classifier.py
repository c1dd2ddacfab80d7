"""A sequence classifier of the Hugging Face format as a scorer of chats: what every stack loads as a reward model.

Suffixes: B rows of a batch, T tokens, N texts, R outputs of the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.errors import ModelError, one_line
from tacit.features.batching import pad, plan_for
from tacit.features.chat import Chat, checked_tokenizer, reach
from tacit.features.transformer import LOADING_ERRORS, quiet_transformers
from tacit.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_WINDOW = 16384  # texts tokenised at a time


@dataclass(frozen=True)
class Classifier:
    """A `*ForSequenceClassification` and its tokenizer.

    Attributes:
        network: from transformers, in evaluation mode.
        chat: how a conversation becomes tokens.
    """

    network: PreTrainedModel
    chat: Chat

    @classmethod
    def open(cls, folder: str | Path) -> Classifier:
        """Load a folder: safetensors only, no remote code, no hub; float32 on a CPU.

        Raises:
            ModelError: transformers cannot load it.
        """
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        cuda = torch.cuda.is_available()
        with quiet_transformers():
            try:
                tokenizer = checked_tokenizer(
                    AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
                )
                network = AutoModelForSequenceClassification.from_pretrained(
                    folder,
                    dtype="auto" if cuda else torch.float32,
                    use_safetensors=True,
                    trust_remote_code=False,
                    local_files_only=True,
                )
            except LOADING_ERRORS as error:
                raise ModelError(
                    f"{folder}: transformers cannot load it as a sequence classifier: {one_line(error)}"
                ) from None
        network.eval().requires_grad_(False).to("cuda" if cuda else "cpu")
        return cls(network, chat_of(str(folder), network.config, tokenizer))

    @property
    def outputs(self) -> int:
        """R: rows of the head."""
        return int(self.network.config.num_labels)

    def text_scores(self, texts: Sequence[str], *, quiet: bool = True) -> NDArray[np.float32]:
        """Raw logits of rendered chats, float32 [N, R]."""
        scores_NR = np.zeros((len(texts), self.outputs), dtype=np.float32)
        with progress("scoring", len(texts), quiet=quiet) as bar:
            for start in range(0, len(texts), _WINDOW):
                token_lists = self.chat.token_ids(texts[start : start + _WINDOW])
                scores_NR[start : start + len(token_lists)] = self.token_scores(token_lists, bar)
        return scores_NR

    def token_scores(self, token_lists: Sequence[Sequence[int]], bar: Any = None) -> NDArray[np.float32]:
        """Raw logits of chats given as token ids, none of them empty, float32 [N, R].

        Batches hold texts of one width, so that a score does not depend on what is scored beside it.
        """
        scores_NR = np.zeros((len(token_lists), self.outputs), dtype=np.float32)
        lengths = [len(tokens) for tokens in token_lists]
        device = self.network.device
        filler = self.chat.tokenizer.pad_token_id
        for batch in plan_for(device.type, lengths, longest=max([self.chat.longest, *lengths])):
            ids, mask = pad([token_lists[row] for row in batch.rows], batch.width, filler)
            with torch.inference_mode():
                logits_BR = self.network(
                    input_ids=torch.from_numpy(ids).to(device),
                    attention_mask=torch.from_numpy(mask).to(device),
                ).logits
            scores_NR[batch.rows] = logits_BR.float().cpu().numpy()
            if bar is not None:
                bar.advance(len(batch.rows))
        return scores_NR


def chat_of(name: str, config: Any, tokenizer: Any) -> Chat:
    """How a reward model reads a chat: by its template, as long as its positions allow."""
    return Chat(name, tokenizer, reach(config, tokenizer), bool(getattr(tokenizer, "chat_template", None)))
