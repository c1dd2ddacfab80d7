"""`counter_if`: Counterfactual implicit feedback: clicks, and silence sorted by how exposed it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods.method import Head, Level, Logits, Method, Stage, refuse_complaints
from tacit.methods.observations import Observations
from tacit.methods.pair_losses import pair_loss
from tacit.methods.pairs import in_company, pairs_within, refuse_unpaired, require_groups
from tacit.methods.parameters import refuse_weightless
from tacit.methods.stages.strata import DP, HE, HU, UN, Strata

_ORDER = ((DP, HE), (UN, HE), (HU, UN))
"""Better and worse stratum: what was seen and left alone is worst; what was hardly seen is better than doubtful."""


@dataclass(frozen=True)
class CounterIF(Method):
    """Silence where users usually act is a dislike; silence where they hardly ever act is not; rank accordingly.

    | Inputs | Labels |
    |---|---|
    | f: text; strata: context | any positive signal fired; several answers per prompt |

    Strata (stage): DP clicked; of the silent rows HE the most exposed share, HU the least exposed, UN the rest.
    Loss: point·L1 + pair·L2,
        L1 = mean over DP of softplus(−f) + mean over HE of softplus(f)
        L2 = mean softplus(−(f_DP − f_HE)) + mean softplus(−(f_UN − f_HE)) + mean softplus(−(f_HU − f_UN)),
    pairs within a prompt, each mean weighing prompts by their rows as in `bradley_terry`; the printed pair loss lacks
    its minus sign. Held-out rows are judged by L2.

    Two deviations. Exposure is estimated from context, not from the distance to the clicked rows in feature space: on
    features that drive preference that distance puts the liked rows into HE, and L2 ranks the wrong way (see `Strata`).
    The published third term, a Wasserstein distance between strata of the last hidden layer, is left out: losses here
    see logits, and the default head is linear. No theorem says that the estimate is consistent.

    Args:
        exposed: share of silent rows taken as HE.
        unexposed: share taken as HU.
        point: weight of L1.
        pair: weight of L2.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0, 0.0]), groups=torch.tensor([5, 5, 5, 5]))
        >>> obs = obs.with_columns(stratum=torch.tensor([0.0, 1.0, 2.0, 3.0]))  # one each of DP, HE, UN, HU
        >>> CounterIF().loss({"reward": torch.zeros(4)}, obs).mean()  # two points and three pairs: 5·log 2
        tensor(3.4657)
        >>> heads = {"reward": torch.tensor([0.0, 50.0, 50.0, 50.0])}  # a click below what was left alone
        >>> CounterIF(point=0.0).loss(heads, obs).mean()  # 50 + 2·log 2
        tensor(51.3863)
    """

    exposed: float = 0.2
    unexposed: float = 0.1
    point: float = 1.0
    pair: float = 1.0

    key: ClassVar[str] = "counter_if"
    needs: ClassVar[tuple[str, ...]] = ("signal", "context", "several answers per prompt")
    level: ClassVar[Level] = "logit_shift"
    by_group: ClassVar[bool] = True
    assumes: ClassVar[str] = (
        "context moves exposure and not preference, and differs between answers of a prompt"
    )
    not_identified: ClassVar[str] = "an additive constant; no consistency theorem"
    citation: ClassVar[str] = "Zhou, Yao, Li, Gong, Counterfactual implicit feedback modeling, NeurIPS 2025"

    def __post_init__(self) -> None:
        """Refuse shares that overlap, and weights below 0 or of nothing."""
        super().__post_init__()
        Strata(self.exposed, self.unexposed)
        refuse_weightless(self.key, point=self.point, pair=self.pair)

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from 0."""
        return (Head("reward", "reward", (0.0,)),)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The strata."""
        return (Stage(Strata(self.exposed, self.unexposed), ("stratum",)),)

    def check(self, obs: Observations) -> None:
        """A positive signal; some prompt has a clicked and a silent answer."""
        refuse_complaints(self.key, obs)
        refuse_unpaired(self.key, *obs.any_positive(), obs)

    def counts(self, obs: Observations) -> Tensor:
        """Visible rows of prompts with another visible row."""
        return in_company(require_groups(self.key, obs), obs.any_positive()[1])

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """point·L1 + pair·L2 as row terms [..., B]; an empty stratum contributes 0."""
        f_B, stratum_B = logits["reward"], obs.column("stratum")
        point_B = _per_mean(stratum_B == DP, softplus(-f_B), obs) + _per_mean(
            stratum_B == HE, softplus(f_B), obs
        )
        return self.point * point_B + self.pair * self._pair_term(f_B, obs)

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """L2 as row terms [..., B]."""
        return self._pair_term(logits["reward"], obs)

    def _pair_term(self, f_B: Tensor, obs: Observations) -> Tensor:
        stratum_B = obs.column("stratum")
        pairs = pairs_within(self.key, obs, obs.any_positive()[1])
        value_P = pair_loss(pairs.first(f_B), pairs.second(f_B))
        first_P, second_P = pairs.first(stratum_B), pairs.second(stratum_B)
        terms = [
            pairs.averaged(value_P, ((first_P == better) & (second_P == worse)).to(f_B.dtype), obs)
            for better, worse in _ORDER
        ]
        return torch.stack(torch.broadcast_tensors(*terms)).sum(0)


def _per_mean(stratum_B: Tensor, value_B: Tensor, obs: Observations) -> Tensor:
    """Row terms [..., B] whose mean over the rows that count is the mean of the values of a stratum; 0 without any."""
    member_B = stratum_B.to(value_B.dtype)
    share = obs.mean(member_B)
    return member_B * value_B / torch.where(share > 0, share, torch.ones_like(share))
