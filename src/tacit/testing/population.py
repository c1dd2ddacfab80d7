"""A small population of which everything is known, and every outcome of it as a row that weighs its probability.

    implicit: r* ~ Bern(r), a ~ Bern(e), y = r*·a      explicit: o ~ Bern(p), and the label is r* flipped with ρ01, ρ10

Shapes: X cells, B rows (outcomes of cells).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tacit.methods import Method, Observations, observations
from tacit.testing.trials import with_nuisances

CELLS = 5
_UNSEEN = (0.05, 0.4, 0.1, 0.25, 0.3)
"""How much the rows without a visible signal weigh, by cell; all others together weigh 1."""


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


class _Recording(dict[str, Tensor]):
    """Columns that remember which of them were asked for."""

    def __init__(self, columns: Mapping[str, Tensor]) -> None:
        super().__init__(columns)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.asked.add(name)
        return super().__getitem__(name)


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
    told = asked(method, explicit)
    if ("p" not in told) if explicit else ("e" not in told and bool(told & {"prior", "frequency"})):
        acts_X = torch.full_like(acts_X, 0.45)
    rho01, rho10 = flips("rho01", 0.1), flips("rho10", 0.2)
    return Population(share_X / share_X.sum(), liked_X, acts_X, rho01, rho10, explicit)


def outcomes(world: Population, *, unseen: bool = False) -> tuple[Observations, Tensor]:
    """Every outcome as a row, weighed by its probability, with the true columns; and the cell of each row [B].

    Args:
        world: the truth.
        unseen: beside them a row of each cell whose signal could not have been recorded, in some cells more of them
            than in others. They say nothing, and leave the truth as it is.
    """
    rows = [(x, _UNSEEN[x], float("nan")) for x in range(CELLS)] if unseen else []
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
        columns=true_columns(world, cell_B),
    )
    return replace(obs, weight_B=torch.tensor([weight for _, weight, _ in rows], dtype=torch.float64)), cell_B


def true_columns(world: Population, cell_B: Tensor) -> dict[str, Tensor]:
    """The true nuisances of rows of these cells, by the names that losses read."""
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


def asked(method: Method, explicit: bool) -> set[str]:
    """Names of the columns that the loss reads."""
    half_X = torch.full((CELLS,), 0.5, dtype=torch.float64)
    flips = 0.1 if explicit else 0.0
    obs, cell_B = outcomes(Population(half_X / half_X.sum(), half_X, half_X, flips, flips, explicit))
    obs = with_nuisances(method, obs)
    columns = _Recording(obs.columns)
    zeros = {name: torch.zeros_like(value) for name, value in random_by_cell(method, obs, 0).items()}
    method.loss(by_row(method, zeros, obs, cell_B), replace(obs, columns=columns))
    return columns.asked


def random_by_cell(method: Method, obs: Observations, seed: int) -> dict[str, Tensor]:
    """Random logits that the rows of a cell share, [X] or [X, K]; [1] or [1, K] for a constant."""
    generator = torch.Generator().manual_seed(100 + seed)
    logits = {}
    for head in method.heads(obs):
        cells = 1 if head.view == "none" else CELLS
        shape = (cells,) if head.scalar else (cells, len(head.bias))
        logits[head.name] = torch.randn(shape, generator=generator, dtype=torch.float64)
    return logits


def by_row(
    method: Method, logits: Mapping[str, Tensor], obs: Observations, cell_B: Tensor
) -> dict[str, Tensor]:
    """Logits of cells dealt out to their rows; a constant stays one number."""
    constant = {head.name for head in method.heads(obs) if head.view == "none"}
    return {name: value if name in constant else value[cell_B] for name, value in logits.items()}
