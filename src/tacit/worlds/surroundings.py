"""What moves a user's hand whether or not the answer is liked: where and to whom it is shown, and how it looks.

Legend: N rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.features.style import STYLE_NAMES
from tacit.worlds.scene import Scene, sigmoid, stream, with_mean
from tacit.worlds.world import FloatArray

SLOTS = {"last": 0.1, "third": 0.2, "second": 0.4, "first": 0.7}
"""The share of liked answers that are copied in each slot, averaged over device and activity."""

DEVICES = {"desktop": 0.7, "tablet": 0.0, "phone": -0.7}
"""What the device adds to the logit."""

ACTIVITY = 0.8
"""What one standard deviation of the user's activity adds to the logit."""

_TABLE = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*\|", re.MULTILINE)  # the rule under a table's head


@dataclass(frozen=True)
class Context:
    """One slot, device and activity per row, each from a stream of its own, none of which sees the text."""

    slot_N: npt.NDArray[np.str_]
    device_N: npt.NDArray[np.str_]
    activity_N: FloatArray

    def columns(self) -> dict[str, npt.NDArray[np.str_] | FloatArray]:
        """The columns of a log."""
        return {"slot": self.slot_N, "device": self.device_N, "activity": self.activity_N}

    def logits(self) -> FloatArray:
        """What the context makes of a copy, as logits [N]: every slot keeps its share of `SLOTS` on average."""
        person_N = effects(DEVICES, self.device_N) + ACTIVITY * self.activity_N
        base = {slot: float((with_mean(person_N, share) - person_N)[0]) for slot, share in SLOTS.items()}
        return effects(base, self.slot_N) + person_N


def draw_context(rows: int) -> Context:
    """Draw the context of N rows, the same for all seeds and all worlds."""
    slots, devices = np.array(list(SLOTS)), np.array(list(DEVICES))
    return Context(
        slot_N=slots[stream("context", 0).integers(len(slots), size=rows)],
        device_N=devices[stream("context", 1).integers(len(devices), size=rows)],
        activity_N=stream("context", 2).normal(size=rows).round(3),
    )


def effects(effect: dict[str, float], level_N: npt.NDArray[np.str_]) -> FloatArray:
    """The number that belongs to the level of each row."""
    values_N = np.zeros(len(level_N))
    for level, value in effect.items():
        values_N[level_N == level] = value
    return values_N


def length_scores(scene: Scene) -> FloatArray:
    """log(1 + words) of each answer, standardised over the rows, [N]."""
    return _standardised(scene.style_NF[:, STYLE_NAMES.index("log_length")])


def style_logits(
    scene: Scene, *, length: float = 0.8, code: float = 0.6, lists: float = 0.3, table: float = 0.3
) -> FloatArray:
    """What the look of an answer makes of a copy, as logits [N] (METHODS §11.3, `sar_style`).

    length·z(log(1 + words)) + code·min(code blocks, 3) + lists·[has a list] + table·[has a table]. Code blocks
    are cut at 3: a tutorial with twenty would have a propensity of 1.
    """
    style_NF = scene.style_NF
    blocks_N = np.minimum(np.expm1(style_NF[:, STYLE_NAMES.index("code_blocks")]).round(), 3)
    listed_N = style_NF[:, STYLE_NAMES.index("list_items")] > 0
    tabled_N = np.array([bool(_TABLE.search(text)) for text in scene.responses])
    length_N = _standardised(style_NF[:, STYLE_NAMES.index("log_length")])
    logits_N: FloatArray = length * length_N + code * blocks_N + lists * listed_N + table * tabled_N
    return logits_N


def propensity(logits_N: FloatArray, mean: float) -> FloatArray:
    """Probabilities [N] of these logits, moved by a constant so that their mean is as asked."""
    return sigmoid(with_mean(logits_N, mean))


def _standardised(values_N: FloatArray) -> FloatArray:
    spread = max(float(values_N.std()), 1e-9)
    standard_N: FloatArray = (values_N - values_N.mean()) / spread
    return standard_N
