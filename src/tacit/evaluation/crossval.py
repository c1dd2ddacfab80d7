"""Cross-validation on a log: every row is scored by an ensemble that never saw its session, user or prompt.

Which of the three is `by`: folds made of sessions may repeat a prompt, and folds made of prompts a session.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.data import FeedbackLog
from tacit.errors import DataError
from tacit.evaluation.table import Predictions, Protocol, Truths
from tacit.fitting import Prepared
from tacit.methods import Method
from tacit.model import PropensityFeatures, RewardFeatures
from tacit.progress import progress
from tacit.training.config import TrainingConfig
from tacit.training.log_rows import holdout_groups
from tacit.training.roster import roster, teams
from tacit.training.selection import train_best

_OUTER = 3
"""Added to the seed of outer folds. A roster draws with the seed and the next two: of one draw, an outer fold could be
the very one that a member holds out, which then had nothing to be judged by but the rows that it had learned."""


def unit_of(log: FeedbackLog) -> str:
    """What folds and intervals are made of: sessions if the log names them, else users, else prompts."""
    if log.roles.session_id is not None:
        return "session_id"
    return "user_id" if log.roles.user_id is not None else "prompt_id"


def cross_validate(
    prepared: Prepared,
    methods: Sequence[Method],
    *,
    folds: int = 5,
    by: str | None = None,
    propensity_features: PropensityFeatures = "context",
    reward_features: RewardFeatures = "text+style",
    config: TrainingConfig | None = None,
    use_gold: bool = False,
    quiet: bool = True,
) -> list[Predictions]:
    """Held-out predictions of several methods on the same folds.

    Inside each training part, capacity and stopping are chosen as in `tacit.fit`. Gold labels reach only methods that
    declare `reads_gold` (the oracle), unless `use_gold`. Standardisation is learned on all rows, without labels.

    Args:
        prepared: from `tacit.fitting.prepare`.
        methods: estimators.
        folds: number of outer folds.
        by: role or column that folds must not split; see `unit_of` for the default.
        propensity_features: as in `tacit.fit`.
        reward_features: as in `tacit.fit`.
        config: training knobs.
        use_gold: as in `tacit.fit`, for those of `methods` that use gold; their predictions count as an oracle's.
        quiet: no progress bar.

    Raises:
        DataError: fewer units than folds.
    """
    config = config or TrainingConfig()
    log = prepared.log
    unit = by or unit_of(log)
    units = len(set(log.units(unit).tolist()))
    if units < folds:
        raise DataError(f"{log.name}: {folds} folds need at least {folds} different {unit}, found {units}")
    outer_N = log.folds(folds, by=unit, seed=config.seed + _OUTER)
    everyone = teams(
        roster(holdout_groups(log), config.members, config.seed),
        torch.from_numpy(np.stack([outer_N != t for t in range(folds)])),
    )
    views = prepared.scalings.views(prepared.inputs, propensity_features, reward_features)
    predictions = []
    with progress("cross-validating", len(methods), quiet=quiet) as bar:
        for method in methods:
            gold = method.uses_gold if use_gold else method.reads_gold
            obs = prepared.observations if gold else prepared.observations.without_gold()
            method.check(obs)
            ensembles, _ = train_best(method, views, obs, everyone, config)
            score_N = np.zeros(len(log))
            likelihood_N: NDArray[np.float64] | None = np.zeros(len(log))
            for t, ensemble in enumerate(ensembles):
                held_out = np.flatnonzero(outer_N == t)
                rows = torch.from_numpy(held_out)
                likelihood = method.log_likelihood(ensemble.mean_logits(views, rows), obs.rows(rows))
                score_N[held_out] = ensemble.rewards(method, views, rows).mean(0).numpy()
                if likelihood is None or likelihood_N is None:
                    likelihood_N = None
                else:
                    likelihood_N[held_out] = likelihood.numpy()
            if all(head.view == "none" for head in method.heads(obs)):
                # The folds' own constants run against their labels: pooled, they would rank below chance.
                score_N[:] = score_N.mean()
            protocol: Protocol = "oracle" if gold else "honest"
            predictions.append(
                Predictions(method.key, protocol, score_N, likelihood_N, method.level == "prob")
            )
            bar.advance(1, method.key)
    return predictions


def truths(log: FeedbackLog, by: str | None = None, threshold: float = 0.5) -> Truths:
    """What a log's rows can be judged against: its gold labels and its ranks, where a row has any.

    Raises:
        DataError: gold or ranks are named, and no row has one.
    """
    gold_N, rank_N = _known(*log.gold_values()), _known(*log.rank_values())
    empty = without_values(log)
    if empty and gold_N is None and rank_N is None:
        raise DataError(
            f"{log.name}: {' and '.join(empty)}, expected a number on one row at least; fill it in, or name another "
            "column or none"
        )
    _, visible_NK = log.signal_matrix()
    return Truths(
        prompts_N=log.prompt_codes(),
        units_N=log.units(by or unit_of(log)),
        gold_N=gold_N,
        rank_N=rank_N,
        seen_N=np.asarray(visible_NK.any(axis=1)) if visible_NK.shape[1] else None,
        threshold=threshold,
    )


def without_values(log: FeedbackLog) -> list[str]:
    """Says of gold and ranks, as far as they are named, that no row has any."""
    named = (("gold", log.roles.gold, log.gold_values), ("rank", log.roles.rank, log.rank_values))
    return [
        f"no row has {role} in column {column!r}"
        for role, column, values in named
        if column is not None and not values()[1].any()
    ]


def _known(value_N: NDArray[np.float32], known_N: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    return np.where(known_N, value_N, np.float32(np.nan)) if known_N.any() else None
