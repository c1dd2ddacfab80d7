"""Pairs within prompts: who meets whom, what a row's mean is, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tacit.errors import DegenerateDataError
from tacit.methods import observations
from tacit.methods.pairs import (
    PARTNERS,
    Pairs,
    in_company,
    in_contrast,
    ordered_pairs,
    pairs_within,
    refuse_unpaired,
)

GROUPS = st.lists(st.integers(0, 4), min_size=0, max_size=30)
FEW = st.lists(st.integers(0, 4), min_size=0, max_size=PARTNERS + 1)  # no prompt can have more rows than that


@given(FEW)
@example([0] * (PARTNERS + 1))
@settings(max_examples=60, deadline=None)
def test_with_few_rows_all_ordered_pairs_of_a_prompt_occur_once(groups: list[int]) -> None:
    i, j = ordered_pairs(torch.tensor(groups, dtype=torch.int64))
    found = list(zip(i.tolist(), j.tolist(), strict=True))
    n = range(len(groups))
    assert sorted(found) == [(a, b) for a in n for b in n if a != b and groups[a] == groups[b]]


@given(GROUPS, st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_every_row_meets_equally_many_others_and_is_met_as_often(groups: list[int], partners: int) -> None:
    i, j = ordered_pairs(torch.tensor(groups, dtype=torch.int64), partners)
    pairs = set(zip(i.tolist(), j.tolist(), strict=True))
    assert len(pairs) == len(i)
    assert all(a != b and groups[a] == groups[b] for a, b in pairs)
    wanted = [min(partners, groups.count(group) - 1) for group in groups]
    assert torch.bincount(i, minlength=len(groups)).tolist() == wanted
    assert torch.bincount(j, minlength=len(groups)).tolist() == wanted


def test_the_pairs_of_a_large_prompt_grow_with_its_rows_and_not_with_their_square() -> None:
    group = torch.zeros(500, dtype=torch.int64)
    assert len(ordered_pairs(group)[0]) == 500 * PARTNERS


def test_row_means_divide_by_the_usable_partners_of_each_member() -> None:
    i = torch.tensor([0, 0, 1, 2])
    value = torch.tensor([[1.0, 3.0, 5.0, 7.0], [2.0, 4.0, 6.0, 8.0]])
    every = Pairs(i, i, 4, torch.ones(4, dtype=torch.bool))
    assert every.row_means(value).tolist() == [[2, 5, 7, 0], [3, 6, 8, 0]]
    some = Pairs(i, i, 4, torch.tensor([[True, False, True, False], [True, True, True, True]]))
    assert some.row_means(value).tolist() == [[1, 5, 0, 0], [3, 6, 8, 0]]
    assert some.row_means(value[0]).tolist() == [[1, 5, 0, 0], [2, 5, 7, 0]]


def test_a_partner_of_another_members_fold_is_not_used() -> None:
    obs = observations(torch.ones(4), groups=torch.tensor([0, 0, 0, 1]))
    obs = replace(obs, weight_B=torch.tensor([[1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]]))
    pairs = pairs_within("test", obs, torch.tensor([True, True, True, True]))
    for m, wanted in enumerate(({(0, 1), (1, 0)}, {(1, 2), (2, 1)})):
        used = pairs.usable_P[m]
        assert set(zip(pairs.i_P[used].tolist(), pairs.j_P[used].tolist(), strict=True)) == wanted
    unknown = pairs_within("test", replace(obs, weight_B=None), torch.tensor([True, True, False, True]))
    assert int(unknown.usable_P.sum()) == 2


def test_averaged_row_terms_have_the_weighted_mean_over_pairs_of_each_member() -> None:
    obs = observations(torch.ones(5), groups=torch.tensor([0, 0, 0, 1, 1]))
    weight_MB = torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0]])
    pairs = pairs_within("test", replace(obs, weight_B=weight_MB), torch.ones(5, dtype=torch.bool))
    value_P = torch.arange(1.0, len(pairs.i_P) + 1)
    w_P = torch.arange(len(pairs.i_P)) % 3 + 1.0
    rows_MB = pairs.averaged(value_P, w_P, replace(obs, weight_B=weight_MB))
    for m in range(2):
        own = pairs.usable_P[m]
        wanted = (value_P * w_P)[own].sum() / w_P[own].sum()
        mean = (rows_MB[m] * weight_MB[m]).sum() / weight_MB[m].sum()
        torch.testing.assert_close(mean, wanted)
    assert not pairs.averaged(value_P, torch.zeros_like(w_P), obs).any()  # no weight: 0 and no NaN


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=12))
@settings(max_examples=80, deadline=None)
def test_rows_in_company_and_in_contrast(rows: list[tuple[int, bool, bool]]) -> None:
    group = torch.tensor([row[0] for row in rows])
    label = torch.tensor([[float(row[1]) for row in rows], [1.0] * len(rows)])  # two members
    known = torch.tensor([row[2] for row in rows])
    company = [k and sum(g2 == g and k2 for g2, _, k2 in rows) > 1 for g, _, k in rows]
    contrast = [k and {l2 for g2, l2, k2 in rows if g2 == g and k2} == {True, False} for g, _, k in rows]
    assert in_company(group, known).tolist() == company
    assert in_contrast(group, label, known).tolist() == [contrast, [False] * len(rows)]


def test_without_prompts_or_pairs_there_is_one_clear_line() -> None:
    label, known = torch.tensor([1.0, 0.0]), torch.tensor([True, True])
    with pytest.raises(DegenerateDataError, match="supply groups"):
        refuse_unpaired("bpr", label, known, observations(label))
    with pytest.raises(DegenerateDataError, match="none of 2 prompts has answers of both labels"):
        refuse_unpaired("bpr", label, known, observations(label, groups=torch.tensor([4, 9])))
    refuse_unpaired("bpr", label, known, observations(label, groups=torch.tensor([4, 4])))
    with pytest.raises(DegenerateDataError):
        refuse_unpaired(
            "bpr", label, torch.tensor([True, False]), observations(label, groups=torch.tensor([4, 4]))
        )
