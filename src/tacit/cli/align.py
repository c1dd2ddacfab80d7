"""`tacit align`: GRPO against a reward model, from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.options import Json, Quiet


def align(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file; see recipes/align.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a policy with GRPO: reward less doubt and length, stopped when it drifts too far."""
    from tacit.extras import require

    require("tacit align", "trl", "accelerate")  # before anything that is part of them is imported
    from tacit.align.config import AlignConfig
    from tacit.align.grpo import align as run
    from tacit.align.grpo import is_first_process
    from tacit.cli import notes
    from tacit.cli.options import refuse_unwritable
    from tacit.cli.render import number, print_json, print_table

    checked = AlignConfig.read(config)
    if checked.lora is not None:
        require("lora", "peft")
    refuse_unwritable(checked.output)
    if is_first_process():
        notes.release()
    done = run(checked, quiet=quiet or json)
    if not is_first_process():
        return
    if json:
        print_json(
            {
                "output": done.output,
                "steps": done.steps,
                "prompts": done.prompts,
                "stopped": done.stopped,
                "history": done.history,
            }
        )
        return
    logged = [row for row in done.history if "reward" in row]
    shown = {
        "reward": "reward",
        "KL per token": "kl",
        "completion length": "completions/mean_length",
        "cut at the limit": "completions/clipped_ratio",
    }
    rows = [
        (name, number(logged[0].get(metric)), number(logged[-1].get(metric)))
        for name, metric in shown.items()
        if logged
    ]
    caption = f"stopped: {done.stopped[0]}" if done.stopped else ""
    print_table(
        f"{done.steps} steps on {done.prompts} prompts → {done.output}", ("", "first", "last"), rows, caption
    )
