"""Every positive-unlabelled estimator: numbers stay finite, members stay apart, and small logs are fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tacit import methods
from tacit.errors import ConfigError, DegenerateDataError, IdentificationError
from tacit.methods.context_only import ContextOnly
from tacit.methods.elkan_noto import ElkanNoto
from tacit.methods.method import Method
from tacit.methods.nnpu import NNPU
from tacit.methods.observations import Observations, observations
from tacit.methods.prompt_only import PromptOnly
from tacit.methods.pu_balanced import PUBalanced
from tacit.methods.recrec_f import ReCRecF
from tacit.methods.recrec_i import ReCRecI
from tacit.methods.rel_mf import RelMF
from tacit.methods.rel_mf_noclip import RelMFNoClip
from tacit.methods.sar_em import SAREM
from tacit.methods.sar_ipw import SARIPW
from tacit.methods.stages.exposure import Exposure
from tacit.methods.stages.prior import Prior
from tacit.methods.upu import UPU
from tacit.methods.vpu import VPU
from tacit.methods.wmf import WMF
from tacit.training.config import TrainingConfig
from tacit.training.estimator import HeadEstimator
from tacit.training.roster import roster
from tacit.training.selection import train_best
from tacit.training.views import Block, View

METHODS: list[Method] = [
    PUBalanced(),
    WMF(),
    UPU(),
    UPU(prior=0.8),
    NNPU(),
    NNPU(mode="clamp"),
    ElkanNoto(),
    ElkanNoto(mode="scale"),
    VPU(),
    SARIPW(),
    SARIPW(nonnegative=True),
    RelMF(),
    RelMFNoClip(),
    SAREM(),
    ReCRecF(),
    ReCRecI(),
    ContextOnly(),
    PromptOnly(),
    Prior(),
    Exposure(),
]
QUICK = TrainingConfig(members=2, hidden=(), weight_decay=1.0, max_epochs=15)
ROWS = 8


def columns(dtype: torch.dtype) -> dict[str, Tensor]:
    return {
        "e": torch.linspace(0.001, 1, ROWS, dtype=dtype),
        "prior": torch.tensor([0.8], dtype=dtype),
        "frequency": torch.tensor([0.999], dtype=dtype),
        "clicked": torch.linspace(0, 1, ROWS, dtype=dtype),
        "exposure_score": torch.linspace(0, 1, ROWS, dtype=dtype),
    }


def heads_of(method: Method, obs: Observations) -> list[str]:
    return [head.name for head in method.heads(obs)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_loss_criterion_and_gradients_are_finite_at_extreme_logits(
    method: Method, dtype: torch.dtype
) -> None:
    extremes = torch.tensor([-50.0, 50.0, 0.0, -50.0, 50.0, 50.0, -50.0, 7.0], dtype=dtype)
    for y in ([1, 0, 1, 0, 1, 0, 1, 0], [0] * ROWS, [1] * ROWS, [float("nan")] * ROWS):
        obs = observations(torch.tensor(y, dtype=dtype), columns=columns(dtype))
        known_B = obs.any_positive()[1].to(dtype)
        for weight in (None, known_B, torch.zeros(3, ROWS, dtype=dtype)):
            seen = replace(obs, weight_B=weight)
            for g in (extremes, -extremes, extremes.roll(1)):
                logits = {
                    name: v.clone().requires_grad_()
                    for name, v in zip(heads_of(method, obs), (extremes, g), strict=False)
                }
                for rows in (method.loss(logits, seen), method.criterion(logits, seen)):
                    assert rows.shape[-1] == ROWS and bool(torch.isfinite(rows).all())
                    for slope in torch.autograd.grad(rows.sum(), list(logits.values()), allow_unused=True):
                        assert slope is None or bool(torch.isfinite(slope).all())


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_rows_that_a_member_holds_out_do_not_touch_its_loss(method: Method) -> None:
    generator = torch.Generator().manual_seed(0)
    y_B = torch.tensor([1.0, 0, 0, 0, 1, 0, 1, 0], dtype=torch.float64)
    obs = observations(y_B, columns=columns(torch.float64))
    weight_MB = torch.tensor([[1.0, 1, 1, 0, 0, 0, 1, 1], [0, 1, 1, 1, 1, 1, 0, 0]], dtype=torch.float64)
    seen = replace(obs, weight_B=weight_MB)
    names = heads_of(method, obs)
    logits = {n: torch.randn(3, 2, ROWS, generator=generator, dtype=torch.float64) for n in names}
    together = {
        "loss": method.loss(logits, seen) * weight_MB,
        "criterion": method.criterion(logits, seen) * weight_MB,
    }
    for m in range(2):
        own = torch.nonzero(weight_MB[m] > 0)[:, 0]
        alone = obs.rows(own)
        for c in range(3):  # candidates of a temperature search
            mine = {name: value[c, m][own] for name, value in logits.items()}
            for kind, rows in together.items():
                torch.testing.assert_close(
                    rows[c, m][own], getattr(method, kind)(mine, alone), rtol=1e-10, atol=1e-10
                )


@pytest.mark.parametrize("method", [UPU(), NNPU(), VPU()], ids=repr)
def test_a_batch_without_a_positive_says_nothing(method: Method) -> None:
    obs = observations(torch.zeros(ROWS), columns=columns(torch.float32))
    f = torch.randn(ROWS, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = method.loss({"reward": f}, obs)
    assert bool((loss == 0).all()) and bool((torch.autograd.grad(loss.sum(), f)[0] == 0).all())


@pytest.mark.parametrize("method", [m for m in METHODS if m.setting == "implicit"], ids=repr)
def test_several_signals_are_read_as_any_positive(method: Method) -> None:
    one = torch.tensor([1.0, 0, 0, 0, 0, 1, 0, 0])
    two = torch.tensor([0.0, 0, 1, 0, 0, 1, 0, float("nan")])
    both = observations(torch.stack([one, two], -1), columns=columns(torch.float32))
    merged = observations(torch.tensor([1.0, 0, 1, 0, 0, 1, 0, 0]), columns=columns(torch.float32))
    logits = {name: torch.linspace(-2, 3, ROWS) for name in heads_of(method, both)}
    torch.testing.assert_close(method.loss(logits, both), method.loss(logits, merged))


@pytest.mark.parametrize(
    "method", [UPU(0.2), NNPU(0.2), ElkanNoto(prior=0.2)], ids=["upu", "nnpu", "elkan_noto"]
)
def test_a_prior_at_or_below_the_share_of_signals_is_refused(method: Method) -> None:
    with pytest.raises(IdentificationError, match="not above the labelled share"):
        method.check(observations(torch.tensor([1.0, 0, 0, 0])))
    method.check(observations(torch.tensor([1.0] + [0.0] * 9)))


def test_a_supplied_prior_column_is_refused_like_a_parameter() -> None:
    obs = observations(torch.tensor([1.0, 0, 0, 0]), columns={"prior": torch.tensor([0.25])})
    with pytest.raises(IdentificationError, match="not above"):
        UPU().check(obs)


def test_a_weight_of_silence_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        WMF(weight=0.0)


def easy_log(rows: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Text, clicks, one-hot slot, and the chance of being liked; the slot moves activity alone."""
    rng = np.random.default_rng(0)
    text = rng.normal(size=(rows, 4))
    slot = rng.integers(0, 2, size=rows)
    r = 1 / (1 + np.exp(-4 * text[:, 0]))
    liked = rng.random(rows) < r
    return text, (liked & (rng.random(rows) < np.array([0.35, 0.65])[slot])).astype(float), np.eye(2)[slot], r


@pytest.mark.filterwarnings("ignore::tacit.errors.IdentificationWarning")
@pytest.mark.parametrize("method", METHODS[:16], ids=repr)
def test_an_easy_log_is_ranked_and_where_promised_levelled(method: Method) -> None:
    text, clicks, slot, r = easy_log()
    method = UPU(prior=float(r.mean())) if isinstance(method, UPU) and method.prior else method
    score = HeadEstimator(method, QUICK).fit(text, clicks, context=slot).predict_proba(text)[:, 1]
    assert np.isfinite(score).all()
    # A linear score of the signal overshoots c, and Elkan & Noto's weights with it.
    least = 0.8 if method == ElkanNoto() else 0.88
    assert np.mean((score[:, None] > score) == (r[:, None] > r)) > least
    if method.level == "prob":  # the rate of clicks is .25
        assert abs(score.mean() - r.mean()) < 0.12


def test_an_impossible_prior_is_refused_before_anything_is_fitted() -> None:
    text, clicks, slot, _ = easy_log(200)
    with pytest.raises(IdentificationError, match="not above"):
        HeadEstimator(NNPU(prior=0.05), QUICK).fit(text, clicks, context=slot)
    for method in METHODS[:18]:
        with pytest.raises(DegenerateDataError, match="none of 200 rows"):
            HeadEstimator(method, QUICK).fit(text, np.zeros(200), context=slot)


def test_content_blind_baselines_see_what_they_are_named_after() -> None:
    text, clicks, slot, _ = easy_log()
    views = {
        name: View(name, (Block.fit(values.astype(np.float32)),))
        for name, values in (("reward", text), ("context", slot), ("prompt", text[:, 1:2]))
    }
    groups = np.arange(len(text))
    for method, seen in ((ContextOnly(), slot[:, 0]), (PromptOnly(), text[:, 1])):
        fitted = train_best(
            method, views, observations(torch.from_numpy(clicks).float()), roster(groups, 2, 0), QUICK
        )
        score = fitted[0][0].rewards(method, views, torch.arange(len(text))).mean(0).numpy()
        assert abs(np.corrcoef(score, seen)[0, 1]) > 1 - 1e-4
    no_context = {"reward": views["reward"]}
    fitted = train_best(
        ContextOnly(), no_context, observations(torch.from_numpy(clicks).float()), roster(groups, 2, 0), QUICK
    )
    assert np.ptp(fitted[0][0].rewards(ContextOnly(), no_context, torch.arange(9)).numpy()[0]) == 0


@pytest.mark.parametrize("kind", [ElkanNoto, UPU, NNPU])
def test_prior_and_frequency_follow_from_each_other_and_only_one_is_taken(kind: type[Method]) -> None:
    obs = observations(torch.tensor([1.0, 0.0, 0.0]), columns={"frequency": torch.tensor([0.9])})
    for both in (kind(prior=0.5), kind()):
        seen = obs if both.parameters()["prior"] else obs.with_columns(prior=torch.tensor([0.5]))
        with pytest.raises(ConfigError, match=f"{kind.key}: prior and frequency are both given"):
            both.check(seen)
    kind().check(obs)


@pytest.mark.parametrize("key", ["sar_ipw", "rel_mf", "rel_mf_noclip", "ubpr", "cubpr", "upl"])
def test_an_exposure_that_is_supplied_is_not_scaled(key: str) -> None:
    obs = observations(torch.tensor([1.0, 0.0, 1.0, 0.0]), groups=torch.tensor([0, 0, 1, 1]))
    supplied = obs.with_columns(e=torch.full((4,), 0.5))
    with pytest.raises(ConfigError, match=f"method {key}: e_max is 0.7, which scales an estimated e"):
        methods.get(key, {"e_max": 0.7}).check(supplied)
    methods.get(key, {"e_max": 0.7}).check(obs)
    methods.get(key).check(supplied)
