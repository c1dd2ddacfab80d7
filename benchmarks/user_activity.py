"""What `--context user_activity` is worth: users who act unequally, with no other context and with some.

    python benchmarks/user_activity.py                                       # ten seeds, two cores
    python benchmarks/user_activity.py --out docs/results/user-activity.md
    python benchmarks/user_activity.py --taste 1.5                           # users who also like unequally

World: `users` on the embedded base, 400 people, and style moves clicks too. A quarter of the users is held out; scores
are judged on their answers, against the true preference. No fit but `oracle`'s reads whether an answer was liked. With
$TACIT_DATA set, the copies of RealHumanEval as well: held-out likelihood over programmers, five folds.
"""

from __future__ import annotations

import argparse
import os
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
from tacit.evaluation.bootstrap import Interval
from tacit.evaluation.crossval import cross_validate, truths
from tacit.evaluation.metrics import brier, within_prompt_accuracy
from tacit.evaluation.table import Predictions, compare
from tacit.features import EmbeddingStore
from tacit.fitting import prepare
from tacit.methods import get
from tacit.worlds import World, make, stdlib_base

KNOBS = {"members": 3, "hidden": (32, 16), "max_epochs": 60}
"""The same for all contenders."""

CONTEXTS = {
    "none": (),
    "user_activity": ("user_activity",),
    "true activity": ("activity",),
    "slot, device": ("slot", "device"),
    "slot, device, user_activity": ("slot", "device", "user_activity"),
}
HEAD = """# What user_activity is worth

`--context user_activity` ([logs](../logs.md#no-slot-no-device-who-acts)) among simulated users, and on a real log.

```bash
python benchmarks/user_activity.py --out docs/results/user-activity.md
```

## Simulated users

The world `users`: people of unequal activity and taste, style moves clicks, and slot and device do. Members, heads
and epochs are the same for all fits. A quarter of the users is held out; accuracy, Brier and the mean are of their
answers against the true preference. *True activity* is the users' own part of the true propensity, which no log holds.
*Level left open* is the width of the range that one signal leaves, as the fit states it; errors of fitting are not in
it.

"""
FIGURES = ("within-prompt accuracy", "Brier", "mean P(liked)", "level left open")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--taste", type=float, default=0.5, help="spread of what users like, in logits")
    parser.add_argument("--out", type=Path, help="write the tables here")
    options = parser.parse_args()
    warnings.simplefilter("ignore", IdentificationWarning)

    began = time.perf_counter()
    store = EmbeddingStore()
    text = HEAD + simulated(options.seeds, options.taste, store)
    data = os.environ.get("TACIT_DATA")
    if data:
        text += "\n## A real log\n\n" + copies(Path(data) / "realhumaneval" / "chat_data.csv", store)
    print(text)
    print(f"{time.perf_counter() - began:.0f} s")
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def simulated(seeds: int, taste: float, store: EmbeddingStore) -> str:
    """The table of the world."""
    base = stdlib_base()
    world = make("users", base, seeds=seeds, people=400, zipf=0.6, style=1.0, taste=taste)
    found: dict[str, list[list[float]]] = {}
    for seed in range(seeds):
        log = world.log_of(seed)
        table = log.table.append_column("row", pa.array(np.arange(len(log))))
        table = table.append_column("activity", pa.array(_true_activity(world)))
        log = FeedbackLog(table, log.roles, name=log.name)
        for name, context in CONTEXTS.items():
            own = log.with_roles(context=context)
            found.setdefault(f"`implicit_rm` | {name}", []).append(_judge(world, own, "implicit_rm", store))
        plain = log.with_roles(context=())
        found.setdefault("`naive` | not read", []).append(_judge(world, plain, "naive", store))
        told = pa.array(world.truth.liked_SN[seed].astype(np.float64))
        liked = FeedbackLog(table.append_column("liked", told), plain.roles, name=log.name)
        found.setdefault("`oracle` | not read", []).append(
            _judge(world, liked.with_roles(gold="liked"), "oracle", store)
        )
    truth = world.truth.preference_N
    baseline = np.array(found["`implicit_rm` | none"])[:, 0]
    lines = [
        f"{len(world.log):,} answers to {len(set(world.log.prompt_codes())):,} prompts by 400 users, whose tastes "
        f"differ by {taste:g} logits; {seeds} seeds (± standard deviation over them, last column ± standard error of "
        f"the paired mean); {truth.mean():.3f} of the answers are liked.",
        "",
        "| method | context | " + " | ".join(FIGURES) + " | accuracy above no context |",
        "| --- " * (3 + len(FIGURES)) + "|",
    ]
    for name, values in found.items():
        mean, spread = np.mean(values, axis=0), np.std(values, axis=0, ddof=1)
        cells = ["–" if np.isnan(m) else f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, spread, strict=True)]
        gain = np.array(values)[:, 0] - baseline
        cells.append(f"{gain.mean():+.3f} ± {gain.std(ddof=1) / len(gain) ** 0.5:.3f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _true_activity(world: World) -> NDArray[np.float64]:
    """The users' own part of the true propensity: its mean logit over their rows."""
    e_N = world.truth.propensity_SNK[0, :, 0]
    user_N = world.log.codes("user_id")
    logit_N = np.log(e_N) - np.log1p(-e_N)
    return np.asarray((np.bincount(user_N, logit_N) / np.bincount(user_N))[user_N])


def _judge(world: World, log: FeedbackLog, method: str, store: EmbeddingStore) -> list[float]:
    """The figures of a fit to three quarters of the users, on the answers that the others saw."""
    train, test = log.split(by="user_id", test=0.25, seed=0)
    rm = tacit.fit(train, method=method, store=store, config=KNOBS)
    rows = np.array(test.column("row"))
    preference = world.truth.preference_N[rows]
    chance = rm.probability(test, store=store)
    bounds = rm.info["metrics"]["base_rate_bounds"]
    return [
        within_prompt_accuracy(rm.score(test, store=store), preference, test.prompt_codes()),
        brier(chance, preference),
        float(chance.mean()),
        float("nan") if bounds is None else bounds[1] - bounds[0],
    ]


def copies(path: Path, store: EmbeddingStore) -> str:
    """The table of RealHumanEval: held-out programmers, all contexts on the same folds and bootstrap draws."""
    contexts = {"none": (), "as read": None, "user_activity": ("user_activity",)}
    found: list[Predictions] = []
    for name, context in contexts.items():
        log = FeedbackLog.read(path, context=context)
        methods = (
            [get("implicit_rm")] if context != () else [get("constant"), get("naive"), get("implicit_rm")]
        )
        made = cross_validate(prepare(log, store=store), methods, folds=5, by="user_id")
        found += [replace(p, method=name) if p.method == "implicit_rm" else p for p in made]
    lines = [
        "| method | context | log-likelihood of a copy | above none | above as read |",
        "| --- " * 5 + "|",
    ]
    references = ("none", "as read")
    for row in compare(found, truths(log, "user_id"), references=references):
        method, context_of = (
            ("implicit_rm", row.method) if row.method in contexts else (row.method, "not read")
        )
        figures = [row.metrics, *(row.against.get(other, {}) for other in references)]
        cells = " | ".join(_bounded(figure.get("log_likelihood")) for figure in figures)
        lines.append(f"| `{method}` | {context_of} | {cells} |")
    head = f"{path.name} of RealHumanEval: {len(log):,} replies to {len(set(log.codes('user_id')))} programmers, "
    return head + "five folds over programmers, 95 % intervals over them.\n\n" + "\n".join(lines) + "\n"


def _bounded(found: Interval | None) -> str:
    return "–" if found is None else f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


if __name__ == "__main__":
    main()
