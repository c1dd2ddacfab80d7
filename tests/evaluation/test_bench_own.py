"""Estimators and worlds of one's own in a run: they take part as others do, and are not taken for what they were."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from small_bench import ENCODER, QUICK, SOME, base, case_of, told_of_fits
from small_log import columns, log_of
from torch import Tensor

from tacit.data import FeedbackLog, Signal
from tacit.errors import ConfigError, TacitError
from tacit.evaluation.bench import Case, Contender, run_bench, run_real, write_run
from tacit.evaluation.bench import run as running
from tacit.evaluation.bench.contenders import ALWAYS
from tacit.evaluation.bench.results import tidy
from tacit.methods import NNPU, ImplicitRM, Naive, Observations
from tacit.methods.method import Logits, Method, Setting
from tacit.worlds import Scene, World, labelled, one_signal

BOTH = (case_of("worlds", "both"),)


@dataclass(frozen=True)
class Half(Naive):
    """naive, to which a silence is worth less than a click."""

    silence: float = 0.5

    key: ClassVar[str] = "half"

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        clicked_B = obs.any_positive()[0]
        return super().loss(logits, obs) * (self.silence + (1 - self.silence) * clicked_B)


def by_hour(base: FeedbackLog, seeds: int, *, night: float = 0.1) -> World:
    scene = Scene.of(base, seeds)
    hour_N = np.random.default_rng(7).integers(24, size=scene.rows)
    return one_signal(scene, "by_hour", np.where(hour_N < 8, night, 0.6), {"hour": hour_N})


def own_run(folder: Path, *methods: Any, **options: Any) -> Any:
    settings = {"suite": BOTH, "seeds": 2, "config": QUICK, **options}
    return run_bench(base=base(), folder=folder, methods=methods, encoder=ENCODER, **settings)


def names_of(result: Any, protocol: str = "honest") -> set[str]:
    return {s.contender.name for s in result.scores if s.contender.protocol == protocol}


# Estimators


def test_an_estimator_of_ones_own_takes_part_beside_names_under_both_protocols(tmp_path: Path) -> None:
    result = own_run(tmp_path, "wmf", Half(), protocols=("honest", "oracle"))
    assert names_of(result) == {"wmf", "half", "naive", *ALWAYS}
    assert {"wmf", "half"} <= names_of(result, "oracle")
    by_row = {(s.contender.name, s.contender.protocol): s.scores_Sn for s in result.scores}
    assert not np.array_equal(by_row["half", "honest"], by_row["naive", "honest"])
    assert not np.array_equal(by_row["half", "honest"], by_row["half", "oracle"])
    assert {row["level"] for row in tidy(result) if row["method"] == "half"} == {"prob"}
    assert "`half`" in write_run(result, str(tmp_path / "out"), command="x")["table"].read_text("utf-8")


def test_the_folder_may_be_text_and_one_estimator_needs_no_list(tmp_path: Path) -> None:
    for one in (Half(), "wmf"):
        result = run_bench(
            BOTH, base(), str(tmp_path / "parts"), methods=one, seeds=2, encoder=ENCODER, config=QUICK
        )
        assert names_of(result) == {"half" if one == Half() else "wmf", "naive", *ALWAYS}
    assert list((tmp_path / "parts").iterdir())


def test_fits_in_other_processes_give_the_same_bits_of_it(tmp_path: Path) -> None:
    alone, beside = (own_run(tmp_path / str(jobs), Half(), jobs=jobs) for jobs in (1, 2))
    for one, other in zip(alone.scores, beside.scores, strict=True):
        assert one.hash == other.hash
        np.testing.assert_array_equal(one.scores_Sn, other.scores_Sn)


def test_other_parameters_are_another_row_of_the_estimators_of_tacit_too(tmp_path: Path) -> None:
    result = own_run(tmp_path, Half(), Half(silence=0.2), ImplicitRM(objective="em"), Naive(), NNPU())
    assert names_of(result) - set(ALWAYS) == {
        "half", "half(silence=0.2)", "implicit_rm(objective='em')", "naive", "nnpu",
    }  # fmt: skip


@dataclass(frozen=True)
class Labels(Half):
    key: ClassVar[str] = "labels"
    setting: ClassVar[Setting] = "explicit"


@dataclass(frozen=True)
class InContext(Half):
    key: ClassVar[str] = "in_context"
    needs: ClassVar[tuple[str, ...]] = ("signal", "context")


@dataclass(frozen=True)
class Given(Half):
    key: ClassVar[str] = "given"
    reads: ClassVar[tuple[str, ...]] = ("e",)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs) / obs.column("e").clamp(min=0.1)


def test_who_cannot_read_a_case_is_refused_there_with_the_reason(tmp_path: Path) -> None:
    def bare(base: FeedbackLog, seeds: int) -> World:
        scene = Scene.of(base, seeds)
        return one_signal(scene, "bare", np.full(scene.rows, 0.5), {})

    suite = (*BOTH, Case("bare", bare), case_of("causal", "scenario 1, α=0.5"))
    result = own_run(tmp_path, Labels(), InContext(), Half(), Given(), suite=suite)
    reasons = {(case, name): reason for case, name, reason in result.refused}
    assert "this world holds clicks" in reasons["both", "labels"]
    assert reasons["bare", "in_context"] == "needs context, and this world has none"
    assert "this world holds labels" in reasons["scenario 1, α=0.5", "half"]
    assert "nuisance 'e' is missing" in reasons["both", "given"]
    ran = {(s.case.name, s.contender.name) for s in result.scores}
    assert {("both", "half"), ("both", "in_context"), ("bare", "half")} <= ran
    assert not ran & set(reasons)


def test_one_that_is_given_the_truth_says_oracle(tmp_path: Path) -> None:
    suite = (*BOTH, case_of("causal", "scenario 1, α=0.5"))
    result = own_run(tmp_path, Contender("given_e", Given(), given=("e",)), suite=suite)
    assert "given_e" in names_of(result, "oracle") and "given_e" not in names_of(result)
    (refused,) = result.refused
    assert refused[:2] == ("scenario 1, α=0.5", "given_e")


class Borrowed(Naive):
    """Forgot to say `key`."""


class Keyless(Method):
    """Forgot it too."""


class Twin(Half):
    key: ClassVar[str] = "half"


@dataclass(frozen=True)
class Odd(Half):
    key: ClassVar[str] = "odd"
    where: Any = field(default_factory=threading.Lock)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([Borrowed()], "Borrowed has the key 'naive'"),
        ([Keyless()], "Keyless has no key"),
        ([Half], "expected one of it: Half()"),
        ([3], "method is 3 (int)"),
        ([Half(), Half()], "two contenders are called 'half'"),
        ([Half(), Twin()], "two contenders are called 'half'"),
        ([Contender("oracle_prior", Half())], "'oracle_prior' is a contender of the bench already"),
        ([Contender("wmf", Half())], "'wmf' is a contender of the bench already"),
        ([Contender("mine", Borrowed())], "Borrowed has the key 'naive'"),
        ([Odd()], "a parameter is nothing that JSON holds"),
        (["nave", Half()], "unknown contender 'nave'"),
    ],
)
def test_what_is_no_contender_is_one_line_before_anything_is_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Any], told: str
) -> None:
    monkeypatch.setattr(running.Texts, "of", lambda *_, **__: pytest.fail("embedded"))
    with pytest.raises(ConfigError) as caught:
        own_run(tmp_path, *asked)
    assert told in str(caught.value) and "\n" not in str(caught.value)


LOCK = threading.Lock()


def locked() -> Method:
    """Of a class that is sent by value, as that of a notebook is, and with it the lock that it names."""

    class Locked(Half):
        key: ClassVar[str] = "locked"

        def loss(self, logits: Logits, obs: Observations) -> Tensor:
            with LOCK:
                return super().loss(logits, obs)

    return Locked()


class Torn(Half):
    key: ClassVar[str] = "torn"

    def __reduce__(self) -> Any:
        return _fails, ()


def _fails() -> None:
    raise ValueError("not here")


@pytest.mark.parametrize(("method", "told"), [(locked(), "cannot pickle"), (Torn(), "ValueError: not here")])
def test_one_that_cannot_be_sent_to_another_process_is_one_line(
    tmp_path: Path, method: Method, told: str
) -> None:
    with pytest.raises(TacitError) as caught:
        own_run(tmp_path, method, jobs=2)
    text = str(caught.value)
    assert told in text and "in a module" in text and "jobs=1" in text and "\n" not in text


class Crashing(Half):
    key: ClassVar[str] = "crashing"

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        raise IndexError("too many indices")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fault_in_an_estimator_ends_the_run_with_its_name(tmp_path: Path, jobs: int) -> None:
    with pytest.raises(IndexError, match="too many indices") as caught:
        own_run(tmp_path, Crashing(), jobs=jobs)
    assert any("while fitting crashing" in note for note in caught.value.__notes__)


class Doubting(Half):
    key: ClassVar[str] = "doubting"

    def check(self, obs: Observations) -> None:
        raise RuntimeError("cannot tell")


def test_a_fault_while_it_looks_at_a_log_has_its_name_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="cannot tell") as caught:
        own_run(tmp_path, Doubting())
    assert any("asking doubting" in note for note in caught.value.__notes__)


# What is kept


def test_it_is_fitted_every_time_and_left_nowhere_for_its_code_may_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = told_of_fits(monkeypatch)
    first, again = own_run(tmp_path, Half()), own_run(tmp_path, Half())
    assert fitted.count("half") == 2 and fitted.count("naive") == 1
    kept = {path.stem for path in tmp_path.iterdir()}
    assert {s.contender.name for s in first.scores if s.hash[:20] not in kept} == {"half"}
    assert len(again.scores) == len(first.scores)


# Worlds


def test_a_world_of_ones_own_is_a_case_beside_those_of_a_suite(tmp_path: Path) -> None:
    night = Case("quiet nights", by_hour, {"night": 0.02})
    result = own_run(tmp_path, "wmf", suite=[*BOTH, Case("style", "style", {"length": 1.6}), night])
    assert (result.suite, list(result.judged)) == ("own", ["both", "style", "quiet nights"])
    assert {s.case.name for s in result.scores if s.contender.name == "wmf"} == set(result.judged)
    rate = result.facts["cases"]["quiet nights"]["signals"]["copied"]["rate"]
    assert rate == pytest.approx(by_hour(base(), 2, night=0.02).signals_SNK.mean(), abs=1e-6)
    assert write_run(result, tmp_path / "out", command="x")["table"].exists()


def test_what_a_world_drew_decides_what_is_kept(tmp_path: Path) -> None:
    def hashes(mechanism: Any, **parameters: Any) -> dict[str, str]:
        result = own_run(tmp_path, "wmf", suite=[Case("hours", mechanism, parameters)])
        return {s.contender.name: s.hash for s in result.scores if s.contender.name in ("wmf", "naive")}

    def the_same(base: FeedbackLog, seeds: int) -> World:
        return by_hour(base, seeds)

    def a_complaint(base: FeedbackLog, seeds: int) -> World:
        world = by_hour(base, seeds)
        roles = replace(world.log.roles, signals=(Signal("copied", polarity=-1),))
        return replace(world, log=replace(world.log, roles=roles))

    first = hashes(by_hour)
    assert hashes(the_same) == first
    for other in (hashes(by_hour, night=0.3), hashes(a_complaint)):
        assert not set(other.values()) & set(first.values())


def test_a_world_of_labels_is_read_by_estimators_of_labels(tmp_path: Path) -> None:
    def rated(base: FeedbackLog, seeds: int) -> World:
        scene = Scene.of(base, seeds)
        return labelled(scene, "rated", np.full(scene.rows, 0.5), 0.1, 0.1)

    result = own_run(tmp_path, *SOME["causal"], suite=Case("rated", rated))
    assert set(SOME["causal"]) <= names_of(result)


def shorter(base: FeedbackLog, seeds: int) -> World:
    return by_hour(base.take(np.arange(len(base) - 5)), seeds)


def turned(base: FeedbackLog, seeds: int) -> World:
    return by_hour(base.take(np.arange(len(base))[::-1]), seeds)


@pytest.mark.parametrize(
    ("suite", "told"),
    [
        ("world", "unknown suite 'world'; did you mean 'worlds'?; expected one of implicit, causal, worlds"),
        ("real", "run_real"),
        ([], "a suite holds no case"),
        (["both"], "a suite holds 'both' (str)"),
        ([*BOTH, *BOTH], "two cases are called 'both'"),
        ([Case("a", "stile")], "no world is called 'stile'"),
        ([Case("a", lambda base, seeds: 3)], "case 'a': its function returned 3 (int), expected a World"),
        ([Case("a", lambda base, seeds: by_hour(base, 1))], "has 1 seeds, expected the 2 asked for"),
        ([Case("a", shorter)], "other texts"),
        ([Case("a", turned)], "other texts"),
    ],
)
def test_what_is_no_suite_is_one_line(tmp_path: Path, suite: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        own_run(tmp_path, "wmf", suite=suite)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_result_is_one_short_line(tmp_path: Path) -> None:
    result = own_run(tmp_path, "wmf", Labels())
    assert repr(result) == "BenchResult('own', data='stdlib', cases=1, contenders=6, seeds=2, refused=1)"


# Real logs


def test_an_estimator_of_ones_own_is_judged_on_a_real_log(tmp_path: Path) -> None:
    log = log_of(columns(), gold="gold")

    def real(*methods: Any) -> Any:
        return run_real(log, str(tmp_path / "parts"), methods=methods, encoder="hashing:64", config=QUICK)

    first = real("wmf", Half(silence=0.2), Labels())
    assert {"half(silence=0.2)", "naive", "wmf"} <= {row.method for row in first.rows}
    assert [name for name, _ in first.refused] == ["labels"]
    text = write_run([first], tmp_path / "out", command="x")["table"].read_text("utf-8")
    assert "`half(silence=0.2)`" in text
    assert repr(first).count("\n") == 0 and len(repr(first)) < 100
    again = real("wmf", Half(silence=0.2))
    assert again.seconds["wmf"] == first.seconds["wmf"]
    with pytest.raises(ConfigError, match="Borrowed has the key 'naive'"):
        real(Borrowed())
    with pytest.raises(ConfigError, match="two estimators are called 'half'"):
        real(Half(), Twin())


def test_it_is_left_nowhere_on_a_real_log_either(tmp_path: Path) -> None:
    log = log_of(columns(), gold="gold")
    result = run_real(log, tmp_path, methods=Half(), encoder="hashing:64", config=QUICK)
    kept = {path.stem for path in tmp_path.iterdir()}
    assert {name for name, key in result.hashes.items() if key[:20] not in kept} == {"half"}
