"""The one place where log, features, method, training and model meet: `tacit.fit`.

(A submodule called `fit` would hide the public function of that name, hence `fitting`.)
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit import methods
from tacit._version import __version__
from tacit.data import FeedbackLog
from tacit.errors import ConfigError, IdentificationWarning
from tacit.features import ContextCodec, EmbeddingStore, resolve_encoder
from tacit.files import sha256_json
from tacit.methods import Method, Observations, identifiability_rank
from tacit.model import Inputs, PropensityFeatures, RewardModel, Scalings, sigmoid, text_inputs
from tacit.progress import progress
from tacit.training.checkpoint import Checkpoint
from tacit.training.config import TrainingConfig
from tacit.training.engine import Ensemble
from tacit.training.selection import Choice, passes, roster, train_best

if TYPE_CHECKING:
    from tacit.features import Encoder


@dataclass(frozen=True)
class Prepared:
    """A log turned into numbers, ready for any method.

    Attributes:
        log: the log.
        encoder: text → vectors.
        codec: of the context columns, or None without context.
        inputs: arrays of all rows.
        scalings: learned on all rows, without labels.
        observations: signals and gold as tensors.
    """

    log: FeedbackLog
    encoder: Encoder
    codec: ContextCodec | None
    inputs: Inputs
    scalings: Scalings
    observations: Observations


def observe(log: FeedbackLog) -> Observations:
    """Signals, visibility and gold of a log as tensors."""
    y_NK, visible_NK = log.signal_matrix()
    gold_N, known_N = log.gold_values()
    has_gold = log.roles.gold is not None
    return Observations(
        torch.from_numpy(y_NK),
        torch.from_numpy(visible_NK),
        tuple(s.polarity for s in log.roles.signals),
        torch.from_numpy(np.where(known_N, gold_N, 0).astype(np.float32)) if has_gold else None,
        torch.from_numpy(known_N) if has_gold else None,
        tuple(s.misclick for s in log.roles.signals),
    )


def prepare(
    log: FeedbackLog,
    encoder: str | Encoder = "minilm",
    *,
    store: EmbeddingStore | None = None,
    quiet: bool = True,
) -> Prepared:
    """Embed a log and read its context.

    Raises:
        ConfigError: unknown encoder, or a log without signals.
        DataError: a context value that cannot be used.
    """
    if not log.roles.signals and log.roles.gold is None:
        raise ConfigError(f"{log.name}: no signal is named; use --signal COLUMN (or signals=…)")
    resolved = resolve_encoder(encoder) if isinstance(encoder, str) else encoder
    columns = log.context_columns()
    codec = ContextCodec.fit(columns) if columns else None
    context_NC = codec.transform(columns) if codec is not None else None
    inputs = text_inputs(
        resolved, log.prompts(), log.responses(), log.messages(), store, quiet=quiet, context_NC=context_NC
    )
    return Prepared(log, resolved, codec, inputs, Scalings.fit(inputs), observe(log))


def choose_method(log: FeedbackLog) -> Method:
    """The default estimator: `implicit_rm` for one positive signal, `latent_ml` for anything else."""
    signals = log.roles.signals
    single = len(signals) == 1 and signals[0].polarity > 0 and not signals[0].misclick
    return methods.get("implicit_rm" if single else "latent_ml")


def resolve_method(method: str | Method, log: FeedbackLog) -> Method:
    """A method from its key ("auto": see `choose_method`) or itself."""
    if isinstance(method, Method):
        return method
    return choose_method(log) if method == "auto" else methods.get(method)


def holdout_groups(log: FeedbackLog) -> NDArray[np.int64]:
    """Groups that a hold-out must not tear apart, int64 [N]: prompts, and the sessions (or users) they come from.

    Rows that share a prompt or a session belong together, so groups are the connected components of both. Where that
    ties more than a fifth of the log into one component (a greeting that everybody sends), prompts alone count.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    prompts_N = log.prompt_codes()
    role = "session_id" if log.roles.session_id is not None else "user_id"
    if getattr(log.roles, role) is None:
        return prompts_N
    others_N = log.codes(role) + int(prompts_N.max()) + 1
    size = int(others_N.max()) + 1
    links = coo_array((np.ones(len(log)), (prompts_N, others_N)), shape=(size, size))
    _, component_of = connected_components(links, directed=False)
    components_N = component_of[prompts_N].astype(np.int64)
    return components_N if np.bincount(components_N).max() <= len(log) / 5 else prompts_N


def prepare_log(log: FeedbackLog, method: Method, *, use_gold: bool) -> FeedbackLog:
    """The log as a fit may see it: without ranks, and without gold unless it was asked for."""
    return (
        log.with_roles(rank=None) if use_gold or method.reads_gold else log.with_roles(rank=None, gold=None)
    )


def fit(
    log: FeedbackLog,
    *,
    method: str | Method = "auto",
    encoder: str | Encoder = "minilm",
    propensity_features: PropensityFeatures = "context",
    use_gold: bool = False,
    config: TrainingConfig | None = None,
    store: EmbeddingStore | None = None,
    checkpoint: str | Path | None = None,
    quiet: bool = True,
) -> RewardModel:
    """Fit a reward model to a feedback log.

    Args:
        log: what users did.
        method: "auto", a key of `tacit.methods.available()`, or a `Method`.
        encoder: "minilm", "hashing", a Hugging Face id or path, or an `Encoder`.
        propensity_features: "context" (context and style, never the embedding) or "text" (as published).
        use_gold: train on the log's gold labels too. They are not read otherwise, even where the log names them.
        config: training knobs.
        store: embedding cache; None computes without one.
        checkpoint: a folder for intermediate states; an interrupted fit with the same arguments goes on from there.
        quiet: no progress bars.

    Returns:
        The model; the same log, arguments and seed give the same bytes on the same machine.

    Raises:
        DegenerateDataError: the log holds nothing to learn from (no positive, all positive …).
        ConfigError: unknown method or encoder.

    Example:
        >>> from tacit import FeedbackLog, Signal, fit
        >>> from tacit.data import Roles
        >>> from tacit.training.config import TrainingConfig
        >>> log = FeedbackLog.from_columns(
        ...     {
        ...         "prompt": [f"question {i // 2}" for i in range(40)],
        ...         "response": ["yes, certainly", "no idea"] * 20,
        ...         "copied": [1, 0, 0, 0] * 10,
        ...         "slot": [i % 3 for i in range(40)],
        ...     },
        ...     Roles(signals=(Signal("copied"),), context=("slot",)),
        ... )
        >>> rm = fit(log, encoder="hashing:32", config=TrainingConfig(members=2, max_epochs=3))
        >>> rm.score([("question 1", "yes, certainly")]).shape
        (1,)
    """
    config = config or TrainingConfig()
    chosen = resolve_method(method, log)
    log = prepare_log(log, chosen, use_gold=use_gold)
    chosen.check(observe(log))  # before any embedding: a hopeless log is refused at once
    warned = identification_warnings(chosen, log, propensity_features)
    for text in warned:
        warnings.warn(text, IdentificationWarning, stacklevel=2)
    prepared = prepare(log, encoder, store=store, quiet=quiet)
    views = prepared.scalings.views(prepared.inputs, propensity_features)
    who = roster(holdout_groups(log), config.members, config.seed)
    states = None
    if checkpoint is not None:
        fingerprint = fit_fingerprint(log, chosen, prepared.encoder, propensity_features, config)
        states = Checkpoint(Path(checkpoint) / fingerprint[:16])
    total = passes(chosen, prepared.observations, config) * config.max_epochs
    with progress("fitting", total, quiet=quiet) as bar:
        ensembles, choice = train_best(
            chosen, views, prepared.observations, who, config, checkpoint=states, progress=bar
        )
    info = _describe(prepared, chosen, ensembles[0], choice, views, propensity_features, config, warned)
    return RewardModel(
        chosen, ensembles[0], prepared.scalings, prepared.encoder, prepared.codec, propensity_features, info
    )


def fit_fingerprint(
    log: FeedbackLog,
    method: Method,
    encoder: Encoder,
    propensity_features: PropensityFeatures,
    config: TrainingConfig,
) -> str:
    """SHA-256 of everything that decides the bytes of a model."""
    return sha256_json(
        {
            "log": log.fingerprint(),
            "method": [method.key, method.parameters()],
            "encoder": [encoder.content_hash, encoder.precision],
            "propensity_features": propensity_features,
            "config": config.model_dump(mode="json"),
            "version": __version__,
        }
    )


def identification_warnings(
    method: Method, log: FeedbackLog, propensity_features: PropensityFeatures
) -> list[str]:
    """What the user should hear before trusting the level or the order of the scores."""
    if method.key not in ("implicit_rm", "latent_ml") or log.roles.gold is not None:
        return []
    K = len(log.roles.signals)
    found = []
    if propensity_features == "text":
        found.append(
            "reward and propensity heads see the same features: they can exchange their roles between seeds and the "
            "likelihood cannot tell; name context columns and use propensity_features='context', add signals or gold"
        )
    elif not log.roles.context and K == 1:
        found.append(
            "one signal and no context: what style does to clicks cannot be told from what users like; name columns "
            "that move clicks but not preference (--context position), add signals, or audit some rows (--gold)"
        )
    return found


def member_agreement(reward_MN: NDArray[np.float32]) -> float | None:
    """Mean Spearman correlation between members' scores; None for one member or constant scores."""
    from scipy.stats import rankdata

    if len(reward_MN) < 2 or bool((np.ptp(reward_MN, axis=1) == 0).any()):
        return None
    ranks = np.stack([rankdata(row) for row in reward_MN])
    correlation = np.corrcoef(ranks)
    return float(np.mean([correlation[i, j] for i, j in itertools.combinations(range(len(ranks)), 2)]))


def _describe(
    prepared: Prepared,
    method: Method,
    ensemble: Ensemble,
    choice: Choice,
    views: Any,
    propensity_features: PropensityFeatures,
    config: TrainingConfig,
    warned: Sequence[str],
) -> dict[str, Any]:
    log, obs = prepared.log, prepared.observations
    reward_MN = ensemble.only("reward").logits(views, torch.arange(len(log)))["reward"].detach().numpy()
    reward_MN = np.broadcast_to(reward_MN, (reward_MN.shape[0], len(log))).astype(np.float32)
    hidden, decay = choice.kept[0]
    y_NK, visible_NK = log.signal_matrix()
    polarity = [s.polarity for s in log.roles.signals]
    misclicks = "misclick" in ensemble.layouts
    gate = "activity" in ensemble.layouts
    rank = identifiability_rank(polarity, gate=gate, misclicks=misclicks) if 0 < len(polarity) <= 6 else None
    return {
        "roles": log.roles.to_json(),
        "log": {
            "name": log.name,
            "fingerprint": log.fingerprint(),
            "rows": len(log),
            "prompts": len(set(log.prompt_codes().tolist())),
            "quarantined": log.quarantine.total,
            "gold_rows": int(obs.gold_known_B.sum()) if obs.gold_known_B is not None else 0,
            "signals": [
                {
                    "name": signal.name,
                    "polarity": signal.polarity,
                    "rate": float(y_NK[visible_NK[:, k], k].mean()) if visible_NK[:, k].any() else None,
                    "missing": float(1 - visible_NK[:, k].mean()),
                }
                for k, signal in enumerate(log.roles.signals)
            ],
        },
        "training": {
            **config.model_dump(mode="json"),
            "hidden": list(hidden),
            "weight_decay": decay,
            "epochs": [int(e) for e in ensemble.epoch_M],
            "tried": [
                {"hidden": list(h), "weight_decay": d, "held_out_criterion": c} for _, h, d, c in choice.tried
            ],
        },
        "metrics": {
            "held_out_criterion": float(ensemble.criterion_M.mean()),
            "base_rate": float(sigmoid(reward_MN.mean(0)).mean()),
            "member_spearman": member_agreement(reward_MN),
        },
        "identification": {
            "assumes": method.assumes,
            "not_identified": method.not_identified,
            "citation": method.citation,
            "level": method.level,
            "warnings": list(warned),
            "rank_without_context": None
            if rank is None
            else {
                "parameters": rank.parameters,
                "rank": rank.rank,
                "preference_identified": rank.preference_identified,
            },
        },
        "fingerprint": fit_fingerprint(log, method, prepared.encoder, propensity_features, config),
        "versions": {"tacit": __version__, "torch": torch.__version__},
    }
