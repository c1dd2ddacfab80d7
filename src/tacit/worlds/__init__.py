"""Logs whose truth is known: simulated users on real text."""
