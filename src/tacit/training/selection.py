"""Choosing head size and weight decay by held-out observed likelihood, after the nuisances that a method needs.

All weight decays of one head size are trained in the same pass, as further members.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.method import Method
from tacit.methods.observations import Observations, concatenate
from tacit.progress import Progress
from tacit.training.checkpoint import Checkpoint
from tacit.training.config import TrainingConfig
from tacit.training.engine import train
from tacit.training.ensemble import Ensemble, Plan, Weights
from tacit.training.roster import Roster
from tacit.training.stages import run_stages
from tacit.training.state import WIDE_VIEWS
from tacit.training.temperature import recalibrate
from tacit.training.views import Views

CANDIDATES: dict[tuple[int, ...], tuple[float, ...]] = {(): (1.0, 5.0), (64, 16): (3.0, 30.0)}
"""Weight decays to try for each reward head; a decay acts through its learning rate, so heads differ."""
USUAL_ROWS = 20_000
"""A log that these decays suit. With more than twice as many rows, the weaker × `USUAL_ROWS` / rows is tried in place
of the stronger: a step takes its share of the weights however many steps there are, and little signals never grow."""

START_DECAY = 10.0
"""Weight decay of the linear reward beside which propensities learn where they start: strong, so that the clicks which
context and style explain go to the propensity, and no memory of single rows is taken for preference."""
START_STEP = 4
"""How many times larger the steps of that fit are, in rows and in rate: as far in an epoch, by fewer products."""
JUDGING = 1 << 14
"""Rows that judge a member after every epoch, about; all that it held out judge it at the end."""


@dataclass(frozen=True)
class Choice:
    """What was tried and kept: per team, rows of (hidden, weight decay, mean held-out criterion).

    Attributes:
        tried: every candidate.
        kept: the best, by team.
        judged_by_own: how many members could hold nothing out and were judged by the rows that they trained on.
        estimated: the nuisances that the method's stages estimated, by name: mean over rows, 5th and 95th percentile.
    """

    tried: tuple[tuple[int, tuple[int, ...], float, float], ...]
    kept: dict[int, tuple[tuple[int, ...], float]]
    judged_by_own: int
    estimated: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)


def train_best(
    method: Method,
    views: Views,
    obs: Observations,
    who: Roster,
    config: TrainingConfig,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    name: str = "",
) -> tuple[list[Ensemble], Choice]:
    """Train every candidate capacity and keep, for each team, the one with the best held-out criterion.

    The method's stages are run first, by this same function.

    Args:
        method: the estimator.
        views: features by view.
        obs: N rows, labels shared or one set per member.
        who: members, their rows and teams.
        config: training knobs.
        checkpoint: where to save and resume.
        progress: told once per epoch.
        name: put before the names of saved states; stages use it.

    Returns:
        One ensemble per team, in the order of team numbers, and the record of the choice.

    Raises:
        ConfigError: fewer epochs than the method needs.
    """
    refuse_short(method, config)

    def fit(nuisance: Method, seen: Observations, crew: Roster, stage: str) -> list[Ensemble]:
        return train_best(
            nuisance,
            views,
            seen,
            crew,
            config,
            checkpoint=checkpoint,
            progress=progress,
            name=f"{name}{stage}-",
        )[0]

    given, obs = set(obs.columns), run_stages(method, views, obs, who, fit)
    candidates = _candidates(method, obs, config)
    teams = sorted(set(who.team))
    tried: list[tuple[int, tuple[int, ...], float, float]] = []
    best: dict[int, tuple[float, Ensemble, tuple[tuple[int, ...], float]]] = {}
    M = len(who.seeds)
    counts, judges = method.counts(obs), method.judges(obs)
    plan = _plan(who, (0.0,), judges)
    judged_M = (plan.judged_MN & counts).sum(1).to(torch.float32)  # a member weighs the rows that judged it
    forms = method.variants(obs)

    def fit_form(
        f: int,
        hidden: tuple[int, ...],
        decays: tuple[float, ...],
        start: Weights | None = None,
        *,
        stage: str = "head",
        knobs: TrainingConfig = config,
    ) -> Ensemble:
        return train(
            forms[f],
            views,
            obs.members(torch.arange(M).repeat(len(decays))),
            _plan(who, decays, judges),
            knobs,
            hidden,
            start=start,
            checkpoint=checkpoint,
            name=f"{name}{stage}-"
            + ("x".join(map(str, hidden)) or "linear")
            + (f"-form{f}" if len(forms) > 1 else ""),
            progress=progress,
        )

    starts: dict[int, Ensemble] = {}
    for f, (hidden, decays) in itertools.product(range(len(forms)), candidates.items()):
        start = None
        if hidden and _starts_beside(method, views, obs):
            if f not in starts:
                large = _larger_steps(config, who)
                starts[f] = fit_form(f, (), (START_DECAY,), stage="start", knobs=large)
            start = _starting_propensities(starts[f], M, len(decays))
        trained = fit_form(f, hidden, decays, start)
        for d, decay in enumerate(decays):
            for team in teams:
                own = [m for m in range(M) if who.team[m] == team]
                members = [d * M + m for m in own]
                weight = judged_M[own]
                value = float((trained.criterion_M[members] * weight).sum() / weight.sum())
                tried.append((team, hidden, decay, value))
                if team not in best or value < best[team][0]:
                    best[team] = (value, trained.pick(members), (hidden, decay))
    finished = [
        _recalibrated(method, views, obs, who, best[t][1], [m for m in range(M) if who.team[m] == t])
        for t in teams
    ]
    judged_by_own = int((plan.train_MN & plan.held_out_MN).any(1).sum())
    made = {name: values.double() for name, values in obs.columns.items() if name not in given}
    estimated = {name: _spread(values) for name, values in made.items() if bool(values.isfinite().any())}
    return finished, Choice(tuple(tried), {t: best[t][2] for t in teams}, judged_by_own, estimated)


def _spread(values: Tensor) -> tuple[float, float, float]:
    """Mean, 5th and 95th percentile of a column."""
    known = values[values.isfinite()].numpy()
    low, high = np.quantile(known, [0.05, 0.95]).tolist()
    return float(known.mean()), low, high


def _starting_propensities(start: Ensemble, M: int, copies: int) -> Weights:
    """Where the propensity heads of a network's members begin: where those beside a linear, shrunken reward ended.

    A network learns its training rows by heart long before a propensity that starts from nothing has learned the
    context, and what it stops with is then half of both. A linear head that is hardly allowed to learn leaves to the
    propensity what context and style explain; what the text explains, the network takes back.
    """
    chosen = start.pick(torch.arange(M).repeat(copies).tolist())
    return {
        name: chosen.weights[name]
        for name, layout in chosen.layouts.items()
        if layout.head.view not in WIDE_VIEWS
    }


def _starts_beside(method: Method, views: Views, obs: Observations) -> bool:
    """Whether propensities begin where they ended beside a linear reward: never where they see what the reward sees.

    There the shrunken reward would leave its text to the propensity, and the two would have changed places for good.
    """
    rivals = {
        views[h.view].name for h in method.heads(obs) if h.view in views and h.name not in method.reward_heads
    }
    return method.starts_linear(obs) and views["reward"].name not in rivals


def _larger_steps(config: TrainingConfig, who: Roster) -> TrainingConfig:
    """For a linear head, whose products are small: fewer steps of an epoch, each as much longer."""
    rows = int(who.rows_MN.any(0).sum())
    batch = config.rows_per_step(rows)
    n = max(1, min(START_STEP, rows // batch))  # an epoch of few steps cannot have fewer
    return config.model_copy(
        update={
            "batch_size": n * batch,
            "lr": n * config.reward_lr(()),
            "propensity_lr": n * config.propensity_lr,
        }
    )


def refuse_short(method: Method, config: TrainingConfig) -> None:
    """Raise if training would end before the reward has begun to learn.

    Raises:
        ConfigError: it would.
    """
    if method.waits and config.max_epochs <= method.warm_up:
        raise ConfigError(
            f"{method.key}: max_epochs is {config.max_epochs}, expected {method.warm_up + 1} or more: its reward "
            f"learns nothing in the first {method.warm_up} epochs"
        )


def passes(method: Method, views: Views, obs: Observations, config: TrainingConfig) -> int:
    """How many times `train_best` will train, for a progress bar."""
    candidates = _candidates(method, obs, config)
    start = int(any(candidates) and _starts_beside(method, views, obs))
    own = len(method.variants(obs)) * (len(candidates) + start)
    return own + sum(
        passes(stage.method, views, obs, config)
        for stage in method.stages(obs)
        if not set(stage.makes) <= set(obs.columns)
    )


def _candidates(
    method: Method, obs: Observations, config: TrainingConfig
) -> dict[tuple[int, ...], tuple[float, ...]]:
    seen = {head.view for head in method.heads(obs)}
    if not seen & set(WIDE_VIEWS):
        return {(): (0.0,)}  # content-blind: no capacity to choose
    sizes = tuple(CANDIDATES) if config.hidden is None else (config.hidden,)
    if method.linear or "reward" not in seen:
        sizes = ((),)
    candidates = {
        hidden: _decays(hidden, obs.n_rows) if config.weight_decay is None else (config.weight_decay,)
        for hidden in sizes
    }
    if method.comparable:
        return candidates
    first = next(iter(candidates))
    return {first: candidates[first][:1]}


def _decays(hidden: tuple[int, ...], rows: int) -> tuple[float, ...]:
    usual = CANDIDATES.get(hidden, CANDIDATES[(64, 16)])
    return (usual[0], usual[0] * USUAL_ROWS / rows) if rows > 2 * USUAL_ROWS else usual


def _recalibrated(
    method: Method, views: Views, obs: Observations, who: Roster, ensemble: Ensemble, members: list[int]
) -> Ensemble:
    """Set scale and level of every head of a team on the rows that its members held out, pooled."""
    pooled, seen = held_out(method, views, obs, who, ensemble, members)
    scale, shift = recalibrate(method, pooled, seen, tuple(ensemble.calibration.scale))
    return replace(ensemble, calibration=ensemble.calibration.then(scale, shift))


def held_out(
    method: Method,
    views: Views,
    obs: Observations,
    who: Roster,
    ensemble: Ensemble,
    members: Sequence[int],
) -> tuple[dict[str, Tensor], Observations]:
    """Logits by head [n] or [n, K] of the rows that members held out, pooled, and what the log shows of these rows.

    Args:
        method: the estimator.
        views: features by view.
        obs: N rows.
        who: members, their rows and teams, as the ensemble was trained.
        ensemble: one team, as trained.
        members: which of the roster's members it holds, in order.
    """
    plan = _plan(who, (0.0,), method.judges(obs))
    logits: dict[str, list[Tensor]] = {name: [] for name in ensemble.layouts}
    seen: list[Observations] = []
    with torch.no_grad():
        for position, m in enumerate(members):
            rows = torch.nonzero(plan.held_out_MN[m])[:, 0]
            one = ensemble.pick([position]).logits(views, rows)
            for name, value in one.items():
                logits[name].append(value[0].expand(len(rows), *value.shape[2:]))
            own = obs.members(torch.tensor([m])).flat().rows(rows)
            if (
                own.group_B is not None
            ):  # two members may hold out the same prompt: each compares within its own scores
                own = replace(own, group_B=own.group_B * len(members) + position)
            seen.append(own)
    return {name: torch.cat(parts) for name, parts in logits.items()}, concatenate(seen)


def _plan(who: Roster, decays: Sequence[float], judges: Tensor) -> Plan:
    """Rows of every member; `judges` [N] or [M, N] says which rows teach and judge something (`Method.judges`)."""
    hold_out = torch.tensor(who.hold_out)
    held_out_MN = (who.fold_N[None] == hold_out[:, None]) & who.rows_MN
    train_MN = who.rows_MN & ~held_out_MN
    # With few prompts or sparse labels a fold may hold nothing to learn from or be judged by: then a member uses all
    # its rows for both. It is judged too kindly, but it neither stops at random nor stays untrained.
    for m in range(len(who.seeds)):
        informative_N = judges if judges.ndim == 1 else judges[m]
        if not bool((train_MN[m] & informative_N).any()) or not bool((held_out_MN[m] & informative_N).any()):
            train_MN[m] = held_out_MN[m] = who.rows_MN[m]
    judged_MN = torch.stack(
        [
            _some(held_N & judges_N, who.place_N) & held_N
            for held_N, judges_N in zip(held_out_MN, judges.expand_as(held_out_MN), strict=True)
        ]
    )
    n = len(decays)
    return Plan(
        who.seeds * n,
        train_MN.repeat(n, 1),
        held_out_MN.repeat(n, 1),
        who.half_N,
        tuple(decay for decay in decays for _ in who.seeds),
        judged_MN.repeat(n, 1),
    )


def _some(rows_N: Tensor, place_N: Tensor) -> Tensor:
    """Prompts enough for `JUDGING` of some rows, the first in a random order: bool [N], True of all their rows."""
    places = place_N[rows_N]
    if places.numel() <= JUDGING:
        return torch.ones_like(rows_N)
    return place_N <= places.kthvalue(JUDGING).values
