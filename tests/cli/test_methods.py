"""`tacit methods` lists every estimator, within a hundred columns."""

from __future__ import annotations

import pytest
from command_line import Tacit

from tacit.methods import available


def test_every_estimator_is_listed_within_a_hundred_columns(tacit: Tacit) -> None:
    ran = tacit("methods")
    assert ran.status == 0 and not ran.err
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 100
    listed = [line.split(" ")[0] for line in lines[1:] if line and not line.startswith(" ")]
    assert listed == list(available())
    words = " ".join(ran.out.split())
    for method in available().values():
        assert method.assumes in words and method.citation in words


def test_json_holds_what_the_classes_declare(tacit: Tacit) -> None:
    told = {method["key"]: method for method in tacit("methods", "--json").json}
    assert list(told) == list(available())
    for key, method in available().items():
        assert told[key]["needs"] == list(method.needs) and told[key]["uses_gold"] is method.uses_gold
        for name in ("setting", "level", "assumes", "not_identified", "citation"):
            assert told[key][name] == getattr(method, name)


@pytest.mark.parametrize("setting", ["implicit", "explicit", "pairwise", "any"])
def test_a_setting_leaves_its_own_estimators_only(tacit: Tacit, setting: str) -> None:
    told = tacit("methods", "--setting", setting, "--json").json
    assert [m["key"] for m in told] == [k for k, m in available().items() if m.setting == setting]
    assert told or setting == "any"


def test_an_unknown_setting_ends_in_one_line(tacit: Tacit) -> None:
    ran = tacit("methods", "--setting", "psychic")
    assert ran.status == 2 and not ran.out
    assert ran.err == ("tacit: --setting is 'psychic', expected one of implicit, explicit, pairwise, any\n")
