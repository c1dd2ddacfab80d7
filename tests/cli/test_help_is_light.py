"""`import tacit` and `tacit --help` load nothing heavy: measured by what stands in sys.modules."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "transformers",
    "sklearn",
    "scipy",
    "numpy",
    "pyarrow",
    "pandas",
    "datasets",
    "yaml",
)


def loaded_by(code: str) -> set[str]:
    told = f"{code}\nimport sys; print('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines()[-1].removeprefix("loaded:").split())


def test_importing_tacit_loads_nothing_heavy() -> None:
    assert loaded_by("import tacit") == set()


def test_the_import_time_report_names_neither_torch_nor_transformers() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import tacit"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in report.splitlines()}
    assert "tacit" in imported
    assert imported.isdisjoint({"torch", "transformers"})


def test_python_m_tacit_is_the_command_line() -> None:
    command = [sys.executable, "-m", "tacit", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "evaluate" in told and "score" in told


def test_ctrl_c_while_the_command_line_is_being_read_is_no_traceback() -> None:
    code = """
import runpy, sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
runpy.run_module("tacit", run_name="__main__")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "tacit: interrupted\n")
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert scripts["project"]["scripts"] == {"tacit": "tacit.__main__:main"}


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    run = f"""
import sys
sys.argv = ["tacit", *{arguments!r}]
from tacit.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code
"""
    assert loaded_by(run) == set()
