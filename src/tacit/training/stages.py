"""Nuisances before the reward: each stage is an ensemble of its own, and every row gets the word of a member that never
trained on it.

The columns that a stage makes (a propensity, a surrogate's noise rates, a prior) join the observations of the stages
after it and of the final fit, where they are constants. Shapes: N rows, M members of the final fit, T teams.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from tacit.methods.method import Method, Stage
from tacit.methods.observations import Observations
from tacit.training.ensemble import Ensemble
from tacit.training.roster import HOLD_OUT_FOLDS, Roster
from tacit.training.views import Views

Trainer = Callable[[Method, Observations, Roster, str], list[Ensemble]]
"""Trains a method with a roster and gives one ensemble per team; the string names the stage."""


def run_stages(method: Method, views: Views, obs: Observations, who: Roster, fit: Trainer) -> Observations:
    """The observations with the columns of all stages that the caller has not supplied.

    Args:
        method: whose stages are run.
        views: features.
        obs: N rows, labels shared or one set per member.
        who: members of the final fit. Where a team's members hold out every fold, so do the stage's; else (few
            members per team, as in a benchmark over seeds) a stage is cross-fitted on two halves.
        fit: how a stage is trained.
    """
    given = set(obs.columns)
    for stage in method.stages(obs):
        if not set(stage.makes) <= set(obs.columns):
            made = _columns(stage, views, obs, who, fit)
            obs = obs.with_columns(**{name: value for name, value in made.items() if name not in given})
    return obs


def _columns(stage: Stage, views: Views, obs: Observations, who: Roster, fit: Trainer) -> dict[str, Tensor]:
    first_T = torch.tensor([who.team.index(team) for team in sorted(set(who.team))])
    crew = _crew(who, first_T)
    per_team = len(crew.seeds) // len(first_T)
    ensembles = fit(
        stage.method, obs.members(first_T.repeat_interleave(per_team)), crew, "-".join(stage.makes)
    )
    made: list[dict[str, Tensor]] = []
    for t, ensemble in enumerate(ensembles):
        m = first_T[t]
        own = replace(obs.members(m[None]).flat(), weight_B=who.rows_MN[m].to(torch.float32))
        own = own.with_columns(
            fold=crew.fold_N.to(torch.float32)
        )  # whose word each row got: levels differ a little
        made.append(stage.method.nuisances(_out_of_fold(ensemble, views, crew), own))
    place = {team: t for t, team in enumerate(sorted(set(who.team)))}
    team_M = torch.tensor([place[team] for team in who.team])
    return {name: torch.stack([columns[name].float() for columns in made])[team_M] for name in stage.makes}


def _crew(who: Roster, first_T: Tensor) -> Roster:
    """The members of a stage: one per fold and team."""
    T = len(first_T)
    thorough = all(
        {who.hold_out[m] for m in range(len(who.team)) if who.team[m] == who.team[int(first)]}
        == set(range(HOLD_OUT_FOLDS))
        for first in first_T
    )
    folds = HOLD_OUT_FOLDS if thorough else 2
    return Roster(
        tuple(500_000 + 10 * who.seeds[int(first)] + f for first in first_T for f in range(folds)),
        who.rows_MN[first_T].repeat_interleave(folds, dim=0),
        who.fold_N if thorough else who.half_N.to(torch.int64),
        tuple(range(folds)) * T,
        tuple(t for t in range(T) for _ in range(folds)),
        who.half_N if thorough else who.fold_N % 2 == 0,
        who.place_N,
    )


@torch.no_grad()
def _out_of_fold(ensemble: Ensemble, views: Views, crew: Roster) -> dict[str, Tensor]:
    """Calibrated logits of all rows by head, [N] or [N, K], each by the member that held the row out."""
    N = crew.fold_N.shape[0]
    pooled: dict[str, Tensor] = {}
    for f in range(ensemble.members):
        rows = torch.nonzero(crew.fold_N == f)[:, 0]
        for name, value in ensemble.pick([f]).logits(views, rows).items():
            own = value[0].expand(len(rows), *value.shape[2:])
            pooled.setdefault(name, torch.zeros(N, *own.shape[1:]))[rows] = own
    return pooled
