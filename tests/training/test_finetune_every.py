"""Every estimator beside a backbone: it is trained there, or refused in one line before anything is loaded."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from finetune_world import clicks_log, rated_log, texts
from tacit import methods
from tacit.data import FeedbackLog
from tacit.errors import ConfigError
from tacit.finetuning import feedback_trainer
from tacit.training.log_rows import observe
from tiny_models import tiny_causal

KEYS = methods.available().keys()
REFUSED = {
    **dict.fromkeys(("constant", "length", "context_only"), "nothing to fine-tune"),
    **dict.fromkeys(("dr_jl", "mrdr", "multi_ips", "multi_dr"), "several outputs"),
    **dict.fromkeys(
        ("co_teaching", "codis", "divide_mix", "robust_divide_mix", "kmeidtm"), "several outputs"
    ),
    "label_wave": "a state over all rows",
    "stable_dr": "sees 'all'",
    "prompt_only": "sees 'prompt'",
}
KNOWN = {"p": 0.6, "e": 0.5, "rho01": 0.1, "rho10": 0.1, "prior": 0.58, "frequency": 0.5, "noisy": 0.5}
"""Nuisances that a user may know; the others are estimated."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts, responses, _ = texts()
    return tiny_causal(tmp_path_factory.mktemp("models") / "base", prompts + responses)


def log_for(key: str) -> FeedbackLog:
    """120 rows with what the method reads."""
    setting = methods.get(key).setting
    if setting == "any":
        return clicks_log(120).with_roles(gold="audit")
    return clicks_log(120) if setting == "implicit" else rated_log(120)


def known(key: str, log: FeedbackLog) -> dict[str, float] | None:
    """Those of the method's nuisances that can be said, so that the test is quick."""
    method = methods.get(key)
    made = {*method.reads, *(name for stage in method.stages(observe(log)) for name in stage.makes)}
    return {name: KNOWN[name] for name in made} if made and made <= KNOWN.keys() else None


@pytest.mark.parametrize("key", sorted(KEYS - REFUSED.keys()))
def test_it_is_trained_and_judged_in_finite_numbers(base: Path, tmp_path: Path, key: str) -> None:
    log = log_for(key)
    args = {
        "output_dir": str(tmp_path),
        "use_cpu": True,
        "max_steps": 2,
        "per_device_train_batch_size": 16,
        "learning_rate": 1e-2,
        "members": 2,
        "logging_steps": 1,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "no",
        "load_best_model_at_end": False,
    }
    trainer = feedback_trainer(
        log,
        str(base),
        method=key,
        args=args,
        encoder="hashing:32",
        nuisances=known(key, log),
        use_gold=key == "oracle",
    )
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    told = {name: value for entry in trainer.state.log_history for name, value in entry.items()}
    assert math.isfinite(told["loss"]) and math.isfinite(told["eval_criterion"])
    assert np.isfinite(told["grad_norm"]) and told["grad_norm"] > 0
    after = dict(trainer.model.named_parameters())
    assert all(bool(torch.isfinite(value).all()) for value in after.values())
    assert not torch.equal(before["backbone.score.weight"], after["backbone.score.weight"])


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_it_is_refused_in_one_line_before_anything_is_loaded(tmp_path: Path, key: str) -> None:
    said = rf"^{key} cannot be fine-tuned: [^\n]*{REFUSED[key]}[^\n]*tacit fit[^\n]*$"
    with pytest.raises(ConfigError, match=said):
        feedback_trainer(
            log_for(key), "no/such/model", method=key, args={"output_dir": str(tmp_path), "use_cpu": True}
        )
