"""Strata of a log of clicks by how likely an answer was to be acted on: makes the column `stratum`.

DP: clicked.  Silent: HE, the share most exposed (seen, hence disliked); HU, the share least exposed (hardly seen,
hence no evidence against it); UN, the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import ConfigError
from tacit.methods.method import Head, Logits, Method, mean_rate
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce, logit

DP, HE, UN, HU = 0.0, 1.0, 2.0, 3.0
"""Values of the column `stratum`: definite positive, highly exposed, uncertain, hardly exposed."""
UNSEEN = -1.0
"""Stratum of a row whose signal was not visible."""


@dataclass(frozen=True)
class Strata(Method):
    """Silent answers sorted by how likely a signal was in their circumstances.

    Loss: bce(g(z), y), g from context alone. Where the log's context is independent of what the answer says, g orders
    rows by exposure. A column `e`, if the caller has one, takes its place.

    The paper reads exposure off the distance to the clicked rows in feature space (one-class SVM). On the features that
    drive preference the near rows are the *liked* ones, and the strata come out in the wrong order: highly exposed rows
    liked most (.5), hardly exposed ones least (.05) in simulation. Hence context alone, and no style either.

    Args:
        exposed: share of silent rows that become HE.
        unexposed: share that become HU.
    """

    exposed: float = 0.2
    unexposed: float = 0.1

    key: ClassVar[str] = "strata"
    needs: ClassVar[tuple[str, ...]] = ("signal", "context")
    reads: ClassVar[tuple[str, ...]] = ("e",)
    assumes: ClassVar[str] = "context moves exposure and not preference"
    not_identified: ClassVar[str] = "exposure apart from preference where context goes with content"
    citation: ClassVar[str] = "Zhou, Yao, Li, Gong, NeurIPS 2025"
    reward_heads: ClassVar[tuple[str, ...]] = ("exposure",)

    def __post_init__(self) -> None:
        """Refuse shares that overlap."""
        super().__post_init__()
        if not (self.exposed > 0 and self.unexposed > 0 and self.exposed + self.unexposed <= 1):
            raise ConfigError(
                f"strata: shares exposed={self.exposed} and unexposed={self.unexposed} must be positive and sum to 1 "
                "or less"
            )

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One head that sees context, its bias at the observed rate; a constant where `e` is supplied."""
        return (
            Head(
                "exposure",
                "none" if "e" in obs.columns else "context",
                (logit(mean_rate(*obs.any_positive())),),
            ),
        )

    def reward(self, logits: Logits) -> Tensor:
        """The exposure's logit."""
        return logits["exposure"]

    def counts(self, obs: Observations) -> Tensor:
        """Rows on which a deciding signal was visible."""
        return obs.any_positive()[1]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(g, y) [..., B]."""
        return bce(logits["exposure"], obs.any_positive()[0])

    def nuisances(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """`stratum` [B]; shares are taken among the silent rows that may be used, equal exposures in random order.

        In each `fold` (column) by itself: members of a cross-fitting put the same context at slightly different levels,
        and the edge of a stratum, which usually runs through one context, would otherwise fall between folds.
        """
        y_B, known_B = obs.any_positive()
        supplied = "e" in obs.columns
        exposure_B = (obs.columns["e"] if supplied else logits["exposure"]).expand(obs.n_rows)
        fold_B = torch.zeros(()) if supplied else obs.columns.get("fold", torch.zeros(()))
        fold_B = fold_B.expand(obs.n_rows)
        mine_B = known_B if obs.weight_B is None else known_B & (obs.weight_B > 0)
        stratum_B = torch.where(y_B > 0, DP, UN)
        stratum_B[~known_B] = UNSEEN
        generator = torch.Generator().manual_seed(0)
        for fold in fold_B.unique():
            silent = torch.nonzero(mine_B & (y_B <= 0) & (fold_B == fold))[:, 0]
            # Context takes few values: in the order of the log, ties would make strata of early and late rows.
            silent = silent[torch.randperm(len(silent), generator=generator)]
            silent = silent[torch.argsort(exposure_B[silent], stable=True)]
            stratum_B[silent[: round(self.unexposed * len(silent))]] = HU
            stratum_B[silent[len(silent) - round(self.exposed * len(silent)) :]] = HE
        return {"stratum": stratum_B}
