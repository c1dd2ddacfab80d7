"""`tacit export`: a reward model as a folder that every stack loads."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tacit.cli.options import Cache, Json, Prompt, Quiet, Response, Source

if TYPE_CHECKING:
    from tacit.model.export import Dtype, Exported


def export(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A folder written by tacit fit or finetune.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder to write; TRL logs rewards under its name.")
    ],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="hf: a Hugging Face sequence classifier.")] = "hf",
    texts: Annotated[
        str | None, typer.Option(metavar="FILE", help="Prompts and responses to distil and to compare on.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(metavar="NAME", help="auto (as they are), float32, bfloat16 or float16 weights.")
    ] = "auto",
    prompt: Prompt = None,
    response: Response = None,
    source: Source = "plain",
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a reward model for TRL, OpenRLHF, verl, vLLM and SGLang, load it again and compare the scores."""
    from tacit.cli import notes
    from tacit.cli.options import open_store, read_log, refuse_unwritable
    from tacit.cli.render import print_json
    from tacit.model import load_model
    from tacit.model.export import export as write

    refuse_unwritable(out)
    rm = load_model(model)
    log = None
    if texts is not None:
        log = read_log(texts, prompt=prompt, response=response, source=source)
    notes.release()
    done = write(
        rm,
        out,
        to=to,
        dtype=cast("Dtype", dtype),
        texts=log,
        store=open_store(cache) if texts is not None else None,
        quiet=quiet or json,
    )
    if json:
        print_json(
            {
                "folder": str(done.folder),
                "how": done.how,
                "level": done.level,
                "slope": done.slope,
                "shift": done.shift,
                "probability": done.chance,
                "compared": done.compared.to_json(),
                "distilled": done.loss.to_json() if done.loss is not None else None,
                "cautions": [vars(finding) for finding in done.cautions],
            }
        )
    elif not quiet:
        _tell(done)


_FROZEN_FLOAT32 = 2e-3  # allowed where both sides compute in float32


def _tell(done: Exported) -> None:
    from tacit.cli.doctor import print_finding
    from tacit.cli.render import number, print_table

    compared = done.compared
    print_table(
        f"{done.folder}: a Hugging Face sequence classifier ({done.how})",
        ("loaded again and compared", "texts", "size of scores", "largest difference", "relative", "allowed"),
        [
            (
                "AutoModelForSequenceClassification",
                f"{compared.texts}",
                f"{compared.size:.3f}",
                f"{compared.largest:.1e}",
                f"{compared.relative:.1e}",
                f"{compared.tolerance:.0e}",
            )
        ],
    )
    if done.how != "fine-tuned" and compared.tolerance > _FROZEN_FLOAT32:
        print(
            "Scores were compared in float32, one side or the other stands on bfloat16: hence the difference."
        )
    if done.loss is not None:
        loss = done.loss
        print(
            f"Distilled to a linear head on {loss.texts:,} texts. On {loss.held_out:,} held-out ones it keeps R² "
            f"{number(loss.r2)}, Spearman {number(loss.spearman)}, order within a prompt {number(loss.agreement)} "
            "(1 is the model itself)."
        )
    print(_chance(done))
    for finding in done.cautions:
        print_finding(finding)
    print(f"Next: tacit doctor {quote(str(done.folder))}")


def _chance(done: Exported) -> str:
    """How a score becomes a probability, in one line."""
    if done.chance is None:
        return (
            "Its scores order answers: they are no logits of a probability. tacit calibrate makes them some."
        )
    if done.slope == 1:
        rule, kept = f"sigmoid(score {done.level + done.shift:+.4f})", "the constant is"
    else:
        constant = done.slope * done.level + done.shift
        rule, kept = f"sigmoid({done.slope:.4f} · score {constant:+.4f})", "slope and constants are"
    return f"P(liked) = {rule}; {kept} kept in tacit_export.json."
