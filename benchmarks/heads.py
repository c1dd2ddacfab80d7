"""Seconds per epoch of the ensemble engine against the usual PyTorch loop, and what the machine multiplies.

    python benchmarks/heads.py            # a table; --json for machines

The usual loop is `DataLoader(TensorDataset(...), batch_size=512, shuffle=True)` with one float32 network
D-256-64-1, Adam and binary cross-entropy; it trains on all rows and judges none. The engine trains the same network
as 1 or 5 members, as `tacit.fit` would: every member holds out its own fifth of the prompts, so five members together
train on all rows (one member on four fifths), and each epoch includes gathering float16 features, standardising them,
weight decay, and judging every member on the rows it holds out. Contenders take turns; medians are compared.

Waiting threads sleep unless OMP_WAIT_POLICY says otherwise, as under the Makefile: on a machine that is not idle,
spinning threads would measure the neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read by OpenMP when torch is loaded

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from tacit.methods import get, observations
from tacit.training.config import TrainingConfig
from tacit.training.engine import train
from tacit.training.ensemble import Plan
from tacit.training.roster import roster
from tacit.training.views import Block, View

HIDDEN = (256, 64)
BATCH = 512
LR = 5e-4
ROWS_PER_PROMPT = 4
TARGET = 2.0


class Stopwatch:
    """Told once per epoch by the engine, in the place of a progress bar."""

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self._last = time.perf_counter()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Note the time since the last epoch."""
        now = time.perf_counter()
        self.epochs.append(now - self._last)
        self._last = now


def make_rows(rows: int, width: int, seed: int) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Float16 features [N, D] and clicks [N] that depend on a tenth of the columns."""
    rng = np.random.default_rng(seed)
    values = np.empty((rows, width), dtype=np.float16)
    for start in range(0, rows, 4096):  # never the whole matrix in float64
        part = values[start : start + 4096]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
    few = max(1, width // 10)
    logit = values[:, :few].astype(np.float32) @ rng.standard_normal(few, dtype=np.float32) / few**0.5
    return values, (rng.random(rows) < 1 / (1 + np.exp(-2 * logit))).astype(np.float32)


def plain_loop(x_ND: torch.Tensor, y_N: torch.Tensor, epochs: int) -> list[float]:
    """Seconds of each epoch of the loop that everybody writes first."""
    torch.manual_seed(0)
    loader = DataLoader(TensorDataset(x_ND, y_N), batch_size=BATCH, shuffle=True)
    network = torch.nn.Sequential(
        torch.nn.Linear(x_ND.shape[1], HIDDEN[0]),
        torch.nn.LeakyReLU(),
        torch.nn.Linear(*HIDDEN),
        torch.nn.LeakyReLU(),
        torch.nn.Linear(HIDDEN[1], 1),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    loss_of = torch.nn.BCEWithLogitsLoss()
    took = []
    for _ in range(epochs):
        began = time.perf_counter()
        for x_BD, y_B in loader:
            optimizer.zero_grad()
            loss = loss_of(network(x_BD)[:, 0], y_B)
            loss.backward()
            optimizer.step()
        took.append(time.perf_counter() - began)
    return took


def engine(x_ND: NDArray[np.float16], y_N: NDArray[np.float32], members: int, epochs: int) -> list[float]:
    """Seconds of each epoch of the engine, judging included."""
    who = roster(np.arange(len(y_N)) // ROWS_PER_PROMPT, members, seed=0)
    held_out_MN = who.fold_N[None] == torch.tensor(who.hold_out)[:, None]
    plan = Plan(who.seeds, ~held_out_MN, held_out_MN, who.half_N, (3.0,) * members)
    config = TrainingConfig(
        members=members, hidden=HIDDEN, lr=LR, batch_size=BATCH, max_epochs=epochs, patience=epochs
    )
    views = {"reward": View("text", (Block.fit(x_ND),))}
    watch = Stopwatch()
    train(
        get("naive"),
        views,
        observations(torch.from_numpy(y_N)),
        plan,
        config,
        HIDDEN,
        progress=watch,
    )
    return watch.epochs


def gemm_rate(width: int, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """GFLOP/s of [512, D] @ [D, 1280]: the first product of five members with 256 hidden units."""
    a, b = torch.randn(BATCH, width).to(dtype), torch.randn(width, 5 * HIDDEN[0]).to(dtype)
    for _ in range(3):
        a @ b
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        a @ b
        count += 1
    return 2 * BATCH * width * 5 * HIDDEN[0] * count / (time.perf_counter() - began) / 1e9


def compare(width: int, options: argparse.Namespace) -> dict[str, Any]:
    """All contenders at one width."""
    values, clicks = make_rows(options.rows, width, options.seed)
    scaling = Block.fit(values).scaling
    x_ND = (torch.from_numpy(values).float() - torch.from_numpy(scaling.mean)) / torch.from_numpy(
        scaling.scale
    )
    y_N = torch.from_numpy(clicks)
    contenders: dict[str, Callable[[], list[float]]] = {
        "plain": lambda: plain_loop(x_ND, y_N, options.epochs),
        "engine_1": lambda: engine(values, clicks, 1, options.epochs),
        "engine_5": lambda: engine(values, clicks, 5, options.epochs),
    }
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, run in contenders.items():
            took[name] += run()[1:]  # the first epoch of a run allocates
    median = {name: statistics.median(values) for name, values in took.items()}
    return {
        "width": width,
        "seconds_per_epoch": median,
        "all": took,
        "ratio_1": median["engine_1"] / median["plain"],
        "ratio_5": median["engine_5"] / median["plain"],
        "gflops_bf16": gemm_rate(width, torch.bfloat16),
        "gflops_fp32": gemm_rate(width, torch.float32),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=24_000)
    parser.add_argument("--widths", type=int, nargs="+", default=[384, 4096])
    parser.add_argument("--epochs", type=int, default=3, help="per turn; the first of each is not counted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.epochs < 2 or options.rounds < 1:
        parser.error("--epochs must be at least 2 and --rounds at least 1")
    torch.set_num_threads(options.threads)

    rows = [compare(width, options) for width in options.widths]
    if options.json:
        print(json.dumps({"rows": rows, "target": TARGET, "options": vars(options)}))
        return
    counted = (options.epochs - 1) * options.rounds
    print(f"{options.rows} rows, {options.threads} threads, seconds per epoch, median of {counted} in turn\n")
    print(
        f"{'width':>6}{'plain loop':>12}{'1 member':>10}{'5 members':>11}{'5 / plain':>11}{'target':>8}"
        f"{'bf16 GFLOP/s':>15}{'fp32 GFLOP/s':>14}"
    )
    for row in rows:
        seconds = row["seconds_per_epoch"]
        print(
            f"{row['width']:>6}{seconds['plain']:>12.3f}{seconds['engine_1']:>10.3f}{seconds['engine_5']:>11.3f}"
            f"{row['ratio_5']:>11.2f}{f'≤ {TARGET}':>8}{row['gflops_bf16']:>15.0f}{row['gflops_fp32']:>14.0f}"
        )
    print(
        "\nThe plain loop trains one network on all rows and judges none; members each hold out a fifth of the "
        "prompts\nand are judged on it within the epoch (one member alone trains on four fifths)."
    )


if __name__ == "__main__":
    main()
