"""`mrdr`: doubly robust joint learning whose imputation minimises the variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.dr_jl import DRJL
from tacit.methods.labels import observed
from tacit.methods.observations import Observations


@dataclass(frozen=True)
class MRDR(DRJL):
    """As `dr_jl`, but the guess is fitted best where a wrong guess costs most variance.

    | Inputs | Labels |
    |---|---|
    | f and b: text; p: text and context | an explicit label 0/1, missing where none was given |

    Loss: that of `dr_jl`, with o(1 − p̂)/p̂² in place of o/p̂ for the imputation: over o, Var[(o/p)(l − l̂)] is
    ((1 − p)/p)(l − l̂)², which the new weight estimates without bias.

    Args:
        clip: propensities below it count as this; higher than elsewhere, since it is squared.
    """

    clip: float = 0.1

    key: ClassVar[str] = "mrdr"
    citation: ClassVar[str] = (
        "Guo, Zou, Liu, Ye et al., Enhanced doubly robust learning for debiasing post-click conversion rate "
        "estimation, SIGIR 2021, arXiv 2105.13623"
    )

    def imputation_weights(self, obs: Observations) -> Tensor:
        """o(1 − p)/p² [..., B]; 0 where a label is certain."""
        p_B = obs.column("p").clamp(min=self.clip)
        return observed(obs) * (1 - p_B) / p_B.square()
