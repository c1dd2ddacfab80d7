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
_MORE = 2.0  # times as large, on a logarithmic scale, is most of a difference
_TINY = 1e-6
_SHORT = 12  # letters of a name that may be repeated


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
    named = bins.labels  # a long name stands above the sentence, and is not said twice in it
    if not is_context:
        named = tuple(f"{label} words" for label in bins.labels)
    elif len(bins.name) <= _SHORT:
        named = tuple(f"{bins.name} {label}" for label in bins.labels)
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
        _advice(signals, liked, [read.signal.polarity for read in reading.signals], is_context=is_context),
    )


def chance_of(fired_n: NDArray[np.bool_], at_n: NDArray[np.int64], unit_n: NDArray[np.int64]) -> float | None:
    """P-value of the test that a signal fires at one rate in all bins; None where there is nothing to compare.

    Pearson's χ² divided by the mean design effect (Rao & Scott, Annals of Statistics 1984), read as F with J − 1 and
    (J − 1)(G − 1) degrees of freedom: rows of one unit (prompt, session, user) hang together, and G of these rows are
    drawn. The design effect is tr(V₀⁻¹V)/(J − 1), with V the covariance over units of the differences between bins, and
    V₀ that of independent rows; not below 1.

    Args:
        fired_n: bool, the signal fired.
        at_n: the bin of each row, of J.
        unit_n: its unit, of G.

    Example:
        >>> row, half = np.arange(200), np.arange(200) % 2 == 0
        >>> chance_of(half, row // 100, row), chance_of(half, half.astype(int), row) < 1e-9
        (1.0, True)
    """
    from scipy.stats import f

    _, at_n = np.unique(at_n, return_inverse=True)
    _, group_n = np.unique(unit_n, return_inverse=True)
    rows_J = np.bincount(at_n)
    J, G = len(rows_J), int(group_n.max(initial=-1)) + 1
    if J < 2 or G < 2 or not fired_n.any() or fired_n.all():
        return None
    mean_J, mean = np.bincount(at_n, weights=fired_n) / rows_J, float(fired_n.mean())
    one = mean * (1 - mean)
    pearson = float((rows_J * np.square(mean_J - mean)).sum()) / one
    left_GJ = (
        np.bincount(group_n * J + at_n, weights=fired_n - mean_J[at_n], minlength=G * J).reshape(G, J)
        / rows_J
    )
    apart_GJ = left_GJ[:, 1:] - left_GJ[:, :1]
    independent = np.diag(one / rows_J[1:]) + one / rows_J[0]
    effect = float(np.trace(np.linalg.solve(independent, apart_GJ.T @ apart_GJ))) * G / (G - 1) / (J - 1)
    return float(f.sf(pearson / max(1.0, effect) / (J - 1), J - 1, (J - 1) * (G - 1)))


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


def _advice(
    signals: list[SignalBias], liked: tuple[float, ...] | None, polarity: list[int], *, is_context: bool
) -> str:
    moving = [
        (one, sign, ends)
        for one, sign in zip(signals, polarity, strict=True)
        if one.moves and (ends := one.ends()) is not None
    ]
    if not signals:
        return "Name the signals of the fit to see how often they fire here."
    if not moving:
        return "Nothing to do: a column that moves nothing does no harm, and helps as little."
    if liked is None or any(one.acting is None for one, _, _ in moving):
        return "The model does not say who acts, so that what moves hands may move its rewards: judge it by an audit."
    acts, likes = max((factors(one, liked, sign, ends) for one, sign, ends in moving), key=max)
    told = f"The model puts that down to who acts (a factor of {acts:.1f}) and to the answers ({likes:.1f})"
    if np.log(acts) >= _MORE * np.log(likes):
        done = "Nothing to do, if section 3 bears it out" if is_context else "Nothing to do, if you agree"
        return f"{told}: mostly to who acts. {done}."
    least = "mostly to the answers" if np.log(likes) >= _MORE * np.log(acts) else "to both"
    if is_context:
        return (
            f"{told}: {least}. That may be so where other answers are shown there; if not, it is bias that is left: "
            "audit some from both ends."
        )
    return (
        f"{told}: {least}. Length may move hands and taste at once, and the log alone does not say which: audit some "
        "short and some long answers."
    )


def factors(
    one: SignalBias, liked: tuple[float, ...], polarity: int, ends: tuple[int, int]
) -> tuple[float, float]:
    """By what factors acting and liking (of a negative signal: disliking) differ between two bins, each 1 or more.

    Args:
        one: with the propensities of the bins.
        liked: P(liked) of the bins.
        polarity: of the signal, ±1.
        ends: the two bins.

    Example:
        >>> one = SignalBias("copied", (0.4, 0.1), (100, 100), (0.8, 0.4), 0.0)
        >>> factors(one, (0.5, 0.25), 1, (0, 1)), factors(one, (0.5, 0.25), -1, (0, 1))
        ((2.0, 2.0), (2.0, 1.5))
    """
    assert one.acting is not None
    acts = [max(one.acting[j] or 0.0, _TINY) for j in ends]
    due = [max(liked[j] if polarity > 0 else 1 - liked[j], _TINY) for j in ends]
    return max(acts) / min(acts), max(due) / min(due)
