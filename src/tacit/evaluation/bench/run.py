"""The runner: every contender on every case, one batched fit for all seeds of a case, each result kept as it comes.

A part file holds the test scores of one contender on one case, under a hash of everything that decides them. A run
that was interrupted, or is asked for again with more methods, computes only what is missing.
Shapes: S seeds, N rows, n test rows.
"""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit._version import __version__
from tacit.data import FeedbackLog
from tacit.errors import IdentificationWarning
from tacit.evaluation.bench.contenders import Contender, contenders, refusal
from tacit.evaluation.bench.entrants import Asked, entrants, is_own
from tacit.evaluation.bench.parts import in_short
from tacit.evaluation.bench.problems import Problem, Texts, refuse_without_gold
from tacit.evaluation.bench.suites import Case, cases_of
from tacit.evaluation.bench.workers import Job, Part, run_jobs
from tacit.evaluation.side_by_side import processes
from tacit.evaluation.table import Protocol
from tacit.features import EmbeddingStore, resolve_encoder
from tacit.files import sha256_json
from tacit.progress import progress
from tacit.training.config import TrainingConfig
from tacit.training.engine import first_product_dtype
from tacit.training.roster import roster, teams
from tacit.training.selection import train_best

BUDGET = TrainingConfig(members=2, hidden=(16, 16), max_epochs=80, patience=8, batch_size=256)
"""The same for every contender: two weight decays of one network, chosen by each method's held-out criterion."""


@dataclass(frozen=True)
class Score:
    """One contender on one case.

    Attributes:
        case: the world.
        contender: the row of the table.
        scores_Sn: test scores (logits) of every seed.
        seconds: that the fit took, all seeds together.
        hash: of the configuration.
    """

    case: Case
    contender: Contender
    scores_Sn: NDArray[np.float32]
    seconds: float
    hash: str


@dataclass(frozen=True)
class Judged:
    """What the test rows of a case are judged against: r* of every seed, and their prompts."""

    liked_Sn: NDArray[np.float32]
    prompts_n: NDArray[np.int64]


@dataclass(frozen=True)
class BenchResult:
    """Everything that tables and plots are made of.

    Attributes:
        suite: name.
        data: name of the base log.
        seeds: S.
        scores: one per case and contender that could take part.
        judged: by case name.
        refused: (case, contender, reason) of those that could not.
        facts: rows, prompts, rates by case, budget, versions.
        doubts: what fits warned of about identification, one line for each contender and protocol.
    """

    suite: str
    data: str
    seeds: int
    scores: tuple[Score, ...]
    judged: dict[str, Judged]
    refused: tuple[tuple[str, str, str], ...]
    facts: dict[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        contenders = len({score.contender.name for score in self.scores})
        return (
            f"BenchResult({self.suite!r}, data={self.data!r}, cases={len(self.judged)}, contenders={contenders}, "
            f"seeds={self.seeds}, refused={len(self.refused)})"
        )


def run_bench(
    suite: str | Case | Sequence[Case],
    base: FeedbackLog,
    folder: str | Path,
    *,
    methods: Asked | Sequence[Asked] = (),
    seeds: int = 5,
    protocols: Sequence[Protocol] = ("honest",),
    encoder: str = "minilm",
    config: TrainingConfig | None = None,
    data: str | None = None,
    store: EmbeddingStore | None = None,
    jobs: int | None = 1,
    quiet: bool = True,
) -> BenchResult:
    """Run a suite of simulated worlds, or what of it is missing.

    Args:
        suite: a key of `SUITES`, or cases of one's own.
        base: texts with gold on every row.
        folder: where parts are kept, of all but estimators of one's own, which may have been edited since.
        methods: names, and estimators of one's own; all of tacit's when empty. The baselines always take part. An
            estimator is called like its key; a `Contender` has a name of its own, and may be given true nuisances.
        seeds: S, all trained in one pass.
        protocols: "honest", "oracle" (clean labels stop and calibrate), or both.
        encoder: as in `tacit.fit`.
        config: the budget of every contender.
        data: what tables call the base; the last part of its name when None.
        store: embedding cache.
        jobs: processes that fit side by side; None takes one per core. Results do not depend on it.
        quiet: no progress bars.

    Raises:
        ConfigError: an unknown suite or contender, two of one name, an estimator with the key of another, a case that
            makes no world of these texts, or a base without gold.
        DataError: a base of fewer than four prompts.
        TacitError: an estimator that cannot be sent to another process.

    Example:
        >>> import tempfile
        >>> from tacit.evaluation.bench import Case
        >>> from tacit.training import TrainingConfig
        >>> from tacit.worlds import stdlib_base
        >>> quick = TrainingConfig(members=1, hidden=(), weight_decay=1.0, max_epochs=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run_bench(
        ...         [Case("long answers", "style", {"length": 1.6})], stdlib_base(limit=12), folder,
        ...         methods=["nnpu"], seeds=2, encoder="hashing:32", config=quick,
        ...     )
        BenchResult('own', data='stdlib', cases=1, contenders=6, seeds=2, refused=0)
    """
    suite, cases = cases_of(suite)
    names, own = entrants(methods)
    refuse_without_gold(base)
    config = config or BUDGET
    resolved = resolve_encoder(encoder)
    texts = Texts.of(base, resolved, store, quiet=quiet)
    unordered = _unordered(texts)
    for line in unordered:
        warnings.warn(line, IdentificationWarning, stacklevel=2)
    shared = tempfile.TemporaryDirectory(prefix="tacit-bench-")
    if processes(jobs) > 1:
        texts = texts.mapped(Path(shared.name))
    common = {
        "suite": suite,
        "seeds": seeds,
        "base": base.fingerprint(),
        "encoder": [resolved.content_hash, resolved.precision],
        "config": config.model_dump(mode="json"),
        "precision": str(first_product_dtype(config)),
        "versions": [__version__, torch.__version__],
    }
    scores: list[Score] = []
    judged: dict[str, Judged] = {}
    refused: list[tuple[str, str, str]] = []
    facts: dict[str, Any] = {
        "rows": len(base),
        "prompts": len(set(texts.groups_N.tolist())),
        "encoder": f"{resolved.name} ({resolved.precision})",
        "budget": _describe(config),
        "cases": {},
    }
    todo: list[tuple[Case, Job]] = []
    for case in cases:
        problem = Problem.of(texts, case.world(base, seeds))
        drawn = _drawn(problem)
        judged[case.name] = Judged(problem.liked_SN.numpy()[:, texts.test_N], texts.groups_N[texts.test_N])
        facts["cases"][case.name] = _rates(problem)
        rows = [one for protocol in protocols for one in contenders(problem, names, protocol, own=own)]
        absent = [name for name in names if name not in {one.name for one in rows}]
        refused += [(case.name, name, "is not for what this log holds") for name in absent]
        # References and baselines are the same under both protocols.
        for one in {(one.name, one.protocol): one for one in rows}.values():
            if (reason := refusal(one, problem)) is not None:
                refused.append((case.name, one.name, reason))
                continue
            key = sha256_json({**common, "case": _deciding(case, problem, drawn, one), "row": one.to_json()})
            todo.append((case, Job(problem, one, key, kept=not is_own(one.method))))
    once = {job.key: (case, job) for case, job in reversed(todo)}  # the first case of those that share a fit
    unique = [(case, job) for case, job in todo if once[job.key][1] is job]
    found: dict[str, Part | str] = {}
    told: dict[str, tuple[str, ...]] = {}
    with shared, progress(f"suite {suite}", len(unique), quiet=quiet) as bar:
        fit = partial(fit_seeds, config=config)
        everything = [job for _, job in unique]
        for i, part, warned in run_jobs(
            everything, fit, Path(folder), processes(jobs), scratch=Path(shared.name)
        ):
            case, job = unique[i]
            found[job.key], told[job.key] = part, warned
            bar.advance(1, f"{case.name}: {job.contender.name}")
    doubts = _doubts(unique, told)
    for line in doubts:
        warnings.warn(line, IdentificationWarning, stacklevel=2)
    doubts = (*unordered, *doubts)
    for case, job in todo:
        part = found[job.key]
        if isinstance(part, str):
            refused.append((case.name, job.contender.name, part))
        else:
            scores.append(Score(case, job.contender, part["scores"], float(part["seconds"]), job.key))
    return BenchResult(
        suite, data or Path(base.name).name, seeds, tuple(scores), judged, tuple(refused), facts, doubts
    )


def _unordered(texts: Texts) -> tuple[str, ...]:
    """One line where no prompt of the test has two answers, for then nobody's order can be judged."""
    prompts_n = texts.groups_N[texts.test_N]
    if len(np.unique(prompts_n)) < len(prompts_n):
        return ()
    return (
        f"{texts.log.name}: no prompt of the test has two answers, so within-prompt accuracy, what is recovered and "
        "mean ranks stay open; judge by AUROC and Brier, or take a log with several answers to a prompt",
    )


def fit_seeds(problem: Problem, contender: Contender, config: TrainingConfig) -> NDArray[np.float32]:
    """Test scores of one contender for every seed, float32 [S, n]; all seeds are trained in one pass."""
    texts, S = problem.texts, problem.seeds
    if contender.name == "random":
        noise_Sn: NDArray[np.float64] = np.random.default_rng(config.seed).normal(
            size=(S, int(texts.test_N.sum()))
        )
        return noise_Sn.astype(np.float32)
    everyone = teams(
        roster(texts.groups_N, config.members, config.seed),
        torch.from_numpy(~texts.test_N).expand(S, -1),
        seeds=range(S),
    )
    views = problem.views(contender.form)
    obs = contender.observe(problem).members(torch.tensor(everyone.team))
    ensembles, _ = train_best(contender.method, views, obs, everyone, config)
    tested = torch.from_numpy(np.flatnonzero(texts.test_N))
    return np.stack([e.rewards(contender.method, views, tested).mean(0).numpy() for e in ensembles])


def _deciding(case: Case, problem: Problem, drawn: str, one: Contender) -> Any:
    """What of a case decides a result: for the oracle, which reads no signal, the preferences alone."""
    if one.name == "oracle":
        return _hash(problem.liked_SN)
    if isinstance(case.mechanism, str):
        return [case.mechanism, case.parameters, drawn]
    # What a function of one's own drew is all that a fit sees of it, whatever its code and its parameters.
    return [[[s.polarity, s.kind] for s in problem.world.log.roles.signals], drawn]


def _drawn(problem: Problem) -> str:
    """A hash of what a world drew: it may read columns that have no role, such as `rating`, unknown to the base's."""
    obs = problem.observations
    context = [] if problem.context_NC is None else [torch.from_numpy(problem.context_NC)]
    return _hash(obs.signals_BK, obs.visible_BK, problem.liked_SN, *problem.truth.values(), *context)


def _hash(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _doubts(done: Sequence[tuple[Case, Job]], told: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """One line for each contender and protocol, in the order of the jobs, whichever of them ended first."""
    by_row: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for case, job in done:
        if warned := told[job.key]:
            by_row[job.contender.name, job.contender.protocol].append(f"{case.name}: {in_short(warned)}")
    return tuple(
        f"{name} ({protocol}), {cases[0]}"
        + (f"; likewise in {len(cases) - 1} more cases" if cases[1:] else "")
        for (name, protocol), cases in by_row.items()
    )


def _rates(problem: Problem) -> dict[str, Any]:
    obs = problem.observations
    signals = problem.world.log.roles.signals
    return {
        "liked": float(problem.liked_SN.mean()),
        "signals": {
            signal.name: {"rate": rate, "seen": float(obs.visible_BK[..., k].float().mean())}
            for k, (signal, rate) in enumerate(zip(signals, obs.signal_rates(), strict=True))
        },
    }


def _describe(config: TrainingConfig) -> str:
    hidden = "chosen head" if config.hidden is None else f"head {config.hidden or 'linear'}"
    decay = "two weight decays" if config.weight_decay is None else f"weight decay {config.weight_decay:g}"
    members = "1 member" if config.members == 1 else f"{config.members} members"
    return (
        f"{members} per seed, {hidden}, {decay}, batches of {config.batch_size or 'the default size'}, "
        f"at most {config.max_epochs} epochs, patience {config.patience}"
    )
