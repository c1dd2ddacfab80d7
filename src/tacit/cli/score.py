"""`tacit score`: rewards of pairs, in input order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.options import Cache, Json, Prompt, Quiet, Response, Source


def score(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A folder written by tacit fit or tacit finetune.")
    ],
    pairs: Annotated[str, typer.Argument(metavar="PAIRS", help="A file with prompt and response columns.")],
    prompt: Prompt = None,
    response: Response = None,
    source: Source = "plain",
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score pairs of prompt and response: reward (logit), probability that users like it, uncertainty."""
    import numpy as np

    from tacit.cli import notes
    from tacit.cli.options import open_store, read_log
    from tacit.cli.render import number, print_json, print_table
    from tacit.model import load_model, sigmoid

    rm = load_model(model)
    log = read_log(
        pairs, prompt=prompt, response=response, source=source, max_bad=0
    )  # one score per row, or none
    notes.release()
    members_MN = rm.member_scores(log, store=open_store(cache), quiet=quiet or json)
    many = len(members_MN) > 1  # one member cannot disagree, which does not make it sure
    reward_N, spread_N = members_MN.mean(0), members_MN.std(0)
    probability_N = sigmoid(reward_N + np.float32(rm.level))
    if json:
        print_json(
            {
                "scores": [
                    {"reward": float(r), "probability": float(p), "uncertainty": float(u) if many else None}
                    for r, p, u in zip(reward_N, probability_N, spread_N, strict=True)
                ]
            }
        )
        return
    rows = [
        (_short(text), number(float(r), 2), number(float(p)), number(float(u), 2) if many else "–")
        for text, r, p, u in zip(log.responses(), reward_N, probability_N, spread_N, strict=True)
    ]
    print_table(f"{len(rows)} responses", ("response", "reward", "P(liked)", "uncertainty"), rows)


def _short(text: str, width: int = 60) -> str:
    from tacit.cli.render import printable

    line = printable(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"
