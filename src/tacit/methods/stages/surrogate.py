"""Surrogate of the noisy label, P(r=1 | x): makes the column `noisy`, and `rho01` and `rho10` where asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from tacit.methods.method import Head, Logits, Method, Setting, mean_rate, refuse_degenerate
from tacit.methods.nuisances import noise_rates
from tacit.methods.nuisances.rates import NoiseRates
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce, logit

NoiseRule = Literal["quantile_anchor", "confident_learning", "dual_t"]


@dataclass(frozen=True)
class Surrogate(Method):
    """The label as it is given, noise and all, on the rows that have one; and what its extremes say of the noise.

    Loss: bce(n, r) on labelled rows.

    Args:
        rule: how noise rates are read off the out-of-fold surrogate; see `tacit.methods.nuisances`. None: they are
            not asked for, and no columns `rho01` and `rho10` are made.
        quantile: of the anchors, for `rule="quantile_anchor"`.
        rho01: the rate that is known, if one is; a column of that name is read as well. An estimate of the other has to
            leave a signal beside it (guard G5).
        rho10: the same.
    """

    rule: NoiseRule | None = "quantile_anchor"
    quantile: float = 0.97
    rho01: float | None = None
    rho10: float | None = None

    key: ClassVar[str] = "surrogate"
    setting: ClassVar[Setting] = "explicit"
    needs: ClassVar[tuple[str, ...]] = ("label",)
    assumes: ClassVar[str] = (
        "noise rates constant; some responses that everybody likes and some that nobody does"
    )
    not_identified: ClassVar[str] = "noise apart from disagreement"
    citation: ClassVar[str] = "Liu & Tao 2016; Northcutt et al. 2021; Yao et al. 2020"
    reward_heads: ClassVar[tuple[str, ...]] = ("surrogate",)

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head that sees the text, its bias at the rate of positive labels."""
        return (Head("surrogate", "reward", (logit(mean_rate(*obs.explicit())),)),)

    def reward(self, logits: Logits) -> Tensor:
        """The surrogate's logit."""
        return logits["surrogate"]

    def counts(self, obs: Observations) -> Tensor:
        """Labelled rows."""
        return obs.explicit()[1]

    def check(self, obs: Observations) -> None:
        """Both labels must occur."""
        refuse_degenerate(self.key, *obs.explicit())

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(n, r) [..., B]."""
        return bce(logits["surrogate"], obs.explicit()[0])

    def nuisances(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """`noisy` [B], `rho01` [1] and `rho10` [1].

        Raises:
            IdentificationError: the rates, known or estimated, add up to 1 or more.
        """
        s_B = torch.sigmoid(logits["surrogate"])
        if self.rule is None:
            return {"noisy": s_B}
        mine = torch.ones_like(s_B) > 0 if obs.weight_B is None else obs.weight_B > 0
        r_B, o_B = obs.explicit()
        labelled = (mine & o_B).numpy()
        s_N = s_B.numpy().astype(np.float64)
        if self.rule == "quantile_anchor":
            rates = noise_rates.quantile_anchor(s_N[mine.numpy()], quantile=self.quantile)
        elif self.rule == "confident_learning":
            rates = noise_rates.confident_learning(s_N[labelled], r_B.numpy()[labelled])
        else:
            rates = noise_rates.dual_t(s_N[labelled], r_B.numpy()[labelled])
        rho01, rho10 = (
            self._known(name, obs, estimate)
            for name, estimate in (("rho01", rates.rho01), ("rho10", rates.rho10))
        )
        if (rho01, rho10) != (rates.rho01, rates.rho10):
            NoiseRates(rho01, rho10)
        return {"noisy": s_B, "rho01": torch.tensor([rho01]), "rho10": torch.tensor([rho10])}

    def _known(self, name: str, obs: Observations, estimate: float) -> float:
        rate: float | None = getattr(self, name)
        if rate is not None:
            return rate
        return float(obs.columns[name]) if name in obs.columns else estimate
