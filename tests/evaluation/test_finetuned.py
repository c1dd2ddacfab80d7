"""Judging a fine-tuned model: as it is, by the same measures as any other, and never refitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig
from sklearn.metrics import roc_auc_score

import tacit
from finetune_world import WORDS, clicks_log, texts
from tacit import methods
from tacit.data import FeedbackLog, Roles, Signal
from tacit.errors import ConfigError, ModelError
from tacit.evaluation.report import Evaluation, evaluate_model
from tacit.evaluation.table import Row
from tacit.finetuning import feedback_trainer
from tacit.model import FineTunedRewardModel
from tacit.training.log_rows import observe
from tiny_models import tiny_causal

ROWS = 200


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts, responses, _ = texts(ROWS)
    return tiny_causal(tmp_path_factory.mktemp("models") / "base", prompts + responses)


def knobs(folder: Path, **more: object) -> dict[str, object]:
    return {
        "output_dir": str(folder / "run"),
        "use_cpu": True,
        "max_steps": 12,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 32,
        **more,
    }


@pytest.fixture(scope="module")
def rm(base: Path, tmp_path_factory: pytest.TempPathFactory) -> FineTunedRewardModel:
    """A LoRA adapter, merged, with two members and a propensity that sees `slot`; read from its folder."""
    folder = tmp_path_factory.mktemp("judged")
    adapter = LoraConfig(r=4, target_modules="all-linear")
    made = tacit.finetune(clicks_log(ROWS), str(base), peft_config=adapter, args=knobs(folder, members=2))
    made.save(folder / "rm")
    return FineTunedRewardModel.load(folder / "rm")


def other_columns(rows: int = 96) -> dict[str, list[Any]]:
    """Rows that the fit never read, of six users, with two columns of gold that disagree."""
    rng = np.random.default_rng(7)
    responses = [" ".join(rng.choice(WORDS, 5)) for _ in range(rows)]
    likes_N = np.array(["good" in response.split() for response in responses])
    return {
        "prompt": [f"ask {i // 4}" for i in range(rows)],
        "response": responses,
        "copied": (likes_N & (rng.random(rows) < 0.6)).astype(int).tolist(),
        "slot": rng.integers(0, 3, rows).tolist(),
        "rating": (likes_N ^ (np.arange(rows) % 7 == 0)).astype(float).tolist(),
        "style": [float("x" in response.split()) if i % 5 else None for i, response in enumerate(responses)],
        "user": [f"user {i // 4 % 6}" for i in range(rows)],
        "llm": ["alpha" if i % 2 else "beta" for i in range(rows)],
    }


def log_of(table: dict[str, list[Any]], **roles: Any) -> FeedbackLog:
    return FeedbackLog.from_columns(
        table, Roles(**{"signals": (Signal("copied"),), "context": ("slot",), **roles}), name="other"
    )


def row_of(found: Evaluation, method: str) -> Row:
    return next(row for row in found.rows if row.method == method)


def test_its_metrics_are_those_of_its_probabilities_level_included(rm: FineTunedRewardModel) -> None:
    log = log_of(other_columns(), gold="rating")
    found = evaluate_model(rm, log)
    assert [row.method for row in found.rows] == ["constant", "length", "implicit_rm"]
    ours, gold_N = row_of(found, "implicit_rm"), np.array(other_columns()["rating"])
    probability_N = rm.probability(log)
    assert rm.level != 0
    assert ours.metrics["base_rate"].value == pytest.approx(probability_N.mean(), abs=1e-6)
    assert ours.metrics["brier"].value == pytest.approx(((probability_N - gold_N) ** 2).mean(), abs=1e-6)
    assert ours.metrics["auroc"].value == pytest.approx(roc_auc_score(gold_N, rm.score(log)))
    assert ours.metrics["auroc"].low < ours.metrics["auroc"].value < ours.metrics["auroc"].high
    assert row_of(found, "constant").metrics["base_rate"].value == pytest.approx(
        rm.info["metrics"]["base_rate"]
    )
    assert found.differences()["constant"]["auroc"].value > 0


def test_its_intervals_are_over_prompts_or_users_as_the_log_names_them(rm: FineTunedRewardModel) -> None:
    by_prompt = evaluate_model(rm, log_of(other_columns(), gold="rating"))
    by_user = evaluate_model(rm, log_of(other_columns(), gold="rating", user_id="user"))
    assert "intervals over prompts" in by_prompt.title and "intervals over users" in by_user.title
    first, second = (row_of(found, "implicit_rm").metrics["brier"] for found in (by_prompt, by_user))
    assert first.value == second.value and (first.low, first.high) != (second.low, second.high)


def test_each_column_of_gold_judges_on_the_rows_that_have_it(rm: FineTunedRewardModel) -> None:
    table = other_columns()
    known_N = np.array([value is not None for value in table["style"]])
    log = log_of(table, gold="style")
    expected = roc_auc_score(np.array(table["style"])[known_N].astype(float), rm.score(log)[known_N])
    assert row_of(evaluate_model(rm, log), "implicit_rm").metrics["auroc"].value == pytest.approx(expected)


def test_gold_needs_neither_signals_nor_context_and_chats_are_judged_as_their_texts(
    rm: FineTunedRewardModel,
) -> None:
    table = {name: other_columns()[name] for name in ("prompt", "response", "rating")}
    plain = evaluate_model(rm, log_of(table, gold="rating", signals=(), context=()))
    said = {
        "prompt": [[{"role": "user", "content": text}] for text in table["prompt"]],
        "response": [[{"role": "assistant", "content": text}] for text in table["response"]],
    }
    chats = evaluate_model(rm, log_of(table | said, gold="rating", signals=(), context=()))
    assert str(chats.rows) == str(plain.rows)
    assert "log_likelihood" not in row_of(plain, "implicit_rm").metrics


def two_signals(log: FeedbackLog) -> FeedbackLog:
    return log.with_roles(signals=(Signal("copied"), Signal("rated")))


@pytest.mark.parametrize(
    ("method", "of"), [("implicit_rm", lambda log: log), ("latent_ml", two_signals)], ids=["one", "two"]
)
def test_its_likelihood_of_signals_is_that_of_the_logits_it_was_trained_to_give(
    method: str, of: Callable[[FeedbackLog], FeedbackLog], base: Path, tmp_path: Path
) -> None:
    log = of(clicks_log(ROWS))
    train, held = log.take(np.arange(120)), log.take(np.arange(120, ROWS))
    trainer = feedback_trainer(
        train, str(base), method=method, eval_log=held, args=knobs(tmp_path, members=2)
    )
    trainer.train()
    told = trainer.predict(trainer.eval_dataset)
    order_N = np.argsort(told.label_ids)  # texts of one length stand together
    done = trainer.fitted()
    assert done is not None
    logits = {
        name: done.temperature.scale.get(name, 1) * torch.from_numpy(value[order_N]).mean(1)
        + done.temperature.shift.get(name, 0)
        for name, value in told.predictions.items()
    }
    expected = methods.get(method).log_likelihood(logits, observe(held))
    assert expected is not None
    info = tacit.finetuning.describe(trainer, train, done)
    found = evaluate_model(FineTunedRewardModel.of(done, info), held)
    assert row_of(found, method).metrics["log_likelihood"].value == pytest.approx(
        float(expected.mean()), abs=1e-4
    )
    assert "log_likelihood" in found.differences()["constant"]


def test_without_gold_it_needs_the_context_that_its_propensity_sees(rm: FineTunedRewardModel) -> None:
    assert rm.context_seen == ("slot",)
    with pytest.raises(
        ConfigError, match=r"slot is not named; name it with --context, or name --gold or --rank$"
    ):
        evaluate_model(rm, log_of(other_columns(), context=()))


def test_it_is_not_refitted_on_the_log_of_its_fit_and_says_that_scores_are_flattered(
    rm: FineTunedRewardModel,
) -> None:
    found = evaluate_model(rm, clicks_log(ROWS).with_roles(gold="audit"))
    assert (found.folds, row_of(found, "implicit_rm").protocol) == (0, "in-sample")
    assert found.caption.splitlines()[:2] == [
        "These are the rows of the fit: scores are flattered. Use other rows.",
        "A fine-tuned model is judged as it is: naive and oracle, which would have to be fitted to these rows, are "
        "left out.",
    ]


def test_it_knows_the_rows_of_its_fit_among_others(rm: FineTunedRewardModel) -> None:
    old = clicks_log(ROWS)
    table = other_columns()
    for name in ("prompt", "response", "slot", "copied"):
        table[name] = [*table[name][:48], *old.column(name)[:48]]
    found = evaluate_model(rm, log_of(table, gold="rating"))
    assert found.caption.startswith(
        "Of these rows 50.0 % are rows of the fit: scores are flattered. Use other"
    )
    assert row_of(found, "implicit_rm").protocol == "partly in-sample"


def test_it_is_calibrated_as_any_other_and_keeps_its_checkpoint(
    rm: FineTunedRewardModel, tmp_path: Path
) -> None:
    log = log_of(other_columns(), gold="rating")
    done = tacit.calibrate(rm, log)
    done.save(tmp_path / "audited")
    rm.save(tmp_path / "plain")
    again = tacit.load(tmp_path / "audited")
    assert isinstance(again, FineTunedRewardModel) and again.level == rm.level
    np.testing.assert_array_equal(again.score(log), rm.score(log))
    logit_N = done.slope * (rm.score(log).astype(np.float64) + rm.level) + done.shift
    np.testing.assert_allclose(again.probability(log), 1 / (1 + np.exp(-logit_N)), atol=1e-6)
    assert again.probability(log).mean() == pytest.approx(np.mean(other_columns()["rating"]), abs=1e-6)
    for path in (tmp_path / "plain").rglob("*"):
        if path.is_file() and path.name not in ("tacit.json", "README.md"):
            assert (
                path.read_bytes()
                == (tmp_path / "audited" / path.relative_to(tmp_path / "plain")).read_bytes()
            )
    constant = done.slope * rm.level + done.shift
    card = " ".join((tmp_path / "audited" / "README.md").read_text().split())
    assert f"the probability is the sigmoid of {done.slope:.4f} · score {constant:+.4f}." in card


def test_refits_of_it_are_refused(rm: FineTunedRewardModel) -> None:
    with pytest.raises(ConfigError, match=r"^folds is 5, but the model was fine-tuned, .* leave --folds out"):
        evaluate_model(rm, log_of(other_columns(), gold="rating"), folds=5)
    assert evaluate_model(rm, log_of(other_columns(), gold="rating"), folds=0).folds == 0


def test_rewards_by_policy_are_its_scores_without_their_level(rm: FineTunedRewardModel) -> None:
    log = log_of(other_columns(), gold="rating", policy="llm")
    found = {policy.policy: policy for policy in evaluate_model(rm, log).policies}
    alpha_N = np.array(other_columns()["llm"]) == "alpha"
    assert found["alpha"].mean_reward == pytest.approx(rm.score(log)[alpha_N].mean(), abs=1e-6)
    assert found["alpha"].mean_probability == pytest.approx(rm.probability(log)[alpha_N].mean(), abs=1e-6)


def test_a_model_that_held_nothing_out_lends_the_constant_its_level_here(rm: FineTunedRewardModel) -> None:
    unheld = replace(rm, info=rm.info | {"metrics": rm.info["metrics"] | {"base_rate": None}})
    log = log_of(other_columns(), gold="rating")
    found = row_of(evaluate_model(unheld, log), "constant")
    assert found.metrics["base_rate"].value == pytest.approx(rm.probability(log).mean(), abs=1e-6)


def test_it_stands_beside_a_model_of_another_kind_either_way(rm: FineTunedRewardModel) -> None:
    fitted = tacit.fit(clicks_log(ROWS), encoder="hashing:32", config={"members": 2, "max_epochs": 3})
    log = log_of(other_columns(), gold="rating")
    forth = evaluate_model(rm, log, against=fitted, names=("tuned", "fitted"))
    back = evaluate_model(fitted, log, against=rm, names=("fitted", "tuned"))
    tuned, other = "implicit_rm (tuned)", "implicit_rm (fitted)"
    assert [(found.main, found.against) for found in (forth, back)] == [(tuned, other), (other, tuned)]
    for name in (tuned, other):
        assert str(row_of(forth, name).metrics) == str(row_of(back, name).metrics)
    one, two = forth.differences()[other]["auroc"], back.differences()[tuned]["auroc"]
    assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))
    assert {"log_likelihood", "brier"} <= set(forth.differences()[other])


class Mine(methods.ImplicitRM):
    """An estimator of somebody's own."""

    key = "mine"


def test_a_model_tuned_by_an_estimator_of_ones_own_opens_when_it_is_handed_over(
    rm: FineTunedRewardModel, tmp_path: Path
) -> None:
    replace(rm, method=Mine()).save(tmp_path / "rm")
    pairs = [("which", WORDS[0])]
    opened = FineTunedRewardModel.load(tmp_path / "rm", method=Mine())
    assert opened.method == Mine() and opened.score(pairs) == rm.score(pairs)
    for given, said in (
        (None, "none of tacit's; if it is yours, hand it over"),
        (methods.Naive(), "got 'naive'"),
    ):
        with pytest.raises(ModelError, match=said):
            FineTunedRewardModel.load(tmp_path / "rm", method=given)
