"""Who competes: every registered estimator that can read a problem, references that are given the truth, baselines.

A contender that is given anything a real log does not hold carries the protocol `oracle` in every table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from tacit import methods
from tacit.errors import ConfigError, TacitError, did_you_mean
from tacit.evaluation.bench.problems import Problem
from tacit.evaluation.bench.references import OracleLikelihood
from tacit.evaluation.table import Protocol
from tacit.methods import Method, Observations
from tacit.methods.method import Logits
from tacit.methods.primitives import bce
from tacit.model import PropensityFeatures

BASELINES = ("constant", "length", "context_only", "prompt_only", "random")
"""Blind to the response, or to all but its length."""
ALWAYS = ("constant", "length", "random")
"""Of those, the ones that stand beside every result, whatever was asked for."""


@dataclass(frozen=True)
class Contender:
    """One row of a table.

    Attributes:
        name: of the row.
        method: the estimator.
        form: what propensity heads see.
        given: names of true nuisances that it is handed.
        signals: of the log that it reads: all, or the first alone.
        protocol: "oracle" if it sees anything that a log does not hold.
    """

    name: str
    method: Method
    form: PropensityFeatures = "context"
    given: tuple[str, ...] = ()
    signals: Literal["all", "first"] = "all"
    protocol: Protocol = "honest"

    def observe(self, problem: Problem) -> Observations:
        """What this contender sees of a problem, all seeds."""
        obs = problem.observations
        if self.signals == "first":
            obs = replace(
                obs,
                signals_BK=obs.signals_BK[..., :1],
                visible_BK=obs.visible_BK[..., :1],
                polarity=obs.polarity[:1],
            )
        obs = obs.with_columns(**{name: problem.truth[name] for name in self.given})
        if self.method.reads_gold or isinstance(self.method, Stopped):
            known = torch.ones_like(problem.liked_SN, dtype=torch.bool)
            if self.name == "oracle_observed":
                known = obs.explicit()[1]
            obs = replace(obs, gold_B=problem.liked_SN, gold_known_B=known)
        return obs

    def to_json(self) -> dict[str, Any]:
        """What decides its result, for the configuration hash."""
        return {
            "name": self.name,
            "method": [self.method.key, self.method.parameters()],
            "form": self.form,
            "given": list(self.given),
            "signals": self.signals,
            "protocol": self.protocol,
            "stopped": isinstance(self.method, Stopped),
        }


class Stopped:
    """Marks estimators that are stopped and calibrated by clean labels, as the papers' published protocol does."""


def stopped_by_clean_labels(method: Method) -> Method:
    """The same estimator, its epochs chosen and its reward calibrated by clean labels of held-out rows.

    Training itself still sees the log alone. This is the protocol of the published tables; it flatters methods whose
    level is not identified.
    """
    base: Any = type(method)

    class ByCleanLabels(base, Stopped):  # type: ignore[misc]
        calibrated = base.reward_heads

        def criterion(self, logits: Logits, obs: Observations) -> Tensor:
            assert obs.gold_B is not None
            return bce(base.reward(self, logits), obs.gold_B)

        def counts(self, obs: Observations) -> Tensor:
            return torch.ones_like(base.counts(self, obs.without_gold()))

        def loss(self, logits: Logits, obs: Observations) -> Tensor:
            blind = obs.without_gold()
            counts_B = base.counts(self, blind).to(obs.signals_BK.dtype)
            weight_B = counts_B if obs.weight_B is None else counts_B * obs.weight_B
            # By the method itself: a loss may be written in terms of its own criterion, which here reads gold.
            loss_B: Tensor = method.loss(logits, replace(blind, weight_B=weight_B)) * counts_B
            return loss_B

        def refresh(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
            return method.refresh(logits, obs.without_gold())

        def judges(self, obs: Observations) -> Tensor:
            return torch.ones_like(base.counts(self, obs.without_gold()))

        def stages(self, obs: Observations) -> Any:
            return method.stages(obs.without_gold())

        def variants(self, obs: Observations) -> Any:
            return tuple(
                self if form == method else stopped_by_clean_labels(form)
                for form in method.variants(obs.without_gold())
            )

        def heads(self, obs: Observations) -> Any:
            return method.heads(obs.without_gold())

        def check(self, obs: Observations) -> None:
            method.check(obs.without_gold())

    ByCleanLabels.__name__ = base.__name__
    clone: Method = ByCleanLabels(**method.parameters())
    return clone


def known_names() -> set[str]:
    """Everyone who may be asked for by name."""
    references = [*_explicit_references(), *_implicit_references(True), *_implicit_references(False)]
    return {one.name for one in references} | set(_estimated()) | {"random"}


def _estimated() -> dict[str, type[Method]]:
    """Estimators that need not be handed a propensity; of those that do, references are, the true one."""
    return {key: kind for key, kind in methods.available().items() if "propensity" not in kind.needs}


def refuse_unknown(key: str, known: set[str]) -> None:
    """Raise if a name is none of these.

    Raises:
        ConfigError: it is not.
    """
    if key not in known:
        hint = did_you_mean(key, sorted(known))
        raise ConfigError(f"unknown contender {key!r}{hint}; expected one of {', '.join(sorted(known))}")


def contenders(
    problem: Problem,
    keys: Sequence[str] = (),
    protocol: Protocol = "honest",
    *,
    own: Sequence[Contender] = (),
) -> list[Contender]:
    """Who can read this problem, in the order of the registry, references and baselines included.

    Args:
        problem: decides who can take part.
        keys: names asked for; all when empty. `oracle`, naive and the baselines of `ALWAYS` always take part.
        protocol: "oracle" stops and calibrates every estimator by clean labels.
        own: further ones; they come first, so that what is wrong with them shows at once. See `refusal`.

    Raises:
        ConfigError: a name that nobody has.
    """
    everyone, known = _everyone(problem), known_names()
    for key in keys:
        refuse_unknown(key, known)
    always = {"oracle", "naive_observed" if problem.explicit else "naive", "naive_one_signal", *ALWAYS}
    every = not keys and not own
    chosen = [*own, *(one for one in everyone if every or one.name in keys or one.name in always)]
    if protocol == "oracle":
        chosen = [
            one
            if one.protocol == "oracle" or one.name in BASELINES
            else replace(one, method=stopped_by_clean_labels(one.method), protocol="oracle")
            for one in chosen
        ]
    return chosen


def refusal(contender: Contender, problem: Problem) -> str | None:
    """Why a contender cannot read a problem, in its own words; None if it can."""
    if (reason := _misfit(contender, problem)) is not None:
        return reason
    try:
        seen = contender.observe(problem).members(torch.tensor([0])).flat()
        contender.method.check(seen)
        if "prompt" in {head.view for head in contender.method.heads(seen)} and problem.texts.prompt is None:
            return "needs prompts that are embedded apart from their responses"
    except TacitError as error:
        return str(error)
    except Exception as error:
        error.add_note(
            f"while asking {contender.name} whether it can read a log; see tacit.testing.check_method"
        )
        raise
    return None


def _misfit(contender: Contender, problem: Problem) -> str | None:
    """What it declares to need that this world has not."""
    method = contender.method
    if problem.explicit and method.setting == "implicit":
        return "reads clicks, and this world holds labels (setting = 'explicit' for those)"
    if not problem.explicit and method.setting in ("explicit", "pairwise"):
        return "reads labels, given where users cared to; this world holds clicks"
    if "context" in method.needs and problem.context_NC is None:
        return "needs context, and this world has none"
    absent = [name for name in contender.given if name not in problem.truth]
    if absent:
        return f"is to be given {absent[0]!r}, of which this world has no truth; it has {', '.join(problem.truth)}"
    return None


def _everyone(problem: Problem) -> list[Contender]:
    wanted = {"explicit", "any"} if problem.explicit else {"implicit", "any"}
    several = problem.observations.n_signals > 1
    found = []
    for key, kind in _estimated().items():
        pairwise_labels = problem.explicit and kind.setting == "pairwise"
        if kind.setting not in wanted and not pairwise_labels:
            continue
        if key == "context_only" and problem.context_NC is None:
            continue
        if key == "prompt_only" and problem.texts.prompt is None:
            continue
        found.append(Contender(key, kind(), protocol="oracle" if kind.reads_gold else "honest"))
    found.append(Contender("random", methods.Constant()))
    if problem.explicit:
        found += _explicit_references()
    else:
        found += _implicit_references(several)
    return found


def _implicit_references(several: bool) -> list[Contender]:
    if several:
        rows = [
            Contender("naive_one_signal", methods.Naive(), signals="first"),
            Contender("implicit_rm_one_signal", methods.ImplicitRM(), signals="first"),
        ]
    else:
        rows = [
            Contender("implicit_rm_published", methods.ImplicitRM(), form="text"),
            Contender("oracle_propensity", methods.SARIPW(), given=("e",), protocol="oracle"),
            Contender(
                "oracle_likelihood", OracleLikelihood(), given=OracleLikelihood.reads, protocol="oracle"
            ),
        ]
    return [*rows, Contender("oracle_prior", methods.NNPU(), given=("prior",), protocol="oracle")]


def _explicit_references() -> list[Contender]:
    return [
        Contender("oracle_observed", methods.Oracle(), protocol="oracle"),
        Contender("oracle_propensity", methods.IPS(), given=("p",), protocol="oracle"),
        Contender("causal_ips_true_p_rho", methods.CausalIPS(), given=_TRUE, protocol="oracle"),
        Contender("causal_dr_true_p_rho", methods.CausalDR(), given=_TRUE, protocol="oracle"),
    ]


_TRUE = ("p", "rho01", "rho10")
