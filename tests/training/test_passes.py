"""The progress bar of a fit is as long as the fit: every pass is counted, and none that is not made."""

from __future__ import annotations

import random
from typing import Any

import pytest
from datasets import Dataset

import tacit
from tacit.training import TrainingConfig, selection


@pytest.mark.filterwarnings("ignore::tacit.errors.IdentificationWarning")
@pytest.mark.parametrize("form", ["context", "text"])
@pytest.mark.parametrize("hidden", [None, (), (8,)])
def test_as_many_passes_are_announced_as_made(
    form: Any, hidden: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(0)
    rows = [
        {"prompt": f"q{i // 2}", "response": f"answer {i % 7}", "slot": i % 2, "copied": chance.randint(0, 1)}
        for i in range(80)
    ]
    log = tacit.FeedbackLog.read(Dataset.from_list(rows), signals=["copied"], context=["slot"])
    made: list[str] = []
    announced: list[int] = []
    train, passes = selection.train, selection.passes

    def counting(*given: Any, **named: Any) -> Any:
        made.append(named["name"])
        return train(*given, **named)

    def told(*given: Any) -> int:
        announced.append(passes(*given))
        return announced[-1]

    monkeypatch.setattr(selection, "train", counting)
    monkeypatch.setattr("tacit.fitting.passes", told)
    config = TrainingConfig(members=2, hidden=hidden, max_epochs=2)
    tacit.fit(log, method="implicit_rm", encoder="hashing:16", propensity_features=form, config=config)
    assert announced == [len(made)]
    assert any("start" in name for name in made) == (form == "context" and hidden != ())
