"""The folder under examination: its files read once, its model loaded once, nothing of it executed.

A reward model is a Hugging Face `*ForSequenceClassification` folder, or a PEFT adapter for one. The model is loaded
offline, without remote code, from safetensors alone, in float32.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tacit.errors import ConfigError, one_line
from tacit.features.chat import checked_tokenizer
from tacit.features.encoder import join_messages
from tacit.features.transformer import quiet_transformers

HEADS = ("score", "classifier", "classification_head")
"""What transformers calls the head of a sequence classifier; decoders say `score`."""

CHATS: tuple[list[dict[str, str]], ...] = tuple(
    [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    for prompt, response in (
        ("What is 2 + 2?", "4"),
        ("How do I sort a list in Python?", "Use sorted(xs): it returns a new list and leaves xs as it was."),
        ("Why is the sky blue?", "Air scatters short waves of light more than long ones. " * 6),
        ("Translate 'good morning' into French.", "« Bonjour » — and 'bonsoir' after dusk."),
    )
)
"""The chats that are scored: short and long, with and without letters outside ASCII."""

_LONGEST = 512
_VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
)


class UnreadableError(Exception):
    """The model or its tokenizer does not load; the text says why."""


class UnmeasuredError(UnreadableError):
    """It does not load here, for want of memory or of a package: nothing that the folder is to blame for."""


@dataclass(frozen=True)
class Patient:
    """A reward model folder.

    Attributes:
        folder: where it lies.
        measure: load the model and score; False reads files alone.
    """

    folder: Path
    measure: bool = True

    @classmethod
    def admit(cls, folder: str | Path, *, measure: bool = True) -> Patient:
        """A folder that can be examined.

        Raises:
            ConfigError: there is no such folder, or it holds neither a Hugging Face model nor a PEFT adapter.
        """
        patient = cls(Path(folder), measure)
        if not patient.folder.is_dir():
            raise ConfigError(
                f"{folder} is not a folder; expected a Hugging Face reward model or a PEFT adapter"
            )
        if not (patient.is_adapter or (patient.folder / "config.json").is_file()):
            if (patient.folder / "tacit.json").is_file():
                raise ConfigError(
                    f"{folder} holds heads on a frozen encoder, which only tacit reads; export it first: "
                    f"tacit export {folder} --to hf --out DIR"
                )
            raise ConfigError(
                f"{folder} holds neither config.json nor adapter_config.json; expected a Hugging Face reward model "
                "or a PEFT adapter"
            )
        _ = patient.config, patient.adapter  # JSON that cannot be read is bad input, not a finding
        return patient

    @property
    def is_adapter(self) -> bool:
        """Whether this is a PEFT adapter."""
        return (self.folder / "adapter_config.json").is_file()

    @cached_property
    def adapter(self) -> dict[str, Any]:
        """adapter_config.json, or empty."""
        return _read_json(self.folder / "adapter_config.json")

    @cached_property
    def base(self) -> Path | None:
        """Where config.json and the backbone lie: the folder itself, or the adapter's base if it is on this machine."""
        if not self.is_adapter:
            return self.folder
        stated = str(self.adapter.get("base_model_name_or_path") or "")
        for place in (Path(stated).expanduser(), self.folder / stated):
            if stated and (place / "config.json").is_file():
                return place
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError

        try:
            return Path(snapshot_download(stated, local_files_only=True))
        except (OSError, ValueError, HFValidationError):
            return None

    @property
    def no_base(self) -> str:
        """What is said where `base` is None."""
        name = self.adapter.get("base_model_name_or_path")
        return f"the base {name!r}, which adapter_config.json names, is not on this machine; fetch it and examine again"

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json as it is written (of an adapter: the base's), not as transformers completes it."""
        return _read_json(self.base / "config.json") if self.base is not None else {}

    def stated(self, name: str) -> Any:
        """A value of config.json, also where a multimodal model keeps it with its text part."""
        inner = self.config.get("text_config")
        return self.config.get(name, inner.get(name) if isinstance(inner, dict) else None)

    @cached_property
    def is_decoder(self) -> bool:
        """Whether the backbone is a causal language model, whose head reads the last token."""
        from transformers.models.auto.modeling_auto import (
            MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        )

        family = str(self.config.get("model_type", ""))
        return family in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and family not in MODEL_FOR_MASKED_LM_MAPPING_NAMES

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor in the folder's safetensors files, by name; read from headers."""
        from safetensors import SafetensorError, safe_open

        found: dict[str, tuple[int, ...]] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(path, framework="np") as file:
                    for name in file.keys():  # noqa: SIM118 — not a mapping
                        found[name] = tuple(file.get_slice(name).get_shape())
            except (SafetensorError, OSError) as error:
                raise ConfigError(
                    f"{path} cannot be read as safetensors: {one_line(error)}; copy it again"
                ) from None
        return found

    @cached_property
    def head_names(self) -> list[str]:
        """Tensors of the head: `score.weight`, `classifier.dense.weight` …"""
        return [name for name in self.shapes if any(part in HEADS for part in name.split("."))]

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of the folder (of an adapter without one: the base's).

        Raises:
            UnreadableError: it does not load.
            UnmeasuredError: it does not load on this machine.
        """
        from transformers import AutoTokenizer

        places = [place for place in (self.folder, self.base) if place is not None and _has_tokenizer(place)]
        if not places:  # transformers would make an empty one for some families
            raise UnreadableError("the tokenizer does not load: the folder holds no tokenizer")
        source = places[0]
        with quiet_transformers():
            try:
                return checked_tokenizer(
                    AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=True)
                )
            except Exception as error:  # what a foreign folder raises is not ours to foresee
                raise _kind(error)(f"the tokenizer does not load: {one_line(error)}") from None

    def tokenizer_or_none(self) -> Any:
        """The tokenizer, or None where it does not load (`loads` says so)."""
        try:
            return self.tokenizer
        except UnreadableError:
            return None

    @cached_property
    def loaded(self) -> tuple[Any, list[str]]:
        """The model in evaluation mode, and the names of weights that its checkpoint lacks.

        It is loaded with as many labels as its head has rows, so that a wrong count is one finding and not all.

        Raises:
            UnreadableError: it does not load, or was not to be loaded.
            UnmeasuredError: it does not load on this machine.
        """
        import torch
        from transformers import AutoModelForSequenceClassification

        if not self.measure:
            raise UnreadableError("files alone were read; leave out --static (or measure=False) to measure")
        if self.base is None:
            raise UnreadableError(self.no_base)
        self._refuse_larger_than_memory()
        last = [self.shapes[name] for name in self.head_names if len(self.shapes[name]) == 2]
        with quiet_transformers():
            try:
                torch.manual_seed(0)  # a head that the checkpoint lacks is drawn the same way each time
                model, told = AutoModelForSequenceClassification.from_pretrained(
                    self.base,
                    num_labels=last[-1][0] if last else 1,
                    dtype=torch.float32,
                    use_safetensors=True,
                    trust_remote_code=False,
                    local_files_only=True,
                    output_loading_info=True,
                )
                missing = sorted(told["missing_keys"])
                if self.is_adapter:
                    model = _with_adapter(model, self.folder)
                    missing = []
            except UnreadableError:
                raise
            except Exception as error:  # what a foreign folder raises is not ours to foresee
                raise _kind(error)(
                    f"AutoModelForSequenceClassification does not load it: {one_line(error)}"
                ) from None
        return model.eval(), missing

    def rendered(self, chat: list[dict[str, str]]) -> str:
        """A chat as one text, by the folder's chat template where it has one."""
        if getattr(self.tokenizer, "chat_template", None):
            return str(self.tokenizer.apply_chat_template(chat, tokenize=False))
        return join_messages(chat)

    @cached_property
    def token_lists(self) -> list[list[int]]:
        """The built-in chats as TRL tokenises them: rendered, no special tokens added, end kept when too long."""
        templated = bool(getattr(self.tokenizer, "chat_template", None))
        try:
            texts = [self.rendered(chat) for chat in CHATS]
        except Exception:  # `chat-template` says so
            texts, templated = [join_messages(chat) for chat in CHATS], False
        positions = self.stated("max_position_embeddings") or self.stated("n_positions") or _LONGEST
        longest = min(int(positions), _LONGEST) - 4
        lists = self.tokenizer(texts, add_special_tokens=not templated, verbose=False)["input_ids"]
        return [ids[-longest:] for ids in lists]

    def _refuse_larger_than_memory(self) -> None:
        assert self.base is not None
        stored = sum(path.stat().st_size for path in self.base.glob("*.safetensors"))
        needed = stored * (1 if self.stated("dtype") == "float32" else 2)  # mostly 16-bit, measured in 32
        if needed > 0.9 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
            raise UnmeasuredError(
                f"it needs {needed / 2**30:.0f} GiB of memory in float32, more than this machine has; examine it on a "
                "larger one"
            )


def _kind(error: Exception) -> type[UnreadableError]:
    """A package that transformers misses is this machine's, all else the folder's."""
    return UnmeasuredError if isinstance(error, ImportError) else UnreadableError


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _VOCABULARIES)


def _with_adapter(model: Any, folder: Path) -> Any:
    try:
        from peft import PeftModel
    except ImportError:
        raise UnmeasuredError('an adapter is measured with peft: pip install "tacit[train]"') from None
    return PeftModel.from_pretrained(model, folder, local_files_only=True)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not JSON: {one_line(error)}; expected the file that transformers wrote"
        ) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path} holds {type(value).__name__}, expected a JSON object")
    return value
