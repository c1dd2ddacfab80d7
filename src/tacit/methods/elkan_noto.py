"""`elkan_noto`: a classifier of the signal, corrected by how often liking shows (Elkan & Noto 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tacit.methods.latent import implicit_nll
from tacit.methods.method import Claim, Level, Logits, Stage
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_prior
from tacit.methods.positive_unlabelled import (
    PositiveUnlabelled,
    check_known_prior,
    refuse_prior_and_frequency,
)
from tacit.methods.primitives import bce
from tacit.methods.stages.prior import Prior, PriorRule

_ALMOST_ONE = 1 - 1e-6


@dataclass(frozen=True)
class ElkanNoto(PositiveUnlabelled):
    """If a like shows with the same chance c everywhere, P(signal) is c times P(liked): estimate c, and divide.

    | Inputs | Labels |
    |---|---|
    | text; s = P(y=1|x) out of fold and c = P(y=1|r*=1), both estimated first | any positive signal fired |

    Loss (`mode="weight"`): bce(f, y + (1−y)·w), w = ((1−c)/c)·s/(1−s), cut at 1: the chance that a silent row is liked.
    Loss (`mode="scale"`): −log P(y) with P(y=1|x) = c·σ(f), which keeps r ≤ 1 where s/c would not.
    Held-out rows are judged by the latter in both modes: it reads the signal alone and is proper. A linear score s
    cannot bend to stay below c, and w inherits its errors: on small logs "scale", which needs c alone, ranks better.

    Relation: `recrec_i` without context estimates c by the same likelihood instead. Elkan & Noto's own estimates of c
    are right only if every response is surely liked or surely not, or (their maximum) if some response is surely
    liked and s is not over-confident; hence the prior's rule "bbe" by default.

    Args:
        mode: "weight" or "scale".
        prior: P(r*=1) if known, above the share of rows with a signal; None: estimated.
        rule: by which an unknown prior is estimated; see `tacit.methods.stages.prior`.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]))
        >>> obs = obs.with_columns(frequency=torch.tensor([0.5]), clicked=torch.tensor([0.25, 0.25]))
        >>> heads = {"reward": torch.tensor([3.0, 3.0]).log()}  # σ(f) = ¾
        >>> ElkanNoto().loss(heads, obs)  # −log ¾; w = 1·¼/¾ = ⅓: log 4 − ⅓·log 3
        tensor([0.2877, 1.0201])
        >>> ElkanNoto(mode="scale").loss(heads, obs)  # P(y=1) = ½·¾: −log ⅜ and −log ⅝
        tensor([0.9808, 0.4700])
    """

    mode: Literal["weight", "scale"] = "weight"
    prior: float | None = None
    rule: PriorRule = "bbe"

    key: ClassVar[str] = "elkan_noto"
    level: ClassVar[Level] = "prob"
    claims: ClassVar[Claim] = "consistent"
    assumes: ClassVar[str] = "activity the same on all liked responses; its rate c is right"
    not_identified: ClassVar[str] = "c, unless some responses are liked by everybody"
    citation: ClassVar[str] = (
        "Elkan, Noto, Learning classifiers from only positive and unlabeled data, KDD 2008, doi 10.1145/1401890.1401920"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_prior(self.key, self.prior)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The signal's own classifier, and c."""
        makes = ("clicked", "frequency") if self.mode == "weight" else ("frequency",)
        return (Stage(Prior(self.rule, self.prior), makes),)

    def check(self, obs: Observations) -> None:
        """Positives and silence, and a prior that can be.

        Raises:
            DegenerateDataError: no positive, or nothing but positives.
            ConfigError: prior and frequency are both given.
            IdentificationError: a known prior is not above the share of rows with a signal.
        """
        super().check(obs)
        check_known_prior(self.prior, obs)
        refuse_prior_and_frequency(self.key, self.prior, obs)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, P(r*=1 | y, x)), or −log P(y) [..., B]."""
        if self.mode == "scale":
            return self.criterion(logits, obs)
        y_B = obs.any_positive()[0]
        return bce(logits["reward"], y_B + (1 - y_B) * liked_though_silent(obs))

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y), P(y=1) = c·σ(f) [..., B]."""
        c = obs.column("frequency").clamp(max=_ALMOST_ONE)
        return implicit_nll(logits["reward"], torch.logit(c), obs.any_positive()[0])


def liked_though_silent(obs: Observations) -> Tensor:
    """P(r*=1 | y=0, x) = ((1−c)/c)·s/(1−s), cut at 1 where s > c [..., B].

    Example:
        >>> from tacit.methods.observations import observations
        >>> known = {"frequency": torch.tensor([0.5]), "clicked": torch.tensor([0.25, 0.5])}  # r = .5 and 1
        >>> liked_though_silent(observations(torch.zeros(2), columns=known))
        tensor([0.3333, 1.0000])
    """
    c, s_B = obs.column("frequency"), obs.column("clicked").clamp(max=_ALMOST_ONE)
    return ((1 - c) / c * s_B / (1 - s_B)).clamp(max=1.0)
