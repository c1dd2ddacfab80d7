"""Where a log, a backbone and the trainer meet: `tacit.finetune`."""

from __future__ import annotations

import copy
import gc
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import ArrayLike

from tacit._version import __version__
from tacit.data import FeedbackLog, KnownPairs
from tacit.errors import ConfigError, IdentificationWarning, did_you_mean, shown
from tacit.extras import require
from tacit.features import EmbeddingStore
from tacit.features.links import MOST_ROWS, Links
from tacit.fitting import prepare, prepare_log
from tacit.methods import Method, Observations
from tacit.methods.columns import nuisance_columns
from tacit.model.description import (
    describe_identification,
    describe_level,
    describe_log,
    describe_members,
    identification_warnings,
)
from tacit.model.links import context_tells, links_warning, log_links
from tacit.training.choose import resolve_method
from tacit.training.config import TrainingConfig
from tacit.training.ensemble import Ensemble
from tacit.training.log_rows import holdout_groups, observe, resolved
from tacit.training.roster import Roster, roster
from tacit.training.selection import train_best
from tacit.training.stages import run_stages

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tacit.features import Encoder
    from tacit.model.finetuned import FineTunedRewardModel
    from tacit.training.finetune import FeedbackRewardConfig, FeedbackRewardTrainer
    from tacit.training.finetune.fitted import FineTuned


def finetune(
    log: FeedbackLog,
    model: str | PreTrainedModel,
    *,
    method: str | Method = "auto",
    args: FeedbackRewardConfig | Mapping[str, Any] | None = None,
    eval_log: FeedbackLog | None = None,
    processing_class: PreTrainedTokenizerBase | None = None,
    peft_config: PeftConfig | None = None,
    use_gold: bool = False,
    encoder: str | Encoder = "minilm",
    store: EmbeddingStore | None = None,
    nuisances: Mapping[str, ArrayLike | str] | None = None,
    resume: bool | str = False,
    quiet: bool = True,
) -> FineTunedRewardModel:
    """Fine-tune a backbone on a feedback log.

    Args:
        log: what users did.
        model: hub id, folder, or an `AutoModelForSequenceClassification`.
        method: "auto", a key, or a `Method` with one reward head.
        args: knobs of the trainer, or a mapping of them by name; its `output_dir` holds the checkpoints.
        eval_log: rows that judge the fit; None holds out a share of the prompts.
        processing_class: tokenizer; by default that of the model.
        peft_config: adapter (task SEQ_CLS); merged when training is over.
        use_gold: train on the log's gold labels too, with a method that `uses_gold`.
        encoder: of the frozen features on which nuisances are estimated, for methods that need any.
        store: cache of its embeddings.
        nuisances: what is known, as in `tacit.fit`, beside what `args.nuisances` says; it is not estimated then.
        resume: go on from the last checkpoint in `output_dir`, or from the one named.
        quiet: no progress bars.

    Returns:
        The model, on the device it was trained on; `save` writes a folder that every stack loads.

    Raises:
        ConfigError: not a log, an unknown method, model or knob, a method that needs frozen features, or
            gold that the method does not read.
        DegenerateDataError: the log holds nothing to learn from.

    Example:
        >>> import tempfile
        >>> import tacit
        >>> from tacit.worlds import demo_world
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast
        >>> ids = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "the", "a", "of", "list", "file"])}
        >>> words = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
        >>> words.pre_tokenizer = pre_tokenizers.Whitespace()
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
        >>> small = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
        >>> backbone = BertForSequenceClassification(BertConfig(vocab_size=len(ids), num_labels=1, **small))
        >>> with tempfile.TemporaryDirectory() as place:
        ...     rm = tacit.finetune(
        ...         demo_world(seeds=1, limit=24).log,
        ...         backbone,
        ...         processing_class=tokenizer,
        ...         args={"output_dir": place, "num_train_epochs": 1, "members": 2, "use_cpu": True},
        ...     )
        >>> rm
        FineTunedRewardModel(implicit_rm, backbone='model', members=2, fitted to 'demo')
        >>> rm.score([("How do I open a file?", "open(path)"), ("How do I open a file?", "No.")]).shape
        (2,)
    """
    from tacit.model.finetuned import FineTunedRewardModel
    from tacit.training.finetune.reporting import train_quietly

    trainer = feedback_trainer(
        log,
        model,
        method=method,
        args=args,
        eval_log=eval_log,
        processing_class=processing_class,
        peft_config=peft_config,
        use_gold=use_gold,
        encoder=encoder,
        store=store,
        nuisances=nuisances,
        quiet=quiet,
    )
    done = train_quietly(trainer, resume=resume, quiet=quiet)
    if done is None:  # another process of this run holds the result
        raise SystemExit(0)
    info, device = describe(trainer, log, done), trainer.args.device
    del trainer
    gc.collect()  # its backbone, gradients and moments leave the GPU before the model goes there
    done.network.to(device)
    return FineTunedRewardModel.of(done, info)


def feedback_trainer(
    log: FeedbackLog,
    model: str | PreTrainedModel,
    *,
    method: str | Method = "auto",
    args: FeedbackRewardConfig | Mapping[str, Any] | None = None,
    eval_log: FeedbackLog | None = None,
    processing_class: PreTrainedTokenizerBase | None = None,
    peft_config: PeftConfig | None = None,
    use_gold: bool = False,
    encoder: str | Encoder = "minilm",
    store: EmbeddingStore | None = None,
    nuisances: Mapping[str, ArrayLike | str] | None = None,
    quiet: bool = True,
) -> FeedbackRewardTrainer:
    """The trainer of `finetune`, nuisances estimated, not yet run; the arguments are the same."""
    require("fine-tuning", "accelerate")  # transformers would name an extra of its own
    from tacit.training.finetune import FeedbackRewardTrainer
    from tacit.training.finetune.config import as_mapping
    from tacit.training.finetune.preparation import reward_head
    from tacit.training.finetune.rows import ESTIMATED

    if not isinstance(log, FeedbackLog):
        raise ConfigError(
            f"finetune needs a FeedbackLog, found {shown(log)}; read one with FeedbackLog.read(path)"
        )
    knobs = _knobs(args)
    stated = as_mapping(knobs.nuisances)
    known = {*stated, *(nuisances if isinstance(nuisances, Mapping) else ())}
    chosen = resolve_method(method, log, as_mapping(knobs.method_parameters), known)
    log = prepare_log(log, chosen, use_gold=use_gold)
    if use_gold:
        knobs.gold = log.roles.gold
    reward_head(chosen, observe(log))  # refused before nuisances are estimated for it
    for text in identification_warnings(chosen, log, "context", observe(log)):
        warnings.warn(text, IdentificationWarning, stacklevel=3)
    links, unlinked = _look_for_links(log, chosen)
    for text in unlinked:
        warnings.warn(text, IdentificationWarning, stacklevel=3)
    if nuisances or _leaves_some_open(stated, chosen, log):
        merged = _merged(resolved(log, stated), resolved(log, nuisances))
        columns = estimate_nuisances(
            log, chosen, encoder=encoder, store=store, nuisances=merged, seed=knobs.seed, quiet=quiet
        )
        if eval_log is not None and columns:
            raise ConfigError(
                f"{chosen.key} needs nuisances, which are estimated across one log; leave eval_log out, a share of the "
                "prompts is held out instead"
            )
        log = _with_columns(log, columns)
        knobs.nuisances = {name: ESTIMATED.format(name) for name in columns}
    held = None
    if eval_log is not None:
        judged = eval_log.roles.gold is not None and bool(eval_log.gold_values()[1].any())
        held = prepare_log(eval_log, chosen, use_gold=use_gold and judged)
    trainer = FeedbackRewardTrainer(
        model,
        args=knobs,
        train_dataset=log,
        eval_dataset=held,
        processing_class=processing_class,
        peft_config=peft_config,
        method=chosen,
    )
    trainer.links, trainer.unlinked = links, unlinked
    return trainer


def _look_for_links(log: FeedbackLog, method: Method) -> tuple[Links | None, tuple[str, ...]]:
    """Parts of the texts that no context links, as a fit finds them, and what to say of them.

    On hashed words, of as many rows as tell: the backbone has no features of its own before it is trained.
    """
    if not context_tells(method, log):
        return None, ()
    some = log.take(np.linspace(0, len(log) - 1, min(len(log), MOST_ROWS)).astype(np.int64))
    prepared = prepare(some, "hashing")
    links = log_links(method, some, prepared.scalings.views(prepared.inputs), prepared.inputs)
    return links, tuple(links_warning(links, some.context_columns()))


def estimate_nuisances(
    log: FeedbackLog,
    method: Method,
    *,
    encoder: str | Encoder = "minilm",
    store: EmbeddingStore | None = None,
    nuisances: Mapping[str, ArrayLike | str] | None = None,
    seed: int = 0,
    quiet: bool = True,
) -> dict[str, np.ndarray]:
    """What a method needs besides the log, float32 [N] by name: known, or estimated out of fold on frozen features.

    Args:
        log: N rows.
        method: whose stages are run.
        encoder: of the frozen features.
        store: cache of the embeddings.
        nuisances: what is known.
        seed: of the folds and heads.
        quiet: no progress bars.
    """
    seen = observe(log)
    known = nuisance_columns(nuisances, method, seen)
    method.check(seen.with_columns(**known))  # before any embedding, as in a fit
    prepared = prepare(log, encoder, store=store, quiet=quiet)
    views = prepared.scalings.views(prepared.inputs)
    config = TrainingConfig(seed=seed)

    def fit(stage: Method, seen: Observations, crew: Roster, name: str) -> list[Ensemble]:
        return train_best(stage, views, seen, crew, config, name=f"{name}-")[0]

    who = roster(holdout_groups(log), config.members, config.seed)
    obs = run_stages(method, views, prepared.observations.with_columns(**known), who, fit)
    # Every row of one log has one team, so the members of the final fit share their columns.
    return {
        name: (value[0] if value.ndim == 2 else value).expand(len(log)).numpy().astype(np.float32)
        for name, value in obs.columns.items()
    }


def describe(trainer: FeedbackRewardTrainer, log: FeedbackLog, done: FineTuned) -> dict[str, Any]:
    """What the folder of a fine-tuned model states: roles, log, training, metrics, identification, versions.

    Args:
        trainer: that was run.
        log: that it was given.
        done: what it left; the evaluations that the trainer logged may be of weights that were not kept.
    """
    args = trainer.args
    read = log.with_roles(
        gold=trainer.train_log.roles.gold
    )  # gold in the log that was not asked for was not read
    return {
        "roles": trainer.train_log.roles.to_json(),
        "log": describe_log(read),
        "pairs": KnownPairs.of(log).to_json(),  # so that its rows are known again in another log
        "training": {
            "model": trainer.model_name,
            "adapter": trainer.adapter,
            "members": args.members,
            "steps": trainer.state.global_step,
            "learning_rate": args.learning_rate,
            "seed": args.seed,
            "max_length": args.max_length,
            "rows_cut": trainer.rows_cut,
            "held_out_rows": 0 if trainer.eval_log is None else len(trainer.eval_log),
        },
        "metrics": {
            "held_out_criterion": done.criterion,
            **describe_level(done.base_rate, done.open_level, done.profile),
            **dict.fromkeys(("strata_kappa", "member_spearman", "swap_index")),
            **(describe_members(trainer.method, *done.held_out) if done.held_out is not None else {}),
        },
        "identification": describe_identification(
            trainer.method,
            trainer.observations,
            trainer.heads,
            [
                *identification_warnings(trainer.method, trainer.train_log, "context", trainer.observations),
                *trainer.unlinked,
            ],
            trainer.links,
        ),
        "versions": {"tacit": __version__, "torch": torch.__version__},
    }


def _knobs(args: FeedbackRewardConfig | Mapping[str, Any] | None) -> FeedbackRewardConfig:
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    from tacit.features.transformer import refused_in_one_line
    from tacit.training.finetune import FeedbackRewardConfig

    if isinstance(args, FeedbackRewardConfig):
        return copy.copy(args)  # the caller's own stays as it is
    given = dict(args or {})
    given.setdefault("output_dir", "tmp_trainer")
    unknown = given.keys() - FeedbackRewardConfig.__dataclass_fields__.keys()
    if unknown:
        first, known = sorted(unknown)[0], list(FeedbackRewardConfig.__dataclass_fields__)
        raise ConfigError(
            f"args: unknown knob {first!r}{did_you_mean(first, known)}; expected those of FeedbackRewardConfig or of "
            "transformers.TrainingArguments"
        )
    try:
        with refused_in_one_line("args"):
            return FeedbackRewardConfig(**given)
    except ConfigError:
        if given.get("deepspeed"):  # half made, it would be asked about every model loaded from here on
            unset_hf_deepspeed_config()
        raise


def _leaves_some_open(stated: Mapping[str, Any], method: Method, log: FeedbackLog) -> bool:
    """Whether the method needs a nuisance that `args.nuisances` does not say."""
    from tacit.training.finetune.rows import still_needed

    obs = observe(log)
    return bool(
        still_needed(method, obs.with_columns(**nuisance_columns(resolved(log, stated), method, obs)))
    )


def _merged(stated: Mapping[str, Any], given: Mapping[str, ArrayLike]) -> dict[str, Any]:
    """What `args.nuisances` and the keyword say together.

    Raises:
        ConfigError: both name the same nuisance.
    """
    twice = sorted(stated.keys() & given.keys())
    if twice:
        raise ConfigError(
            f"the nuisance {twice[0]!r} is given twice, by args.nuisances and by nuisances=; expected one of them"
        )
    return {**stated, **given}


def _with_columns(log: FeedbackLog, columns: Mapping[str, np.ndarray]) -> FeedbackLog:
    from tacit.training.finetune.rows import ESTIMATED

    table = log.table
    for name, values in columns.items():
        table = table.append_column(ESTIMATED.format(name), pa.array(values))
    return replace(log, table=table)


__all__ = ["describe", "estimate_nuisances", "feedback_trainer", "finetune"]
