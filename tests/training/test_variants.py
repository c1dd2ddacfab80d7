"""Where a method leaves its form open, the held-out likelihood decides, team by team."""

from __future__ import annotations

import numpy as np
import torch

from tacit.features import Standardiser
from tacit.methods import LatentML, observations
from tacit.training.config import TrainingConfig
from tacit.training.roster import roster
from tacit.training.selection import train_best
from tacit.training.views import Block, View


def test_one_act_behind_three_signals_is_found_by_likelihood() -> None:
    rng = np.random.default_rng(0)
    N = 4000
    x, z = rng.normal(size=(N, 3)).astype(np.float32), rng.normal(size=(N, 1)).astype(np.float32)
    liked = rng.random(N) < 1 / (1 + np.exp(-2 * x[:, 0]))
    active = rng.random(N) < 1 / (1 + np.exp(-2 * z[:, 0]))
    hit = rng.random((N, 3)) < np.array([0.7, 0.6, 0.6])
    fires = np.stack([liked, liked, ~liked], axis=1) & active[:, None] & hit
    obs = observations(torch.from_numpy(fires.astype(np.float32)), polarity=(1, 1, -1))
    text, context = View("text", (Block.fit(x),)), View("context", (Block.fit(z),))
    assert isinstance(text.blocks[0].scaling, Standardiser)
    config = TrainingConfig(members=2, max_epochs=30, hidden=(), weight_decay=0.1, precision="fp32")
    (ensemble,), _ = train_best(
        LatentML(misclicks="zero"),
        {"reward": text, "propensity": context},
        obs,
        roster(np.arange(N), 2, 0),
        config,
    )
    assert "activity" in ensemble.layouts


def test_positive_signals_alone_never_get_a_gate() -> None:
    obs = observations(torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))
    assert [v.has_gate(obs) for v in LatentML().variants(obs)] == [False]  # type: ignore[attr-defined]
