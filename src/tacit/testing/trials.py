"""Small made-up data on which the suite tries an estimator: a log of arrays, batches of it, logits for its heads.

Shapes: N rows of a trial log, B rows of a batch, D features, K signals, M members.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.errors import TacitError
from tacit.methods import Head, Method, Observations, observations
from tacit.methods.columns import names_read
from tacit.training.config import TrainingConfig
from tacit.training.estimator import HeadEstimator

ROWS, ANSWERS = 60, 3


class ConformanceError(AssertionError):
    """An estimator breaks a rule that all estimators keep. The message names the check and what was found."""


def refuse(check: str, method: Method, found: str) -> ConformanceError:
    """The error to raise: which check, which estimator, what was found."""
    key = getattr(method, "key", "no key")  # a class may have forgotten it
    return ConformanceError(f"{check}: {type(method).__name__} ({key}): {found}")


@dataclass(frozen=True)
class Trial:
    """A log of N rows as arrays: what `HeadEstimator.fit` takes.

    Attributes:
        X_ND: text features.
        context_NC: context.
        signals_NK: 0/1/NaN.
        polarity: K values of ±1.
        groups_N: three answers to each prompt.
        gold_N: the truth, 0/1.
        nuisances: what the method needs from outside, by name.
    """

    X_ND: NDArray[np.float32]
    context_NC: NDArray[np.float32]
    signals_NK: NDArray[np.float32]
    polarity: tuple[int, ...]
    groups_N: NDArray[np.int64]
    gold_N: NDArray[np.float32]
    nuisances: dict[str, Any]

    def fit(self, method: Method, *, seed: int = 0, into: HeadEstimator | None = None) -> HeadEstimator:
        """A quick fit; gold is handed to methods that read it."""
        model = HeadEstimator(method) if into is None else into
        model.set_params(method=method, config=quick_config(seed, method.warm_up if method.waits else 0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sixty rows identify little
            return model.fit(
                self.X_ND,
                self.signals_NK,
                context=self.context_NC,
                groups=self.groups_N,
                polarity=self.polarity,
                gold=self.gold_N if method.reads_gold else None,
                nuisances=self.nuisances,
            )

    def observations(self, dtype: torch.dtype = torch.float32, *, gold: bool = False) -> Observations:
        """All rows as tensors."""
        return observations(
            torch.from_numpy(self.signals_NK).to(dtype),
            polarity=self.polarity,
            gold=torch.from_numpy(self.gold_N).to(dtype) if gold else None,
            groups=torch.from_numpy(self.groups_N),
            columns={
                name: torch.as_tensor(value, dtype=dtype).reshape(-1)
                for name, value in self.nuisances.items()
            },
        )


def quick_config(seed: int = 0, idle: int = 0) -> TrainingConfig:
    """As little training as there can be: two epochs after those in which the reward does not learn."""
    return TrainingConfig(
        members=2, hidden=(), weight_decay=1.0, max_epochs=idle + 2, patience=2, seed=seed, precision="fp32"
    )


def trial(method: Method, seed: int = 0) -> Trial:
    """The first of `trials`, for checks that need no other; `check()` sees no log after it.

    Raises:
        ConformanceError: the method accepts none.
    """
    return next(trials(method, seed))


def trials(method: Method, seed: int = 0) -> Iterator[Trial]:
    """Those of a few logs that the method accepts: one signal (or label), thumbs, three signals.

    Raises:
        ConformanceError: it accepts none.
    """
    refusals = []
    logs = ((1,), (1, -1), (1, 1, -1))
    for polarity in logs:
        made = _made(method, polarity, seed)
        try:
            method.check(made.observations(gold=method.reads_gold))
        except TacitError as error:
            refusals.append(str(error))
        else:
            yield made
    if len(refusals) == len(logs):
        raise refuse("check_declaration", method, f"check() refuses every trial log: {'; '.join(refusals)}")


def _made(method: Method, polarity: tuple[int, ...], seed: int) -> Trial:
    rng = np.random.default_rng([20, seed])
    X = rng.normal(size=(ROWS, 4)).astype(np.float32)
    context = rng.integers(0, 2, size=(ROWS, 1)).astype(np.float32)
    liked = rng.random(ROWS) < 1 / (1 + np.exp(-1.5 * X[:, 0]))
    e = (0.35 + 0.4 * context[:, 0]).astype(np.float32)
    acts = rng.random((ROWS, len(polarity))) < e[:, None]
    due = np.where(np.array(polarity) > 0, liked[:, None], ~liked[:, None])
    signals = (acts & due).astype(np.float32)
    if "label" in method.needs:  # an answer to the question, given by choice
        noisy = liked ^ (rng.random(ROWS) < 0.1)
        signals[:] = np.where(np.array(polarity) > 0, noisy[:, None], ~noisy[:, None])
        signals[~acts[:, 0]] = np.nan if len(polarity) == 1 else 0
    outside: dict[str, Any] = {}
    if "propensity" in method.needs:
        outside |= {"e": e, "p": e}
    if "prior" in method.needs:
        outside |= {"prior": max(0.6, float(np.nanmean(signals[:, 0])) + 0.1)}
    bare = Trial(X, context, signals, polarity, np.arange(ROWS) // ANSWERS, liked.astype(np.float32), {})
    read = names_read(method, bare.observations()) if outside else ()
    return replace(bare, nuisances={name: value for name, value in outside.items() if name in read})


def random_logits(
    heads: Sequence[Head], lead: tuple[int, ...], rows: int, seed: int, dtype: torch.dtype = torch.float64
) -> dict[str, Tensor]:
    """Standard normal logits by head, [*lead, B] or [*lead, B, K], as the engine would hand them over."""
    generator = torch.Generator().manual_seed(seed)
    logits = {}
    for head in heads:
        shape = (*lead, rows, len(head.bias))
        value = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        if head.view == "none":
            value = value[..., :1, :]  # a constant: one logit for all rows
        logits[head.name] = value[..., 0] if head.scalar else value
    return logits


def with_nuisances(method: Method, obs: Observations, members: int | None = None) -> Observations:
    """The batch with every column that the loss may ask for.

    The common nuisances are random unless it has them; the others are made by the method's stages and its `refresh`.

    Args:
        method: whose stages, and whose `refresh`, make columns.
        obs: the batch.
        members: M, for columns renewed after each epoch, [M, B]; None leaves these out.
    """
    B, dtype = obs.n_rows, obs.signals_BK.dtype
    generator = torch.Generator().manual_seed(3)

    def draw(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand(B, generator=generator, dtype=torch.float64)).to(dtype)

    columns = {"p": draw(0.3, 1.0), "e": draw(0.3, 1.0), "noisy": draw(0.1, 0.9), "relevance": draw(0.1, 0.9)}
    shared = {"rho01": 0.1, "rho10": 0.2, "prior": 0.7, "frequency": 0.5}
    columns |= {name: torch.tensor([value], dtype=dtype) for name, value in shared.items()}
    columns |= {f"sketch{i}": draw(-1.0, 1.0) for i in range(method.sketch)}
    obs = obs.with_columns(**{name: value for name, value in columns.items() if name not in obs.columns})
    for stage in method.stages(obs):
        if not set(stage.makes) <= obs.columns.keys():
            own = replace(with_nuisances(stage.method, obs), weight_B=torch.ones(B, dtype=dtype))
            logits = random_logits(_spread(stage.method, own), (), B, 4, dtype)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = stage.method.nuisances(_informed(logits, own), own)
            obs = obs.with_columns(**{name: value.detach().to(dtype) for name, value in made.items()})
    if method.refreshes and members is not None:
        seen = replace(obs, weight_B=torch.ones(members, B, dtype=dtype))
        logits = random_logits(method.heads(obs), (members,), B, 5, dtype)
        renewed: dict[str, Tensor] = {}
        for epoch in range(
            method.warm_up + 2
        ):  # as the engine calls it: each time with what the last call made
            made = method.refresh(logits, replace(seen.with_columns(**renewed), epoch=epoch))
            renewed = {name: value.to(dtype) for name, value in made.items()}
        obs = obs.with_columns(**renewed)
    return obs


def _informed(logits: dict[str, Tensor], obs: Observations) -> dict[str, Tensor]:
    """Out-of-fold logits that know something of the labels: from noise alone, rates of noise cannot be told."""
    explicit_B, given_B = obs.explicit()
    label_B = torch.where(given_B, explicit_B, obs.any_positive()[0])
    towards_B = 2 * (2 * label_B - 1)
    return {
        name: 0.5 * value + (towards_B if value.ndim == 1 else towards_B[:, None])
        for name, value in logits.items()
    }


def _spread(method: Method, obs: Observations) -> tuple[Head, ...]:
    """The heads, constants too with a logit for every row."""
    return tuple(replace(head, view="reward") for head in method.heads(obs))
