"""`tacit score`: rewards of pairs, in input order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import Cache, Json, Prompt, Quiet, Response, Source

if TYPE_CHECKING:
    from tacit.data.input_rows import InputRows
    from tacit.model import FittedScorer

_COLUMNS = ("reward", "probability", "uncertainty")


def score(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A folder written by tacit fit or tacit finetune.")
    ],
    pairs: Annotated[
        str,
        typer.Argument(
            metavar="PAIRS",
            help="A log, or any file, folder or pattern with prompt and response columns; - as there.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the rows with their scores to this .parquet or .jsonl file instead."
        ),
    ] = None,
    prompt: Prompt = None,
    response: Response = None,
    source: Source = "plain",
    max_bad: Annotated[
        int, typer.Option(help="Score beside up to N rows that cannot be used.", metavar="N", min=0)
    ] = 0,
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score pairs of prompt and response: reward (logit), probability that users like it, uncertainty."""
    from tacit.cli import notes
    from tacit.cli.options import open_store, read_log, refuse_unwritable_file
    from tacit.cli.render import print_json
    from tacit.data import Roles
    from tacit.data.input_rows import InputRows
    from tacit.data.readers import STANDARD_INPUT, open_raw
    from tacit.model import load_model

    if out is not None:
        refuse_unwritable_file(out, pairs)
    rm = load_model(model)
    read = open_raw(pairs) if pairs == STANDARD_INPUT else pairs  # which comes only once
    roles = Roles.from_json(rm.info["roles"])
    texts = Roles(prompt=roles.prompt, response=roles.response)
    log = read_log(
        read, prompt=prompt, response=response, source=source, max_bad=max_bad, like=texts, partly=True
    )
    rows = InputRows.of(log, read) if out is not None or log.quarantine.total else None
    if out is not None and rows is not None:
        _refuse_taken(rows, pairs)
    if not rm.has_probability:
        notes.say(
            f"{rm.method.key} orders answers: its scores are no logits of a probability, and none is given (tacit "
            "calibrate makes them some, of trusted rows)"
        )
    notes.release()
    members_MN = rm.member_scores(log, store=open_store(cache), quiet=quiet or json)
    scores = {
        name: values if rows is None else rows.spread(values) for name, values in _scores(rm, members_MN)
    }
    if out is not None and rows is not None:
        _write(rows, out, scores, as_json=json, quiet=quiet)
    elif json:
        print_json(
            {"scores": [dict(zip(_COLUMNS, row, strict=True)) for row in zip(*scores.values(), strict=True)]}
        )
    else:
        _print(log.responses() if rows is None else rows.spread(log.responses()), scores)


def _scores(rm: FittedScorer, members_MN: Any) -> list[tuple[str, list[float | None]]]:
    """Reward, probability (where the model has one) and uncertainty of each row; no uncertainty of one member."""
    from tacit.model import sigmoid

    # One member cannot disagree, which does not make it sure.
    spread = members_MN.std(0).tolist() if len(members_MN) > 1 else [None] * members_MN.shape[1]
    reward_N = members_MN.mean(0)
    chance = sigmoid(rm.logit(reward_N)).tolist() if rm.has_probability else [None] * len(reward_N)
    values = (reward_N.tolist(), chance, spread)
    return list(zip(_COLUMNS, values, strict=True))


def _refuse_taken(rows: InputRows, pairs: str) -> None:
    from tacit.errors import ConfigError

    taken = [name for name in rows.raw.columns if name in _COLUMNS]
    if taken:
        raise ConfigError(
            f"{pairs}: has a column {taken[0]!r} already, which --out would write; rename it or leave it out"
        )


def _write(
    rows: InputRows, out: Path, scores: dict[str, list[float | None]], *, as_json: bool, quiet: bool
) -> None:
    """Write the scores and say so in one line."""
    from tacit.cli import notes
    from tacit.cli.render import number, print_json

    mixed = rows.write(out, scores)
    for name in mixed:
        notes.say(f"{out}: column {name!r} has values of several types and stands as text; .jsonl keeps them")
    means = {f"mean_{name}": _mean(scores[name]) for name in _COLUMNS[:2]}
    told = {"out": str(out), "rows": rows.total, "scored": len(rows.used), **means}
    if as_json:
        print_json(told)
    elif not quiet:
        left = rows.total - len(rows.used)
        print(
            f"{rows.total:,} rows → {out}: mean reward {number(means['mean_reward'], 2)}, mean P(liked) "
            f"{number(means['mean_probability'])}" + (f"; {left:,} without a score" if left else "")
        )


def _mean(values: list[float | None]) -> float | None:
    from statistics import fmean

    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _print(responses: Sequence[str | None], scores: dict[str, list[float | None]]) -> None:
    from tacit.cli.render import number, print_table

    rows = [
        ("(cannot be used)" if text is None else _short(text), number(r, 2), number(p), number(u, 2))
        for text, r, p, u in zip(responses, *scores.values(), strict=True)
    ]
    print_table(f"{len(rows)} responses", ("response", "reward", "P(liked)", "uncertainty"), rows)


def _short(text: str, width: int = 60) -> str:
    from tacit.cli.render import printable

    line = printable(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"
