"""What the simulators share: the base log's texts and gold, one random stream per cause, context and style.

Every cause has its own stream for every seed, so that changing one (the misclick rate, say) leaves all others
as they were, and the first seeds of a world with many are those of a world with few.

Legend: S seeds, N rows, K signals, F features of style.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tacit.data import FeedbackLog, Roles, Signal
from tacit.errors import ConfigError, DataError
from tacit.features.style import style_features
from tacit.worlds.world import Bits, FloatArray, Recorded, World, WorldTruth, signal_column

_ENTROPY = 20_26  # of all streams; another number gives other worlds under the same names
_CAUSES = ("preference", "activity", "misclick", "noise", "delay", "context", "users", "arm", "gate", "pick")


def stream(cause: str, number: int = 0) -> np.random.Generator:
    """The random stream of one cause; `number` is the seed, or the column for what seeds share."""
    key = (_CAUSES.index(cause), number)
    return np.random.default_rng(np.random.SeedSequence(_ENTROPY, spawn_key=key))


@dataclass(frozen=True)
class Scene:
    """The texts that users will react to, and how likely each is to be liked: where a world of one's own begins.

    Attributes:
        base: the rated log.
        seeds: S.
        preference_N: P(r* = 1) of each row, its gold.

    Example:
        >>> from tacit.worlds import stdlib_base
        >>> scene = Scene.of(stdlib_base(limit=4), seeds=2)
        >>> scene.rows, scene.liked().shape, scene.style_NF.shape[0]
        (20, (2, 20), 20)
    """

    base: FeedbackLog
    seeds: int
    preference_N: FloatArray

    @classmethod
    def of(cls, base: FeedbackLog, seeds: int, soft: tuple[float, float] | None = None) -> Scene:
        """Read the gold of a base log; `soft` = (lo, hi) maps it from [0, 1] to [lo, hi].

        Raises:
            ConfigError: fewer than one seed, or `soft` that is no range within [0, 1].
            DataError: a log without gold, or with rows that have none.
        """
        if seeds < 1:
            raise ConfigError(f"worlds: seeds is {seeds}, expected at least 1")
        if base.roles.gold is None:
            raise DataError(f"{base.name}: the log has no gold; a world needs it: name its column with gold=")
        gold_N = np.asarray(base.table.column(base.roles.gold).to_numpy(), dtype=np.float64)
        missing = np.flatnonzero(np.isnan(gold_N))
        if len(missing):
            raise DataError(
                f"{base.where(int(missing[0]))}: column {base.roles.gold!r} (gold) is missing, expected a number on "
                f"every row ({len(missing)} of {len(gold_N)} rows have no gold); take() the rows that have it"
            )
        lo, hi = soft or (0.0, 1.0)
        if not 0 <= lo <= hi <= 1:
            raise ConfigError(f"worlds: soft is {soft}, expected (lo, hi) with 0 <= lo <= hi <= 1")
        return cls(base, seeds, lo + (hi - lo) * gold_N)

    @property
    def rows(self) -> int:
        """N."""
        return len(self.preference_N)

    def uniform(self, cause: str, *shape: int) -> FloatArray:
        """Uniform numbers [S, *shape] from the stream of one cause."""
        return np.stack([stream(cause, seed).random(shape) for seed in range(self.seeds)])

    def liked(self, preference_N: FloatArray | None = None) -> Bits:
        """r* ~ Bern(preference), int8 [S, N]."""
        chance_N = self.preference_N if preference_N is None else preference_N
        return (self.uniform("preference", self.rows) < chance_N).astype(np.int8)

    @cached_property
    def responses(self) -> list[str]:
        """The answers as text [N]."""
        return self.base.responses()

    @cached_property
    def style_NF(self) -> FloatArray:
        """The surface style of the answers, [N, F], a column for each of `STYLE_NAMES`."""
        return _style(self.base)

    @cached_property
    def prompt_codes(self) -> npt.NDArray[np.int64]:
        """The prompt of each row, from 0."""
        return self.base.prompt_codes()


@lru_cache(maxsize=1)
def _style(base: FeedbackLog) -> FloatArray:
    """Measured once for all worlds on the same texts."""
    return style_features(base.responses()).astype(np.float64)


def record(
    scene: Scene,
    liked_SN: Bits,
    propensity_SNK: FloatArray,
    misclick_K: FloatArray,
    polarity_K: npt.NDArray[np.int64],
) -> Recorded:
    """Implicit signals float32 [S, N, K]: due where liked (polarity +1) or not liked (-1), else by mistake.

    Args:
        scene: the texts; its random streams decide, the same on every run.
        liked_SN: r*, as `scene.liked()` draws it.
        propensity_SNK: P(signal k where it is due), [S, N, K] or [1, N, K].
        misclick_K: P(signal k where it is not due).
        polarity_K: +1 or -1 for each signal.

    Raises:
        ConfigError: propensities of another shape, or outside [0, 1].

    Example:
        >>> from tacit.worlds import stdlib_base
        >>> scene = Scene.of(stdlib_base(limit=4), seeds=2)
        >>> liked_SN, always_1NK = scene.liked(), np.ones((1, scene.rows, 1))
        >>> clicks_SNK = record(scene, liked_SN, always_1NK, np.array([0.0]), np.array([1]))
        >>> bool((clicks_SNK[:, :, 0] == liked_SN).all())
        True
    """
    _check_propensity(propensity_SNK, (scene.seeds, scene.rows, len(misclick_K)))
    shape = (scene.rows, len(misclick_K))
    active_SNK = scene.uniform("activity", *shape) < propensity_SNK
    slipped_SNK = scene.uniform("misclick", *shape) < misclick_K
    due_SNK = (liked_SN[:, :, None] == 1) == (polarity_K > 0)
    return np.where(due_SNK, active_SNK, slipped_SNK).astype(np.float32)


def one_signal(
    scene: Scene,
    name: str,
    propensity_N: FloatArray | float,
    context: Mapping[str, Any],
    *,
    misclick: float = 0.0,
    roles: Mapping[str, Any] | None = None,
) -> World:
    """A world of one implicit signal, `copied`, with the given chance of a copy where the answer is liked.

    Args:
        scene: the texts.
        name: of the world, and of its log.
        propensity_N: P(copied | liked) of each row, or one number for all.
        context: columns that the log names as context, N values each.
        misclick: P(copied | not liked).
        roles: as `assemble` takes them.

    Raises:
        ConfigError: a chance outside [0, 1], or not one for each row.

    Example:
        >>> from tacit.worlds import stdlib_base
        >>> scene = Scene.of(stdlib_base(limit=4), seeds=2)
        >>> weekend_N = np.arange(scene.rows) % 7 > 4
        >>> one_signal(scene, "weekends", np.where(weekend_N, 0.1, 0.6), {"weekend": weekend_N})
        World('weekends', rows=20, seeds=2, signals: copied)
    """
    check_unit(name, misclick=misclick)
    liked_SN, misclick_K = scene.liked(), np.array([misclick])
    each_N = np.asarray(propensity_N, dtype=np.float64)
    propensity_1NK = (np.full(scene.rows, each_N) if each_N.ndim == 0 else each_N)[None, ..., None]
    recorded = record(scene, liked_SN, propensity_1NK, misclick_K, np.array([1]))
    truth = WorldTruth(liked_SN, scene.preference_N, propensity_1NK, misclick_K)
    return assemble(scene, name, (Signal("copied"),), recorded, truth, context, roles=roles)


def assemble(
    scene: Scene,
    name: str,
    signals: Sequence[Signal],
    recorded_SNK: Recorded,
    truth: WorldTruth,
    context: Mapping[str, Any],
    *,
    roles: Mapping[str, Any] | None = None,
) -> World:
    """Put a world together; its log has the base's texts under plain names and no other column of the base.

    Args:
        scene: the texts.
        name: of the world, and of its log.
        signals: K signals.
        recorded_SNK: what they hold.
        truth: kept beside the log.
        context: columns that the log names as context, N values each.
        roles: further columns by their role: {"user_id": values}; each column is called like its role.

    Example:
        >>> from tacit.worlds import stdlib_base
        >>> scene = Scene.of(stdlib_base(limit=4), seeds=2)
        >>> liked_SN, misclick_K, polarity_K = scene.liked(), np.zeros(2), np.array([1, -1])
        >>> signals = (Signal("up"), Signal("down", polarity=-1))
        >>> propensity_1NK = np.full((1, scene.rows, 2), [0.2, 0.1])
        >>> recorded_SNK = record(scene, liked_SN, propensity_1NK, misclick_K, polarity_K)
        >>> truth = WorldTruth(liked_SN, scene.preference_N, propensity_1NK, misclick_K)
        >>> assemble(scene, "thumbs", signals, recorded_SNK, truth, context={})
        World('thumbs', rows=20, seeds=2, signals: up, down)
    """
    table, kept = scene.base.table, scene.base.roles
    columns = {
        "prompt": table.column(kept.prompt),
        "response": table.column(kept.response),
        "prompt_id": pa.array(scene.prompt_codes),
    }
    columns |= {s.name: signal_column(recorded_SNK[0, :, k]) for k, s in enumerate(signals)}
    others = dict(roles or {})
    for column, values in {**context, **others}.items():
        if len(values) != scene.rows:
            raise ConfigError(
                f"{name}: column {column!r} has {len(values)} values, expected {scene.rows}, one per row"
            )
    columns |= {column: pa.array(values) for column, values in {**context, **others}.items()}
    log = FeedbackLog(pa.table(columns), Roles(), name=name).with_roles(
        signals=signals, context=tuple(context), prompt_id="prompt_id", **{role: role for role in others}
    )
    return World(name, log, recorded_SNK, truth)


def _check_propensity(propensity_SNK: FloatArray, shape: tuple[int, ...]) -> None:
    found = propensity_SNK.shape
    if len(found) != len(shape) or any(n not in (1, N) for n, N in zip(found, shape, strict=True)):
        raise ConfigError(
            f"worlds: propensities have the shape {found}, expected {shape}: seeds (or 1 for all), rows, signals"
        )
    wrong = propensity_SNK[~((propensity_SNK >= 0) & (propensity_SNK <= 1))]
    if len(wrong):
        raise ConfigError(f"worlds: a propensity is {wrong[0]:g}, expected probabilities, from 0 to 1")


def check_unit(world: str, **rates: float) -> None:
    """Refuse a rate outside [0, 1].

    Raises:
        ConfigError: naming the parameter.
    """
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise ConfigError(f"{world}: {name} is {rate}, expected a number from 0 to 1")


def sigmoid(logits: FloatArray) -> FloatArray:
    """Probabilities of logits. scipy's differ in the last bit, and a seed would then be another world."""
    probability: FloatArray = 1 / (1 + np.exp(-logits))
    return probability


def with_mean(logits_N: FloatArray, mean: float) -> FloatArray:
    """Move logits by one constant so that their probabilities have this mean, in (0, 1).

    Example:
        >>> moved = with_mean(np.array([-1.0, 0.0, 3.0]), 0.3)
        >>> round(float(sigmoid(moved).mean()), 12), round(float(moved[2] - moved[0]), 12)
        (0.3, 4.0)

    Raises:
        ConfigError: a mean that is not strictly between 0 and 1.
    """
    if not 0 < mean < 1:
        raise ConfigError(f"worlds: a mean propensity of {mean} was asked for, expected it between 0 and 1")
    middle = float(np.log(mean / (1 - mean)))
    low, high = middle - float(logits_N.max()), middle - float(logits_N.min())
    for _ in range(60):
        half = (low + high) / 2
        low, high = (half, high) if sigmoid(logits_N + half).mean() < mean else (low, half)
    return logits_N + (low + high) / 2
