"""Nuisances as stages of a fit: small methods whose out-of-fold predictions become columns of the next ones."""

from __future__ import annotations

from tacit.methods.stages.selection import Selection
from tacit.methods.stages.surrogate import Surrogate

__all__ = ["Selection", "Surrogate"]
