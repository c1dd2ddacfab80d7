"""`latent_pairs`: the likelihood of `latent_ml`, and who of two answers to a prompt got which signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.errors import DegenerateDataError
from tacit.methods.exchanged import Patterns, exchanged_nll, patterns
from tacit.methods.latent_ml import LatentML
from tacit.methods.method import Logits
from tacit.methods.observations import Observations
from tacit.methods.pairs import in_contrast, pairs_within, require_groups
from tacit.methods.parameters import refuse_negative


@dataclass(frozen=True)
class LatentPairs(LatentML):
    """`latent_ml` that looks harder at what differs between answers to one prompt, where a reward model is used.

    | Inputs | Labels |
    |---|---|
    | as `latent_ml` | as `latent_ml`, several answers per prompt |

    Loss of row i: −log P(y_i) as in `latent_ml`, plus `weight` times the mean over its partners j in the prompt of
        −log P(y_i at i, y_j at j | the two outcomes, in either order) = softplus(−d),
        d = log P(y_i|x_i) + log P(y_j|x_j) − log P(y_j|x_i) − log P(y_i|x_j),
    0 where both have the same outcome, or not the same signals visible. With one signal and c = P(y=1|x),
    d = logit c_i − logit c_j. Whatever makes all answers to a prompt be copied more often weighs less in it, and little
    of the head's capacity is spent on it.
    The sum is a composite likelihood: where the model is right, its true parameters are a stationary point of both
    terms. Held-out rows are judged by −log P(y), as in `latent_ml`.

    Every row meets up to 10 others of its prompt, others in each epoch. Rows with a gold label meet nobody.

    Not for answers that are there only because of what the user did with another, as after a regeneration: of a
    first answer that was followed by a second, its silence is known beforehand, and the second looks better than it is.
    `latent_ml` is not misled by that.

    Relations: weight = 0 is `latent_ml`; `bpr` is the pair term of `naive`.

    Args:
        objective: as in `latent_ml`.
        misclicks: as in `latent_ml`.
        gate: as in `latent_ml`.
        weight: of the pair term. Of 0, ½, 2 and 8, 2 left the best held-out −log P(y) on training prompts of TruthfulQA
            in each of the three simulated worlds in which they were compared (`context`, `style`, `both`).

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([1.0, 0.0]), groups=torch.tensor([5, 5]))
        >>> heads = {"reward": torch.zeros(2), "propensity": torch.zeros(2, 1)}
        >>> LatentPairs(weight=1.0).loss(heads, obs)  # −log ¼ and −log ¾, and log 2 for either
        tensor([2.0794, 0.9808])
    """

    weight: float = 2.0

    key: ClassVar[str] = "latent_pairs"
    needs: ClassVar[tuple[str, ...]] = ("signal", "several answers per prompt")
    by_group: ClassVar[bool] = True
    assumes: ClassVar[str] = (
        "as latent_ml; the answers to a prompt are shown whatever users do with the others (no regenerations)"
    )
    citation: ClassVar[str] = "latent_ml; pairwise conditional likelihood: Liang & Qin 2000"

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, weight=self.weight)

    def check(self, obs: Observations) -> None:
        """As `latent_ml`; and some prompt has answers of which the signals differ."""
        group_B = require_groups(self.key, obs)
        super().check(obs)
        found = patterns(obs)
        sight_U, sight_B = found.sight_U, found.sight_U[found.code_B]
        differ = (
            in_contrast(
                group_B, (found.code_B == u).to(torch.float32), found.known_B & (sight_B == sight)
            ).any()
            for u, sight in enumerate(sight_U)
        )
        if not any(differ):
            raise DegenerateDataError(
                "latent_pairs: no prompt has two answers of which the signals differ; it needs several answers per "
                "prompt (is prompt_id missing?), else use method latent_ml"
            )

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y) plus the weighted mean of the row's pair terms [..., B]."""
        return super().loss(logits, obs) + self.weight * self.pair_loss(logits, obs)

    def pair_loss(self, logits: Logits, obs: Observations) -> Tensor:
        """Mean over the partners of −log P(who of the two got which signals) [..., B]; 0 for a row without any."""
        found = patterns(obs)
        pairs = pairs_within(self.key, obs, self._untold(obs, found))

        def log_likelihood(had: Observations) -> Tensor:
            return self._marginal(logits, had, *self._signal_terms(logits, had))

        return pairs.row_means(exchanged_nll(log_likelihood, obs, found, pairs))

    def _untold(self, obs: Observations, found: Patterns) -> Tensor:
        """Rows of which the signals are seen and preference is not."""
        return found.known_B if obs.gold_known_B is None else found.known_B & ~obs.gold_known_B
