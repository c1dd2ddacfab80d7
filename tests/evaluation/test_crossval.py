"""Cross-validation never shows a row's own unit to the team that judges it, nor gold to an honest method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_log import ENCODER, QUICK, columns, log_of

from tacit import methods
from tacit.data import FeedbackLog
from tacit.errors import ConfigError, DataError, DegenerateDataError
from tacit.evaluation import crossval
from tacit.evaluation.crossval import cross_validate, truths, unit_of
from tacit.evaluation.table import Predictions
from tacit.fitting import prepare
from tacit.training.config import TrainingConfig
from tacit.training.roster import Roster
from tacit.training.selection import train_best
from tacit.training.views import Views

HONEST = (methods.Constant(), methods.Length(), methods.Naive(), methods.ImplicitRM())


def predicted(log: FeedbackLog, *wanted: methods.Method, by: str | None = None) -> list[Predictions]:
    return cross_validate(prepare(log, ENCODER), wanted, folds=3, by=by, config=QUICK)


def test_gold_never_reaches_an_honest_method_and_does_reach_the_oracle() -> None:
    table = columns()
    shuffled = table | {"gold": np.random.default_rng(1).permutation(table["gold"]).tolist()}
    seen = predicted(log_of(table, gold="gold"), *HONEST, methods.Oracle())
    other = predicted(log_of(shuffled, gold="gold"), *HONEST, methods.Oracle())
    for before, after in zip(seen[:-1], other[:-1], strict=True):
        assert before.protocol == "honest"
        np.testing.assert_array_equal(before.score_N, after.score_N, before.method)
    assert seen[-1].protocol == "oracle"
    assert not np.array_equal(seen[-1].score_N, other[-1].score_N)


@pytest.mark.parametrize("by", ["prompt_id", "user_id"])
def test_a_row_is_judged_by_a_team_that_never_saw_the_labels_of_its_fold(by: str) -> None:
    table = columns()
    log = log_of(table, user_id="user")
    in_fold_N = log.folds(3, by=by, seed=QUICK.seed + crossval._OUTER) == 0
    flipped = [int(1 - y) if held else y for y, held in zip(table["copied"], in_fold_N, strict=True)]
    content = HONEST[1:]  # `constant` is one number for the whole table; its likelihood is tested below
    seen = predicted(log, *content, by=by)
    other = predicted(log_of(table | {"copied": flipped}, user_id="user"), *content, by=by)
    for before, after in zip(seen, other, strict=True):
        np.testing.assert_array_equal(before.score_N[in_fold_N], after.score_N[in_fold_N], before.method)
        assert not np.array_equal(before.score_N[~in_fold_N], after.score_N[~in_fold_N])


@pytest.mark.parametrize("by", ["prompt_id", "user_id"])
def test_folds_never_split_a_unit(by: str) -> None:
    log = log_of(columns(), user_id="user")
    fold_N, unit_N = log.folds(3, by=by, seed=0), log.codes(by)
    assert all(len(set(fold_N[unit_N == unit])) == 1 for unit in set(unit_N.tolist()))


def test_every_member_of_every_team_holds_rows_out_that_its_team_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Drawn alike, an outer fold was what one member holds out: it was judged by the rows that it learned."""
    rosters: list[Roster] = []

    def noting(method: methods.Method, views: Views, obs: Any, who: Roster, config: TrainingConfig) -> Any:
        rosters.append(who)
        return train_best(method, views, obs, who, config)

    monkeypatch.setattr(crossval, "train_best", noting)
    config = QUICK.model_copy(update={"members": 5, "max_epochs": 1})
    cross_validate(prepare(log_of(columns(prompts=50)), ENCODER), [methods.Naive()], folds=5, config=config)
    (who,) = rosters
    held = [int((who.rows_MN[m] & (who.fold_N == fold)).sum()) for m, fold in enumerate(who.hold_out)]
    assert (
        len(held) == 25 and min(held) >= 10
    )  # of 30 rows that each holds out, 24 are its team's in the mean


def test_the_likelihood_of_every_row_is_held_out_and_finite() -> None:
    for found in predicted(log_of(columns()), *HONEST):
        assert np.isfinite(found.score_N).all()
        if found.log_likelihood_N is not None:
            assert np.isfinite(found.log_likelihood_N).all()
            assert (found.log_likelihood_N <= 1e-6).all()


def test_the_constants_likelihood_of_a_fold_is_by_the_rate_of_the_others() -> None:
    """The one prediction that can be written down: it starts at a rate, which must not be that of all rows."""
    table = columns()
    log = log_of(table)
    fold_N, y_N = log.folds(3, by="prompt_id", seed=QUICK.seed + crossval._OUTER), np.array(table["copied"])
    in_fold_N = fold_N == 0

    def p_click(flip: bool) -> float:
        changed_N = np.where(in_fold_N & flip, 1 - y_N, y_N)
        (found,) = predicted(log_of(table | {"copied": changed_N.tolist()}), methods.Constant())
        assert found.log_likelihood_N is not None
        return float(np.exp(found.log_likelihood_N[in_fold_N & (changed_N == 1)]).mean())

    assert p_click(flip=False) == pytest.approx(p_click(flip=True), abs=1e-6)
    assert p_click(flip=False) == pytest.approx(y_N[~in_fold_N].mean(), abs=0.03)


def test_more_folds_than_units_is_refused() -> None:
    with pytest.raises(DataError, match="small: 99 folds need at least 99 different prompt_id, found 30"):
        cross_validate(prepare(log_of(columns()), ENCODER), HONEST, folds=99, config=QUICK)
    with pytest.raises(ConfigError, match="1 folds"):
        cross_validate(prepare(log_of(columns()), ENCODER), HONEST, folds=1, config=QUICK)


def test_a_method_with_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DegenerateDataError, match="none of 90 rows is positive"):
        predicted(log_of(columns() | {"copied": [0] * 90}), methods.ImplicitRM())


def test_units_are_sessions_then_users_then_prompts() -> None:
    table = columns()
    assert unit_of(log_of(table)) == "prompt_id"
    assert unit_of(log_of(table, user_id="user")) == "user_id"
    assert unit_of(log_of(table, user_id="user", session_id="llm")) == "session_id"


def test_rows_of_no_known_user_are_drawn_and_counted_by_prompt_and_not_as_one_user() -> None:
    table = columns()
    log = log_of(table | {"user": [None] * len(table["user"])}, user_id="user")
    prompts = len(set(log.prompt_codes().tolist()))
    assert len(set(truths(log).units_N.tolist())) == prompts
    assert (
        predicted(log, methods.Constant())[0].method == "constant"
    )  # one user would be refused: 3 folds need 3


def test_truths_hold_what_the_log_knows_and_nan_elsewhere() -> None:
    table = columns() | {"rank": [i % 3 if i > 5 else None for i in range(90)]}
    truth = truths(log_of(table, rank="rank", user_id="user"))
    assert truth.gold_N is None
    assert truth.rank_N is not None
    assert np.isnan(truth.rank_N[:6]).all()
    assert np.isfinite(truth.rank_N[6:]).all()
    assert len(set(truth.units_N.tolist())) == 10
    assert len(set(truth.prompts_N.tolist())) == 30


def test_gold_of_the_training_part_is_used_on_request_and_on_request_only() -> None:
    table = columns()
    logs = [
        log_of(table | {"gold": gold}, gold="gold")
        for gold in (table["gold"], [1 - g for g in table["gold"]])
    ]
    blind, told = (
        [
            cross_validate(
                prepare(log, ENCODER), [methods.ImplicitRM()], folds=2, config=QUICK, use_gold=use
            )[0]
            for log in logs
        ]
        for use in (False, True)
    )
    np.testing.assert_array_equal(blind[0].score_N, blind[1].score_N)
    assert not np.array_equal(told[0].score_N, told[1].score_N)
    assert [p.protocol for p in blind + told] == ["honest"] * 2 + ["oracle"] * 2
