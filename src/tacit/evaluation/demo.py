"""The demonstration: fit what people usually do, what the paper does and what we do, and compare with the truth.

The world is simulated (`tacit.worlds`), so the truth is known; no method but `oracle` sees it. Each seed draws its
own preferences and clicks on the same answers; the ensembles of all seeds are trained as one batch.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit import methods
from tacit.errors import IdentificationWarning
from tacit.evaluation.bench.contenders import Contender
from tacit.evaluation.bench.results import NO_DISTANCE, spread
from tacit.evaluation.metrics import auroc, brier, ece, within_prompt_accuracy
from tacit.evaluation.side_by_side import processes, side_by_side
from tacit.features import EmbeddingStore
from tacit.fitting import prepare
from tacit.methods import Observations
from tacit.model import Inputs, Scalings
from tacit.progress import progress
from tacit.training.config import TrainingConfig
from tacit.training.roster import Roster, grouped_folds, roster, teams
from tacit.training.selection import train_best
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
        """Standard deviation over seeds; NaN of one seed alone, which says nothing of it."""
        return spread(self.by_seed[metric])

    def to_json(self) -> dict[str, Any]:
        """Means by metric, the number of seeds, and the spread and values behind them; None where undefined."""
        return {
            "method": self.method,
            "protocol": self.protocol,
            **{metric: _known(self.mean(metric)) for metric in METRICS},
            "seeds": len(self.by_seed["auroc"]),
            "spread": {metric: _known(self.spread(metric)) for metric in METRICS},
            "by_seed": {
                metric: [_known(value) for value in values] for metric, values in self.by_seed.items()
            },
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
        """Share of the distance from naive to oracle, in within-prompt accuracy, that `implicit_rm` covers.

        NaN where there is none to speak of: below .01, as in the tables of the bench.
        """
        naive, ours, oracle = (
            self.row(name).mean("within_prompt_accuracy") for name in ("naive", "implicit_rm", "oracle")
        )
        return (ours - naive) / (oracle - naive) if oracle - naive >= NO_DISTANCE else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "true_base_rate": self.true_base_rate,
            "click_rate": self.click_rate,
            "recovered": _known(self.recovered),
            "responses": self.responses,
            "prompts": self.prompts,
        }

    def sentences(self) -> tuple[str, str]:
        """What the table says, for someone who sees it for the first time."""
        naive, ours = self.row("naive"), self.row("implicit_rm")
        liked = f"estimates that {ours.mean('base_rate'):.0%} of the answers are liked."
        first = (
            f"Users copied only {self.click_rate:.0%} of the answers although they liked "
            f"{self.true_base_rate:.0%} of them, so a model that reads silence as dislike (naive) prefers what gets "
            "copied, long answers"
        )
        blind = "implicit_rm got the same clicks and not one label"
        if math.isnan(self.row("oracle").mean("within_prompt_accuracy")):
            return f"{first}.", (
                f"{blind}, and {liked} In one seed at least no question of the test has an answer that is liked "
                "beside one that is not: too few questions to say who orders answers better; take more of them."
            )
        first = f"{first}, and puts the better of two answers first {_percent(naive)} of the time."
        if math.isnan(self.recovered):
            return first, (
                f"{blind}; it gets {_percent(ours)} right, and {liked} But a model trained on the truth itself "
                f"(oracle) gets {_percent(self.row('oracle'))} right, hardly more than naive or less: nothing here "
                "tells how much of the way implicit_rm came; take more questions."
            )
        return first, (
            f"{blind}; by modelling who would have clicked at all it gets "
            f"{_percent(ours)} right, {self.recovered:.0%} of the way to a model trained on the truth itself (oracle), "
            f"and {liked}"
        )


def _percent(row: DemoRow) -> str:
    return f"{row.mean('within_prompt_accuracy'):.0%}"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


_CONTENDERS = (
    Contender("constant", methods.Constant()),
    Contender("length", methods.Length()),
    Contender("naive", methods.Naive()),
    Contender("implicit_rm_published", methods.ImplicitRM(), "text"),
    Contender("implicit_rm", methods.ImplicitRM()),
    Contender("oracle", methods.Oracle(), protocol="oracle"),
)
"""In the order of the table."""
_BEGUN = ("implicit_rm", "implicit_rm_published", "oracle", "naive", "length", "constant")
"""In the order of fitting: the longest first, so that no process is left alone with it at the end."""


@dataclass(frozen=True)
class _Log:
    """What every contender reads: features of all rows, the copies of all seeds, who trains on what."""

    inputs: Inputs
    scalings: Scalings
    observed: Observations
    liked_SN: torch.Tensor
    everyone: Roster
    test_N: NDArray[np.bool_]


def run_demo(
    seeds: int = 5,
    *,
    encoder: str = "minilm",
    limit: int | None = None,
    store: EmbeddingStore | None = None,
    config: TrainingConfig | None = None,
    jobs: int | None = 1,
    quiet: bool = True,
) -> DemoResult:
    """Build the world, fit every method for every seed, and judge them on questions they never saw.

    Args:
        seeds: repetitions, each with its own luck.
        encoder: as in `tacit.fit`.
        limit: at most this many questions, for a quick look.
        store: embedding cache.
        config: training knobs.
        jobs: processes that fit side by side; None takes one per core. Results do not depend on it.
        quiet: no progress bars.

    Raises:
        ConfigError: fewer than one seed or job.
    """
    config = config or TrainingConfig()
    at_once = processes(jobs)
    world = demo_world(seeds, limit=limit)
    groups_N = world.log.prompt_codes()
    test_N = grouped_folds(groups_N, _TEST_FOLDS, config.seed) == 0
    clicks = torch.from_numpy(world.clicks_SN).to(torch.float32)[..., None]
    prepared = prepare(world.log, encoder, store=store, quiet=quiet)
    seen = _Log(
        prepared.inputs,
        prepared.scalings,
        Observations(clicks, torch.ones_like(clicks, dtype=torch.bool), (1,)),
        torch.from_numpy(world.truth.liked_SN).to(torch.float32),
        teams(
            roster(groups_N, config.members, config.seed),
            torch.from_numpy(~test_N).expand(seeds, -1),
            seeds=range(seeds),
        ),
        test_N,
    )
    todo = sorted(_CONTENDERS, key=lambda one: _BEGUN.index(one.name))
    rows: dict[str, DemoRow] = {}
    with progress("fitting", len(todo), quiet=quiet) as bar:
        for i, scores_Sn, told in side_by_side(partial(_fit, log=seen, config=config), todo, at_once):
            one = todo[i]
            for warning in told:
                warnings.warn(f"{one.name}: {warning}", IdentificationWarning, stacklevel=2)
            by_seed: dict[str, list[float]] = {metric: [] for metric in METRICS}
            for score_n, liked_N in zip(scores_Sn, world.truth.liked_SN, strict=True):
                _judge(by_seed, score_n, liked_N[test_N], groups_N[test_N])
            rows[one.name] = DemoRow(one.name, one.protocol, by_seed)
            bar.advance(1, one.name)
    return DemoResult(
        [rows[one.name] for one in _CONTENDERS],
        true_base_rate=float(world.truth.liked_SN[:, test_N].mean()),
        click_rate=float(world.clicks_SN[:, test_N].mean()),
        responses=len(world.log),
        prompts=len(set(groups_N.tolist())),
    )


def _fit(one: Contender, log: _Log, config: TrainingConfig) -> NDArray[np.float64]:
    """Test scores of one contender for every seed [S, n]."""
    views = log.scalings.views(log.inputs, one.form)
    obs = log.observed
    if one.method.reads_gold:
        obs = replace(obs, gold_B=log.liked_SN, gold_known_B=torch.ones_like(log.liked_SN, dtype=torch.bool))
    obs = obs.members(torch.tensor(log.everyone.team))
    ensembles, _ = train_best(one.method, views, obs, log.everyone, config)
    tested = torch.from_numpy(np.flatnonzero(log.test_N))
    scores_Sn: NDArray[np.float64] = np.stack(
        [e.rewards(one.method, views, tested).mean(0).numpy().astype(np.float64) for e in ensembles]
    )
    return scores_Sn


def _judge(
    by_seed: dict[str, list[float]],
    score_n: NDArray[np.float64],
    liked_n: NDArray[np.int8],
    groups_n: NDArray[np.int64],
) -> None:
    from scipy.special import expit

    probability_n = expit(score_n)
    by_seed["within_prompt_accuracy"].append(within_prompt_accuracy(score_n, liked_n, groups_n))
    by_seed["auroc"].append(auroc(score_n, liked_n))
    by_seed["brier"].append(brier(probability_n, liked_n))
    by_seed["ece"].append(ece(probability_n, liked_n))
    by_seed["base_rate"].append(float(probability_n.mean()))
