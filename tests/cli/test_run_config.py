"""What `tacit fit` makes of its options, whatever typer leaves in its context."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tacit.cli.run_config import merged


@pytest.mark.parametrize("kind", [str, Path])
def test_folders_are_paths_also_where_typer_keeps_them_as_text(kind: Any) -> None:
    params = {"path": "log.jsonl", "out": kind("rm"), "cache": None, "config": None, "quiet": False}
    given = merged(cast(Any, SimpleNamespace(params=params)), None)
    assert given == {"log": "log.jsonl", "out": Path("rm"), "cache": None}
    assert isinstance(given["out"], Path)
