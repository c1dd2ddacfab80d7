"""The table that a run leaves behind: what was run, who won where, and with what interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tacit.evaluation.bench.contenders import BASELINES
from tacit.evaluation.bench.real import RealResult
from tacit.evaluation.bench.results import DRAWS, Line
from tacit.evaluation.bench.run import BenchResult
from tacit.evaluation.bootstrap import Interval
from tacit.evaluation.table import Row

HONEST = (
    "**honest**: training, stopping, capacity and calibration read the log alone, by each method's own criterion on "
    "held-out prompts."
)
ORACLE = (
    "**oracle**: something was read that no log holds; for estimators, clean labels of held-out prompts stopped and "
    "calibrated the fit, as in the published tables; for references, true labels or true nuisances."
)


def markdown(
    result: BenchResult,
    table: dict[str, list[Line]],
    *,
    command: str,
    published: Callable[[str, str], str] | None = None,
    published_note: str = "",
) -> str:
    """The report of a run.

    Args:
        result: of the run.
        table: its lines by case.
        command: that made it, as typed.
        published: (case, method) → what the papers' tables say of the nearest setting; None leaves the column out.
        published_note: the caveat under such a column.
    """
    facts = result.facts
    parts = [
        f"# Suite `{result.suite}` on {result.data}",
        f"`{command}`",
        f"{facts['rows']:,} answers to {facts['prompts']:,} prompts; a quarter of the prompts is the test set, the "
        f"same for everyone. {result.seeds} {'seed' if result.seeds == 1 else 'seeds'} of simulated users on the same "
        f"texts; encoder {facts['encoder']}; budget of every contender: {facts['budget']}. Intervals: 95 %, {DRAWS} "
        "bootstrap draws of test prompts, of the mean over seeds; ± is the standard deviation over seeds.",
        HONEST + " " + ORACLE,
        _summary(result, table),
    ]
    for case, lines in table.items():
        parts.append(f"## {case}\n\n{_rates(facts['cases'][case])}\n\n{_case(case, lines, published)}")
    if published is not None:
        parts.append(published_note)
    parts.append(_legend())
    if result.doubts:
        parts.append(_warned(result.doubts))
    if result.refused:
        parts.append(_refused(result))
    return "\n\n".join(parts) + "\n"


def real_markdown(results: Sequence[RealResult], *, command: str) -> str:
    """The report of a run on real logs.

    Args:
        results: one per log.
        command: that made it, as typed.
    """
    parts = ["# Real logs", f"`{command}`", HONEST + " " + ORACLE]
    for result in results:
        facts = result.facts
        rates = "; ".join(f"`{name}` {rate:.1%}" for name, rate in facts["signals"].items())
        metrics = [name for name in _REAL if any(name in row.metrics for row in result.rows)]
        order = metrics[0] if metrics else None  # none where every fit that could be judged failed
        judged = (
            "Nothing could be judged."
            if order is None
            else f"*To naive*: paired difference in {_words(order)}."
        )
        rows = sorted(
            result.rows, key=lambda row: -row.metrics[order].value if order in row.metrics else np.inf
        )
        grid = [
            [
                f"`{row.method}`",
                row.protocol,
                *(_interval(row.metrics.get(name)) if _shows(result, row, name) else "–" for name in metrics),
                _signed(row.against["naive"][order]) if order in row.against.get("naive", {}) else "–",
                f"{result.seconds[row.method]:.0f}",
            ]
            for row in rows
        ]
        head = ["method", "protocol", *map(_words, metrics), "to naive", "seconds"]
        parts.append(
            f"## {result.data}\n\n{facts['rows']:,} rows, {facts['prompts']:,} prompts, {facts['quarantined']} rows "
            f"set aside; rates: {rates}; encoder {facts['encoder']}. Folds and intervals (95 %, 1,000 draws) by "
            f"{result.unit.removesuffix('_id')}. {judged}\n\n" + _grid(head, grid)
        )
        if result.doubts:
            parts.append(_warned(result.doubts))
        if result.refused:
            lines = "\n".join(f"* `{name}`: {reason}" for name, reason in result.refused)
            parts.append(f"Could not take part:\n\n{lines}")
    return "\n\n".join(parts) + "\n"


_ALL = 0.9995
"""Share of rows from which on a signal is said to be seen everywhere."""
_REAL = ("within_prompt_accuracy", "auroc", "spearman", "brier", "ece", "log_likelihood")


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _shows(result: RealResult, row: Row, metric: str) -> bool:
    return metric not in ("brier", "ece") or result.levels[row.method] == "prob"


def ranks(table: dict[str, list[Line]]) -> dict[tuple[str, str], list[float]]:
    """Rank of every honest estimator in every case that it took part in, 1 is best; ties share the mean rank."""
    found: dict[tuple[str, str], list[float]] = {}
    for lines in table.values():
        for protocol in ("honest", "oracle"):
            running = [
                line
                for line in lines
                if line.score.contender.protocol == protocol
                and line.score.contender.name not in BASELINES
                and not line.score.contender.given
                and not line.score.contender.method.reads_gold
            ]
            values = np.array([line.mean("within_prompt_accuracy") for line in running])
            for line, value in zip(running, values, strict=True):
                if np.isnan(value):
                    continue
                rank = float((values > value).sum() + ((values == value).sum() + 1) / 2)
                found.setdefault(_key(line), []).append(rank)
    return found


def _key(line: Line) -> tuple[str, str]:
    return line.score.contender.name, line.score.contender.protocol


def _summary(result: BenchResult, table: dict[str, list[Line]]) -> str:
    """Within-prompt accuracy of everyone in every case, best mean first, with the mean rank among its peers."""
    by_row: dict[tuple[str, str], dict[str, float]] = {}
    for case, lines in table.items():
        for line in lines:
            by_row.setdefault(_key(line), {})[case] = line.mean("within_prompt_accuracy")
    ranked = ranks(table)
    seconds: dict[tuple[str, str], float] = {}
    for score in result.scores:
        key = (score.contender.name, score.contender.protocol)
        seconds[key] = seconds.get(key, 0.0) + score.seconds
    order = sorted(by_row, key=lambda key: (-len(by_row[key]), -_mean(by_row[key].values())))
    head = ["method", "protocol", *table, "mean rank", "seconds"]
    rows = [
        [
            f"`{name}`",
            protocol,
            *(_number(by_row[name, protocol].get(case, float("nan"))) for case in table),
            f"{np.mean(ranked[name, protocol]):.1f}" if (name, protocol) in ranked else "–",
            f"{seconds[name, protocol]:.0f}",
        ]
        for name, protocol in order
    ]
    return "## Within-prompt accuracy\n\n" + _grid(head, rows)


def _mean(values: Iterable[float]) -> float:
    """Of those that are defined; 0 without any."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else 0.0


def _case(case: str, lines: list[Line], published: Callable[[str, str], str] | None) -> str:
    head = [
        "method",
        "protocol",
        "within-prompt accuracy",
        "± seeds",
        "to naive",
        "recovered",
        "AUROC",
        "Brier",
        "R²",
        "mean P",
    ]
    rows = []
    for line in lines:
        better = line.against.get("naive", {}).get("within_prompt_accuracy")
        rows.append(
            [
                f"`{line.score.contender.name}`",
                line.score.contender.protocol,
                _interval(line.intervals["within_prompt_accuracy"]),
                _number(line.spread("within_prompt_accuracy")),
                "–" if better is None else _signed(better),
                "–" if np.isnan(line.recovered) else f"{line.recovered:.0%}",
                _interval(line.intervals["auroc"]),
                _interval(line.intervals.get("brier")),
                _number(line.mean("r2")),
                _number(line.mean("base_rate")),
                *([] if published is None else [published(case, line.score.contender.name)]),
            ]
        )
    return _grid([*head, *([] if published is None else ["published †"])], rows)


def _rates(case: dict[str, object]) -> str:
    signals = case["signals"]
    assert isinstance(signals, dict)
    shown = "; ".join(
        f"`{name}` fires on {facts['rate']:.1%} of the rows"
        + ("" if facts["seen"] > _ALL else f" where it can be seen ({facts['seen']:.1%} of all)")
        for name, facts in signals.items()
    )
    return f"Liked: {case['liked']:.1%} of the answers. {shown}."


def _legend() -> str:
    return (
        "*Within-prompt accuracy*: how often the liked one of two answers to a prompt scores higher. *To naive*: "
        "paired difference from naive; where there are several signals, from `naive_one_signal`. *Recovered*: share "
        "of the distance from the same naive to `oracle`. *Mean P*: mean predicted probability. Brier, R² and mean P "
        "are left out where a method's score is not a probability and nothing calibrated it. Mean rank is among "
        "estimators of the same protocol; references and baselines are not ranked. *Seconds*: all seeds and cases, on "
        "the machine that ran it."
    )


def _warned(doubts: Sequence[str]) -> str:
    return "What fits warned of:\n\n" + "\n".join(f"* {line}" for line in doubts)


def _refused(result: BenchResult) -> str:
    reasons: dict[tuple[str, str], list[str]] = {}
    for case, name, reason in result.refused:
        cases = reasons.setdefault((name, reason), [])
        if case not in cases:
            cases.append(case)
    lines = [f"* `{name}` ({', '.join(cases)}): {reason}" for (name, reason), cases in reasons.items()]
    return "Could not take part:\n\n" + "\n".join(lines)


def _grid(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _interval(interval: Interval | None) -> str:
    return "–" if interval is None else _with_bounds(interval, ".3f")


def _signed(interval: Interval) -> str:
    return _with_bounds(interval, "+.3f")


def _with_bounds(interval: Interval, form: str) -> str:
    if np.isnan(interval.value):
        return "–"
    value = format(interval.value, form)
    return value if np.isnan(interval.low) else f"{value} [{interval.low:{form}}, {interval.high:{form}}]"
