"""Scoring: order, single or in a batch, every form of pair, uncertainty, strata, and what the fit is for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from toy_log import QUICK, columns, log_of, within_prompt_accuracy

from tacit import FeedbackLog, RewardModel, Signal, fit, methods
from tacit.data import Roles
from tacit.errors import ConfigError, DataError, DegenerateDataError, IdentificationWarning, TacitError
from tacit.evaluation.report import evaluate_model
from tacit.methods.latent_ml import telling
from tacit.model.description import describe_identification, identification_warnings
from tacit.model.scoring import sigmoid
from tacit.training.log_rows import holdout_groups, observe
from tacit.training.profile import level_profile
from tacit.training.roster import roster
from tacit.training.selection import held_out

TABLE = columns()
LOG = log_of(TABLE)
PAIRS = list(zip(TABLE["prompt"], TABLE["response"], strict=True))


@pytest.fixture(scope="module")
def rm() -> RewardModel:
    return fit(LOG, encoder="hashing:32", config=QUICK)


def test_a_score_alone_is_the_score_in_a_batch(rm: RewardModel) -> None:
    together = rm.score(PAIRS[:50])
    alone = [float(rm.score([pair])[0]) for pair in PAIRS[:50]]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_logit_has_one_probability_alone_and_among_others() -> None:
    logits = np.random.default_rng(0).normal(0, 3, 1003).astype(np.float32)
    together, alone = sigmoid(logits), [sigmoid(logits[i : i + 1])[0] for i in range(len(logits))]
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together, alone)


def test_scores_come_in_the_order_of_the_pairs(rm: RewardModel) -> None:
    order = np.random.default_rng(0).permutation(len(PAIRS))
    np.testing.assert_allclose(rm.score([PAIRS[i] for i in order]), rm.score(PAIRS)[order], atol=1e-5)


def test_tuples_mappings_chats_and_logs_score_alike(rm: RewardModel) -> None:
    few = PAIRS[:8]
    wanted = rm.score(few)
    forms = [
        [list(pair) for pair in few],
        [{"prompt": p, "response": r} for p, r in few],
        [{"prompt": p, "completion": r} for p, r in few],
        [([{"role": "user", "content": p}], r) for p, r in few],
        LOG.take(range(8)),
        FeedbackLog.from_columns({"prompt": [p for p, _ in few], "response": [r for _, r in few]}, Roles()),
    ]
    for form in forms:
        np.testing.assert_allclose(rm.score(form), wanted, atol=1e-5)  # type: ignore[arg-type]


def test_context_is_not_needed_to_score_and_does_not_move_the_score(rm: RewardModel) -> None:
    moved = log_of(dict(TABLE, slot=[1 - s for s in TABLE["slot"]]))
    np.testing.assert_array_equal(rm.score(moved), rm.score(LOG))


def test_probability_is_the_sigmoid_and_uncertainty_the_spread_of_members(rm: RewardModel) -> None:
    members = rm.member_scores(PAIRS)
    assert members.shape == (2, len(PAIRS)) and members.dtype == np.float32
    np.testing.assert_allclose(rm.score(PAIRS), members.mean(0), atol=1e-6)
    np.testing.assert_allclose(rm.uncertainty(PAIRS), members.std(0), atol=1e-6)
    np.testing.assert_allclose(rm.probability(PAIRS), 1 / (1 + np.exp(-rm.score(PAIRS))), atol=1e-6)
    assert rm.uncertainty(PAIRS).max() > 0


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["just text"], "pair 0: found str"),
        ([("q", "a"), ("q", "a", "b")], "pair 1: found tuple"),
        ([{"prompt": "q"}], "pair 0: found dict"),
        ([("q", "a"), ("q", None)], "every pair needs a text"),
    ],
)
def test_what_is_not_a_pair_is_refused_in_one_line(rm: RewardModel, pairs: list, words: str) -> None:
    with pytest.raises(TacitError, match=words) as refused:
        rm.score(pairs)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (None, "pairs: found None (NoneType), expected a list of"),
        ("just text", "pairs: found 'just text' (str), expected a list of"),
        (
            {"prompt": "q", "response": "a"},
            "pairs: found {'prompt': 'q', 'response': 'a'} (dict), expected a list",
        ),
        (
            pa.table({"q": ["q"], "response": ["a"]}),
            "pairs: Arrow table: no column 'prompt' (wanted as prompt)",
        ),
        (
            pa.table({"prompt": ["q", "q"], "response": ["a", None]}).to_pandas(),
            "pairs: 1 row quarantined: response is missing (1; data frame row 2); every pair needs a text",
        ),
    ],
)
def test_what_is_no_list_of_pairs_is_refused_in_one_line(rm: RewardModel, pairs: Any, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        rm.score(pairs)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_the_rows_of_a_table_are_pairs(rm: RewardModel) -> None:
    prompts, responses = (list(part) for part in zip(*PAIRS[:8], strict=True))
    # KTO by its columns, whose label would then have to be 0 or 1.
    table = pa.table({"prompt": prompts, "completion": responses, "label": [7] * 8})
    named = table.rename_columns(["prompt", "response", "label"])
    for pairs in (table, table.to_pandas(), named, named.to_pandas(), named.to_reader()):
        np.testing.assert_array_equal(rm.score(pairs), rm.score(PAIRS[:8]))
    assert rm.score(named.to_pandas()[:0]).shape == (0,)


def test_an_iterator_of_pairs_is_read_to_its_end(rm: RewardModel) -> None:
    prompts, responses = zip(*PAIRS[:8], strict=True)
    np.testing.assert_array_equal(rm.score(zip(prompts, responses, strict=True)), rm.score(PAIRS[:8]))
    assert rm.score(iter([])).shape == (0,)


def test_no_pairs_give_no_scores(rm: RewardModel) -> None:
    assert rm.score([]).shape == rm.probability([]).shape == rm.uncertainty([]).shape == (0,)


def test_strata_sum_to_one_and_clicks_are_positive_active(rm: RewardModel) -> None:
    phi = rm.strata(LOG)
    assert phi.shape == (len(LOG), 4)
    np.testing.assert_allclose(phi.sum(1), 1, atol=1e-5)
    clicked = np.array(TABLE["copied"]) == 1
    np.testing.assert_array_equal(phi[clicked], np.tile([1, 0, 0, 0], (clicked.sum(), 1)))
    assert (phi[~clicked, 0] == 0).all() and (phi[~clicked, 1:] > 0).all()


def test_a_row_that_could_not_be_recorded_keeps_its_prior(rm: RewardModel) -> None:
    unseen = log_of(dict(TABLE, copied=[None if i == 0 else y for i, y in enumerate(TABLE["copied"])]))
    phi = rm.strata(unseen)
    assert phi[0, 0] > 0 and phi[0].sum() == pytest.approx(1, abs=1e-5)
    assert phi[0, 0] + phi[0, 2] == pytest.approx(float(rm.probability(PAIRS[:1])[0]), abs=1e-5)


def test_strata_need_the_context_of_the_fit_and_the_method_that_has_them(rm: RewardModel) -> None:
    with pytest.raises(ConfigError, match="slot") as refused:
        rm.strata(log_of(TABLE, context=()))
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="names 0"):
        rm.strata(log_of(TABLE, signals=()))
    with pytest.raises(ConfigError, match="this one is naive"):
        fit(LOG, method="naive", encoder="hashing:32", config=QUICK).strata(LOG)


@pytest.mark.parametrize("seed", [0, 1])
def test_where_context_drives_clicks_implicit_rm_orders_answers_better_than_naive(seed: int) -> None:
    table = columns(prompts=400, seed=seed)
    log, config = log_of(table), QUICK.model_copy(update={"max_epochs": 40})
    found = {m: fit(log, method=m, encoder="hashing:32", config=config) for m in ("naive", "implicit_rm")}
    accuracy = {m: within_prompt_accuracy(rm.score(log), table["truth"]) for m, rm in found.items()}
    assert accuracy["implicit_rm"] > accuracy["naive"] + 0.02
    rate = {m: rm.info["metrics"]["base_rate"] for m, rm in found.items()}
    truth = float(np.mean(table["truth"]))
    assert abs(rate["implicit_rm"] - truth) < 0.1 < abs(rate["naive"] - truth)


def test_gold_that_no_role_names_cannot_move_a_single_bit(rm: RewardModel, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    golds = [TABLE["truth"], rng.permutation(TABLE["truth"]).tolist(), [None] * len(PAIRS)]
    for i, gold in enumerate(golds):
        fit(log_of(dict(TABLE, gold=gold)), encoder="hashing:32", config=QUICK).save(tmp_path / str(i))
    first = (tmp_path / "0" / "heads.safetensors").read_bytes()
    assert all((tmp_path / str(i) / "heads.safetensors").read_bytes() == first for i in (1, 2))
    rm.save(tmp_path / "without")
    assert (tmp_path / "without" / "heads.safetensors").read_bytes() == first


def test_gold_trains_only_where_it_is_asked_for(rm: RewardModel) -> None:
    named = log_of(TABLE, gold="truth")
    np.testing.assert_array_equal(
        fit(named, encoder="hashing:32", config=QUICK).score(PAIRS), rm.score(PAIRS)
    )
    used = fit(named, encoder="hashing:32", config=QUICK, use_gold=True)
    assert not np.array_equal(used.score(PAIRS), rm.score(PAIRS))


@pytest.mark.parametrize("key", ["naive", "bpr", "nnpu"])
def test_gold_is_refused_in_one_line_by_a_method_that_would_leave_it_unread(key: str) -> None:
    readers = "implicit_rm, latent_ml, latent_em, latent_pairs, known_propensity, oracle"
    said = rf"^{key} does not learn from trusted labels, [^\n]*one of {readers},[^\n]*$"
    with pytest.raises(ConfigError, match=said):
        fit(log_of(TABLE, gold="truth"), method=key, encoder="hashing:32", config=QUICK, use_gold=True)


def test_gold_that_no_row_has_is_refused_where_it_was_asked_for() -> None:
    empty = log_of({**TABLE, "truth": [None] * len(TABLE["truth"])}, gold="truth")
    with pytest.raises(DataError, match=r"column 'truth' \(gold\) is null in all \d+ rows"):
        fit(empty, encoder="hashing:32", config=QUICK, use_gold=True)


@pytest.mark.parametrize("method", ["naive", "constant", "length", "implicit_rm", "latent_ml"])
def test_gold_that_a_role_names_cannot_move_a_method_that_was_not_told_to_use_it(method: str) -> None:
    shuffled = np.random.default_rng(1).permutation(TABLE["truth"]).tolist()
    scores = [
        fit(log_of(table, gold="truth"), method=method, encoder="hashing:32", config=QUICK).score(PAIRS)
        for table in (TABLE, dict(TABLE, truth=shuffled))
    ]
    np.testing.assert_array_equal(scores[0], scores[1])


def test_thumbs_choose_the_latent_method_and_a_copy_chooses_implicit_rm(rm: RewardModel) -> None:
    assert rm.method.key == "implicit_rm"
    down = [int(t < 0.3 and y == 0) for t, y in zip(TABLE["truth"], TABLE["copied"], strict=True)]
    thumbs = log_of(dict(TABLE, down=down), signals=(Signal("copied"), Signal("down", polarity=-1)))
    found = fit(thumbs, encoder="hashing:32", config=QUICK)
    assert found.method.key == "latent_ml" and "activity" in found.ensemble.layouts
    assert np.isfinite(found.score(PAIRS)).all()


def test_signals_that_say_the_same_are_called_by_their_names() -> None:
    votes = {"up": TABLE["copied"], "down": [1 - value for value in TABLE["copied"]]}
    log = log_of({**TABLE, **votes}, signals=(Signal("copied"), Signal("up"), Signal("down", -1)))
    with pytest.raises(DegenerateDataError, match="latent_ml: 'copied' and 'up' say the same"):
        fit(log, encoder="hashing:32", config=QUICK)


def test_a_fit_that_cannot_tell_preference_from_style_says_so() -> None:
    with pytest.warns(IdentificationWarning, match="no context"):
        blind = fit(log_of(TABLE, context=()), encoder="hashing:32", config=QUICK)
    assert len(blind.info["identification"]["warnings"]) == 1
    with pytest.warns(IdentificationWarning, match="same features"):
        fit(LOG, encoder="hashing:32", propensity_features="text", config=QUICK)


def test_gold_is_advised_with_a_method_that_reads_it() -> None:
    blind = log_of(TABLE, context=())
    for key, end in (("implicit_rm", "(--gold)"), ("sar_em", "(--gold) with latent_ml")):
        (text,) = identification_warnings(methods.get(key), blind, "context", observe(blind))
        assert text.endswith(end)


@pytest.mark.parametrize("key", ["sar_ipw", "rel_mf", "ubpr", "upl"])
def test_a_method_that_first_estimates_who_acts_is_warned_as_the_estimate_is(key: str) -> None:
    method, blind = methods.get(key), log_of(TABLE, context=())
    obs = observe(blind)
    (text,) = identification_warnings(method, blind, "context", obs)
    assert text.startswith("one signal and no context")
    (text,) = identification_warnings(method, log_of(TABLE), "text", obs)
    assert text.startswith("where it estimates who acts, reward and propensity heads see the same features")
    given = obs.with_columns(e=torch.full((obs.n_rows,), 0.5), relevance=torch.full((obs.n_rows,), 0.5))
    assert not identification_warnings(method, blind, "context", given)


def test_propensities_that_were_given_are_judged_as_estimated_ones_are() -> None:
    log = log_of(TABLE)
    obs = observe(log)
    small_N = torch.where(torch.arange(obs.n_rows) % 3 == 0, 0.001, 0.5)
    (text,) = identification_warnings(methods.get("sar_ipw"), log, "context", obs.with_columns(e=small_N))
    assert text.startswith("the propensities: clipping at 0.05 touches")
    asked = log_of(TABLE, signals=(Signal("copied", kind="explicit"),))
    (text,) = identification_warnings(methods.get("ips"), asked, "context", obs.with_columns(p=small_N))
    assert text.startswith("the propensities: clipping at 0.05 touches")


def test_clicks_taken_for_labels_and_labels_for_clicks_are_told() -> None:
    clicks, labels = log_of(TABLE), log_of(TABLE, signals=(Signal("copied", kind="explicit"),))
    for key, log, said in (
        (
            "causal_fwd",
            clicks,
            "it takes every 0 of 'copied' for a dislike that was said; write copied:explicit",
        ),
        ("naive", labels, "the answer no is taken for silence"),
    ):
        (text,) = identification_warnings(methods.get(key), log, "context", observe(log))
        assert said in text
    assert not identification_warnings(methods.get("naive"), clicks, "context", observe(clicks))
    assert not identification_warnings(methods.get("causal_fwd"), labels, "context", observe(labels))


def test_a_known_rate_of_mistakes_is_never_left_unread() -> None:
    log = log_of(TABLE, signals=(Signal("copied", misclick=0.02),))
    with pytest.raises(
        ConfigError, match=r"implicit_rm does not read the misclick rate 0\.02 of .*latent_ml"
    ):
        fit(log, method="implicit_rm", encoder="hashing:32", config=QUICK)
    assert fit(log, encoder="hashing:32", config=QUICK).method.key == "latent_ml"


def test_one_signal_leaves_the_level_open_and_says_between_what(rm: RewardModel) -> None:
    low, high = rm.info["metrics"]["base_rate_bounds"]
    truth = float(np.mean(TABLE["truth"]))
    assert low < rm.info["metrics"]["base_rate"] < high
    assert low < truth < high


def test_the_interval_of_the_level_is_of_held_out_rows_and_never_within_the_bounds(rm: RewardModel) -> None:
    told = rm.info["metrics"]
    log = log_of(TABLE)
    who = roster(holdout_groups(log), QUICK.members, QUICK.seed)
    logits, rows = held_out(rm.method, rm.views(log), observe(log), who, rm.ensemble, range(QUICK.members))
    assert rows.n_rows == sum(int((who.fold_N == fold).sum()) for fold in who.hold_out)
    found = level_profile(rm.method, logits, rows)
    assert found is not None
    (low, high), (least, most) = told["base_rate_interval"], told["base_rate_bounds"]
    assert found.interval is not None
    assert low == pytest.approx(min(found.interval[0], least), abs=1e-5)
    assert high == pytest.approx(max(found.interval[1], most), abs=1e-5)
    assert told["level_profile"] == [list(pair) for pair in found.nats.items()]
    assert low < least <= told["base_rate"] <= most < high


def test_members_agree_on_strata_as_cohen_counts_it(rm: RewardModel) -> None:
    from sklearn.metrics import cohen_kappa_score

    log = log_of(TABLE)
    logits = rm.ensemble.logits(rm.views(log), torch.arange(len(log)))
    silent = torch.zeros(len(log))
    first, second = (
        methods.strata(f, g, silent).argmax(-1)[np.array(TABLE["copied"]) == 0]
        for f, g in zip(logits["reward"], logits["propensity"], strict=True)
    )
    assert rm.info["metrics"]["strata_kappa"] == pytest.approx(cohen_kappa_score(first, second))


@pytest.mark.filterwarnings("ignore::tacit.errors.IdentificationWarning")
def test_without_context_that_tells_the_level_lies_between_the_clicks_and_one() -> None:
    for roles in ({"context": ()}, {"context": ("same",)}):
        blind = fit(
            log_of({**TABLE, "same": [1] * len(TABLE["slot"])}, **roles), encoder="hashing:32", config=QUICK
        )
        told = blind.info["metrics"]
        assert told["base_rate_bounds"] == pytest.approx([np.mean(TABLE["copied"]), 1])
        assert told["level_profile"] is None  # only the form of the heads would speak in it
        assert told["base_rate_interval"][0] < told["base_rate_bounds"][0]
    published = fit(log_of(TABLE), encoder="hashing:32", config=QUICK, propensity_features="text")
    assert published.info["metrics"]["base_rate_bounds"][1] == 1


def test_a_complaint_leaves_the_share_of_dislikes_open(tmp_path: Path) -> None:
    silent = log_of(
        {**TABLE, "left": [1 - liked for liked in TABLE["copied"]]}, signals=(Signal("left", polarity=-1),)
    )
    fitted = fit(silent, encoder="hashing:32", config=QUICK)
    logits = fitted.ensemble.logits(fitted.views(silent), torch.arange(len(silent)))
    dislike_N, act_N = (
        torch.sigmoid(-logits["reward"].mean(0)),
        torch.sigmoid(logits["propensity"].mean(0)[:, 0]),
    )
    fewest, most = methods.level_bounds(dislike_N, act_N)
    found = fitted.info["metrics"]
    assert found["base_rate_bounds"] == pytest.approx([1 - most, 1 - fewest], abs=1e-5)
    assert 1 - most < found["base_rate"] < 1 - fewest
    fitted.save(tmp_path / "rm")
    assert "how often users dislike *and* act" in " ".join(
        (tmp_path / "rm" / "README.md").read_text().split()
    )


def test_gold_a_second_signal_or_misclicks_leave_no_bounds_to_state() -> None:
    rng = np.random.default_rng(0)
    shared = {"shared": (rng.random(len(TABLE["slot"])) < 0.3).astype(int).tolist()}
    for log, knobs, sure in (
        (log_of(TABLE, gold="truth"), {"use_gold": True}, True),
        (log_of({**TABLE, **shared}, signals=(Signal("copied"), Signal("shared"))), {}, False),
        (log_of(TABLE, signals=(Signal("copied", misclick=0.02),)), {}, False),
        (log_of(TABLE), {"method": "naive"}, False),
    ):
        told = fit(log, encoder="hashing:32", config=QUICK, **knobs).info["metrics"]
        assert told["base_rate_bounds"] is None
        assert (told["base_rate_interval"] is not None) == sure
        assert (told["level_profile"] is None) == (knobs == {"method": "naive"})


def test_unknown_propensity_features_are_refused_instead_of_read_as_the_default() -> None:
    with pytest.raises(ConfigError, match=r"propensity_features is 'txt'.*'context' or 'text'"):
        fit(LOG, encoder="hashing:32", propensity_features="txt", config=QUICK)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "words"), [(0, "none of 240 rows"), (1, "all 240 rows")])
def test_a_log_without_both_labels_is_refused_before_any_embedding(value: int, words: str) -> None:
    with pytest.raises(DegenerateDataError, match=words):
        fit(log_of(dict(TABLE, copied=[value] * 240)), encoder="no such encoder", config=QUICK)


def test_a_fit_is_the_same_bytes_again_and_after_resuming(rm: RewardModel, tmp_path: Path) -> None:
    again = fit(LOG, encoder="hashing:32", config=QUICK, checkpoint=tmp_path / "states")
    resumed = fit(LOG, encoder="hashing:32", config=QUICK, checkpoint=tmp_path / "states")
    for name, model in (("rm", rm), ("again", again), ("resumed", resumed)):
        model.save(tmp_path / name)
    for file in ("heads.safetensors", "tacit.json", "README.md"):
        assert len({(tmp_path / name / file).read_bytes() for name in ("rm", "again", "resumed")}) == 1


def test_states_of_another_log_or_seed_are_not_taken_up(tmp_path: Path) -> None:
    other = QUICK.model_copy(update={"seed": 1})
    first = fit(LOG, encoder="hashing:32", config=QUICK, checkpoint=tmp_path)
    second = fit(LOG, encoder="hashing:32", config=other, checkpoint=tmp_path)
    clean = fit(LOG, encoder="hashing:32", config=other)
    np.testing.assert_array_equal(second.score(PAIRS), clean.score(PAIRS))
    assert not np.array_equal(first.score(PAIRS), second.score(PAIRS))
    fit(log_of(columns(seed=5)), encoder="hashing:32", config=QUICK, checkpoint=tmp_path)
    fit(LOG, method="naive", encoder="hashing:32", config=QUICK, checkpoint=tmp_path)
    fit(LOG, encoder="hashing:16", config=QUICK, checkpoint=tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_info_is_json_and_states_what_was_tried(rm: RewardModel) -> None:
    told = json.loads(json.dumps(rm.info, allow_nan=False))
    assert told["training"]["tried"] and told["log"]["rows"] == 240 and told["log"]["prompts"] == 60
    one = replace(rm, ensemble=rm.ensemble.pick([0]))
    assert one.uncertainty(PAIRS).max() == 0


def test_heads_are_plain_tensors(rm: RewardModel, tmp_path: Path) -> None:
    rm.save(tmp_path / "rm")
    stored = load_file(tmp_path / "rm" / "heads.safetensors")
    assert {name.split(".")[0] for name in stored} == {"head", "calibration", "scaling"}


def test_two_signals_say_that_their_level_takes_nobody_to_act_by_mistake() -> None:
    table = TABLE | {"shared": TABLE["copied"][::-1]}
    two = (Signal("copied"), Signal("shared"))
    said = [
        describe_identification(methods.LatentML(), observe(log_of(table, signals=signals)), heads, [])
        for signals, heads in (
            (two, ()),
            ((Signal("copied", misclick=0.02), Signal("shared", misclick=0.02)), ()),
        )
    ]
    assert "and if nobody gives them by mistake" in said[0]["not_identified"]
    assert "mistake" not in said[1]["not_identified"]


def test_a_signal_that_hardly_ever_fired_is_told_and_is_not_counted_among_those_that_tell() -> None:
    table = {name: values * 2 for name, values in TABLE.items()}
    rows = len(table["copied"])
    shared = table["copied"][::-1]
    silent = [i for i in range(rows) if not table["copied"][i] and not shared[i]]
    table |= {"shared": shared, "flag": [int(i in silent[:3]) for i in range(rows)]}
    log = log_of(table, signals=(Signal("copied"), Signal("shared"), Signal("flag", polarity=-1)))
    method, obs = methods.LatentML(), observe(log)
    assert telling(obs) == [0, 1] and not method.learns_misclicks(obs)
    (text,) = identification_warnings(method, log, "context", obs)
    assert text.startswith(f"signal 'flag' fired on 3 of {rows} rows only")
    often = log_of(table | {"flag": [int(i in silent[:30]) for i in range(rows)]}, signals=log.roles.signals)
    assert method.learns_misclicks(observe(often))
    assert not identification_warnings(method, often, "context", observe(often))


def test_scores_that_only_order_are_given_no_probability_and_judged_by_no_level(tmp_path: Path) -> None:
    log = log_of(TABLE | {"liked": TABLE["truth"]})
    rm = fit(log, method="bpr", encoder="hashing:32", config=QUICK)
    found = evaluate_model(rm, log.with_roles(gold="liked"), folds=0)
    own = next(row for row in found.rows if row.method == "bpr")
    order = {"within_prompt_accuracy", "auroc", "spearman", "within_prompt_ndcg", "best_of_n_regret"}
    assert set(own.metrics) == order
    assert "The scores of bpr only order answers" in found.caption
    assert "brier" in next(row for row in found.rows if row.method == "constant").metrics
