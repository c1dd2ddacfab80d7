"""Evaluation answers from another policy than the one that was logged: best of n by some reward.

Legend: N rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tacit.errors import ConfigError
from tacit.worlds.scene import stream
from tacit.worlds.world import FloatArray

Codes = npt.NDArray[np.int64]


def best_of_n_weights(score_N: FloatArray, prompt_codes: Codes, n: int) -> FloatArray:
    """How often best-of-n shows each answer, float64 [N]; the weights of a prompt sum to 1.

    The policy draws n of the prompt's m answers, with replacement, and shows the one with the best score. An
    answer with b answers below it and t tied with it (itself included) is shown with ((b+t)/m)^n - (b/m)^n over t.

    Args:
        score_N: the reward that chooses.
        prompt_codes: the prompt of each row (`FeedbackLog.prompt_codes`).
        n: answers drawn; 1 shows all alike.

    Raises:
        ConfigError: n below 1, scores that are not finite, or shapes that differ.

    Example:
        >>> best_of_n_weights(np.array([0.1, 0.7, 5.0]), np.array([0, 0, 1]), 2).tolist()
        [0.25, 0.75, 1.0]
    """
    if n < 1:
        raise ConfigError(f"best_of_n_weights: n is {n}, expected at least 1")
    if score_N.shape != prompt_codes.shape or not np.isfinite(score_N).all():
        raise ConfigError(
            f"best_of_n_weights: scores {score_N.shape} and prompts {prompt_codes.shape}, expected one finite "
            f"score per row"
        )
    order = np.lexsort((score_N, prompt_codes))
    prompt, score = prompt_codes[order], score_N[order]
    places = np.arange(len(order))
    new_prompt = np.diff(prompt, prepend=-1) != 0
    new_score = new_prompt | (np.diff(score, prepend=np.inf) != 0)
    start = places[new_prompt][np.cumsum(new_prompt) - 1]
    size = np.bincount(prompt_codes)[prompt]
    tie = np.cumsum(new_score) - 1
    tied = np.bincount(tie)[tie]
    below = places[new_score][tie] - start
    weight_N = np.empty(len(order))
    weight_N[order] = (((below + tied) / size) ** n - (below / size) ** n) / tied
    return weight_N


def pick(weight_N: FloatArray, prompt_codes: Codes, seed: int = 0) -> Codes:
    """Draw one row per prompt with these weights: positions, int64, in the order of the prompts' codes.

    Raises:
        ConfigError: a negative weight.

    Example:
        >>> pick(np.array([0.0, 1.0, 1.0]), np.array([0, 0, 1])).tolist()
        [1, 2]
    """
    if not np.all(weight_N >= 0):
        raise ConfigError("pick: a weight is negative or NaN, expected numbers from 0")
    with np.errstate(divide="ignore"):  # a weight of 0 is never the largest of its prompt
        race_N = np.log(weight_N) + stream("pick", seed).gumbel(size=len(weight_N))
    order = np.lexsort((race_N, prompt_codes))
    last: Codes = order[np.diff(prompt_codes[order], append=-1) != 0]
    return last
