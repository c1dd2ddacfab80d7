"""Batches of whole prompts: every row once, no prompt torn, the order of the shuffle."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.training.engine import batches


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 12), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_batches_hold_whole_prompts_in_the_order_of_the_shuffle(
    groups: list[int], size: int, seed: int
) -> None:
    group_N = torch.tensor(groups) * 3 - 5  # names are any integers
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(groups), generator=generator)
    shuffled = order[: max(1, len(groups) - seed)]  # a member's rows, not all of the log
    steps = batches(shuffled, size, group_N)
    together = torch.cat(steps)
    assert sorted(together.tolist()) == sorted(shuffled.tolist())
    seen = [set(group_N[rows].tolist()) for rows in steps]
    assert all(not (a & b) for s, a in enumerate(seen) for b in seen[s + 1 :])
    firsts = list(dict.fromkeys(group_N[shuffled].tolist()))
    assert list(dict.fromkeys(group_N[together].tolist())) == firsts  # prompts by their first row
    place = {row: n for n, row in enumerate(shuffled.tolist())}
    for group in firsts:  # and rows of a prompt as shuffled
        places = [place[row] for row in together.tolist() if group_N[row] == group]
        assert places == sorted(places)
    largest = max(groups.count(group) for group in groups)
    assert len(steps) <= -(-len(shuffled) // size)
    assert all(0 < len(rows) < size + largest for rows in steps)


def test_without_prompts_rows_are_cut_anywhere() -> None:
    assert [rows.tolist() for rows in batches(torch.tensor([4, 2, 0]), 2, None)] == [[4, 2], [0]]
