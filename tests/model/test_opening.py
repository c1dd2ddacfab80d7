"""A server puts the opening token back that clients of vLLM strip, for a frozen decoder as for a fine-tuned model."""

from __future__ import annotations

from pathlib import Path

import tiny_decoder
from fastapi.testclient import TestClient
from transformers import AutoTokenizer

import tacit
from tacit.data import FeedbackLog, Roles, Signal
from tacit.serving.app import create_app


def test_a_frozen_decoder_gets_back_the_opening_token_that_clients_strip(tmp_path: Path) -> None:
    base = tiny_decoder.causal(tmp_path, "llama")
    template = "{{ bos_token }}" + tiny_decoder.TEMPLATE
    tiny_decoder.save_tokenizer(tmp_path, template=template, adds="<|bos|> $A")
    rows = {
        "prompt": [f"ask {i // 2}" for i in range(40)],
        "response": [f"call sort {i % 5}" for i in range(40)],
        "copied": [int(i % 3 == 0) for i in range(40)],
        "slot": [i % 4 for i in range(40)],
    }
    log = FeedbackLog.from_columns(rows, Roles(signals=(Signal("copied"),), context=("slot",)))
    rm = tacit.fit(log, encoder=str(base), reward_features="text", config={"members": 2, "max_epochs": 2})
    turns = [{"role": "user", "content": "ask 1"}, {"role": "assistant", "content": "call sort 2"}]
    whole = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(turns, tokenize=False)
    assert whole.startswith("<|bos|>")
    with TestClient(create_app(rm, "rm")) as client:
        asked = {"input": [whole, whole.removeprefix("<|bos|>")]}
        one, two = (item["probs"] for item in client.post("/classify", json=asked).json()["data"])
    assert one == two
