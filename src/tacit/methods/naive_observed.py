"""`naive_observed`: plain cross-entropy on the rows that have a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.explicit import Explicit
from tacit.methods.labels import observed
from tacit.methods.method import Claim, Logits
from tacit.methods.observations import Observations
from tacit.methods.primitives import bce


@dataclass(frozen=True)
class NaiveObserved(Explicit):
    """Take the labels that were given at their word and forget the rows that have none.

    | Inputs | Labels |
    |---|---|
    | text | an explicit label 0/1, missing where none was given |

    Loss: o·bce(f, r). Right where labels are clean and given at random given the text, and the head can represent
    r(x); a head that cannot is fitted to the people who answer. Held-out rows are judged by the same loss.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
        >>> heads = {"reward": torch.tensor([3.0, 3.0, 3.0]).log()}  # σ(f) = ¾
        >>> NaiveObserved().loss(heads, obs)  # −log ¾ and −log ¼; without a label, nothing
        tensor([0.2877, 1.3863, 0.0000])
    """

    key: ClassVar[str] = "naive_observed"
    claims: ClassVar[Claim] = "consistent"
    assumes: ClassVar[str] = (
        "clean labels, given at random given the text; a head that can represent the reward"
    )
    not_identified: ClassVar[str] = "noise in labels; who would have said what where nobody was asked"
    citation: ClassVar[str] = "the usual reading of labels"

    def counts(self, obs: Observations) -> Tensor:
        """Labelled rows."""
        return obs.explicit()[1]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """o·bce(f, r) [..., B]."""
        return observed(obs) * bce(logits["reward"], obs.explicit()[0])
