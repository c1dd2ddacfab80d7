"""A log read like another one: what is not named again means what it meant there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tacit.data import FeedbackLog, Roles, Signal
from tacit.errors import DataError

COPIED = Signal("copied", misclick=0.01, exposure="button")
LIKE = Roles(
    prompt="q",
    response="a",
    prompt_id="thread",
    signals=(COPIED, Signal("down", polarity=-1)),
    context=("slot",),
    user_id="user",
    session_id="session",
    policy="llm",
)
ROW: dict[str, Any] = {
    "q": "Why?",
    "a": "So.",
    "thread": 1,
    "copied": 1,
    "button": 0,
    "down": 0,
    "slot": 2,
    "user": "u",
    "session": "s",
    "llm": "m",
    "gold": 1,
}


def read(here: Path, row: dict[str, Any], **options: Any) -> FeedbackLog:
    (here / "log.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    return FeedbackLog.read(here / "log.jsonl", like=LIKE, **options)


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name not in names}


def test_every_role_is_taken_over_exposures_too(tmp_path: Path) -> None:
    log = read(tmp_path, ROW)
    assert log.roles == LIKE
    assert not log.signal_matrix()[1][0, 0]


def test_what_is_named_wins_and_a_bare_name_means_the_known_signal(tmp_path: Path) -> None:
    log = read(tmp_path, ROW, signals=["down", "copied"], session_id="thread", gold="gold", context=[])
    assert log.roles.signals == (LIKE.signals[1], COPIED)
    assert (log.roles.session_id, log.roles.user_id, log.roles.gold) == ("thread", "user", "gold")
    assert log.roles.context == ()
    assert read(tmp_path, ROW, signals=["copied:positive"]).roles.signals == (Signal("copied"),)


def test_texts_and_ids_that_are_not_there_are_not_wanted(tmp_path: Path) -> None:
    row = without("q", "session", "llm") | {"prompt": "Why?"}
    roles = read(tmp_path, row).roles
    assert (roles.prompt, roles.response, roles.session_id, roles.policy) == ("prompt", "a", None, None)


def test_ids_without_a_value_are_not_taken_over(tmp_path: Path) -> None:
    log = read(tmp_path, ROW | {"session": None, "user": None})
    assert (log.roles.session_id, log.roles.user_id, log.roles.policy) == (None, None, "llm")
    (tmp_path / "log.csv").write_text("q,a,copied,button,down,slot,session\nWhy?,So.,1,1,0,2,\n")
    assert FeedbackLog.read(tmp_path / "log.csv", like=LIKE).roles.session_id is None


def test_signals_and_context_are_wanted_unless_some_will_do(tmp_path: Path) -> None:
    row = without("button", "slot")
    with pytest.raises(DataError, match="no column 'slot'"):
        read(tmp_path, row)
    some = read(tmp_path, row, partly=True).roles
    assert (some.signals, some.context) == ((LIKE.signals[1],), ())


def test_a_file_that_looks_published_is_read_as_the_fit_read_it(tmp_path: Path) -> None:
    kto = {"prompt": "template", "completion": "x", "label": True}
    assert read(tmp_path, ROW | kto).roles.prompt == "q"
    assert read(tmp_path, without("q") | kto, partly=True).roles.prompt == "prompt"
