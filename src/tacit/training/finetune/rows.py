"""From a feedback log to batches: every chat tokenised once, its row number, and what lies beside the text.

A batch carries row numbers; signals, gold and nuisances of these rows are looked up when the loss is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tacit.data import FeedbackLog
from tacit.errors import ConfigError, DataError
from tacit.features.chat import Chat
from tacit.methods import Method, Observations
from tacit.methods.columns import WHOLE_LOG, nuisance_columns
from tacit.methods.observations import concatenate
from tacit.training.finetune.side import SideFeatures
from tacit.training.log_rows import observe, resolved

if TYPE_CHECKING:
    from datasets import Dataset

ESTIMATED = "tacit:{}"
"""Names of the columns that `tacit.finetune` adds to a log: nuisances that it has estimated, or was given."""
_CHUNK = 4096  # chats tokenised at a time


def tokenised(log: FeedbackLog, chat: Chat, *, first: int, by_group: bool) -> tuple[Dataset, int]:
    """The items of a log, and how many rows were cut to the longest length.

    Args:
        log: N rows.
        chat: template and tokenizer.
        first: number of the first row.
        by_group: an item holds all rows of a prompt, for methods that compare them; else it holds one row.

    Returns:
        A dataset with columns `input_ids` (a list of chats per item), `row` (their numbers), `length` (tokens of the
        longest one: what batches are sorted by).
    """
    from datasets import Dataset

    ids: list[list[int]] = []
    cut = 0
    chats = log.messages()
    for start in range(0, len(chats), _CHUNK):
        texts = [chat.render([dict(turn) for turn in messages]) for messages in chats[start : start + _CHUNK]]
        whole = chat.whole_ids(texts)
        cut += sum(len(tokens) > chat.longest for tokens in whole)
        ids += [chat.shorten(tokens) for tokens in whole]
    if by_group:
        codes_N = log.prompt_codes()
        order = np.argsort(codes_N, kind="stable")
        items = np.split(order, np.flatnonzero(np.diff(codes_N[order])) + 1)
    else:
        items = [np.array([row]) for row in range(len(ids))]
    return Dataset.from_dict(
        {
            "input_ids": [[ids[row] for row in rows] for rows in items],
            "row": [[first + int(row) for row in rows] for rows in items],
            "length": [max(len(ids[row]) for row in rows) for rows in items],
        }
    ), cut


@dataclass
class FeedbackCollator:
    """Items to a batch: chats padded on the right, row numbers, and side features of the rows.

    Args:
        pad_id: token that fills.
        side: features by view, float32 [N, W].
        multiple: batches are as wide as a multiple of this many tokens.

    Example:
        >>> collate = FeedbackCollator(0, {"length": torch.tensor([[0.5], [0.7]])}, multiple=1)
        >>> batch = collate([{"input_ids": [[5, 6]], "row": [1]}, {"input_ids": [[7]], "row": [0]}])
        >>> batch["input_ids"].tolist(), batch["attention_mask"].tolist(), batch["row"].tolist()
        ([[5, 6], [7, 0]], [[1, 1], [1, 0]], [1, 0])
        >>> batch["side"]["length"].tolist()
        [[0.699999988079071], [0.5]]
    """

    pad_id: int
    side: Mapping[str, Tensor]
    multiple: int = 8

    def __call__(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The batch of some items."""
        lists = [torch.as_tensor(ids) for item in items for ids in item["input_ids"]]
        row_B = torch.tensor([row for item in items for row in item["row"]])
        width = max(len(ids) for ids in lists)
        width = -(-width // self.multiple) * self.multiple
        ids_BT = torch.full((len(lists), width), self.pad_id, dtype=torch.int64)
        mask_BT = torch.zeros((len(lists), width), dtype=torch.int64)
        for b, ids in enumerate(lists):
            ids_BT[b, : len(ids)] = ids
            mask_BT[b, : len(ids)] = 1
        side = {name: values.index_select(0, row_B) for name, values in self.side.items()}
        return {"input_ids": ids_BT, "attention_mask": mask_BT, "row": row_B, "side": side}


def observed(log: FeedbackLog, method: Method, nuisances: Mapping[str, str | float]) -> Observations:
    """Signals, gold and nuisances of a log.

    Args:
        log: N rows.
        method: which has to read the nuisances.
        nuisances: by name, a column of the log, or one number.

    Raises:
        ConfigError: a column that the log does not have, or a nuisance that the method needs and nobody gave.
        DataError: a value that is not a number in its range.
    """
    obs = observe(log)
    columns = nuisance_columns(resolved(log, nuisances), method, obs)
    missing = still_needed(method, obs.with_columns(**columns))
    if missing:
        raise ConfigError(
            f"{method.key} needs the nuisance{'s' if len(missing) > 1 else ''} {', '.join(missing)}, found "
            f"{', '.join(columns) or 'none'}; tacit.finetune estimates them, or name columns of the log: "
            f"nuisances={{'{missing[0]}': 'COLUMN'}}"
        )
    return obs.with_columns(**columns)


def as_given(obs: Observations, nuisances: Mapping[str, Any], method: Method) -> Observations:
    """The observations without what `tacit.finetune` has estimated: a method's `check` asks what its caller knows.

    What a method takes from outside alone (`reads`) nobody estimates.
    """
    estimated = {
        name
        for name, source in nuisances.items()
        if source == ESTIMATED.format(name) and name not in method.reads
    }
    return replace(obs, columns={name: obs.columns[name] for name in obs.columns.keys() - estimated})


def still_needed(method: Method, obs: Observations) -> list[str]:
    """Names of the nuisances that stages of a method make and that are no columns of `obs` yet."""
    return [name for stage in method.stages(obs) for name in stage.makes if name not in obs.columns]


@dataclass(frozen=True)
class Rows:
    """Training and held-out rows, numbered through.

    Attributes:
        data: items of training.
        held_data: items that judge it, or None.
        side: features by view, float32 [N, W].
        obs: N rows.
        cut: chats that were too long, of which the first token and the end stand.
    """

    data: Dataset
    held_data: Dataset | None
    side: dict[str, Tensor]
    obs: Observations
    cut: int


def rows_of(
    log: FeedbackLog,
    held_out: FeedbackLog | None,
    chat: Chat,
    method: Method,
    features: SideFeatures,
    views: Collection[str],
    nuisances: Mapping[str, Any],
) -> Rows:
    """Everything that training and judging read of two logs.

    Args:
        log, held_out: rows that are trained on, and rows that judge.
        chat: template and tokenizer.
        method: the estimator.
        features: of what lies beside the text.
        views: that its heads see.
        nuisances: see `observed`.
    """
    obs = observed(log, method, nuisances)
    data, cut = tokenised(log, chat, first=0, by_group=method.by_group)
    side = features.views(log, views)
    if held_out is None:
        return Rows(data, None, side, obs, cut)
    held_obs = observed(held_out, method, nuisances)
    held_data, more = tokenised(held_out, chat, first=len(log), by_group=method.by_group)
    held_side = features.views(held_out, views)
    return Rows(
        data,
        held_data,
        {view: torch.cat([side[view], held_side[view]]) for view in views},
        _joined(obs, held_obs),
        cut + more,
    )


def _joined(first: Observations, second: Observations) -> Observations:
    """The rows of both; prompts of the second are others than those of the first, numbers that all share stay one."""
    if first.group_B is not None and second.group_B is not None:
        second = replace(second, group_B=second.group_B + int(first.group_B.max()) + 1)
    shared = {name: value for name, value in first.columns.items() if value.shape[-1] == 1}
    apart = [
        name for name in shared.keys() & set(WHOLE_LOG) if not torch.equal(shared[name], second.columns[name])
    ]
    if apart:
        name = min(apart)
        raise DataError(
            f"nuisance {name} is {float(shared[name]):g} in the training log and {float(second.columns[name]):g} in "
            "the one that judges it; expected the same number in both"
        )
    return concatenate([first, second]).with_columns(**shared)
