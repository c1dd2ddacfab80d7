"""Choosing head size and weight decay by held-out observed likelihood, and planning who holds out what.

Each member of an ensemble holds out one share of the prompts and trains on the rest, so that together the members
judge every row once and no separate validation set is lost. All weight decays of one head size are trained in the
same pass, as further members.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.methods.method import Method
from tacit.methods.observations import Observations, concatenate
from tacit.progress import Progress
from tacit.training.checkpoint import Checkpoint
from tacit.training.config import TrainingConfig
from tacit.training.engine import Ensemble, Plan, train
from tacit.training.temperature import recalibrate
from tacit.training.views import Views

CANDIDATES: dict[tuple[int, ...], tuple[float, ...]] = {(): (1.0, 5.0), (64, 16): (3.0, 30.0)}
"""Weight decays to try for each reward head; a decay acts through its learning rate, so heads differ."""
HOLD_OUT_FOLDS = 5


@dataclass(frozen=True)
class Roster:
    """The members asked for, before the candidates of capacity multiply them.

    Attributes:
        seeds: M integers.
        rows_MN: bool [M, N], rows that a member may use at all (an outer cross-validation leaves some out).
        fold_N: int64 [N] in 0..HOLD_OUT_FOLDS−1, constant within a prompt.
        hold_out: M integers, the fold by which each member is judged.
        team: M integers; capacity is chosen once per team, by the mean criterion of its members.
        half_N: bool [N], constant within a prompt, for cross-fitting temperatures on small held-out sets.
    """

    seeds: tuple[int, ...]
    rows_MN: Tensor
    fold_N: Tensor
    hold_out: tuple[int, ...]
    team: tuple[int, ...]
    half_N: Tensor


def grouped_folds(groups_N: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """A fold for every row, the same for all rows of a group; folds of nearly equal numbers of groups."""
    names, codes = np.unique(groups_N, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    fold_of_group = np.empty(len(names), dtype=np.int64)
    fold_of_group[shuffled] = np.arange(len(names)) % folds
    return fold_of_group[codes]


def roster(groups_N: NDArray[np.int64], members: int, seed: int) -> Roster:
    """The usual ensemble: one team, member m judged by fold m."""
    fold_N = torch.from_numpy(grouped_folds(groups_N, HOLD_OUT_FOLDS, seed))
    rows_MN = torch.ones(members, len(groups_N), dtype=torch.bool)
    return Roster(
        tuple(seed * 1000 + m for m in range(members)),
        rows_MN,
        fold_N,
        tuple(m % HOLD_OUT_FOLDS for m in range(members)),
        (0,) * members,
        torch.from_numpy(grouped_folds(groups_N, 2, seed + 1) == 0),
    )


def teams(one: Roster, rows_TN: Tensor, seeds: Sequence[int] | None = None) -> Roster:
    """Several ensembles like `one` in a single pass; team t may use the rows `rows_TN[t]` only.

    Args:
        one: the ensemble to repeat.
        rows_TN: bool [T, N]; the training rows of each fold of a cross-validation, or of each seed of a world.
        seeds: T integers added to the members' seeds (times 1000), so that teams start apart; all 0 by default.
    """
    T, M = rows_TN.shape[0], len(one.seeds)
    shift = seeds if seeds is not None else [0] * T
    return Roster(
        tuple(seed + 1000 * shift[t] for t in range(T) for seed in one.seeds),
        rows_TN.repeat_interleave(M, dim=0),
        one.fold_N,
        one.hold_out * T,
        tuple(t for t in range(T) for _ in range(M)),
        one.half_N,
    )


@dataclass(frozen=True)
class Choice:
    """What was tried and kept: per team, rows of (hidden, weight decay, mean held-out criterion)."""

    tried: tuple[tuple[int, tuple[int, ...], float, float], ...]
    kept: dict[int, tuple[tuple[int, ...], float]]


def train_best(
    method: Method,
    views: Views,
    obs: Observations,
    who: Roster,
    config: TrainingConfig,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> tuple[list[Ensemble], Choice]:
    """Train every candidate capacity and keep, for each team, the one with the best held-out criterion.

    Returns:
        One ensemble per team, in the order of team numbers, and the record of the choice.
    """
    candidates = _candidates(method, obs, config)
    teams = sorted(set(who.team))
    tried: list[tuple[int, tuple[int, ...], float, float]] = []
    best: dict[int, tuple[float, Ensemble, tuple[tuple[int, ...], float]]] = {}
    M = len(who.seeds)
    counts = method.counts(obs)
    held_out_MN = _plan(who, (0.0,), counts).held_out_MN
    judged_M = (held_out_MN & counts).sum(1).to(torch.float32)  # a member weighs the rows that judged it
    forms = method.variants(obs)
    for (f, form), (hidden, decays) in itertools.product(enumerate(forms), candidates.items()):
        trained = train(
            form,
            views,
            obs.members(torch.arange(M).repeat(len(decays))),
            _plan(who, decays, counts),
            config,
            hidden,
            checkpoint=checkpoint,
            name="head-" + ("x".join(map(str, hidden)) or "linear") + (f"-form{f}" if len(forms) > 1 else ""),
            progress=progress,
        )
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
    return finished, Choice(tuple(tried), {t: best[t][2] for t in teams})


def passes(method: Method, obs: Observations, config: TrainingConfig) -> int:
    """How many times `train_best` will train, for a progress bar."""
    return len(method.variants(obs)) * len(_candidates(method, obs, config))


def _candidates(
    method: Method, obs: Observations, config: TrainingConfig
) -> dict[tuple[int, ...], tuple[float, ...]]:
    if not any(head.view == "reward" for head in method.heads(obs)):
        return {(): (0.0,)}  # content-blind: no capacity to choose
    sizes = tuple(CANDIDATES) if config.hidden is None else (config.hidden,)
    default = CANDIDATES[(64, 16)]
    return {
        hidden: CANDIDATES.get(hidden, default) if config.weight_decay is None else (config.weight_decay,)
        for hidden in sizes
    }


def _recalibrated(
    method: Method, views: Views, obs: Observations, who: Roster, ensemble: Ensemble, members: list[int]
) -> Ensemble:
    """Set scale and level of every head of a team on the rows that its members held out, pooled."""
    names = tuple(ensemble.calibration.scale)
    plan = _plan(who, (0.0,), method.counts(obs))
    logits: dict[str, list[Tensor]] = {name: [] for name in ensemble.layouts}
    seen: list[Observations] = []
    with torch.no_grad():
        for position, m in enumerate(members):
            rows = torch.nonzero(plan.held_out_MN[m])[:, 0]
            one = ensemble.pick([position]).logits(views, rows)
            for name, value in one.items():
                logits[name].append(value[0].expand(len(rows), *value.shape[2:]))
            seen.append(obs.members(torch.tensor([m])).flat().rows(rows))
    pooled = {name: torch.cat(parts) for name, parts in logits.items()}
    scale, shift = recalibrate(method, pooled, concatenate(seen), names)
    return replace(ensemble, calibration=ensemble.calibration.then(scale, shift))


def _plan(who: Roster, decays: Sequence[float], counts: Tensor) -> Plan:
    """Rows of every member; `counts` [N] or [M, N] says which rows carry information for the method."""
    hold_out = torch.tensor(who.hold_out)
    held_out_MN = (who.fold_N[None] == hold_out[:, None]) & who.rows_MN
    train_MN = who.rows_MN & ~held_out_MN
    # With few prompts or sparse labels a fold may hold nothing to learn from or be judged by: then a member uses all
    # its rows for both. It is judged too kindly, but it neither stops at random nor stays untrained.
    for m in range(len(who.seeds)):
        informative_N = counts if counts.ndim == 1 else counts[m]
        if not bool((train_MN[m] & informative_N).any()) or not bool((held_out_MN[m] & informative_N).any()):
            train_MN[m] = held_out_MN[m] = who.rows_MN[m]
    n = len(decays)
    return Plan(
        who.seeds * n,
        train_MN.repeat(n, 1),
        held_out_MN.repeat(n, 1),
        who.half_N,
        tuple(decay for decay in decays for _ in who.seeds),
    )
