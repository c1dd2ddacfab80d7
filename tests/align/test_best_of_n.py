"""Best-of-n: exact on ties, on nothing to choose from, and on doubt; sampling is reproducible."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tacit.align import best_of_n, sample_best_of_n
from tacit.align.generation import Policy, generate
from tacit.errors import ConfigError, DataError
from tacit.model import RewardModel, Scorer


class Spoken(Scorer):
    """A response says its members' scores: "3 1" is scored 3 by the first and 1 by the second."""

    def member_scores(self, pairs: Sequence[Any], **_: Any) -> np.ndarray:  # type: ignore[override]
        said = [[float(word) for word in response.split()] for _, response in pairs]
        return np.array(said, dtype=np.float32).reshape(len(said), -1).T.reshape(2, len(said))


class Said(Spoken):
    """As `Spoken`; whatever holds no numbers is scored 0."""

    def member_scores(self, pairs: Sequence[Any], **more: Any) -> np.ndarray:  # type: ignore[override]
        return super().member_scores([(p, r if r[0] in "-0123456789" else "0 0") for p, r in pairs], **more)


def test_the_highest_mean_wins_and_of_equals_the_first() -> None:
    candidates = [["1 1", "3 1", "2 2", "0 0"], ["5 5", "5 5"], ["-3 -3", "-1 -1"]]
    assert best_of_n(Said(), ["a", "b", "c"], candidates) == [1, 0, 1]


def test_pessimism_prefers_agreement() -> None:
    candidates = [["9 1", "4 4"]]  # mean 5 and spread 4, mean 4 and spread 0
    assert best_of_n(Said(), ["a"], candidates) == [0]
    assert best_of_n(Said(), ["a"], candidates, uncertainty_penalty=0.2) == [0]
    assert best_of_n(Said(), ["a"], candidates, uncertainty_penalty=0.3) == [1]
    assert best_of_n(Said(), ["a"], candidates, max_uncertainty=3.9) == [1]
    assert best_of_n(Said(), ["a"], candidates, max_uncertainty=4.0) == [0]


def test_missing_blank_and_doubtful_candidates_are_never_chosen() -> None:
    candidates = [[None, "", "-7 -7"], [None, "  "], [], ["9 0"]]
    assert best_of_n(Said(), ["a", "b", "c", "d"], candidates, max_uncertainty=1.0) == [2, None, None, None]


def test_every_prompt_needs_its_candidates() -> None:
    with pytest.raises(DataError, match="one list per prompt"):
        best_of_n(Said(), ["a", "b"], [["1 1"]])


def test_columns_of_a_sorted_data_frame_are_read_by_position() -> None:
    table = pd.DataFrame({"prompt": ["a", "b", "c"], "answers": [["1 1", "2 2"], ["5 5"], ["3 3", "0 0"]]})
    table = table.iloc[[2, 0, 1]]
    assert best_of_n(Said(), table["prompt"], table["answers"]) == [0, 1, 0]
    assert best_of_n(Said(), table["prompt"], table["answers"].map(np.array)) == [0, 1, 0]


def test_what_is_no_model_and_no_list_of_prompts_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"scorer is 'rm/' \(str\), expected a reward model: tacit\.load\(folder\)"
    ):
        best_of_n("rm/", ["a"], [["1 1"]])  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"prompts is one text, 'ab'[^\n]*, expected a list"):
        best_of_n(Said(), "ab", [["1 1"], ["2 2"]])


def test_sampling_chooses_what_the_model_scores_highest(reward_folder: Path, policy_folder: Path) -> None:
    model = RewardModel.load(reward_folder)
    prompts = ["question 1 of it", [{"role": "user", "content": "question 2"}]]
    state = torch.get_rng_state()
    first = sample_best_of_n(policy_folder, model, prompts, n=6, max_new_tokens=6, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert first == sample_best_of_n(policy_folder, model, prompts, n=6, max_new_tokens=6, seed=3)
    assert first != sample_best_of_n(policy_folder, model, prompts, n=6, max_new_tokens=6, seed=4)
    for best, prompt in zip(first, prompts, strict=True):
        assert len(best.candidates) == 6 and len(set(best.candidates)) > 1
        scores = model.score([(prompt, text) for text in best.candidates if text.strip()])
        assert best.index is not None and best.rewards[best.index] == pytest.approx(scores.max(), abs=1e-5)
        assert best.response == best.candidates[best.index]


def test_a_response_does_not_depend_on_the_prompts_beside_it(policy_folder: Path) -> None:
    opened = Policy.open(policy_folder)
    prompts = ["question", "question 1 of it so that we", "clear"]
    together = generate(opened, prompts, max_new_tokens=8, temperature=0.0)
    alone = [generate(opened, [prompt], max_new_tokens=8, temperature=0.0)[0] for prompt in prompts]
    assert together == alone


def test_several_likeliest_responses_are_refused(policy_folder: Path) -> None:
    with pytest.raises(ConfigError, match="temperature above 0"):
        generate(policy_folder, ["question"], n=2, temperature=0.0)
