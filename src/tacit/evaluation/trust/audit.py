"""How many audited answers would settle the share that users like.

For a simple random sample of n shown responses, of which a share p is liked, Wilson's 95 % interval has the half-width

    h(n, p) = z · √( p(1 − p)/n + z²/(4n²) ) / (1 + z²/n),        z = 1.96

(E. B. Wilson, JASA 1927). `rows_needed` is the least n with h(n, p) ≤ d. Planned with the share nearest to ½ that the
fit does not rule out, which takes most rows.

With what the fit knows: its interval is read as a normal one of deviation σ = (high − low)/2z, and precisions add:

    1/s² = 1/σ² + n / (p(1 − p))     →     n = p(1 − p) · ( z²/d² − 1/σ² ),  not below 0

which trusts the assumptions of the fit; the first number does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tacit.evaluation.bootstrap import Interval, bootstrap, weighted_mean
from tacit.evaluation.trust.reading import Reading
from tacit.evaluation.trust.words import between, count, rate
from tacit.methods.nuisances.estimate import Z95, wilson

WIDTHS = (0.05, 0.02)
"""± by which the share is to be known."""


@dataclass(frozen=True)
class Need:
    """Rows to audit for the share to be known to ± `within` (95 %).

    Attributes:
        within: half-width.
        alone: by the audit alone.
        with_fit: if the interval of the fit is believed as well; None where it states none.
    """

    within: float
    alone: int
    with_fit: int | None


@dataclass(frozen=True)
class Audited:
    """What gold says already.

    Attributes:
        rows: with gold.
        share: their mean label, with its interval over prompts (sessions, users).
        predicted: the model's mean P(liked) of the same rows; None where scores only order.
        difference: predicted less audited on these rows; None likewise.
        verdict: "agree" or "contradict": whether that difference may be 0; "nothing to compare".
        stated: whether the interval of the audit and that of the fit share a value; None where the fit states none.
    """

    rows: int
    share: Interval
    predicted: float | None
    difference: Interval | None
    verdict: Literal["agree", "contradict", "nothing to compare"]
    stated: bool | None


@dataclass(frozen=True)
class Audit:
    """How many answers to audit, and what those that are audited say.

    Attributes:
        planned: the share that the numbers are planned with.
        needs: by half-width.
        audited: by gold; None without.
        told: in a sentence.
        do: what follows.
    """

    planned: float
    needs: tuple[Need, ...]
    audited: Audited | None
    told: str
    do: str


def half_width(n: int, p: float) -> float:
    """Half the width of Wilson's 95 % interval of a share p of n.

    Example:
        >>> round(half_width(100, 0.5), 4)
        0.0962
    """
    found = wilson(p * n, n)
    return (found.high - found.low) / 2


def rows_needed(p: float, within: float) -> int:
    """Least rows whose Wilson interval of a share p is no wider than ± `within`.

    Args:
        p: the share, 0 to 1.
        within: half-width, above 0.

    Example:
        >>> rows_needed(0.5, 0.05), rows_needed(0.5, 0.02)
        (381, 2398)
    """
    most = 1
    while half_width(most, p) > within:
        most *= 2
    least = most // 2  # too few, or 0
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if half_width(middle, p) > within else (least, middle)
    return most


def rows_beside(p: float, within: float, interval: tuple[float, float]) -> int:
    """Rows that narrow a known 95 % interval to ± `within`; see the module for the formula.

    Args:
        p: the share, 0 to 1.
        within: half-width, above 0.
        interval: what is known of it.

    Example:
        >>> rows_beside(0.5, 0.05, (0.45, 0.55)), rows_beside(0.5, 0.05, (0.0, 1.0))  # known so well; hardly known
        (0, 381)
    """
    known = (interval[1] - interval[0]) / (2 * Z95)
    if known * Z95 <= within:
        return 0
    return math.ceil(p * (1 - p) * ((Z95 / within) ** 2 - known**-2) - 1e-9)


def audit(info: dict[str, Any], has_probability: bool, reading: Reading | None) -> Audit:
    """Count the rows that an audit needs, and read the one that there is.

    Args:
        info: what the model states.
        has_probability: whether it has a level at all.
        reading: of a log, whose gold is read; None without.
    """
    ends = info["metrics"].get("base_rate_interval") if has_probability else None
    near = 0.5 if ends is None else min(max(0.5, ends[0]), ends[1])
    needs = tuple(
        Need(d, rows_needed(near, d), None if ends is None else rows_beside(near, d, tuple(ends)))
        for d in WIDTHS
    )
    audited = None if reading is None else _audited(reading, ends)
    told = " and ".join(f"{count(need.alone, 'answer')} for ±{rate(need.within)}" for need in needs)
    told = f"Drawn at random from the responses that were shown: {told}"
    if ends is not None:
        added = " and ".join(f"{need.with_fit:,}" for need in needs)
        told += f"; if you believe the fit's own interval ({between(*ends)}) as well, {added}"
    return Audit(near, needs, audited, f"{told}.", _advice(audited))


def _audited(reading: Reading, ends: Sequence[float] | None) -> Audited | None:
    gold_N, known_N = reading.log.gold_values()
    if not known_N.any():
        return None
    gold_n, unit_n = gold_N[known_N].astype(np.float64), reading.unit_N[known_N]
    share = _never_certain(bootstrap(weighted_mean(gold_n), unit_n), len(gold_n))
    stated = None
    if ends is not None and math.isfinite(share.low):
        stated = share.low <= ends[1] and ends[0] <= share.high
    if reading.liked_N is None:
        return Audited(len(gold_n), share, None, None, "nothing to compare", stated)
    liked_n = reading.liked_N[known_N]
    gap = bootstrap(weighted_mean(liked_n - gold_n), unit_n)
    if not math.isfinite(gap.low):
        return Audited(len(gold_n), share, float(liked_n.mean()), gap, "nothing to compare", stated)
    agree = gap.low <= 0 <= gap.high
    return Audited(len(gold_n), share, float(liked_n.mean()), gap, "agree" if agree else "contradict", stated)


def _never_certain(share: Interval, rows: int) -> Interval:
    """Wilson's interval where all labels are 0 or 1 alike: every draw of them is the same."""
    if share.value not in (0.0, 1.0):
        return share
    found = wilson(share.value * rows, rows)
    return Interval(share.value, found.low, found.high)


def _advice(audited: Audited | None) -> str:
    does = (
        "`tacit calibrate` turns such labels into probabilities: it moves level and steepness by two numbers (from 50 "
        "rows; the level alone from 10) and leaves rewards and their order as they are."
    )
    if audited is None:
        return f"Draw rows at random, let somebody judge them who does not see clicks, name the column --gold. {does}"
    if audited.verdict == "contradict":
        assert audited.difference is not None
        small = abs(audited.difference.value) <= WIDTHS[0]
        return f"{'The gap is small' if small else 'Do not use these probabilities as they are'}. {does}"
    if audited.verdict == "nothing to compare":
        return does
    return f"Nothing is contradicted; more rows narrow it further. {does}"
