"""`oracle`: trained on trusted labels themselves. The ceiling of the features, never a competitor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import DegenerateDataError
from tacit.methods.method import Head, Level, Logits, Method, Setting, mean_rate
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce, logit


@dataclass(frozen=True)
class Oracle(Method):
    """Binary cross-entropy on the gold label of every row that has one; signals are not read.

    | Inputs | Labels |
    |---|---|
    | text | gold in [0, 1]; a fraction is read as the share of reviewers who approve |

    Loss: softplus(f) − gold·f.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([0.0, 1.0]), gold=torch.tensor([1.0, 0.5]))
        >>> heads = {"reward": torch.tensor([3.0, 3.0]).log()}  # σ(f) = ¾
        >>> Oracle().loss(heads, obs)  # −log ¾, whatever the signal; log 4 − ½·log 3
        tensor([0.2877, 0.8370])
    """

    key: ClassVar[str] = "oracle"
    setting: ClassVar[Setting] = "any"
    needs: ClassVar[tuple[str, ...]] = ("gold",)
    level: ClassVar[Level] = "prob"
    assumes: ClassVar[str] = "gold labels are the truth"
    not_identified: ClassVar[str] = "nothing; a ceiling for reference, it reads what others must not"
    citation: ClassVar[str] = "reference"
    reads_gold: ClassVar[bool] = True
    uses_gold: ClassVar[bool] = True

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head."""
        return (Head("reward", "reward", (logit(mean_rate(*_gold(obs))),)),)

    def counts(self, obs: Observations) -> Tensor:
        """Rows that have a gold label."""
        return _gold(obs)[1]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, gold) [..., B]."""
        return bce(logits["reward"], _gold(obs)[0])

    def check(self, obs: Observations) -> None:
        """Gold labels must exist and must not all be the same."""
        gold_B, known_B = _gold(obs)
        values = gold_B[known_B]
        if values.numel() == 0 or bool((values == values[0]).all()):
            raise DegenerateDataError(
                "oracle: gold labels are all missing or all the same; name a gold column"
            )


def _gold(obs: Observations) -> tuple[Tensor, Tensor]:
    if obs.gold_B is None or obs.gold_known_B is None:
        raise DegenerateDataError("oracle: the log has no gold column; pass gold=COLUMN (--gold COLUMN)")
    return obs.gold_B, obs.gold_known_B.to(torch.bool)
