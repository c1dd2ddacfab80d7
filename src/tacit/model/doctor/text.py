"""Checks of the tokenizer: the chat template, and the special tokens that tools add or leave out."""

from __future__ import annotations

from typing import Any

from tacit.model.doctor.finding import Finding, fails, ok, skipped, unmade
from tacit.model.doctor.patient import CHATS, Patient
from tacit.model.doctor.scores import score_tokens

_TIMES = ("never", "once", "twice", "more than twice")
_NO_TOKENIZER = "the tokenizer does not load, see loads"


def chat_template(patient: Patient) -> Finding:
    """A chat template that renders a chat."""
    tokenizer = patient.tokenizer_or_none()
    if tokenizer is None:
        return unmade("chat-template", _NO_TOKENIZER)
    if not patient.is_decoder and patient.base is not None:
        return skipped("chat-template", "an encoder reads plain text")
    mend = "set tokenizer.chat_template to the one of the training and save the tokenizer again"
    if not getattr(tokenizer, "chat_template", None):
        return fails(
            "chat-template",
            "the tokenizer has no chat template",
            "TRL, verl, vLLM and RewardBench render chats with the reward model's own template: they refuse, or use "
            "another format than the training",
            mend,
        )
    try:
        text = patient.rendered(CHATS[0])
    except Exception as error:  # jinja, and whatever a template raises itself
        return fails(
            "chat-template", f"it raises {type(error).__name__}: {error}", "no chat can be rendered", mend
        )
    return ok("chat-template", f"renders {len(CHATS[0])} messages to {len(text)} characters")


def bos(patient: Patient) -> Finding:
    """The same number of opening tokens, and never two, whichever way a tool renders and tokenises."""
    tokenizer = patient.tokenizer_or_none()
    if tokenizer is None:
        return unmade("bos", _NO_TOKENIZER)
    if not getattr(tokenizer, "chat_template", None):
        return skipped("bos", "without a chat template nothing is rendered")
    if tokenizer.bos_token_id is None:
        return ok("bos", "the tokenizer has no opening token")
    try:
        text = patient.rendered(CHATS[0])
    except Exception:
        return unmade("bos", "the chat template does not render, see chat-template")
    return _openings(patient, tokenizer, text)


def _openings(patient: Patient, tokenizer: Any, text: str) -> Finding:
    begin = tokenizer.bos_token_id
    bare = text.removeprefix(tokenizer.bos_token)
    ways = {
        "in TRL, OpenRLHF and vLLM's messages": tokenizer(text, add_special_tokens=False)["input_ids"],
        "in verl": tokenizer(bare, add_special_tokens=True)["input_ids"],
        "in tokenizer(rendered text), as by hand and in pipelines": tokenizer(text, add_special_tokens=True)[
            "input_ids"
        ],
    }
    counts = {way: _leading(ids, begin) for way, ids in ways.items()}
    told = ", ".join(f"{_TIMES[min(count, 3)]} {way}" for way, count in counts.items())
    if len(set(counts.values())) == 1 and max(counts.values()) <= 1:
        return ok("bos", f"{['no', 'one'][max(counts.values())]} opening token, however it is tokenised")
    writes, adds = text != bare, _leading(tokenizer("a")["input_ids"], begin) > 0
    who = ["the template writes", "the tokenizer adds", "template and tokenizer both write"]
    who_writes = who[2] if writes and adds else who[0] if writes else who[1]
    found = f"{who_writes} the opening token {tokenizer.bos_token}; a chat starts with it {told}"
    found += _moved(patient, list(ways.values()))
    *stacks, by_hand = counts.values()
    if set(stacks) == {1} and by_hand == 2:  # as Llama 3: right in every tool that renders by itself
        why = "a rendered chat that is tokenised like plain text starts with two opening tokens (double BOS)"
        return Finding("bos", "info", found, why, "tokenise rendered chats with add_special_tokens=False")
    return fails(
        "bos",
        found,
        "the same chat starts differently in different tools; with two opening tokens (double BOS), not as trained",
        "tokenise rendered chats with add_special_tokens=False everywhere, or train without: no opening token in the "
        "template, add_bos_token false in the tokenizer",
    )


def _leading(ids: list[int], begin: int) -> int:
    return next((i for i, token in enumerate(ids) if token != begin), len(ids))


def _moved(patient: Patient, lists: list[list[int]]) -> str:
    """How far the scores of the same chat lie apart."""
    try:
        model, _ = patient.loaded
        scores = [float(score_tokens(model, [ids])[0]) for ids in lists]
    except Exception:  # a number would be welcome, it is not the finding
        return ""
    return f"; its score is {', '.join(f'{score:+.3f}' for score in scores)}"


def end_token(patient: Patient) -> Finding:
    """A tokenizer that appends no end of its own."""
    tokenizer = patient.tokenizer_or_none()
    if tokenizer is None:
        return unmade("end-token", _NO_TOKENIZER)
    if not patient.is_decoder and patient.base is not None:
        return skipped("end-token", "an encoder's tokenizer closes each text")
    end = tokenizer.eos_token_id
    ids = tokenizer("a text without an end")["input_ids"]
    if end is None or not ids or ids[-1] != end:
        return ok("end-token", "the tokenizer appends nothing")
    return fails(
        "end-token",
        f"the tokenizer appends {tokenizer.eos_token} to every text",
        "tools that add special tokens score at that token, the others (TRL's GRPO) at the one before it",
        "let the chat template write the end, and set add_eos_token false in tokenizer_config.json "
        "(or drop it from the post-processor in tokenizer.json)",
    )
