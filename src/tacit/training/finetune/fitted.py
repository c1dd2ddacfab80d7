"""What a training run leaves, made plain: adapters merged, temperature folded in, one output.

Shapes: M members, H hidden units, n held-out rows.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tacit.methods import Method, Observations, open_level
from tacit.training.finetune.backbone import one_row
from tacit.training.finetune.heldout import Temperature, criterion, heads_to_scale, temperature
from tacit.training.finetune.module import FeedbackModule
from tacit.training.finetune.side import SideFeatures
from tacit.training.heads import Layout
from tacit.training.profile import LevelProfile, level_profile

HeldOut = tuple[dict[str, Tensor], Observations, Tensor]
"""Logits of held-out rows by head [M, n], what the log shows of them, and halves for cross-fitting."""


@dataclass(frozen=True)
class FineTuned:
    """What a training run leaves: everything that a reward model is made of.

    Attributes:
        method: the estimator.
        network: a plain sequence classifier with one output, adapters merged, temperature folded in; on the CPU.
        tokenizer: with chat template and padding.
        rows_MH: head of every member [M, H + 1], the last column its bias.
        level: what is added to a score before the sigmoid.
        side: how context and style become numbers.
        layouts: the heads beside the backbone.
        weights: their tensors, by head and name.
        temperature: of these heads, and of the reward (folded in already).
        mean, std: of the scores of the held-out rows.
        criterion: held-out, per row.
        base_rate: mean probability of the held-out rows.
        open_level: between what bounds one signal leaves it; None where something else settles it.
        profile: how sure the held-out rows make it; None without them, or without a likelihood.
        held_out: logits of the held-out rows by head [M, n] after their temperature, and what the log shows of them;
            None without such rows.
    """

    method: Method
    network: Any
    tokenizer: Any
    rows_MH: Tensor
    level: float
    side: SideFeatures
    layouts: dict[str, Layout]
    weights: dict[str, dict[str, Tensor]]
    temperature: Temperature
    mean: float
    std: float
    criterion: float | None
    base_rate: float | None
    open_level: tuple[float, float] | None = None
    profile: LevelProfile | None = None
    held_out: tuple[dict[str, Tensor], Observations] | None = None


def fine_tuned(
    module: FeedbackModule,
    method: Method,
    tokenizer: Any,
    side: SideFeatures,
    held: HeldOut | None,
    *,
    exclusion: bool,
) -> FineTuned:
    """Set the temperature on held-out rows and fold it in.

    Args:
        module: trained, whole, on the CPU; it is changed.
        method: the estimator.
        tokenizer: of the backbone.
        side: how context and style become numbers.
        held: without held-out rows the temperature stays 1.
        exclusion: the log has context that varies; see `open_level`.
    """
    found, judged = Temperature({}, {}), None
    if held is not None:
        names = heads_to_scale(method, module)
        found = temperature(method, held[0], held[1], names)
        judged = criterion(method, held[0], held[1], names, held[2])
    scale = found.scale.get("reward", 1.0)
    start = float(module.level.detach().float().mean())
    level = scale * start + float(found.shift.get("reward", 0.0))
    network = module.backbone
    if hasattr(network, "merge_and_unload"):
        network = network.merge_and_unload()
    network, rows_MH = one_row(network, scale)
    mean, std, base, bounds, profile, held_out = 0.0, 1.0, None, None, None, None
    if held is not None:
        calibrated = {
            name: found.scale.get(name, 1.0) * value + found.shift.get(name, 0.0)
            for name, value in held[0].items()
        }
        held_out = calibrated, held[1]
        bounds = open_level(method, calibrated, held[1], exclusion=exclusion)
        mean_member = {name: value.mean(0) for name, value in calibrated.items()}
        profile = level_profile(method, mean_member, held[1], exclusion=exclusion)
        own_n = scale * (held[0]["reward"].mean(0) - start)  # as the head alone gives them
        mean, std = float(own_n.mean()), max(float(own_n.std(correction=0)), 1e-6)
        base = float(torch.sigmoid(own_n + level).mean())
    network.config.mean, network.config.std = mean, std
    return FineTuned(
        method=method,
        network=network.eval(),
        tokenizer=tokenizer,
        rows_MH=rows_MH.detach().float(),
        level=level,
        side=side,
        layouts=module.layouts,
        weights={
            name: {k: v.detach() for k, v in module.side_weights(name).items()} for name in module.layouts
        },
        temperature=found,
        mean=mean,
        std=std,
        criterion=judged,
        base_rate=base,
        open_level=bounds,
        profile=profile,
        held_out=held_out,
    )


def copied_to_cpu(module: FeedbackModule) -> FeedbackModule:
    """A copy on the CPU, made weight by weight: the GPU never holds the backbone twice."""
    held: dict[int, Tensor] = {}  # what deepcopy takes instead of copying a tensor where it lies
    for weight in module.parameters():
        if type(weight) is torch.nn.Parameter:
            moved = weight.detach().to("cpu", copy=True)
            held[id(weight)] = torch.nn.Parameter(moved, requires_grad=weight.requires_grad)
    for buffer in module.buffers():
        if type(buffer) is Tensor:
            held[id(buffer)] = buffer.detach().to("cpu", copy=True)
    return copy.deepcopy(module, held).cpu()


def rebuilt(module: FeedbackModule, state: Mapping[str, Tensor]) -> FeedbackModule:
    """The same module on the CPU, with weights that were gathered from its shards."""
    whole = FeedbackModule(_same(module.backbone), module.layouts, 0.0, range(len(module.level)))
    whole.load_state_dict(state)
    return whole.float()


def _same(backbone: Any) -> Any:
    """The same architecture on the CPU, weights to be filled in; adapters included."""
    if not hasattr(backbone, "peft_config"):
        return type(backbone)(backbone.config)
    from peft import get_peft_model

    inner = backbone.get_base_model()
    return get_peft_model(type(inner)(inner.config), copy.deepcopy(next(iter(backbone.peft_config.values()))))
