"""Logs whose truth is known: simulated users on real text."""

from __future__ import annotations

from tacit.worlds.base import stdlib_base
from tacit.worlds.policy_shift import best_of_n_weights
from tacit.worlds.registry import make, names
from tacit.worlds.simulate import Outcome, simulate
from tacit.worlds.users import DemoWorld, Truth, demo_world
from tacit.worlds.world import World, WorldTruth

__all__ = [
    "DemoWorld",
    "Outcome",
    "Truth",
    "World",
    "WorldTruth",
    "best_of_n_weights",
    "demo_world",
    "make",
    "names",
    "simulate",
    "stdlib_base",
]
