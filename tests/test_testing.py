"""The conformance suite passes every estimator of the house, and each broken one fails in its own check."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, get_type_hints

import pytest
import torch
from torch import Tensor

from tacit import testing
from tacit.errors import DegenerateDataError
from tacit.methods import (
    SARIPW,
    UBPR,
    Constant,
    Head,
    ImplicitRM,
    Method,
    Naive,
    Observations,
    RelMF,
    available,
)
from tacit.methods.causal_ips import CausalIPS
from tacit.methods.method import Claim, Logits, Stage, _choices
from tacit.methods.primitives import bce
from tacit.testing import ConformanceError, check_expectation, check_method


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("key", sorted(available()))
def test_every_estimator_of_the_house_conforms(key: str) -> None:
    check_method(available()[key])


def _forms() -> Iterator[Method]:
    """Every estimator with one parameter, of those that enumerate their values, at another one than its default."""
    for cls in available().values():
        hints = get_type_hints(cls)
        for parameter in fields(cls):
            for value in _choices(hints[parameter.name]):
                if value != parameter.default and (parameter.name, value) not in UNKNOWN_TRUTH:
                    yield cls(**{parameter.name: value})


UNKNOWN_TRUTH = {("misclicks", "const"), ("gate", True)}
"""Forms of the latent likelihood whose truth has rates that a world of one signal without misclicks does not."""

# A parameter changes the law: the suite must follow it there.
FORMS: list[Method] = [
    *_forms(),
    CausalIPS(rho01=0.2, rho10=0.05),
    CausalIPS(rho01=0.0, rho10=0.0, self_normalised=True),
]


@pytest.mark.parametrize("method", FORMS, ids=repr)
def test_other_forms_conform_too(method: Method) -> None:
    check_method(method, quick=True)


@dataclass(frozen=True)
class Unsigned(CausalIPS):
    """The correction of the label with its sign turned round."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        r_B, o_B = obs.explicit()
        rho01, rho10 = obs.column("rho01"), obs.column("rho10")
        return o_B / obs.column("p") * bce(logits["reward"], (r_B + rho10) / (1 - rho01 - rho10))


@dataclass(frozen=True)
class Swapped(CausalIPS):
    """The two noise rates under each other's name, as in the published code."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        exchanged = obs.with_columns(rho01=obs.column("rho10"), rho10=obs.column("rho01"))
        return super().loss(logits, exchanged)


@dataclass(frozen=True)
class Unweighted(CausalIPS):
    """Labels corrected, selection forgotten."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs) * obs.column("p")


@dataclass(frozen=True)
class SquaredClaim(CausalIPS):
    """The logistic loss under the claim of the squared one."""

    claims: ClassVar[Claim] = "clean_squared"


@dataclass(frozen=True)
class Dishonest(Naive):
    """Naive, which claims to see through silence."""

    claims: ClassVar[Claim] = "clean_risk"


@dataclass(frozen=True)
class NearlyConsistent(ImplicitRM):
    """Silence weighs a little too much."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs) * (1 + 1e-6 * (1 - obs.signals_BK[..., 0]))


@dataclass(frozen=True)
class Stuck(ImplicitRM):
    """A loss without a gradient: every point is stationary."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return (logits["reward"] + logits["propensity"]) * 0


@dataclass(frozen=True)
class Reversed(Naive):
    """Clicks push the reward down."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return bce(-logits["reward"], obs.any_positive()[0])


@dataclass(frozen=True)
class Unpolarised(Naive):
    """Any signal is a like, a thumb down too."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return bce(logits["reward"], obs.signals_BK.amax(-1))


@dataclass(frozen=True)
class OneSignal(Naive):
    """Accepts several signals, and can take one."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return bce(logits["reward"], obs.signals_BK.squeeze(-1))


@dataclass(frozen=True)
class TwoPolarities(Naive):
    """Finite for one signal; the logarithm of a rounded probability where a thumb down fires."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        down_B = ((obs.signals_BK > 0) & (obs.polarity_K < 0)).any(-1)
        f_B = torch.where(down_B, logits["reward"], 0.0)
        return super().loss(logits, obs) - (1 - torch.sigmoid(f_B)).log()


def _unseen_is_silent(obs: Observations) -> Observations:
    return replace(obs, visible_BK=torch.ones_like(obs.visible_BK))  # signals are 0 there


@dataclass(frozen=True)
class Blindfold(SARIPW):
    """Takes a signal that could not have been recorded for silence, weighted by inverse propensities."""

    def counts(self, obs: Observations) -> Tensor:
        return super().counts(_unseen_is_silent(obs))


@dataclass(frozen=True)
class BlindfoldSquares(RelMF):
    """The same in squares."""

    def counts(self, obs: Observations) -> Tensor:
        return super().counts(_unseen_is_silent(obs))


@dataclass(frozen=True)
class BlindfoldLikelihood(ImplicitRM):
    """The same by likelihood."""

    def counts(self, obs: Observations) -> Tensor:
        return super().counts(_unseen_is_silent(obs))

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, _unseen_is_silent(obs))


@dataclass(frozen=True)
class BlindfoldPairs(UBPR):
    """The same in pairs."""

    def counts(self, obs: Observations) -> Tensor:
        return super().counts(_unseen_is_silent(obs))

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, _unseen_is_silent(obs))


@dataclass(frozen=True)
class Wide(SARIPW):
    """Takes the mean over all rows, of which those without a visible signal say nothing."""

    def counts(self, obs: Observations) -> Tensor:
        return torch.ones_like(super().counts(obs))

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs) * super().counts(obs)


@dataclass(frozen=True)
class Leaky(Naive):
    """Reads the trusted label, known or not."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        if obs.gold_B is None:
            return super().loss(logits, obs)
        return bce(logits["reward"], obs.gold_B.expand(logits["reward"].shape))


@dataclass(frozen=True)
class LeakyCounts(Naive):
    """Trains on the rows whose trusted label is 1."""

    def counts(self, obs: Observations) -> Tensor:
        return super().counts(obs) if obs.gold_B is None else obs.gold_B > 0


@dataclass(frozen=True)
class Deaf(Naive):
    """Says that it learns from trusted labels, and does not."""

    uses_gold: ClassVar[bool] = True


@dataclass(frozen=True)
class Secretive(ImplicitRM):
    """Learns from trusted labels, and does not say so."""

    uses_gold: ClassVar[bool] = False


@dataclass(frozen=True)
class SecondHand(Naive):
    """A stage of it learns from trusted labels."""

    def stages(self, obs: Observations) -> tuple[Stage, ...]:
        return (Stage(ImplicitRM(), ("relevance",)),)


@dataclass(frozen=True)
class Unseeded(Naive):
    """Draws from the global generator."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        loss_B = super().loss(logits, obs)
        return loss_B * torch.rand(loss_B.shape[-1])


@dataclass(frozen=True)
class Seedless(Constant):
    """Stays where it started, at .5, whatever the seed."""

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        return (Head("reward", "none", (0.0,)),)

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs) * 0 + logits["reward"] * 0


@dataclass(frozen=True)
class Remembering(Naive):
    """Counts its losses, and lets them matter."""

    calls: ClassVar[list[int]] = []

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        self.calls.append(1)
        return super().loss(logits, obs) * (1 + len(self.calls))


FIRST: list[Observations] = []


@dataclass(frozen=True)
class FirstLog(Naive):
    """Weighs all later logs by the number of clicks in the log before."""

    def check(self, obs: Observations) -> None:
        super().check(obs)
        FIRST[:] = [*FIRST[-1:], obs]

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        rate = sum(seen.signal_rates()[0] for seen in FIRST) if FIRST else 1.0
        return super().loss(logits, obs) * (1 + rate)


@dataclass(frozen=True)
class Rounding(Naive):
    """The logarithm of a rounded probability."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        s_B, y_B = torch.sigmoid(logits["reward"]), obs.any_positive()[0]
        return -(y_B * s_B.log() + (1 - y_B) * (1 - s_B).log())


@dataclass(frozen=True)
class BadSlope(Naive):
    """Finite values, but torch.where passes on the gradient of the branch not taken: 0 times infinity."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        f_B = logits["reward"]
        extra_B = torch.where(f_B > -60, f_B * 0, torch.exp(f_B.square()))
        return super().loss(logits, obs) + extra_B


@dataclass(frozen=True)
class NoPositiveNoNumber(Naive):
    """Divides by the number of positives of the batch."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        y_B = obs.any_positive()[0]
        return super().loss(logits, obs) / y_B.mean(-1, keepdim=True)


@dataclass(frozen=True)
class Neighbours(Naive):
    """A mean over all rows of the batch, those held out by the member among them."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs) + logits["reward"].mean(-1, keepdim=True).square()


@dataclass(frozen=True)
class NeighbouringLabels(Naive):
    """Balances by the share of clicks in the whole batch."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs) / (1 + obs.any_positive()[0].mean(-1, keepdim=True))


@dataclass(frozen=True)
class Crowd(Naive):
    """A mean over members."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        f = logits["reward"]
        pulled = f - 0.1 * f.mean(0, keepdim=True) if f.ndim > 1 else 0.9 * f
        return bce(pulled, obs.any_positive()[0])


@dataclass(frozen=True)
class Homebound(Naive):
    """Makes a tensor where torch makes them by default."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs) * torch.ones(obs.n_rows)


@dataclass(frozen=True)
class Detour(Naive):
    """By way of the CPU, and back."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        weight_B = obs.signals_BK[..., 0].to("cpu") + torch.ones(obs.n_rows)
        return super().loss(logits, obs) * weight_B.to(logits["reward"].device)


def test_a_loss_may_go_by_way_of_the_cpu() -> None:
    testing.check_devices(Detour())


@dataclass(frozen=True)
class Local(Naive):
    """Another number wherever it is not at home."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs) * (1.0 if logits["reward"].device.type == "cpu" else 2.0)


@dataclass(frozen=True)
class Scalar(Naive):
    """One number for the batch."""

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss(logits, obs).mean(-1)


@dataclass(frozen=True)
class Uncalibratable(ImplicitRM):
    """A criterion that reads one of two calibrated heads."""

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        return bce(logits["reward"], obs.any_positive()[0])


@dataclass(frozen=True)
class Undemanding(Naive):
    """Accepts silence."""

    def check(self, obs: Observations) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Wordy(Naive):
    """Refuses, at length."""

    def check(self, obs: Observations) -> None:
        try:
            super().check(obs)
        except DegenerateDataError as error:
            raise DegenerateDataError(f"{error}\nand more") from None


@dataclass(frozen=True)
class Promptless(Naive):
    """Says that it compares answers, and does not."""

    needs: ClassVar[tuple[str, ...]] = ("signal", "several answers per prompt")


@dataclass(frozen=True)
class SelfSupplied(Naive):
    """Says that it needs a propensity from outside, and fits without."""

    needs: ClassVar[tuple[str, ...]] = ("signal", "propensity")


@dataclass(frozen=True)
class Indifferent(SelfSupplied):
    """Takes a propensity where it is handed one, and does nothing with it."""

    reads: ClassVar[tuple[str, ...]] = ("e",)


@dataclass(frozen=True)
class Listed(Naive):
    """A parameter that JSON turns into something else."""

    key: ClassVar[str] = "listed"
    widths: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Unsaid(Naive):
    """Says nothing of what it assumes."""

    assumes: ClassVar[str] = " "


@dataclass(frozen=True)
class Odd(Naive):
    """Needs something that no log has a word for."""

    needs: ClassVar[tuple[str, ...]] = ("luck",)


BROKEN: list[tuple[Method, str, str]] = [
    (Unsigned(), "check_expectation", "claims clean_risk, but the gradient"),
    (Swapped(), "check_expectation", "claims clean_risk"),
    (Unweighted(), "check_expectation", "claims clean_risk"),
    (SquaredClaim(), "check_expectation", "claims clean_squared"),
    (Dishonest(), "check_expectation", "claims clean_risk"),
    (NearlyConsistent(), "check_expectation", "claims consistent"),
    (Stuck(), "check_expectation", "for want of a loss"),
    *(
        (blindfold, "check_expectation", f"claims {blindfold.claims}, but the .* some signals null, ")
        for blindfold in (Blindfold(), BlindfoldSquares(), BlindfoldLikelihood(), BlindfoldPairs())
    ),
    (Reversed(), "check_direction", "sign turned round"),
    (Unpolarised(), "check_direction", "where a negative signal fires; .*obs.polarity"),
    (TwoPolarities(), "check_finite_gradients", "stay in log space"),
    (Leaky(), "check_gold_blind", "leaked gold label"),
    (LeakyCounts(), "check_gold_blind", "leaked gold label"),
    (Deaf(), "check_declared_gold", "change nothing; expected uses_gold = False"),
    (Secretive(), "check_declared_gold", "move the loss; expected uses_gold = True"),
    (SecondHand(), "check_declared_gold", "move the loss; expected uses_gold = True"),
    (Unseeded(), "check_determinism", "two fits on the same data differ"),
    (Remembering(), "check_determinism", "two fits"),
    (FirstLog(), "check_refit_starts_afresh", "other data"),
    (Seedless(), "check_seed_matters", "same for seeds 0 and 1"),
    (Rounding(), "check_finite_gradients", "loss is"),
    (BadSlope(), "check_finite_gradients", "gradient of the loss by 'reward' is nan"),
    (NoPositiveNoNumber(), "check_finite_gradients", "stay in log space"),
    (Neighbours(), "check_member_independence", "logits of rows that it holds out"),
    (NeighbouringLabels(), "check_member_independence", "labels of rows that it holds out"),
    (Crowd(), "check_shapes", "stack of members"),
    (Crowd(), "check_member_independence", "logits of others change"),
    (Homebound(), "check_devices", "loss: mul mixes a tensor of another device"),
    (Local(), "check_devices", "other numbers"),
    (Scalar(), "check_shapes", "one number per row"),
    (Uncalibratable(), "check_shapes", "leave it out of `calibrated`"),
    (Undemanding(), "check_declared_needs", "nothing visible: check\\(\\) accepts it"),
    (Wordy(), "check_declared_needs", "expected one line"),
    (Promptless(), "check_declared_needs", "one answer to each prompt"),
    (SelfSupplied(), "check_declared_needs", "fits without it"),
    (Indifferent(), "check_declared_needs", "fits without it"),
    (Listed(), "check_save_load", "do not rebuild it"),
    (Unsaid(), "check_declaration", "assumes is ' '"),
    (Odd(), "check_declaration", "luck"),
]


@pytest.mark.parametrize(
    ("method", "check", "found"), BROKEN, ids=lambda v: getattr(v, "__class__", v).__name__
)
def test_a_broken_estimator_fails_in_its_own_check(method: Method, check: str, found: str) -> None:
    with pytest.raises(ConformanceError, match=f"^{check}: {type(method).__name__}.*{found}"):
        getattr(testing, check)(method)


def test_rows_that_count_and_say_nothing_scale_the_expectation_alone() -> None:
    check_expectation(Wide())


SURVIVES: dict[type[Method], str] = {
    Unsigned: "check_expectation",
    Reversed: "check_direction",
    Unpolarised: "check_direction",
    OneSignal: "check_shapes",
    Leaky: "check_gold_blind",
    Undemanding: "check_declared_needs",
}
"""The first check of a whole run that stops each: those before it must let it pass."""


@pytest.mark.parametrize("method", list(SURVIVES), ids=lambda cls: cls.__name__)
def test_a_whole_run_stops_at_the_fault_and_not_before(method: type[Method]) -> None:
    with pytest.raises(AssertionError, match=f"^{SURVIVES[method]}: "):
        check_method(method)


def test_a_check_that_crashes_says_which_and_why() -> None:
    @dataclass(frozen=True)
    class Crashing(Naive):
        """Divides by a word."""

        def loss(self, logits: Logits, obs: Observations) -> Tensor:
            raise TypeError("no number")

    with pytest.raises(ConformanceError, match=r"^check_shapes: Crashing .naive.: TypeError: no number"):
        check_method(Crashing, quick=True)


def test_quick_leaves_out_what_fits() -> None:
    check_method(Listed(), quick=True)
    with pytest.raises(ConformanceError, match="check_save_load"):
        check_method(Listed())


@dataclass(frozen=True)
class HalfActive(ImplicitRM):
    """Its activity under a name of its own, and half of it."""

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        reward, propensity = super().heads(obs)
        return reward, replace(propensity, name="mood")

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        return super().loss({"reward": logits["reward"], "propensity": 2 * logits["mood"]}, obs)


def test_the_truth_of_a_head_of_your_own_can_be_told() -> None:
    with pytest.raises(ConformanceError, match="true logit of head 'mood' is not known here"):
        check_expectation(HalfActive())
    told: dict[str, Callable[[testing.Population], Tensor]] = {
        "mood": lambda world: torch.logit(world.acts_X) / 2
    }
    check_expectation(HalfActive(), told)
    with pytest.raises(ConformanceError, match="by 'reward' at the true logits"):
        check_expectation(HalfActive(), {"mood": lambda world: torch.logit(world.acts_X)})


class Unnamed(Method):
    """Forgot its key."""


@dataclass(frozen=True)
class Demanding(Naive):
    """A parameter without a default."""

    rate: float


@pytest.mark.parametrize(
    ("method", "found"),
    [
        ("naive", "found 'naive' (str), expected an estimator or its class"),
        (None, "found None (NoneType), expected an estimator or its class"),
        (dict, "found <class 'dict'> (type), expected an estimator or its class"),
        (Unnamed, "Unnamed (no key): key is None, expected a line of text"),
        (Unnamed(), "Unnamed (no key): key is None, expected a line of text"),
        (Demanding, "Demanding cannot be made with its defaults (TypeError: "),
    ],
)
def test_what_is_no_estimator_is_refused_in_one_line(method: Any, found: str) -> None:
    with pytest.raises(ConformanceError, match=f"^check_declaration: {re.escape(found)}[^\n]*$"):
        check_method(method, quick=True)
