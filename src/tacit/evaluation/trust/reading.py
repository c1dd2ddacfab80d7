"""What a model says of every row of a log: reward, P(liked), who acts, and how often each signal ought to fire.

P(y_k = 1) comes from the method's own likelihood, asked for signal k alone: exp log P(y_k = 1). The propensity of a
signal, P(y_k = 1 | it is due), is the same with a reward logit of ±40, which is certainty. On the log of the fit, the
rates are those of the member that did not train on the row, so that agreement is no echo of training.

N rows, K signals, M members, S style features.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.data import FeedbackLog, Signal
from tacit.evaluation.as_it_is import (
    Overlap,
    lacks_likelihood,
    log_of_fit,
    observe_as_fitted,
    overlap_with_fit,
)
from tacit.evaluation.crossval import unit_of
from tacit.features import EmbeddingStore, style_features
from tacit.methods import Method, Observations
from tacit.model import FittedScorer, RewardModel, sigmoid
from tacit.training.log_rows import holdout_groups
from tacit.training.roster import roster
from tacit.training.selection import held_out
from tacit.training.views import Views

Floats = NDArray[np.float64]

_CERTAIN = 40.0
"""A reward logit that leaves no doubt."""

_MOST_SIGNALS = 6
"""Whose pairs are compared."""

ACTING = ("propensity", "activity")
"""Heads that say who acts."""


@dataclass(frozen=True, eq=False)
class SignalReading:
    """One signal, row by row.

    Attributes:
        signal: which.
        fired_N: bool, it fired.
        seen_N: bool, it could have been recorded.
        act_N: P(it is given | it is due): by one who likes the response, of a negative signal by one who does not.
            None where the model has no head that says so.
        predicted_N: P(it fires) where it could; NaN where no member held the row out. None of a model that does not
            model its signals.
    """

    signal: Signal
    fired_N: NDArray[np.bool_]
    seen_N: NDArray[np.bool_]
    act_N: Floats | None
    predicted_N: Floats | None


@dataclass(frozen=True, eq=False)
class Reading:
    """All rows.

    Attributes:
        log: the rows.
        reward_N: mean of the members' scores.
        spread_N: their standard deviation; None of one member.
        liked_N: P(liked), calibrated where the model is; None where scores only order.
        unit_N: int64, what is drawn together: session, user or prompt.
        unit: its name.
        prompt_N: int64.
        style_NS: surface style; the first column is log(1 + words).
        signals: one each that the log names.
        both: P(two signals fire) by their positions, where both could and the model tells.
        overlap: how much of the log is rows of the fit.
        held_out: whether predicted rates are those of members that did not train on the row.
        silent: why the model says nothing of these signals; None where it does.
    """

    log: FeedbackLog
    reward_N: Floats
    spread_N: Floats | None
    liked_N: Floats | None
    unit_N: NDArray[np.int64]
    unit: str
    prompt_N: NDArray[np.int64]
    style_NS: Floats
    signals: tuple[SignalReading, ...]
    both: Mapping[tuple[int, int], Floats]
    overlap: Overlap
    held_out: bool
    silent: str | None

    @property
    def words_N(self) -> Floats:
        """Words of each response."""
        return np.asarray(np.expm1(self.style_NS[:, 0]).round(), dtype=np.float64)


def read(
    rm: FittedScorer, log: FeedbackLog, *, store: EmbeddingStore | None = None, quiet: bool = True
) -> Reading:
    """Score a log once, for everything that a report says of it.

    Args:
        rm: the model.
        log: the rows; its signals and context where they are to be compared.
        store: embedding cache.
        quiet: no progress bar.

    Raises:
        ConfigError: the model scores context and the log does not name it.
    """
    lack = lacks_likelihood(rm, log)
    own = log_of_fit(rm, log)
    views = None
    if lack is None and own is not None and isinstance(rm, RewardModel):  # embedded once for both readings
        views = rm.views(log, store=store, quiet=quiet)
        members_MN = rm.view_scores(views, len(log))
        logits = rm.ensemble.mean_logits(views, torch.arange(len(log)))
    else:
        members_MN, logits = rm.head_logits(log, beside=lack is None, store=store, quiet=quiet)
    reward_N = members_MN.mean(0).astype(np.float64)
    unit = unit_of(log)
    y_NK, visible_NK = log.signal_matrix()
    acts: list[Floats | None] = [None] * y_NK.shape[1]
    rates: list[Floats | None] = [None] * y_NK.shape[1]
    both: dict[tuple[int, int], Floats] = {}
    honest = False
    if lack is None:
        obs = observe_as_fitted(rm, log).without_gold()
        if any(head.name in ACTING for head in rm.heads):
            acts = [_act(rm.method, logits, obs, k) for k in range(obs.n_signals)]
        out = None
        if views is not None and own is not None and isinstance(rm, RewardModel):
            out = _held_out(rm, own, obs, views)
        honest = out is not None
        told = logits if out is None else out
        rates = [_fires(rm.method, told, obs, (k,)) for k in range(obs.n_signals)]
        if obs.n_signals <= _MOST_SIGNALS:
            pairs = itertools.combinations(range(obs.n_signals), 2)
            both = {pair: _fires(rm.method, told, obs, pair) for pair in pairs}
    return Reading(
        log=log,
        reward_N=reward_N,
        spread_N=members_MN.std(0).astype(np.float64) if len(members_MN) > 1 else None,
        liked_N=sigmoid(rm.logit(reward_N)).astype(np.float64) if rm.has_probability else None,
        unit_N=log.units(unit),
        unit=unit.removesuffix("_id"),
        prompt_N=log.prompt_codes(),
        style_NS=style_features(log.responses()).astype(np.float64),
        signals=tuple(
            SignalReading(signal, (y_NK[:, k] > 0) & visible_NK[:, k], visible_NK[:, k], acts[k], rates[k])
            for k, signal in enumerate(log.roles.signals)
        ),
        both=both,
        overlap=overlap_with_fit(rm, log, own is not None),
        held_out=honest,
        silent=None if lack is None else lack.why,
    )


def _fires(method: Method, logits: Mapping[str, Tensor], obs: Observations, which: tuple[int, ...]) -> Floats:
    """P(these signals fire) of each row, whatever the others do."""
    y_NK, visible_NK = torch.zeros_like(obs.signals_BK), torch.zeros_like(obs.visible_BK)
    y_NK[:, list(which)], visible_NK[:, list(which)] = 1.0, True
    alone = replace(obs, signals_BK=y_NK.double(), visible_BK=visible_NK)
    with torch.no_grad():
        found = method.log_likelihood({name: value.double() for name, value in logits.items()}, alone)
    assert found is not None
    return np.asarray(found.exp().numpy(), dtype=np.float64)


def _act(method: Method, logits: Mapping[str, Tensor], obs: Observations, k: int) -> Floats | None:
    if method.reward_heads != ("reward",):
        return None
    certain = torch.full_like(logits["reward"], _CERTAIN * obs.polarity[k])
    return _fires(method, {**logits, "reward": certain}, obs, (k,))


def _held_out(rm: RewardModel, log: FeedbackLog, obs: Observations, views: Views) -> dict[str, Tensor] | None:
    """Logits by head of each row in the mean of the members that did not train on it; NaN where all did.

    None where some member held nothing out.
    """
    if rm.info["training"].get("judged_by_own_rows", 1):
        return None
    config = rm.info["training"]["config"]
    who = roster(holdout_groups(log), int(config["members"]), int(config["seed"]))
    numbered = obs.with_columns(row=torch.arange(len(log), dtype=torch.float64))
    pooled, seen = held_out(rm.method, views, numbered, who, rm.ensemble, range(rm.ensemble.members))
    row_n = seen.column("row").long()
    times_N = torch.zeros(len(log), dtype=torch.float64).index_add(
        0, row_n, torch.ones(len(row_n), dtype=torch.float64)
    )
    found = {}
    for name, value in pooled.items():
        total = torch.zeros(len(log), *value.shape[1:], dtype=torch.float64).index_add(
            0, row_n, value.double()
        )
        found[name] = total / times_N.reshape(-1, *[1] * (value.ndim - 1))  # 0/0 where nobody held it out
    return found
