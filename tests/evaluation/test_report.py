"""Judging a saved model: refitted on the log of its fit, as it is on any other, and honest about length."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_log import ENCODER, QUICK, columns, log_of

from tacit import RewardModel, Signal, fit
from tacit.cli.evaluate import _TITLES
from tacit.data import FeedbackLog
from tacit.errors import ConfigError, DataError
from tacit.evaluation.as_it_is import Overlap
from tacit.evaluation.bootstrap import Interval, bootstrap, weighted_mean
from tacit.evaluation.crossval import cross_validate, truths
from tacit.evaluation.policies import by_policy
from tacit.evaluation.report import Evaluation, evaluate_model
from tacit.evaluation.style_alone import Style
from tacit.evaluation.table import MORE, Predictions, Row, compare
from tacit.fitting import prepare
from tacit.methods import ImplicitRM, Naive
from tacit.training.config import TrainingConfig
from tacit.training.log_rows import observe


@functools.cache
def model() -> RewardModel:
    return fit(log_of(columns()), encoder=ENCODER, config=QUICK)


@functools.cache
def model_with_gold() -> RewardModel:
    return fit(log_of(columns(), gold="gold"), encoder=ENCODER, config=QUICK, use_gold=True)


def methods_of(found: Evaluation) -> list[str]:
    return [row.method for row in found.rows]


def test_the_log_of_the_fit_is_judged_by_refits() -> None:
    found = evaluate_model(model(), log_of(columns(), gold="gold"))
    assert found.folds == 5
    assert methods_of(found) == ["constant", "length", "style", "naive", "implicit_rm", "oracle"]
    assert [row.protocol for row in found.rows] == ["honest"] * 5 + ["oracle"]
    assert set(found.differences()) == {"constant", "naive", "oracle"}
    assert "oracle was trained on the gold labels" in found.caption


def test_repeats_are_the_mean_over_other_folds_and_seeds() -> None:
    log = log_of(columns(), gold="gold")
    twice = {row.method: row for row in evaluate_model(model(), log, folds=3, repeats=2).rows}
    prepared, wanted = prepare(log, ENCODER), [ImplicitRM(), Naive()]
    apart = [
        {
            row.method: row
            for row in compare(
                cross_validate(prepared, wanted, folds=3, config=QUICK.model_copy(update={"seed": seed})),
                truths(log),
                more=True,
            )
        }
        for seed in (0, 1)
    ]
    for method in ("implicit_rm", "naive"):
        for name, own in twice[method].metrics.items():
            parts = [one[method].metrics[name].value for one in apart]
            assert own.value == pytest.approx(sum(parts) / 2, abs=1e-12), name
            assert parts[0] != parts[1] or name == "base_rate", name
    gain = twice["implicit_rm"].against["naive"]["auroc"]
    assert gain.value == pytest.approx(
        twice["implicit_rm"].metrics["auroc"].value - twice["naive"].metrics["auroc"].value, abs=1e-12
    )
    assert gain.low < gain.value < gain.high
    again = evaluate_model(model(), log, folds=3, repeats=2)
    assert "2 times 3-fold" in again.title and "--repeats 5" not in again.caption
    assert "--repeats 5 takes the mean" in evaluate_model(model(), log, folds=3).caption
    assert "--repeats" not in evaluate_model(model(), log, folds=0).caption


@pytest.mark.parametrize(("repeats", "folds"), [(0, 3), (2, 0)])
def test_repeats_that_repeat_nothing_are_refused(repeats: int, folds: int) -> None:
    with pytest.raises(ConfigError, match=f"repeats is {repeats}, expected 1 or more"):
        evaluate_model(model(), log_of(columns(), gold="gold"), folds=folds, repeats=repeats)


def test_the_log_of_the_fit_is_known_under_more_roles_and_after_saving(tmp_path: Path) -> None:
    model().save(tmp_path / "rm")
    loaded = RewardModel.load(tmp_path / "rm")
    log = log_of(columns(), gold="gold", user_id="user", policy="llm")
    assert evaluate_model(loaded, log).folds == 5


def test_refits_are_given_the_knobs_of_the_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = QUICK.model_copy(update={"lr": 0.02, "propensity_hidden": (4,), "hidden": None})
    fit(log_of(columns()), encoder=ENCODER, config=asked).save(tmp_path / "rm")
    seen = []

    def spy(*arguments: Any, config: TrainingConfig, **others: Any) -> Any:
        seen.append(config)
        return cross_validate(*arguments, config=config, **others)

    monkeypatch.setattr("tacit.evaluation.report.cross_validate", spy)
    evaluate_model(RewardModel.load(tmp_path / "rm"), log_of(columns()), folds=2)
    assert seen == [asked]


def test_a_fit_that_read_gold_is_known_again() -> None:
    assert evaluate_model(model_with_gold(), log_of(columns(), gold="gold")).folds == 5


def test_refits_of_a_fit_that_was_given_gold_are_given_the_gold_of_the_other_folds() -> None:
    log = log_of(columns(), gold="gold")
    found, blind = evaluate_model(model_with_gold(), log, folds=2), evaluate_model(model(), log, folds=2)
    ours, without = (next(r for r in e.rows if r.method == "implicit_rm") for e in (found, blind))
    assert ours.protocol == "oracle" and without.protocol == "honest"
    told = cross_validate(prepare(log, ENCODER), [ImplicitRM()], folds=2, config=QUICK, use_gold=True)
    # By their text: the bounds of ece are NaN, which is equal to nothing.
    assert str(ours.metrics) == str(compare(told, truths(log), more=True)[0].metrics) != str(without.metrics)
    others = [{r.method: str(r.metrics) for r in e.rows if r.method != "implicit_rm"} for e in (found, blind)]
    assert others[0] == others[1]
    assert "oracle and implicit_rm were trained on the gold labels of the other folds" in found.caption
    unnamed = evaluate_model(model_with_gold(), log_of(columns()), folds=2)  # its gold is known
    assert str(unnamed.rows) == str(found.rows)


def test_a_new_log_says_that_a_model_read_gold() -> None:
    found = evaluate_model(model_with_gold(), log_of(other_columns(), gold="gold"))
    assert row_of(found, "implicit_rm").protocol == "oracle"
    assert "implicit_rm was trained on the gold labels of its fit;" in found.caption


def test_refits_with_gold_tell_only_methods_that_use_it() -> None:
    log = log_of(columns(), gold="gold")
    prepared, pair = prepare(log, ENCODER), [Naive(), ImplicitRM()]
    told, blind = (
        cross_validate(prepared, pair, folds=2, config=QUICK, use_gold=use) for use in (True, False)
    )
    assert [p.protocol for p in told] == ["honest", "oracle"]
    np.testing.assert_array_equal(told[0].score_N, blind[0].score_N)
    assert not np.array_equal(told[1].score_N, blind[1].score_N)


def test_an_older_naive_model_that_was_handed_gold_is_refitted_honestly_as_the_reference_too() -> None:
    rm = fit(log_of(columns()), method="naive", encoder=ENCODER, config=QUICK)
    log = log_of(columns(), gold="gold")
    handed = replace(rm, info=rm.info | {"roles": log.roles.to_json()})
    found = evaluate_model(handed, log, folds=2)
    assert row_of(found, "naive").protocol == "honest"
    assert "naive was trained" not in found.caption


def test_refits_with_other_gold_than_that_of_the_fit_are_refused() -> None:
    table = columns() | {"audit": columns()["gold"]}
    with pytest.raises(ConfigError, match=r"fitted with the gold column 'gold', found audit, .* --folds 0"):
        evaluate_model(model_with_gold(), log_of(table, gold="audit"), folds=2)
    elsewhere = {name: values for name, values in columns().items() if name != "gold"}
    with pytest.raises(ConfigError, match="fitted with the gold column 'gold', found none"):
        evaluate_model(model_with_gold(), log_of(elsewhere), folds=2)
    assert evaluate_model(model_with_gold(), log_of(elsewhere), folds=0).folds == 0


@pytest.mark.parametrize("folds", [None, 2])
def test_a_fit_that_was_given_nuisances_is_not_refitted_without_them(
    folds: int | None, tmp_path: Path
) -> None:
    given = {"e": np.full(90, 0.6)}
    fit(log_of(columns()), method="sar_ipw", encoder=ENCODER, config=QUICK, nuisances=given).save(
        tmp_path / "rm"
    )
    rm = RewardModel.load(tmp_path / "rm")
    with pytest.raises(ConfigError, match=r"^the model was fitted with the nuisance 'e'[^\n]*--folds 0"):
        evaluate_model(rm, log_of(columns(), gold="gold"), folds=folds)
    assert evaluate_model(rm, log_of(columns(), gold="gold"), folds=0).folds == 0


def test_a_new_log_is_scored_as_it_is() -> None:
    log = log_of(columns(seed=5), gold="gold", policy="llm")
    found = evaluate_model(model(), log)
    assert found.folds == 0
    assert methods_of(found) == ["constant", "length", "implicit_rm"]
    ours = next(row for row in found.rows if row.method == "implicit_rm")
    expected = float((1 / (1 + np.exp(-model().score(log).astype(np.float64)))).mean())
    assert ours.metrics["base_rate"].value == pytest.approx(expected, abs=1e-5)


def test_a_log_without_a_column_of_the_fit_is_another_log() -> None:
    table = {name: values for name, values in columns().items() if name != "slot"}
    assert evaluate_model(model(), log_of(table, gold="gold", context=())).folds == 0


def test_scoring_the_rows_of_the_fit_on_request_says_that_it_flatters() -> None:
    found = evaluate_model(model(), log_of(columns(), gold="gold"), folds=0)
    assert found.folds == 0
    assert "flattered" in found.caption


def test_a_method_of_gold_that_is_scored_as_it_is_has_no_folds_to_speak_of() -> None:
    rm = fit(log_of(columns(), gold="gold"), method="oracle", encoder=ENCODER, config=QUICK, use_gold=True)
    found = evaluate_model(rm, log_of(other_columns(), gold="gold"))
    assert found.folds == 0
    assert "oracle was trained on the gold labels of its fit;" in found.caption
    assert "folds" not in found.caption


def test_style_is_fitted_to_signals_and_sees_neither_words_nor_gold() -> None:
    table = columns()
    copied_N = np.arange(len(table["response"])) % 3 > 0
    marked = [
        f"{'`f`' if yes else 'f'} {text}" for yes, text in zip(copied_N, table["response"], strict=True)
    ]
    table |= {"copied": copied_N.astype(int).tolist(), "response": marked}
    knobs = QUICK.model_copy(update={"max_epochs": 60})
    (found,) = cross_validate(prepare(log_of(table), ENCODER), [Style()], folds=2, config=knobs)
    assert found.score_N[copied_N].min() > found.score_N[~copied_N].max()
    foreign = [" ".join(word[::-1] for word in text.split()) for text in marked]
    other = log_of(table | {"response": foreign, "gold": [1 - gold for gold in table["gold"]]}, gold="gold")
    (blind,) = cross_validate(prepare(other, ENCODER), [Style()], folds=2, config=knobs)
    assert blind.protocol == "honest"
    np.testing.assert_array_equal(found.score_N, blind.score_N)


def test_the_caption_says_where_length_wins() -> None:
    table = columns(seed=7)
    lengths = [len(text) for text in table["response"]]
    by_length = log_of(table | {"gold": [n / max(lengths) for n in lengths]}, gold="gold")
    caption = evaluate_model(model(), by_length).caption
    assert "Length alone does better than implicit_rm in order within prompts." in caption
    assert "Length alone does better than implicit_rm in AUROC." in caption


def test_the_caption_of_refits_says_where_style_wins() -> None:
    table = columns()
    words = [len(text.split()) for text in table["response"]]
    table |= {"copied": [int(n > 7) for n in words], "gold": [n / max(words) for n in words]}
    caption = evaluate_model(model(), log_of(table, gold="gold"), folds=2).caption
    assert "Style alone does better than implicit_rm in AUROC." in caption and "Naive alone" not in caption


def test_the_caption_is_silent_where_length_loses() -> None:
    table = columns(seed=7)
    lengths = [len(text) for text in table["response"]]
    against = log_of(table | {"gold": [1 - n / max(lengths) for n in lengths]}, gold="gold")
    assert "Length alone" not in evaluate_model(model(), against).caption


def test_without_gold_or_ranks_the_likelihood_of_signals_judges() -> None:
    found = evaluate_model(model(), log_of(columns()))
    for row in found.rows:
        assert set(row.metrics) <= {"log_likelihood", "base_rate"}
    assert "log_likelihood" in found.differences()["naive"]


def test_a_log_with_nothing_to_judge_by_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to judge by; name --gold, --rank or the signals"):
        evaluate_model(model(), log_of(columns(seed=5), signals=()))


@pytest.mark.parametrize("role", ["gold", "rank"])
def test_a_truth_that_no_row_has_is_refused_by_the_name_of_its_column(role: str) -> None:
    log = log_of(columns() | {"audit": [None] * 90}, **{role: "audit"})
    told = rf"^small: no row has {role} in column 'audit', expected a number on one row at least; [^\n]*$"
    for folds in (0, 2):
        with pytest.raises(DataError, match=told):
            evaluate_model(model(), log, folds=folds)


def test_where_no_row_has_a_rank_the_gold_judges_and_the_caption_says_so() -> None:
    log = log_of(columns() | {"place": [None] * 90}, gold="gold", rank="place")
    found = evaluate_model(model(), log, folds=0)
    plain = evaluate_model(model(), log_of(columns(), gold="gold"), folds=0)
    assert str(found.rows) == str(plain.rows)
    assert "No row has rank in column 'place'." in found.caption


def test_policies_are_listed_by_mean_reward_with_their_raw_rates() -> None:
    table = columns()
    log = log_of(table, policy="llm")
    score_N = np.where(np.array(table["llm"]) == "alpha", 2.0, 1.0)
    units_N = np.arange(90) // 3
    first, second = by_policy(log, score_N, 1 / (1 + np.exp(-score_N)), units_N)
    assert (first.policy, first.mean_reward, second.policy, second.mean_reward) == ("alpha", 2, "beta", 1)
    copied = np.array(table["copied"])[np.array(table["llm"]) == "alpha"]
    assert first.rates["copied"] == pytest.approx(copied.mean())
    assert first.responses + second.responses == 90
    assert (first.reward.low, first.reward.high) == (2, 2)  # the same on every draw
    wavy = by_policy(log, score_N + np.sin(np.arange(90)), None, units_N)[0]
    alone = np.array(table["llm"]) == "alpha"
    expected = bootstrap(weighted_mean((score_N + np.sin(np.arange(90)))[alone]), units_N[alone])
    assert (wavy.reward, wavy.probability) == (
        expected,
        None,
    ) and expected.low < expected.value < expected.high
    assert wavy.to_json()["reward_interval"] == [expected.low, expected.high]
    assert by_policy(log_of(table), score_N, score_N, units_N) == []


def test_rows_without_a_policy_are_no_policy_and_are_counted() -> None:
    table = other_columns()
    some = table | {"llm": [None if i < 5 else name for i, name in enumerate(table["llm"])]}
    found = evaluate_model(model(), log_of(some, gold="gold", policy="llm"))
    assert {row.policy for row in found.policies} == {"alpha", "beta"}
    assert sum(row.responses for row in found.policies) == 85
    assert "Responses that name no policy: 5; they stand in no row of the policies." in found.caption
    named = evaluate_model(model(), log_of(table, gold="gold", policy="llm"))
    assert "no policy" not in named.caption


def test_an_evaluation_is_json() -> None:
    told = evaluate_model(model(), log_of(columns(), gold="gold", policy="llm")).to_json()
    assert set(json.loads(json.dumps(told, allow_nan=False))) == {
        "model",
        "folds",
        "rows",
        "policies",
        "note",
    }


def row_of(found: Evaluation, method: str) -> Row:
    return next(row for row in found.rows if row.method == method)


def other_columns(**more: Any) -> dict[str, list[Any]]:
    """The columns of a log that shares no pair with the fit."""
    table = columns(seed=5)
    return table | {"prompt": [f"other {text}" for text in table["prompt"]]} | more


def test_rows_of_the_fit_are_known_again_in_a_log_that_grew(tmp_path: Path) -> None:
    model().save(tmp_path / "rm")
    grown = {name: [*columns()[name], *other_columns()[name][:10]] for name in columns()}
    found = evaluate_model(RewardModel.load(tmp_path / "rm"), log_of(grown, gold="gold"))
    assert found.folds == 0
    assert "Of these rows 90.0 % are rows of the fit: scores are flattered. Use --folds 5" in found.caption
    assert row_of(found, "implicit_rm").protocol == "partly in-sample"


def test_rows_of_the_fit_are_known_again_in_another_order() -> None:
    turned = {name: values[::-1] for name, values in columns().items()}
    found = evaluate_model(model(), log_of(turned, gold="gold"))
    assert found.folds == 0
    assert "These are the rows of the fit: scores are flattered." in found.caption
    assert row_of(found, "implicit_rm").protocol == "in-sample"


def test_rows_that_the_fit_never_read_are_judged_honestly() -> None:
    found = evaluate_model(model(), log_of(other_columns(), gold="gold"))
    assert "rows of the fit" not in found.caption
    assert row_of(found, "implicit_rm").protocol == "honest"


def test_a_folder_that_does_not_say_what_it_read_is_judged_with_a_doubt() -> None:
    older = replace(model(), info={name: value for name, value in model().info.items() if name != "pairs"})
    found = evaluate_model(older, log_of(other_columns(), gold="gold"))
    assert "Whether rows of the fit are among these is not known." in found.caption


def test_without_gold_another_log_is_judged_by_the_likelihood_of_its_signals() -> None:
    log = log_of(other_columns())
    found = evaluate_model(model(), log)
    assert found.folds == 0
    views = model().views(log)
    with torch.no_grad():
        logits = {
            name: value.mean(0) for name, value in model().ensemble.logits(views, torch.arange(90)).items()
        }
    expected = -float(ImplicitRM().loss(logits, observe(log)).mean())
    assert row_of(found, "implicit_rm").metrics["log_likelihood"].value == pytest.approx(expected, abs=1e-5)
    rate, copied = np.mean(columns()["copied"]), np.array(log.column("copied"))
    by_rate = np.where(copied == 1, np.log(rate), np.log(1 - rate)).mean()
    assert row_of(found, "constant").metrics["log_likelihood"].value == pytest.approx(by_rate, abs=1e-5)
    assert "log_likelihood" in found.differences()["constant"]


def test_the_constant_of_several_signals_fires_each_at_its_rate_where_it_could_be_seen() -> None:
    def table(made: dict[str, list[Any]]) -> dict[str, list[Any]]:
        down = [None if i % 4 == 0 else int(i % 5 == 1) for i in range(90)]
        return made | {"down": down}

    signals = (Signal("copied"), Signal("down", polarity=-1))
    rm = fit(log_of(table(columns()), signals=signals), encoder=ENCODER, config=QUICK)
    found = evaluate_model(rm, log_of(table(other_columns()), signals=signals))
    copied, down = np.array(other_columns()["copied"]), np.array(table({})["down"], dtype=float)
    p, q = np.mean(columns()["copied"]), np.nanmean(down)
    each = np.where(copied == 1, np.log(p), np.log(1 - p))
    each = each + np.nan_to_num(np.where(down == 1, np.log(q), np.log(1 - q)) * (1 + 0 * down))
    assert row_of(found, "constant").metrics["log_likelihood"].value == pytest.approx(each.mean(), abs=1e-5)
    assert "log_likelihood" in row_of(found, "latent_ml").metrics


def test_without_a_likelihood_there_is_nothing_to_judge_another_log_by() -> None:
    blind = log_of(other_columns(), context=())
    with pytest.raises(
        ConfigError, match=r"^small: nothing to judge .* slot is not named; .*--gold or --rank"
    ):
        evaluate_model(model(), blind)
    renamed = log_of(other_columns(copies=columns()["copied"]), signals=(Signal("copies"),))
    with pytest.raises(ConfigError, match=r"signals copied, this log names copies; .*--rank, .*--folds 5"):
        evaluate_model(model(), renamed)
    silent = fit(log_of(columns()), method="nnpu", encoder=ENCODER, config=QUICK)
    with pytest.raises(ConfigError, match="gives no likelihood of 1 signal; name --gold or --rank"):
        evaluate_model(silent, log_of(other_columns()))


def test_policies_are_compared_on_another_log_that_nothing_judges() -> None:
    found = evaluate_model(model(), log_of(other_columns(), context=(), policy="llm"))
    assert len(found.policies) == 2
    assert "Nothing here judges implicit_rm; name --gold or --rank." in found.caption


@functools.cache
def older(method: str = "implicit_rm") -> RewardModel:
    """Last week's model: of the first 72 of the 90 rows."""
    return fit(log_of(columns()).take(range(72)), method=method, encoder=ENCODER, config=QUICK)


NEW, OLD = "implicit_rm (new)", "implicit_rm (old)"


def beside(log: FeedbackLog, other: RewardModel | None = None, **more: Any) -> Evaluation:
    return evaluate_model(model(), log, against=other or older(), names=("new", "old"), **more)


def test_two_models_stand_beside_each_other_with_the_metrics_each_has_alone() -> None:
    log = log_of(other_columns(), gold="gold")
    found = beside(log)
    assert methods_of(found) == ["constant", "length", OLD, NEW]
    assert (found.main, found.against) == (NEW, OLD)
    for rm, name in ((model(), NEW), (older(), OLD)):
        alone = row_of(evaluate_model(rm, log, folds=0), "implicit_rm")
        assert str(row_of(found, name).metrics) == str(alone.metrics)
    assert str(row_of(found, NEW).metrics) != str(row_of(found, OLD).metrics)


def test_what_a_model_gains_on_another_is_its_paired_difference() -> None:
    log = log_of(other_columns(), gold="gold")
    difference = beside(log).differences()[OLD]["auroc"]
    ours, theirs = (row_of(beside(log), name).metrics["auroc"] for name in (NEW, OLD))
    assert difference.value == pytest.approx(ours.value - theirs.value)
    scores = [Predictions(str(i), "honest", rm.score(log)) for i, rm in enumerate((model(), older()))]
    paired = compare(scores, truths(log), references=("1",))[0].against["1"]["auroc"]
    assert (difference.low, difference.high) == pytest.approx((paired.low, paired.high))
    assert difference.high - difference.low > 0


def test_models_of_different_methods_need_no_further_name() -> None:
    found = beside(log_of(other_columns(), gold="gold"), older("nnpu"))
    assert methods_of(found)[2:] == ["nnpu", "implicit_rm"]
    assert (found.main, found.against) == ("implicit_rm", "nnpu")
    assert "log_likelihood" not in found.differences()["nnpu"]


def test_a_model_called_as_a_reference_stands_beside_it() -> None:
    found = beside(log_of(other_columns(), gold="gold"), older("constant"))
    assert methods_of(found) == ["constant", "length", "constant (old)", "implicit_rm (new)"]


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^names are 'rm' twice, expected one for each model$"):
        evaluate_model(model(), log_of(other_columns()), against=older(), names=("rm", "rm"))


def test_each_of_two_models_is_told_how_many_of_its_own_rows_judge_it_and_whom_that_favours() -> None:
    found = beside(log_of(columns(), gold="gold"))
    assert found.folds == 0
    assert [row_of(found, name).protocol for name in (NEW, OLD)] == ["in-sample", "partly in-sample"]
    assert found.caption.splitlines()[:4] == [
        f"These are the rows of the fit of {NEW}: its scores are flattered. Use other rows.",
        f"Of these rows 80.0 % are rows of the fit of {OLD}: its scores are flattered. Use other rows.",
        f"The difference favours {NEW}, which was fitted to more of these rows than {OLD}.",
        "Both models are judged as they are: naive and oracle, which would have to be fitted to these rows, are "
        "left out.",
    ]
    fair = beside(log_of(other_columns(), gold="gold")).caption
    assert "rows of the fit" not in fair and "favours" not in fair


@pytest.mark.parametrize(
    ("shares", "exact", "said"),
    [
        ((0.5, 0.45), True, True),
        ((0.5, 0.45), False, False),
        ((0.5, 0.3), False, True),
        ((0.5, 0.5), True, False),
        ((0.5, None), True, False),
    ],
)
def test_shares_that_are_estimated_alike_favour_neither_model(
    shares: tuple[float | None, ...], exact: bool, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter(shares)
    monkeypatch.setattr(
        "tacit.evaluation.report.overlap_with_fit", lambda *_: Overlap(next(given), exact=exact)
    )
    assert ("favours" in beside(log_of(columns(), gold="gold")).caption) == said


def test_the_log_of_the_other_fit_is_known_as_in_sample_for_the_other_alone() -> None:
    found = evaluate_model(
        older(), log_of(other_columns(), gold="gold"), against=of_others(), names=("new", "old")
    )
    assert [row_of(found, name).protocol for name in (NEW, OLD)] == ["honest", "in-sample"]
    assert (
        f"The difference favours {OLD}, which was fitted to more of these rows than {NEW}." in found.caption
    )


def of_others() -> RewardModel:
    return fit(log_of(other_columns()), encoder=ENCODER, config=QUICK)


def test_gold_in_the_fit_of_either_model_is_told() -> None:
    log = log_of(other_columns(), gold="gold")
    found = beside(log, model_with_gold())
    assert [row_of(found, name).protocol for name in (NEW, OLD)] == ["honest", "oracle"]
    assert f"{OLD} was trained on the gold labels of its fit; the others never saw one." in found.caption
    both = evaluate_model(model_with_gold(), log, against=model_with_gold(), names=("new", "old"))
    assert f"{NEW} and {OLD} were trained on the gold labels of their fits;" in both.caption


@pytest.mark.parametrize("folds", [2, 5])
def test_refits_are_refused_where_two_models_are_compared(folds: int) -> None:
    with pytest.raises(
        ConfigError, match=rf"^folds is {folds}, but two models [^\n]*leave --folds out [^\n]*$"
    ):
        beside(log_of(columns(), gold="gold"), folds=folds)
    assert beside(log_of(columns(), gold="gold"), folds=0).folds == 0


def test_without_gold_two_models_of_the_same_signals_are_compared_by_likelihood() -> None:
    found = beside(log_of(other_columns()))
    difference = found.differences()[OLD]
    assert set(difference) == {"log_likelihood"}
    ours, theirs = (row_of(found, name).metrics["log_likelihood"].value for name in (NEW, OLD))
    assert difference["log_likelihood"].value == pytest.approx(ours - theirs)


def test_without_gold_models_of_other_signals_are_not_compared() -> None:
    reversed_log = log_of(columns(), signals=(Signal("copied", polarity=-1),))
    reverse = fit(reversed_log, method="latent_ml", encoder=ENCODER, config=QUICK)
    told = (
        r"^small: implicit_rm was fitted to signals copied, latent_ml to copied:negative, "
        r"[^\n]*name --gold or --rank$"
    )
    for more in ({}, {"policy": "llm"}):  # policies alone would not say which model is better
        with pytest.raises(ConfigError, match=told):
            beside(log_of(other_columns(), **more), reverse)
    found = beside(log_of(other_columns(), gold="gold"), reverse)
    assert "log_likelihood" in row_of(found, "implicit_rm").metrics
    assert "log_likelihood" not in row_of(found, "latent_ml").metrics | found.differences()["latent_ml"]
    with pytest.raises(ConfigError, match=r"nothing to judge nnpu by: it gives no likelihood .*--rank$"):
        beside(log_of(other_columns()), older("nnpu"))


def test_a_model_is_worse_where_the_whole_interval_lies_on_the_wrong_side() -> None:
    gains = {
        "auroc": Interval(-0.2, -0.3, -0.1),
        "spearman": Interval(-0.2, -0.3, 0.0),
        "brier": Interval(0.2, 0.1, 0.3),  # more errors
        "ece": Interval(0.9, math.nan, math.nan),  # has no interval
        "log_likelihood": Interval(0.2, 0.1, 0.3),
        "within_prompt_ndcg": Interval(-0.2, -0.3, -0.1),  # in JSON alone
        "best_of_n_regret": Interval(0.2, 0.1, 0.3),
    }
    row = Row(NEW, "honest", {}, {OLD: gains, "constant": {"auroc": Interval(-1, -1, -1)}})
    found = Evaluation(NEW, "", "", [row], [], 0, OLD)
    assert list(found.worse()) == found.to_json()["worse"] == ["auroc", "brier"]
    better = {name: Interval(-gain.value, -gain.high, -gain.low) for name, gain in gains.items()}
    turned = replace(found, rows=[replace(row, against={OLD: better})])
    assert list(turned.worse()) == ["log_likelihood"]
    alone = replace(found, against=None)
    assert alone.worse() == {} and "worse" not in alone.to_json()


def test_what_json_has_beyond_the_table_has_no_column() -> None:
    found = evaluate_model(model(), log_of(other_columns(), gold="gold"))
    told = found.to_json()["rows"][-1]
    assert set(MORE) <= told.keys() and not set(MORE) & _TITLES.keys()
    assert all(told[name]["low"] <= told[name]["value"] <= told[name]["high"] for name in MORE)


def test_a_comparison_is_json_that_names_both_models() -> None:
    told = json.loads(json.dumps(beside(log_of(other_columns(), gold="gold")).to_json(), allow_nan=False))
    assert (told["model"], told["against"]) == (NEW, OLD)
    assert told["rows"][-1]["method"] == NEW
    assert set(told["rows"][-1]["difference"][OLD]["auroc"]) == {"value", "low", "high"}
