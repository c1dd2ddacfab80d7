"""What the methods refuse, in one line each, and how they choose their own heads."""

from __future__ import annotations

import doctest
import inspect
import math
from dataclasses import replace

import pytest
import torch

from tacit import methods
from tacit.errors import ConfigError, DataError, DegenerateDataError, TacitError
from tacit.methods import (
    Constant,
    ImplicitRM,
    LatentML,
    Length,
    Method,
    Naive,
    Observations,
    Oracle,
    observations,
)

NAN = math.nan


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def pair(rows: list[list[float]], polarity: tuple[int, ...] = (1, -1)) -> Observations:
    return observations(torch.tensor(rows), polarity=polarity)


@pytest.mark.parametrize("method", [Naive(), ImplicitRM(), LatentML(), Constant(), Length()], ids=repr)
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.0, 0.0, NAN), "none of 2 rows is positive"),
        ((1.0, 1.0, NAN), "all 2 rows are positive"),
        ((NAN, NAN, NAN), "visible"),
    ],
)
def test_a_log_without_both_labels_is_refused(method: Method, values: tuple[float, ...], words: str) -> None:
    with pytest.raises(DegenerateDataError, match=words) as refused:
        method.check(observations(column(*values)))
    assert "\n" not in str(refused.value) and method.key in str(refused.value)


@pytest.mark.parametrize(
    ("obs", "words"),
    [
        (pair([[0.0, 0.0], [0.0, 0.0]]), "no signal ever fires"),
        (pair([[1.0, 1.0], [1.0, 1.0]]), "every signal fires"),
        (pair([[1.0, NAN], [0.0, NAN]]), "signal 1 is never visible"),
        (pair([[1.0, 1.0], [0.0, 0.0]] * 5, (1, 1)), "signal 0 and signal 1 say the same"),
        (pair([[1.0, 0.0], [0.0, 1.0]] * 5), "keep one of them$"),
        (pair([[1.0, 0.0], [0.0, 1.0], [NAN, NAN]] * 5), "write 0 for null in both, or keep one"),
    ],
)
def test_signals_that_cannot_be_separated_are_refused(obs: Observations, words: str) -> None:
    with pytest.raises(DegenerateDataError, match=words) as refused:
        LatentML().check(obs)
    assert "\n" not in str(refused.value)


CONTRADICTORY = pair([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
CONSISTENT = pair([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])


def test_a_row_that_fires_both_ways_needs_misclicks() -> None:
    with pytest.raises(ConfigError, match="1 rows fire signals of both polarities"):
        LatentML(misclicks="zero").check(CONTRADICTORY)
    for misclicks in ("auto", "const"):
        LatentML(misclicks=misclicks).check(CONTRADICTORY)  # type: ignore[arg-type]
    LatentML(misclicks="zero").check(CONSISTENT)


def test_misclicks_are_learned_with_three_signals_or_where_the_log_contradicts_itself() -> None:
    assert LatentML().learns_misclicks(CONTRADICTORY)
    assert not LatentML().learns_misclicks(CONSISTENT)
    assert LatentML().learns_misclicks(observations(torch.eye(3)))
    assert not LatentML(misclicks="zero").learns_misclicks(observations(torch.eye(3)))
    hidden = observations(torch.tensor([[1.0, 1.0]]), visible=torch.tensor([[True, False]]), polarity=(1, -1))
    assert not LatentML().learns_misclicks(hidden)  # a hidden signal contradicts nobody


@pytest.mark.parametrize(
    ("polarity", "gated"),
    [((1, -1), True), ((-1, 1), True), ((1,), False), ((-1,), False), ((1, 1), False), ((1, 1, -1), False)],
)
def test_the_gate_is_the_default_for_one_thumb_up_and_one_thumb_down(
    polarity: tuple[int, ...], gated: bool
) -> None:
    obs = observations(torch.eye(len(polarity)), polarity=polarity)
    assert LatentML().has_gate(obs) is gated
    names = {head.name: head for head in LatentML().heads(obs)}
    assert ("activity" in names) is gated
    assert names["propensity"].view == ("none" if gated else "propensity")
    assert not LatentML(gate=False).has_gate(obs) and LatentML(gate=True).has_gate(obs)


def test_implicit_rm_takes_one_positive_signal_and_says_what_takes_the_others() -> None:
    for obs in (pair([[1.0, 0.0], [0.0, 1.0]]), observations(column(1, 0), polarity=(-1,))):
        with pytest.raises(DegenerateDataError, match="use method latent_ml"):
            ImplicitRM().check(obs)


def test_latent_ml_without_any_signal_says_what_learns_from_gold_alone() -> None:
    obs = observations(torch.zeros(4, 0), gold=column(0, 1, 1, 0))
    assert obs.signal_rates() == []
    with pytest.raises(DegenerateDataError, match=r"no signal is named.*oracle"):
        LatentML().check(obs)


def test_latent_ml_takes_a_lone_negative_signal() -> None:
    obs = observations(column(1, 0, 0, NAN), polarity=(-1,))
    LatentML().check(obs)
    label, known = obs.any_positive()
    assert label[known].tolist() == [0, 1, 1] and known.tolist() == [True, True, True, False]


def test_the_oracle_needs_gold_that_varies() -> None:
    y = column(1, 0, 0)
    for act in (Oracle().check, Oracle().heads, Oracle().counts):
        with pytest.raises(DegenerateDataError, match="no gold column"):
            act(observations(y))
    for gold in (column(NAN, NAN, NAN), column(1, NAN, 1)):
        with pytest.raises(DegenerateDataError, match="all missing or all the same"):
            Oracle().check(observations(y, gold=gold))
    Oracle().check(observations(y, gold=column(0.2, NAN, 0.8)))


@pytest.mark.parametrize(
    ("key", "parameters", "words"),
    [
        ("implicit_mr", {}, r"expected one of .*constant, .*implicit_rm"),
        ("naive", {"objective": "em"}, "naive: .*objective"),
        ("implicit_rm", {"objective": "eM"}, "objective.*'eM'.*marginal"),
        ("latent_ml", {"misclicks": "none"}, "misclicks.*'none'.*auto"),
        ("latent_ml", {"gate": "yes"}, "gate.*'yes'.*auto"),
    ],
)
def test_an_unknown_method_parameter_or_value_is_refused(
    key: str, parameters: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        methods.get(key, parameters)
    assert "\n" not in str(refused.value)


def test_every_method_is_found_by_its_key_and_survives_its_own_parameters() -> None:
    for key, kind in methods.available().items():
        method = methods.get(key)
        assert isinstance(method, kind) and method.key == key
        assert methods.get(key, method.parameters()) == method
        assert method.assumes and method.not_identified and method.citation and kind.__doc__


@pytest.mark.parametrize("key", methods.available())
def test_every_method_shows_itself_in_a_runnable_example(key: str) -> None:
    kind = methods.available()[key]
    _, _, example = inspect.cleandoc(kind.__doc__ or "").rpartition("\nExample:\n")
    shown = doctest.DocTestParser().get_examples(example)
    assert any(f"{kind.__name__}(" in line.source and line.want for line in shown)


@pytest.mark.parametrize("name", [name for name in methods.__all__ if callable(getattr(methods, name))])
def test_every_public_name_has_a_runnable_example(name: str) -> None:
    assert doctest.DocTestParser().get_examples(getattr(methods, name).__doc__ or "")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: observations(column(0, 2)), "signal 0, row 1: found 2.0, expected 0, 1 or NaN"),
        (lambda: observations(column(0, 1), gold=column(0, 1.5)), r"gold, row 1: found 1.5"),
        (lambda: observations(column(0, 1), gold=column(0, 1, 1)), "gold has shape"),
        (lambda: observations(column(0, 1), polarity=(0,)), r"\+1 or -1"),
        (lambda: observations(column(0, 1), polarity=(1, 1)), "must hold 1 values"),
        (lambda: observations(column(0, 1), misclick=(0.1, 0.1)), "must hold 1 rates"),
        (lambda: Observations(torch.zeros(2, 1), torch.ones(2, 2, dtype=torch.bool), (1,)), "shape"),
        (
            lambda: Observations(torch.zeros(2, 1), torch.ones(2, 1, dtype=torch.bool), (1,), torch.zeros(2)),
            "go together",
        ),
    ],
)
def test_observations_that_contradict_themselves_are_refused(build, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        build()
    assert isinstance(refused.value, TacitError)


@pytest.mark.parametrize("weight", [-5.0, NAN, math.inf])
def test_a_row_that_weighs_less_than_nothing_is_refused_before_any_loss(weight: float) -> None:
    obs = observations(column(1, 0, 1))
    with pytest.raises(DataError, match=r"weight_B, row 1: found .*, expected a number from 0") as refused:
        replace(obs, weight_B=torch.tensor([[1.0, 1.0, 1.0], [1.0, weight, -1.0]]))
    assert "\n" not in str(refused.value)
    weighted = replace(obs, weight_B=column(0, 0, 2))
    assert weighted.rows(torch.tensor([1])).weight_B.tolist() == [0]
    assert replace(obs, weight_B=column(0, 0, 0)).mean(column(1, 2, 3)).tolist() == [
        0
    ]  # a batch without own rows


def test_integer_signals_do_not_round_gold() -> None:
    obs = observations(torch.tensor([1, 0, 0]), gold=column(0.2, NAN, 0.8))
    assert obs.gold_B is not None and obs.gold_B.tolist() == pytest.approx([0.2, 0, 0.8])


def test_heads_start_at_the_observed_rates() -> None:
    obs = observations(column(1, 0, 0, 0, NAN))
    assert torch.sigmoid(torch.tensor(Naive().heads(obs)[0].bias)).item() == pytest.approx(0.25)
    reward, propensity = ImplicitRM().heads(obs)
    assert reward.bias == (0.0,) and torch.tensor(propensity.bias).sigmoid().item() == pytest.approx(0.5)
    assert [head.view for head in (reward, propensity)] == ["reward", "propensity"]
    assert Constant().heads(obs)[0].view == "none" and Length().heads(obs)[0].view == "length"


def test_naive_reads_any_positive_signal_and_skips_rows_where_none_was_visible() -> None:
    obs = pair([[1.0, 0.0], [0.0, 1.0], [NAN, 1.0], [NAN, NAN]])
    label, known = obs.any_positive()
    assert known.tolist() == [True, True, False, False] and label[:2].tolist() == [1, 0]
    assert Naive().counts(obs).tolist() == known.tolist()
    single = observations(column(1, NAN))
    found = Naive().log_likelihood({"reward": column(2.0, 2.0)}, single)
    assert found is not None and found[1] == 0  # as everywhere: a missing signal contributes nothing


@pytest.mark.parametrize(
    "key", ["upu", "nnpu", "vpu", "pu_balanced", "wmf", "elkan_noto", "sar_ipw", "rel_mf", "sar_em"]
)
def test_silence_after_complaints_alone_is_no_sure_like(key: str) -> None:
    obs = observations(column(1, 0, 0, NAN), polarity=(-1,))
    with pytest.raises(DegenerateDataError, match=f"{key}: found negative signals alone.*latent_ml"):
        methods.get(key).check(obs)


@pytest.mark.parametrize("key", ["recrec_i", "recrec_f", "ubpr", "cubpr", "upl", "counter_if"])
def test_nor_is_it_where_activity_is_estimated(key: str) -> None:
    obs = observations(column(1, 0, 0, 1), polarity=(-1,), groups=torch.tensor([0, 0, 1, 1]))
    with pytest.raises(DegenerateDataError, match=f"{key}: found negative signals alone"):
        methods.get(key).check(obs)


@pytest.mark.parametrize("clip", [0.0, -0.1, 7.0])
@pytest.mark.parametrize("key", ["sar_ipw", "rel_mf", "rel_mf_noclip", "upl", "cubpr"])
def test_a_clip_that_is_no_propensity_is_refused(key: str, clip: float) -> None:
    with pytest.raises(
        ConfigError, match=f"method {key}: clip is .*, expected a propensity above 0 and at most 1"
    ):
        methods.get(key, {"clip": clip})


def test_the_diagnosis_of_ips_bt_is_of_its_own_clip() -> None:
    (stage,) = methods.IPSBT(clip=0.3).stages(observations(column(1, 0)))
    assert stage.method.parameters()["clip"] == 0.3
