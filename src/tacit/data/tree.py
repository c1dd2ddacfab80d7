"""Conversations that branch: every message names the one before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def rows_above(row: int, index: Mapping[Any, int], parents: Sequence[Any]) -> list[int] | None:
    """Rows from the root down to the parent of `row`, or None where one is missing, or none is, or the chain loops.

    Args:
        row: position of a message.
        index: position by id.
        parents: id of the message before, None at a root; by position.

    Example:
        >>> rows_above(2, {"a": 0, "b": 1, "c": 2}, [None, "a", "b"])
        [0, 1]
        >>> rows_above(0, {"a": 0}, ["a"]) is None
        True
    """
    path: list[int] = []
    above = parents[row]
    while above is not None:
        if above not in index or len(path) > len(index):
            return None
        path.append(index[above])
        above = parents[path[-1]]
    return path[::-1] or None
