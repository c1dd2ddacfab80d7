"""What one signal leaves open of the share of liked responses, pinned by enumeration."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tacit.methods import level_bounds

LIKE = torch.tensor([0.1, 0.35, 0.8], dtype=torch.float64)  # r of three responses
ACT = torch.tensor([0.2, 0.7], dtype=torch.float64)  # e of two contexts


def every_row(like_R: Tensor, act_C: Tensor) -> tuple[Tensor, Tensor]:
    """Each response in each context."""
    return like_R.repeat_interleave(len(act_C)), act_C.repeat(len(like_R))


def test_within_the_bounds_the_clicks_are_the_same_and_beyond_them_nobody_could_like_or_act_so() -> None:
    low, high = level_bounds(*every_row(LIKE, ACT))
    share = float(LIKE.mean())
    for level in (low, share, high):
        k = level / share
        torch.testing.assert_close(k * LIKE[:, None] * (ACT / k), LIKE[:, None] * ACT, rtol=0, atol=1e-15)
        assert float((k * LIKE).max()) <= 1 + 1e-5 and float((ACT / k).max()) <= 1 + 1e-5
    assert float((ACT / (low / share * 0.99)).max()) > 1 and float((high / share * 1.01 * LIKE).max()) > 1


def test_parts_that_no_context_links_have_a_factor_each_and_every_such_pair_gives_the_same_clicks() -> None:
    like_N, act_N = every_row(LIKE, ACT)
    other_like_N, other_act_N = every_row(LIKE[:2] / 2, ACT / 2)
    both = torch.cat([like_N, other_like_N]), torch.cat([act_N, other_act_N])
    part_N = torch.tensor([4] * len(like_N) + [1] * len(other_like_N))
    share = len(like_N) / len(part_N)
    ends = level_bounds(like_N, act_N), level_bounds(other_like_N, other_act_N)
    apart = [share * one + (1 - share) * other for one, other in zip(*ends, strict=True)]
    assert level_bounds(*both, part_N) == pytest.approx(apart, abs=2e-6)
    low, high = level_bounds(*both)  # one factor for both: 0.7 to 1/0.8
    assert apart[0] < low - 0.01 and high + 0.01 < apart[1]


def test_one_row_in_a_hundred_does_not_close_the_bounds() -> None:
    like_N, act_N = torch.full((1000,), 0.5), torch.full((1000,), 0.5)
    like_N[:10], act_N[10:20] = 0.999, 0.999
    low, high = level_bounds(like_N, act_N)
    assert low == pytest.approx(0.5 * (0.5 * 990 + 0.999 * 10) / 1000, abs=1e-6)
    assert high == pytest.approx(1.0, abs=1e-6)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_the_estimate_lies_between_its_bounds(rows: list[tuple[float, float]]) -> None:
    like_N, act_N = (torch.tensor(values) for values in zip(*rows, strict=True))
    low, high = level_bounds(like_N, act_N)
    assert 0 <= low <= float(like_N.double().mean()) + 1e-6
    assert float(like_N.double().mean()) - 1e-6 <= high <= 1
