"""Worlds of one explicit label, `rated`, that few rows have and that is wrong now and then.

Parameters shared with the other worlds: see `tacit.worlds.implicit`. Legend: S seeds, N rows.
"""

from __future__ import annotations

import numpy as np

from tacit.data import FeedbackLog, Signal
from tacit.errors import ConfigError
from tacit.worlds.implicit import Soft
from tacit.worlds.scene import Scene, assemble, check_unit
from tacit.worlds.surroundings import length_scores, propensity, style_logits
from tacit.worlds.world import FloatArray, World, WorldTruth

_MOST_NOISE = 0.45  # rho01 + rho10 stays below 1 on every row, so that a label still says something
_TILT = 1.5  # logits per standard deviation of log(1 + words)


def mar_noisy(
    base: FeedbackLog,
    seeds: int,
    *,
    rate: float = 0.2,
    length: float = 0.8,
    rho01: float = 0.1,
    rho10: float = 0.2,
    soft: Soft = None,
) -> World:
    """CausalRM's own assumptions: labels missing at random given the text, flipped at constant rates.

    As `alpha_noisy`, but whether a label is given depends on the look of the answer only:
    logit p = b + style (the `style` world's), with mean p = rate.

    Args:
        base: as in `tacit.worlds.implicit`.
        seeds: as there.
        rate: the mean of p.
        length: logits per standard deviation of log(1 + words).
        rho01: P(label 0 | liked).
        rho10: P(label 1 | not liked).
        soft: as there.

    Raises:
        ConfigError, DataError: a rate outside [0, 1]; a log without gold.
    """
    check_unit("mar_noisy", rho01=rho01, rho10=rho10)
    scene = Scene.of(base, seeds, soft)
    propensity_N = propensity(style_logits(scene, length=length), rate)
    return labelled(scene, "mar_noisy", propensity_N, rho01, rho10)


def instance_noise(
    base: FeedbackLog,
    seeds: int,
    *,
    rate: float = 0.2,
    rho01: float = 0.1,
    rho10: float = 0.2,
    soft: Soft = None,
) -> World:
    """As `mar_noisy`, but the noise depends on the text: long answers pass as good, short ones as bad.

    rho(x) = .45 sigmoid(b + s·z(log(1 + words))), s = 1.5 for rho10 and -1.5 for rho01, with the means given
    over all answers. Long answers are liked more or less often than short ones, so that the truth, P(label 0 | liked)
    and P(label 1 | not liked), is not those means: it weighs each answer by how often it is liked, or not.

    Raises:
        ConfigError, DataError: a mean noise rate outside (0, .45); as `mar_noisy`.
    """
    if not (0 < rho01 < _MOST_NOISE and 0 < rho10 < _MOST_NOISE):
        raise ConfigError(
            f"instance_noise: rho01={rho01}, rho10={rho10}, expected means between 0 and {_MOST_NOISE}"
        )
    scene = Scene.of(base, seeds, soft)
    tilt_N = _TILT * length_scores(scene)
    rho01_N = _MOST_NOISE * propensity(-tilt_N, rho01 / _MOST_NOISE)
    rho10_N = _MOST_NOISE * propensity(tilt_N, rho10 / _MOST_NOISE)
    return labelled(scene, "instance_noise", propensity(style_logits(scene), rate), rho01_N, rho10_N)


def labelled(
    scene: Scene, name: str, propensity_N: FloatArray, rho01: float | FloatArray, rho10: float | FloatArray
) -> World:
    """A world of one explicit label, `rated`: given with probability `propensity_N`, r* flipped at times.

    Args:
        scene: the texts.
        name: of the world, and of its log.
        propensity_N: P(a label is given) of each row.
        rho01: P(label 0 | liked), for all rows or by row.
        rho10: P(label 1 | not liked), likewise.

    Example:
        >>> from tacit.worlds import Scene, stdlib_base
        >>> scene = Scene.of(stdlib_base(limit=4), seeds=2)
        >>> labelled(scene, "half", np.full(scene.rows, 0.5), rho01=0.1, rho10=0.0)
        World('half', rows=20, seeds=2, signals: rated)
    """
    liked_SN = scene.liked()
    given_SN = scene.uniform("activity", scene.rows) < propensity_N
    flipped_SN = scene.uniform("noise", scene.rows) < np.where(liked_SN == 1, rho01, rho10)
    label_SN = np.where(given_SN, liked_SN ^ flipped_SN, np.nan).astype(np.float32)
    truth = WorldTruth(
        liked_SN,
        scene.preference_N,
        propensity_N[None, :, None],
        np.zeros(1),
        _mean(rho01, scene.preference_N),
        _mean(rho10, 1 - scene.preference_N),
    )
    return assemble(scene, name, (Signal("rated", kind="explicit"),), label_SN[:, :, None], truth, {})


def _mean(rate: float | FloatArray, weight_N: FloatArray) -> float:
    """Of a rate over the answers to which it applies."""
    if np.ndim(rate) == 0 or not weight_N.any():
        return float(np.mean(rate))
    return float(np.average(rate, weights=weight_N))
