"""Which share of the prompts a fine-tuning holds out."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.data import FeedbackLog, Roles
from tacit.training.finetune.preparation import hold_out


def log_of(prompts: int) -> FeedbackLog:
    return FeedbackLog.from_columns(
        {"prompt": [f"question {i // 2}" for i in range(2 * prompts)], "response": ["a", "b"] * prompts},
        Roles(),
    )


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15, 0.3, 0.4, 0.6, 0.9])
def test_the_share_that_was_asked_for_is_held_out_in_whole_prompts(share: float) -> None:
    rest, held = hold_out(log_of(60), share, seed=0)
    assert held is not None and len(held) == 120 * share and len(rest) + len(held) == 120
    assert not set(rest.prompts()) & set(held.prompts())


@pytest.mark.parametrize(("prompts", "held"), [(1, None), (2, 1), (9, 1), (3, None)])
def test_of_few_prompts_the_nearest_share_that_leaves_both_sides_some(prompts: int, held: int | None) -> None:
    share = 0.1 if prompts != 2 else 0.99
    _, found = hold_out(log_of(prompts), share, seed=0)
    assert (None if found is None else len(np.unique(found.prompts()))) == held
