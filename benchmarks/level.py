"""How often the interval that a fit states for the share of liked responses holds the true share, by size of the log.

    python benchmarks/level.py                                # 12 logs per world and size: 40 minutes beside other work
    python benchmarks/level.py --out docs/results/level.md

Worlds of known truth on the embedded base; users of another draw in each log. No clean label is read by any fit but of
the rows that are audited.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import tacit
from tacit.data import FeedbackLog
from tacit.errors import IdentificationWarning
from tacit.features import EmbeddingStore
from tacit.worlds import make, stdlib_base

WORLDS = {
    "context": ("context", 0.0),
    "style": ("style", 0.0),
    "both": ("both", 0.0),
    "misclicks": ("misclicks", 0.0),
    "users": ("users", 0.0),
    "both, a tenth audited": ("both", 0.1),
}
"""World, and share of the rows of which it is known whether the answer was liked."""
SIZES = (25, 100, 400)
HEAD = """# How often the stated interval holds

`tacit fit` states between what shares of liked responses it cannot decide ([training](../training.md)). Here the truth
is known:

```bash
python benchmarks/level.py --out docs/results/level.md
```

*Bounds* are what one signal leaves open however long the log (`base_rate_bounds`), *interval* has the error of
fitting as well (`base_rate_interval`, 95 %). *Holds* counts the logs where the true share lies within. Of the rows
that are audited, chosen at random, the fit reads whether the answer was liked (`use_gold`); then nothing stays open,
and the interval is the error of fitting alone. In short logs the stated share itself is too low: read the interval.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=WORLDS)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="prompts, five answers each")
    parser.add_argument("--out", type=Path, help="write the table here")
    options = parser.parse_args()
    warnings.simplefilter("ignore", IdentificationWarning)

    began = time.perf_counter()
    lines = [
        "| world | rows | true share | stated share | mean error | bounds hold | interval holds | its width |",
        "| --- " * 8 + "|",
    ]
    print("\n".join(lines))
    for name in options.worlds:
        for prompts in map(int, options.sizes.split(",")):
            lines.append(row(name, prompts, options.seeds))
            print(lines[-1], flush=True)
    print(f"{time.perf_counter() - began:.0f} s")
    if options.out:
        options.out.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def row(name: str, prompts: int, seeds: int) -> str:
    """The line of one world and size."""
    base, store = stdlib_base(prompts), EmbeddingStore()
    kind, audited = WORLDS[name]
    world = make(kind, base, seeds=seeds)
    truth = float(world.truth.preference_N.mean())
    stated, bounds, intervals = [], [], []
    for seed in range(seeds):
        log = world.log_of(seed)
        if audited:
            log = _audited(log, world.truth.liked_SN[seed], audited, seed)
        found = tacit.fit(log, store=store, use_gold=audited > 0).info["metrics"]
        stated.append(found["base_rate"])
        bounds.append(found["base_rate_bounds"] or [np.nan, np.nan])
        intervals.append(found["base_rate_interval"])
    error = np.abs(np.array(stated) - truth).mean()
    width = np.diff(intervals, axis=1).mean()
    figures = [
        f"{len(base):,}",
        f"{truth:.3f}",
        f"{np.mean(stated):.3f} ± {np.std(stated):.3f}",
        f"{error:.3f}",
        _held(bounds, truth),
        _held(intervals, truth),
        f"{width:.2f}",
    ]
    return f"| {name} | {' | '.join(figures)} |"


def _audited(log: FeedbackLog, liked_N: NDArray[np.bool_], share: float, seed: int) -> FeedbackLog:
    """The log with gold on a random share of its rows."""
    chosen_N = np.random.default_rng(seed).random(len(log)) < share
    told = pa.array(liked_N.astype(float), mask=~chosen_N)
    table = log.table.append_column("audit", told)
    return FeedbackLog(table, replace(log.roles, gold="audit"), name=log.name)


def _held(ranges: list[list[float]], truth: float) -> str:
    low_S, high_S = np.array(ranges, dtype=float).T
    if np.isnan(low_S).all():
        return "–"
    return f"{int(((low_S <= truth) & (truth <= high_S)).sum())} of {len(ranges)}"


if __name__ == "__main__":
    main()
