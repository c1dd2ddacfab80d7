"""What moves hands: signal rates, fitted propensities and P(liked) by context and by response length.

J bins of a column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tacit.evaluation.trust.bins import Bins, bins_of
from tacit.evaluation.trust.reading import Reading
from tacit.evaluation.trust.words import rate

LENGTH = "response length (words)"

_LEAST, _SHARE = 20, 0.05  # rows of a bin that a sentence names, and their share of all
_SURE = 0.01  # chance of such differences where there are none, below which they are said to be there
_FAR = 0.1  # between mean P(liked) of two bins, beyond which an audit is advised


@dataclass(frozen=True)
class SignalBias:
    """One signal by the bins of a column; None where nothing was seen, or the model does not say.

    Attributes:
        signal: its name.
        fired: share of the rows of each bin on which it fired, of those where it could.
        seen: these rows.
        acting: mean fitted P(it is given | it is due).
        chance: of differences between bins as large as these if there were none (see `chance_of`); None of one bin.
    """

    signal: str
    fired: tuple[float | None, ...]
    seen: tuple[int, ...]
    acting: tuple[float | None, ...] | None
    chance: float | None

    @property
    def moves(self) -> bool:
        """Whether the column and the signal go together beyond chance."""
        return self.chance is not None and self.chance < _SURE

    def ends(self) -> tuple[int, int] | None:
        """Bins with the highest and the lowest rate, of those with rows enough to be named; None of fewer than two."""
        least = max(_LEAST, _SHARE * sum(self.seen))
        named = [j for j, rows in enumerate(self.seen) if rows >= least]
        if len(named) < 2:
            return None
        values = {j: self.fired[j] or 0.0 for j in named}
        return max(named, key=values.__getitem__), min(named, key=values.__getitem__)


@dataclass(frozen=True)
class Bias:
    """One column of context, or the response length.

    Attributes:
        column: its name.
        bins: what the bins are called.
        rows: of each; together the log.
        liked: mean P(liked) of each; None where scores only order.
        reward: mean reward of each.
        signals: by signal.
        audited: mean gold of each; None where the log has none.
        told: sentences, one per signal.
        do: what follows.
    """

    column: str
    bins: tuple[str, ...]
    rows: tuple[int, ...]
    liked: tuple[float, ...] | None
    reward: tuple[float, ...]
    signals: tuple[SignalBias, ...]
    audited: tuple[float | None, ...] | None
    told: tuple[str, ...]
    do: str


def biases(reading: Reading) -> tuple[Bias, ...]:
    """Every context column, then the response length.

    Args:
        reading: of the log, N rows.
    """
    columns = reading.log.context_columns().items()
    found = [_bias(reading, bins_of(name, values), is_context=True) for name, values in columns]
    return (*found, _bias(reading, bins_of(LENGTH, reading.words_N), is_context=False))


def _bias(reading: Reading, bins: Bins, *, is_context: bool) -> Bias:
    J = len(bins.labels)
    signals = []
    for one in reading.signals:
        seen_J = np.bincount(bins.at_N[one.seen_N], minlength=J)
        fired_J = np.bincount(bins.at_N[one.fired_N], minlength=J)
        acting = None if one.act_N is None else tuple(_means(bins, one.act_N))
        signals.append(
            SignalBias(
                one.signal.name,
                tuple(float(f / s) if s else None for f, s in zip(fired_J, seen_J, strict=True)),
                tuple(int(s) for s in seen_J),
                acting,
                chance_of(one.fired_N[one.seen_N], bins.at_N[one.seen_N], reading.unit_N[one.seen_N]),
            )
        )
    liked = None if reading.liked_N is None else tuple(_means(bins, reading.liked_N))
    named = tuple(f"{bins.name} {label}" if is_context else f"{label} words" for label in bins.labels)
    told = tuple(
        _sentence(named, one, liked, read.signal.polarity)
        for one, read in zip(signals, reading.signals, strict=True)
    )
    return Bias(
        bins.name,
        bins.labels,
        tuple(bins.rows),
        liked,
        tuple(_means(bins, reading.reward_N)),
        tuple(signals),
        _audited(reading, bins),
        told,
        _advice(signals, liked, is_context=is_context),
    )


def chance_of(fired_n: NDArray[np.bool_], at_n: NDArray[np.int64], unit_n: NDArray[np.int64]) -> float | None:
    """P-value of the score test that a signal fires at one rate in all bins; None where there is nothing to compare.

    S_j = Σ_{i in j} (y_i − ȳ) for all bins but one, SᵀV⁻¹S ~ χ² with as many degrees of freedom; V is the covariance of
    S over units (prompts, sessions, users), whose rows hang together. With a unit a row it is Pearson's χ², nearly.

    Args:
        fired_n: bool, the signal fired.
        at_n: the bin of each row.
        unit_n: its unit.

    Example:
        >>> row, half = np.arange(200), np.arange(200) % 2 == 0
        >>> chance_of(half, row // 100, row), chance_of(half, half.astype(int), row) < 1e-9
        (1.0, True)
    """
    from scipy.stats import chi2

    _, at_n = np.unique(at_n, return_inverse=True)
    _, group_n = np.unique(unit_n, return_inverse=True)
    share_J = np.bincount(at_n) / max(1, len(at_n))
    J, G = len(share_J), int(group_n.max(initial=-1)) + 1
    if J < 2 or G < 2 or not fired_n.any() or fired_n.all():
        return None
    left_n = fired_n - fired_n.mean()
    sums_GJ = np.bincount(group_n * J + at_n, weights=left_n, minlength=G * J).reshape(G, J)
    score_J = sums_GJ.sum(0)
    own_GJ = (sums_GJ - share_J * sums_GJ.sum(1, keepdims=True))[:, :-1]
    statistic = float(score_J[:-1] @ np.linalg.pinv(own_GJ.T @ own_GJ, hermitian=True) @ score_J[:-1])
    return float(chi2.sf(statistic, J - 1))


def _means(bins: Bins, value_N: NDArray[np.float64]) -> list[float]:
    sums = np.bincount(bins.at_N, weights=value_N, minlength=len(bins.labels))
    return [float(total / rows) for total, rows in zip(sums, bins.rows, strict=True)]


def _audited(reading: Reading, bins: Bins) -> tuple[float | None, ...] | None:
    gold_N, known_N = reading.log.gold_values()
    if not known_N.any():
        return None
    rows_J = np.bincount(bins.at_N[known_N], minlength=len(bins.labels))
    sums_J = np.bincount(bins.at_N[known_N], weights=gold_N[known_N], minlength=len(bins.labels))
    return tuple(float(total / rows) if rows else None for total, rows in zip(sums_J, rows_J, strict=True))


def _sentence(named: tuple[str, ...], one: SignalBias, liked: tuple[float, ...] | None, polarity: int) -> str:
    ends = one.ends()
    if ends is None:
        return (
            f"{one.signal}: there are no two bins with {_LEAST} rows and a twentieth of the log to compare."
        )
    high, low = ends
    most, least = one.fired[high] or 0.0, one.fired[low] or 0.0
    if not one.moves:
        return f"{one.signal} fires alike, as far as chance tells: from {rate(least)} to {rate(most)} of the rows."
    if least > 0:
        told = f"{one.signal} fires {most / least:.1f} times as often at {named[high]} as at {named[low]}"
    else:
        told = f"{one.signal} fires at {named[high]} and never at {named[low]}"
    told += f" ({rate(most)} against {rate(least)})."
    if one.acting is None and liked is None:
        return told
    parts = []
    if one.acting is not None:
        whom = "like" if polarity > 0 else "dislike"
        parts.append(
            f"of those who {whom} an answer {rate(one.acting[high])} and {rate(one.acting[low])} act there"
        )
    if liked is not None:
        parts.append(f"P(liked) is {rate(liked[high])} and {rate(liked[low])}")
    return f"{told} By the fit, {'; '.join(parts)}."


def _advice(signals: list[SignalBias], liked: tuple[float, ...] | None, *, is_context: bool) -> str:
    moving = [one for one in signals if one.moves and one.ends() is not None]
    if not signals:
        return "Name the signals of the fit to see how often they fire here."
    if not moving:
        return "Nothing to do: a column that moves nothing does no harm, and helps as little."
    apart = (
        max(abs(liked[e[0]] - liked[e[1]]) for one in moving if (e := one.ends()))
        if liked is not None
        else 0.0
    )
    if not is_context:
        return "Length may move hands and taste at once, and the log alone does not say which: " + (
            "audit some short and some long answers." if apart > _FAR else "the model puts it down to hands."
        )
    if apart > _FAR:
        return (
            f"The model also says that the answers differ by {rate(apart)} in quality. That may be so where other "
            "answers are shown there; if not, this is bias that is left: audit some from both ends."
        )
    return "Nothing to do: the model puts the difference down to who acts, not to the answers."
