"""The suite of real logs: who takes part in which, what is kept, and where published sets are looked for."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_log import ENCODER, QUICK, columns, log_of

from tacit import FeedbackLog, Signal
from tacit.errors import ConfigError, DataError, IdentificationWarning, TacitError
from tacit.evaluation.bench import RealResult, find_data, run_real, write_run
from tacit.evaluation.bench import real as running
from tacit.evaluation.bench.real import tidy_real

EPOCHS = QUICK.model_copy(update={"max_epochs": 2, "members": 1})
ONE_KIND = "reads labels, given where users cared to; this log holds one kind of click"


def thumbs() -> FeedbackLog:
    """A click, thumbs of both kinds where somebody cared, and an audit."""
    rng = np.random.default_rng(0)
    table = columns(prompts=20)
    gold = np.array(table["gold"])
    cared = rng.random(len(gold)) < 0.7
    table["up"] = [int(g > 0) if c else 0 for g, c in zip(gold, cared, strict=True)]
    table["down"] = [int(g == 0) if c else 0 for g, c in zip(gold, cared, strict=True)]
    return log_of(table, signals=(Signal("up"), Signal("down", -1)), gold="gold")


def run(log: FeedbackLog, folder: Path, *keys: str) -> RealResult:
    return run_real(log, folder, methods=keys, encoder=ENCODER, config=EPOCHS)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def judged(parts: Path) -> RealResult:
    return run(thumbs(), parts, "ips", "wmf", "multi_ips")


def test_thumbs_are_read_as_clicks_and_as_labels(judged: RealResult) -> None:
    protocols = {row.method: row.protocol for row in judged.rows}
    assert protocols == {
        "naive": "honest", "oracle": "oracle", "constant": "honest", "length": "honest", "ips": "honest",
        "wmf": "honest",
    }  # fmt: skip
    assert all("within_prompt_accuracy" in row.metrics for row in judged.rows)


def test_a_fit_that_is_refused_does_not_end_the_run(judged: RealResult) -> None:
    ((name, reason),) = judged.refused
    assert name == "multi_ips" and "max_epochs is 2, expected 11 or more" in reason


def test_one_kind_of_click_refuses_readers_of_labels_and_says_why(tmp_path: Path) -> None:
    result = run(log_of(columns(prompts=20), context=()), tmp_path, "ips", "counter_if", "context_only")
    reasons = dict(result.refused)
    assert reasons["ips"] == ONE_KIND
    assert "context" in reasons["counter_if"] and "context" in reasons["context_only"]
    assert reasons["oracle"] == "needs gold"
    assert {row.method for row in result.rows} == {"naive", "constant", "length"}
    text = write_run([result], tmp_path / "out", command="tacit bench")["table"].read_text(encoding="utf-8")
    assert f"* `ips`: {ONE_KIND}" in text


def test_a_second_run_fits_what_is_missing_and_finds_the_same(
    judged: RealResult, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(parts, tmp_path / "parts")
    (gone,) = (path for path in (tmp_path / "parts").iterdir() if judged.hashes["wmf"].startswith(path.stem))
    gone.unlink()
    fitted = []
    cross_validate = running.cross_validate

    def counting(prepared: Any, contenders: Any, **options: Any) -> Any:
        fitted.extend(method.key for method in contenders)
        return cross_validate(prepared, contenders, **options)

    monkeypatch.setattr(running, "cross_validate", counting)
    again = run(thumbs(), tmp_path / "parts", "ips", "wmf")
    assert fitted == ["wmf"]
    assert [{**row, "seconds": 0} for row in tidy_real([again])] == [
        {**row, "seconds": 0} for row in tidy_real([judged])
    ]


def test_the_table_of_a_real_log_has_intervals_protocols_and_hashes(
    judged: RealResult, tmp_path: Path
) -> None:
    written = write_run([judged], tmp_path, command="tacit bench --suite real")
    rows = pq.read_table(written["rows"]).to_pylist()
    assert list(rows[0]) == [
        "suite", "data", "method", "level", "protocol", "metric", "value", "low", "high", "seconds", "config_hash",
    ]  # fmt: skip
    for row in rows:
        assert row["config_hash"] == judged.hashes[row["method"]]
        if row["metric"] == "within_prompt_accuracy":
            assert row["low"] <= row["value"] <= row["high"]
    text = written["table"].read_text(encoding="utf-8")
    head, *cells = (
        line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| (`|method)", line)
    )
    assert len(cells) == len(judged.rows)
    assert {row[head.index("protocol")] for row in cells} == {"honest", "oracle"}
    brier = {row[0]: row[head.index("brier")] for row in cells}
    assert brier["`wmf`"] == "–" != brier["`naive`"]


def test_an_unknown_method_and_a_log_without_signals_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^unknown method 'nave'; did you mean 'naive'") as caught:
        run(thumbs(), tmp_path, "nave")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="no signal is named"):
        run(log_of(columns(), signals=()), tmp_path)


def test_gold_that_no_row_has_is_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row has gold in column 'audit'"):
        run(log_of(columns() | {"audit": [None] * 90}, gold="audit"), tmp_path / "parts")
    assert not (tmp_path / "parts").exists()


def test_published_sets_are_looked_for_where_tacit_data_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TACIT_DATA", str(tmp_path / "sets"))
    with pytest.raises(
        ConfigError, match=r"^--data truthfulqa: no truthfulqa/finetune_truth\.jsonl in "
    ) as caught:
        find_data("truthfulqa")
    assert "\n" not in str(caught.value) and str(tmp_path / "sets") in str(caught.value)
    assert "set TACIT_DATA" in str(caught.value)

    there = tmp_path / "sets" / "truthfulqa" / "finetune_truth.jsonl"
    there.parent.mkdir(parents=True)
    rows = [
        {"prompt": f"Q: question {i // 2}?\nA: answer {i}\nTrue:", "completion": (" yes", " no")[i % 2]}
        for i in range(8)
    ]
    there.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert len(find_data("truthfulqa")) == 8
    monkeypatch.delenv("TACIT_DATA")
    there.parent.parent.rename(tmp_path / "data")
    assert len(find_data("truthfulqa")) == 8


def test_a_path_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TacitError, match=r"nothing\.jsonl"):
        find_data(str(tmp_path / "nothing.jsonl"))


def test_what_a_fit_doubted_is_told_again_by_a_run_that_finds_it_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cross_validate = running.cross_validate

    def doubting(prepared: Any, contenders: Any, **options: Any) -> Any:
        if contenders[0].key == "wmf":
            warnings.warn("the level is a guess", IdentificationWarning, stacklevel=1)
        return cross_validate(prepared, contenders, **options)

    monkeypatch.setattr(running, "cross_validate", doubting)
    with pytest.warns(IdentificationWarning, match=r"^wmf: the level is a guess$"):
        first = run(thumbs(), tmp_path, "wmf")
    monkeypatch.setattr(running, "cross_validate", lambda *_, **__: pytest.fail("fitted again"))
    with pytest.warns(IdentificationWarning, match=r"^wmf: the level is a guess$"):
        again = run(thumbs(), tmp_path, "wmf")
    assert first.doubts == again.doubts == ("wmf: the level is a guess",)
    table = write_run([again], tmp_path / "out", command="tacit bench")["table"].read_text(encoding="utf-8")
    assert "What fits warned of:\n\n* wmf: the level is a guess\n" in table


def test_what_nothing_judges_is_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    table = thumbs().table.to_pydict()
    log = log_of(table, signals=(Signal("up"), Signal("down", -1)))
    with pytest.raises(ConfigError, match="nothing here can be judged") as caught:
        run(log, tmp_path / "parts", "naive")
    told = str(caught.value)
    assert "naive, constant, length" in told and "--gold" in told and "latent_ml" in told and "\n" not in told
    assert not (tmp_path / "parts").exists()


def test_a_log_of_which_no_metric_is_left_has_a_table_all_the_same(
    judged: RealResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tuple(
        replace(
            row,
            metrics={name: told for name, told in row.metrics.items() if name == "base_rate"},
            against={},
        )
        for row in judged.rows
    )
    bare = replace(judged, rows=rows)
    text = write_run([bare], tmp_path / "out", command="tacit bench")["table"].read_text(encoding="utf-8")
    assert "| method | protocol | to naive | seconds |" in text and "*To naive*" not in text
    monkeypatch.setattr("tacit.evaluation.bench.write.real_markdown", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_run([judged], tmp_path / "broken", command="tacit bench")
    assert not list((tmp_path / "broken").iterdir())
