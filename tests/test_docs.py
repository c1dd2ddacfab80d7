"""The examples in README.md and docs/ run, name verbs and options that exist, and link to files that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
import yaml

from tacit.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def commands(page: Path) -> list[list[str]]:
    """The lines of bash blocks as words, without comments; a backslash continues a line."""
    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def named(pages: list[Path]) -> list[object]:
    return [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in pages]


@pytest.mark.parametrize("page", named([page for page in PAGES if blocks(page, "python")]))
def test_the_python_blocks_of_a_page_run_one_after_another(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(blocks(page, "python")), encoding="utf-8")
    # A process of its own: a page is run as a reader would, without anything this one has imported or set.
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("page", named(PAGES))
def test_the_tacit_commands_of_a_page_have_existing_verbs_and_options(page: Path) -> None:
    verbs = typer.main.get_group(app).commands
    for words in commands(page):
        if words[0] == "tacit" and words[1] != "--help":
            assert words[1] in verbs, f"no such verb: {' '.join(words)}"
            verbs[words[1]].make_context(
                words[1], words[2:]
            )  # raises for an unknown option or a missing argument


def test_the_page_of_verbs_names_those_without_json_or_quiet() -> None:
    verbs = typer.main.get_group(app).commands
    lacking = {
        option: [name for name, verb in sorted(verbs.items()) if option not in {p.name for p in verb.params}]
        for option in ("json", "quiet")
    }
    assert lacking == {"json": ["serve"], "quiet": ["doctor", "methods", "serve"]}
    told = " ".join((ROOT / "docs" / "cli.md").read_text(encoding="utf-8").split())
    assert "`--json` (all but `serve`)" in told
    assert "`--quiet` (all that show progress or notes: not `doctor`, `methods` and `serve`)" in told


def test_every_verb_has_its_section() -> None:
    told = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^## (\w+)$", told, re.MULTILINE)) == sorted(typer.main.get_group(app).commands)


@pytest.mark.parametrize("page", named(PAGES))
def test_the_make_targets_of_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {words[1] for words in commands(page) if words[0] == "make"}
    assert asked <= targets


@pytest.mark.parametrize("page", named([*PAGES, ROOT / "benchmarks" / "README.md"]))
def test_the_links_of_a_page_lead_to_files_of_the_repository(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_pages_are_a_site_as_they_stand() -> None:
    """What `mkdocs build --strict` would refuse, for whoever has not installed it."""
    told = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    sections = [entry for entry in told["nav"] if isinstance(entry, dict)]
    listed = [entry for entry in told["nav"] if isinstance(entry, str)]
    listed += [page for section in sections for pages in section.values() for page in pages]
    docs = ROOT / "docs"
    pages = sorted(docs.rglob("*.md"))
    assert sorted(listed) == sorted(page.relative_to(docs).as_posix() for page in pages)
    assert told["strict"] and told["exclude_docs"].split() == ["generate.py"]
    for page in pages:
        for target in _LINK.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / target).resolve() in pages, f"{page.name}: {target} is no page of docs/"
    index = set(_LINK.findall((docs / "index.md").read_text(encoding="utf-8")))
    assert index == set(listed) - {"index.md"}


@pytest.mark.parametrize("page", named([*PAGES, *sorted((ROOT / "docs" / "results").glob("*.md"))]))
def test_the_anchors_of_a_page_are_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        text = _FENCE.sub("", (page.parent / target if target else page).read_text(encoding="utf-8"))
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
        assert anchor in slugs, f"{target}#{anchor}"


def test_every_benchmark_has_its_line() -> None:
    told = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    missing = [script.name for script in (ROOT / "benchmarks").glob("*.py") if script.name not in told]
    assert not missing


def test_the_tables_of_the_methods_page_are_those_of_the_classes() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stderr
