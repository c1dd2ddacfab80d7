"""A finished fit clears its own leftovers and nothing else."""

from __future__ import annotations

from pathlib import Path

from tacit.cli.fit import _tidy


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text("kept?")
    return path


def test_states_and_half_written_folders_of_this_model_go(tmp_path: Path) -> None:
    folder(tmp_path / "rm.partial" / "0123456789abcdef")
    folder(tmp_path / ".rm.4711.0a1b2c3d.tmp")
    _tidy(tmp_path / "rm")
    assert not list(tmp_path.iterdir())


def test_what_another_fit_or_the_user_made_stays(tmp_path: Path) -> None:
    others = [folder(tmp_path / name) for name in (".rm.v2.4711.0a1b2c3d.tmp", "rm.partial", ".rm.mine.tmp")]
    _tidy(tmp_path / "rm")
    assert all((path / "file").exists() for path in others)
