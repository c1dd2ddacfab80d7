"""The loop: every member of every head, one pass over shared rows, AdamW, early stopping by likelihood.

Read it top to bottom. A fit is a function of its inputs and seed alone: batch order comes from (seed, epoch),
weights from the members' seeds, so a state saved between epochs continues to the same bytes. Nothing here reads a
gold label unless the method's loss does.

Shapes: N rows of the log, B rows of a batch, M members, D features, K signals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from tacit.errors import TacitError
from tacit.methods.method import Method
from tacit.methods.observations import Observations
from tacit.progress import Progress
from tacit.training.checkpoint import Checkpoint
from tacit.training.config import TrainingConfig
from tacit.training.ensemble import Ensemble, Plan, Weights, keep_views, raw_logits
from tacit.training.sketch import sketch
from tacit.training.state import State
from tacit.training.views import Views


def train(
    method: Method,
    views: Views,
    obs: Observations,
    plan: Plan,
    config: TrainingConfig,
    hidden: tuple[int, ...],
    *,
    start: Weights | None = None,
    checkpoint: Checkpoint | None = None,
    name: str = "heads",
    progress: Progress | None = None,
) -> Ensemble:
    """Fit M members and keep each one's best epoch.

    Args:
        method: declares heads and loss.
        views: features by the view names that the heads declare.
        obs: N rows, labels shared or one set per member.
        plan: rows and seeds of each member.
        config: learning rates, batch size, patience.
        hidden: hidden sizes of the reward head.
        start: weights with which some heads begin, by head; the others begin at random.
        checkpoint: where to save and resume.
        name: of this state in the checkpoint.
        progress: told once per epoch.

    Raises:
        TacitError: the loss stops being finite.
    """
    state = State.start(method, views, obs, plan, config, hidden, start or {})
    if checkpoint is not None:
        state.resume(checkpoint, name)
    if progress is not None and state.epoch:
        progress.advance(state.epoch)  # resumed
    dtype = first_product_dtype(config)
    views = {**views, **keep_views(state.layouts, views, dtype)}
    order = torch.nonzero(plan.train_MN.any(0))[:, 0]
    weight_MN = (plan.train_MN & method.counts(obs)).to(torch.float32)
    obs = replace(obs, weight_B=weight_MN)
    if method.sketch and "sketch0" not in obs.columns:
        obs = obs.with_columns(**sketch(views["reward"], obs.n_rows, method.sketch))
    # The mean over a member's own rows: batches are shared, so the divisor is its expected share of one.
    share_M = weight_MN.sum(1) / max(1, order.numel())
    everyone = _Present(torch.arange(len(plan.seeds)), obs, plan, weight_MN, share_M)
    here = everyone.only(state.present)
    if method.refreshes and not state.epoch:
        state.refresh(method, views, here.obs, dtype)

    # What a method makes of all rows after an epoch is made of a whole pass, as its schedule says.
    parts = 1 if method.refreshes else config.epochs_of_a_pass(order.numel())

    while not state.finished:
        if here.members.numel() > state.present.numel():
            here = everyone.only(state.present)
        turn, part = divmod(state.epoch, parts)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + turn)
        shuffled = order[torch.randperm(order.numel(), generator=generator)]
        seen = replace(here.obs.with_columns(**state.columns), epoch=state.epoch)
        groups_N = obs.group_B if method.by_group else None
        steps = batches(shuffled, config.rows_per_step(order.numel()), groups_N)
        for rows_B in steps[len(steps) * part // parts : len(steps) * (part + 1) // parts]:
            logits = raw_logits(state.layouts, state.weights, views, rows_B, dtype)
            loss_MB = method.loss(logits, seen.rows(rows_B)) * here.weight_MN[:, rows_B]
            loss = (loss_MB.mean(1) / here.share_M.clamp(min=1e-9)).sum()
            if not torch.isfinite(loss):
                raise TacitError(
                    f"{method.key}: the loss became {float(loss.detach())} in epoch {state.epoch}; "
                    "lower the learning rate (lr, propensity_lr) or look for extreme context values"
                )
            loss.backward()
            state.step()
        if method.refreshes:
            state.refresh(method, views, here.obs, dtype)
        state.judge(method, views, here.obs, here.plan, here.held_out, config, dtype)
        if progress is not None:
            progress.advance(1, f"{name} held-out {state.best_criterion_M.mean():.4f}")
        if checkpoint is not None and (state.finished or checkpoint.due()):
            state.save(checkpoint, name)
    if progress is not None:
        progress.advance(config.max_epochs - state.epoch)  # stopped early: the bar still ends full
    return state.ensemble()


@dataclass(frozen=True)
class _Present:
    """The members that are still learning, and what is theirs."""

    members: Tensor
    obs: Observations
    plan: Plan
    weight_MN: Tensor
    share_M: Tensor

    def only(self, members: Tensor) -> _Present:
        """Of some members; everybody's is not copied."""
        if members.numel() == self.members.numel():
            return self
        obs = self.obs.members(members)
        assert obs.weight_B is not None
        return _Present(members, obs, self.plan.pick(members), obs.weight_B, self.share_M[members])

    @cached_property
    def held_out(self) -> list[tuple[Tensor, Tensor]]:
        """Members that share their held-out rows are judged together."""
        return _held_out_sets(self.plan)


def batches(shuffled: Tensor, size: int, group_N: Tensor | None) -> list[Tensor]:
    """Rows of an epoch cut into steps; with groups, steps hold whole groups, in the order of the shuffle.

    Laid end to end, groups fall into windows of `size` rows; a step holds the groups that start in its window. It
    may so have fewer rows than `size`, or more, by the rest of its last group; a window in which none starts makes
    no step.

    Args:
        shuffled: int64, rows in random order.
        size: rows of a step without groups (the last may be smaller), of a window with them.
        group_N: int64 [N], or None to cut anywhere.
    """
    if group_N is None:
        return list(shuffled.split(size))
    _, group_n, sizes_G = torch.unique(group_N[shuffled], return_inverse=True, return_counts=True)
    first_G = torch.full_like(sizes_G, shuffled.numel()).scatter_reduce(
        0, group_n, torch.arange(shuffled.numel()), "amin"
    )
    place_n = torch.argsort(first_G[group_n], stable=True)  # groups by the place of their first row
    sizes = sizes_G[torch.argsort(first_G)]
    step_G = (sizes.cumsum(0) - sizes) // size
    steps = torch.zeros(int(step_G.max()) + 1, dtype=torch.int64).index_add_(0, step_G, sizes)
    return [rows for rows in shuffled[place_n].split(steps.tolist()) if rows.numel()]


def first_product_dtype(config: TrainingConfig) -> torch.dtype:
    """What the first product of wide heads runs in on this machine."""
    if config.precision == "auto":
        supported = (
            torch.ops.mkldnn._is_mkldnn_bf16_supported()
            and torch.backends.cpu.get_cpu_capability()
            in (
                "AVX512",
                "AVX512_BF16",
                "AMX",
            )
        )
        return torch.bfloat16 if supported else torch.float32
    return torch.bfloat16 if config.precision == "bf16" else torch.float32


def _held_out_sets(plan: Plan) -> list[tuple[Tensor, Tensor]]:
    """Members that share the rows that judge them are judged together: pairs (members, rows)."""
    sets: dict[bytes, list[int]] = {}
    for m, mask_N in enumerate(plan.judged_MN):
        sets.setdefault(mask_N.numpy().tobytes(), []).append(m)
    return [
        (torch.tensor(members), torch.nonzero(plan.judged_MN[members[0]])[:, 0]) for members in sets.values()
    ]
