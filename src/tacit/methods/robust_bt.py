"""`robust_bt`: preferences of which a known share is turned round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.method import Claim, Head, Level, Logits, Method, Setting
from tacit.methods.observations import Observations
from tacit.methods.pair_losses import centring, flipped_nll, pair_loss, robust_target
from tacit.methods.pairs import in_contrast, pairs_within, refuse_unpaired, require_groups
from tacit.methods.parameters import refuse_negative


@dataclass(frozen=True)
class RobustBT(Method):
    """Bradley–Terry when a known share of preferences points the wrong way.

    | Inputs | Labels |
    |---|---|
    | f: text | an explicit label 0/1 per answer; several answers per prompt (chosen 1, rejected 0) |

    Loss of a pair: bce(f_w − f_l, (1−ε)/(1−2ε)), whose expectation over flips is the loss of the true preference; with
    `conservative`, bce(f_w − f_l, 1−ε), which is label smoothing and shrinks differences. The former is unbounded below
    (it pays for ever larger differences), so held-out pairs are judged by the likelihood of a preference that may have
    been turned round, −log[(1−ε)σ(d) + εσ(−d)]. ε is the share of *pairs* that are flipped, each on its own. The mean
    over pairs weighs prompts by their rows, as in `bradley_terry`.

    Relations: ε = 0 is `bradley_terry`.

    Args:
        flip_rate: ε in [0, ½).
        conservative: smooth instead of undoing.
        centring: weight of (f_w + f_l)².

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]), groups=torch.tensor([5, 5]))
        >>> heads = {"reward": torch.tensor([1.0, 0.0])}
        >>> RobustBT(centring=0.0).loss(heads, obs).mean()  # target 0.9/0.8: softplus(1) − 1.125
        tensor(0.1883)
        >>> RobustBT(centring=0.0, conservative=True).loss(heads, obs).mean()  # softplus(1) − 0.9
        tensor(0.4133)
    """

    flip_rate: float = 0.1
    conservative: bool = False
    centring: float = 0.01

    key: ClassVar[str] = "robust_bt"
    setting: ClassVar[Setting] = "pairwise"
    needs: ClassVar[tuple[str, ...]] = ("label", "several answers per prompt")
    level: ClassVar[Level] = "logit_shift"
    claims: ClassVar[Claim] = "none"
    by_group: ClassVar[bool] = True
    assumes: ClassVar[str] = "pairs are turned round at a known rate, each on its own, whatever the answers"
    not_identified: ClassVar[str] = "an additive constant, and one per prompt; the flip rate"
    citation: ClassVar[str] = "Chowdhury, Kini, Natarajan, ICML 2024, arXiv 2403.00409; Mitchell 2023"

    def __post_init__(self) -> None:
        """Refuse a flip rate that says nothing, and a negative weight."""
        super().__post_init__()
        robust_target(self.flip_rate)
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
        """The corrected pair loss on the row of label 1, mean over its partners [..., B]."""
        target = robust_target(self.flip_rate, self.conservative)
        return self._mean(
            lambda w_P, l_P: pair_loss(w_P, l_P, target) + self.centring * centring(w_P, l_P), logits, obs
        )

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(observed preference) [..., B], bounded below."""
        return self._mean(lambda w_P, l_P: flipped_nll(w_P, l_P, self.flip_rate), logits, obs)

    def _mean(self, value: Callable[[Tensor, Tensor], Tensor], logits: Logits, obs: Observations) -> Tensor:
        f_B, (r_B, o_B) = logits["reward"], obs.explicit()
        pairs = pairs_within(self.key, obs, o_B)
        value_P = value(pairs.first(f_B), pairs.second(f_B))
        return pairs.averaged(value_P, pairs.first(r_B) * (1 - pairs.second(r_B)), obs)
