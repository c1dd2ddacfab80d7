"""SAR-EM and ReCRec against the likelihood of ImplicitRM, and the stages that estimate e, prior and c."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from positive_unlabelled_world import population, some_logits
from torch import Tensor

from tacit.errors import ConfigError, IdentificationError, IdentificationWarning
from tacit.methods.latent import implicit_em_objective, implicit_nll
from tacit.methods.method import Method
from tacit.methods.observations import Observations, observations
from tacit.methods.recrec_f import ReCRecF
from tacit.methods.recrec_i import ReCRecI
from tacit.methods.sar_em import SAREM
from tacit.methods.stages.exposure import Exposure
from tacit.methods.stages.prior import Prior

EXACT = {"rtol": 0, "atol": 1e-12}
F, G = some_logits(40, seed=1, scale=3.0), some_logits(40, seed=2, scale=3.0)
CLICKS = observations((torch.arange(40) % 3 == 0).double())
Y = CLICKS.signals_BK[:, 0]


def slopes(method: Method, obs: Observations = CLICKS) -> tuple[Tensor, Tensor]:
    f, g = F.clone().requires_grad_(), G.clone().requires_grad_()
    loss = method.loss({"reward": f, "propensity": g}, obs).sum()
    return torch.autograd.grad(loss, (f, g))


def reference(objective: object) -> tuple[Tensor, Tensor]:
    f, g = F.clone().requires_grad_(), G.clone().requires_grad_()
    return torch.autograd.grad(objective(f, g, Y).sum(), (f, g))  # type: ignore[operator]


def test_sar_em_has_the_gradients_of_the_marginal_likelihood_and_of_implicit_rms_own_steps() -> None:
    for found, marginal, em in zip(
        slopes(SAREM()), reference(implicit_nll), reference(implicit_em_objective), strict=True
    ):
        torch.testing.assert_close(found, marginal, **EXACT)
        torch.testing.assert_close(found, em, **EXACT)


def test_recrec_f_takes_a_double_step_in_preference_and_a_single_one_in_exposure() -> None:
    f, g = reference(implicit_nll)
    found_f, found_g = slopes(ReCRecF())
    torch.testing.assert_close(found_f, 2 * f, **EXACT)
    torch.testing.assert_close(found_g, g, **EXACT)


def test_an_outside_exposure_score_pulls_exposure_alone() -> None:
    score = torch.rand(40, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    obs = CLICKS.with_columns(exposure_score=score)
    found_f, found_g = slopes(ReCRecF(lamp=0.7), obs)
    e = torch.sigmoid(G)
    torch.testing.assert_close(found_f, slopes(ReCRecF())[0], **EXACT)
    torch.testing.assert_close(found_g, slopes(ReCRecF())[1] + 1.4 * (e - score) * e * (1 - e), **EXACT)
    torch.testing.assert_close(slopes(ReCRecF(lamp=0.0), obs)[1], slopes(ReCRecF())[1], **EXACT)


def test_with_a_true_score_and_a_strong_pull_recrec_f_stands_still_at_the_truth_alone() -> None:
    world = population()
    r, e = torch.logit(world.r_X)[world.x_B], torch.logit(world.e_X)[world.x_B]
    obs = world.obs.with_columns(exposure_score=world.obs.column("e"))

    def pull(f_B: Tensor, g_B: Tensor) -> float:
        logits = {"reward": f_B.clone().requires_grad_(), "propensity": g_B.clone().requires_grad_()}
        value = world.expect(ReCRecF(lamp=1e3).loss(logits, obs))
        by_cell = torch.autograd.grad(value, list(logits.values()))
        total = [torch.zeros(6, dtype=torch.float64).index_add_(0, world.x_B, cell) for cell in by_cell]
        return float(torch.stack(total).abs().max())

    assert pull(r, e) < 1e-12
    assert pull(e, r) > 1.0  # the exchange that the likelihood cannot tell from the truth


def test_recrec_i_with_one_rate_for_all_reads_r_as_the_click_rate_by_that_rate() -> None:
    world = population(activity=0.3)
    c = torch.tensor([0.5], dtype=torch.float64)  # any rate above the largest P(y|x), true or not
    f_X = torch.logit(world.r_X * 0.3 / c).requires_grad_()
    logits = {"reward": f_X[world.x_B], "propensity": torch.logit(c)}
    value = world.expect(ReCRecI(l2=0.0).loss(logits, world.obs))
    torch.testing.assert_close(
        torch.autograd.grad(value, f_X)[0], torch.zeros(6, dtype=torch.float64), **EXACT
    )


def test_recrec_i_pulls_the_table_towards_one_half() -> None:
    f, g = slopes(ReCRecI(l2=0.2))
    torch.testing.assert_close(f, slopes(ReCRecF())[0], **EXACT)
    torch.testing.assert_close(g, slopes(ReCRecF())[1] + 0.4 * G, **EXACT)
    assert [head.view for head in ReCRecI().heads(CLICKS)] == ["reward", "context"]


def test_these_models_are_judged_by_the_observed_likelihood() -> None:
    logits = {"reward": F, "propensity": G}
    for method in (SAREM(), ReCRecF(), ReCRecI(), Exposure()):
        torch.testing.assert_close(method.criterion(logits, CLICKS), implicit_nll(F, G, Y), **EXACT)
        likelihood = method.log_likelihood(logits, CLICKS)
        assert likelihood is not None
        torch.testing.assert_close(likelihood, -implicit_nll(F, G, Y), **EXACT)


def test_exposure_as_estimated_and_scaled_to_an_assumed_top() -> None:
    g = torch.linspace(-3, -1, 1001, dtype=torch.float64)
    obs = observations(torch.zeros(1001, dtype=torch.float64))
    e = torch.sigmoid(g)
    torch.testing.assert_close(Exposure().nuisances({"propensity": g}, obs)["e"], e, **EXACT)
    scaled = Exposure(e_max=0.7).nuisances({"propensity": g}, obs)["e"]
    torch.testing.assert_close(scaled / e, torch.full_like(e, float(0.7 / e[990])), **EXACT)
    assert float(Exposure(e_max=1.0).nuisances({"propensity": g}, obs)["e"].max()) == 1.0
    # Rows that the member may not use do not set the scale.
    few = replace(obs, weight_B=(torch.arange(1001) <= 100).double())
    scaled = Exposure(e_max=0.7).nuisances({"propensity": g}, few)["e"]
    torch.testing.assert_close(scaled[99], torch.tensor(0.7, dtype=torch.float64), **EXACT)
    with pytest.raises(ConfigError, match="e_max"):
        Exposure(e_max=1.5)


def scores(rows: int = 20_000) -> tuple[Tensor, Observations]:
    """True P(y=1|x) as logits for likes of 0 or 1 with chance one half each, shown at a rate of .3."""
    rng = np.random.default_rng(0)
    liked = rng.random(rows) < 0.5
    y = torch.from_numpy((liked & (rng.random(rows) < 0.3)).astype(np.float32))
    s = torch.where(torch.from_numpy(liked), 0.3, 1e-6)
    return torch.logit(s), observations(y)


@pytest.mark.filterwarnings("ignore::tacit.errors.IdentificationWarning")
@pytest.mark.parametrize("rule", ["bbe", "en_e1", "en_e2", "en_max"])
def test_the_prior_stage_finds_prior_and_frequency_of_separable_likes(rule: str) -> None:
    s, obs = scores()
    made = Prior(rule).nuisances({"clicked": s}, obs)  # type: ignore[arg-type]
    torch.testing.assert_close(made["clicked"], torch.sigmoid(s))
    assert made["prior"].item() == pytest.approx(0.5, abs=0.03)
    assert made["frequency"].item() == pytest.approx(0.3, abs=0.02)


@pytest.mark.filterwarnings("ignore::tacit.errors.IdentificationWarning")
def test_each_rule_reads_the_scores_in_its_own_way() -> None:
    s = torch.linspace(0.05, 0.65, 401, dtype=torch.float64)
    y = (torch.arange(401) % 3 == 0) & (torch.arange(401) > 100)
    obs, share = observations(y.float()), float(y.double().mean())
    frequency = {
        "en_e1": s[y].mean(),
        "en_e2": s[y].sum() / s.sum(),
        "en_max": torch.quantile(s, 0.99),
    }
    for rule, c in frequency.items():
        made = Prior(rule).nuisances({"clicked": torch.logit(s)}, obs)  # type: ignore[arg-type]
        assert made["prior"].item() == pytest.approx(min(share / float(c), 0.999), abs=1e-6)
    made = Prior(prior=share * 1.0001).nuisances({"clicked": torch.logit(s)}, obs)
    assert made["frequency"].item() == pytest.approx(0.999)  # of 1, (1 − c)/c and logit c would say nothing


def test_a_known_prior_or_frequency_is_taken_as_it_is() -> None:
    s, obs = scores()
    share = obs.signal_rates()[0]
    supplied = (
        Prior(prior=0.4).nuisances({"clicked": s}, obs),
        Prior().nuisances({"clicked": s}, obs.with_columns(prior=torch.tensor([0.4]))),
        Prior().nuisances({"clicked": s}, obs.with_columns(frequency=torch.tensor([share / 0.4]))),
    )
    for made in supplied:
        assert made["prior"].item() == pytest.approx(0.4, abs=1e-6)
        assert made["frequency"].item() == pytest.approx(share / 0.4, abs=1e-6)
    with pytest.raises(IdentificationError, match="not above"):
        Prior(prior=0.1).nuisances({"clicked": s}, obs)
    with pytest.warns(IdentificationWarning, match="SCAR"):
        Prior(prior=0.9).nuisances({"clicked": s}, obs)


def test_an_estimated_prior_stays_between_the_share_of_signals_and_one() -> None:
    obs = observations(torch.tensor([1.0, 1.0, 1.0, 0.0]))
    low = Prior().nuisances({"clicked": torch.tensor([4.0, 4.0, 4.0, -4.0])}, obs)
    assert 0.75 < low["prior"].item() < 0.76 and low["frequency"].item() < 1
    high = Prior().nuisances({"clicked": torch.zeros(4)}, obs)
    assert high["prior"].item() < 1


def test_only_the_rows_of_a_member_and_only_visible_ones_make_its_prior() -> None:
    s, obs = scores()
    mine = torch.arange(obs.n_rows) < 10_000
    own = Prior().nuisances({"clicked": s[:10_000]}, obs.rows(torch.arange(10_000)))["prior"]
    flipped = torch.where(mine, obs.signals_BK[:, 0], 1 - obs.signals_BK[:, 0])
    masked = replace(observations(flipped), weight_B=mine.float())
    assert Prior().nuisances({"clicked": s}, masked)["prior"].item() == own.item()
    hidden = observations(torch.where(mine, flipped, torch.nan))
    assert Prior().nuisances({"clicked": s}, hidden)["prior"].item() == own.item()
