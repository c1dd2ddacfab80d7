"""The limits that the command line prints are those that a server has."""

from __future__ import annotations

import inspect
from dataclasses import fields

from tacit.cli.serve import serve
from tacit.serving.settings import Settings


def test_the_command_and_the_library_have_the_same_defaults() -> None:
    asked = inspect.signature(serve).parameters
    for field in fields(Settings):
        if field.name != "token":  # given by the name of a variable or a file, never itself
            assert asked[field.name].default == field.default, field.name
