"""`upu`: the unbiased risk of positive-unlabelled learning, for a known or estimated class prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tacit.methods.method import Claim, Head, Level, Logits, Stage
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_prior
from tacit.methods.positive_unlabelled import (
    PositiveUnlabelled,
    check_known_prior,
    partial_risks,
    positives,
    prior_nll,
    refuse_prior_and_frequency,
    starting_logit,
)
from tacit.methods.stages.prior import Prior, PriorRule


@dataclass(frozen=True)
class UPU(PositiveUnlabelled):
    """Silence is the whole population; what the liked rows add to it is taken off again, given how many there are.

    | Inputs | Labels |
    |---|---|
    | text; π, the share of liked responses, known or estimated first | any positive signal fired |

    Loss: −π·mean_P[f] + mean_A[softplus(f)], mean_A over all rows, those with a signal included. It equals the logistic
    risk on r* if activity is the same on all liked rows, so that its minimiser is r itself. It has no lower bound
    (f → ∞ on the positives): networks should use `nnpu`. Held-out rows are judged by −log P(y) with P(y=1) = c·σ(f),
    c = P(y=1)/π, which is bounded and has the same minimiser.

    Published code for logs averages softplus(f) over the rows without a signal and keeps the population's π, which is
    the case-control form on a single sample: biased, and it read π off clean labels.

    Args:
        prior: π if known, above the share of rows with a signal; None: estimated. Try it two standard errors away, too.
        rule: by which an unknown prior is estimated; see `tacit.methods.stages.prior`.

    Example:
        >>> import torch
        >>> from tacit.methods.observations import observations
        >>> obs = observations(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        >>> UPU(prior=0.5).loss({"reward": torch.ones(4)}, obs)  # softplus(1) everywhere, − ½·4·1 on the positive
        tensor([-0.6867,  1.3133,  1.3133,  1.3133])
    """

    prior: float | None = None
    rule: PriorRule = "bbe"

    key: ClassVar[str] = "upu"
    level: ClassVar[Level] = "prob"
    claims: ClassVar[Claim] = "clean_risk"
    assumes: ClassVar[str] = "activity the same on all liked responses; the prior is right"
    not_identified: ClassVar[str] = "the prior, unless some responses are liked by everybody"
    citation: ClassVar[str] = (
        "du Plessis, Niu, Sugiyama, Analysis of learning from positive and unlabeled data, NeurIPS 2014; Convex "
        "formulation for learning from positive and unlabeled data, ICML 2015"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_prior(self.key, self.prior)

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """One reward head, from the prior once it is known."""
        return (Head("reward", "reward", (starting_logit(self.prior, obs),)),)

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        """The prior, unless it is given."""
        return () if self.prior is not None else (Stage(Prior(self.rule), ("prior",)),)

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

    def judges(self, obs: Observations) -> Tensor:
        """Rows with a signal: where there is none, the criterion is a constant."""
        return positives(obs)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """softplus(f) − π·f·y/mean(y) [..., B]; 0 in a batch without a positive."""
        liked_B, disliked_B = partial_risks(logits["reward"], self._prior(obs), obs)
        return liked_B + disliked_B

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y), P(y=1) = c·σ(f), c = P(y=1)/π [..., B]."""
        return prior_nll(logits["reward"], self._prior(obs), obs)

    def _prior(self, obs: Observations) -> Tensor | float:
        return obs.column("prior") if self.prior is None else self.prior
