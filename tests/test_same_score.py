"""One score, whoever asks: alone, in a batch, under either padding, from trainer, folder, export and every endpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from peft import LoraConfig

import tacit
from finetune_world import clicks_log, texts
from tacit.finetuning import describe, feedback_trainer
from tacit.model import FineTunedRewardModel, Scorer
from tacit.model.export import export
from tacit.serving.app import create_app
from tiny_models import tiny_causal

ROWS = 32


class Made(NamedTuple):
    """A fine-tuned model and everything that was written from it."""

    rm: Scorer
    trainer: Any
    folder: Path
    exported: Path
    client: TestClient
    expected_N: np.ndarray


@pytest.fixture(scope="module", params=["qwen3", "llama"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp(request.param)
    prompts, responses, _ = texts()
    base = tiny_causal(place / "base", prompts + responses, request.param)
    args = {
        "output_dir": str(place / "run"),
        "use_cpu": True,
        "num_train_epochs": 3,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 32,
    }
    trainer = feedback_trainer(
        clicks_log(), str(base), args=args, peft_config=LoraConfig(r=4, target_modules="all-linear")
    )
    trainer.train()
    done = trainer.fitted()
    rm = FineTunedRewardModel.of(done, describe(trainer, clicks_log(), done))
    rm.save(place / "rm")
    export(rm, place / "exported")
    with TestClient(create_app(tacit.load(place / "rm"), "rm")) as client:
        yield Made(rm, trainer, place / "rm", place / "exported", client, rm.score(pairs()))


def pairs() -> list[tuple[str, str]]:
    """Chats of unlike lengths."""
    prompts, responses, _ = texts()
    return [
        (prompt, " ".join(response.split()[: 1 + i % 6]))
        for i, (prompt, response) in enumerate(zip(prompts[:ROWS], responses[:ROWS], strict=True))
    ]


def chats() -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": p}, {"role": "assistant", "content": r}] for p, r in pairs()]


def rendered(made: Made) -> list[str]:
    return [made.rm.classifier.chat.render(chat) for chat in chats()]  # type: ignore[attr-defined]


def plainly(folder: Path, texts: list[str], side: str, size: int) -> np.ndarray:
    """As any user of transformers would."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    for start in range(0, len(texts), size):
        batch = tokenizer(
            texts[start : start + size],
            padding=True,
            padding_side=side,
            add_special_tokens=False,
            return_tensors="pt",
        )
        with torch.no_grad():
            found.append(model(**batch).logits[:, 0].numpy())
    return np.concatenate(found)


def by_trainer(made: Made) -> np.ndarray:
    """The trained module itself, adapter and all; its temperature is what `fitted` folds into the head."""
    module = made.trainer.model.eval()
    scale = made.trainer.fitted().temperature.scale["reward"]
    ids = made.rm.classifier.chat.token_ids(rendered(made))  # type: ignore[attr-defined]
    with torch.no_grad():
        return np.array(
            [scale * float(module.backbone(input_ids=torch.tensor([row])).logits.mean()) for row in ids]
        )


def served(
    path: str, body: Callable[[Made], Any], read: Callable[[Any], list[float]]
) -> Callable[[Made], np.ndarray]:
    def ask(made: Made) -> np.ndarray:
        answer = made.client.post(path, json=body(made))
        assert answer.status_code == 200, answer.text
        return np.array(read(answer.json()))

    return ask


def alone(made: Made) -> np.ndarray:
    return np.concatenate([made.rm.score([pair]) for pair in pairs()])


def probs(answer: Any) -> list[float]:
    return [row["probs"][0] for row in answer["data"]]


WAYS: dict[str, Callable[[Made], np.ndarray]] = {
    "alone": alone,
    "trainer": by_trainer,
    "folder": lambda made: tacit.load(made.folder).score(pairs()),
    "folder, one by one, transformers": lambda made: plainly(made.folder, rendered(made), "right", 1),
    "folder, 32, right-padded": lambda made: plainly(made.folder, rendered(made), "right", ROWS),
    "folder, 32, left-padded": lambda made: plainly(made.folder, rendered(made), "left", ROWS),
    "export, 32, right-padded": lambda made: plainly(made.exported, rendered(made), "right", ROWS),
    "export, 32, left-padded": lambda made: plainly(made.exported, rendered(made), "left", ROWS),
    "rendered": lambda made: made.rm.member_text_scores(rendered(made)).mean(0),
    "/v1/score": served(
        "/v1/score",
        lambda _: {"pairs": [{"prompt": p, "response": r} for p, r in pairs()]},
        lambda answer: [row["reward"] for row in answer["scores"]],
    ),
    "/get_reward": served(
        "/get_reward", lambda made: {"query": rendered(made)}, lambda answer: answer["rewards"]
    ),
    "/classify": served("/classify", lambda made: {"model": "rm", "input": rendered(made)}, probs),
    "/classify, token ids": served(
        "/classify",
        lambda made: {"model": "rm", "input": made.rm.classifier.chat.token_ids(rendered(made))},  # type: ignore[attr-defined]
        probs,
    ),
}


def test_the_tokens_told_are_those_sent(made: Made) -> None:
    ids = made.rm.classifier.chat.token_ids(rendered(made))  # type: ignore[attr-defined]
    told = made.client.post("/classify", json={"input": ids}).json()["usage"]
    assert told["prompt_tokens"] == told["total_tokens"] == sum(map(len, ids))


@pytest.mark.parametrize("way", WAYS)
def test_a_score_is_the_same(made: Made, way: str) -> None:
    assert np.ptp(made.expected_N) > 0.5, "scores that are all alike would agree by themselves"
    np.testing.assert_allclose(WAYS[way](made), made.expected_N, atol=1e-5)


def test_a_score_does_not_depend_on_what_is_scored_beside_it(made: Made) -> None:
    beside = made.rm.score(pairs())
    assert beside.tolist() == [float(made.rm.score([pair])[0]) for pair in pairs()]
