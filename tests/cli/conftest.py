"""A feedback log on disk, a model fitted to it once, and the command line run as a user runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import SMALL, Ran, Tacit, rows, write

from tacit.cli.main import main


@pytest.fixture
def tacit(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Tacit:
    """Run `tacit` with these arguments in this process."""
    monkeypatch.setenv("TACIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["tacit", *map(str, arguments)])
        capsys.readouterr()
        status: object = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return Ran(status if isinstance(status, int) else 0, out, err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one, with `log.jsonl` in it."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "log.jsonl", rows())
    return tmp_path


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of `log.jsonl`; copy it before changing it."""
    folder = tmp_path_factory.mktemp("fitted")
    log = write(folder / "log.jsonl", rows())
    before, sys.argv = sys.argv, ["tacit", "fit", str(log), "--signal", "copied", *SMALL, "--quiet"]
    sys.argv += ["--out", str(folder / "rm"), "--cache", str(folder / "cache")]
    try:
        main()
    except SystemExit as end:
        assert not end.code
    finally:
        sys.argv = before
    return folder / "rm"
