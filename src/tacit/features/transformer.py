"""The transformer encoder: token lists through a Hugging Face backbone, pooled to one vector per text.

Shared by `minilm.py` and `huggingface.py`, which find the weights and say how to tokenise. Suffixes: B rows
of a batch, T tokens, D features, N texts.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from safetensors import SafetensorError

from tacit.errors import ConfigError, TacitError, one_line
from tacit.features.batching import BATCH_TOKENS, pad, plan_for
from tacit.features.encoder import Precision, clean_texts
from tacit.features.packing import FAMILIES, attend_within_texts, bins, pack
from tacit.progress import progress

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "first", "last"]

_WINDOW = 16384  # texts tokenised at a time: token lists of a whole log would not fit in memory


LOADING_ERRORS = (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError)
"""What transformers raises for a model that is missing, torn, of another kind, or that wants a package."""


class TransformerEncoder:
    """A backbone, its tokenizer and the way to one vector per text.

    The backbone is loaded at the first call of `encode`. On a CPU a vector does not depend on what else is
    encoded in the same call: bit for bit where the machine's matrix products round a row alike among any others.

    Args:
        name: as the user gave it.
        folder: where `config.json` and the safetensors weights lie.
        content_hash: SHA-256 over weights, tokenizer and settings.
        dimension: hidden size D.
        paired: True for sentence encoders, False for decoders.
        pooling: mean over tokens, first token, or last token.
        normalise: scale vectors to unit length.
        longest: most tokens per text; `tokenise` never returns more.
        tokenise: texts to token ids, special tokens included, never empty.
        render: a chat to one text.
        precision: None takes bf16 where the machine has it in hardware.
    """

    def __init__(
        self,
        *,
        name: str,
        folder: Path,
        content_hash: str,
        dimension: int,
        paired: bool,
        pooling: Pooling,
        normalise: bool,
        longest: int,
        tokenise: Callable[[list[str]], list[list[int]]],
        render: Callable[[list[dict[str, str]]], str],
        precision: Precision | None,
    ) -> None:
        self.name = name
        self.content_hash = content_hash
        self.dimension = dimension
        self.paired = paired
        self._folder = folder
        self._pooling = pooling
        self._normalise = normalise
        self.longest = longest
        self._tokenise = tokenise
        self._render = render
        self._precision = precision

    def __repr__(self) -> str:
        return f"TransformerEncoder({self.name!r}, dimension={self.dimension})"

    @property
    def folder(self) -> Path:
        """Where the backbone and its tokenizer lie."""
        return self._folder

    @property
    def reads_last_token(self) -> bool:
        """Whether a vector is the raw hidden state of the last token, as the heads of sequence classifiers read it."""
        return self._pooling == "last" and not self._normalise and not self.paired

    @cached_property
    def precision(self) -> Precision:
        """The arithmetic in use."""
        return self._precision or ("bf16" if bf16_in_hardware() else "fp32")

    def render(self, messages: list[dict[str, str]]) -> str:
        """Write a chat as one text."""
        return self._render(messages)

    def encode(self, texts: Sequence[str], *, quiet: bool = True) -> np.ndarray:
        """Encode texts as float16 [N, D], in the order given."""
        cleaned = clean_texts(texts)
        vectors_ND = np.empty((len(cleaned), self.dimension), dtype=np.float16)
        with progress(f"encoding ({self.name})", len(cleaned), quiet=quiet) as bar:
            for start in range(0, len(cleaned), _WINDOW):
                token_lists = self._tokenise(cleaned[start : start + _WINDOW])
                lengths = [len(tokens) for tokens in token_lists]
                plan = plan_for(self._device.type, lengths, longest=self.longest)
                for batches in bins(plan, BATCH_TOKENS) if self._packs else [[batch] for batch in plan]:
                    groups = [([token_lists[row] for row in batch.rows], batch.width) for batch in batches]
                    rows_B = start + np.concatenate([batch.rows for batch in batches])
                    vectors_ND[rows_B] = self._packed(groups) if self._packs else self._padded(*groups[0])
                    bar.advance(len(rows_B))
        return vectors_ND

    def _padded(self, token_lists: list[list[int]], width: int) -> np.ndarray:
        """Vectors of texts of one width, float16 [B, D]."""
        import torch

        ids, mask = pad(token_lists, width, self._filler)
        with torch.inference_mode():
            ids_BT = torch.from_numpy(ids).to(self._device)
            mask_BT = torch.from_numpy(mask).to(self._device)
            hidden_BTD = self._model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
            return self._vectors(hidden_BTD, mask_BT)

    def _packed(self, groups: list[tuple[list[list[int]], int]]) -> np.ndarray:
        """Vectors of groups of texts, each of its own width, in one pass, float16 [B, D]."""
        import torch

        packed = pack(groups, self._filler)
        with torch.inference_mode():
            hidden_TD = self._model(
                input_ids=packed.ids_1T, position_ids=packed.positions_1T, segments=packed.segments
            ).last_hidden_state[0]
            return np.concatenate(
                [
                    self._vectors(hidden_TD[one.tokens].view(one.texts, one.width, -1), one.mask_NW)
                    for one in packed.segments
                ]
            )

    def _vectors(self, hidden_BTD: torch.Tensor, mask_BT: torch.Tensor) -> np.ndarray:
        """Pooled, scaled if wanted, as float16."""
        import torch

        vectors_BD = pool(hidden_BTD, mask_BT, self._pooling)
        if self._normalise:
            vectors_BD = torch.nn.functional.normalize(vectors_BD, dim=1)
        # A few backbones put single units beyond float16's range; an infinity would spoil every mean.
        largest = float(np.finfo(np.float16).max)
        numpy_BD: np.ndarray = vectors_BD.clamp(-largest, largest).to(torch.float16).cpu().numpy()
        return numpy_BD

    @cached_property
    def _device(self) -> torch.device:
        import torch

        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @cached_property
    def _model(self) -> Any:
        import torch
        from transformers import AutoModel

        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        with quiet_transformers():
            try:
                model = AutoModel.from_pretrained(
                    self._folder,
                    dtype=dtype,
                    use_safetensors=True,
                    trust_remote_code=False,
                    local_files_only=True,
                )
            except LOADING_ERRORS as error:
                raise ConfigError(
                    f"encoder {self.name!r}: its weights do not load: {one_line(error)}"
                ) from error
        if self._packs:
            attend_within_texts(model)
        return model.eval().requires_grad_(False).to(self._device)

    @cached_property
    def _packs(self) -> bool:
        """Whether texts of unlike widths share a pass: on a CPU, with a backbone whose attention allows it."""
        try:
            stated = json.loads((self._folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False  # the model will not load, and says so
        plain = stated.get("position_embedding_type", "absolute") == "absolute"
        looks_back_only = bool(stated.get("is_decoder", False))
        return (
            self._device.type == "cpu"
            and stated.get("model_type") in FAMILIES
            and plain
            and not looks_back_only
        )

    @cached_property
    def _filler(self) -> int:
        pad_id = getattr(self._model.config, "pad_token_id", None)
        return pad_id if isinstance(pad_id, int) and pad_id >= 0 else 0


def pool(hidden_BTD: torch.Tensor, mask_BT: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Reduce hidden states to float32 [B, D]; padding, on whichever side, never counts.

    Args:
        hidden_BTD: last hidden states, any float type.
        mask_BT: 1 for a real token, 0 for padding; at least one 1 per row.
        pooling: `"mean"`, `"first"` or `"last"` real token.
    """
    import torch

    hidden_BTD = hidden_BTD.float()
    if pooling == "mean":
        weight_BT1 = mask_BT.unsqueeze(-1).to(hidden_BTD.dtype)
        return (hidden_BTD * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1)
    position_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    real_BT = mask_BT.bool()
    if pooling == "last":
        at_B = torch.where(real_BT, position_T, -1).amax(dim=1)
    else:
        at_B = torch.where(real_BT, position_T, mask_BT.shape[1]).amin(dim=1)
    return hidden_BTD[torch.arange(len(at_B), device=at_B.device), at_B]


def bf16_in_hardware() -> bool:
    """Whether this machine multiplies bf16 matrices natively; emulation would be slower than fp32."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if platform.machine().lower() in ("x86_64", "amd64"):
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, lambda: False)() for name in names)
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # builds without oneDNN
        return False


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the loading bars and notices of transformers; progress is shown by us or not at all."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    had_bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()


@contextmanager
def refused_in_one_line(what: str, errors: tuple[type[Exception], ...] = LOADING_ERRORS) -> Iterator[None]:
    """Knobs that another library refuses, or that want a package that is not installed, become one line.

    Args:
        what: where the knobs stand, for the message.
        errors: what is taken for a refusal; errors of the house pass as they are.

    Raises:
        ConfigError: the library refused.

    Example:
        >>> with refused_in_one_line("args"):
        ...     raise ImportError("wandb is not installed\\n  run pip install wandb")
        Traceback (most recent call last):
        tacit.errors.ConfigError: args: wandb is not installed run pip install wandb
    """
    try:
        yield
    except TacitError:
        raise
    except errors as error:
        message = re.sub(r"^\w+\.__init__\(\) ", "", " ".join(str(error).split())) or type(error).__name__
        raise ConfigError(f"{what}: {message}") from error
