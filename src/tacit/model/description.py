"""What a fitted model states about itself: its log, its training, and what the data can and cannot tell."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.data import FeedbackLog
from tacit.features import idle_columns
from tacit.features.links import Links
from tacit.methods import Method, Observations, identifiability_rank, open_level
from tacit.methods.latent_ml import telling
from tacit.methods.level import is_liking_times_acting
from tacit.methods.nuisances.propensity import diagnose
from tacit.model.inputs import PropensityFeatures
from tacit.model.links import between_parts, links_to_json
from tacit.training.config import TrainingConfig
from tacit.training.ensemble import Ensemble
from tacit.training.profile import LevelProfile, level_profile
from tacit.training.selection import Choice
from tacit.training.views import Views

_FEW = 10  # rows that users acted on, below which no number that a fit states is worth its digits
_CLIP, _TINY = 0.05, 1e-6  # of propensities by methods that say nothing else; what stands for 0
_SURELY = 4.0  # standard errors
_LARGEST_RANKED = 6  # signals up to which the 2^K patterns are ranked


def identification_warnings(
    method: Method, log: FeedbackLog, propensity_features: PropensityFeatures, obs: Observations
) -> list[str]:
    """What the user should hear before trusting the level or the order of the scores.

    Args:
        method: the estimator.
        log: its rows.
        propensity_features: what the propensity heads see.
        obs: the same rows, with the nuisances that were given: what was given is not estimated.
    """
    found = [
        *_few_acts(log),
        *_rare_signals(log, obs),
        *_other_kind(method, log),
        *_doubtful_propensities(method, obs),
        *_impossible_propensities(method, obs),
    ]
    exchangeable = method.exchangeable or _estimates_by_exchange(method, obs)
    if not exchangeable and "context" not in method.needs:
        return found
    idle = idle_columns(log.context_columns())
    found += [
        f"context column {name!r} {why}: it carries nothing; leave it out, or name one that varies"
        for name, why in idle.items()
    ]
    if not exchangeable or log.roles.gold is not None:
        return found
    reader = "" if method.uses_gold else " with latent_ml"
    if propensity_features == "text":
        which = "" if method.exchangeable else "where it estimates who acts, "
        found.append(
            f"{which}reward and propensity heads see the same features: they can exchange their roles between seeds "
            "and the likelihood cannot tell; name context columns and use propensity_features='context', add signals "
            f"or gold{reader}"
        )
    elif len(idle) == len(log.roles.context) and len(log.roles.signals) == 1:
        found.append(
            "one signal and no context: what style does to clicks cannot be told from what users like; name columns "
            "that move clicks but not preference (--context position; where users return and --user-id names them, "
            "--context user_activity), add signals, or audit some rows (--gold)"
            f"{reader}"
        )
    return found


def _estimates_by_exchange(method: Method, obs: Observations) -> bool:
    """Whether a nuisance that nobody gave is estimated by a model whose heads can change places."""
    return any(
        stage.method.exchangeable for stage in method.stages(obs) if not set(stage.makes) <= set(obs.columns)
    )


def _rare_signals(log: FeedbackLog, obs: Observations) -> list[str]:
    """A word on each signal, of several, that fired too seldom to tell its own rates."""
    if obs.n_signals < 2:
        return []
    told = telling(obs)
    return [
        f"signal {signal.name!r} fired on {int((obs.signals_BK[:, k] > 0).sum())} of "
        f"{int(obs.visible_BK[:, k].sum())} rows only: it counts for little, and is not ranked among those that tell "
        "the level"
        for k, signal in enumerate(log.roles.signals)
        if k not in told
    ]


def _other_kind(method: Method, log: FeedbackLog) -> list[str]:
    """A word where clicks are taken for labels, or nothing but labels for clicks."""
    kinds = {signal.kind for signal in log.roles.signals}
    if method.setting == "explicit" and "implicit" in kinds:
        name = next(signal.name for signal in log.roles.signals if signal.kind == "implicit")
        return [
            f"{method.key} reads labels that users were asked for: it takes every 0 of {name!r} for a dislike that was "
            f"said; write {name}:explicit if it was, or choose a method for clicks (tacit methods)"
        ]
    if method.setting == "implicit" and kinds == {"explicit"}:
        return [
            f"{method.key} reads clicks, whose 0 says nothing for sure: the answer no is taken for silence; choose a "
            "method for labels (tacit methods)"
        ]
    return []


def _doubtful_propensities(method: Method, obs: Observations) -> list[str]:
    """What weights by propensities that were given would do; estimated ones are judged where they are made."""
    acted = {"p": obs.visible_BK.any(-1), "e": obs.any_positive()[0] > 0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name, acted_N in acted.items():
            if name in obs.columns and name not in method.reads and bool(acted_N.any()):
                given_N = obs.column(name).clamp(min=_TINY).expand(obs.n_rows)
                diagnose(given_N.numpy(), acted_N.numpy(), clip=getattr(method, "clip", _CLIP))
    return [f"the {warned.message}" for warned in caught]


def _impossible_propensities(method: Method, obs: Observations) -> list[str]:
    """A word where a signal fires more often than the propensity that was given allows if every answer were liked."""
    if "e" not in method.reads or "e" not in obs.columns:
        return []
    seen_N = obs.visible_BK[:, 0]
    e_n = obs.column("e").expand(obs.n_rows)[seen_N].double().numpy()
    y_n = obs.signals_BK[:, 0][seen_N].numpy() > 0
    for rows in np.array_split(np.argsort(e_n, kind="stable"), 10):
        rate, most = (float(values[rows].mean()) if len(rows) else 0.0 for values in (y_n, e_n))
        if rate - most > _SURELY * np.sqrt(most * (1 - most) / max(1, len(rows))) and len(rows) >= _FEW:
            return [
                f"on {len(rows)} rows of propensity {e_n[rows].min():.3g} to {e_n[rows].max():.3g} the signal fired on "
                f"{rate:.3g}, more than if everybody liked everything: e is too small there, or not of these rows"
            ]
    return []


def _few_acts(log: FeedbackLog) -> list[str]:
    """A word on a log that says next to nothing."""
    y_NK, visible_NK = log.signal_matrix()
    asked_K = np.array([signal.kind == "explicit" for signal in log.roles.signals], dtype=bool)
    acted = int((visible_NK & ((y_NK > 0) | asked_K)).any(1).sum())
    if not 0 < acted < _FEW:  # none at all is refused elsewhere
        return []
    return [
        f"users acted on {acted} of {len(log)} rows only: level, range and agreement that the fit states are no better "
        f"than guesses; expect to need hundreds"
    ]


def describe_log(log: FeedbackLog) -> dict[str, Any]:
    """Sizes and rates of the log of a fit, JSON-ready. Only the name of a file is kept, not where it lay."""
    y_NK, visible_NK = log.signal_matrix()
    return {
        "name": Path(log.name).name or log.name,
        "fingerprint": log.fingerprint(),
        "rows": len(log),
        "prompts": len(set(log.prompt_codes().tolist())),
        "quarantined": log.quarantine.total,
        "gold_rows": int(log.gold_values()[1].sum()),
        "signals": [
            {
                "name": signal.name,
                "polarity": signal.polarity,
                "rate": float(y_NK[visible_NK[:, k], k].mean()) if visible_NK[:, k].any() else None,
                "missing": float(1 - visible_NK[:, k].mean()),
            }
            for k, signal in enumerate(log.roles.signals)
        ],
    }


def describe_training(config: TrainingConfig, ensemble: Ensemble, choice: Choice) -> dict[str, Any]:
    """The knobs, and the capacity that the held-out likelihood chose among those tried."""
    hidden, decay = choice.kept[0]
    return {
        **config.model_dump(mode="json"),
        "config": config.model_dump(mode="json"),  # as asked for: what a refit has to be given
        "hidden": list(hidden),
        "weight_decay": decay,
        "gate": "activity" in ensemble.layouts,
        "judged_by_own_rows": choice.judged_by_own,
        "epochs": [int(epoch) for epoch in ensemble.epoch_M],
        "tried": [
            {"hidden": list(h), "weight_decay": d, "held_out_criterion": c} for _, h, d, c in choice.tried
        ],
    }


def describe_scores(
    method: Method,
    ensemble: Ensemble,
    views: Views,
    obs: Observations,
    *,
    held_out: tuple[Mapping[str, Tensor], Observations],
    exclusion: bool,
) -> dict[str, Any]:
    """Level, spread and agreement of the members on the rows of the log; no clean label is involved.

    Of the level see `describe_level`, of the members `describe_members`.

    Args:
        method: the estimator.
        ensemble: as fitted.
        views: of the log.
        obs: of the log.
        held_out: logits by head [n] or [n, K] of rows by members that did not train on them, and these rows.
        exclusion: the propensity sees context that varies, and never the embedding.
    """
    rows = obs.n_rows
    with torch.no_grad():
        logits = ensemble.logits(views, torch.arange(rows))
    reward_MN = method.reward(logits).expand(-1, rows).numpy()
    bounds = open_level(method, logits, obs, exclusion=exclusion)
    return {
        "held_out_criterion": float(ensemble.criterion_M.mean()),
        **describe_level(
            float(torch.sigmoid(torch.from_numpy(reward_MN).mean(0)).mean()),
            bounds,
            level_profile(method, *held_out, exclusion=exclusion),
        ),
        "score_mean": float(reward_MN.mean(0).mean()),
        "score_std": float(reward_MN.mean(0).std()),
        **describe_members(method, logits, obs),
    }


def describe_level(
    share: float | None, bounds: tuple[float, float] | None, profile: LevelProfile | None
) -> dict[str, Any]:
    """The share of liked responses, and how open it is.

    `base_rate_bounds` is what one signal leaves open however long the log (`open_level`); None where something else
    settles the level. `base_rate_interval` holds the error of fitting as well: 95 %, by profile likelihood, and never
    narrower than the bounds; None of several signals. `level_profile` has pairs of a shift of all scores and the nats
    that it loses; None of one signal without context that varies. Both are None of a method without a likelihood of
    preference and propensity, and without held-out rows, where a fine-tuned model has no share either.
    """
    interval = None
    if share is not None and profile is not None and profile.interval is not None:
        told = [share, *profile.interval, *(bounds or ())]
        interval = [round(min(told), 6), round(max(told), 6)]
    return {
        "base_rate": share,
        "base_rate_bounds": None if bounds is None else list(bounds),
        "base_rate_interval": interval,
        "level_profile": [list(pair) for pair in profile.nats.items()] if profile and profile.nats else None,
    }


def describe_members(
    method: Method, logits: Mapping[str, Tensor], obs: Observations
) -> dict[str, float | None]:
    """How far members agree, each in the mean over pairs of members; None where there is one, or nothing to compare.

    `member_spearman` is of the order of their scores. `strata_kappa` is of why a silent row is silent (disliked,
    passive or both), Cohen's kappa of the likeliest stratum. `swap_index` is |corr(reward, other's propensity)| −
    |corr(reward, other's reward)|: positive when heads exchange their roles between members.

    Args:
        method: the estimator.
        logits: by head, [M, N] or [M, N, K], of N rows.
        obs: the same rows.
    """
    reward_MN = method.reward(logits).expand(-1, obs.n_rows).numpy()
    action = next((logits[name] for name in ("activity", "propensity") if name in logits), None)
    swap = None
    if action is not None and action.ndim == 2:
        swap = _swap_index(reward_MN, action.expand(-1, obs.n_rows).numpy())
    return {
        "strata_kappa": _strata_kappa(method, logits, obs),
        "member_spearman": member_agreement(reward_MN),
        "swap_index": swap,
    }


def _strata_kappa(method: Method, logits: Mapping[str, Tensor], obs: Observations) -> float | None:
    from sklearn.metrics import cohen_kappa_score

    if not is_liking_times_acting(method, logits, obs):
        return None
    like_MN = obs.polarity[0] * method.reward(logits)
    M = len(like_MN)
    act_MN = logits["propensity"].reshape(M, -1)
    silent_N = obs.visible_BK[:, 0] & (obs.signals_BK[:, 0] == 0)
    # posterior odds of (disliked but active, liked but passive, neither) are (e^g, e^f, 1)
    stratum_MN = torch.stack(torch.broadcast_tensors(act_MN, like_MN, torch.zeros(M, obs.n_rows))).argmax(0)
    stratum_Mn = stratum_MN[:, silent_N].numpy()
    differ = [(a, b) for a, b in itertools.combinations(stratum_Mn, 2) if len(np.union1d(a, b)) > 1]
    return float(np.mean([cohen_kappa_score(a, b) for a, b in differ])) if differ else None


def describe_identification(
    method: Method,
    obs: Observations,
    heads: Collection[str],
    warned: Sequence[str],
    links: Links | None = None,
) -> dict[str, Any]:
    """What the method assumes, what stays open, and what the signals alone would identify without context.

    `linked` is None where it is not context that tells, or nobody has looked (see `tacit.model.links.log_links`).
    """
    rank = None
    if 0 < obs.n_signals <= _LARGEST_RANKED:
        told = [obs.polarity[k] for k in telling(obs)]
        found = identifiability_rank(told, gate="activity" in heads, misclicks="misclick" in heads)
        rank = {
            "parameters": found.parameters,
            "rank": found.rank,
            "preference_identified": found.preference_identified,
        }
    return {
        "assumes": method.assumes,
        "not_identified": method.open_questions(obs) + between_parts(links),
        "citation": method.citation,
        "level": method.level,
        "models_signals": models_signals(method, obs),
        "warnings": list(warned),
        "rank_without_context": rank,
        "linked": links_to_json(links),
    }


def models_signals(method: Method, obs: Observations) -> bool:
    """Whether the method gives these signals a likelihood, which then is its criterion, in nats."""
    zeros = {
        head.name: torch.zeros(1) if head.scalar else torch.zeros(1, len(head.bias))
        for head in method.heads(obs)
    }
    return method.log_likelihood(zeros, obs.rows(torch.tensor([0]))) is not None


def nuisance_views(method: Method, obs: Observations) -> list[str]:
    """What the heads of the stages see that were fitted before the method, and theirs before them."""
    seen: set[str] = set()
    for stage in method.stages(obs):
        if not set(stage.makes) <= set(obs.columns):
            seen |= {head.view for head in stage.method.heads(obs)} | set(nuisance_views(stage.method, obs))
    return sorted(seen)


def member_agreement(reward_MN: NDArray[np.float32]) -> float | None:
    """Mean Spearman correlation between members' scores; None for one member or constant scores."""
    from scipy.stats import rankdata

    if len(reward_MN) < 2 or bool((np.ptp(reward_MN, axis=1) < 1e-9).any()):
        return None
    correlation = np.corrcoef(np.stack([rankdata(row) for row in reward_MN]))
    return float(np.mean([correlation[i, j] for i, j in itertools.combinations(range(len(reward_MN)), 2)]))


def _swap_index(reward_MN: NDArray[np.float32], action_MN: NDArray[np.float32]) -> float | None:
    M = len(reward_MN)
    both = np.concatenate([reward_MN, action_MN])
    if M < 2 or bool((np.ptp(both, axis=1) < 1e-9).any()):
        return None
    correlation = np.abs(np.corrcoef(both))
    pairs = list(itertools.permutations(range(M), 2))
    return float(np.mean([correlation[s, M + t] - correlation[s, t] for s, t in pairs]))
