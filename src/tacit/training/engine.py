"""The loop: every member of every head, one pass over shared rows, AdamW, early stopping by likelihood.

Read it top to bottom. A fit is a function of its inputs and seed alone: batch order comes from (seed, epoch),
weights from the members' seeds, so a state saved between epochs continues to the same bytes. Nothing here reads a
gold label unless the method's loss does.

Shapes: N rows of the log, B rows of a batch, M members, D features, K signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tacit.errors import ConfigError, TacitError
from tacit.methods.method import Method
from tacit.methods.observations import Observations
from tacit.progress import Progress
from tacit.training.checkpoint import Checkpoint
from tacit.training.config import TrainingConfig
from tacit.training.heads import (
    Layout,
    assign_members,
    forward,
    initial_weights,
    join_rows,
    select_members,
)
from tacit.training.sketch import sketch
from tacit.training.temperature import Calibration, judge, neutral
from tacit.training.views import Views

Weights = dict[str, dict[str, Tensor]]
"""Tensors of every head, by head and name; see `tacit.training.heads`."""


@dataclass(frozen=True)
class Plan:
    """Which member trains on which rows, and which rows judge it.

    Attributes:
        seeds: M integers, one per member.
        train_MN: bool [M, N].
        held_out_MN: bool [M, N], disjoint from `train_MN`.
        half_N: bool [N], splits held-out rows in two by prompt for cross-fitting.
        weight_decay: M floats, for the reward head.
    """

    seeds: tuple[int, ...]
    train_MN: Tensor
    held_out_MN: Tensor
    half_N: Tensor
    weight_decay: tuple[float, ...]


@dataclass
class Ensemble:
    """M trained members: layouts, weights and temperatures of every head, and how well each did."""

    layouts: dict[str, Layout]
    weights: dict[str, dict[str, Tensor]]
    calibration: Calibration
    criterion_M: Tensor
    epoch_M: Tensor
    epochs_run: int = 0
    curve: list[list[float]] = field(default_factory=list)

    @property
    def members(self) -> int:
        """M."""
        return int(self.criterion_M.shape[0])

    def logits(self, views: Views, rows_B: Tensor, *, batch: int = 4096) -> dict[str, Tensor]:
        """Calibrated logits of all members on some rows, float32, [M, B] or [M, B, K] by head."""
        parts = []
        for chunk in rows_B.split(batch):
            parts.append(self.calibration.apply(raw_logits(self.layouts, self.weights, views, chunk)))
        return join_rows(self.layouts, parts)

    @torch.no_grad()
    def rewards(self, method: Method, views: Views, rows_B: Tensor) -> Tensor:
        """Calibrated reward logits of all members on some rows, float32 [M, B]."""
        reward = method.reward(self.only(*method.reward_heads).logits(views, rows_B))
        return reward.expand(self.members, rows_B.shape[0])

    def only(self, *heads: str) -> Ensemble:
        """The same members with some of their heads: scoring needs the reward alone."""
        return replace(self, layouts={name: self.layouts[name] for name in heads})

    def pick(self, members: Sequence[int]) -> Ensemble:
        """Some members, as an ensemble of their own."""
        index = torch.tensor(list(members))
        return Ensemble(
            self.layouts,
            {name: select_members(self.layouts[name], w, index) for name, w in self.weights.items()},
            self.calibration.pick(index),
            self.criterion_M[index],
            self.epoch_M[index],
            self.epochs_run,
        )


def raw_logits(
    layouts: dict[str, Layout],
    weights: dict[str, dict[str, Tensor]],
    views: Views,
    rows_B: Tensor,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Uncalibrated logits of every head. Heads with the same view share one gathered batch."""
    gathered: dict[str, Tensor] = {}
    logits = {}
    for name, layout in layouts.items():
        x_BD = None
        if layout.head.view != "none":
            view = views[layout.head.view]
            if view.name not in gathered:
                gathered[view.name] = view.rows(rows_B, dtype if view.width >= _WIDE else torch.float32)
            x_BD = gathered[view.name]
        logits[name] = forward(layout, weights[name], x_BD)
    return logits


_JUDGED_AT_ONCE = 8192
"""Held-out rows gathered at a time."""
_REFINING = 0.1
"""Share of its learning rate with which a head goes on that starts from a fitted one."""
WIDE_VIEWS = ("reward", "all")
"""Views that hold the embedding: their heads get the reward's learning rate and weight decay."""
_WHERE = {
    "prompt": "; a log has them with an encoder that reads prompt and response apart (minilm, hashing), arrays never do"
}
"""Where the features are found that not every fit has."""
_WIDE = 64
"""Columns from which the first product is worth bfloat16; narrower inputs (context, style) stay float32."""


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
    state = _State.start(method, views, obs, plan, config, hidden, start or {})
    if checkpoint is not None:
        state.resume(checkpoint, name)
    if progress is not None and state.epoch:
        progress.advance(state.epoch)  # resumed
    dtype = first_product_dtype(config)
    order = torch.nonzero(plan.train_MN.any(0))[:, 0]
    weight_MN = (plan.train_MN & method.counts(obs)).to(torch.float32)
    obs = replace(obs, weight_B=weight_MN)
    if method.sketch and "sketch0" not in obs.columns:
        obs = obs.with_columns(**sketch(views["reward"], obs.n_rows, method.sketch))
    # The mean over a member's own rows: batches are shared, so the divisor is its expected share of one.
    share_M = weight_MN.sum(1) / max(1, order.numel())
    held_out = _held_out_sets(plan)
    if method.refreshes and not state.epoch:
        state.refresh(method, views, obs, dtype)

    while not state.finished:
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.epoch)
        shuffled = order[torch.randperm(order.numel(), generator=generator)]
        seen = replace(obs.with_columns(**state.columns), epoch=state.epoch)
        groups_N = obs.group_B if method.by_group else None
        for rows_B in batches(shuffled, config.rows_per_step(order.numel()), groups_N):
            logits = raw_logits(state.layouts, state.weights, views, rows_B, dtype)
            loss_MB = method.loss(logits, seen.rows(rows_B)) * weight_MN[:, rows_B]
            loss = (loss_MB.mean(1) / share_M.clamp(min=1e-9)).sum()
            if not torch.isfinite(loss):
                raise TacitError(
                    f"{method.key}: the loss became {float(loss.detach())} in epoch {state.epoch}; "
                    "lower the learning rate (lr, propensity_lr) or look for extreme context values"
                )
            loss.backward()
            state.step(plan)
        if method.refreshes:
            state.refresh(method, views, obs, dtype)
        state.judge(method, views, obs, plan, held_out, config, dtype)
        if progress is not None:
            progress.advance(1, f"{name} held-out {state.best_criterion_M.mean():.4f}")
        if checkpoint is not None and (state.finished or checkpoint.due()):
            state.save(checkpoint, name)
    if progress is not None:
        progress.advance(config.max_epochs - state.epoch)  # stopped early: the bar still ends full
    return state.ensemble()


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
    """Members that share their held-out rows are judged together: pairs (members, rows)."""
    sets: dict[bytes, list[int]] = {}
    for m, mask_N in enumerate(plan.held_out_MN):
        sets.setdefault(mask_N.numpy().tobytes(), []).append(m)
    return [
        (torch.tensor(members), torch.nonzero(plan.held_out_MN[members[0]])[:, 0])
        for members in sets.values()
    ]


def _starting_biases(
    method: Method, obs: Observations, plan: Plan, layouts: dict[str, Layout]
) -> dict[str, Tensor]:
    """Where each member's heads start, [M, K] by head: at the rates of the rows that this member may use.

    The rates of all rows would tell every fold of a cross-validation something of the rows it is judged by, and
    `constant`, whose start is its optimum, would be nothing else.
    """
    starts: dict[str, list[tuple[float, ...]]] = {name: [] for name in layouts}
    known: dict[bytes, dict[str, tuple[float, ...]]] = {}
    for m, mask_N in enumerate(plan.train_MN | plan.held_out_MN):
        key = mask_N.numpy().tobytes()
        if (
            key not in known or obs.signals_BK.ndim == 3 or obs.columns
        ):  # labels of their own, rates of their own
            mine = obs.members(torch.tensor([m])).flat().rows(torch.nonzero(mask_N)[:, 0])
            known[key] = {head.name: head.bias for head in method.heads(mine)}
        for name, layout in layouts.items():
            starts[name].append(known[key].get(name, layout.head.bias))
    return {name: torch.tensor(biases) for name, biases in starts.items()}


class _State:
    """Everything that changes during a fit."""

    def __init__(
        self,
        layouts: dict[str, Layout],
        weights: dict[str, dict[str, Tensor]],
        M: int,
        calibrated: tuple[str, ...] | None,
    ) -> None:
        self.layouts = layouts
        self.weights = weights
        self.best = {name: {k: v.detach().clone() for k, v in w.items()} for name, w in weights.items()}
        scaled = {
            name: (M,) if layout.head.scalar else (M, layout.outputs)
            for name, layout in layouts.items()
            if layout.head.view != "none"
        }
        scaled = {name: shape for name, shape in scaled.items() if calibrated is None or name in calibrated}
        self.calibration = neutral(scaled)
        self.best_calibration = neutral(scaled)
        self.best_criterion_M = torch.full((M,), float("inf"))
        self.best_epoch_M = torch.zeros(M, dtype=torch.int64)
        self.columns: dict[str, Tensor] = {}
        self.lr: dict[str, float] = {}
        self.epoch = 0
        self.finished = False
        self.curve: list[list[float]] = []
        self.optimizer: torch.optim.Optimizer

    @classmethod
    def start(
        cls,
        method: Method,
        views: Views,
        obs: Observations,
        plan: Plan,
        config: TrainingConfig,
        hidden: tuple[int, ...],
        given: Weights,
    ) -> _State:
        layouts = {}
        for declared in method.heads(obs):
            # Without context, what would depend on it is one number for all rows.
            blind = declared.view == "context" and "context" not in views
            head = replace(declared, view="none") if blind else declared
            if head.view != "none" and head.view not in views:
                raise ConfigError(
                    f"{method.key}: there are no {head.view!r} features here, found {', '.join(sorted(views))}"
                    f"{_WHERE.get(head.view, '')}"
                )
            width = 0 if head.view == "none" else views[head.view].width
            narrow = () if head.view in ("length", "context", "prompt") else config.propensity_hidden
            layouts[head.name] = Layout(head, width, hidden if head.view == "reward" else narrow)
        starts = _starting_biases(method, obs, plan, layouts)
        weights = {
            name: initial_weights(layout, plan.seeds, starts[name]) for name, layout in layouts.items()
        }
        for name in given.keys() & weights.keys():
            weights[name] = {key: value.detach().clone() for key, value in given[name].items()}
        state = cls(layouts, weights, len(plan.seeds), method.calibrated)
        groups = []
        for name, tensors in weights.items():
            wide = layouts[name].head.view in WIDE_VIEWS
            state.lr[name] = config.reward_lr(layouts[name].hidden) if wide else config.propensity_lr
            if name in given:
                state.lr[name] *= _REFINING
            groups.append({"params": [t.requires_grad_() for t in tensors.values()], "lr": state.lr[name]})
        state.optimizer = torch.optim.AdamW(groups, weight_decay=0.0, fused=True)
        return state

    def step(self, plan: Plan) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if not any(plan.weight_decay):
            return
        decay_M = torch.tensor(plan.weight_decay)
        with torch.no_grad():
            for head, layout in self.layouts.items():
                if layout.head.view not in WIDE_VIEWS:
                    continue
                keep_M = (1 - self.lr[head] * decay_M).clamp(min=0)
                for name, tensor in self.weights[head].items():
                    if name == "weight0":
                        tensor.view(layout.inputs, keep_M.shape[0], -1).mul_(keep_M[:, None])
                    elif name.startswith("weight"):
                        tensor.mul_(keep_M[:, None, None])

    @torch.no_grad()
    def refresh(self, method: Method, views: Views, obs: Observations, dtype: torch.dtype) -> None:
        """Let the method look at all rows with the weights as they are, and keep the columns that it makes."""
        every = torch.arange(obs.n_rows)
        logits = join_rows(
            self.layouts,
            [
                raw_logits(self.layouts, self.weights, views, chunk, dtype)
                for chunk in every.split(_JUDGED_AT_ONCE)
            ],
        )
        seen = replace(obs.with_columns(**self.columns), epoch=self.epoch)
        self.columns = dict(method.refresh(logits, seen))

    @torch.no_grad()
    def judge(
        self,
        method: Method,
        views: Views,
        obs: Observations,
        plan: Plan,
        held_out: list[tuple[Tensor, Tensor]],
        config: TrainingConfig,
        dtype: torch.dtype,
    ) -> None:
        M = len(plan.seeds)
        criterion_M = torch.empty(M)
        for members, rows in held_out:
            everyone = members.numel() == M
            weights = {
                name: w if everyone else select_members(self.layouts[name], w, members)
                for name, w in self.weights.items()
            }
            # In chunks: the fifth of a large log, widened to float32, would outweigh the embeddings themselves.
            logits = join_rows(
                self.layouts,
                [
                    raw_logits(self.layouts, weights, views, chunk, dtype)
                    for chunk in rows.split(_JUDGED_AT_ONCE)
                ],
            )
            seen = replace(obs, weight_B=None).with_columns(**self.columns).members(members).rows(rows)
            fitted, value = judge(method, logits, seen, self.calibration.pick(members), plan.half_N[rows])
            criterion_M[members] = value
            self.calibration.assign(fitted, members)
        if not bool(
            torch.isfinite(criterion_M).all()
        ):  # NaN is never better: the fit would keep its first weights
            raise TacitError(
                f"{method.key}: the held-out loss became {float(criterion_M.sum())} in epoch {self.epoch}; "
                "lower the learning rate (lr, propensity_lr) or look for extreme context values"
            )
        self.epoch += 1
        self.curve.append([round(float(c), 6) for c in criterion_M])
        # A member that has waited out its patience is done, whatever its neighbours in the batch still do.
        active_M = self.epoch - 1 - self.best_epoch_M.clamp(min=method.warm_up) < config.patience
        if self.epoch <= method.warm_up < config.max_epochs:
            active_M = torch.zeros_like(active_M)
        better = torch.nonzero(active_M & (criterion_M < self.best_criterion_M - 1e-6))[:, 0]
        if better.numel():
            for name, layout in self.layouts.items():
                assign_members(layout, self.best[name], self.weights[name], better)
            self.best_calibration.assign(self.calibration.pick(better), better)
            self.best_criterion_M[better] = criterion_M[better]
            self.best_epoch_M[better] = self.epoch
        stale = self.epoch - max(int(self.best_epoch_M.max()), method.warm_up)
        self.finished = stale >= config.patience or self.epoch >= config.max_epochs

    def ensemble(self) -> Ensemble:
        return Ensemble(
            self.layouts,
            self.best,
            self.best_calibration,
            self.best_criterion_M,
            self.best_epoch_M,
            self.epoch,
            self.curve,
        )

    def save(self, checkpoint: Checkpoint, name: str) -> None:
        tensors: dict[str, Tensor] = {
            "best_criterion": self.best_criterion_M,
            "best_epoch": self.best_epoch_M,
        }
        for head, weights in self.weights.items():
            for key, value in weights.items():
                tensors[f"best/{head}/{key}"] = self.best[head][key]
                if not self.finished:
                    tensors[f"now/{head}/{key}"] = value
                    for slot, moment in self.optimizer.state[value].items():
                        tensors[f"adam/{head}/{key}/{slot}"] = moment
        for kind, calibration in self._calibrations():
            for head in calibration.scale:
                tensors[f"{kind}/{head}/scale"] = calibration.scale[head]
                tensors[f"{kind}/{head}/shift"] = calibration.shift[head]
        for column, value in self.columns.items():
            tensors[f"column/{column}"] = value.contiguous()
        checkpoint.save(name, tensors, {"epoch": self.epoch, "finished": self.finished, "curve": self.curve})

    def resume(self, checkpoint: Checkpoint, name: str) -> None:
        loaded = checkpoint.load(name)
        if loaded is None:
            return
        tensors, state = loaded
        self.epoch, self.finished, self.curve = state["epoch"], state["finished"], state["curve"]
        self.best_criterion_M = tensors["best_criterion"]
        self.best_epoch_M = tensors["best_epoch"]
        self.columns = {
            name.removeprefix("column/"): value
            for name, value in tensors.items()
            if name.startswith("column/")
        }
        with torch.no_grad():
            for head, weights in self.weights.items():
                for key, value in weights.items():
                    self.best[head][key].copy_(tensors[f"best/{head}/{key}"])
                    if self.finished:
                        continue
                    value.copy_(tensors[f"now/{head}/{key}"])
                    prefix = f"adam/{head}/{key}/"
                    self.optimizer.state[value] = {
                        slot.removeprefix(prefix): tensor
                        for slot, tensor in tensors.items()
                        if slot.startswith(prefix)
                    }
        for kind, calibration in self._calibrations():
            for head in calibration.scale:
                calibration.scale[head].copy_(tensors[f"{kind}/{head}/scale"])
                calibration.shift[head].copy_(tensors[f"{kind}/{head}/shift"])

    def _calibrations(self) -> tuple[tuple[str, Calibration], ...]:
        return ("calibration", self.calibration), ("best_calibration", self.best_calibration)
