"""Everything that changes during a fit: weights, optimiser, the best epoch of every member; saved and resumed.

Shapes: N rows of the log, M members, K signals.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tacit.errors import ConfigError, TacitError
from tacit.methods.method import Method
from tacit.methods.observations import Observations
from tacit.training.checkpoint import Checkpoint
from tacit.training.config import TrainingConfig
from tacit.training.ensemble import Ensemble, Plan, Weights, raw_logits
from tacit.training.heads import Layout, assign_members, initial_weights, join_rows, select_members
from tacit.training.temperature import Calibration, judge, neutral
from tacit.training.views import Views

_GATHERED = 1 << 22
"""Numbers gathered at a time outside of steps: so few that memory is used again and not asked for anew."""
_REFINING = 0.1
"""Share of its learning rate with which a head goes on that starts from a fitted one."""
WIDE_VIEWS = ("reward", "all")
"""Views that hold the embedding: their heads get the reward's learning rate and weight decay."""
_CROWDED = 0.8
"""Share of the batch that has to be still learning: below it, those who are done leave."""
_WHERE = {
    "prompt": "; a log has them with an encoder that reads prompt and response apart (minilm, hashing), arrays never do"
}
"""Where the features are found that not every fit has."""


class State:
    """The fit between two steps.

    Members that have waited out their patience leave the batch; `present` says who is still in it. Weights, optimiser,
    temperatures and columns are those of the present; the best epochs are everybody's.
    """

    def __init__(
        self,
        layouts: dict[str, Layout],
        weights: dict[str, dict[str, Tensor]],
        decay_M: Tensor,
        calibrated: tuple[str, ...] | None,
    ) -> None:
        M = decay_M.numel()
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
        self.present = torch.arange(M)
        self.decay_M = decay_M
        self.columns: dict[str, Tensor] = {}
        self.lr: dict[str, float] = {}
        self.shrink: list[tuple[Tensor, Tensor]] = []  # weights, and the share of them that a step keeps
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
    ) -> State:
        """Every head at its seed and its rates, or where `given` has it."""
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
        state = cls(layouts, weights, torch.tensor(plan.weight_decay), method.calibrated)
        for name in weights:
            wide = layouts[name].head.view in WIDE_VIEWS
            state.lr[name] = config.reward_lr(layouts[name].hidden) if wide else config.propensity_lr
            if name in given:
                state.lr[name] *= _REFINING
        state.optimizer = state._new_optimizer()
        return state

    def _new_optimizer(self) -> torch.optim.Optimizer:
        """AdamW over the present members' weights, in which a decay that they share costs no pass of its own.

        Decays that differ, and one of which a step would leave less than nothing, are left to `step`.
        """
        groups: dict[tuple[float, float], list[Tensor]] = {}
        self.shrink = []
        for head, tensors in self.weights.items():
            decay_P = self.decay_M[self.present]
            if self.layouts[head].head.view not in WIDE_VIEWS:
                decay_P = torch.zeros_like(decay_P)
            common = float(decay_P[0])
            alike = bool((decay_P == common).all()) and self.lr[head] * common < 1
            keep_P = (1 - self.lr[head] * decay_P).clamp(min=0)
            for name, tensor in tensors.items():
                tensor.requires_grad_()
                decays = name.startswith("weight")
                if decays and not alike and name == "weight0":  # [D, M·H]
                    by_member = tensor.detach().view(self.layouts[head].inputs, len(keep_P), -1)
                    self.shrink.append((by_member, keep_P[:, None]))
                elif decays and not alike:  # [M, …]
                    self.shrink.append((tensor.detach(), keep_P[:, None, None]))
                groups.setdefault((self.lr[head], common if decays and alike else 0.0), []).append(tensor)
        return torch.optim.AdamW(
            [{"params": own, "lr": lr, "weight_decay": decay} for (lr, decay), own in groups.items()],
            fused=True,
        )

    def step(self) -> None:
        """Take the gradients, after shrinking each member's weights by a decay that is not the optimiser's."""
        for tensor, keep in self.shrink:
            tensor.mul_(keep)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def refresh(self, method: Method, views: Views, obs: Observations, dtype: torch.dtype) -> None:
        """Let the method look at all rows with the weights as they are, and keep the columns that it makes."""
        every = torch.arange(obs.n_rows)
        logits = join_rows(
            self.layouts,
            [
                raw_logits(self.layouts, self.weights, views, chunk, dtype)
                for chunk in every.split(self._rows_at_once)
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
        """Close an epoch: temperatures, criterion, and for each member that has not waited out its patience, the best.

        Args:
            method: the estimator.
            views: features.
            obs: labels of the present members.
            plan: of the present members.
            held_out: pairs (present members by position, rows that judge them).
            config: patience.
            dtype: of the first product.

        Raises:
            TacitError: the criterion is not finite.
        """
        P = self.present.numel()
        criterion_P = torch.empty(P)
        for members, rows in held_out:
            everyone = members.numel() == P
            weights = {
                name: w if everyone else select_members(self.layouts[name], w, members)
                for name, w in self.weights.items()
            }
            # In chunks: the fifth of a large log, widened to float32, would outweigh the embeddings themselves.
            logits = join_rows(
                self.layouts,
                [
                    raw_logits(self.layouts, weights, views, chunk, dtype)
                    for chunk in rows.split(self._rows_at_once)
                ],
            )
            seen = replace(obs, weight_B=None).with_columns(**self.columns).members(members).rows(rows)
            fitted, value = judge(method, logits, seen, self.calibration.pick(members), plan.half_N[rows])
            criterion_P[members] = value
            self.calibration.assign(fitted, members)
        if not bool(
            torch.isfinite(criterion_P).all()
        ):  # NaN is never better: the fit would keep its first weights
            raise TacitError(
                f"{method.key}: the held-out loss became {float(criterion_P.sum())} in epoch {self.epoch}; "
                "lower the learning rate (lr, propensity_lr) or look for extreme context values"
            )
        self.epoch += 1
        criterion_M = torch.tensor(self.curve[-1]) if self.curve else torch.empty_like(self.best_criterion_M)
        criterion_M[self.present] = criterion_P  # of the others, the last one they had
        self.curve.append([round(float(c), 6) for c in criterion_M])
        # A member that has waited out its patience is done, whatever its neighbours in the batch still do.
        active_P = (
            self.epoch - 1 - self.best_epoch_M[self.present].clamp(min=method.warm_up) < config.patience
        )
        if self.epoch <= method.warm_up < config.max_epochs:
            active_P = torch.zeros_like(active_P)
        better_P = torch.nonzero(active_P & (criterion_P < self.best_criterion_M[self.present] - 1e-6))[:, 0]
        if better_P.numel():
            better_M = self.present[better_P]
            for name, layout in self.layouts.items():
                better = select_members(layout, self.weights[name], better_P)
                assign_members(layout, self.best[name], better, better_M)
            self.best_calibration.assign(self.calibration.pick(better_P), better_M)
            self.best_criterion_M[better_M] = criterion_P[better_P]
            self.best_epoch_M[better_M] = self.epoch
        waited_P = self.epoch - self.best_epoch_M[self.present].clamp(min=method.warm_up)
        self.finished = bool((waited_P >= config.patience).all()) or self.epoch >= config.max_epochs
        staying_P = torch.nonzero(waited_P < config.patience)[:, 0]
        # A loss that compares neighbours looks at rows of every member: there all stay.
        if not self.finished and not method.sketch and staying_P.numel() <= _CROWDED * P:
            self._narrow(staying_P)

    def _narrow(self, keep: Tensor) -> None:
        """Go on with some of the present members (positions), their moments included."""
        moments: dict[str, dict[str, dict[str, Tensor]]] = {}
        for name, layout in self.layouts.items():
            old = self.weights[name]
            known = {key: self.optimizer.state[value] for key, value in old.items()}
            if all(known.values()):  # a head that no loss reads has none
                moments[name] = {
                    slot: select_members(layout, {key: state[slot] for key, state in known.items()}, keep)
                    for slot in ("exp_avg", "exp_avg_sq")
                }
                moments[name]["step"] = {key: state["step"] for key, state in known.items()}
            self.weights[name] = select_members(layout, old, keep)
        P = self.present.numel()
        self.present = self.present[keep]
        self.optimizer = self._new_optimizer()
        for name, slots in moments.items():
            for key, value in self.weights[name].items():
                self.optimizer.state[value] = {slot: values[key] for slot, values in slots.items()}
        self.calibration = self.calibration.pick(keep)
        self.columns = {
            name: value[keep] if value.ndim == 2 and value.shape[0] == P else value
            for name, value in self.columns.items()
        }

    @property
    def _rows_at_once(self) -> int:
        return max(512, _GATHERED // max(1, *(layout.inputs for layout in self.layouts.values())))

    def ensemble(self) -> Ensemble:
        """The best epoch of every member."""
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
        """Keep what `resume` needs to go on to the same bytes."""
        tensors: dict[str, Tensor] = {
            "best_criterion": self.best_criterion_M,
            "best_epoch": self.best_epoch_M,
            "present": self.present,
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
            tensors[f"column/{column}"] = value.clone()  # columns may share their memory
        checkpoint.save(name, tensors, {"epoch": self.epoch, "finished": self.finished, "curve": self.curve})

    def resume(self, checkpoint: Checkpoint, name: str) -> None:
        """Go on from a saved state, if there is one."""
        loaded = checkpoint.load(name)
        if loaded is None:
            return
        tensors, state = loaded
        self.epoch, self.finished, self.curve = state["epoch"], state["finished"], state["curve"]
        self.best_criterion_M = tensors["best_criterion"]
        self.best_epoch_M = tensors["best_epoch"]
        if tensors["present"].numel() < self.present.numel():
            self._narrow(tensors["present"])
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
