"""`tacit doctor`: what would break in which tool, before it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.options import Json

if TYPE_CHECKING:
    from tacit.model.doctor import Finding


def doctor(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A Hugging Face reward model, or a PEFT adapter.")
    ],
    static: Annotated[
        bool, typer.Option("--static", help="Read files alone; do not load the model.")
    ] = False,
    json: Json = False,
) -> None:
    """Examine any reward model: does it score alike in TRL, OpenRLHF, verl, vLLM, SGLang? Status 1 when not."""
    from tacit.cli import notes
    from tacit.cli.render import print_json, printable
    from tacit.model.doctor import examine

    findings = examine(folder, measure=not static)
    notes.release()
    failed = [finding.check for finding in findings if finding.status == "fails"]
    if json:
        print_json(
            {
                "folder": str(folder),
                "failed": failed,
                "unmade": [finding.check for finding in findings if not finding.made],
                "checks": [vars(finding) for finding in findings],
            }
        )
    else:
        for finding in findings:
            print_finding(finding)
        print(f"\n{folder}: {printable(_in_all(findings))}")
    if failed:
        raise typer.Exit(1)


def _in_all(findings: list[Finding]) -> str:
    """How many checks fail, how many could not be made, which of these, and why."""
    failed = sum(finding.status == "fails" for finding in findings)
    told = f"{failed} of {len(findings)} checks fail" if failed else "nothing fails"
    why: dict[str, list[str]] = {}
    for finding in findings:
        if not finding.made:
            why.setdefault(finding.found, []).append(finding.check)
    if not why:
        return told
    unmade = sum(map(len, why.values()))
    reasons = "; ".join(f"{', '.join(checks)} ({reason})" for reason, checks in why.items())
    return f"{told}, {'and' if failed else 'but'} {unmade} of {len(findings)} could not be made: {reasons}"


def print_finding(finding: Finding) -> None:
    """One line, and for what is not in order two more: why it matters, and how to mend it."""
    from tacit.cli.render import printable

    print(f"{finding.status:<6}{finding.check:<15}{printable(finding.found)}")
    for word, text in (("why", finding.why), ("mend", finding.mend)):
        if text:
            print(f"{'':<6}{word:>13}: {printable(text)}")
