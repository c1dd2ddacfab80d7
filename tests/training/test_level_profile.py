"""How sure a log makes the share of liked responses: the likelihood while that share is moved, pinned exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize
from scipy.stats import chi2
from torch import Tensor

from tacit.methods import ImplicitRM, LatentML, Naive, Observations, observations
from tacit.training.profile import NATS, LevelProfile, level_profile

LIKE = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)  # r of three responses
ACT = torch.tensor([0.25, 0.95], dtype=torch.float64)  # e of two contexts
TIMES = 400  # rows of each response in each context


def expected_log(
    like_R: Tensor = LIKE, act_C: Tensor = ACT, times: int = TIMES
) -> tuple[dict[str, Tensor], Observations]:
    """True logits, and a log with as many clicks in each cell as are expected there."""
    f_C, g_C = torch.logit(like_R).repeat_interleave(len(act_C)), torch.logit(act_C).repeat(len(like_R))
    clicks_C = (torch.sigmoid(f_C) * torch.sigmoid(g_C) * times).round().int().tolist()
    y = torch.cat([(torch.arange(times) < clicks).double() for clicks in clicks_C])
    heads = {"reward": f_C.repeat_interleave(times), "propensity": g_C.repeat_interleave(times)}
    return heads, observations(y)


def profile(heads: dict[str, Tensor], obs: Observations) -> LevelProfile:
    found = level_profile(ImplicitRM(), heads, obs)
    assert found is not None
    return found


def low(found: LevelProfile) -> float:
    assert found.interval is not None
    return found.interval[0]


def high(found: LevelProfile) -> float:
    assert found.interval is not None
    return found.interval[1]


def test_where_rows_are_alike_every_share_is_left_from_the_least_click_rate_on() -> None:
    clicks, rows = 30, 200
    obs = observations((torch.arange(rows) < clicks).double())
    alike = {"reward": torch.full((rows,), 1.0), "propensity": torch.full((rows,), -1.0)}
    found = profile(alike, obs)
    assert set(found.nats.values()) == {0.0}  # the least share moved to is still above the click rate

    def lost(rate: float) -> float:  # of a binomial: a share below the click rate cannot be made up for
        at = [clicks * np.log(p) + (rows - clicks) * np.log1p(-p) for p in (rate, clicks / rows)]
        return float(at[1] - at[0] - NATS)

    assert chi2(1).ppf(0.95) / 2 == pytest.approx(NATS, abs=1e-4)
    assert low(found) == pytest.approx(brentq(lost, 0.01, clicks / rows), abs=2e-3)
    assert high(found) > 0.999


def test_what_a_level_loses_is_what_no_other_scale_or_shift_can_make_up_for() -> None:
    heads, obs = expected_log()
    found = profile(heads, obs)
    f, g, y = (part.numpy() for part in (heads["reward"], heads["propensity"], obs.signals_BK[:, 0]))

    def lost(level: float, other: np.ndarray) -> float:
        a, b, d = other
        p = 1 / (1 + np.exp(-(np.exp(a) * f + level))) / (1 + np.exp(-(np.exp(b) * g + d)))
        return -float((y * np.log(p) + (1 - y) * np.log1p(-p)).sum()) + (a**2 + b**2) / 2

    def least(level: float) -> float:
        return min(
            minimize(
                lambda other: lost(level, other), start, method="Nelder-Mead", options={"maxiter": 4000}
            ).fun
            for start in (np.zeros(3), np.array([0.2, 0.2, -0.5]), np.array([-0.2, 0.2, 0.5]))
        )

    best = minimize(lambda c: least(c[0]), np.zeros(1), method="Nelder-Mead", options={"xatol": 1e-3})
    assert abs(best.x[0]) < 0.05  # the truth, up to the prior on scales and rounded clicks
    for shift, nats in found.nats.items():
        assert nats == pytest.approx(least(best.x[0] + shift) - best.fun, abs=0.05)
        assert nats > 1
    assert list(found.nats) == [-1.0, -0.5, 0.5, 1.0]


def test_the_interval_holds_what_one_signal_leaves_open_and_narrows_to_it() -> None:
    shares = [profile(*expected_log(times=times)) for times in (100, 400, 6400)]
    least, most = 0.95 * 0.5, 0.5 / 0.8  # k from the largest e to the inverse of the largest r
    for found in shares:
        assert low(found) < least and high(found) > most
    widths = [high(found) - low(found) for found in shares]
    assert widths[0] > widths[1] > widths[2]
    assert low(shares[-1]) == pytest.approx(least, abs=0.03) and high(shares[-1]) == pytest.approx(
        most, abs=0.06
    )


def test_rare_likes_and_rare_acts_are_one_number_whatever_the_log() -> None:
    # P(y=1) = r·e with both logits far below 0 is e^(f+g): shifting one and the other back changes nothing
    found = profile(*expected_log(0.05 * LIKE, 0.05 * ACT, times=20_000))
    assert found.nats[-1.0] < 0.1 and found.nats[-0.5] < 0.05


def test_audited_rows_narrow_the_interval() -> None:
    heads, obs = expected_log(times=100)
    known_B = torch.arange(obs.n_rows) % 10 == 0
    liked_B = (torch.sigmoid(heads["reward"]) > 0.4).double()
    open_, settled = (
        profile(heads, obs),
        profile(heads, replace(obs, gold_B=liked_B * known_B, gold_known_B=known_B)),
    )
    assert high(settled) - low(settled) < 0.7 * (high(open_) - low(open_))


def test_a_complaint_mirrors_a_click() -> None:
    heads, obs = expected_log()
    click = level_profile(
        LatentML(), {"reward": heads["reward"], "propensity": heads["propensity"][:, None]}, obs
    )
    complaint = level_profile(
        LatentML(),
        {"reward": -heads["reward"], "propensity": heads["propensity"][:, None]},
        observations(obs.signals_BK, polarity=(-1,)),
    )
    assert click is not None and complaint is not None
    assert low(complaint) == pytest.approx(1 - high(click), abs=2e-3)
    assert high(complaint) == pytest.approx(1 - low(click), abs=2e-3)


def test_of_several_signals_moves_are_told_and_no_interval() -> None:
    heads, obs = expected_log(times=100)
    twice = observations(obs.signals_BK.repeat(1, 2))
    found = level_profile(
        LatentML(), {**heads, "propensity": heads["propensity"][:, None].repeat(1, 2)}, twice
    )
    assert found is not None and found.interval is None
    assert min(found.nats.values()) > 0


def test_without_a_likelihood_of_preference_there_is_no_profile() -> None:
    heads, obs = expected_log(times=20)
    assert level_profile(Naive(), heads, obs) is None


@pytest.mark.parametrize("scale", [0.0, 50.0])
def test_heads_that_say_nothing_or_everything_leave_numbers(scale: float) -> None:
    heads, obs = expected_log(times=20)
    found = profile({name: scale * value for name, value in heads.items()}, obs)
    assert 0 <= low(found) <= high(found) <= 1
    assert all(np.isfinite(nats) and nats >= 0 for nats in found.nats.values())
