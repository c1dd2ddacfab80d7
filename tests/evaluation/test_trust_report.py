"""`trust_report` on models of every kind: what is said, what is not, and a page that gives nothing away."""

from __future__ import annotations

import base64
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small_log import ENCODER, columns, log_of
from test_trust_numbers import known

import tacit
from finetune_world import clicks_log, texts
from tacit import FeedbackLog, RewardModel, Signal, methods
from tacit.errors import IdentificationWarning
from tacit.evaluation.trust import TrustReport, trust_report
from tacit.evaluation.trust import page as page_module
from tacit.evaluation.trust.assumptions import assumptions
from tacit.evaluation.trust.declared import of_clause
from tacit.evaluation.trust.findings import summary
from tacit.evaluation.trust.page import page, write_page
from tacit.evaluation.trust.predictive import predictive
from tacit.evaluation.trust.reading import read
from tacit.evaluation.trust.statement import dates_of, statement
from tacit.evaluation.trust.surface import _style_of_gold
from tacit.methods import available
from tacit.training.config import TrainingConfig
from tacit.training.log_rows import holdout_groups
from tacit.training.roster import roster
from tiny_models import tiny_causal

KNOBS = TrainingConfig(members=5, hidden=(), weight_decay=1.0, max_epochs=6)
OPEN = "cannot be checked from this log"


def fit(log: FeedbackLog, **more: Any) -> RewardModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentificationWarning)
        return tacit.fit(log, encoder=ENCODER, config=KNOBS, **more)


TABLE = columns(prompts=120)
LOG = log_of(TABLE, user_id="user", gold="gold")


@pytest.fixture(scope="module")
def rm() -> RewardModel:
    return fit(log_of(TABLE, user_id="user"))


@pytest.fixture(scope="module")
def found(rm: RewardModel) -> TrustReport:
    return trust_report(rm, LOG)


def row(found: TrustReport, words: str) -> Any:
    return next(one for one in found.assumptions if words in one.claim)


# ---- the log of the fit


def test_the_statement_is_that_of_the_folder(rm: RewardModel, found: TrustReport) -> None:
    said, metrics = found.statement, rm.info["metrics"]
    assert (said.liked, list(said.interval or ())) == (metrics["base_rate"], metrics["base_rate_interval"])
    assert (said.rows, said.prompts, said.members) == (360, 120, 5)
    assert said.member_spearman == metrics["member_spearman"] and said.swap_index == metrics["swap_index"]


def test_each_row_is_foretold_by_the_member_that_did_not_train_on_it(rm: RewardModel) -> None:
    reading = read(rm, LOG)
    assert reading.held_out
    who = roster(holdout_groups(log_of(TABLE, user_id="user")), 5, KNOBS.seed)
    views = rm.views(LOG)
    for m in range(5):
        rows = torch.nonzero(who.fold_N == m)[:, 0]
        logits = rm.ensemble.pick([m]).logits(views, rows)
        expected = torch.sigmoid(logits["reward"][0]) * torch.sigmoid(logits["propensity"][0])
        predicted = reading.signals[0].predicted_N
        assert predicted is not None
        assert predicted[rows.numpy()] == pytest.approx(expected.numpy(), abs=1e-6)


def test_other_rows_are_foretold_by_all_members(rm: RewardModel) -> None:
    other = log_of(columns(prompts=20, seed=3))
    reading = read(rm, other)
    _, logits = rm.head_logits(other)
    assert not reading.held_out
    assert reading.signals[0].predicted_N == pytest.approx(
        (torch.sigmoid(logits["reward"]) * torch.sigmoid(logits["propensity"])).numpy(), abs=1e-6
    )


def test_it_says_what_moves_clicks_and_whether_the_model_saw_through_it(found: TrustReport) -> None:
    slot = found.biases[0]
    assert slot.column == "slot" and slot.bins == ("0", "1", "2") and slot.rows == (120, 120, 120)
    assert slot.signals[0].moves and slot.signals[0].ends() == (0, 2)
    fired = [np.mean([TABLE["copied"][i] for i in range(j, 360, 3)]) for j in range(3)]
    assert list(slot.signals[0].fired) == pytest.approx(fired)
    assert slot.audited == pytest.approx(
        [np.mean([TABLE["gold"][i] for i in range(j, 360, 3)]) for j in range(3)]
    )


def test_without_gold_what_clicks_cannot_tell_is_said_to_be_open(rm: RewardModel) -> None:
    found = trust_report(rm, LOG.with_roles(gold=None))
    for words in ("no misclicks", "activity independent of preference", "context moves activity only"):
        assert row(found, words).verdict == OPEN and row(found, words).do != "Nothing to do."
    assert found.audit.audited is None and found.surface is not None and found.surface.judged is None


def test_with_gold_mistakes_and_length_are_judged(found: TrustReport) -> None:
    misclicks = row(found, "no misclicks")  # in this world nobody copies what is not liked
    assert misclicks.verdict == "holds" and " 0 of " in misclicks.found
    assert found.surface is not None and found.surface.judged is not None
    assert [one.method for one in found.surface.judged] == ["length", "style", "implicit_rm"]
    assert found.surface.do.startswith("By audited answers the model has a within-prompt accuracy of ")
    assert found.audit.audited is not None and found.audit.audited.rows == 360
    gap = found.audit.audited.difference
    assert gap is not None and (found.audit.audited.verdict == "agree") == (gap.low <= 0 <= gap.high)


def test_the_style_baseline_never_sees_the_gold_of_a_prompt_it_scores() -> None:
    """Gold is a coin of the prompt: features that know the prompt tell it once they have seen another answer to it."""
    rng = np.random.default_rng(0)
    coin_N, features_NS = (
        part[np.arange(180) // 3] for part in (rng.integers(0, 2, 60), rng.normal(size=(60, 50)))
    )
    log = log_of(columns(prompts=60) | {"gold": coin_N.astype(float).tolist()}, gold="gold")
    style_N = _style_of_gold(log, features_NS)
    assert style_N is not None and np.corrcoef(style_N, coin_N)[0, 1] < 0.3


def test_json_has_everything_and_no_nan(found: TrustReport) -> None:
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(told) == {
        "statement", "log", "rows", "origin", "silent", "biases", "assumptions", "predictive", "surface", "audit",
        "scores",
    }  # fmt: skip
    assert len(told["assumptions"]) == len(found.assumptions)
    assert told["biases"][0]["signals"][0]["signal"] == "copied"
    assert set(told["surface"]["overall"]["spearman"]) == {"value", "low", "high"}


def test_the_summary_names_every_doubt(found: TrustReport) -> None:
    told = "\n".join(summary(found))
    for one in found.assumptions:
        assert (f"doubtful: {one.claim}" in told) == (one.verdict == "doubtful")
    assert found.audit.told in told and found.statement.told in told


# ---- assumptions


def bare(assumes: str, context: tuple[str, ...] = ("slot",)) -> Any:
    """What a check is shown of a model without a log."""
    said = SimpleNamespace(assumes=assumes, context=context, gold_rows=0, signals=(), rows=10)
    return SimpleNamespace(said=said, reading=None, biases=(), fit=None, rm=None, gold=lambda: None)


@pytest.mark.parametrize("key", sorted(available()))
def test_no_clause_of_any_method_is_said_to_hold_before_anything_is_looked_at(key: str) -> None:
    assumes = available()[key].assumes
    for clause in assumes.split("; "):
        one = of_clause(clause, bare(assumes))
        if one is None:
            assert clause.startswith("nothing")
        else:
            assert one.claim.startswith(clause) and one.verdict in (OPEN, "not checked")
            assert one.do and one.checked


def test_a_declaration_has_a_row_per_clause(found: TrustReport) -> None:
    clauses = methods.ImplicitRM.assumes.split("; ")
    assert [one.claim.split(" (")[0] for one in found.assumptions[: len(clauses)]] == clauses


def audited(shift: float, rows: int = 4000) -> Any:
    """The exclusion row of a log whose answers are all audited, and liked less by `shift` in slot 2."""
    reading = known(rows)
    slot = np.array(reading.log.column("slot"))
    assert reading.liked_N is not None
    truth = np.clip(reading.liked_N - shift * (slot == 2), 0, 1)
    gold = (np.random.default_rng(5).random(rows) < truth).astype(float)
    names = ("prompt", "response", "slot", "copied")
    table = {name: reading.log.column(name) for name in names} | {"gold": gold.tolist()}
    reading = replace(reading, log=log_of(table, gold="gold"))
    said = SimpleNamespace(assumes="context moves activity only", context=("slot",), gold_rows=0, signals=())
    look = SimpleNamespace(said=said, reading=reading, biases=(), fit=None, rm=None)
    look.gold = lambda: (reading.log.gold_values()[0].astype(float), reading.log.gold_values()[1])
    return of_clause("context moves activity only", look)


def test_an_audit_finds_a_context_that_moves_preference() -> None:
    assert audited(0.3).verdict == "doubtful" and audited(0.3).found.startswith("slot 2: ")


def test_an_audit_bears_exclusion_out_and_says_what_it_would_have_missed() -> None:
    assert audited(0.0).verdict == "holds" and "would not be seen" in audited(0.0).found


def test_an_audit_that_would_miss_a_large_shift_bears_nothing_out() -> None:
    assert audited(0.0, rows=400).verdict == "not checked"
    assert audited(0.0, rows=60).verdict == "not checked" and "are needed" in audited(0.0, rows=60).found


def test_constant_context_is_doubtful_and_so_is_none() -> None:
    idle = log_of({**columns(40), "slot": [1] * 120})
    found = trust_report(fit(idle), idle)
    assert row(found, "signals differ by context").verdict == "doubtful"
    none = log_of(columns(40), context=())
    found = trust_report(fit(none), none)
    assert row(found, "signals differ by context").found == "none is named"
    assert "no context is named" in row(found, "context moves activity only").checked


def test_members_that_disagree_and_rare_signals_are_doubtful(rm: RewardModel) -> None:
    info = json.loads(json.dumps(rm.info))
    info["metrics"] |= {"member_spearman": 0.79, "swap_index": 0.1, "base_rate_interval": [0.3, 0.41]}
    info["log"]["signals"][0]["rate"] = 29 / 360
    doubted = trust_report(replace(rm, info=info))
    for words in ("order", "heads explain", "level", "often enough"):
        assert row(doubted, words).verdict == "doubtful", words
    info["metrics"] |= {"member_spearman": 0.8, "swap_index": -0.1, "base_rate_interval": [0.3, 0.39]}
    info["log"]["signals"][0]["rate"] = 31 / 360
    trusted = trust_report(replace(rm, info=info))
    for words in ("order", "heads explain", "level", "often enough"):
        assert row(trusted, words).verdict == "holds", words


def test_parts_that_share_no_context_are_doubtful(rm: RewardModel) -> None:
    info = json.loads(json.dumps(rm.info))
    info["identification"]["linked"] = {"components": 2, "shares": [0.7, 0.3], "crossing": 0.01, "left": 0.04}
    one = row(trust_report(replace(rm, info=info)), "texts of all kinds")
    assert one.verdict == "doubtful" and one.found == "2 parts (.70, .30 of the rows), .01 cross"


def test_agreement_on_rows_of_training_bears_nothing_out(rm: RewardModel) -> None:
    reading = read(rm, LOG)
    said = statement(rm, LOG)
    fitted = predictive(replace(reading, held_out=False))
    assert fitted is not None
    silent = replace(fitted, cells=tuple(replace(cell, error=10.0) for cell in fitted.cells))
    rows = assumptions(rm, said, replace(reading, held_out=False), (), silent)
    one = next(one for one in rows if "foretells" in one.claim)
    assert one.verdict == "not checked" and "In-sample" in one.checked


# ---- without a log, and other models


def test_without_a_log_the_model_speaks_for_itself(rm: RewardModel) -> None:
    found = trust_report(rm)
    assert found.biases == () and found.surface is None and found.scores is None and found.log is None
    assert row(found, "signals differ by context").verdict == "not checked"
    assert row(found, "context moves activity only").verdict == OPEN
    text = page(found)
    assert "Name the log to see it" in text and "None" not in re.sub(r"<[^>]*>", "", text).replace(
        "None of", ""
    )


def reports() -> Iterator[tuple[str, Any]]:
    yield "naive", lambda: (log_of(columns(40)), {"method": "naive"})
    yield "bpr", lambda: (log_of(columns(40)), {"method": "bpr"})
    yield "sar_ipw", lambda: (log_of(columns(40)), {"method": "sar_ipw"})
    yield "recrec_i", lambda: (log_of(columns(40)), {"method": "recrec_i"})
    yield "constant", lambda: (log_of(columns(40)), {"method": "constant"})
    yield "length", lambda: (log_of(columns(40)), {"method": "length"})
    yield "context_only", lambda: (log_of(columns(40)), {"method": "context_only"})
    yield "oracle", lambda: (log_of(columns(40), gold="gold"), {"method": "oracle", "use_gold": True})
    yield "published", lambda: (log_of(columns(40)), {"propensity_features": "text"})
    yield "no context", lambda: (log_of(columns(40), context=()), {})
    yield "several signals with gaps", lambda: (several(), {"method": "latent_ml"})
    yield "three signals", lambda: (several(three=True), {"method": "latent_ml"})
    yield "one answer a prompt", lambda: (alone(), {})
    yield "labels", lambda: (labels(), {"method": "ips"})


def several(*, three: bool = False) -> FeedbackLog:
    table, rng = columns(60), np.random.default_rng(0)
    gold = np.array(table["gold"])
    down = ((gold == 0) & (rng.random(180) < 0.4)).astype(object)
    down = [None if gap else int(value) for gap, value in zip(rng.random(180) < 0.3, down, strict=True)]
    shared = ((gold == 1) & (rng.random(180) < 0.5)).astype(int).tolist()
    signals = (Signal("copied"), Signal("down", polarity=-1), *([Signal("shared")] if three else []))
    return log_of(table | {"down": down, "shared": shared}, signals=signals)


def alone() -> FeedbackLog:
    table = columns(40)
    return log_of(table | {"prompt": [f"q{i}" for i in range(120)]})


def labels() -> FeedbackLog:
    table, rng = columns(60), np.random.default_rng(0)
    told = [int(g) if keep else None for g, keep in zip(table["gold"], rng.random(180) < 0.5, strict=True)]
    return log_of(table | {"thumb": told}, signals=(Signal("thumb", kind="explicit"),))


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in reports()])
def test_every_kind_of_model_has_a_report(make: Any) -> None:
    log, knobs = make()
    rm = fit(log, **knobs)
    for given in (log, None):
        found = trust_report(rm, given)
        text = page(found)
        json.dumps(found.to_json(), allow_nan=False)
        assert "nan" not in re.sub(r"<[^>]*>", "", text).lower().split()
        for bias in found.biases:
            assert sum(bias.rows) == len(log)
            assert (bias.liked is None) == (not rm.has_probability)
        if given is not None and rm.method.key in ("naive", "bpr", "oracle"):
            assert all(one.acting is None for bias in found.biases for one in bias.signals)
            assert "has no head that says who acts" in text or "says nothing of the signals" in text
        if given is not None and rm.method.key == "constant":
            assert found.surface is None and "nothing to explain" in text
        if not rm.has_probability:
            assert "level" not in {one.claim.split(":")[0] for one in found.assumptions}
            assert found.scores is None or found.scores.of == "reward"


def test_naive_is_doubted_where_contexts_differ() -> None:
    log = log_of(columns(80))
    one = row(trust_report(fit(log, method="naive"), log), "every user who likes a response acts")
    assert one.verdict == "doubtful" and one.found == "copied differs by slot"


def test_three_signals_can_bear_independence_out_and_two_cannot() -> None:
    two, three = (trust_report(fit(log, method="latent_ml"), log) for log in (several(), several(three=True)))
    assert row(two, "signals independent").verdict in (OPEN, "doubtful")
    assert row(three, "signals independent").verdict in ("holds", "doubtful")


def test_a_log_with_other_signals_is_told_apart_and_scored_all_the_same(rm: RewardModel) -> None:
    table = {**columns(20), "clicked": [0, 1] * 30}
    found = trust_report(rm, log_of(table, signals=(Signal("clicked"),)))
    assert found.silent == "it was fitted to signals copied, this log names clicked"
    assert found.predictive is None and found.scores is not None
    assert found.biases[0].signals[0].acting is None
    assert row(found, "foretells").verdict == "not checked"
    bare = trust_report(rm, log_of({k: table[k] for k in ("prompt", "response")}, signals=(), context=()))
    assert [bias.column for bias in bare.biases] == ["response length (words)"]
    assert "this log names none" in page(bare)


def test_a_calibrated_model_is_taken_at_the_word_of_its_labels(rm: RewardModel) -> None:
    slice_ = log_of(
        {**(table := columns(60, seed=9)), "prompt": [f"9 {p}" for p in table["prompt"]]}, gold="gold"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentificationWarning)
        done = tacit.calibrate(rm, slice_)
    found = trust_report(done, slice_)
    assert done.calibration is not None
    assert found.statement.calibrated == done.calibration["mean_gold"]["value"]
    assert "Calibrated on trusted rows" in page(found)
    assert found.audit.audited is not None and found.audit.audited.verdict == "agree"
    assert found.audit.audited.predicted == pytest.approx(done.probability(slice_).mean(), abs=1e-6)


def test_a_fine_tuned_model_has_a_report(tmp_path: Path) -> None:
    prompts, responses, _ = texts(120)
    base = tiny_causal(tmp_path / "base", prompts + responses)
    args = {
        "output_dir": str(tmp_path / "run"),
        "use_cpu": True,
        "max_steps": 3,
        "per_device_train_batch_size": 16,
    }
    log = clicks_log(120)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentificationWarning)
        tuned = tacit.finetune(log, str(base), args=args)
    found = trust_report(tuned, log)
    assert found.predictive is not None and not found.predictive.held_out
    assert found.biases[0].signals[0].acting is not None
    assert row(found, "foretells").verdict in ("not checked", "doubtful")
    assert "in-sample" in found.origin and page(found)
    assert page(trust_report(tuned))


# ---- the page


class Seen(HTMLParser):
    """Tags with their attributes, and text outside of style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_needs_nothing_but_itself(found: TrustReport) -> None:
    html = page(found)
    seen = Seen(html)
    assert len(html) < 1_000_000
    assert not {"script", "link", "iframe", "object", "video"} & {tag for tag, _ in seen.tags}
    assert all(str(one["src"]).startswith("data:image/svg+xml;base64,") for one in seen.all("img"))
    ids = {attributes.get("id") for _, attributes in seen.tags}
    assert all(str(one["href"])[0] == "#" and str(one["href"])[1:] in ids for one in seen.all("a"))
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'" in html
    for one in seen.all("img"):
        svg = base64.b64decode(str(one["src"]).partition(",")[2]).decode()
        assert "<script" not in svg and not re.search(r'href="(?!#)', svg)


def test_every_picture_says_what_it_shows(found: TrustReport) -> None:
    pictures = Seen(page(found)).all("img")
    assert len(pictures) == len(found.biases) + 2
    slot = str(pictures[0]["alt"])
    assert slot.startswith("By slot (0, 1, 2): copied fired .")
    assert all(len(str(one["alt"])) > 40 for one in pictures)


def test_the_page_and_the_json_hold_no_text_and_no_user(rm: RewardModel, found: TrustReport) -> None:
    told = page(found) + json.dumps(found.to_json())
    for text in {*TABLE["prompt"], *TABLE["response"], *TABLE["user"]}:
        assert text not in told
    assert "It holds no prompt, no\nresponse" in told


def test_what_a_log_calls_its_columns_is_text_on_the_page_and_no_markup() -> None:
    evil = '<script>alert("x")</script> $\\frac{1}{2}$ & {{ 7 * 7 }}'
    table = {**columns(40), "slot": [evil if i % 2 else "plain" for i in range(120)]}
    log = log_of(table)
    html = page(trust_report(fit(log), log))
    assert "<script" not in html and "&lt;script&gt;" in html and "49" not in re.findall(r"\{\{ *(\S+)", html)


def test_the_same_report_is_the_same_page(found: TrustReport, tmp_path: Path) -> None:
    write_page(found, tmp_path / "a.html")
    write_page(found, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_without_matplotlib_there_are_words_and_tables(
    found: TrustReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_pictures = page(found)
    monkeypatch.setattr(page_module, "missing", list)
    html = page(found)
    assert "<img" not in html and "<img" in with_pictures
    assert "a report with pictures needs matplotlib, not installed here: pip install" in html
    assert html.count("<table") == with_pictures.count("<table")


def test_dates_are_those_of_the_log_and_seconds_of_a_session_are_none() -> None:
    table = columns(1)
    days = ["2026-11-03T23:30:00Z", "2026-11-01T08:00:00Z", None]
    assert dates_of(log_of({**table, "at": days}, timestamp="at")) == ("2026-11-01", "2026-11-03")
    assert dates_of(log_of({**table, "at": [3.5, 20.0, 900.0]}, timestamp="at")) is None
    assert dates_of(log_of({**table, "at": ["soon", "later", "now"]}, timestamp="at")) is None
    assert dates_of(log_of(table)) is None
