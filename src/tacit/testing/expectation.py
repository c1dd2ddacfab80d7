"""Checks of what a loss is in expectation, by its claim, on a small population of which everything is known.

Nothing is drawn: every outcome of every cell is a row whose weight is its probability, so that a claim holds to ten
digits or not at all. What is compared are gradients: what does not move the reward does not matter.

    implicit: r* ~ Bern(r), a ~ Bern(e), y = r*·a      explicit: o ~ Bern(p), and the label is r* flipped with ρ01, ρ10

Shapes: X cells, B rows (outcomes of cells), P ordered pairs of cells.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods import Head, Method, Observations, observations
from tacit.testing.trials import refuse, with_nuisances

CELLS = 5
TOLERANCE = 1e-10
_CHECK = "check_expectation"
_ACTING = ("propensity", "activity", "exposure", "selection")
"""Heads whose true logit is that of acting, or of giving a label."""


@dataclass(frozen=True)
class Population:
    """The truth of X cells, float64.

    Attributes:
        share_X: P(x).
        liked_X: r = P(r*=1 | x).
        acts_X: e = P(y=1 | r*=1, x); for explicit feedback p = P(o=1 | x).
        rho01, rho10: P(label 0 | liked) and P(label 1 | not liked).
        explicit: labels that may be missing instead of signals that may be silent.
    """

    share_X: Tensor
    liked_X: Tensor
    acts_X: Tensor
    rho01: float
    rho10: float
    explicit: bool


Truth = Mapping[str, Callable[[Population], Tensor]]
"""By name of a head: its true logits [X] in a population."""


class _Recording(dict[str, Tensor]):
    """Columns that remember which of them were asked for."""

    def __init__(self, columns: Mapping[str, Tensor]) -> None:
        super().__init__(columns)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.asked.add(name)
        return super().__getitem__(name)


def check_expectation(method: Method, truth: Truth | None = None) -> None:
    """The expected loss is what `claims` says, given the true nuisances.

    "clean_risk": its gradient by the reward logit is that of Σ P(x)·bce(f, r*), at random f. "clean_squared": of
    Σ P(x)·(σ(f) − r*)². "clean_pairs": of Σ r_i(1−r_j)·softplus(f_j − f_i) over the pairs of a prompt, up to a factor.
    "consistent": no gradient at the true logits. "none": nothing.

    Args:
        method: the estimator.
        truth: for "consistent": true logits of heads other than the reward and those called propensity, activity,
            exposure, selection or imputation. A reward head of several outputs is read as a shared trunk: reward,
            propensity, imputation.

    Raises:
        ConformanceError: the claim does not hold.
    """
    for seed in (0, 1) if method.claims != "none" else ():
        if method.claims == "clean_pairs":
            _pairs(method, seed)
        elif method.claims == "consistent":
            _stationary(method, seed, truth or {})
        else:
            _clean(method, seed)


def population(method: Method, seed: int) -> Population:
    """A random population that keeps to what the method assumes.

    Labels are flipped only for methods that know of flips, by a column that they read or a parameter; acting does not
    depend on the cell for methods that know its rate only as one number.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(CELLS, generator=generator, dtype=torch.float64)

    def flips(name: str, usual: float) -> float:
        own = method.parameters().get(name)
        return float(own) if own is not None else (usual if name in told else 0.0)

    share_X, liked_X, acts_X = draw(0.1, 1), draw(0.15, 0.85), draw(0.35, 0.9)
    explicit = "label" in method.needs
    told = _asked(method, explicit)
    if ("p" not in told) if explicit else ("e" not in told and bool(told & {"prior", "frequency"})):
        acts_X = torch.full_like(acts_X, 0.45)
    rho01, rho10 = flips("rho01", 0.1), flips("rho10", 0.2)
    return Population(share_X / share_X.sum(), liked_X, acts_X, rho01, rho10, explicit)


def outcomes(world: Population) -> tuple[Observations, Tensor]:
    """Every outcome as a row, weighed by its probability, with the true columns; and the cell of each row [B]."""
    rows = []
    for x in range(CELLS):
        r, acts = float(world.liked_X[x]), float(world.acts_X[x])
        for liked, act in itertools.product((1, 0), (1, 0)):
            base = float(world.share_X[x]) * (r if liked else 1 - r) * (acts if act else 1 - acts)
            if not world.explicit:
                rows.append((x, base, float(liked * act)))
                continue
            one = 1 - world.rho01 if liked else world.rho10
            for label, chance in ((1.0, one), (0.0, 1 - one)):
                rows.append((x, base * chance, label if act else float("nan")))
    cell_B = torch.tensor([x for x, _, _ in rows])
    obs = observations(
        torch.tensor([value for _, _, value in rows], dtype=torch.float64),
        groups=torch.arange(len(rows)),
        columns=_columns(world, cell_B),
    )
    return replace(obs, weight_B=torch.tensor([weight for _, weight, _ in rows], dtype=torch.float64)), cell_B


def _columns(world: Population, cell_B: Tensor) -> dict[str, Tensor]:
    r, acts = world.liked_X, world.acts_X
    prior = (world.share_X * r).sum()
    seen_X = world.rho10 + (1 - world.rho01 - world.rho10) * r if world.explicit else r * acts
    return {
        "p": acts[cell_B],
        "e": acts[cell_B],
        "noisy": seen_X[cell_B],
        "clicked": seen_X[cell_B],
        "relevance": r[cell_B],
        "prior": prior[None],
        "frequency": ((world.share_X * r * acts).sum() / prior)[None],
        "rho01": torch.tensor([world.rho01], dtype=torch.float64),
        "rho10": torch.tensor([world.rho10], dtype=torch.float64),
    }


def _asked(method: Method, explicit: bool) -> set[str]:
    """Names of the columns that the loss reads."""
    half_X = torch.full((CELLS,), 0.5, dtype=torch.float64)
    flips = 0.1 if explicit else 0.0
    obs, cell_B = outcomes(Population(half_X / half_X.sum(), half_X, half_X, flips, flips, explicit))
    obs = with_nuisances(method, obs)
    columns = _Recording(obs.columns)
    zeros = {name: torch.zeros_like(value) for name, value in _random(method, obs, 0).items()}
    method.loss(_by_row(method, zeros, obs, cell_B), replace(obs, columns=columns))
    return columns.asked


def _clean(method: Method, seed: int) -> None:
    world = population(method, seed)
    obs, cell_B = outcomes(world)
    obs = with_nuisances(method, obs)
    logits = _random(method, obs, seed)
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
        _compare(method, f"gradient of the expected loss by {name!r}", slopes[name], expected_X)


def _stationary(method: Method, seed: int, truth: Truth) -> None:
    world = population(method, seed)
    obs, cell_B = outcomes(world)
    obs = with_nuisances(method, obs)
    logits = {head.name: _true_logit(method, head, world, truth) for head in method.heads(obs)}
    for name, slope in _gradients(method, logits, obs, cell_B).items():
        where = f"gradient of the expected loss by {name!r} at the true logits"
        _compare(method, where, slope, torch.zeros_like(slope))
    elsewhere = {name: value + 0.5 for name, value in logits.items()}
    if all(float(s.abs().max()) < TOLERANCE for s in _gradients(method, elsewhere, obs, cell_B).values()):
        raise refuse(
            _CHECK, method, "the loss has no gradient anywhere; the truth is stationary for want of a loss"
        )


def _pairs(method: Method, seed: int) -> None:
    """Prompts of two answers; each pair of cells occurs in sixteenths, as often as its two clicks are likely."""
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
            cells += [i, j]
            values += [float(a < quarters_X[i]), float(b < quarters_X[j])]
    cell_B = torch.tensor(cells)
    obs = observations(
        torch.tensor(values, dtype=torch.float64),
        groups=torch.arange(len(cells)) // 2,
        columns=_columns(world, cell_B),
    )
    obs = with_nuisances(method, obs)
    logits = _random(method, obs, seed)
    slopes = _gradients(method, logits, obs, cell_B)
    r_X = world.liked_X
    for name in method.reward_heads:
        f_X = logits[name].clone().requires_grad_()
        risk_XX = (r_X[:, None] * (1 - r_X)) * softplus(f_X[None] - f_X[:, None])
        off = 1 - torch.eye(CELLS, dtype=torch.float64)
        (expected_X,) = torch.autograd.grad((risk_XX * off).sum(), f_X)
        factor = (slopes[name] * expected_X).sum() / expected_X.square().sum()
        if float(factor) <= 0:
            raise refuse(
                _CHECK, method, f"the pair risk enters with factor {float(factor):.3g}, expected > 0"
            )
        what = f"gradient of the expected loss by {name!r}, up to a factor,"
        _compare(method, what, slopes[name] / factor, expected_X)


def _random(method: Method, obs: Observations, seed: int) -> dict[str, Tensor]:
    """Random logits that the rows of a cell share, [X] or [X, K]; [1] or [1, K] for a constant."""
    generator = torch.Generator().manual_seed(100 + seed)
    logits = {}
    for head in method.heads(obs):
        cells = 1 if head.view == "none" else CELLS
        shape = (cells,) if head.scalar else (cells, len(head.bias))
        logits[head.name] = torch.randn(shape, generator=generator, dtype=torch.float64)
    return logits


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


def _by_row(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, cell_B: Tensor
) -> dict[str, Tensor]:
    constant = {head.name for head in method.heads(obs) if head.view == "none"}
    return {name: value if name in constant else value[cell_B] for name, value in logits.items()}


def _gradients(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, cell_B: Tensor
) -> dict[str, Tensor]:
    """Of the expected loss, the mean over rows that count, by the logits of each cell."""
    leaves = {name: value.detach().clone().requires_grad_() for name, value in logits.items()}
    counts_B = method.counts(obs).to(torch.float64)
    weight_B = counts_B if obs.weight_B is None else counts_B * obs.weight_B
    loss_B = method.loss(_by_row(method, leaves, obs, cell_B), replace(obs, weight_B=weight_B))
    expected = (loss_B * weight_B).sum() / weight_B.sum()
    slopes = torch.autograd.grad(expected, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaves[name]) if slope is None else slope
        for name, slope in zip(leaves, slopes, strict=True)
    }


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
