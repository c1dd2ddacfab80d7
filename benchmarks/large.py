"""What a fit of a large log costs: seconds and peak memory of `tacit fit`, and how well the model ranks afterwards.

    python benchmarks/large.py --rows 100000 400000    # a table; --json for machines

Responses are words drawn at random, each of which makes a response a little better or worse; users copy what they
like in one of four slots. Words are hashed, so that what is timed is reading, heads and statements, not an encoder.
Every log is fitted by a process of its own; AUROC is that of 20,000 further answers against the likes that were
drawn, beside that of the true probabilities.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit
from sklearn.metrics import roc_auc_score

import tacit

_WORDS, _SLOTS = 400, (0.7, 0.5, 0.3, 0.1)
_FRESH = 20_000


def shown(rows: int, seed: int) -> dict[str, Any]:
    """Prompts with four answers each, one in every slot; the worth of a word does not depend on the seed."""
    worth_W = np.random.default_rng(0).normal(size=_WORDS)
    words_W = np.array([f"word{w}" for w in range(_WORDS)])
    rng = np.random.default_rng(seed)
    counts_N = rng.integers(20, 100, size=rows)
    drawn = rng.integers(0, _WORDS, size=int(counts_N.sum()))
    starts_N = np.concatenate([[0], counts_N.cumsum()[:-1]])
    p_N = expit(np.add.reduceat(worth_W[drawn], starts_N) / 4)
    slot_N = np.arange(rows) % len(_SLOTS)
    liked_N = rng.random(rows) < p_N
    return {
        "prompt": [f"question {n // len(_SLOTS)}" for n in range(rows)],
        "response": [" ".join(words_W[part]) for part in np.split(drawn, starts_N[1:])],
        "slot": slot_N,
        "copied": (liked_N & (rng.random(rows) < np.array(_SLOTS)[slot_N])).astype(np.int8),
        "liked": liked_N,
        "p": p_N,
    }


def fitted(log: Path, out: Path, encoder: str, seed: int) -> tuple[float, float]:
    """Seconds and peak memory in GB of one fit in its own process."""
    command = [sys.executable, "-m", "tacit", "fit", str(log), "--signal", "copied", "--context", "slot"]
    command += ["--encoder", encoder, "--seed", str(seed), "--quiet", "--out", str(out)]
    began = time.perf_counter()
    _, status, used = os.wait4(os.posix_spawn(sys.executable, command, os.environ), 0)
    if status:
        raise SystemExit(f"tacit fit ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, used.ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 400_000])
    parser.add_argument("--encoder", default="hashing:512")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    fresh = shown(_FRESH, seed=options.seed + 1_000)
    best = float(roc_auc_score(fresh["liked"], fresh["p"]))
    rows = []
    for count in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            made = shown(count, options.seed)
            log = Path(folder) / "log.parquet"
            pq.write_table(
                pa.table({name: made[name] for name in ("prompt", "response", "slot", "copied")}), log
            )
            share = float(made["liked"].mean())
            del made
            seconds, memory = fitted(log, Path(folder) / "rm", options.encoder, options.seed)
            rm = tacit.RewardModel.load(Path(folder) / "rm")
            auroc = float(
                roc_auc_score(
                    fresh["liked"], rm.score(list(zip(fresh["prompt"], fresh["response"], strict=True)))
                )
            )
            rows.append(
                {"rows": count, "seconds": seconds, "peak_gb": memory, "auroc": auroc, "best_auroc": best}
                | {"stated_share": rm.info["metrics"]["base_rate"], "true_share": share}
            )
    if options.json:
        print(json.dumps({"rows": rows, "encoder": options.encoder, "seed": options.seed}))
        return
    print(f"{'rows':>10}{'seconds':>10}{'peak GB':>10}{'AUROC':>8}{'best':>7}{'stated':>9}{'true':>7}")
    for row in rows:
        print(
            f"{row['rows']:>10,}{row['seconds']:>10.0f}{row['peak_gb']:>10.1f}{row['auroc']:>8.3f}"
            f"{row['best_auroc']:>7.3f}{row['stated_share']:>9.3f}{row['true_share']:>7.3f}"
        )


if __name__ == "__main__":
    main()
