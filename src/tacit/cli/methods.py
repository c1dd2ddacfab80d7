"""`tacit methods`: which estimators there are, what each needs of a log, assumes, and whose it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.options import Json

if TYPE_CHECKING:
    from tacit.methods import Method

_WIDTH = 100
"""Columns of the printed list."""


def methods(
    setting: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only of one setting: implicit, explicit, pairwise or any."),
    ] = None,
    json: Json = False,
) -> None:
    """List the estimators: key, setting, needs, level, assumption, source."""
    from typing import get_args

    from tacit.cli.render import print_json
    from tacit.errors import ConfigError
    from tacit.methods import available
    from tacit.methods.method import Setting

    if setting is not None and setting not in get_args(Setting):
        raise ConfigError(f"--setting is {setting!r}, expected one of {', '.join(get_args(Setting))}")
    chosen: list[type[Method]] = [m for m in available().values() if setting in (None, m.setting)]
    if json:
        print_json(
            [
                {
                    "key": method.key,
                    "setting": method.setting,
                    "needs": list(method.needs),
                    "uses_gold": method.uses_gold,
                    "level": method.level,
                    "assumes": method.assumes,
                    "not_identified": method.not_identified,
                    "citation": method.citation,
                }
                for method in chosen
            ]
        )
        return
    for line in _lines(chosen):
        print(line)


def _lines(chosen: Sequence[type[Method]]) -> Iterator[str]:
    """A line of words per estimator, and what it assumes and whose it is below: sentences do not fit into columns."""
    width = max(len(method.key) for method in chosen)
    yield f"{'key':<{width}}  {'setting':<8}  {'level':<11}  needs"
    for method in chosen:
        yield ""
        needs = ", ".join(method.needs) + (
            "; gold if given" if method.uses_gold and not method.reads_gold else ""
        )
        yield f"{method.key:<{width}}  {method.setting:<8}  {method.level:<11}  {needs}"
        for name, sentence in (("assumes", method.assumes), ("source", method.citation)):
            yield from textwrap.wrap(
                sentence,
                _WIDTH,
                initial_indent=f"    {name:<9}",
                subsequent_indent=" " * 13,
                break_on_hyphens=False,
            )
