"""Seconds that every estimator takes to fit, and how many times those of `naive`.

    python benchmarks/methods.py                       # a Markdown table
    python benchmarks/methods.py --only naive,upl      # two rows of it

Every estimator is fitted as `tacit.fit` would: nuisance stages, warm-up, variants and calibration count,
and a network that starts from a linear head pays for that head. All get the same rows, members, head, weight decay and
epochs, and nobody stops early. The rows are drawn: 4,000 of 384 columns, eight answers to a prompt, two columns of
context; clicks for estimators of implicit feedback and of either kind, labels on half of the rows for the others.
Estimators take turns, and the best time of each counts: what a neighbour on the machine adds is no property of it.

Exit status 1 if an estimator takes more than LIMIT times as long as `naive` in the same run.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read by OpenMP when torch is loaded

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.errors import ConfigError, IdentificationWarning
from tacit.methods import Method, Observations, available, get, observations
from tacit.training.config import TrainingConfig
from tacit.training.roster import roster
from tacit.training.selection import refuse_short, train_best
from tacit.training.views import Block, View, Views

ROWS, WIDTH, ROWS_PER_PROMPT, CONTEXT = 4000, 384, 8, 2
HIDDEN = (64, 16)
DECAY = 3.0
REFERENCE = "naive"
LIMIT = 6.0


def make_views(seed: int) -> tuple[Views, NDArray[np.float32]]:
    """Every view that a head may ask for, and the logit [N] of being liked."""
    rng = np.random.default_rng(seed)
    text_ND = rng.standard_normal((ROWS, WIDTH), dtype=np.float32)
    few = WIDTH // 10
    logit_N = 2 * text_ND[:, :few] @ rng.standard_normal(few, dtype=np.float32) / few**0.5
    prompt_ND = np.repeat(text_ND[::ROWS_PER_PROMPT], ROWS_PER_PROMPT, axis=0)
    context_NC = rng.standard_normal((ROWS, CONTEXT), dtype=np.float32)
    text, context = Block.fit(text_ND.astype(np.float16)), Block.fit(context_NC)
    views = {
        "reward": View("text", (text,)),
        "all": View("all", (text, context)),
        "propensity": View("context", (context,)),
        "context": View("context", (context,)),
        "prompt": View("prompt", (Block.fit(prompt_ND.astype(np.float16)),)),
        "length": View("length", (Block.fit(text_ND[:, :1]),)),
    }
    return views, logit_N.astype(np.float32)


def make_feedback(views: Views, logit_N: NDArray[np.float32], seed: int, *, labels: bool) -> Observations:
    """Clicks, or labels of which a tenth is wrong and half is missing; context moves who acts. Gold is beside them."""
    rng = np.random.default_rng(seed + 1)
    liked_N = rng.random(ROWS) < 1 / (1 + np.exp(-logit_N))
    context_N = views["context"].blocks[0].values[:, 0].astype(np.float32)
    acts_N = rng.random(ROWS) < 1 / (1 + np.exp(-context_N))
    wrong_N = rng.random(ROWS) < 0.1
    signal_N = np.where(acts_N, liked_N ^ wrong_N, np.nan) if labels else liked_N & acts_N
    return observations(
        torch.from_numpy(signal_N.astype(np.float32)),
        gold=torch.from_numpy(liked_N.astype(np.float32)),
        groups=torch.arange(ROWS) // ROWS_PER_PROMPT,
    )


def seconds(method: Method, views: Views, feedback: Observations, config: TrainingConfig) -> float:
    """Seconds of one fit."""
    obs = feedback if method.reads_gold else feedback.without_gold()
    if "propensity" in method.needs:  # which has to be handed in
        obs = obs.with_columns(e=torch.tensor([0.5]))
    who = roster(np.arange(ROWS) // ROWS_PER_PROMPT, config.members, config.seed)
    began = time.perf_counter()
    train_best(method, views, obs, who, config)
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12, help="of every fit and of every stage before it")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="comma-separated names; all by default")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = [name.strip() for name in options.only.split(",") if name.strip()] or list(available())
    config = TrainingConfig(
        members=options.members,
        hidden=HIDDEN,
        weight_decay=DECAY,
        max_epochs=options.epochs,
        patience=options.epochs,
        seed=options.seed,
    )
    try:
        chosen = {name: get(name) for name in dict.fromkeys((REFERENCE, *names))}
        for method in chosen.values():
            refuse_short(method, config)
    except ConfigError as error:
        parser.error(str(error))

    views, logit_N = make_views(options.seed)
    clicks, labels = (make_feedback(views, logit_N, options.seed, labels=kind) for kind in (False, True))
    took: dict[str, list[float]] = {name: [] for name in chosen}
    warnings.simplefilter("ignore", IdentificationWarning)
    seconds(chosen[REFERENCE], views, clicks, config)  # the first fit of a process also loads libraries
    for turn in range(options.rounds):
        for name, method in chosen.items():
            feedback = labels if method.setting in ("explicit", "pairwise") else clicks
            took[name].append(seconds(method, views, feedback, config))
            print(f"round {turn + 1}: {name} {took[name][-1]:.2f} s", file=sys.stderr)

    best = {name: min(values) for name, values in took.items()}
    ratio = {name: value / best[REFERENCE] for name, value in best.items()}
    print(
        f"{ROWS:,} rows of {WIDTH} columns, {options.members} members, head {HIDDEN}, {options.epochs} epochs, "
        f"{options.threads} threads; best of {options.rounds}, in turn\n"
    )
    print(f"| estimator | setting | seconds | × {REFERENCE} | at most {LIMIT:g} |\n|---|---|---|---|---|")
    for name in sorted(chosen, key=ratio.__getitem__):
        verdict = "yes" if ratio[name] <= LIMIT else "**no**"
        print(f"| `{name}` | {chosen[name].setting} | {best[name]:.2f} | {ratio[name]:.2f} | {verdict} |")
    return int(max(ratio.values()) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
