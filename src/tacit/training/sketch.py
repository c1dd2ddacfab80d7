"""A few numbers per row that keep who is near whom: for losses that compare neighbours but see no features."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.training.views import View

_SAMPLE = 4096
"""Rows from which the directions are found."""


@torch.no_grad()
def sketch(view: View, rows: int, width: int) -> dict[str, Tensor]:
    """The leading principal coordinates of a view, as columns `sketch0`.. [N] of the observations.

    With `width` or fewer features nothing is lost: the coordinates are the features, rotated about their mean.

    Args:
        view: standardised features.
        rows: N.
        width: coordinates to keep, at most.
    """
    every = torch.arange(rows)
    sample = view.rows(every if rows <= _SAMPLE else torch.linspace(0, rows - 1, _SAMPLE).long())
    mean_D = sample.mean(0)
    if view.width <= 4 * width:
        _, _, directions = torch.linalg.svd(sample - mean_D, full_matrices=False)
        V_Dd = directions[:width].T
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a fit is a function of its inputs and seed alone
            V_Dd = torch.svd_lowrank(sample - mean_D, q=width, niter=4)[2]
    parts = [(view.rows(chunk) - mean_D) @ V_Dd for chunk in every.split(_SAMPLE)]
    return {f"sketch{i}": value for i, value in enumerate(torch.cat(parts).T.contiguous())}
