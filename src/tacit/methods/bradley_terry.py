"""`bradley_terry`: explicit labels of one prompt's answers, read as preferences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.method import Head, Level, Logits, Method, Setting
from tacit.methods.observations import Observations
from tacit.methods.pair_losses import centring, pair_loss
from tacit.methods.pairs import in_contrast, pairs_within, refuse_unpaired, require_groups
from tacit.methods.parameters import refuse_negative


@dataclass(frozen=True)
class BradleyTerry(Method):
    """An answer that was rated good should score above one to the same prompt that was rated bad.

    | Inputs | Labels |
    |---|---|
    | f: text | an explicit label 0/1 per answer; several answers per prompt (chosen 1, rejected 0) |

    Loss: the mean over pairs w (label 1), l (label 0) of one prompt of
        softplus(−(f_w − f_l)) + centring·(f_w + f_l)².
    The second term only keeps the level near 0. The mean weighs prompts by their rows: each row shares its weight among
    its labelled partners, of which it meets at most 10 in each epoch, others every time.

    Right when σ(f_w − f_l) is how often w wins and labels are given at random. Relations: `robust_bt` undoes
    preferences that are turned round, `ips_bt` labels given by choice; `bpr` is the same for clicks.

    Args:
        centring: weight of the second term.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]), groups=torch.tensor([5, 5]))
        >>> BradleyTerry().loss({"reward": torch.zeros(2)}, obs).mean()  # log 2 per pair
        tensor(0.6931)
    """

    centring: float = 0.01

    key: ClassVar[str] = "bradley_terry"
    setting: ClassVar[Setting] = "pairwise"
    needs: ClassVar[tuple[str, ...]] = ("label", "several answers per prompt")
    level: ClassVar[Level] = "logit_shift"
    by_group: ClassVar[bool] = True
    assumes: ClassVar[str] = "clean labels, given at random; the odds of winning are those of the scores"
    not_identified: ClassVar[str] = "an additive constant, and one per prompt"
    citation: ClassVar[str] = (
        "Bradley & Terry, Biometrika 1952; Ouyang et al., NeurIPS 2022, arXiv 2203.02155"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, centring=self.centring)

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from 0."""
        return (Head("reward", "reward", (0.0,)),)

    def check(self, obs: Observations) -> None:
        """Some prompt has labels of both kinds."""
        refuse_unpaired(self.key, *obs.explicit(), obs)

    def counts(self, obs: Observations) -> Tensor:
        """Labelled rows of prompts that have labels of both kinds."""
        return in_contrast(require_groups(self.key, obs), *obs.explicit())

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """The pair loss on the row of label 1, mean over its partners [..., B]."""
        f_B, (r_B, o_B) = logits["reward"], obs.explicit()
        pairs = pairs_within(self.key, obs, o_B)
        w_P, l_P = pairs.first(f_B), pairs.second(f_B)
        value_P = pair_loss(w_P, l_P) + self.centring * centring(w_P, l_P)
        return pairs.averaged(value_P, pairs.first(r_B) * (1 - pairs.second(r_B)), obs)

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """The loss without the centring term, which would judge a scale that it does not know [..., B]."""
        f_B, (r_B, o_B) = logits["reward"], obs.explicit()
        pairs = pairs_within(self.key, obs, o_B)
        value_P = pair_loss(pairs.first(f_B), pairs.second(f_B))
        return pairs.averaged(value_P, pairs.first(r_B) * (1 - pairs.second(r_B)), obs)
