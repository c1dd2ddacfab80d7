"""From scores to tables: levels only where a score has one, ties share ranks, every row names its protocol."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from tacit import methods
from tacit.evaluation.bench import BenchResult, Case, lines, markdown
from tacit.evaluation.bench.contenders import BASELINES, Contender, stopped_by_clean_labels
from tacit.evaluation.bench.markdown import ranks
from tacit.evaluation.bench.results import LEVEL, ORDER, has_level, tidy
from tacit.evaluation.bench.run import Judged, Score

S, PROMPTS, ANSWERS = 2, 30, 4
CASE = Case("a case", "both", {}, {"alpha": 0.3})
PROMPTS_n = np.repeat(np.arange(PROMPTS), ANSWERS)
LIKED_Sn = (np.random.default_rng(0).random((S, len(PROMPTS_n))) < 0.5).astype(np.float32)
NOISE_Sn = np.random.default_rng(1).normal(size=LIKED_Sn.shape).astype(np.float32)
INTERVAL = re.compile(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]")


def score(one: Contender, knows: float) -> Score:
    """Scores that know so much of the truth; 0 is noise, the same for everyone."""
    return Score(CASE, one, NOISE_Sn + knows * (2 * LIKED_Sn - 1), 1.5, f"hash of {one.name} {one.protocol}")


def honest(key: str, name: str = "") -> Contender:
    return Contender(name or key, methods.get(key))


def result(*scores: Score, refused: tuple[tuple[str, str, str], ...] = ()) -> BenchResult:
    facts = {
        "rows": 480,
        "prompts": 120,
        "encoder": "an encoder",
        "budget": "a budget",
        "cases": {CASE.name: {"liked": 0.5, "signals": {"copied": {"rate": 0.2, "seen": 1.0}}}},
    }
    return BenchResult("worlds", "texts", S, scores, {CASE.name: Judged(LIKED_Sn, PROMPTS_n)}, refused, facts)


ORACLE = score(Contender("oracle", methods.Oracle(), protocol="oracle"), 3.0)
NAIVE = score(honest("naive"), 0.5)


@pytest.mark.parametrize("key", methods.available())
def test_an_honest_score_has_a_level_only_if_its_method_claims_a_probability(key: str) -> None:
    method = methods.get(key)
    found = {row["metric"]: row["value"] for row in tidy(result(score(Contender(key, method), 1.0)))}
    assert set(found) == {*ORDER, *LEVEL}
    assert all(found[metric] is not None for metric in ORDER)
    assert {found[metric] is not None for metric in LEVEL} == {method.level == "prob"}


@pytest.mark.parametrize("key", ["bpr", "wmf", "co_teaching", "vpu"])
def test_clean_labels_give_any_method_a_level(key: str) -> None:
    one = Contender(key, stopped_by_clean_labels(methods.get(key)), protocol="oracle")
    assert has_level(score(one, 1.0)) and not has_level(score(honest(key), 1.0))
    (line,) = lines(result(score(one, 1.0)), draws=20)[CASE.name]
    assert {"brier", "r2", "base_rate"} <= set(line.intervals)


def test_intervals_hold_the_mean_over_seeds_and_level_metrics_are_left_out() -> None:
    table = lines(result(NAIVE, score(honest("wmf"), 1.0)), draws=100)[CASE.name]
    for line in table:
        for metric, interval in line.intervals.items():
            assert interval.value == pytest.approx(line.mean(metric), abs=1e-9)
            assert interval.low < interval.value < interval.high
    by_name = {line.score.contender.name: line for line in table}
    assert set(by_name["wmf"].intervals) == {"within_prompt_accuracy", "auroc"}
    assert "brier" not in by_name["wmf"].against["naive"]


def test_recovered_is_the_share_of_the_way_from_naive_to_oracle() -> None:
    table = lines(result(NAIVE, ORACLE, score(honest("implicit_rm"), 1.0)), draws=20)[CASE.name]
    own = {line.score.contender.name: line.mean("within_prompt_accuracy") for line in table}
    recovered = {line.score.contender.name: line.recovered for line in table}
    assert recovered["naive"] == 0 and recovered["oracle"] == 1
    assert recovered["implicit_rm"] == pytest.approx(
        (own["implicit_rm"] - own["naive"]) / (own["oracle"] - own["naive"]), abs=1e-12
    )
    assert 0 < recovered["implicit_rm"] < 1
    assert [line.score.contender.name for line in table] == ["oracle", "implicit_rm", "naive"]


def test_where_several_signals_are_given_naive_means_naive_on_the_first() -> None:
    one_signal = score(honest("naive", "naive_one_signal"), 0.2)
    table = lines(result(NAIVE, one_signal, ORACLE), draws=20)[CASE.name]
    recovered = {line.score.contender.name: line.recovered for line in table}
    assert recovered["naive_one_signal"] == 0 < recovered["naive"] < 1


def test_the_report_names_the_naive_that_it_compares_with() -> None:
    text = report(NAIVE, score(honest("naive", "naive_one_signal"), 0.2), ORACLE)
    assert (
        "*To naive*: paired difference from naive; where there are several signals, from `naive_one_signal`"
        in text
    )


def test_recovered_is_open_where_naive_is_no_worse_than_the_oracle() -> None:
    table = lines(result(NAIVE, replace(ORACLE, scores_Sn=NAIVE.scores_Sn)), draws=20)[CASE.name]
    assert all(np.isnan(line.recovered) for line in table)


def test_differences_are_those_of_the_values_and_nobody_differs_from_itself() -> None:
    table = lines(result(NAIVE, ORACLE, score(honest("implicit_rm"), 1.0)), draws=50)[CASE.name]
    by_name = {line.score.contender.name: line for line in table}
    assert set(by_name["naive"].against) == {"oracle"} and set(by_name["oracle"].against) == {"naive"}
    to_naive = by_name["implicit_rm"].against["naive"]["within_prompt_accuracy"]
    gain = by_name["implicit_rm"].mean("within_prompt_accuracy") - by_name["naive"].mean(
        "within_prompt_accuracy"
    )
    assert to_naive.value == pytest.approx(gain, abs=1e-9)
    assert 0 < to_naive.low < gain < to_naive.high


def test_ties_share_their_mean_rank_and_references_and_baselines_have_none() -> None:
    given = Contender("oracle_prior", methods.NNPU(), given=("prior",), protocol="oracle")
    rows = [
        score(honest(key), knows) for key, knows in (("upu", 2.0), ("nnpu", 1.0), ("vpu", 1.0), ("wmf", 0.0))
    ]
    rows += [ORACLE, score(given, 3.0), *(score(honest("constant", name), 5.0) for name in BASELINES)]
    stopped = Contender("upu", stopped_by_clean_labels(methods.UPU()), protocol="oracle")
    found = ranks(lines(result(*rows, score(stopped, 0.0)), draws=5))
    assert found == {
        ("upu", "honest"): [1.0],
        ("nnpu", "honest"): [2.5],
        ("vpu", "honest"): [2.5],
        ("wmf", "honest"): [4.0],
        ("upu", "oracle"): [1.0],
    }


def report(*scores: Score, refused: tuple[tuple[str, str, str], ...] = ()) -> str:
    made = result(*scores, refused=refused)
    return markdown(made, lines(made, draws=20), command="tacit bench --suite worlds")


def test_every_row_of_the_report_names_its_protocol_and_carries_an_interval() -> None:
    stopped = Contender("wmf", stopped_by_clean_labels(methods.WMF()), protocol="oracle")
    text = report(NAIVE, ORACLE, score(honest("wmf"), 1.0), score(stopped, 1.0))
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 2 * 4  # the summary, and the one case
    for row in rows:
        assert row.split(" | ")[1] in ("honest", "oracle"), row
    for row in rows[4:]:
        assert INTERVAL.fullmatch(row.split(" | ")[2]), row
    assert {row.split(" | ")[1] for row in rows if row.startswith("| `wmf`")} == {"honest", "oracle"}


def test_the_report_has_no_level_of_a_score_that_has_none() -> None:
    text = report(NAIVE, score(honest("wmf"), 1.0))
    cells = {
        row.split("`")[1]: row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("| `")
    }
    assert cells["wmf"][-3:] == ["–", "–", "–"]
    assert "–" not in cells["naive"][-3:]


def test_the_report_tells_its_command_its_budget_and_who_was_refused() -> None:
    text = report(
        NAIVE,
        refused=((CASE.name, "counter_if", "needs context"), (CASE.name, "counter_if", "needs context")),
    )
    for told in ("`tacit bench --suite worlds`", "a budget", "2 seeds", "copied` fires on 20.0%"):
        assert told in text
    assert text.count("* `counter_if` (a case): needs context") == 1


def test_the_report_lists_what_fits_warned_of() -> None:
    made = replace(result(NAIVE), doubts=("nnpu (honest), a case: the prior is a guess",))
    text = markdown(made, lines(made, draws=20), command="tacit bench")
    assert "What fits warned of:\n\n* nnpu (honest), a case: the prior is a guess\n" in text
    assert "warned of" not in report(NAIVE)


def test_a_difference_that_is_not_defined_is_a_dash_in_the_report() -> None:
    flat = {CASE.name: Judged(np.ones_like(LIKED_Sn), PROMPTS_n)}
    made = replace(result(NAIVE, ORACLE), judged=flat)
    text = markdown(made, lines(made, draws=20), command="tacit bench")
    assert "nan" not in text


def test_a_value_without_bounds_stands_alone_in_the_report() -> None:
    one_prompt = {CASE.name: Judged(LIKED_Sn, np.zeros_like(PROMPTS_n))}
    made = replace(result(NAIVE, ORACLE), judged=one_prompt)
    text = markdown(made, lines(made, draws=20), command="tacit bench")
    assert "nan" not in text and not INTERVAL.search(text)


def test_r2_is_open_where_all_are_liked_and_draws_of_one_class_are_left_out() -> None:
    all_liked = {CASE.name: Judged(np.ones_like(LIKED_Sn), PROMPTS_n)}
    (line,) = lines(replace(result(NAIVE), judged=all_liked), draws=20)[CASE.name]
    assert np.isnan([line.intervals["r2"].value, *line.by_seed["r2"]]).all()
    one_disliked = np.ones_like(LIKED_Sn)
    one_disliked[:, 0] = 0
    (line,) = lines(replace(result(NAIVE), judged={CASE.name: Judged(one_disliked, PROMPTS_n)}), draws=100)[
        CASE.name
    ]
    assert line.intervals["r2"].value == pytest.approx(line.mean("r2"))
    assert line.intervals["r2"].low > -1e4
