"""Each stack calls its adapter as the stack's own source does; the score is the model's."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

import tacit
from tacit import FeedbackLog
from tacit.align import adapters
from tacit.align.adapters import verl
from tacit.align.adapters.trl import trl_reward
from tacit.data import Roles
from tacit.errors import ConfigError, DataError
from tacit.model import RewardModel, load_model

ROOM = Path(adapters.__file__).parent
PAIRS = [("question 1", "clear correct it"), ("question 2", "vague wrong it .")]


@pytest.fixture(scope="module")
def scores(reward_folder: Path) -> list[float]:
    return [float(score) for score in RewardModel.load(reward_folder).score(PAIRS)]


def test_no_adapter_is_longer_than_sixty_lines() -> None:
    assert all(len(path.read_text().splitlines()) <= 60 for path in ROOM.glob("*.py"))


# ---- TRL


def test_trl_pays_what_the_model_scores_and_logs_its_doubt(reward_folder: Path, scores: list[float]) -> None:
    logged: dict[str, float] = {}
    reward = trl_reward(reward_folder)
    paid = reward(
        prompts=[prompt for prompt, _ in PAIRS],
        completions=[response for _, response in PAIRS],
        completion_ids=[[5, 6], [7]],
        answer=["a dataset's", "column"],
        trainer_state=None,
        log_extra=lambda *_: None,
        log_metric=logged.__setitem__,
        something_new=True,
    )
    assert paid == pytest.approx(scores, abs=1e-5)
    assert reward.__name__ == reward_folder.name == "rm"
    assert logged["rewards/rm/abstained"] == 0
    spread = RewardModel.load(reward_folder).uncertainty(PAIRS)
    assert logged["rewards/rm/uncertainty"] == pytest.approx(float(spread.mean()), abs=1e-6)


def test_trl_gets_none_where_the_members_disagree(reward_folder: Path) -> None:
    spread = RewardModel.load(reward_folder).uncertainty(PAIRS)
    doubtful = int(spread.argmax())
    reward = trl_reward(reward_folder, max_uncertainty=float(spread.mean()))
    logged: dict[str, float] = {}
    paid = reward([p for p, _ in PAIRS], [r for _, r in PAIRS], log_metric=logged.__setitem__)
    assert [value is None for value in paid] == [i == doubtful for i in range(2)]
    assert logged["rewards/rm/abstained"] == 0.5


def test_trl_counts_tokens_from_completion_ids(reward_folder: Path, scores: list[float]) -> None:
    reward = trl_reward(reward_folder, max_tokens=2, token_penalty=0.5, name="short")
    prompts, completions = [p for p, _ in PAIRS], [r for _, r in PAIRS]
    paid = reward(prompts, completions, completion_ids=[[1, 2], [1, 2, 3, 4]])
    assert paid == pytest.approx([scores[0], scores[1] - 1.0], abs=1e-5)
    assert reward.__name__ == "short"


# ---- OpenRLHF


def as_openrlhf_loads(path: Path) -> ModuleType:
    """`SingleTurnAgentExecutor.__init__` of OpenRLHF 0.11: the file, under this module name."""
    spec = importlib.util.spec_from_file_location("reward_func", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rendered(folder: Path, pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Queries and prompts as OpenRLHF decodes them: by the template, with special tokens."""
    words = AutoTokenizer.from_pretrained(folder)
    asked = [[{"role": "user", "content": prompt}] for prompt, _ in pairs]
    whole = [
        [*turns, {"role": "assistant", "content": response}]
        for turns, (_, response) in zip(asked, pairs, strict=True)
    ]
    queries = [words.apply_chat_template(turns, tokenize=False) for turns in whole]
    prompts = [
        words.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) for turns in asked
    ]
    return queries, prompts


@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_openrlhf_gets_one_number_per_name_and_call(
    penalty: float, finetuned_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_MODEL", str(finetuned_folder))
    monkeypatch.setenv("TACIT_UNCERTAINTY_PENALTY", str(penalty))
    module = as_openrlhf_loads(ROOM / "openrlhf.py")
    model = load_model(finetuned_folder)
    queries, prompts = rendered(finetuned_folder, PAIRS)
    expected = model.score(PAIRS) - penalty * model.uncertainty(PAIRS)
    assert model.uncertainty(PAIRS).min() > 1e-3  # two members, or the penalty would be tested on nothing
    with ThreadPoolExecutor(2) as threads:  # one query per call, in threads
        results = list(threads.map(lambda q, p: module.reward_func([q], [p], [None]), queries, prompts))
    for result, score, liked in zip(results, expected, model.probability(PAIRS), strict=True):
        assert set(result) == {"rewards", "scores", "extra_logs"}
        # What `_process_response_into_experience` does with each.
        assert torch.tensor([result["rewards"]]).item() == pytest.approx(float(score), abs=1e-5)
        # A probability is the model's, whatever the penalty takes off the reward.
        assert torch.tensor([result["scores"]]).item() == pytest.approx(float(liked), abs=1e-5)
        logs = {name: value.flatten()[0].item() for name, value in result["extra_logs"].items()}
        assert set(logs) == {"uncertainty", "probability"}
        assert logs["probability"] == pytest.approx(float(liked), abs=1e-5)


def test_openrlhf_gets_calibrated_probabilities_and_the_rewards_of_the_fit(
    finetuned_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(finetuned_folder)
    audit = {
        "prompt": [f"question {i // 2}" for i in range(20)],
        "response": [response for _, response in PAIRS] * 10,
        "liked": [1, 0, 1, 1] * 5,
    }
    done = tacit.calibrate(model, FeedbackLog.from_columns(audit, Roles(gold="liked")))
    done.save(tmp_path / "rm")
    monkeypatch.setenv("TACIT_MODEL", str(tmp_path / "rm"))
    monkeypatch.delenv("TACIT_UNCERTAINTY_PENALTY", raising=False)
    module = as_openrlhf_loads(ROOM / "openrlhf.py")
    result = module.reward_func(*rendered(finetuned_folder, PAIRS), [None, None])
    assert result["rewards"].tolist() == pytest.approx(model.score(PAIRS).tolist(), abs=1e-5)
    assert result["scores"].tolist() == pytest.approx(done.probability(PAIRS).tolist(), abs=1e-5)
    assert np.abs(done.probability(PAIRS) - model.probability(PAIRS)).min() > 0.01


def test_the_three_stacks_pay_a_fine_tuned_model_alike(
    finetuned_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_MODEL", str(finetuned_folder))
    monkeypatch.delenv("TACIT_UNCERTAINTY_PENALTY", raising=False)
    expected = load_model(finetuned_folder).score(PAIRS)
    of_trl = trl_reward(finetuned_folder)([p for p, _ in PAIRS], [r for _, r in PAIRS])
    of_openrlhf = as_openrlhf_loads(ROOM / "openrlhf.py").reward_func(
        *rendered(finetuned_folder, PAIRS), [None, None]
    )
    of_verl = [
        verl.compute_score("set", r, "", {"prompt": p}, model=str(finetuned_folder))["score"]
        for p, r in PAIRS
    ]
    for paid in (of_trl, of_openrlhf["rewards"].tolist(), of_verl):
        assert paid == pytest.approx(expected.tolist(), abs=1e-5)


def test_openrlhf_fails_while_loading_where_no_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TACIT_MODEL", raising=False)
    with pytest.raises(ConfigError, match="set TACIT_MODEL"):
        as_openrlhf_loads(ROOM / "openrlhf.py")


def test_openrlhf_fails_while_loading_a_model_that_reads_no_rendered_chat(
    reward_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_MODEL", str(reward_folder))
    with pytest.raises(ConfigError, match="reads prompt and response apart"):
        as_openrlhf_loads(ROOM / "openrlhf.py")


def test_the_openrlhf_adapter_prints_where_it_is() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tacit.align.adapters.openrlhf"], capture_output=True, text=True, check=True
    )
    assert Path(told.stdout.strip()) == ROOM / "openrlhf.py"


# ---- verl


def as_verl_calls(**extra_info: Any) -> dict[str, Any]:
    """`NaiveRewardManager` of verl 0.9 adds these two to what the data set brings."""
    return {**extra_info, "num_turns": None, "rollout_reward_scores": {}}


def test_verl_gets_a_score_from_the_prompt_in_extra_info(reward_folder: Path, scores: list[float]) -> None:
    for (prompt, response), expected in zip(PAIRS, scores, strict=True):
        for asked in (prompt, np.array([{"role": "user", "content": prompt}], dtype=object)):
            result = verl.compute_score(
                data_source="set",
                solution_str=response,
                ground_truth="",
                extra_info=as_verl_calls(prompt=asked),
                model=str(reward_folder),
                reward_router_address=None,
            )
            assert result["score"] == pytest.approx(expected, abs=1e-5)
            assert set(result) == {"score", "uncertainty"}  # verl wants the same keys for every row
            assert all(type(value) is float for value in result.values())


def test_verl_opens_the_model_once_per_process(reward_folder: Path) -> None:
    before = verl._guarded.cache_info().misses
    for _ in range(3):
        verl.compute_score("set", "it", "", {"prompt": "question"}, model=str(reward_folder))
    assert verl._guarded.cache_info().misses - before <= 1


def test_verl_scores_a_blank_answer_with_the_same_keys(reward_folder: Path) -> None:
    result = verl.compute_score("set", "", "", {"prompt": "question"}, model=str(reward_folder))
    assert result["score"] <= 0 and result["uncertainty"] == 0


@pytest.mark.parametrize("extra", [None, {}, {"prompt": ""}, {"prompt": 3}])
def test_verl_without_a_prompt_is_a_sentence(extra: dict[str, Any] | None, reward_folder: Path) -> None:
    with pytest.raises(DataError, match="does not pass it on") as refused:
        verl.compute_score("set", "it", "", extra, model=str(reward_folder))
    assert "\n" not in str(refused.value)


def test_verl_calls_by_keyword_what_the_signature_names() -> None:
    named = inspect.signature(verl.compute_score).parameters
    assert list(named)[:4] == ["data_source", "solution_str", "ground_truth", "extra_info"]
    assert any(parameter.kind is parameter.VAR_KEYWORD for parameter in named.values())
    assert not inspect.iscoroutinefunction(verl.compute_score)
