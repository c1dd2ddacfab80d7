"""The limits that the command line prints are those that a server has."""

from __future__ import annotations

import inspect
import logging
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tacit.cli import notes
from tacit.cli.serve import serve
from tacit.errors import ConfigError
from tacit.serving.settings import Settings


@pytest.mark.parametrize("given", [{"timeout": math.inf}, {"timeout": math.nan}, {"max_queue": 0}])
def test_a_limit_that_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected a finite number above 0"):
        Settings(**given)


def test_the_command_and_the_library_have_the_same_defaults() -> None:
    asked = inspect.signature(serve).parameters
    for field in fields(Settings):
        if field.name != "token":  # given by the name of a variable or a file, never itself
            assert asked[field.name].default == field.default, field.name


def test_what_a_server_logs_reaches_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answers_one_request(*_: object, **__: object) -> None:
        logging.getLogger("tacit").error("a batch failed", exc_info=RuntimeError("of the model"))

    monkeypatch.setattr("tacit.serving.run.run", answers_one_request)
    monkeypatch.setattr("tacit.model.load_model", lambda folder: None)
    notes.hold(quiet=False)
    serve(tmp_path, port=0)
    assert "a batch failed\nRuntimeError: of the model" in capsys.readouterr().err
