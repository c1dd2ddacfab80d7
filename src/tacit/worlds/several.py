"""Worlds of several signals on one answer: opposed styles and a negative one, and a gate that users share.

Parameters shared with the other worlds: see `tacit.worlds.implicit`. Legend: N rows, K signals.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tacit.data import FeedbackLog, Signal
from tacit.worlds.implicit import Soft
from tacit.worlds.scene import Scene, assemble, check_unit, record, stream
from tacit.worlds.surroundings import ACTIVITY, DEVICES, draw_context, effects, length_scores, propensity
from tacit.worlds.world import World, WorldTruth

_LENGTH = {"copied": 1.2, "shared": -1.2, "thumbs_down": 0.0}
_MEAN = 0.33

GATED = {
    "copied": (1, 0.5, 0.02),
    "thumbs_up": (1, 0.15, 0.01),
    "thumbs_down": (-1, 0.10, 0.005),
    "regenerated": (-1, 0.30, 0.05),
}
"""Polarity, hit rate and false-alarm rate of each signal of an active user (METHODS §11.3, `gate_multi`)."""

SURFACES = {
    "web": ("copied", "thumbs_up", "thumbs_down", "regenerated"),
    "editor": ("copied", "regenerated"),
    "phone_app": ("thumbs_up", "thumbs_down", "regenerated"),
}
"""The signals that each surface has a button for; the others are null there."""


def several(base: FeedbackLog, seeds: int, *, misclick: float = 0.03, soft: Soft = None) -> World:
    """Copies (of long answers), shares (of short ones) and thumbs down, independent given r*, text and context.

    logit e_k = b_k + context + s_k·z(log(1 + words)), with s = 1.2, -1.2, 0 and a mean e of .33. Each signal
    is given by mistake where it is not due, at the misclick rate.

    Raises:
        ConfigError, DataError: a rate outside [0, 1]; a log without gold.
    """
    check_unit("several", misclick=misclick)
    scene = Scene.of(base, seeds, soft)
    surroundings = draw_context(scene.rows)
    context_N, length_N = surroundings.logits(), length_scores(scene)
    propensity_NK = np.stack(
        [propensity(context_N + _LENGTH[name] * length_N, _MEAN) for name in _LENGTH], axis=1
    )
    signals = (Signal("copied"), Signal("shared"), Signal("thumbs_down", polarity=-1))
    liked_SN, misclick_K = scene.liked(), np.full(3, misclick)
    polarity_K = np.array([signal.polarity for signal in signals])
    recorded_SNK = record(scene, liked_SN, propensity_NK[None], misclick_K, polarity_K)
    truth = WorldTruth(liked_SN, scene.preference_N, propensity_NK[None], misclick_K)
    return assemble(scene, "several", signals, recorded_SNK, truth, surroundings.columns())


def gate_multi(base: FeedbackLog, seeds: int, *, active: float = 0.4, soft: Soft = None) -> World:
    """Sessions in which the user is active or gives no signal at all; some surfaces lack a button.

    A session is up to four answers to one prompt; its device, activity and surface are drawn once, and so is,
    for each seed, whether its user is active: a ~ Bern(A(z)). An active user gives each signal where it is due
    with its hit rate and elsewhere with its false-alarm rate (`GATED`). `SURFACES` says which buttons there are.

    The truth holds what follows without knowing a: propensities A(z)·hit_k, misclicks mean(A)·alarm_k.

    Args:
        base: as in `tacit.worlds.implicit`.
        seeds: as there.
        active: mean of A(z) over the rows.
        soft: as there.

    Raises:
        ConfigError, DataError: a share outside (0, 1); a log without gold.
    """
    scene = Scene.of(base, seeds, soft)
    session_N = _sessions(scene.prompt_codes)
    sessions = int(session_N.max()) + 1
    drawn = draw_context(sessions)
    device_N, activity_N = drawn.device_N[session_N], drawn.activity_N[session_N]
    surfaces = np.array(list(SURFACES))
    surface_N = stream("context", 3).integers(len(surfaces), size=sessions)[session_N]
    gate_N = propensity(effects(DEVICES, device_N) + ACTIVITY * activity_N, active)

    polarity_K = np.array([polarity for polarity, _, _ in GATED.values()])
    hit_K = np.array([hit for _, hit, _ in GATED.values()])
    alarm_K = np.array([alarm for _, _, alarm in GATED.values()])
    liked_SN = scene.liked()
    # Rows of a session compare the same number with the same A, so they are active together.
    active_SN = scene.uniform("gate", sessions)[:, session_N] < gate_N
    recorded_SNK = record(scene, liked_SN, hit_K[None, None], alarm_K, polarity_K) * active_SN[:, :, None]
    has_button = np.array([[name in buttons for name in GATED] for buttons in SURFACES.values()])
    recorded_SNK = np.where(has_button[surface_N], recorded_SNK, np.float32(np.nan))

    truth = WorldTruth(
        liked_SN, scene.preference_N, (gate_N[:, None] * hit_K)[None], float(gate_N.mean()) * alarm_K
    )
    signals = tuple(Signal(name, polarity=polarity) for name, (polarity, _, _) in GATED.items())
    context = {"device": device_N, "activity": activity_N, "surface": surfaces[surface_N]}
    roles = {"session_id": session_N}
    return assemble(scene, "gate_multi", signals, recorded_SNK, truth, context, roles=roles)


def _sessions(prompt_codes: npt.NDArray[np.int64], most: int = 4) -> npt.NDArray[np.int64]:
    """Cut the rows of each prompt, in order, into sessions of at most `most`: int64 [N] from 0."""
    order = np.argsort(prompt_codes, kind="stable")
    sizes = np.bincount(prompt_codes)
    place_N = np.empty(len(prompt_codes), dtype=np.int64)
    place_N[order] = np.arange(len(prompt_codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    key_N = prompt_codes * (int(sizes.max()) // most + 1) + place_N // most
    codes: npt.NDArray[np.int64] = np.unique(key_N, return_inverse=True)[1].reshape(-1)
    return codes
