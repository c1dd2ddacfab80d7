"""`tacit.calibrate`: probabilities that agree with trusted rows, on a model whose rewards and order stay."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_log import QUICK, columns, log_of

import tacit
from tacit import FeedbackLog, RewardModel
from tacit.data import Roles
from tacit.errors import (
    ConfigError,
    DataError,
    DegenerateDataError,
    IdentificationError,
    IdentificationWarning,
    TacitError,
)
from tacit.methods.nuisances.logistic import sigmoid
from tacit.methods.nuisances.trusted_map import likeliest

LOG = log_of(columns(prompts=60))
OTHERS = columns(prompts=100, seed=9)


@pytest.fixture(scope="module")
def rm() -> RewardModel:
    return tacit.fit(LOG, method="implicit_rm", encoder="hashing:32", config=QUICK)


@pytest.fixture(scope="module")
def ordering() -> RewardModel:
    """A model whose scores only order."""
    return tacit.fit(LOG, method="bpr", encoder="hashing:32", config=QUICK)


@pytest.fixture(autouse=True)
def doubts_are_told_elsewhere() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentificationWarning)
        yield


def audit(rows: int = 400, **columns: Any) -> FeedbackLog:
    """Answers that the fit has not read, with graded gold; of some other gold or prompts, where these are given."""
    table: dict[str, Any] = {name: OTHERS[name] for name in ("prompt", "response")}
    table["liked"] = [round(value, 3) for value in OTHERS["truth"]]
    table |= columns
    roles = Roles(gold="liked", prompt_id="group" if "group" in table else None)
    return FeedbackLog.from_columns(
        {name: values[:rows] for name, values in table.items()}, roles, name="audited"
    )


def hard(seed: int = 0) -> list[float]:
    """Gold of 0 and 1."""
    return (np.random.default_rng(seed).random(400) < np.array(OTHERS["truth"])).astype(float).tolist()


@pytest.mark.parametrize("rows", [40, 400], ids=["shift alone", "slope and shift"])
@pytest.mark.parametrize("gold", [OTHERS["truth"], hard()], ids=["graded", "0 and 1"])
def test_the_mean_probability_of_the_trusted_rows_is_their_mean_gold(
    rm: RewardModel, rows: int, gold: list[float]
) -> None:
    log = audit(rows, liked=gold)
    done = tacit.calibrate(rm, log)
    assert rm.probability(log).mean() != pytest.approx(np.mean(gold[:rows]), abs=0.01)
    assert done.probability(log).mean() == pytest.approx(np.mean(gold[:rows]), abs=1e-6)
    assert done.calibration is not None
    assert done.calibration["mean_gold"]["value"] == pytest.approx(np.mean(gold[:rows]), abs=1e-6)


def test_rewards_and_the_order_of_answers_stay(rm: RewardModel) -> None:
    log, done = audit(), tacit.calibrate(rm, audit(liked=hard()))
    np.testing.assert_array_equal(done.score(log), rm.score(log))
    np.testing.assert_array_equal(done.uncertainty(log), rm.uncertainty(log))
    order_N = np.argsort(rm.score(log), kind="stable")
    assert np.all(np.diff(done.probability(log)[order_N]) >= 0)
    assert done.slope > 0 and rm.calibration is None  # the model that was given is as it was


def test_a_probability_is_the_sigmoid_of_slope_times_the_logit_of_the_fit_plus_shift(rm: RewardModel) -> None:
    log, done = audit(), tacit.calibrate(rm, audit())
    assert done.slope != 1 and done.shift != 0
    expected = sigmoid(done.slope * (rm.score(log).astype(np.float64) + rm.level) + done.shift)
    np.testing.assert_allclose(done.probability(log), expected, atol=1e-6)
    np.testing.assert_allclose(rm.probability(log), sigmoid(rm.score(log).astype(np.float64)), atol=1e-6)


def test_a_model_whose_scores_only_order_has_a_probability_afterwards(ordering: RewardModel) -> None:
    done = tacit.calibrate(ordering, audit())
    assert (ordering.has_probability, done.has_probability) == (False, True)
    assert done.calibration is not None and done.calibration["before"] is None
    assert done.calibration["after"]["brier"]["value"] > 0 and done.calibration["difference"] is None


def test_it_is_saved_with_the_model_and_read_again(rm: RewardModel, tmp_path: Path) -> None:
    done = tacit.calibrate(rm, audit())
    for model, name in ((rm, "before"), (done, "after")):
        model.save(tmp_path / name)
    again = tacit.load(tmp_path / "after")
    assert again.calibration == done.calibration
    np.testing.assert_array_equal(again.probability(audit()), done.probability(audit()))
    kept = json.loads((tmp_path / "after" / "tacit.json").read_text())
    for manifest in (kept, old := json.loads((tmp_path / "before" / "tacit.json").read_text())):
        for changed in ("checksum", "files"):
            del manifest[changed]
    assert kept.pop("calibration") == done.calibration
    assert kept == old  # what the fit states, its share of liked responses among it, is as it was
    heads = [(tmp_path / name / "heads.safetensors").read_bytes() for name in ("before", "after")]
    assert heads[0] == heads[1]


def test_the_card_tells_which_rows_did_it_and_what_it_was_worth(
    rm: RewardModel, ordering: RewardModel, tmp_path: Path
) -> None:
    for model, name in ((rm, "level"), (ordering, "order"), (tacit.calibrate(rm, audit()), "plain")):
        (model if name == "plain" else tacit.calibrate(model, audit())).save(tmp_path / name)
    told = {
        name: " ".join((tmp_path / name / "README.md").read_text().split()) for name in ("level", "order")
    }
    for text in told.values():
        assert (
            "* Calibrated on 400 trusted rows of 100 prompts (`liked` of audited): P(liked) = sigmoid("
            in text
        )
        assert "Brier score there, of rows whose prompts were held out: **0." in text
        assert "# P(the user likes it)" in text
    assert " before." in told["level"] and " before." not in told["order"]
    assert "Estimated share of responses that users like, by the fit: **" in told["level"]
    assert "is not told, by the fit: scores order responses" in told["order"]


def test_calibrating_anew_replaces_what_was_there(rm: RewardModel) -> None:
    twice = tacit.calibrate(tacit.calibrate(rm, audit(liked=hard(1))), audit())
    assert twice.calibration == tacit.calibrate(rm, audit()).calibration


def test_rows_without_gold_are_left_out(rm: RewardModel) -> None:
    some = [value if i % 3 else None for i, value in enumerate(OTHERS["truth"])]
    chosen = [i for i in range(400) if i % 3]
    few = {name: [OTHERS[name][i] for i in chosen] for name in ("prompt", "response")}
    few["liked"] = [OTHERS["truth"][i] for i in chosen]
    part, alone = (tacit.calibrate(rm, log).calibration for log in (audit(liked=some), audit(**few)))
    assert part is not None and alone is not None and part["rows"] == len(chosen)
    assert part == alone


def test_below_50_rows_the_slope_is_left_as_the_fit_has_it(rm: RewardModel) -> None:
    few, more = tacit.calibrate(rm, audit(49)), tacit.calibrate(rm, audit(50))
    assert few.slope == 1 and few.calibration is not None and few.calibration["slope_interval"] is None
    assert more.slope != 1 and more.calibration is not None
    low, high = more.calibration["slope_interval"]
    assert low < more.slope < high


# ---- intervals and errors


def width(interval: list[float]) -> float:
    return interval[1] - interval[0]


def test_answers_to_one_prompt_are_one_unit_of_the_interval(rm: RewardModel) -> None:
    table = {"prompt": OTHERS["prompt"], "response": OTHERS["response"], "liked": hard()}
    # Each row nine times: as one prompt's they say nothing new, as other prompts' they are nine times the rows.
    often = {name: np.repeat(values, 9).tolist() for name, values in table.items()}
    apart = [f"{prompt} {i % 9}" for i, prompt in enumerate(often["prompt"])]
    often_log = FeedbackLog.from_columns(often, Roles(gold="liked"), name="audited")
    apart_log = FeedbackLog.from_columns(
        often | {"group": apart}, Roles(gold="liked", prompt_id="group"), name="audited"
    )
    once, copied, independent = (
        tacit.calibrate(rm, log).calibration for log in (audit(liked=hard()), often_log, apart_log)
    )
    assert once is not None and copied is not None and independent is not None
    assert (once["prompts"], copied["prompts"], independent["prompts"]) == (100, 100, 900)
    for name in ("slope_interval", "shift_interval"):
        assert width(copied[name]) == pytest.approx(width(once[name]), rel=0.05)
        assert width(independent[name]) == pytest.approx(width(once[name]) / 3, rel=0.35)
    assert copied["before"]["brier"] == pytest.approx(once["before"]["brier"])
    assert copied["mean_gold"] == pytest.approx(once["mean_gold"])


def test_what_it_is_worth_is_told_by_maps_of_the_other_prompts(rm: RewardModel) -> None:
    log, gold_N = audit(liked=hard()), np.array(hard())
    f_N, fold_N = rm.score(log).astype(np.float64), log.folds(5)
    assert all(len(set(fold_N[4 * i : 4 * i + 4])) == 1 for i in range(100))
    p_N = np.empty(400)
    for fold in range(5):
        inside = fold_N == fold
        p_N[inside] = likeliest(f_N[~inside], gold_N[~inside]).probability(f_N[inside])
    told = tacit.calibrate(rm, log).calibration
    assert told is not None
    after, before = ((p_N - gold_N) ** 2).mean(), ((sigmoid(f_N) - gold_N) ** 2).mean()
    assert told["after"]["brier"]["value"] == pytest.approx(after)
    assert told["before"]["brier"]["value"] == pytest.approx(before)
    assert told["difference"]["brier"]["value"] == pytest.approx(after - before)
    assert told["before"]["nll"]["value"] == pytest.approx(np.mean(np.logaddexp(0, f_N) - gold_N * f_N))
    assert told["before"]["mean_probability"]["value"] == pytest.approx(sigmoid(f_N).mean())
    low, high = told["after"]["brier"]["low"], told["after"]["brier"]["high"]
    assert low < after < high and told["after"]["ece"]["low"] is None


def test_where_some_fold_leaves_labels_of_one_kind_nothing_is_told_of_its_worth(rm: RewardModel) -> None:
    done = tacit.calibrate(rm, audit(40, liked=[1.0] + [0.0] * 399))
    assert done.calibration is not None and done.calibration["after"] is None
    assert done.calibration["before"] is not None and done.calibration["difference"] is None


# ---- doubts


def warned(model: RewardModel, log: FeedbackLog) -> str:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        tacit.calibrate(model, log)
    return "\n".join(str(one.message) for one in found)


def test_a_slope_that_may_be_none_is_doubted(rm: RewardModel) -> None:
    chance = [float(value) for value in np.random.default_rng(2).random(400) < 0.5]
    assert "do not show that the order of the scores is right at all" in warned(rm, audit(60, liked=chance))


def test_trusted_rows_of_the_fit_are_counted(rm: RewardModel) -> None:
    table = columns(prompts=60)
    own = {"prompt": table["prompt"], "response": table["response"], "liked": table["truth"]}
    mixed = {name: values[:60] + audit().column(name)[:60] for name, values in own.items()}
    assert "50 % of the trusted rows are rows of the fit" in warned(rm, audit(120, **mixed))
    assert "rows of the fit" not in warned(rm, audit())


def test_no_gain_on_prompts_held_out_is_told(rm: RewardModel) -> None:
    right = tacit.calibrate(rm, audit())
    drawn_N = np.random.default_rng(5).random(400) < rm.probability(audit())
    assert "the Brier score does not fall (after less before +" in warned(
        rm, audit(60, liked=drawn_N.tolist())
    )
    assert "does not fall" not in warned(right, audit())


# ---- refusals


def refusal(model: RewardModel, log: Any) -> tuple[type[TacitError], str]:
    with pytest.raises(TacitError) as found:
        tacit.calibrate(model, log)
    assert "\n" not in str(found.value)
    return type(found.value), str(found.value)


def test_what_is_no_log_or_has_no_gold_is_refused(rm: RewardModel) -> None:
    assert refusal(rm, [("a", "b")]) == (
        ConfigError,
        "calibrate needs a FeedbackLog with gold, found [('a', 'b')] (list); read a file with "
        "FeedbackLog.read(path, gold=COLUMN)",
    )
    kind, told = refusal(rm, audit().with_roles(gold=None))
    assert kind is ConfigError and "no column of trusted labels is named" in told


def test_too_few_rows_or_prompts_are_refused(rm: RewardModel) -> None:
    kind, told = refusal(rm, audit(9, prompt=[f"p {i}" for i in range(400)]))
    assert kind is DataError and told.startswith("audited: 9 rows of 9 prompts have a trusted label")
    assert "expected 10 or more of 5 or more prompts" in refusal(rm, audit(16))[1]
    nowhere = audit(liked=[None] * 390 + [0.5] * 10)
    assert "10 rows of 3 prompts" in refusal(rm, nowhere)[1]


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_gold_of_one_kind_is_refused(rm: RewardModel, label: float) -> None:
    kind, told = refusal(rm, audit(liked=[label] * 400))
    assert kind is DegenerateDataError and f"all are {label:g} in column 'liked'" in told


def test_gold_that_contradicts_the_order_is_refused(rm: RewardModel) -> None:
    kind, told = refusal(rm, audit(liked=[1 - value for value in OTHERS["truth"]]))
    assert kind is IdentificationError and "contradict the order of the scores" in told


def test_scores_without_a_scale_take_50_rows(ordering: RewardModel) -> None:
    kind, told = refusal(ordering, audit(49))
    assert kind is ConfigError and "the scores of bpr order answers and have no scale of their own" in told
    assert tacit.calibrate(ordering, audit(50)).has_probability
