"""Logs whose truth is known: simulated users on real text."""

from __future__ import annotations

from tacit.worlds.base import stdlib_base
from tacit.worlds.explicit import labelled
from tacit.worlds.policy_shift import best_of_n_weights
from tacit.worlds.registry import make, names
from tacit.worlds.scene import Scene, assemble, one_signal, record
from tacit.worlds.simulate import Outcome, simulate
from tacit.worlds.users import DemoWorld, Truth, demo_world
from tacit.worlds.world import World, WorldTruth

__all__ = [
    "DemoWorld",
    "Outcome",
    "Scene",
    "Truth",
    "World",
    "WorldTruth",
    "assemble",
    "best_of_n_weights",
    "demo_world",
    "labelled",
    "make",
    "names",
    "one_signal",
    "record",
    "simulate",
    "stdlib_base",
]
