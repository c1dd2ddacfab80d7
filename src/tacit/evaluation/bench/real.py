"""The suite of real logs: no truth is simulated; rows are judged by reviewers' labels, ranks, or held-out signals.

Every contender is cross-validated on the same folds, which keep sessions, users or prompts together.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit._version import __version__
from tacit.data import FeedbackLog
from tacit.errors import ConfigError, IdentificationWarning, TacitError
from tacit.evaluation.bench.entrants import is_own, row_name
from tacit.evaluation.bench.parts import doubts_of, in_short, kept_doubts, read_part, write_part
from tacit.evaluation.crossval import cross_validate, truths, unit_of
from tacit.evaluation.side_by_side import with_doubts
from tacit.evaluation.table import Predictions, Protocol, Row, compare
from tacit.features import EmbeddingStore, resolve_encoder
from tacit.files import sha256_json
from tacit.fitting import Prepared, prepare
from tacit.methods import Method, Observations, available, get
from tacit.methods.method import Level, require_method
from tacit.model.description import models_signals
from tacit.progress import progress
from tacit.training.config import TrainingConfig
from tacit.training.engine import first_product_dtype
from tacit.training.log_rows import observe

FOLDS = 5
BUDGET = TrainingConfig(hidden=())
"""The defaults of `tacit.fit` with linear reward heads: the real logs have about a thousand rows."""
ALWAYS = ("naive", "oracle", "constant", "length")


@dataclass(frozen=True)
class RealResult:
    """One real log.

    Attributes:
        data: its name.
        unit: what folds and intervals are made of.
        rows: one per contender, as `tacit.evaluation.table.compare` gives them.
        seconds: of every contender's cross-validation, by name.
        hashes: of its configuration, by name.
        refused: (contender, reason) of those that could not take part.
        facts: sizes, rates, encoder, budget.
        levels: what the score of each contender means, by name.
        doubts: what fits warned of about identification, one line for each contender.
    """

    data: str
    unit: str
    rows: tuple[Row, ...]
    seconds: dict[str, float]
    hashes: dict[str, str]
    refused: tuple[tuple[str, str], ...]
    facts: dict[str, Any]
    levels: dict[str, Level]
    doubts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"RealResult({self.data!r}, contenders={len(self.rows)}, folds by {self.unit}, "
            f"refused={len(self.refused)})"
        )


def run_real(
    log: FeedbackLog,
    folder: str | Path,
    *,
    methods: str | Method | Sequence[str | Method] = (),
    encoder: str = "minilm",
    config: TrainingConfig | None = None,
    data: str | None = None,
    store: EmbeddingStore | None = None,
    quiet: bool = True,
) -> RealResult:
    """Cross-validate every estimator that can read a real log, or what of it is missing.

    Args:
        log: signals, and gold or ranks to judge by where there are any.
        folder: where parts are kept, of all but estimators of one's own, which may have been edited since.
        methods: keys of estimators, and estimators of one's own; all of tacit's when empty. `ALWAYS` always take part.
        encoder: as in `tacit.fit`.
        config: the budget of every contender.
        data: what tables call the log; the last part of its name when None.
        store: embedding cache.
        quiet: no progress bars.

    Raises:
        ConfigError: an unknown estimator, two of one name, a log without signals, or one that nothing judges.
        DataError: no row has the gold or the rank that is named.
    """
    chosen = _chosen([methods] if isinstance(methods, str | Method) else methods)
    if not log.roles.signals:
        raise ConfigError(
            f"{log.name}: no signal is named; the real suite needs a log of feedback: name its columns "
            "(--signal COLUMN), or use oasst1 or realhumaneval"
        )
    truth = truths(log)  # refuses a log that nothing judges before anything is fitted
    config = config or BUDGET
    resolved, observed = resolve_encoder(encoder), observe(log)
    reasons = {name: _refusal(method, log, observed, resolved.paired) for name, method in chosen.items()}
    if truth.gold_N is None and truth.rank_N is None:
        _refuse_unjudged(log, observed, [method for name, method in chosen.items() if reasons[name] is None])
    prepared = prepare(log, resolved, store=store, quiet=quiet)
    common = {
        "suite": "real",
        "log": log.fingerprint(),
        "encoder": [prepared.encoder.content_hash, prepared.encoder.precision],
        "config": config.model_dump(mode="json"),
        "precision": str(first_product_dtype(config)),
        "versions": [__version__, torch.__version__],
    }
    found: list[Predictions] = []
    seconds, hashes = {}, {}
    refused: list[tuple[str, str]] = []
    doubts: list[str] = []
    with progress(f"cross-validating {log.name}", len(chosen), quiet=quiet) as bar:
        for name, method in chosen.items():
            bar.advance(1, name)
            if (reason := reasons[name]) is not None:
                refused.append((name, reason))
                continue
            key = sha256_json({**common, "method": [method.key, method.parameters()]})
            try:
                part = _part(None if is_own(method) else Path(folder), key, method, prepared, config)
            except TacitError as error:  # one that cannot be fitted does not end a run of hours
                refused.append((name, str(error)))
                continue
            hashes[name], seconds[name] = key, float(part["seconds"])
            protocol: Protocol = "oracle" if method.reads_gold else "honest"
            found.append(
                Predictions(name, protocol, part["score"], part.get("log_likelihood"), method.level == "prob")
            )
            if warned := doubts_of(part):
                doubts.append(f"{name}: {in_short(warned)}")
    for line in doubts:
        warnings.warn(line, IdentificationWarning, stacklevel=2)
    rows = compare(found, truth)
    facts = {
        "rows": len(log),
        "prompts": len(set(log.prompt_codes().tolist())),
        "quarantined": log.quarantine.total,
        "encoder": f"{prepared.encoder.name} ({prepared.encoder.precision})",
        "signals": {
            signal.name: rate
            for signal, rate in zip(log.roles.signals, prepared.observations.signal_rates(), strict=True)
        },
    }
    return RealResult(
        data or Path(log.name).name,
        unit_of(log),
        tuple(rows),
        seconds,
        hashes,
        tuple(refused),
        facts,
        {name: method.level for name, method in chosen.items()},
        tuple(doubts),
    )


def _chosen(asked: Sequence[str | Method]) -> dict[str, Method]:
    """The estimators of a run by the names of their rows."""
    names = [one for one in asked if isinstance(one, str)]
    for name in names:
        get(name)  # refuses what nobody is called
    chosen = {key: kind() for key, kind in available().items() if not asked or key in names or key in ALWAYS}
    for one in asked:
        if isinstance(one, str):
            continue
        name = row_name(require_method(one))
        if name in chosen and chosen[name] != one:
            raise ConfigError(f"two estimators are called {name!r}; give one of them another key")
        chosen[name] = one
    return chosen


def _refuse_unjudged(log: FeedbackLog, obs: Observations, chosen: Sequence[Method]) -> None:
    """Raise unless one of those who take part can be judged by the likelihood of held-out signals."""
    if any(models_signals(method, obs) for method in chosen):
        return
    names = ", ".join(method.key for method in chosen) or "those asked for"
    raise ConfigError(
        f"{log.name}: nothing here can be judged: no gold and no ranks are named, and none of {names} gives the "
        f"{obs.n_signals} signals a likelihood; name --gold COLUMN, or add an estimator that models signals, such as "
        "latent_ml"
    )


def _refusal(method: Method, log: FeedbackLog, obs: Observations, paired: bool) -> str | None:
    labels = any(signal.kind == "explicit" for signal in log.roles.signals) or len(set(obs.polarity)) == 2
    if method.setting in ("explicit", "pairwise") and not labels:
        return "reads labels, given where users cared to; this log holds one kind of click"
    if "context" in method.needs and not log.roles.context:
        return "needs context, and this log has none"
    if method.reads_gold and log.roles.gold is None:
        return "needs gold"
    seen = obs if method.reads_gold else obs.without_gold()
    try:
        method.check(seen)
        if "prompt" in {head.view for head in method.heads(seen)} and not paired:
            return "needs prompts that are embedded apart from their responses"
    except TacitError as error:
        return str(error)
    return None


def _part(
    folder: Path | None, key: str, method: Method, prepared: Prepared, config: TrainingConfig
) -> dict[str, NDArray[Any]]:
    """A contender's predictions, kept in a folder unless there is None."""
    part = None if folder is None else read_part(folder, key, "score", "seconds", "doubts")
    if part is None:
        started = time.perf_counter()
        (made,), doubts = with_doubts(lambda: cross_validate(prepared, [method], folds=FOLDS, config=config))
        seconds = np.array(time.perf_counter() - started)
        part = {"score": made.score_N, "seconds": seconds, "doubts": kept_doubts(doubts)}
        if made.log_likelihood_N is not None:
            part["log_likelihood"] = made.log_likelihood_N
        if folder is not None:
            write_part(folder, key, **part)
    return part


def tidy_real(results: Sequence[RealResult]) -> Iterator[dict[str, Any]]:
    """One row per log, contender and metric, with its interval."""
    for result in results:
        for row in result.rows:
            for metric, interval in row.metrics.items():
                yield {
                    "suite": "real",
                    "data": result.data,
                    "method": row.method,
                    "level": result.levels[row.method],
                    "protocol": row.protocol,
                    "metric": metric,
                    "value": _finite(interval.value),
                    "low": _finite(interval.low),
                    "high": _finite(interval.high),
                    "seconds": result.seconds[row.method],
                    "config_hash": result.hashes[row.method],
                }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
