"""From a model, a log and knobs to what a trainer is handed: every refusal comes before a weight is loaded.

Shapes: M members, N rows of training and held-out log together.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import set_seed

from tacit.data import FeedbackLog
from tacit.errors import ConfigError, shown
from tacit.features.chat import Chat, reach
from tacit.methods import Head, Method, Observations, refuse_unread_gold
from tacit.training.choose import resolve_method
from tacit.training.finetune.backbone import open_backbone, open_tokenizer
from tacit.training.finetune.config import FeedbackRewardConfig, as_mapping
from tacit.training.finetune.module import FeedbackModule
from tacit.training.finetune.rows import Rows, as_given, observed, rows_of
from tacit.training.finetune.side import SIDE_VIEWS, SideFeatures
from tacit.training.finetune.start import settle
from tacit.training.log_rows import holdout_groups
from tacit.training.roster import grouped_folds

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import PeftConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Ready:
    """What is trained, and on what.

    Attributes:
        method: the estimator.
        tokenizer: with chat template and padding.
        chat: how conversations become tokens in training.
        module: backbone and small heads, where they begin.
        side: how context and style become numbers.
        log, held_out: rows that are trained on, and rows that judge.
        rows: both, tokenised and observed.
        heads: names of the heads that the method declares.
        bootstrap_MN: how often each row counts for each member; None for one member.
        half_n: splits the held-out rows in two, for temperatures of few rows.
        model_name: of the backbone.
        adapter: what is trained instead of all weights, or None.
    """

    method: Method
    tokenizer: PreTrainedTokenizerBase
    chat: Chat
    module: FeedbackModule
    side: SideFeatures
    log: FeedbackLog
    held_out: FeedbackLog | None
    rows: Rows
    heads: tuple[str, ...]
    bootstrap_MN: Tensor | None
    half_n: Tensor
    model_name: str
    adapter: str | None


def prepare(
    model: str | PreTrainedModel,
    args: FeedbackRewardConfig,
    train_dataset: FeedbackLog | Dataset,
    eval_dataset: FeedbackLog | Dataset | None,
    *,
    tokenizer_given: PreTrainedTokenizerBase | None,
    lora: PeftConfig | None,
    method: Method | None,
) -> Ready:
    """Read, check, tokenise, open and settle; see `FeedbackRewardTrainer` for the arguments.

    Raises:
        ConfigError: a model, a method or columns that do not fit; gold that the method does not read.
        DegenerateDataError: a log from which nothing can be learned.
    """
    log = as_feedback(train_dataset, args)
    chosen = resolve_method(method or args.method, log, as_mapping(args.method_parameters))
    if args.gold is not None:
        refuse_unread_gold(chosen)
    log = _with_gold_as_asked(log, chosen, args)
    held_out = None
    if eval_dataset is not None:
        held_out = _with_gold_as_asked(as_feedback(eval_dataset, args), chosen, args)
    if held_out is None and args.holdout > 0:
        log, held_out = hold_out(log, args.holdout, args.seed)
    nuisances = as_mapping(args.nuisances)
    obs = observed(log, chosen, nuisances)
    reward = reward_head(chosen, obs)
    chosen.check(
        as_given(obs, nuisances, chosen)
    )  # before anything is loaded: a hopeless log is refused at once
    set_seed(args.seed)  # before the head is drawn: one seed, one result

    tokenizer = open_tokenizer(
        model if isinstance(model, str) else model.config.name_or_path, tokenizer_given
    )
    backbone = open_backbone(
        model,
        tokenizer,
        args.members,
        init=as_mapping(args.model_init_kwargs),
        keep_dropout=not args.disable_dropout,
        lora=lora,
    )
    side = SideFeatures.fit(log)
    declared = chosen.heads(obs)
    layouts = {
        head.name: side.layout(head, tuple(args.propensity_hidden))
        for head in declared
        if head.view != "reward"
    }
    seeds = [args.seed * 1000 + m for m in range(args.members)]
    module = FeedbackModule(backbone, layouts, reward.bias[0], seeds)

    name = str(getattr(backbone.config, "name_or_path", "") or "model")
    chat = Chat(name, tokenizer, min(args.max_length, reach(backbone.config, tokenizer)))
    views = sorted({layout.head.view for layout in layouts.values()} - {"none"})
    rows = rows_of(log, held_out, chat, chosen, side, views, nuisances)
    settle(module, chosen, rows.side, rows.obs.rows(torch.arange(len(log))), seed=args.seed)
    return Ready(
        method=chosen,
        tokenizer=tokenizer,
        chat=chat,
        module=module,
        side=side,
        log=log,
        held_out=held_out,
        rows=rows,
        heads=tuple(head.name for head in declared),
        bootstrap_MN=_drawn_with_replacement(log.prompt_codes(), seeds) if args.members > 1 else None,
        half_n=_halves(held_out, args.seed + 1),
        model_name=Path(name).name or name,
        adapter="a LoRA adapter, merged" if hasattr(backbone, "peft_config") else None,
    )


def as_feedback(data: FeedbackLog | Dataset | Any, args: FeedbackRewardConfig) -> FeedbackLog:
    """A log from itself, or from rows whose columns the configuration names.

    Raises:
        DataError: a column that is missing, or holds what it cannot.
    """
    if isinstance(data, FeedbackLog):
        return data
    names = getattr(data, "column_names", None)
    if not isinstance(names, list):
        raise ConfigError(f"the dataset is {shown(data)}, expected a FeedbackLog or a datasets.Dataset")
    return FeedbackLog.read(
        data,
        signals=args.signals or (["label"] if "label" in names else None),
        context=args.context,
        gold=args.gold,
        prompt="prompt",
        response="completion" if "completion" in names else "response",
        prompt_id=args.prompt_id or ("prompt_id" if "prompt_id" in names else None),
    )


def _with_gold_as_asked(log: FeedbackLog, method: Method, args: FeedbackRewardConfig) -> FeedbackLog:
    """The log with the gold that the configuration names: a log's own is for judging, unless a method lives on it."""
    gold = log.roles.gold if method.reads_gold and args.gold is None else args.gold
    return log if gold == log.roles.gold else log.with_roles(gold=gold)


def hold_out(log: FeedbackLog, share: float, seed: int) -> tuple[FeedbackLog, FeedbackLog | None]:
    """Training and held-out rows; prompts and sessions stay whole. Too few groups hold out none.

    The share is taken to the nearest j/k with k at most 20 and at most the groups there are: j of k folds of one size.
    """
    groups_N = holdout_groups(log)
    groups = len(np.unique(groups_N))
    most = min(20, groups)
    taken = min(Fraction(share).limit_denominator(most), 1 - Fraction(1, most))
    if taken == 0:
        return log, None
    held_N = grouped_folds(groups_N, taken.denominator, seed) < taken.numerator
    return log.take(np.flatnonzero(~held_N)), log.take(np.flatnonzero(held_N))


def reward_head(method: Method, obs: Observations) -> Head:
    """The only head that sees the text: it becomes the backbone's.

    Raises:
        ConfigError: there is none or more than one, or the method wants what a backbone cannot give it.
    """
    heads = method.heads(obs)
    seeing = [head for head in heads if head.view == "reward"]
    strange = next((head for head in heads if head.view not in ("reward", *SIDE_VIEWS)), None)
    if strange is not None:
        why = f"its head {strange.name!r} sees {strange.view!r}, and beside a backbone only context, style and length"
    elif not seeing:
        why = "it does not read the responses, so that there is nothing to fine-tune"
    elif len(seeing) > 1 or not seeing[0].scalar or method.reward_heads != ("reward",):
        why = "it reads several outputs off the text, and a classifier has one"
    elif method.refreshes or method.sketch:
        why = "it keeps a state over all rows"
    else:
        return seeing[0]
    raise ConfigError(
        f"{method.key} cannot be fine-tuned: {why}; fit it on frozen features (tacit fit), or fine-tune with an "
        "estimator that has one reward head, such as implicit_rm, causal_dr or naive"
    )


def _drawn_with_replacement(codes_N: NDArray[np.int64], seeds: list[int]) -> Tensor:
    """How often each row counts for each member, [M, N]: prompts drawn with replacement, one by one."""
    prompts = int(codes_N.max()) + 1
    times_MP = np.stack([np.random.default_rng(seed).poisson(1.0, prompts) for seed in seeds])
    return torch.from_numpy(times_MP[:, codes_N].astype(np.float32))


def _halves(held_out: FeedbackLog | None, seed: int) -> Tensor:
    """Half of the prompts, bool [n]."""
    if held_out is None:
        return torch.zeros(0, dtype=torch.bool)
    return torch.from_numpy(grouped_folds(holdout_groups(held_out), 2, seed) == 0)
