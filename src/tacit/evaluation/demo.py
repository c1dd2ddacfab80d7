"""The demonstration: fit what people usually do, what the paper does and what we do, and compare with the truth.

The world is simulated (`tacit.worlds`), so the truth is known; no method but `oracle` sees it. Each seed draws its
own preferences and clicks on the same answers; the ensembles of all seeds are trained as one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit import methods
from tacit.evaluation.metrics import auroc, brier, ece, within_prompt_accuracy
from tacit.features import EmbeddingStore
from tacit.fitting import prepare
from tacit.methods import Method, Observations
from tacit.model import PropensityFeatures
from tacit.progress import progress
from tacit.training.config import TrainingConfig
from tacit.training.selection import grouped_folds, roster, teams, train_best
from tacit.worlds import demo_world

METRICS = ("within_prompt_accuracy", "auroc", "brier", "ece", "base_rate")
_TEST_FOLDS = 4  # a quarter of the questions is kept for the test


@dataclass(frozen=True)
class DemoRow:
    """One method: each metric for every seed."""

    method: str
    protocol: str
    by_seed: dict[str, list[float]]

    def mean(self, metric: str) -> float:
        """Mean over seeds."""
        return float(np.mean(self.by_seed[metric]))

    def spread(self, metric: str) -> float:
        """Standard deviation over seeds."""
        return float(np.std(self.by_seed[metric]))

    def to_json(self) -> dict[str, Any]:
        """Means by metric, the number of seeds, and the spread and values behind them."""
        return {
            "method": self.method,
            "protocol": self.protocol,
            **{metric: self.mean(metric) for metric in METRICS},
            "seeds": len(self.by_seed["auroc"]),
            "spread": {metric: self.spread(metric) for metric in METRICS},
            "by_seed": self.by_seed,
        }


@dataclass(frozen=True)
class DemoResult:
    """The table of the demonstration."""

    rows: list[DemoRow]
    true_base_rate: float
    click_rate: float
    responses: int
    prompts: int

    def row(self, method: str) -> DemoRow:
        """The row of one method."""
        return next(row for row in self.rows if row.method == method)

    @property
    def recovered(self) -> float:
        """Share of the distance from naive to oracle, in within-prompt accuracy, that `implicit_rm` covers."""
        naive, ours, oracle = (
            self.row(name).mean("within_prompt_accuracy") for name in ("naive", "implicit_rm", "oracle")
        )
        return (ours - naive) / (oracle - naive)

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "true_base_rate": self.true_base_rate,
            "click_rate": self.click_rate,
            "recovered": self.recovered,
            "responses": self.responses,
            "prompts": self.prompts,
        }

    def sentences(self) -> tuple[str, str]:
        """What the table says, for someone who sees it for the first time."""
        naive, ours = self.row("naive"), self.row("implicit_rm")
        first = (
            f"Users copied only {self.click_rate:.0%} of the answers although they liked "
            f"{self.true_base_rate:.0%} of them, so a model that reads silence as dislike (naive) prefers what gets "
            f"copied, long answers, and puts the better of two answers first {_percent(naive)} of the time."
        )
        second = (
            f"implicit_rm got the same clicks and not one label; by modelling who would have clicked at all it gets "
            f"{_percent(ours)} right, {self.recovered:.0%} of the way to a model trained on the truth itself (oracle), "
            f"and estimates that {ours.mean('base_rate'):.0%} of the answers are liked."
        )
        return first, second


def _percent(row: DemoRow) -> str:
    return f"{row.mean('within_prompt_accuracy'):.0%}"


def run_demo(
    seeds: int = 5,
    *,
    encoder: str = "minilm",
    limit: int | None = None,
    store: EmbeddingStore | None = None,
    config: TrainingConfig | None = None,
    quiet: bool = True,
) -> DemoResult:
    """Build the world, fit every method for every seed, and judge them on questions they never saw.

    Args:
        seeds: repetitions, each with its own luck.
        encoder: as in `tacit.fit`.
        limit: at most this many questions, for a quick look.
        store: embedding cache.
        config: training knobs.
        quiet: no progress bars.
    """
    config = config or TrainingConfig()
    world = demo_world(seeds, limit=limit)
    groups_N = world.log.prompt_codes()
    test_N = grouped_folds(groups_N, _TEST_FOLDS, config.seed) == 0
    prepared = prepare(world.log, encoder, store=store, quiet=quiet)
    clicks = torch.from_numpy(world.clicks_SN).to(torch.float32)[..., None]
    observed = Observations(clicks, torch.ones_like(clicks, dtype=torch.bool), (1,))
    liked = torch.from_numpy(world.truth.liked_SN).to(torch.float32)
    clean = Observations(
        observed.signals_BK, observed.visible_BK, (1,), liked, torch.ones_like(liked, dtype=torch.bool)
    )
    everyone = teams(
        roster(groups_N, config.members, config.seed),
        torch.from_numpy(~test_N).expand(seeds, -1),
        seeds=range(seeds),
    )
    team_M = torch.tensor(everyone.team)
    contenders: list[tuple[str, Method, PropensityFeatures]] = [
        ("constant", methods.Constant(), "context"),
        ("length", methods.Length(), "context"),
        ("naive", methods.Naive(), "context"),
        ("implicit_rm_published", methods.ImplicitRM(), "text"),
        ("implicit_rm", methods.ImplicitRM(), "context"),
        ("oracle", methods.Oracle(), "context"),
    ]
    rows = []
    with progress("fitting", len(contenders), quiet=quiet) as bar:
        for name, method, form in contenders:
            views = prepared.scalings.views(prepared.inputs, form)
            obs = (clean if method.reads_gold else observed).members(team_M)
            ensembles, _ = train_best(method, views, obs, everyone, config)
            tested = torch.from_numpy(np.flatnonzero(test_N))
            by_seed: dict[str, list[float]] = {metric: [] for metric in METRICS}
            for seed, ensemble in enumerate(ensembles):
                score_n = ensemble.rewards(method, views, tested).mean(0).numpy().astype(np.float64)
                _judge(by_seed, score_n, world.truth.liked_SN[seed][test_N], groups_N[test_N])
            rows.append(DemoRow(name, "oracle" if method.reads_gold else "honest", by_seed))
            bar.advance(1, name)
    return DemoResult(
        rows,
        true_base_rate=float(world.truth.liked_SN[:, test_N].mean()),
        click_rate=float(world.clicks_SN[:, test_N].mean()),
        responses=len(world.log),
        prompts=len(set(groups_N.tolist())),
    )


def _judge(
    by_seed: dict[str, list[float]],
    score_n: NDArray[np.float64],
    liked_n: NDArray[np.int8],
    groups_n: NDArray[np.int64],
) -> None:
    probability_n = 1 / (1 + np.exp(-score_n))
    by_seed["within_prompt_accuracy"].append(within_prompt_accuracy(score_n, liked_n, groups_n))
    by_seed["auroc"].append(auroc(score_n, liked_n))
    by_seed["brier"].append(brier(probability_n, liked_n))
    by_seed["ece"].append(ece(probability_n, liked_n))
    by_seed["base_rate"].append(float(probability_n.mean()))
