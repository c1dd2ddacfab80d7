"""A fit says where context does not compare all texts with one another, and states its range accordingly."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit import FeedbackLog, FineTunedRewardModel, RewardModel, Signal, finetune, fit, methods
from tacit.data import Roles
from tacit.errors import IdentificationWarning
from tacit.features.links import Links
from tacit.finetuning import _look_for_links
from tacit.model.links import links_warning
from tacit.training.config import TrainingConfig
from tiny_models import tiny_causal

QUICK = TrainingConfig(members=2, hidden=(), weight_decay=1.0, max_epochs=8)
WORDS = ["alpha", "apple", "amber", "arrow"], ["bravo", "bread", "birch", "brick"]
LIKED = {(0, True): 0.9, (0, False): 0.6, (1, True): 0.5, (1, False): 0.1}
ACTS = {"ide top": 0.1, "ide side": 0.2, "web top": 0.5, "web side": 0.9}


def table(crossing: float, rows: int = 1200) -> dict[str, list[Any]]:
    """Two topics, each on two surfaces of its own; of the rows, `crossing` are on those of the other."""
    chance = random.Random(3)
    found: dict[str, list[Any]] = {
        name: [] for name in ("prompt", "response", "surface", "copied", "kept", "audit")
    }
    for row in range(rows):
        topic, good = row % 2, chance.random() < 0.5
        side = topic if chance.random() >= crossing else 1 - topic
        surface = f"{('ide', 'web')[side]} {chance.choice(('top', 'side'))}"
        first, second = chance.choices(WORDS[topic], k=2)
        liked = chance.random() < LIKED[topic, good]
        found["prompt"].append(f"{'AB'[topic]} question {row // 2}")
        found["response"].append(f"{first} {'fine' if good else 'meh'} {second}")
        found["surface"].append(surface)
        found["copied"].append(int(liked and chance.random() < ACTS[surface]))
        found["kept"].append(int(liked and chance.random() < 0.5))
        found["audit"].append(int(liked) if row < 100 else None)
    return found


APART = table(0.0)


def fitted(
    columns: dict[str, list[Any]], signals: tuple[str, ...] = ("copied",), **knobs: Any
) -> RewardModel:
    gold = "audit" if knobs.get("use_gold") else None
    roles = Roles(signals=tuple(map(Signal, signals)), context=("surface",), gold=gold)
    log = FeedbackLog.from_columns(columns, roles, name="surfaces")
    return fit(log, encoder="hashing:64", config=QUICK, **knobs)


def test_topics_on_surfaces_of_their_own_are_warned_of_by_name_and_stated() -> None:
    with pytest.warns(IdentificationWarning, match="share hardly any context") as caught:
        model = fitted(APART)
    (text,) = {str(warning.message) for warning in caught}
    assert "\n" not in text
    for one, other in (
        ("ide top, ide side", "ide side, ide top"),
        ("web top, web side", "web side, web top"),
    ):
        assert f"{one} with 50 %" in text or f"{other} with 50 %" in text
    told = model.info["identification"]
    assert told["linked"]["components"] == 2 and told["linked"]["crossing"] == 0 and text in told["warnings"]
    assert "the order between 2 parts of the texts (50 %, 50 % of the rows)" in told["not_identified"]


def finetuned(folder: Path, crossing: float, signals: tuple[str, ...] = ("copied",)) -> FineTunedRewardModel:
    columns = table(crossing)
    roles = Roles(signals=tuple(map(Signal, signals)), context=("surface",))
    log = FeedbackLog.from_columns(columns, roles, name="surfaces")
    base = tiny_causal(folder / "base", columns["prompt"] + columns["response"])
    args = {"output_dir": str(folder / "run"), "use_cpu": True, "max_steps": 1, "members": 2}
    return finetune(log, str(base), args=args)


def test_a_fine_tuning_warns_of_unlinked_topics_and_states_them_as_a_fit_does(tmp_path: Path) -> None:
    with pytest.warns(IdentificationWarning, match="share hardly any context"):
        told = finetuned(tmp_path, 0.0).info["identification"]
    with pytest.warns(IdentificationWarning):
        expected = fitted(APART).info["identification"]
    assert told["linked"] == expected["linked"] and told["warnings"] == expected["warnings"]
    assert told["not_identified"] == expected["not_identified"]


def test_a_fine_tuning_says_nothing_of_linked_topics_and_looks_only_where_context_tells(
    tmp_path: Path,
) -> None:
    told = finetuned(tmp_path / "one", 0.1).info["identification"]
    assert told["linked"]["components"] == 1 and not told["warnings"]
    told = finetuned(tmp_path / "two", 0.0, ("copied", "kept")).info["identification"]
    assert told["linked"] is None and not told["warnings"]


def test_a_fine_tuning_looks_at_no_more_rows_than_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = Roles(signals=(Signal("copied"),), context=("surface",))
    log = FeedbackLog.from_columns(APART, roles, name="surfaces")
    monkeypatch.setattr("tacit.finetuning.MOST_ROWS", 401)  # every third row: both topics
    links, (text,) = _look_for_links(log, methods.get("implicit_rm"))
    assert links is not None and len(links.part_N) == 401 and "2 parts of the texts" in text


def test_the_range_holds_a_factor_for_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(IdentificationWarning):
        apart = fitted(APART).info["metrics"]
    monkeypatch.setattr("tacit.fitting.links_warning", lambda links, columns: [])
    joined = fitted(APART).info["metrics"]
    assert apart["base_rate"] == joined["base_rate"] and apart["score_std"] == joined["score_std"]
    (low, high), (least, most) = joined["base_rate_bounds"], apart["base_rate_bounds"]
    assert least < low and high < most
    assert apart["base_rate_interval"][0] <= least and most <= apart["base_rate_interval"][1]


def test_topics_that_cross_are_linked_and_nothing_is_said() -> None:
    told = fitted(table(0.1)).info["identification"]
    assert told["linked"]["components"] == 1 and told["linked"]["shares"] == [1.0]
    assert not told["warnings"] and "parts of the texts" not in told["not_identified"]


@pytest.mark.parametrize(
    ("signals", "knobs"),
    [
        (("copied", "kept"), {}),
        (("copied",), {"use_gold": True}),
        (("copied",), {"method": "naive"}),
    ],
)
def test_where_it_is_not_context_that_tells_nobody_looks(
    signals: tuple[str, ...], knobs: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", IdentificationWarning)
        assert fitted(APART, signals, **knobs).info["identification"]["linked"] is None


def test_the_warning_names_the_column_that_tells_numbers_by_their_middle_and_three_values_at_most() -> None:
    part_N = np.repeat([0, 1], [60, 40])
    hour_N = np.arange(100.0) * 0.5
    (text,) = links_warning(Links(part_N, 0.0, 0.0), {"slot": np.arange(100.0) % 3, "hour": hour_N})
    assert "('hour' about 14.8 with 60 % of them; about 39.8 with 40 %; 0.0 % of the rows cross)" in text
    site_N = np.array([f"site\n{row % 5}" if row < 60 else "app" for row in range(100)])
    (text,) = links_warning(Links(part_N, 0.0, 0.0), {"site": site_N})
    assert "'site' site 0, site 1, site 2, … with 60 % of them; app with 40 %" in text and "\n" not in text
