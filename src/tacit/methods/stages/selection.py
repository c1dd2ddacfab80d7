"""Selection propensity p(x, z) = P(a label is given): makes the column `p`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tacit.methods.method import Head, Logits, Method, Setting, mean_rate
from tacit.methods.nuisances import propensity
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce, logit

_SMALLEST = 1e-6
"""A sigmoid that underflows is no propensity: it cannot be divided by."""


@dataclass(frozen=True)
class Selection(Method):
    """How likely it is that a label is given here at all, from everything that is known of the row.

    Loss: bce(u, o), or (σ(u) − o)² with `loss_form="mse"` as CausalRM published it; the square's gradient vanishes
    where p is small, which is where 1/p matters.

    Args:
        loss_form: "bce" or "mse".
        clip: where the methods that divide by p cut it; the warning about what that touches depends on it.

    Warns:
        IdentificationWarning: when the columns are made, of weights that rest on few rows or much clipping (guard G4).
    """

    loss_form: Literal["bce", "mse"] = "bce"
    clip: float = 0.05

    key: ClassVar[str] = "selection"
    setting: ClassVar[Setting] = "explicit"
    needs: ClassVar[tuple[str, ...]] = ("label",)
    assumes: ClassVar[str] = "whether a label is given depends on what the features show, not on the label"
    not_identified: ClassVar[str] = "selection by the preference itself"
    citation: ClassVar[str] = "Rosenbaum & Rubin 1983"
    reward_heads: ClassVar[tuple[str, ...]] = ("selection",)

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head that sees text and context, its bias at the share of labelled rows."""
        o_B = obs.explicit()[1]
        start = logit(mean_rate(o_B.to(obs.signals_BK.dtype), torch.ones_like(o_B)))
        return (Head("selection", "all", (start,)),)

    def reward(self, logits: Logits) -> Tensor:
        """The propensity's logit."""
        return logits["selection"]

    def counts(self, obs: Observations) -> Tensor:
        """Every row: that no label was given is what is learned from."""
        return torch.ones_like(obs.explicit()[1])

    def check(self, obs: Observations) -> None:
        """Nothing to refuse: with labels on every row the propensity is 1."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(u, o) or (σ(u) − o)² [..., B]."""
        o_B = obs.explicit()[1].to(logits["selection"].dtype)
        if self.loss_form == "mse":
            return (torch.sigmoid(logits["selection"]) - o_B).square()
        return bce(logits["selection"], o_B)

    def nuisances(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """`p` [B]; 1 everywhere where every row has a label."""
        p_B = torch.sigmoid(logits["selection"]).clamp(min=_SMALLEST)
        o_B = obs.explicit()[1]
        if bool(o_B.all()):
            return {"p": torch.ones_like(p_B)}
        mine_B = torch.ones_like(o_B) if obs.weight_B is None else obs.weight_B > 0
        if bool((mine_B & o_B).any()):
            propensity.diagnose(p_B[mine_B].numpy(), o_B[mine_B].numpy(), clip=self.clip)
        return {"p": p_B}
