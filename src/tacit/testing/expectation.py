"""Checks of what a loss is in expectation, by its claim, on a small population of which everything is known.

Nothing is drawn: every outcome of every cell is a row whose weight is its probability, so that a claim holds to ten
digits or not at all. What is compared are gradients: what does not move the reward does not matter.

Shapes: X cells, B rows (outcomes of cells).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods import Head, Method, Observations, observations
from tacit.testing.population import (
    CELLS,
    Population,
    by_row,
    outcomes,
    population,
    random_by_cell,
    true_columns,
)
from tacit.testing.trials import refuse, with_nuisances

TOLERANCE = 1e-10
_CHECK = "check_expectation"
_NULL = {False: "", True: ", some signals null,"}
_ACTING = ("propensity", "activity", "exposure", "selection")
"""Heads whose true logit is that of acting, or of giving a label."""


Truth = Mapping[str, Callable[[Population], Tensor]]
"""By name of a head: its true logits [X] in a population."""


def check_expectation(method: Method, truth: Truth | None = None) -> None:
    """The expected loss is what `claims` says, given the true nuisances.

    "clean_risk": its gradient by the reward logit is that of Σ P(x)·bce(f, r*), at random f. "clean_squared": of
    Σ P(x)·(σ(f) − r*)². "clean_pairs": of Σ r_i(1−r_j)·softplus(f_j − f_i) over the pairs of a prompt, up to a factor.
    "consistent": no gradient at the true logits. "none": nothing.

    Where signals may be silent it says so too, up to a factor, when further rows have a signal that could not have been
    recorded (null), in some cells more of them than in others: silence that nobody could have broken is no silence.
    (Of labels, null is the selection that the first population has already.)

    Args:
        method: the estimator.
        truth: for "consistent": true logits of heads other than the reward and those called propensity, activity,
            exposure, selection or imputation. A reward head of several outputs is read as a shared trunk: reward,
            propensity, imputation.

    Raises:
        ConformanceError: the claim does not hold.
    """
    if method.claims == "none":
        return
    for seed, unseen in itertools.product((0, 1), (False,) if "label" in method.needs else (False, True)):
        if method.claims == "clean_pairs":
            _pairs(method, seed, unseen=unseen)
        elif method.claims == "consistent":
            _stationary(method, seed, truth or {}, unseen=unseen)
        else:
            _clean(method, seed, unseen=unseen)


def _clean(method: Method, seed: int, *, unseen: bool) -> None:
    world = population(method, seed)
    obs, cell_B = outcomes(world, unseen=unseen)
    obs = with_nuisances(method, obs)
    logits = random_by_cell(method, obs, seed)
    logits |= {
        head.name: _true_logit(method, head, world, {})
        for head in method.heads(obs)
        if head.name in _ACTING and head.view != "none"
    }
    slopes = _gradients(method, logits, obs, cell_B)
    for name in method.reward_heads:
        s_X = torch.sigmoid(logits[name])
        expected_X = world.share_X * (s_X - world.liked_X)
        if method.claims == "clean_squared":
            expected_X = expected_X * 2 * s_X * (1 - s_X)
        what = f"gradient of the expected loss by {name!r}"
        compare = _compare_shape if unseen else _compare
        compare(method, what + _NULL[unseen], slopes[name], expected_X)


def _stationary(method: Method, seed: int, truth: Truth, *, unseen: bool) -> None:
    world = population(method, seed)
    obs, cell_B = outcomes(world, unseen=unseen)
    obs = with_nuisances(method, obs)
    logits = {head.name: _true_logit(method, head, world, truth) for head in method.heads(obs)}
    for name, slope in _gradients(method, logits, obs, cell_B).items():
        where = f"gradient of the expected loss by {name!r} at the true logits{_NULL[unseen]}"
        _compare(method, where, slope, torch.zeros_like(slope))
    elsewhere = {name: value + 0.5 for name, value in logits.items()}
    if all(float(s.abs().max()) < TOLERANCE for s in _gradients(method, elsewhere, obs, cell_B).values()):
        raise refuse(
            _CHECK, method, "the loss has no gradient anywhere; the truth is stationary for want of a loss"
        )


def _pairs(method: Method, seed: int, *, unseen: bool) -> None:
    """Prompts of two answers; each pair of cells occurs in sixteenths, as often as its two clicks are likely.

    With `unseen` a third answer whose signal is null stands beside them.
    """
    generator = torch.Generator().manual_seed(seed)
    quarters_X = torch.randint(1, 4, (CELLS,), generator=generator)
    clicked_X = quarters_X.double() / 4
    spread_X = 0.1 + 0.8 * torch.rand(CELLS, generator=generator, dtype=torch.float64)
    acts_X = clicked_X + (1 - clicked_X) * spread_X
    share_X = torch.full((CELLS,), 1 / CELLS, dtype=torch.float64)
    world = Population(share_X, clicked_X / acts_X, acts_X, 0.0, 0.0, False)
    cells: list[int] = []
    values: list[float] = []
    for i, j in itertools.combinations(range(CELLS), 2):
        for a, b in itertools.product(range(4), range(4)):
            cells += [i, j, *([(i + j) % CELLS] if unseen else [])]
            values += [
                float(a < quarters_X[i]),
                float(b < quarters_X[j]),
                *([float("nan")] if unseen else []),
            ]
    cell_B = torch.tensor(cells)
    obs = observations(
        torch.tensor(values, dtype=torch.float64),
        groups=torch.arange(len(cells)) // (3 if unseen else 2),
        columns=true_columns(world, cell_B),
    )
    obs = with_nuisances(method, obs)
    logits = random_by_cell(method, obs, seed)
    slopes = _gradients(method, logits, obs, cell_B)
    r_X = world.liked_X
    for name in method.reward_heads:
        f_X = logits[name].clone().requires_grad_()
        risk_XX = (r_X[:, None] * (1 - r_X)) * softplus(f_X[None] - f_X[:, None])
        off = 1 - torch.eye(CELLS, dtype=torch.float64)
        (expected_X,) = torch.autograd.grad((risk_XX * off).sum(), f_X)
        what = f"gradient of the expected loss by {name!r}{_NULL[unseen]}"
        _compare_shape(method, what, slopes[name], expected_X)


def _true_logit(method: Method, head: Head, world: Population, truth: Truth) -> Tensor:
    if head.name in truth:
        true_X = truth[head.name](world).to(torch.float64)
    elif not head.scalar and head.name in method.reward_heads:  # a shared trunk
        liked_X, acts_X = torch.logit(world.liked_X), torch.logit(world.acts_X)
        return torch.stack([liked_X, acts_X, liked_X][: len(head.bias)], dim=-1)
    elif head.name in method.reward_heads or head.name == "imputation":
        true_X = torch.logit(world.liked_X)
    elif head.name in _ACTING and (head.view != "none" or bool((world.acts_X == world.acts_X[0]).all())):
        true_X = torch.logit(world.acts_X[: 1 if head.view == "none" else CELLS])
    else:
        raise refuse(
            _CHECK,
            method,
            f"the true logit of head {head.name!r} is not known here; pass it to check_expectation as "
            f"truth={{{head.name!r}: lambda population: …}}",
        )
    return true_X if head.scalar else true_X[:, None].expand(-1, len(head.bias))


def _gradients(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, cell_B: Tensor
) -> dict[str, Tensor]:
    """Of the expected loss, the mean over rows that count, by the logits of each cell."""
    leaves = {name: value.detach().clone().requires_grad_() for name, value in logits.items()}
    counts_B = method.counts(obs).to(torch.float64)
    weight_B = counts_B if obs.weight_B is None else counts_B * obs.weight_B
    loss_B = method.loss(by_row(method, leaves, obs, cell_B), replace(obs, weight_B=weight_B))
    expected = (loss_B * weight_B).sum() / weight_B.sum()
    slopes = torch.autograd.grad(expected, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaves[name]) if slope is None else slope
        for name, slope in zip(leaves, slopes, strict=True)
    }


def _compare_shape(method: Method, what: str, found: Tensor, expected: Tensor) -> None:
    """As `_compare`, up to a positive factor: of rows that count and say nothing, there may be any number."""
    factor = (found * expected).sum() / expected.square().sum()
    if float(factor) <= 0:
        raise refuse(_CHECK, method, f"the risk enters with factor {float(factor):.3g}, expected > 0")
    _compare(method, f"{what} up to a factor", found / factor, expected)


def _compare(method: Method, what: str, found: Tensor, expected: Tensor) -> None:
    gap = float((found - expected).abs().max())
    if not gap <= TOLERANCE:  # NaN too
        cell = int((found - expected).abs().flatten().argmax())
        raise refuse(
            _CHECK,
            method,
            f"claims {method.claims}, but the {what} is {float(found.flatten()[cell]):.6g} in cell {cell}, "
            f"expected {float(expected.flatten()[cell]):.6g}",
        )
