"""OpenRLHF: `TACIT_MODEL=rm/ … --reward.remote_url /path/to/this/file.py`; print the path with `python -m` this module.

OpenRLHF executes the file under the module name `reward_func` and calls its function of that name with one rendered
chat at a time, in threads. Its errors there are logged and swallowed, so the model is tried when the file is loaded.
`TACIT_UNCERTAINTY_PENALTY` is the λ of `RewardGuard`. Abstention is not offered: OpenRLHF has no "no reward".
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

from tacit.align.rewards import GuardedReward, RewardGuard
from tacit.errors import ConfigError

_one_at_a_time = threading.Lock()


@cache
def _guarded() -> GuardedReward:
    folder = os.environ.get("TACIT_MODEL")
    if not folder:
        raise ConfigError("no reward model is named; set TACIT_MODEL to a folder written by tacit")
    penalty = os.environ.get("TACIT_UNCERTAINTY_PENALTY", "0")
    try:
        guard = RewardGuard(uncertainty_penalty=float(penalty))
    except ValueError:
        raise ConfigError(f"TACIT_UNCERTAINTY_PENALTY is {penalty!r}, expected a number ≥ 0") from None
    guarded = GuardedReward.open(folder, guard)
    guarded.scorer.member_text_scores(["Is it ready?"])  # refused where prompt and response are apart
    return guarded


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **_: Any
) -> dict[str, Any]:
    """Reward rendered chats: `rewards` are logits, `scores` probabilities (for dynamic filtering), tensors [N]."""
    import torch

    with _one_at_a_time:
        guarded = _guarded()
        rewards_N = torch.tensor(guarded.rendered(queries), dtype=torch.float32)
        spread_N = torch.tensor(guarded.spread_N, dtype=torch.float32)
        scores_N = torch.sigmoid(torch.tensor(guarded.scorer.logit(guarded.mean_N), dtype=torch.float32))
    return {
        "rewards": rewards_N,
        "scores": scores_N,
        "extra_logs": {"uncertainty": spread_N, "probability": scores_N},
    }


if __name__ == "reward_func":  # loaded by OpenRLHF: fail now, with a sentence, rather than later, in silence
    _guarded()
elif __name__ == "__main__":
    print(__file__)
