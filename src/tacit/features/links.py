"""Whether the context of a log compares its texts with one another, or only some of them among themselves.

One signal shows r(x)·e(z), liking times acting. On a logarithmic scale that is a sum, log r of the text plus log e of
the context, and whatever can be moved from one term to the other without a trace is open. A constant always can. More
can where the context tells what the text is: let topic A be shown on surfaces a₁ and a₂ alone and topic B on b₁ and b₂.
Half the liking of A with twice the acting on a₁ and a₂ gives the same clicks, and B is not touched. Then there is one
free constant for each of the two, and the order between them is not in the log, however long it is.

Several columns act as a sum of their effects, one for each level, or one slope for a number. So a direction of the
texts is open if some *sum* of what the propensity head sees of the context equals it. It follows that a column that
both parts share does not link them: that A and B are both read on phones helps nothing while surfaces tell them apart.
It also follows that a number ties its values to each other by the slope: it is what the head assumes.

That is the rank condition of designs with several factors (one column: the connected components of the graph of texts
and contexts). Real texts come in no classes, so it is measured by least squares: of all ways to cut the texts in two
that are linear in their leading coordinates, which does the context tell best? What it does *not* tell, the share of
variance left, is 0 of parts without a link, 4q(1 − q) of two equal parts where a share q of the rows crosses, and
near 1 where context is drawn apart from the text. Of the style that propensity heads see too nothing is said here.

Legend: N rows, S coordinates of the text, C columns of the context.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

COORDINATES = 64
"""Of the text, at most: fewer leave parts unseen."""

LOOSE = 0.2
"""A cut of whose variance the context leaves less is no link. In simulated logs whose rows cross by 1, 2 and 5 % (left:
.05, .09 and .2) a fit had the order between the parts wrong, wrong and right; the worlds of `tacit bench` leave .9, and
RealHumanEval, where the number of the turn tells much of a text, .5."""

MOST_ROWS = 1 << 16
"""Rows that are read for a cut, at most: more find no other."""

_SMALLEST = 0.02  # share of the rows that a part has at least
_FEWEST = 20  # rows of it
_MOST_PARTS = 16
_DIRECTIONS = 3  # in which cuts are tried
_STEPS = 4096  # cuts tried along each of them
_PER_PROMPT = 8  # prompts for each coordinate: with few, text that varies tells any context by chance


@dataclass(frozen=True)
class Links:
    """Parts of the texts of a log that its context does not link.

    Attributes:
        part_N: int64 [N], the part of each row, the largest first; all 0 of a linked log.
        crossing: share of the rows whose context is that of another part; None of one part.
        left: of the cut that context tells best, the share of variance that it does not tell; 1 where it tells nothing.
    """

    part_N: Rows
    crossing: float | None
    left: float

    @property
    def shares(self) -> list[float]:
        """The share of the rows in each part."""
        counts = np.bincount(self.part_N)
        return [round(float(count) / len(self.part_N), 4) for count in counts]


@dataclass(frozen=True)
class _Cut:
    left: float
    direction_S: FloatArray
    above: float

    def of(self, text_NS: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Which texts lie above it."""
        above_N: npt.NDArray[np.bool_] = text_NS[:, : len(self.direction_S)] @ self.direction_S > self.above
        return above_N


def find_links(
    text_NS: npt.NDArray[np.floating],
    context_NC: npt.NDArray[np.floating],
    prompt_N: Rows,
    seen_N: npt.NDArray[np.bool_],
) -> Links | None:
    """Cut the texts as long as the context tells the sides apart; None of too few prompts to say.

    Args:
        text_NS: coordinates of the texts, the leading one first.
        context_NC: what propensity heads see of the context.
        prompt_N: the prompt of each row, by number.
        seen_N: whether the signal of a row could be recorded: others link nothing.

    Example:
        >>> topic, surface = np.repeat([0.0, 1.0], 40), np.eye(4)[np.arange(80) % 2 + np.repeat([0, 2], 40)]
        >>> prompts, every = np.arange(80), np.ones(80, dtype=bool)
        >>> find_links(topic[:, None], surface, prompts, every).shares  # 0 on two surfaces, 1 on two others
        [0.5, 0.5]
        >>> find_links(topic[:, None], np.eye(2)[np.arange(80) % 2], prompts, every).shares  # on the same two
        [1.0]
    """
    seen_n = np.flatnonzero(seen_N)
    part_N = np.zeros(len(text_NS), dtype=np.int64)
    least = max(_FEWEST, int(_SMALLEST * len(seen_n)))
    first: _Cut | None = None
    parts, waiting = 1, [0]
    while waiting and parts < _MOST_PARTS:
        part = waiting.pop()
        rows_n = seen_n[part_N[seen_n] == part]
        some_n = _some(rows_n)
        cut = _loosest(
            text_NS[some_n].astype(np.float64),
            context_NC[some_n].astype(np.float64),
            len(np.unique(prompt_N[rows_n])),
            max(1, least * len(some_n) // max(1, len(rows_n))),
        )
        first = first or cut
        if cut is None or cut.left >= LOOSE:
            continue
        part_N[(part_N == part) & cut.of(text_NS)] = parts
        waiting += [part, parts]
        parts += 1
    if first is None:
        return None
    part_N = np.argsort(np.argsort(-np.bincount(part_N), kind="stable"))[part_N]
    some_n = _some(seen_n)
    crossing = None if parts == 1 else _crossing(part_N[some_n], context_NC[some_n].astype(np.float64))
    return Links(part_N, crossing, round(first.left, 4))


def _some(rows_n: Rows) -> Rows:
    """These rows, or `MOST_ROWS` of them from first to last."""
    if len(rows_n) <= MOST_ROWS:
        return rows_n
    return rows_n[np.linspace(0, len(rows_n) - 1, MOST_ROWS).astype(np.int64)]


def _loosest(text_nS: FloatArray, context_nC: FloatArray, prompts: int, least: int) -> _Cut | None:
    """The cut that the context tells best, each side of at least `least` rows; None where chance would tell as much."""
    n = len(text_nS)
    if n < 2 * least:
        return None
    context_nC = context_nC - context_nC.mean(0)
    spread_CC = context_nC.T @ context_nC / n
    inverse_CC = np.asarray(np.linalg.pinv(spread_CC, rcond=1e-8, hermitian=True), dtype=np.float64)
    effects = round(float(np.trace(spread_CC @ inverse_CC)))  # the rank
    S = min(COORDINATES, text_nS.shape[1], prompts // _PER_PROMPT, 2 * prompts // _PER_PROMPT - effects)
    if S < 1:
        return None
    text_nS = text_nS[:, :S]
    free_nS, back_SS = _whitened(text_nS)
    across_SC = free_nS.T @ context_nC / n
    _, directions = np.linalg.eigh(across_SC @ inverse_CC @ across_SC.T)
    loosest = _Cut(1.0, np.zeros(S), 0.0)
    for direction in directions.T[::-1][:_DIRECTIONS]:
        along_S = back_SS @ direction
        left, above = _best_place(text_nS @ along_S, context_nC, inverse_CC, least)
        if left < loosest.left:
            loosest = _Cut(left, along_S, above)
    return loosest


def _whitened(text_nS: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coordinates of mean 0, variance 1 and no correlation [n, s], and what made them of the centred ones [S, s]."""
    about_nS = text_nS - text_nS.mean(0)
    values, vectors = np.linalg.eigh(about_nS.T @ about_nS / len(text_nS))
    kept = values > 1e-6 * max(float(values[-1]), 1e-12)
    back_SS = vectors[:, kept] / np.sqrt(values[kept])
    return about_nS @ back_SS, back_SS


def _best_place(
    along_n: FloatArray, context_nC: FloatArray, inverse_CC: FloatArray, least: int
) -> tuple[float, float]:
    """Where to cut along a direction, and the share of the cut's variance that the context leaves."""
    n = len(along_n)
    order = np.argsort(along_n, kind="stable")
    sorted_n = along_n[order]
    starts = np.unique(np.linspace(least, n - least, _STEPS).astype(np.int64))
    starts = starts[sorted_n[starts - 1] < sorted_n[np.minimum(starts, n - 1)]]  # equal texts stay together
    if not len(starts):
        return 1.0, 0.0
    below_TC = np.cumsum(np.add.reduceat(context_nC[order], np.r_[0, starts], axis=0), axis=0)[:-1] / n
    share_T = starts / n
    told_T = (below_TC @ inverse_CC * below_TC).sum(1) / (share_T * (1 - share_T))
    best = int(told_T.argmax())
    at = starts[best]
    return float(max(0.0, 1 - told_T[best])), float((sorted_n[at - 1] + sorted_n[at]) / 2)


def _crossing(part_n: npt.NDArray[np.int64], context_nC: FloatArray) -> float:
    """Share of rows whose context, by least squares, belongs to another part."""
    parts_nP = np.eye(int(part_n.max()) + 1)[part_n]
    with_one_nC = np.c_[context_nC, np.ones(len(part_n))]
    weights_CP = np.linalg.pinv(with_one_nC.T @ with_one_nC, rcond=1e-10, hermitian=True) @ (
        with_one_nC.T @ parts_nP
    )
    return round(float(((with_one_nC @ weights_CP).argmax(1) != part_n).mean()), 4)
