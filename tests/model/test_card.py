"""The model card says what is so: what was held out, who sees what, which numbers have a unit or a level."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from toy_log import QUICK, columns, log_of

from tacit import RewardModel, fit
from tacit.methods import available

TABLE = columns(prompts=40)
LOG = log_of(TABLE)


@functools.cache
def card(key: str, **roles: Any) -> str:
    """The card of a fit to the log, its lines joined."""
    with TemporaryDirectory() as folder:
        fit(log_of(TABLE, **roles), method=key, encoder="hashing:32", config=QUICK).save(Path(folder) / "rm")
        return " ".join((Path(folder) / "rm" / "README.md").read_text().split())


def test_a_log_of_many_prompts_was_held_out_by_prompts() -> None:
    assert "2 members, each holding out a fifth of the prompts; weight decay" in card("naive")
    assert "* Held-out loss on prompts not trained on: " in card("naive")


def test_a_log_of_one_prompt_has_no_prompt_to_hold_out_and_says_so(tmp_path: Path) -> None:
    rm = fit(
        log_of(TABLE | {"prompt": ["the same"] * 160}), method="naive", encoder="hashing:32", config=QUICK
    )
    assert rm.info["training"]["judged_by_own_rows"] == 2
    rm.save(tmp_path / "rm")
    RewardModel.load(tmp_path / "rm").save(tmp_path / "again")
    for name in ("rm", "again"):
        told = (tmp_path / name / "README.md").read_text()
        assert "not trained on" not in told and "each holding out" not in told
        assert "* No prompts could be held out. The loss on the rows of training, which flatters: " in told


def test_members_without_prompts_to_hold_out_are_counted(tmp_path: Path) -> None:
    prompts = [f"question {i % 3}" for i in range(160)]  # three prompts fill three of five folds
    config = QUICK.model_copy(update={"members": 5})
    rm = fit(log_of(TABLE | {"prompt": prompts}), method="naive", encoder="hashing:32", config=config)
    assert rm.info["training"]["judged_by_own_rows"] == 2
    rm.save(tmp_path / "rm")
    told = (tmp_path / "rm" / "README.md").read_text()
    assert "a fifth of the prompts but 2, judged by the rows of training" in told
    assert "2 of the members were judged by rows of training" in told and "not trained on" not in told


@pytest.mark.parametrize("key", ["naive", "implicit_rm", "sar_em"])
def test_a_likelihood_is_in_nats(key: str) -> None:
    assert re.search(r"Held-out loss on prompts not trained on: \d\.\d{3} nats per response\.", card(key))


@pytest.mark.parametrize("key", ["wmf", "nnpu", "bpr"])
def test_another_criterion_has_no_unit(key: str) -> None:
    assert "nats" not in card(key) and "* Held-out criterion on prompts not trained on: " in card(key)


@pytest.mark.parametrize("key", ["naive", "implicit_rm", "bpr", "vpu", "kto"])
def test_only_a_probability_has_a_share_of_liked_responses(key: str) -> None:
    probable = available()[key].level == "prob"
    assert ("Estimated share of responses that users like: **" in card(key)) is probable
    assert ("# P(the user likes it)" in card(key)) is probable


@pytest.mark.parametrize(
    ("key", "head", "propensity"),
    [
        ("naive", "reward head linear, 2 members", ""),
        ("implicit_rm", "reward head linear, 2 members", "propensity heads see context and surface style"),
        ("sar_ipw", "reward head linear, 2 members", "propensity heads see context and surface style"),
        ("constant", "the reward is one number for all responses", ""),
        ("length", "reward head linear on the length alone", ""),
        ("prompt_only", "reward head linear on the prompt alone", ""),
        ("context_only", "reward head linear on context alone", ""),
    ],
)
def test_the_heads_of_the_card_are_those_that_were_fitted(key: str, head: str, propensity: str) -> None:
    told = card(key)
    assert head in told
    assert propensity in told if propensity else "propensity" not in told


@pytest.mark.filterwarnings("ignore::tacit.errors.IdentificationWarning")
def test_without_context_propensity_heads_see_style_alone() -> None:
    assert "propensity heads see surface style" in card("implicit_rm", context=())


def test_context_is_said_to_be_seen_by_the_reward_where_it_is() -> None:
    assert "Context, never seen by the reward: `slot`." in card("implicit_rm")
    assert "Context, which the reward sees: `slot`." in card("context_only")


@pytest.mark.parametrize("key", ["implicit_rm", "context_only", "bpr"])
def test_the_use_of_the_card_runs(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(LOG, method=key, encoder="hashing:32", config=QUICK).save(tmp_path / "rm")
    lines = "".join(
        f'{{"prompt": "{p}", "response": "{r}", "slot": {s}}}\n'
        for p, r, s in zip(TABLE["prompt"], TABLE["response"], TABLE["slot"], strict=True)
    )
    (tmp_path / "log.jsonl").write_text(lines)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "rm" / "README.md").read_text(), re.DOTALL)
    exec(code.replace("path/to/this/folder", "rm"), {})
