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

    Example:
        >>> import torch
        >>> from tacit.methods import DRJL, observations
        >>> obs = observations(torch.tensor([1.0, 1.0])).with_columns(p=torch.tensor([0.25, 1.0]))
        >>> MRDR().imputation_weights(obs), DRJL().imputation_weights(obs)  # ¾/¼² and 0/1²; 1/¼ and 1/1
        (tensor([12.,  0.]), tensor([4., 1.]))
        >>> heads = {"reward": torch.ones(2), "imputation": torch.tensor([1 / 3, 1 / 3]).log()}  # m = ¼
        >>> MRDR().loss(heads, obs)  # 12·(1 − ¼)² + 1.3133 − (¼ + 4·¾), and 0 + 1.3133 − (¼ + 1·¾)
        tensor([4.8133, 0.3133])
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
