"""A run of a suite: what was done is never done again, seeds share a pass, everyone takes part or says why not."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from small_bench import LONG_ENOUGH, QUICK, SOME, base, case_of, problem, run, texts, told_of_fits
from small_log import columns, log_of

from tacit import FeedbackLog, methods
from tacit.errors import ConfigError, DataError, IdentificationWarning, TacitError
from tacit.evaluation.bench import SUITES, BenchResult, write_run
from tacit.evaluation.bench import run as running
from tacit.evaluation.bench.contenders import ALWAYS, Contender, contenders
from tacit.evaluation.bench.markdown import ranks
from tacit.evaluation.bench.results import lines, tidy, write_rows
from tacit.methods import Method

ONE = {"implicit": "α=0.3", "causal": "scenario 1, α=0.5"}


@pytest.fixture(autouse=True)
def one_case(monkeypatch: pytest.MonkeyPatch) -> None:
    for suite, name in ONE.items():
        monkeypatch.setitem(SUITES, suite, (case_of(suite, name),))
    monkeypatch.setitem(SUITES, "worlds", (case_of("worlds", "both"),))


def rows_without_seconds(result: BenchResult, path: Path) -> bytes:
    write_rows(({**row, "seconds": None} for row in tidy(result)), path)
    return path.read_bytes()


def test_an_interrupted_run_given_again_computes_what_is_missing_and_leaves_the_same_table(
    tmp_path: Path,
) -> None:
    whole = run("implicit", tmp_path / "parts")
    parts = sorted((tmp_path / "parts").iterdir())
    assert len(parts) == len(whole.scores)
    expected = rows_without_seconds(whole, tmp_path / "whole.parquet")
    gone, damaged, empty, *kept = parts
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-7])
    empty.write_bytes(b"")
    before = {path: path.stat().st_mtime_ns for path in kept}

    again = run("implicit", tmp_path / "parts")

    assert rows_without_seconds(again, tmp_path / "again.parquet") == expected
    assert sorted((tmp_path / "parts").iterdir()) == parts
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    mended = {
        score.hash for score in again.scores if score.hash[:20] in {p.stem for p in (gone, damaged, empty)}
    }
    assert len(mended) == 3
    for score, first in zip(again.scores, whole.scores, strict=True):
        assert (score.seconds != first.seconds) == (score.hash in mended)


def test_a_run_stopped_by_a_signal_keeps_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[str] = []
    fit_seeds = running.fit_seeds

    def counting(problem: Any, contender: Contender, config: Any) -> Any:
        if len(fitted) == 3:
            fitted.append("interrupted")
            raise KeyboardInterrupt
        fitted.append(contender.name)
        return fit_seeds(problem, contender, config)

    monkeypatch.setattr(running, "fit_seeds", counting)
    with pytest.raises(KeyboardInterrupt):
        run("implicit", tmp_path)
    result = run("implicit", tmp_path)
    everyone = [score.contender.name for score in result.scores]
    assert fitted == [*everyone[:3], "interrupted", *everyone[3:]]


def test_fits_side_by_side_give_the_same_bits(tmp_path: Path) -> None:
    alone, beside = (run("implicit", tmp_path / str(jobs), jobs=jobs) for jobs in (1, 2))
    assert [s.hash for s in alone.scores] == [s.hash for s in beside.scores]
    for one, other in zip(alone.scores, beside.scores, strict=True):
        np.testing.assert_array_equal(one.scores_Sn, other.scores_Sn)


def test_a_fit_leaves_the_threads_of_its_process_as_they_were(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        run("implicit", tmp_path, methods=("naive",))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_worlds_with_the_same_preferences_share_their_oracle_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = tuple(case_of("worlds", name) for name in ("context", "both"))
    monkeypatch.setitem(SUITES, "worlds", cases)
    fitted = told_of_fits(monkeypatch)
    result = run("worlds", tmp_path, methods=("naive",))
    assert (fitted.count("oracle"), fitted.count("naive"), fitted.count("length")) == (1, 2, 2)
    of = {(s.case.name, s.contender.name): s for s in result.scores}
    assert of["context", "oracle"].hash == of["both", "oracle"].hash
    shared_Sn = of["context", "oracle"].scores_Sn
    np.testing.assert_array_equal(shared_Sn, of["both", "oracle"].scores_Sn)
    alone = running.fit_seeds(
        problem(cases[1]), next(o for o in contenders(problem(cases[1])) if o.name == "oracle"), QUICK
    )
    np.testing.assert_array_equal(shared_Sn, alone)
    liked_Sn = result.judged["context"].liked_Sn
    np.testing.assert_array_equal(liked_Sn, result.judged["both"].liked_Sn)


def test_another_budget_or_another_number_of_seeds_is_another_result(tmp_path: Path) -> None:
    hashes = [
        {score.hash for score in run("implicit", tmp_path, methods=("naive",), **options).scores}
        for options in ({}, {"seeds": 1}, {"config": QUICK.model_copy(update={"max_epochs": 1})})
    ]
    assert len(set.union(*hashes)) == sum(map(len, hashes))


@pytest.mark.parametrize("key", ["naive", "implicit_rm", "bpr"])
def test_seeds_trained_in_one_pass_score_as_seeds_trained_alone(key: str) -> None:
    """The passes multiply matrices of other shapes, so digits may differ, orders and levels may not."""
    case, one = case_of("implicit", "α=0.3"), Contender(key, methods.get(key))
    together_Sn = running.fit_seeds(problem(case, seeds=3), one, QUICK)
    alone_Sn = running.fit_seeds(problem(case, seeds=1), one, QUICK)
    assert together_Sn.shape == (3, int(texts().test_N.sum()))
    np.testing.assert_allclose(together_Sn[:1], alone_Sn, atol=2e-3)
    assert np.abs(together_Sn[1] - alone_Sn[0]).max() > 0.02


def test_seeds_of_the_table_are_those_of_the_truth(tmp_path: Path) -> None:
    result = run("implicit", tmp_path, seeds=3)
    case = case_of("implicit", "α=0.3")
    liked_Sn = problem(case, seeds=3).liked_SN.numpy()[:, texts().test_N]
    np.testing.assert_array_equal(result.judged[case.name].liked_Sn, liked_Sn)
    naive = [row for row in tidy(result) if row["method"] == "naive" and row["metric"] == "brier"]
    scores_Sn = next(s.scores_Sn for s in result.scores if s.contender.name == "naive").astype(float)
    assert [row["seed"] for row in naive] == [0, 1, 2]
    brier_S = ((1 / (1 + np.exp(-scores_Sn)) - liked_Sn) ** 2).mean(1)
    assert [row["value"] for row in naive] == pytest.approx(brier_S, abs=1e-12)
    assert len(set(brier_S)) == 3


def test_no_prompt_is_on_both_sides_of_the_test() -> None:
    shared = texts()
    tested = set(shared.groups_N[shared.test_N])
    assert tested and not tested & set(shared.groups_N[~shared.test_N])


def test_test_rows_teach_nothing() -> None:
    case, one = case_of("implicit", "α=0.3"), Contender("naive", methods.Naive())
    usual = problem(case)
    test_N = torch.from_numpy(texts().test_N)
    flipped_SNK = usual.observations.signals_BK.clone()
    flipped_SNK[:, test_N] = 1 - flipped_SNK[:, test_N]
    other = problem(case)
    object.__setattr__(other.observations, "signals_BK", flipped_SNK)
    np.testing.assert_array_equal(running.fit_seeds(other, one, QUICK), running.fit_seeds(usual, one, QUICK))


def estimated() -> dict[str, type[Method]]:
    """Estimators that need not be handed a propensity; of those that do, `oracle_likelihood` takes part."""
    return {key: kind for key, kind in methods.available().items() if "propensity" not in kind.needs}


@pytest.mark.parametrize("suite", ["causal", "worlds"])
def test_every_estimator_of_a_setting_finishes_under_both_protocols(suite: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        # So few rows give hopeless noise rates, and the estimator of them says so.
        warnings.simplefilter("ignore", IdentificationWarning)
        result = run(suite, tmp_path, methods=(), seeds=1, protocols=("honest", "oracle"), config=LONG_ENOUGH)
    assert result.refused == ()
    ran = {(score.contender.name, score.contender.protocol) for score in result.scores}
    settings = {"explicit", "pairwise"} if suite == "causal" else {"implicit"}
    wanted = [key for key, kind in estimated().items() if kind.setting in settings]
    assert {(key, protocol) for key in wanted for protocol in ("honest", "oracle")} <= ran
    for score in result.scores:
        assert np.isfinite(score.scores_Sn).all(), score.contender.name


def test_every_registered_estimator_takes_part_in_some_suite() -> None:
    names = {
        one.name
        for suite, case in (("causal", ONE["causal"]), ("worlds", "both"))
        for one in contenders(problem(case_of(suite, case)))
    }
    assert set(estimated()) - names == set()
    assert set(methods.available()) - set(estimated()) == {"known_propensity"}
    with pytest.raises(ConfigError, match="unknown contender 'known_propensity'"):
        contenders(problem(case_of("worlds", "both")), ["known_propensity"])


def test_baselines_stand_beside_whatever_was_asked_for(tmp_path: Path) -> None:
    result = run("worlds", tmp_path, methods=("latent_ml",))
    names = {score.contender.name for score in result.scores}
    assert names == {"latent_ml", "naive", "oracle", *ALWAYS}


def test_the_several_signals_world_keeps_the_naive_of_one_signal_as_its_reference() -> None:
    several = problem(case_of("worlds", "several"))
    names = [one.name for one in contenders(several, ("latent_ml",))]
    assert "naive_one_signal" in names


def test_who_cannot_take_part_is_listed_with_a_reason(tmp_path: Path) -> None:
    asked = ("causal_ips", "counter_if", "recrec_i", "naive")
    result = run("implicit", tmp_path, methods=asked)
    reasons = {name: reason for _, name, reason in result.refused}
    ran = {score.contender.name for score in result.scores}
    assert set(asked) <= set(reasons) | ran
    assert not set(reasons) & ran
    assert reasons["causal_ips"] == "is not for what this log holds"
    assert all(reason and "\n" not in reason for reason in reasons.values())


def test_a_fit_that_is_refused_does_not_end_the_run(tmp_path: Path) -> None:
    result = run("causal", tmp_path, methods=("multi_ips", "ips"))
    assert "ips" in {score.contender.name for score in result.scores}
    ((case, name, reason),) = result.refused
    assert (case, name) == (ONE["causal"], "multi_ips")
    assert "max_epochs is 2, expected 11 or more" in reason


def test_an_unknown_name_is_one_line_that_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^unknown contender 'nave'; did you mean 'naive'.*; expected one of .*naive.*random",
    ) as caught:
        run("implicit", tmp_path, methods=("nave",))
    assert "\n" not in str(caught.value)
    with pytest.raises(
        ConfigError, match=r"^unknown suite 'implict'; did you mean 'implicit'\?; expected one of"
    ):
        run("implict", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_reference_of_another_world_of_the_suite_is_a_known_name() -> None:
    both = problem(case_of("worlds", "both"))
    assert contenders(both, ("implicit_rm_one_signal",))


def test_a_base_without_gold_is_refused(tmp_path: Path) -> None:
    table = columns()
    for log in (log_of(table), log_of({**table, "gold": [None, *table["gold"][1:]]}, gold="gold")):
        with pytest.raises(ConfigError, match="gold"):
            running.run_bench("implicit", log, tmp_path, encoder="hashing:64")


def test_missing_gold_is_told_by_the_line_of_the_file_that_lacks_it(tmp_path: Path) -> None:
    path = tmp_path / "rated.jsonl"
    rows: list[dict[str, Any]] = [{"prompt": f"q{i}", "response": "a", "rating": 0.5} for i in range(6)]
    rows[1]["response"], rows[4]["rating"] = None, None  # the second is quarantined
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    log = FeedbackLog.read(path, gold="rating")
    with pytest.raises(ConfigError) as caught:
        running.run_bench("implicit", log, tmp_path, encoder="hashing:64")
    told = str(caught.value)
    assert "rated.jsonl, line 5: column 'rating' (gold) is missing" in told and "1 of 5 rows" in told


def test_one_answer_to_a_prompt_leaves_order_open_and_says_so(tmp_path: Path) -> None:
    table = {name: values[::3] for name, values in columns(60).items()}
    log = log_of(table, gold="gold", signals=(), context=())
    with pytest.warns(IdentificationWarning, match="no prompt of the test has two answers") as warned:
        result = running.run_bench(
            "worlds", log, tmp_path, methods=("naive", "wmf"), seeds=2, encoder="hashing:64", config=QUICK
        )
    assert len([one for one in warned if one.category is IdentificationWarning]) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        made = lines(result, draws=20)
        written = write_run(result, tmp_path / "out", command="tacit bench", table=made)
    assert ranks(made) == {}
    assert not [what for what in written if "cases" in what]
    for rows in made.values():
        aurocs = [line.mean("auroc") for line in rows]
        assert aurocs == sorted(aurocs, reverse=True)
    text = written["table"].read_text(encoding="utf-8")
    assert "nan" not in text and "no prompt of the test has two answers" in text


@pytest.mark.parametrize("prompts", [1, 3])
def test_a_base_of_which_no_quarter_can_be_kept_for_the_test_is_refused(prompts: int, tmp_path: Path) -> None:
    log = log_of(columns(prompts), gold="gold", signals=(), context=())
    with pytest.raises(
        DataError, match=rf"^small: found {prompts} different prompts?, expected 4 or more, [^\n]*$"
    ):
        running.run_bench("implicit", log, tmp_path, encoder="hashing:64")


def test_the_fewest_prompts_leave_a_table_without_bounds(tmp_path: Path) -> None:
    log = log_of(columns(4), gold="gold", signals=(), context=())
    result = running.run_bench(
        "worlds", log, tmp_path, methods=("naive",), seeds=1, encoder="hashing:64", config=QUICK
    )
    assert result.refused == ()
    written = write_run(result, tmp_path / "out", command="tacit bench")
    text = written["table"].read_text(encoding="utf-8")
    assert "nan" not in text and "[" not in text


def test_a_table_has_one_row_per_case_method_seed_and_metric(tmp_path: Path) -> None:
    result = run("causal", tmp_path / "parts", protocols=("honest", "oracle"))
    write_rows(tidy(result), tmp_path / "rows.parquet")
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.column_names == [
        "suite", "data", "case", "alpha", "noise", "method", "level", "protocol", "seed", "metric", "value",
        "seconds", "config_hash",
    ]  # fmt: skip
    keys = list(
        zip(*(table[c].to_pylist() for c in ("case", "method", "protocol", "seed", "metric")), strict=True)
    )
    assert len(keys) == len(set(keys)) == len(result.scores) * 2 * 10
    found = set(zip(table["method"].to_pylist(), table["protocol"].to_pylist(), strict=True))
    assert {("ips", "honest"), ("ips", "oracle"), ("bradley_terry", "honest")} <= found
    by_hash: dict[str, set[tuple[str, str]]] = {}
    for row in table.to_pylist():
        assert len(row["config_hash"]) == 64
        by_hash.setdefault(row["config_hash"], set()).add((row["method"], row["protocol"]))
    assert all(len(rows) == 1 for rows in by_hash.values())
    assert set(table["alpha"].to_pylist()) == {0.5}
    assert set(table["data"].to_pylist()) == {base().name}
    assert set(SOME["causal"]) <= set(table["method"].to_pylist())


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_fit_doubts_is_said_once_with_the_name_of_the_contender(jobs: int, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run("causal", tmp_path, methods=("causal_ips", "causal_dr"), jobs=jobs)
    doubts = [str(w.message) for w in caught if issubclass(w.category, IdentificationWarning)]
    named = [doubt.split(",")[0] for doubt in doubts]
    assert len(named) == len(set(named))
    assert any(name == "causal_ips (honest)" for name in named), doubts


def test_a_process_that_dies_is_one_line_that_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(problem: Any, contender: Any, config: Any) -> Any:
        os._exit(1)

    monkeypatch.setattr(running, "fit_seeds", dies)
    with pytest.raises(TacitError, match=r"is gone .* fewer than 2 side by side"):
        run("implicit", tmp_path, jobs=2)


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_process_at_all_is_refused(jobs: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected 1 or more"):
        run("implicit", tmp_path, jobs=jobs)


def test_other_ratings_are_another_result_though_no_role_names_their_column(tmp_path: Path) -> None:
    def rated(turned: bool) -> FeedbackLog:
        table = columns()
        rating = [(3 - i % 4 if turned else i % 4) for i in range(len(table["gold"]))]
        log = log_of({**table, "rating": rating}, gold="gold", signals=(), context=())
        assert "rating" in log.table.column_names
        return log

    def hashes(log: FeedbackLog) -> dict[str, str]:
        found = running.run_bench(
            "implicit", log, tmp_path, methods=("naive",), seeds=1, encoder="hashing:64", config=QUICK
        )
        return {score.contender.name: score.hash for score in found.scores}

    first, again, turned = hashes(rated(False)), hashes(rated(False)), hashes(rated(True))
    assert first == again
    assert {name for name in first if first[name] == turned[name]} == {"oracle"}


def test_what_a_fit_doubted_is_told_again_by_a_run_that_finds_it_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_seeds = running.fit_seeds

    def doubting(problem: Any, contender: Contender, config: Any) -> Any:
        if contender.name == "nnpu":
            warnings.warn("the prior is a guess", IdentificationWarning, stacklevel=1)
        return fit_seeds(problem, contender, config)

    monkeypatch.setattr(running, "fit_seeds", doubting)
    with pytest.warns(IdentificationWarning, match=r"^nnpu \(honest\), α=0.3: the prior is a guess$"):
        first = run("implicit", tmp_path, methods=("nnpu",))
    monkeypatch.setattr(running, "fit_seeds", lambda *_, **__: pytest.fail("fitted again"))
    with pytest.warns(IdentificationWarning, match=r"^nnpu \(honest\), α=0.3: the prior is a guess$"):
        again = run("implicit", tmp_path, methods=("nnpu",))
    assert first.doubts == again.doubts == ("nnpu (honest), α=0.3: the prior is a guess",)
