"""Responses of a local causal language model, for best-of-n and for safety evaluation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.errors import ConfigError, DataError
from tacit.progress import progress


@dataclass(frozen=True)
class Policy:
    """A causal language model and its tokenizer, from transformers."""

    model: Any
    tokenizer: Any
    name: str = "policy"

    @classmethod
    def open(cls, name: str | Path) -> Policy:
        """Open a folder or hub id, on the GPU where there is one. Code from a hub is never run.

        Raises:
            ConfigError: no such model.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from tacit.features.chat import checked_tokenizer
        from tacit.features.transformer import LOADING_ERRORS

        require_place("policy", name)
        try:
            tokenizer = checked_tokenizer(AutoTokenizer.from_pretrained(name, trust_remote_code=False))
            model = AutoModelForCausalLM.from_pretrained(
                name, trust_remote_code=False, use_safetensors=True, dtype="auto"
            )
        except LOADING_ERRORS as error:
            raise ConfigError(
                f"policy {str(name)!r} cannot be opened: {' '.join(str(error).split())}"
            ) from None
        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer, str(name))

    def render(self, prompt: Any) -> str:
        """A prompt as the policy reads it: plain text as one turn of the user where it has a chat template.

        Raises:
            ConfigError: messages for a policy without a template.
            DataError: messages that the template refuses.
        """
        from jinja2 import TemplateError

        if not self.tokenizer.chat_template:
            if isinstance(prompt, str):
                return prompt
            raise ConfigError(
                f"{self.name} has no chat template, but the prompt is chat messages; pass plain text"
            )
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        try:
            rendered = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            raise DataError(f"{self.name}: its chat template refuses a prompt: {error}") from error
        return str(rendered)


def require_place(what: str, name: str | Path) -> None:
    """Refuse at once what is neither a model folder nor a hub id; the hub would be asked for a minute.

    Raises:
        ConfigError: no folder with a config.json, and not of the form owner/name.
    """
    folder = Path(name)
    if folder.is_dir():
        if not any((folder / file).is_file() for file in ("config.json", "adapter_config.json")):
            raise ConfigError(
                f"{what} {str(name)!r}: the folder holds no config.json; expected a Hugging Face model"
            )
    elif not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", str(name)):
        raise ConfigError(
            f"{what} {str(name)!r}: no such folder; expected a model folder, or a hub id owner/name"
        )


def generate(
    policy: str | Path | Policy,
    prompts: Sequence[Any],
    *,
    n: int = 1,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
    seed: int = 0,
    batch_size: int = 16,
    quiet: bool = True,
) -> list[list[str]]:
    """Draw n responses to each prompt.

    Args:
        policy: folder, hub id, or a `Policy`.
        prompts: [P] text or chat messages.
        n: responses per prompt.
        max_new_tokens: length at which a response is cut.
        temperature: of sampling from all tokens; 0 takes the likeliest token, and then n has to be 1.
        seed: of sampling. The caller's random state is left as it was.
        batch_size: sequences generated at once. Sampled responses depend on it, as on the seed.
        quiet: no progress bar.

    Returns:
        For each prompt its n responses, without special tokens.

    Raises:
        ConfigError: numbers out of range, or a policy that cannot be opened.
    """
    import torch

    if n < 1 or max_new_tokens < 1 or temperature < 0 or (temperature == 0 and n > 1):
        raise ConfigError(
            f"n {n}, max_new_tokens {max_new_tokens}, temperature {temperature}: expected at least 1, at least 1 and "
            "at least 0, and a temperature above 0 for n > 1"
        )
    opened = policy if isinstance(policy, Policy) else Policy.open(policy)
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    texts = [opened.render(prompt) for prompt in prompts for _ in range(n)]
    drawn: list[str] = []
    with (
        torch.random.fork_rng(),
        torch.inference_mode(),
        progress("generating", len(texts), quiet=quiet) as bar,
    ):
        torch.manual_seed(seed)
        for start in range(0, len(texts), batch_size):
            batch = texts[start : start + batch_size]
            drawn += _batch(opened, batch, max_new_tokens, sampling)
            bar.advance(len(batch))
    return [drawn[i * n : (i + 1) * n] for i in range(len(prompts))]


def _batch(policy: Policy, texts: list[str], max_new_tokens: int, sampling: dict[str, Any]) -> list[str]:
    """Responses to rendered prompts, padded on the left so that every response begins at the same place."""
    import torch

    tokenizer = policy.tokenizer
    templated = bool(tokenizer.chat_template)  # the template wrote the special tokens already
    ids = [
        encoded or [_start(policy)]
        for encoded in tokenizer(texts, add_special_tokens=not templated)["input_ids"]
    ]
    longest = max(map(len, ids))
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
    input_ids = torch.tensor([[padding] * (longest - len(row)) + row for row in ids])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
    device = policy.model.device
    given = policy.model.generate(
        input_ids=input_ids.to(device),
        attention_mask=mask.to(device),
        max_new_tokens=max_new_tokens,
        pad_token_id=padding,
        **sampling,
    )
    return [str(text) for text in tokenizer.batch_decode(given[:, longest:], skip_special_tokens=True)]


def _start(policy: Policy) -> int:
    """What an empty prompt begins with."""
    tokenizer = policy.tokenizer
    return int(next((i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None), 0))
