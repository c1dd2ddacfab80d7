"""What users did: feedback logs, their signals and roles, readers, published sets and grouped splits."""

from __future__ import annotations

from tacit.data.known_pairs import KnownPairs
from tacit.data.log import FeedbackLog
from tacit.data.quarantine import Quarantine
from tacit.data.roles import Roles
from tacit.data.signal import Signal
from tacit.data.summary import summarise

__all__ = ["FeedbackLog", "KnownPairs", "Quarantine", "Roles", "Signal", "summarise"]
