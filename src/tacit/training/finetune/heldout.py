"""How held-out rows judge a fine-tuned model, and how they set its temperature: observed data only.

Shapes: n held-out rows, M members, K signals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.methods import STRATA, Method, Observations, strata
from tacit.training.finetune.module import FeedbackModule
from tacit.training.temperature import judge, neutral, recalibrate


@dataclass(frozen=True)
class Temperature:
    """Calibrated logit = scale · logit + shift, by head; the shift of a head with K outputs is a tensor [K]."""

    scale: dict[str, float]
    shift: dict[str, float | Tensor]


def heads_to_scale(method: Method, module: FeedbackModule) -> tuple[str, ...]:
    """Heads that get a temperature: those that see something, unless the method names its own."""
    seeing = ["reward", *(name for name, layout in module.layouts.items() if layout.head.view != "none")]
    return tuple(name for name in seeing if method.calibrated is None or name in method.calibrated)


def criterion(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, names: tuple[str, ...], half_n: Tensor
) -> float:
    """Mean held-out criterion over the members, after a temperature per head.

    Args:
        method: the estimator.
        logits: by head, [M, n] or [M, n, K].
        obs: the same rows.
        names: heads that get a temperature.
        half_n: bool, splits few rows in two: each half is judged with the temperature of the other.
    """
    shapes = {name: (value.shape[0], *value.shape[2:]) for name, value in logits.items() if name in names}
    _, value_M = judge(method, logits, obs, neutral(shapes), half_n)
    return float(value_M.mean())


def temperature(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, names: tuple[str, ...]
) -> Temperature:
    """Scale and shift of every head that suit the held-out rows best, the same for all members."""
    members = logits["reward"].shape[0]
    rows = torch.arange(obs.n_rows).repeat(members)
    scale, shift = recalibrate(
        method, {name: value.flatten(0, 1) for name, value in logits.items()}, obs.rows(rows), names
    )
    return Temperature(scale, shift)


@torch.no_grad()
def told(method: Method, logits: Mapping[str, Tensor], obs: Observations) -> dict[str, Tensor]:
    """What a batch is logged as: rewards, the share of liked rows, how often users act, and the four strata.

    Args:
        method: the estimator.
        logits: by head, [M, B] or [M, B, K].
        obs: the same rows.

    Returns:
        Scalars on the device of the logits: nothing waits for it.
    """
    reward_B = method.reward(logits).mean(0)
    metrics = {
        "mean_reward": reward_B.mean(),
        "min_reward": reward_B.min(),
        "max_reward": reward_B.max(),
        "base_rate": torch.sigmoid(reward_B).mean(),
    }
    acts = logits.get("activity", logits.get("propensity"))
    if acts is not None:
        metrics["propensity"] = torch.sigmoid(acts).mean()
    if method.key == "implicit_rm":
        share_4 = strata(
            logits["reward"].mean(0), logits["propensity"].mean(0), obs.signals_BK[:, 0], obs.visible_BK[:, 0]
        ).mean(0)
        metrics |= {f"stratum/{name}": share for name, share in zip(STRATA, share_4, strict=True)}
    return metrics
