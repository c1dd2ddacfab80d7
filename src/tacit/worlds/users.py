"""The demonstration world: simulated users copy answers about Python, and the truth behind it is known.

The story. Users like an answer that is right and to the point; they put up with padding and with pages
cut short now and then, and hardly ever like the page of another function. Whether they *copy* an answer
that they like is another matter: a long answer or one with code gives more to copy, the first answer on
the screen gets more attention than the fourth, a phone is awkward, and some people copy all the time. So
a log of copies favours long answers, liked or not, and a short right answer that everybody reads and
nobody copies looks bad.

What makes the truth recoverable here, and is an assumption about any real log: nobody copies an answer
that they do not like; liking does not depend on the screen or the device; and the context, which is drawn
apart from the text, moves the propensity over nearly the whole range from 0 to 1, which fixes the level
of the preference and not only its order.

Legend: S seeds, N rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.data import FeedbackLog, Roles, Signal
from tacit.errors import ConfigError
from tacit.worlds.scene import sigmoid
from tacit.worlds.simulate import simulate
from tacit.worlds.stdlib_answers import AnswerSet, stdlib_answers

FloatArray = npt.NDArray[np.float64]
Bits = npt.NDArray[np.int8]

LIKED = {
    "right": 0.85,
    "code": 0.80,
    "terse": 0.80,
    "truncated": 0.45,
    "padded": 0.40,
    "wrong": 0.12,
    "wrong_long": 0.12,
}
"""The chance that a user likes an answer of each kind, for a question of ordinary difficulty."""

_CONTEXT = 11  # the streams of the context are spawned from this number, and no seed's users from the same
_TASTE_SPREAD = 0.5  # standard deviation, in logits, of how easily answers to a question please

# Propensity to copy a liked answer, in logits. The context is drawn for each row, never from the text.
_COPY_BASE = -1.0
_COPY_POSITION = (1.5, 0.5, -0.5, -1.5)
_COPY_DEVICE = {"desktop": 0.7, "tablet": 0.0, "phone": -0.7}
_COPY_ACTIVITY = 0.8  # per standard deviation of the user's activity
_COPY_LENGTH = 1.7  # per standard deviation of log length
_COPY_CODE = 1.0


@dataclass(frozen=True)
class Truth:
    """What a real log never holds."""

    liked_SN: Bits
    """r*: whether the user liked the answer, for each seed."""
    active_SN: Bits
    """a: whether the user would have copied the answer if it was liked, for each seed."""
    preference_N: FloatArray
    """r: the chance of being liked."""
    propensity_N: FloatArray
    """e: the chance of being copied if liked."""


@dataclass(frozen=True)
class DemoWorld:
    """A log as a product would keep it, the copies of further seeds, and the truth beside them."""

    log: FeedbackLog
    """Signal `copied` (seed 0), context `position`, `device`, `activity`; nothing of the truth."""
    clicks_SN: Bits
    """The copies of every seed; all seeds share texts and context."""
    truth: Truth

    def __repr__(self) -> str:
        return f"DemoWorld(rows={len(self.log)}, seeds={len(self.clicks_SN)})"


def demo_world(seeds: int = 5, *, limit: int | None = None) -> DemoWorld:
    """Make the demonstration world: about 6,000 answers to 1,200 questions, the same on every run.

    Args:
        seeds: how many times users react to the same answers, each time with fresh luck.
        limit: at most this many questions, for a quick look.

    Raises:
        ConfigError: fewer than one seed.
        DataError: this build of Python has no docstrings, or the limit is below 1.

    Example:
        >>> world = demo_world(seeds=2, limit=4)
        >>> world
        DemoWorld(rows=20, seeds=2)
        >>> seeds, rows = world.clicks_SN.shape
        >>> seeds, rows == len(world.log)
        (2, True)
        >>> bool(np.all(world.clicks_SN == world.truth.liked_SN * world.truth.active_SN))
        True
    """
    if seeds < 1:
        raise ConfigError(f"demo_world: seeds is {seeds}, expected at least 1")
    answers = stdlib_answers(limit)
    context = _context(len(answers.prompts))
    preference_N = _preference(answers)
    propensity_N = _propensity(answers.responses, context)
    users = [seed + (seed >= _CONTEXT) for seed in range(seeds)]
    runs = [simulate(preference_N, propensity_N[:, None], seed=seed) for seed in users]
    clicks_SN = np.stack([run.clicks_NK[:, 0] for run in runs])
    log = FeedbackLog.from_columns(
        {
            "prompt": answers.prompts,
            "response": answers.responses,
            "prompt_id": answers.prompt_ids.tolist(),
            "copied": clicks_SN[0].tolist(),
            "position": context.position_N.tolist(),
            "device": context.device_N,
            "activity": context.activity_N.tolist(),
        },
        Roles(
            prompt="prompt",
            response="response",
            prompt_id="prompt_id",
            signals=(Signal("copied"),),
            context=("position", "device", "activity"),
        ),
        name="demo",
    )
    truth = Truth(
        liked_SN=np.stack([run.liked_N for run in runs]),
        active_SN=np.stack([run.active_NK[:, 0] for run in runs]),
        preference_N=preference_N,
        propensity_N=propensity_N,
    )
    return DemoWorld(log, clicks_SN, truth)


@dataclass(frozen=True)
class _Context:
    position_N: npt.NDArray[np.int64]
    device_N: list[str]
    activity_N: FloatArray


def _context(rows: int) -> _Context:
    """Draw where each answer stood, on what, and for whom; three streams, none of them sees the text."""
    position, device, activity = (np.random.default_rng(s) for s in np.random.SeedSequence(_CONTEXT).spawn(3))
    names = list(_COPY_DEVICE)
    return _Context(
        position_N=position.integers(len(_COPY_POSITION), size=rows),
        device_N=[names[i] for i in device.integers(len(names), size=rows)],
        activity_N=activity.normal(size=rows).round(3),
    )


def _preference(answers: AnswerSet) -> FloatArray:
    by_kind_N = np.array([LIKED[kind] for kind in answers.kinds])
    taste = np.random.default_rng(12).normal(scale=_TASTE_SPREAD, size=int(answers.prompt_ids.max()) + 1)
    return sigmoid(np.log(by_kind_N / (1 - by_kind_N)) + taste[answers.prompt_ids])


def _propensity(responses: list[str], context: _Context) -> FloatArray:
    log_length_N = np.log1p([len(text) for text in responses])
    length_N = (log_length_N - log_length_N.mean()) / max(float(log_length_N.std()), 1e-9)
    code_N = np.array(["```" in text for text in responses])
    return sigmoid(
        _COPY_BASE
        + np.array(_COPY_POSITION)[context.position_N]
        + np.array([_COPY_DEVICE[name] for name in context.device_N])
        + _COPY_ACTIVITY * context.activity_N
        + _COPY_LENGTH * length_N
        + _COPY_CODE * code_N
    )
