"""A world of people: a few heavy users give most of the signals, and users differ in taste and activity.

Parameters shared with the other worlds: see `tacit.worlds.implicit`. Legend: N rows, U users.
"""

from __future__ import annotations

import numpy as np

from tacit.data import FeedbackLog, Signal
from tacit.errors import ConfigError
from tacit.worlds.implicit import Soft
from tacit.worlds.scene import Scene, assemble, check_unit, record, sigmoid, stream
from tacit.worlds.surroundings import ACTIVITY, draw_context, propensity, style_logits
from tacit.worlds.world import FloatArray, World, WorldTruth


def users(
    base: FeedbackLog,
    seeds: int,
    *,
    people: int = 200,
    zipf: float = 1.2,
    taste: float = 0.5,
    style: float = 0.0,
    mean: float = 0.3,
    misclick: float = 0.0,
    soft: Soft = None,
) -> World:
    """Users ask prompts as often as Zipf's law has it; each has an activity and a shift of taste of their own.

    A prompt belongs to one user (column `user_id`), who sees all its answers. r* ~ Bern(sigmoid(f0(x) + tau_u)),
    logit e = b + logit(A_u) + context + style, with A_u ~ Beta(2, 3). Shares, activities and tastes are drawn once.

    The truth's preference is what a reward model is asked for, the mean over users weighted by how much they
    ask: r(x) = sum_u share_u sigmoid(f0(x) + tau_u). Gold of 0 or 1 is beyond anyone's taste: pass `soft` there.

    Args:
        base: as in `tacit.worlds.implicit`.
        seeds: as there.
        people: U.
        zipf: the exponent: user number n asks as often as n^-zipf.
        taste: standard deviation of tau_u, in logits.
        style: how much the look of an answer moves clicks, as a multiple of `style_logits`.
        mean: of the propensity over the rows.
        misclick: as there.
        soft: as there.

    Raises:
        ConfigError, DataError: fewer than one user, a negative spread or exponent, a rate outside [0, 1]; a log
            without gold.
    """
    check_unit("users", misclick=misclick)
    if people < 1 or zipf < 0 or taste < 0:
        raise ConfigError(
            f"users: people={people}, zipf={zipf}, taste={taste}, expected at least 1 user and numbers from 0"
        )
    scene = Scene.of(base, seeds, soft)
    asked_U: FloatArray = np.arange(1, people + 1, dtype=np.float64) ** -zipf
    prompts = int(scene.prompt_codes.max()) + 1
    user_N = stream("users", 0).choice(people, size=prompts, p=asked_U / asked_U.sum())[scene.prompt_codes]
    activity_U = stream("users", 1).beta(2, 3, size=people).clip(0.01, 0.99)
    taste_U = taste * stream("users", 2).normal(size=people)

    with np.errstate(divide="ignore"):  # gold of 0 or 1 has an infinite logit, as it should
        logits_N = np.log(scene.preference_N) - np.log1p(-scene.preference_N)
    liked_SN = scene.liked(sigmoid(logits_N + taste_U[user_N]))
    surroundings = draw_context(scene.rows)
    context_N = surroundings.logits() - ACTIVITY * surroundings.activity_N
    own_U = np.log(activity_U) - np.log1p(-activity_U)
    moved_N = own_U[user_N] + context_N
    if style:
        moved_N = moved_N + style * style_logits(scene)
    propensity_1NK = propensity(moved_N, mean)[None, :, None]
    misclick_K = np.array([misclick])
    recorded_SNK = record(scene, liked_SN, propensity_1NK, misclick_K, np.array([1]))

    truth = WorldTruth(liked_SN, _over_users(logits_N, taste_U, asked_U), propensity_1NK, misclick_K)
    columns = {"slot": surroundings.slot_N, "device": surroundings.device_N}
    signals = (Signal("copied"),)
    return assemble(scene, "users", signals, recorded_SNK, truth, columns, roles={"user_id": user_N})


def _over_users(logits_N: FloatArray, taste_U: FloatArray, asked_U: FloatArray) -> FloatArray:
    """The mean preference [N] over users; golds repeat, so each value is computed once."""
    values, place_N = np.unique(logits_N, return_inverse=True)
    # Both sums run in one order, so that a preference of 1 for everybody is 1 and not nearly 1.
    mean = np.array([(asked_U * sigmoid(value + taste_U)).sum() for value in values]) / asked_U.sum()
    over_users_N: FloatArray = mean[place_N.reshape(-1)]
    return over_users_N
