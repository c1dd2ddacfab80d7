"""Logs whose truth is known: simulated users on real text."""

from __future__ import annotations

from tacit.worlds.simulate import Outcome, simulate
from tacit.worlds.users import DemoWorld, Truth, demo_world

__all__ = ["DemoWorld", "Outcome", "Truth", "demo_world", "simulate"]
