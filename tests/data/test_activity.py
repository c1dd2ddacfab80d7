"""`user_activity`: what a log with users knows of who acts, from what they did elsewhere."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tacit
from tacit.data import FeedbackLog, Roles, Signal
from tacit.data.activity import user_activity
from tacit.errors import DataError, IdentificationWarning
from tacit.worlds import make, stdlib_base

ROLES = Roles(signals=(Signal("copied"),), context=("user_activity",), user_id="who")


def rate(x_N: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x_N)))


def log_of(roles: Roles = ROLES, **columns: list[object]) -> FeedbackLog:
    rows = len(next(iter(columns.values())))
    texts = {"prompt": [f"question {i}" for i in range(rows)], "response": ["answer"] * rows}
    return FeedbackLog.from_columns({**texts, **columns}, roles, "log.jsonl")


def activity(log: FeedbackLog) -> np.ndarray:
    return log.context_columns()["user_activity"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.integers(-1, 4), st.integers(0, 5)),
        min_size=1,
        max_size=40,
    )
)
def test_it_is_the_smoothed_rate_of_the_users_rows_at_other_prompts(
    rows: list[tuple[bool, bool, int, int]],
) -> None:
    acted_N, known_N, user_N, prompt_N = (np.array(column) for column in zip(*rows, strict=True))
    acted_N = acted_N & known_N
    found_N = user_activity(acted_N, known_N, user_N, prompt_N)
    assert np.isfinite(found_N).all()

    share = acted_N[known_N].mean() if known_N.any() else 0.0
    if not 0 < share < 1:
        assert not found_N.any()
        return
    weights = set()
    for i in range(len(rows)):
        elsewhere = known_N & (user_N == user_N[i]) & (prompt_N != prompt_N[i]) & (user_N[i] >= 0)
        n, s = elsewhere.sum(), acted_N[elsewhere].sum()
        x = rate(found_N[i])
        if n == 0 or abs(x - share) < 1e-12:
            assert x == pytest.approx(share)
        else:  # x = (s + m·share) / (n + m), with one m of at least 1 for all rows
            weights.add(round(float((s - n * x) / (x - share)), 6))
    assert all(weight >= 1 - 1e-6 for weight in weights)
    assert not weights or max(weights) - min(weights) < 1e-4 * max(weights)


def test_given_the_activity_clicks_are_still_preference_times_propensity_exactly() -> None:
    # Two sorts of users (e = .2, .8) at two sorts of answers (r = .25, .75); each saw one more, of r = .5, elsewhere.
    # 1000 users for each sort of both, in the exact proportions of the law, so that means are expectations.
    users: list[tuple[float, int, int]] = []
    for e, r, y, other in itertools.product((0.2, 0.8), (0.25, 0.75), (0, 1), (0, 1)):
        chance = (e * r if y else 1 - e * r) * (e * 0.5 if other else 1 - e * 0.5)
        users += [(r, y, other)] * round(1000 * chance)
    r_U, y_U, other_U = (np.array(column) for column in zip(*users, strict=True))
    U = len(users)
    assert U == 4000
    acted_N = np.concatenate([y_U, other_U]) == 1
    prompt_N = np.concatenate([np.where(r_U < 0.5, 0, 1), np.full(U, 2)])
    x_U = user_activity(acted_N, np.ones(2 * U, dtype=bool), np.tile(np.arange(U), 2), prompt_N)[:U]

    assert len(np.unique(x_U)) == 2  # of those who acted elsewhere, and of those who did not
    for x in np.unique(x_U):
        low, high = (y_U[(x_U == x) & (r_U == r)].mean() for r in (0.25, 0.75))
        assert high / low == pytest.approx(3.0, abs=1e-12)  # the preferences' ratio, in either group
    assert y_U[x_U == x_U.max()].mean() > 1.5 * y_U[x_U == x_U.min()].mean()


def test_it_is_the_posterior_mean_where_users_rates_follow_a_beta_law() -> None:
    # Beta(2, 3), two rows each: 0, 1 and 2 acts of users in the exact proportions .4, .4, .2.
    acts_U = np.repeat([0, 1, 2], [4000, 4000, 2000])
    acted_N = np.concatenate([acts_U > 0, acts_U > 1])
    user_N, prompt_N = np.tile(np.arange(10_000), 2), np.repeat([0, 1], 10_000)
    x_N = user_activity(acted_N, np.ones(20_000, dtype=bool), user_N, prompt_N)
    elsewhere_N = np.concatenate([acts_U > 1, acts_U > 0])
    assert rate(x_N[elsewhere_N]) == pytest.approx(3 / 6, abs=1e-4)  # (2 + 1) / (2 + 3 + 1)
    assert rate(x_N[~elsewhere_N]) == pytest.approx(2 / 6, abs=1e-4)


@pytest.mark.parametrize(
    ("acted", "users", "prompts"),
    [
        ([1, 0, 0, 1, 0, 0], [0] * 6, range(6)),  # one user
        ([1, 0, 0, 1, 0, 0], range(6), range(6)),  # nobody returns
        ([1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 2, 2], range(6)),  # all alike
        ([1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2]),  # each at one prompt
        ([1] * 6, [0, 0, 1, 1, 2, 2], range(6)),
        ([0] * 6, [0, 0, 1, 1, 2, 2], range(6)),
    ],
)
def test_it_is_constant_where_users_tell_nothing_of_each_other(
    acted: list[int], users: list[int], prompts: list[int]
) -> None:
    x_N = user_activity(np.array(acted) == 1, np.ones(6, dtype=bool), np.array(users), np.array(prompts))
    assert np.ptp(x_N) == 0


def test_any_signal_counts_and_a_row_that_showed_none_does_not() -> None:
    roles = Roles(
        signals=(
            Signal("copied"),
            Signal("down", polarity=-1, exposure="has_thumbs"),
            Signal("rated", kind="explicit"),
        ),
        context=("user_activity",),
        user_id="who",
    )
    both = log_of(
        roles,
        who=["a"] * 4 + ["b"] * 4,
        copied=[1, 0, 0, None, 0, 0, 0, 0],
        down=[0, 1, 0, 0, 1, 0, 0, 0],
        has_thumbs=[1, 1, 1, 0, 0, 0, 0, 0],  # b's thumb down is none
        rated=[None, None, 0, None, None, None, None, None],
    )
    acted = [True, True, True, False, False, False, False, False]
    whole = user_activity(np.array(acted), np.ones(8, dtype=bool), np.repeat([0, 1], 4), np.arange(8))
    np.testing.assert_array_equal(activity(both), whole)  # a label could have been given on every row
    seen = both.with_roles(signals=(Signal("copied"),), context=())
    rows = FeedbackLog.from_columns(
        {name: seen.column(name) for name in ("prompt", "response", "copied", "who")}, ROLES
    )
    known = np.array([True] * 3 + [False] + [True] * 4)
    once = user_activity(np.arange(8) == 0, known, np.repeat([0, 1], 4), np.arange(8))
    np.testing.assert_array_equal(activity(rows), once)


def test_a_user_of_no_name_is_nobodys_twin() -> None:
    log = log_of(who=["a", "a", "b", "b", None, None], copied=[1, 1, 0, 0, 1, 1])
    share = 4 / 6
    assert rate(activity(log))[4:].tolist() == pytest.approx([share, share])
    assert rate(activity(log))[0] > share > rate(activity(log))[2]


def test_a_column_of_that_name_is_taken_as_it_is_and_parts_of_a_log_keep_theirs() -> None:
    own = log_of(who=["a", "a", "b"], copied=[1, 1, 0], user_activity=[3.0, 2.0, 1.0])
    assert activity(own).tolist() == [3.0, 2.0, 1.0]
    computed = log_of(who=["a", "a", "b", "b"], copied=[1, 1, 0, 0])
    part = computed.take([2, 0])
    assert activity(part).tolist() == activity(computed)[[2, 0]].tolist()
    assert activity(part.with_roles(gold=None)).tolist() == activity(part).tolist()


def test_other_signals_make_it_anew() -> None:
    columns = {"who": ["a", "a", "b", "b"], "copied": [1, 1, 0, 0], "down": [0, 0, 1, 1]}
    other = replace(ROLES, signals=(Signal("down", -1),))
    moved = log_of(**columns).take([0, 1, 2, 3]).with_roles(signals=other.signals)
    assert activity(moved).tolist() == activity(log_of(other, **columns)).tolist()
    assert moved.fingerprint() == log_of(other, **columns).fingerprint()
    own = log_of(**columns, user_activity=[3.0, 2.0, 1.0, 0.0]).with_roles(signals=other.signals)
    assert activity(own).tolist() == [3.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user_id": None}, "the log names no users; name them: --user-id COLUMN, in Python user_id=COLUMN"),
        ({"signals": ()}, "the log names no signals; name them: --signal COLUMN, in Python signals="),
        ({"user_id": "whom"}, r"no column 'whom' \(wanted as user_id\); did you mean 'who'"),
    ],
)
def test_what_it_needs_is_told_in_one_line(change: dict[str, object], said: str) -> None:
    roles = replace(ROLES, **change)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=rf"^log\.jsonl: [^\n]*{said}[^\n]*$"):
        log_of(roles, who=["a", "b"], copied=[1, 0])


def test_another_log_is_read_as_the_fits_was_where_it_names_users(tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    rows = [
        json.dumps({"prompt": f"p{i}", "response": "r", "who": f"u{i % 2}", "copied": i % 2})
        for i in range(6)
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    assert FeedbackLog.read(path, like=ROLES, partly=True).roles.context == ("user_activity",)
    path.write_text("\n".join(row.replace("who", "other") for row in rows), encoding="utf-8")
    assert FeedbackLog.read(path, like=ROLES, partly=True).roles.context == ()
    with pytest.raises(DataError, match="the log names no users"):
        FeedbackLog.read(path, like=ROLES)


def test_users_who_act_unequally_narrow_what_one_signal_leaves_open() -> None:
    log = make("users", stdlib_base(limit=600), seeds=1, zipf=0.5, people=60).log
    knobs = {"members": 2, "hidden": (), "weight_decay": 1.0, "max_epochs": 20}

    def open_range(*context: str) -> float:
        rm = tacit.fit(log.with_roles(context=context), encoder="hashing:32", config=knobs)
        low, high = rm.info["metrics"]["base_rate_bounds"]
        return float(high - low)

    with pytest.warns(IdentificationWarning):
        without = open_range()
    assert open_range("user_activity") < without - 0.1
