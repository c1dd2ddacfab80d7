"""Worlds of one implicit signal, `copied`, on liked answers: by pure chance, by context, by style, by both.

All of them keep activity independent of r* given the text and the context, as ImplicitRM assumes. Parameters
that all mechanisms share:

* `base`: a log with gold in [0, 1] on every row; `seeds`: how often users react, each time with fresh luck;
* `soft`: (lo, hi), to which gold is scaled before r* is drawn, so that no answer is liked or disliked by all
  (METHODS §11.3, `soft_truth`); None takes gold as it is, and gold of 0 and 1 gives r* = gold;
* `misclick`: the chance of a copy where the answer is not liked.
"""

from __future__ import annotations

import numpy as np

from tacit.data import FeedbackLog
from tacit.errors import ConfigError
from tacit.worlds.scene import Scene, check_unit, one_signal, sigmoid, stream
from tacit.worlds.surroundings import Context, draw_context, effects, propensity, style_logits
from tacit.worlds.world import FloatArray, World

Soft = tuple[float, float] | None

DELAY = {"desktop": 0.5, "tablet": 1.0, "phone": 1.5}
"""How long users of a device wait before they copy, relative to the mean."""


def scar(base: FeedbackLog, seeds: int, *, c: float = 0.3, misclick: float = 0.0, soft: Soft = None) -> World:
    """Every liked answer is copied with the same chance c; the context columns are there and matter nothing.

    Raises:
        ConfigError, DataError: a rate outside [0, 1]; a log without gold.
    """
    check_unit("scar", c=c)
    scene = Scene.of(base, seeds, soft)
    columns = draw_context(scene.rows).columns()
    return one_signal(scene, "scar", np.full(scene.rows, c), columns, misclick=misclick)


def context(base: FeedbackLog, seeds: int, *, misclick: float = 0.0, soft: Soft = None) -> World:
    """The context alone decides (`sar_z`): slots copy .1, .2, .4, .7 of what is liked, device and activity vary it.

    Raises:
        ConfigError, DataError: as `scar`.
    """
    return _mixed("context", Scene.of(base, seeds, soft), kappa=0.0, misclick=misclick)


def style(
    base: FeedbackLog,
    seeds: int,
    *,
    length: float = 0.8,
    mean: float = 0.3,
    misclick: float = 0.0,
    soft: Soft = None,
) -> World:
    """The look of the answer alone decides (`sar_style`); the context columns are there and matter nothing.

    Args:
        base: as above.
        seeds: as above.
        length: logits per standard deviation of log(1 + words).
        mean: of the propensity over the rows.
        misclick: as above.
        soft: as above.

    Raises:
        ConfigError, DataError: as `scar`.
    """
    scene = Scene.of(base, seeds, soft)
    propensity_N = propensity(style_logits(scene, length=length), mean)
    return one_signal(scene, "style", propensity_N, draw_context(scene.rows).columns(), misclick=misclick)


def both(
    base: FeedbackLog,
    seeds: int,
    *,
    kappa: float = 0.5,
    length: float = 1.7,
    mean: float | None = 0.33,
    misclick: float = 0.0,
    soft: Soft = None,
) -> World:
    """Context and style decide together (`sar_mixed`); length counts as much as in the demonstration world.

    logit e = b + min(1, 2(1-kappa))·context + min(1, 2·kappa)·style.

    Args:
        base: as above.
        seeds: as above.
        kappa: 0 context alone, 0.5 both at full size, 1 style alone: no exclusion is left then.
        length: logits per standard deviation of log(1 + words).
        mean: of the propensity over the rows; None leaves the logits where they are.
        misclick: as above.
        soft: as above.

    Raises:
        ConfigError, DataError: as `scar`.
    """
    check_unit("both", kappa=kappa)
    scene = Scene.of(base, seeds, soft)
    return _mixed("both", scene, kappa=kappa, length=length, mean=mean, misclick=misclick)


def misclicks(
    base: FeedbackLog, seeds: int, *, kappa: float = 0.5, misclick: float = 0.03, soft: Soft = None
) -> World:
    """As `both`, and 3 % of the answers that are not liked are copied by mistake.

    Raises:
        ConfigError, DataError: as `scar`.
    """
    check_unit("misclicks", kappa=kappa)
    scene = Scene.of(base, seeds, soft)
    return _mixed("misclicks", scene, kappa=kappa, length=1.7, mean=0.33, misclick=misclick)


def delayed(
    base: FeedbackLog,
    seeds: int,
    *,
    mean_delay: float = 6.0,
    oldest: float = 48.0,
    misclick: float = 0.0,
    soft: Soft = None,
) -> World:
    """As `both`, but copies come late: T ~ Exp(device) after the answer, and the log is taken at its `age`.

    The age (context column, hours) is uniform from 0 to `oldest`. A copy that would come later is a 0. The
    truth's propensity is that of a *recorded* copy, e·P(T <= age).

    Args:
        base: as above.
        seeds: as above.
        mean_delay: hours, over all devices; desktops half of it, phones one and a half times.
        oldest: hours.
        misclick: as above; mistakes come at once.
        soft: as above.

    Raises:
        ConfigError, DataError: as `scar`; a delay or an age that is not above 0.
    """
    if not (mean_delay > 0 and oldest > 0):
        raise ConfigError(f"delayed: mean_delay={mean_delay}, oldest={oldest}, expected hours above 0")
    scene = Scene.of(base, seeds, soft)
    surroundings = draw_context(scene.rows)
    age_N = (oldest * stream("delay").random(scene.rows)).round(3)
    in_time_N = -np.expm1(-age_N / (mean_delay * effects(DELAY, surroundings.device_N)))
    # T <= age happens with this chance, independently of r* and of activity: one draw against the product.
    propensity_N = _both_propensity(scene, surroundings, 0.5, 1.7, 0.33) * in_time_N
    columns = {**surroundings.columns(), "age": age_N}
    return one_signal(scene, "delayed", propensity_N, columns, misclick=misclick)


def forced_arm(
    base: FeedbackLog, seeds: int, *, share: float = 0.02, misclick: float = 0.0, soft: Soft = None
) -> World:
    """As `both`, and on a random 2 % of the rows (context column `arm` = 1) users have to answer: e = 1.

    Raises:
        ConfigError, DataError: as `scar`.
    """
    check_unit("forced_arm", share=share)
    scene = Scene.of(base, seeds, soft)
    surroundings = draw_context(scene.rows)
    arm_N = stream("arm").random(scene.rows) < share
    propensity_N = np.where(arm_N, 1.0, _both_propensity(scene, surroundings, 0.5, 1.7, 0.33))
    columns = {**surroundings.columns(), "arm": arm_N.astype(np.float64)}
    return one_signal(scene, "forced_arm", propensity_N, columns, misclick=misclick)


def _mixed(
    name: str,
    scene: Scene,
    *,
    kappa: float,
    length: float = 1.7,
    mean: float | None = None,
    misclick: float = 0.0,
) -> World:
    surroundings = draw_context(scene.rows)
    propensity_N = _both_propensity(scene, surroundings, kappa, length, mean)
    return one_signal(scene, name, propensity_N, surroundings.columns(), misclick=misclick)


def _both_propensity(
    scene: Scene, surroundings: Context, kappa: float, length: float, mean: float | None
) -> FloatArray:
    logits_N = min(1.0, 2 * (1 - kappa)) * surroundings.logits()
    if kappa > 0:
        logits_N = logits_N + min(1.0, 2 * kappa) * style_logits(scene, length=length)
    return sigmoid(logits_N) if mean is None else propensity(logits_N, mean)
