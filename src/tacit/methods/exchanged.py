"""Who of two answers did what, given what was done to the two: a likelihood in which the prompt's own level cancels.

    P(y_i at i, y_j at j | {y_i, y_j}) = σ(d),
    d = log P(y_i | x_i) + log P(y_j | x_j) − log P(y_j | x_i) − log P(y_i | x_j)

Pairwise conditional likelihood: Liang & Qin, JRSS B 2000; a composite likelihood, Varin, Reid, Firth, Statistica
Sinica 2011. With one signal and c = P(y=1 | x) it is σ(logit c_i − logit c_j) for a clicked i and a silent j.

Shapes: B rows, K signals, P ordered pairs, U patterns (distinct outcomes of a row: values and visibility of its
signals), any leading dimensions (members).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods.observations import Observations
from tacit.methods.pairs import Pairs

MAX_PATTERNS = 32
"""Rows of rarer outcomes are left out of pairs: every pattern costs one likelihood per row."""


@dataclass(frozen=True)
class Patterns:
    """The outcomes that rows have.

    Attributes:
        signals_UK: 0/1, of each pattern; 0 where not visible.
        visible_UK: bool.
        code_B: int64 [..., B], the pattern of each row.
        known_B: bool [..., B], the pattern is one of the U and some signal was visible.
    """

    signals_UK: Tensor
    visible_UK: Tensor
    code_B: Tensor
    known_B: Tensor

    @property
    def sight_U(self) -> Tensor:
        """Which signals a pattern shows, numbered."""
        sight_U: Tensor = torch.unique(self.visible_UK, dim=0, return_inverse=True)[1]
        return sight_U


def patterns(obs: Observations, most: int = MAX_PATTERNS) -> Patterns:
    """The patterns of all rows and members, the most frequent ones if there are too many.

    Example:
        >>> from tacit.methods import observations
        >>> found = patterns(observations(torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])))
        >>> found.signals_UK.tolist(), found.code_B.tolist()
        ([[0.0, 0.0], [1.0, 0.0]], [1, 0, 1])
    """
    K = obs.n_signals
    digit_BK = torch.where(obs.visible_BK, 1 + (obs.signals_BK > 0).to(torch.int64), 0)
    name_B = digit_BK[..., 0] * 0
    for k in range(K):  # numbered anew after every signal, so that many signals do not overflow
        name_B = torch.unique(3 * name_B + digit_BK[..., k], return_inverse=True)[1]
    size_U = torch.bincount(name_B.flatten())
    # One row that shows each pattern: the first, whatever the order in which equal writes land.
    place = torch.arange(name_B.numel(), device=name_B.device)
    first_U = torch.full_like(size_U, name_B.numel()).scatter_reduce(0, name_B.flatten(), place, "amin")
    digit_UK = digit_BK.reshape(-1, K)[first_U]
    usable_U = (digit_UK > 0).any(-1)
    if size_U.numel() > most:
        rank_U = torch.argsort(torch.argsort(size_U * usable_U, descending=True, stable=True), stable=True)
        usable_U = usable_U & (rank_U < most)
    kept = torch.nonzero(usable_U)[:, 0]
    renamed_U = torch.zeros_like(size_U).index_copy(0, kept, torch.arange(kept.numel(), device=kept.device))
    shown_UK = digit_UK[kept]
    return Patterns(
        (shown_UK == 2).to(obs.signals_BK.dtype),
        shown_UK > 0,
        renamed_U[name_B],
        usable_U[name_B],
    )


def exchanged_nll(
    log_likelihood: Callable[[Observations], Tensor], obs: Observations, found: Patterns, pairs: Pairs
) -> Tensor:
    """−log σ(d) of each pair [..., P]; 0 where both rows have the same outcome, which tells nothing, or not the same
    signals visible: an answer without a button cannot have had what the other one's got.

    Args:
        log_likelihood: log P(signals) [..., B] of the batch's rows, had they had these signals.
        obs: of the batch.
        found: its patterns.
        pairs: of its rows; a row whose pattern is not known may be in no usable pair.
    """
    U = found.signals_UK.shape[0]
    if U < 2:
        return pairs.usable_P.to(obs.signals_BK.dtype) * 0

    def log_likelihood_of(u: int) -> Tensor:
        shape = obs.signals_BK.shape[-2:]
        return log_likelihood(
            replace(
                obs,
                signals_BK=found.signals_UK[u].expand(shape),
                visible_BK=found.visible_UK[u].expand(shape),
            )
        )

    # d = Σ_u (1[u_i = u] − 1[u_j = u])·(T_iu − T_ju) with T_iu = log P(pattern u | x_i), pattern 0 as the reference:
    # whole products instead of look-ups by pattern, whose gradients scatter.
    reference_B = log_likelihood_of(0)
    d_P = differ_P = torch.zeros_like(pairs.usable_P, dtype=reference_B.dtype)
    for u in range(U):
        here_B = (found.code_B == u).to(reference_B.dtype)
        more_P = pairs.first(here_B) - pairs.second(here_B)
        differ_P = torch.maximum(differ_P, more_P.abs())
        if u:
            gain_B = log_likelihood_of(u) - reference_B
            d_P = d_P + more_P * (pairs.first(gain_B) - pairs.second(gain_B))
    sight_B = found.sight_U[found.code_B].to(reference_B.dtype)
    alike_P = (pairs.first(sight_B) == pairs.second(sight_B)).to(reference_B.dtype)
    return alike_P * differ_P * softplus(-d_P)
