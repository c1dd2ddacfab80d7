"""`ips_bt`: preferences between answers that were rated by choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.method import Head, Level, Logits, Method, Setting, Stage
from tacit.methods.observations import Observations
from tacit.methods.pair_losses import centring, pair_loss
from tacit.methods.pairs import Pairs, in_contrast, pairs_within, refuse_unpaired, require_groups
from tacit.methods.parameters import refuse_negative, refuse_selection_clip
from tacit.methods.stages.selection import Selection


@dataclass(frozen=True)
class IPSBT(Method):
    """Bradley–Terry when some answers are rated more often than others: rare pairs weigh more.

    | Inputs | Labels |
    |---|---|
    | f: text; p: text and context | an explicit label, missing where none was given; several answers per prompt |

    Loss: Σ w·[softplus(−(f_w − f_l)) + centring·(f_w + f_l)²] / Σ w over pairs of labelled answers to one prompt,
    w = 1/(p_w·p_l) with p(x, z) = P(labelled) out of fold and clipped. A row's pairs are divided by how many rows the
    prompt shows, labelled or not: dividing by the labelled ones would undo part of the weight.

    Right when labels are given at random given text and context. Relations: with p = 1 it is `bradley_terry`;
    `causal_ips` is the pointwise counterpart.

    Args:
        clip: propensities below it count as this.
        centring: weight of the second term.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 1.0, 0.0]), groups=torch.tensor([5, 5, 6, 6]))
        >>> obs = obs.with_columns(p=torch.tensor([0.5, 0.5, 1.0, 1.0]))  # the first pair stands for four
        >>> heads = {"reward": torch.tensor([0.0, 0.0, 1.0, 0.0])}
        >>> IPSBT(centring=0.0).loss(heads, obs).mean()  # (4·log 2 + softplus(−1))/5 = (2.7726 + 0.3133)/5
        tensor(0.6172)
    """

    clip: float = 0.1
    centring: float = 0.01

    key: ClassVar[str] = "ips_bt"
    setting: ClassVar[Setting] = "pairwise"
    needs: ClassVar[tuple[str, ...]] = ("label", "several answers per prompt")
    level: ClassVar[Level] = "logit_shift"
    by_group: ClassVar[bool] = True
    assumes: ClassVar[str] = (
        "clean labels, given at random given text and context and of each answer on its own"
    )
    not_identified: ClassVar[str] = (
        "an additive constant, and one per prompt; selection by the preference itself"
    )
    citation: ClassVar[str] = (
        "Bradley & Terry, Biometrika 1952; weights: Rosenbaum & Rubin, Biometrika 1983; "
        "Swaminathan & Joachims, NeurIPS 2015"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_selection_clip(self.key, self.clip)
        refuse_negative(self.key, centring=self.centring)

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from 0."""
        return (Head("reward", "reward", (0.0,)),)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The selection propensity."""
        return (Stage(Selection(clip=self.clip), ("p",)),)

    def check(self, obs: Observations) -> None:
        """Some prompt has labels of both kinds."""
        refuse_unpaired(self.key, *obs.explicit(), obs)

    def counts(self, obs: Observations) -> Tensor:
        """Labelled rows of prompts that have labels of both kinds."""
        return in_contrast(require_groups(self.key, obs), *obs.explicit())

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """The weighted pair loss on the row of label 1 [..., B]."""
        pairs, weight_P = self._weighted(obs)
        w_P, l_P = pairs.first(logits["reward"]), pairs.second(logits["reward"])
        return pairs.averaged(pair_loss(w_P, l_P) + self.centring * centring(w_P, l_P), weight_P, obs)

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """The loss without the centring term [..., B]."""
        pairs, weight_P = self._weighted(obs)
        f_B = logits["reward"]
        return pairs.averaged(pair_loss(pairs.first(f_B), pairs.second(f_B)), weight_P, obs)

    def _weighted(self, obs: Observations) -> tuple[Pairs, Tensor]:
        """All pairs of the batch, and 1/(p_w·p_l) where both are labelled and the first one won [..., P]."""
        r_B, o_B = obs.explicit()
        labelled = pairs_within(self.key, obs, o_B)
        inverse_B, _ = torch.broadcast_tensors(1 / obs.column("p").clamp(min=self.clip), r_B)
        won_P = labelled.first(r_B) * (1 - labelled.second(r_B)) * labelled.usable_P
        every = Pairs(
            labelled.i_P, labelled.j_P, labelled.rows, torch.ones_like(labelled.i_P, dtype=torch.bool)
        )
        return every, won_P * labelled.first(inverse_B) * labelled.second(inverse_B)
