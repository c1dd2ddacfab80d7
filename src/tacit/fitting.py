"""The one place where log, features, method, training and model meet: `tacit.fit`.

(A submodule called `fit` would hide the public function of that name, hence `fitting`.)
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from numpy.typing import ArrayLike

from tacit._version import __version__
from tacit.data import FeedbackLog, KnownPairs
from tacit.errors import ConfigError, DataError, IdentificationWarning, shown
from tacit.features import ContextCodec, EmbeddingStore, context_varies, resolve_encoder
from tacit.files import sha256_json
from tacit.methods import Method, Observations, refuse_unread_gold, refuse_unread_misclick
from tacit.methods.columns import nuisance_columns
from tacit.methods.level import PART
from tacit.model import Inputs, PropensityFeatures, RewardFeatures, RewardModel, Scalings, log_inputs
from tacit.model.description import (
    describe_identification,
    describe_log,
    describe_scores,
    describe_training,
    identification_warnings,
    nuisance_views,
)
from tacit.model.links import links_warning, log_links
from tacit.progress import progress
from tacit.training.checkpoint import Checkpoint
from tacit.training.choose import resolve_method
from tacit.training.config import TrainingConfig
from tacit.training.engine import first_product_dtype
from tacit.training.ensemble import Ensemble
from tacit.training.log_rows import holdout_groups, observe, resolved
from tacit.training.roster import roster
from tacit.training.selection import held_out, passes, refuse_short, train_best

if TYPE_CHECKING:
    from tacit.features import Encoder

logger = logging.getLogger("tacit")


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
    inputs = log_inputs(resolved, log, store, quiet=quiet, context_NC=context_NC)
    return Prepared(log, resolved, codec, inputs, Scalings.fit(inputs), observe(log))


def prepare_log(log: FeedbackLog, method: Method, *, use_gold: bool) -> FeedbackLog:
    """The log as a fit may see it: without ranks, and without gold unless it was asked for.

    Raises:
        ConfigError: it was asked for, and the method would not read it, or the log names none.
        DataError: it was asked for, and no row has any.
    """
    if use_gold:
        refuse_unread_gold(method)
    if use_gold and log.roles.gold is None:
        raise ConfigError(
            f"{log.name}: use_gold is set, but the log names no column as gold; name it when reading the log "
            "(gold=COLUMN), or leave use_gold out"
        )
    if use_gold and not log.gold_values()[1].any():
        raise DataError(
            f"{log.name}: column {log.roles.gold!r} (gold) is null in all {len(log)} rows, expected trusted labels in "
            "some; fill them in, or fit without them (no --gold, no use_gold)"
        )
    return (
        log.with_roles(rank=None) if use_gold or method.reads_gold else log.with_roles(rank=None, gold=None)
    )


def fit(
    log: FeedbackLog,
    *,
    method: str | Method = "auto",
    encoder: str | Encoder = "minilm",
    propensity_features: PropensityFeatures = "context",
    reward_features: RewardFeatures = "text+style",
    use_gold: bool = False,
    config: TrainingConfig | Mapping[str, Any] | None = None,
    store: EmbeddingStore | None = None,
    nuisances: Mapping[str, ArrayLike | str] | None = None,
    checkpoint: str | Path | None = None,
    quiet: bool = True,
) -> RewardModel:
    """Fit a reward model to a feedback log.

    Args:
        log: what users did.
        method: "auto", a key of `tacit.methods.available()`, or a `Method`.
        encoder: "minilm", "hashing", a Hugging Face id or path, or an `Encoder`.
        propensity_features: "context" (context and style, never the embedding) or "text" (as published).
        reward_features: "text+style" (the embedding and measures of style) or "text" (the embedding alone: what
            `tacit export` can write exactly).
        use_gold: train on the log's gold labels too, with a method that `uses_gold`. They are not read otherwise,
            even where the log names them.
        config: training knobs, or a mapping of them by name.
        store: embedding cache; None computes without one.
        nuisances: what is known of the log by name, a number, one per row, or a column of the log that holds them, in
            place of the stage that would estimate it: `p`, `e`, `rho01`, `rho10`, `prior` … (see
            `tacit.methods.columns.nuisance_columns`). With `e`, "auto" reads one click by `known_propensity`.
        checkpoint: a folder for intermediate states; an interrupted fit with the same arguments goes on from there.
        quiet: no progress bars.

    Returns:
        The model; the same log, arguments and seed give the same bytes on the same machine.

    Raises:
        DegenerateDataError: the log holds nothing to learn from (no positive, all positive …).
        ConfigError: not a log, an unknown method or encoder, impossible knobs or features, gold or a nuisance that
            the method does not read, or an encoder that reads prompt and response as one text for a method blind to
            the response.
        DataError: a nuisance of another length than the log, or outside its range.

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
    if not isinstance(log, FeedbackLog):
        raise ConfigError(
            f"fit needs a FeedbackLog, found {shown(log)}; read a file with "
            "FeedbackLog.read(path, signals=[…])"
        )
    for name, value, allowed in (
        ("propensity_features", propensity_features, get_args(PropensityFeatures)),
        ("reward_features", reward_features, get_args(RewardFeatures)),
    ):
        if value not in allowed:
            raise ConfigError(f"{name} is {value!r}, expected {' or '.join(map(repr, allowed))}")
    config = TrainingConfig.of(config)
    chosen = resolve_method(method, log, known=nuisances if isinstance(nuisances, Mapping) else ())
    refuse_short(chosen, config)
    log = prepare_log(log, chosen, use_gold=use_gold)
    seen = observe(log)
    refuse_unread_misclick(chosen, seen)
    columns = nuisance_columns(resolved(log, nuisances), chosen, seen)
    seen = seen.with_columns(**columns)
    chosen.check(seen)  # before any embedding: a hopeless log is refused at once
    views_of_reward = {head.view for head in chosen.heads(seen) if head.name in chosen.reward_heads}
    if reward_features != "text+style" and not views_of_reward & {"reward", "all"}:
        raise ConfigError(
            f"reward_features is {reward_features!r}, but {chosen.key} scores no text; leave it out"
        )
    encoder = resolve_encoder(encoder) if isinstance(encoder, str) else encoder
    if not encoder.paired and any(head.view == "prompt" for head in chosen.heads(seen)):
        raise ConfigError(
            f"{chosen.key} sees the prompt alone, but encoder {encoder.name} reads prompt and response as one text; "
            "expected one that reads them apart, such as minilm or hashing"
        )
    warned = identification_warnings(chosen, log, propensity_features, seen)
    for text in warned:
        warnings.warn(text, IdentificationWarning, stacklevel=2)
    prepared = prepare(log, encoder, store=store, quiet=quiet)
    prepared = replace(prepared, observations=prepared.observations.with_columns(**columns))
    views = prepared.scalings.views(prepared.inputs, propensity_features, reward_features)
    links = log_links(chosen, log, views, prepared.inputs)
    for text in (unlinked := links_warning(links, log.context_columns())):
        warnings.warn(text, IdentificationWarning, stacklevel=2)
    who = roster(holdout_groups(log), config.members, config.seed)
    fingerprint = fit_fingerprint(
        log, chosen, prepared.encoder, propensity_features, config, columns, reward_features
    )
    states = None if checkpoint is None else Checkpoint(Path(checkpoint) / fingerprint[:16])
    total = passes(chosen, views, prepared.observations, config) * config.max_epochs
    with progress("fitting", total, quiet=quiet) as bar:
        ensembles, choice = train_best(
            chosen, views, prepared.observations, who, config, checkpoint=states, progress=bar
        )
    ensemble = ensembles[0]
    _tell_of_the_limit(log, ensemble, config)
    told = prepared.observations  # what is stated is stated of the parts that one signal leaves apart
    if links is not None and unlinked:
        told = told.with_columns(**{PART: torch.from_numpy(links.part_N)})
    info = {
        "roles": log.roles.to_json(),
        "log": describe_log(log),
        "pairs": KnownPairs.of(log).to_json(),  # so that its rows are known again in another log
        "training": describe_training(config, ensemble, choice),
        "metrics": describe_scores(
            chosen,
            ensemble,
            views,
            told,
            held_out=held_out(chosen, views, told, who, ensemble, range(config.members)),
            exclusion=propensity_features == "context" and context_varies(log.context_columns()),
        ),
        "identification": describe_identification(
            chosen, prepared.observations, ensemble.layouts, warned + unlinked, links
        ),
        "nuisance_views": nuisance_views(chosen, prepared.observations),
        "estimated": {
            name: {"mean": mean, "low": low, "high": high}
            for name, (mean, low, high) in choice.estimated.items()
        },
        "nuisances": sorted(columns),  # given by the caller: a refit without them would be another fit
        "nuisance_sources": _sources(nuisances or {}),
        "fingerprint": fingerprint,
        "versions": {"tacit": __version__, "torch": torch.__version__},
    }
    return RewardModel(
        chosen,
        ensemble,
        prepared.scalings,
        prepared.encoder,
        prepared.codec,
        propensity_features,
        info,
        reward_features,
    )


def _sources(nuisances: Mapping[str, ArrayLike | str]) -> dict[str, str | float]:
    """Where a refit, or a likelihood of another log, finds them: a column's name, or the number; not of arrays."""
    return {
        name: source if isinstance(source, str) else float(source)
        for name, source in sorted(nuisances.items())
        if isinstance(source, (str, int, float))
    }


def _tell_of_the_limit(log: FeedbackLog, ensemble: Ensemble, config: TrainingConfig) -> None:
    """Say so where most members were at their best in the last epoch that they were allowed."""
    stopped = int((ensemble.epoch_M >= config.max_epochs).sum())
    if 2 * stopped > config.members:
        logger.warning(
            "%s: %d of %d members were still improving in the last epoch allowed, max_epochs=%d (--epochs); allow more",
            log.name,
            stopped,
            config.members,
            config.max_epochs,
        )


def fit_fingerprint(
    log: FeedbackLog,
    method: Method,
    encoder: Encoder,
    propensity_features: PropensityFeatures,
    config: TrainingConfig,
    columns: Mapping[str, torch.Tensor] | None = None,
    reward_features: RewardFeatures = "text+style",
) -> str:
    """SHA-256 of everything that decides the bytes of a model; `columns` are the nuisances that the caller gave."""
    return sha256_json(
        {
            "log": log.fingerprint(),
            "method": [method.key, method.parameters()],
            "encoder": [encoder.content_hash, encoder.precision],
            "propensity_features": propensity_features,
            "reward_features": reward_features,
            "config": config.model_dump(mode="json"),
            "precision": str(first_product_dtype(config)),
            "versions": [__version__, torch.__version__],
            "nuisances": {
                name: hashlib.sha256(value.numpy().tobytes()).hexdigest()
                for name, value in sorted((columns or {}).items())
            },
        }
    )
