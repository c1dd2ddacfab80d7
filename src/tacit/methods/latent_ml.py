"""`latent_ml`: maximum likelihood for K signals of either polarity, with misclicks, gaps, gold and a gate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.errors import ConfigError, DegenerateDataError
from tacit.methods.identification import identifiability_rank
from tacit.methods.latent import (
    complete_log_likelihood,
    em_objective,
    gated_strata_scores,
    marginal_log_likelihood,
    signal_log_likelihoods,
    signal_logits,
)
from tacit.methods.method import Claim, Head, Level, Logits, Method
from tacit.methods.observations import Observations
from tacit.methods.primitives import FLOOR_LOGIT, logit

_START_MISCLICK = 0.02
_COPIES = 0.95
_ROWS_TO_TELL, _ONES_TO_TELL = 300, 30
_IF_NO_MISTAKES = (
    "; and if nobody gives them by mistake: a few mistakes in a hundred would move the level far (name their rate, "
    "misclick)"
)
_OF_THUMBS = (
    "; of thumbs where null means no vote, write 0 for null in both, or keep one as a label that was asked for "
    "(NAME:explicit)"
)


@dataclass(frozen=True)
class LatentML(Method):
    """Many weak signals, one hidden preference: fit the likelihood of what was seen, whatever was seen.

    P(y) = r·Π_k Bern(y_k; e_k) + (1−r)·Π_k Bern(y_k; ε_k); for a negative signal the rates change roles.

    | Inputs | Labels |
    |---|---|
    | f: text; g_k: context and style | K signals of polarity ±1, 0/1/missing; gold optional |

    Loss: −log P(y) = softplus(f) − logaddexp(f + L1, L0), in log space. A missing signal contributes nothing; a
    gold row contributes log P(y, r*). A misclick rate is held below its hit rate (ε_k = σ(g_k − softplus(d_k))),
    which removes the exchange of likes and dislikes.

    Identified up to a few rates: three signals identify everything, misclicks included, with no context; two
    positive ones without misclicks too; one positive and one negative identify the odds times a constant at one
    response, and the constant across responses, as long as the text moves both through preference alone and no row
    carries both. A shared activity gate needs two signals of each polarity at one response (`identifiability_rank`).

    With the gate, one latent activity a ~ Bernoulli(σ(activity)) moves with context and style and switches every
    signal; given that the user acts, each signal has one hit rate. It is the default for exactly one positive and
    one negative signal (thumbs): with a propensity of its own for each, P(+)/P(−) = (r/(1−r))·(e₊/e₋) and whatever
    style does to e₊/e₋ cannot be told from preference; one act, one gate, and the ratio is a constant. With more
    signals of both polarities "auto" tries both and the held-out likelihood decides; with positive ones only there is
    no gate, because it could not be told from preference.

    Relations: one signal without misclicks is `implicit_rm`; `objective="em"` is the same gradient written as
    expectation–maximisation.

    Args:
        objective: "marginal" or "em".
        misclicks: "const" learns one rate per signal; "zero" forbids them; "auto" learns them with three or more
            signals that fire often enough (`telling`), or where a row fires signals of both polarities (impossible
            without misclicks).
        gate: one latent activity per row switches all its signals off together; "auto" as above.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([[1.0, 0.0]]), polarity=(1, -1))
        >>> heads = {"reward": torch.zeros(1), "propensity": torch.zeros(1, 2)}
        >>> LatentML().loss(heads, obs)  # liked (½), copied (½), no thumb down for sure: −log ¼
        tensor([1.3863])
    """

    objective: Literal["marginal", "em"] = "marginal"
    misclicks: Literal["auto", "zero", "const"] = "auto"
    gate: bool | Literal["auto"] = "auto"

    key: ClassVar[str] = "latent_ml"
    level: ClassVar[Level] = "prob"
    claims: ClassVar[Claim] = "consistent"
    exchangeable: ClassVar[bool] = True
    uses_gold: ClassVar[bool] = True
    reads_misclicks: ClassVar[bool] = True
    assumes: ClassVar[str] = (
        "signals independent given preference, context and style; better than chance; context moves activity only; "
        "no misclicks, unless three signals tell them or a rate is given"
    )
    not_identified: ClassVar[str] = (
        "depends on the signals: a factor with one; the level or nothing with more, if text moves preference alone"
    )
    citation: ClassVar[str] = "Dawid & Skene 1979; Allman et al. 2009, arXiv 0809.5032; K=1: arXiv 2603.23184"

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """Reward, one hit rate per signal, learned misclick rates, and the gate if there is one."""
        hits = tuple(logit(min(0.9, 2 * rate)) for rate in obs.signal_rates())
        gated = self.has_gate(obs)
        heads = [
            Head("reward", "reward", (0.0,)),
            Head("propensity", "none" if gated else "propensity", hits, scalar=False),
        ]
        if self.learns_misclicks(obs):
            gaps = tuple(max(0.1, hit - logit(_START_MISCLICK)) for hit in hits)
            heads.append(Head("misclick", "none", tuple(math.log(math.expm1(g)) for g in gaps), scalar=False))
        if gated:
            heads.append(Head("activity", "propensity", (0.0,)))
        return tuple(heads)

    def has_gate(self, obs: Observations) -> bool:
        """Whether signals share one activity on these data, as far as it is settled before the fit."""
        return sorted(obs.polarity) == [-1, 1] if self.gate == "auto" else self.gate

    def open_questions(self, obs: Observations) -> str:
        """What this set of signals leaves open, by its rank table, at one response and across several."""
        if obs.n_signals == 1:
            return (
                "a factor between liking and acting, one per group of linked contexts; without context, one from the "
                "other"
            )
        kind = {"gate": self.has_gate(obs), "misclicks": self.learns_misclicks(obs)}
        polarity = [obs.polarity[k] for k in telling(obs)]
        by_mistake = "" if kind["misclicks"] or any(obs.misclick) else _IF_NO_MISTAKES
        if identifiability_rank(polarity, **kind, draws=2).preference_identified:
            return (
                "nothing more, as long as the signals are independent given preference, context and style"
                + by_mistake
            )
        if identifiability_rank(polarity, **kind, responses=2, draws=2).preference_identified:
            return (
                "nothing more, as long as the text moves these signals through preference alone; where users praise "
                "or blame some texts more readily than others, the level is off (audit some rows, --gold, to be sure)"
                + by_mistake
            )
        return (
            "the level, which the rates of these signals can make up for (add a signal of another kind, or audit some "
            "rows, --gold); the order is told, as long as the text moves them through preference alone"
        )

    def variants(self, obs: Observations) -> tuple[Method, ...]:
        """With more signals than two, of both polarities, held-out likelihood decides about the gate."""
        undecided = self.gate == "auto" and obs.n_signals > 2 and len(set(obs.polarity)) == 2
        return (replace(self, gate=False), replace(self, gate=True)) if undecided else (self,)

    def starts_linear(self, obs: Observations) -> bool:
        """With one signal only; see `Method.starts_linear`."""
        return obs.n_signals == 1

    def learns_misclicks(self, obs: Observations) -> bool:
        """Whether misclick rates are fitted on these data."""
        if self.misclicks == "auto":
            return len(telling(obs)) >= 3 or _contradictory_rows(obs) > 0
        return self.misclicks == "const"

    def check(self, obs: Observations) -> None:
        """Every signal seen at least once; no two signals copies of each other; some variation."""
        if obs.n_signals == 0:
            raise DegenerateDataError(
                "latent_ml: no signal is named; name one (signals=…, --signal), or learn from gold alone with method "
                "oracle"
            )
        for k in range(obs.n_signals):
            if not bool(obs.visible_BK[..., k].any()):
                raise DegenerateDataError(f"latent_ml: {obs.called(k)} is never visible; leave it out")
        if obs.n_signals == 1:
            super().check(obs)
        elif not any(rate > 0 for rate in obs.signal_rates()):
            raise DegenerateDataError("latent_ml: no signal ever fires; there is nothing to learn from")
        elif all(rate == 1 for rate in obs.signal_rates()):
            raise DegenerateDataError("latent_ml: every signal fires on every row; rows with 0 are needed")
        _refuse_copies(obs)
        if not self.learns_misclicks(obs) and _contradictory_rows(obs) and not any(obs.misclick):
            raise ConfigError(
                f"latent_ml: {_contradictory_rows(obs)} rows fire signals of both polarities, which "
                "misclicks='zero' makes impossible; use misclicks='const'"
            )

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y), or the EM objective with the same gradient; gold rows use log P(y, r*) [..., B]."""
        if self.objective == "em" and "activity" not in logits:
            L1_B, L0_B = self._signal_terms(logits, obs)
            return self._gold_rows(logits, obs, L1_B, L0_B, em_objective(logits["reward"], L1_B, L0_B))
        return self.criterion(logits, obs)

    def criterion(self, logits: Logits, obs: Observations) -> Tensor:
        """−log P(y); gold rows −log P(y, r*) [..., B]."""
        L1_B, L0_B = self._signal_terms(logits, obs)
        return self._gold_rows(logits, obs, L1_B, L0_B, -self._marginal(logits, obs, L1_B, L0_B))

    def log_likelihood(self, logits: Logits, obs: Observations) -> Tensor | None:
        """log P(y) of the visible signals [..., B]."""
        return self._marginal(logits, obs, *self._signal_terms(logits, obs))

    def counts(self, obs: Observations) -> Tensor:
        """Rows with any visible signal or a gold label."""
        seen = obs.visible_BK.any(-1)
        return seen if obs.gold_known_B is None else seen | obs.gold_known_B

    def _signal_terms(self, logits: Logits, obs: Observations) -> tuple[Tensor, Tensor]:
        pair = signal_logits(logits["propensity"], self._false_alarms(logits, obs), obs.polarity_K)
        return signal_log_likelihoods(pair, obs.signals_BK, obs.visible_BK)

    def _false_alarms(self, logits: Logits, obs: Observations) -> Tensor | None:
        hit_BK = logits["propensity"]
        alarm_BK = hit_BK - softplus(logits["misclick"]) if "misclick" in logits else None
        if any(rate is not None for rate in obs.misclick):
            fixed = [FLOOR_LOGIT if rate is None else logit(rate, 1e-9) for rate in obs.misclick]
            known_K = torch.tensor([rate is not None for rate in obs.misclick], device=hit_BK.device)
            fixed_BK = hit_BK.new_tensor(fixed).expand_as(hit_BK)
            alarm_BK = fixed_BK if alarm_BK is None else torch.where(known_K, fixed_BK, alarm_BK)
        return alarm_BK

    def _marginal(self, logits: Logits, obs: Observations, L1_B: Tensor, L0_B: Tensor) -> Tensor:
        if "activity" not in logits:
            return marginal_log_likelihood(logits["reward"], L1_B, L0_B)
        return torch.logsumexp(self._gate_scores(logits, obs, L1_B, L0_B), dim=-1)

    def _gate_scores(self, logits: Logits, obs: Observations, L1_B: Tensor, L0_B: Tensor) -> Tensor:
        silent_B = ~((obs.signals_BK > 0) & obs.visible_BK).any(-1)
        return gated_strata_scores(logits["reward"], logits["activity"], L1_B, L0_B, silent_B)

    def _gold_rows(
        self, logits: Logits, obs: Observations, L1_B: Tensor, L0_B: Tensor, loss_B: Tensor
    ) -> Tensor:
        if obs.gold_B is None or obs.gold_known_B is None:
            return loss_B
        if (
            "activity" in logits
        ):  # sum the gate out within each value of r*; the prior of r* is already in the scores
            scores = self._gate_scores(logits, obs, L1_B, L0_B)
            liked_B = torch.logaddexp(scores[..., 0], scores[..., 2])
            disliked_B = torch.logaddexp(scores[..., 1], scores[..., 3])
            known_loss_B = -(obs.gold_B * liked_B + (1 - obs.gold_B) * disliked_B)
        else:
            known_loss_B = -complete_log_likelihood(logits["reward"], L1_B, L0_B, obs.gold_B)
        return torch.where(obs.gold_known_B, known_loss_B, loss_B)


def telling(obs: Observations) -> list[int]:
    """Positions of the signals that fired often enough to tell anything of their own rates.

    Left out is what fired on fewer than 30 of at least 300 rows; all, where that leaves none.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> y_BK = torch.zeros(400, 2)
        >>> y_BK[:40, 0], y_BK[:3, 1] = 1, 1
        >>> telling(observations(y_BK))
        [0]
    """
    K = obs.n_signals
    shown = obs.visible_BK.reshape(-1, K).sum(0)
    fired = ((obs.signals_BK > 0) & obs.visible_BK).reshape(-1, K).sum(0)
    return [k for k in range(K) if shown[k] < _ROWS_TO_TELL or fired[k] >= _ONES_TO_TELL] or list(range(K))


def _contradictory_rows(obs: Observations) -> int:
    fired = (obs.signals_BK > 0) & obs.visible_BK
    positive_K = obs.polarity_K > 0
    return int((fired[..., positive_K].any(-1) & fired[..., ~positive_K].any(-1)).sum())


def _refuse_copies(obs: Observations) -> None:
    K = obs.n_signals
    values = obs.signals_BK.reshape(-1, K)
    shown = obs.visible_BK.reshape(-1, K)
    for j in range(K):
        for k in range(j + 1, K):
            both = shown[:, j] & shown[:, k]
            pair = values[both][:, [j, k]]
            if pair.shape[0] > 1 and bool((pair.std(0) > 0).all()):
                phi = float(torch.corrcoef(pair.T)[0, 1])
                if abs(phi) > _COPIES:
                    raise DegenerateDataError(
                        f"latent_ml: {obs.called(j)} and {obs.called(k)} say the same (correlation {phi:.2f}), so that "
                        "they are not independent given preference; keep one of them"
                        + (_OF_THUMBS if phi < 0 and not bool(both.all()) else "")
                    )
