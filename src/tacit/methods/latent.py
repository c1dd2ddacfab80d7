"""The latent-preference likelihood: what K signals say about a preference that nobody sees.

    r* ~ Bernoulli(σ(f))                               the user likes the response
    y_k | r*=1 ~ Bernoulli(σ(A1_k)),  y_k | r*=0 ~ Bernoulli(σ(A0_k)),  independent given r*
    log P(y) = logaddexp(f + L1, L0) − softplus(f),    L_j = Σ_k v_k log Bernoulli(y_k; σ(A_jk))

Signals that could not be recorded (v_k = 0) contribute nothing. With one signal and A0 = 'never' this is the
mixture of ImplicitRM (arXiv 2603.23184), whose four strata are exposed by `strata`.

Shapes: B rows, K signals, any leading dimensions (members). f, g, h are logits.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods.primitives import FLOOR_LOGIT, bce, log_bernoulli, log_sigmoid

STRATA = ("PA", "NA", "PP", "NP")
"""Positive active, negative active, positive passive, negative passive: the order of every [..., 4] here."""


class SignalLogits(NamedTuple):
    """logit P(y_k=1 | r*=1) and logit P(y_k=1 | r*=0), each [..., B, K]."""

    liked_BK: Tensor
    disliked_BK: Tensor


def signal_logits(hit_BK: Tensor, false_alarm_BK: Tensor | None, polarity_K: Tensor) -> SignalLogits:
    """Turn hit-rate logits into the two conditional logits of each signal.

    Args:
        hit_BK: g, logit of the rate at which a signal fires when it should [..., B, K].
        false_alarm_BK: logit of the misclick rate, broadcastable to g; None means 'never'.
        polarity_K: ±1; for a negative signal the two rates change roles.

    Example:
        >>> import torch
        >>> hit = torch.zeros(1, 2)
        >>> pair = signal_logits(hit, None, torch.tensor([1.0, -1.0]))
        >>> pair.liked_BK.tolist()
        [[0.0, -60.0]]
    """
    alarm_BK = torch.full_like(hit_BK, FLOOR_LOGIT) if false_alarm_BK is None else false_alarm_BK
    positive_K = polarity_K > 0
    return SignalLogits(torch.where(positive_K, hit_BK, alarm_BK), torch.where(positive_K, alarm_BK, hit_BK))


def signal_log_likelihoods(
    logits: SignalLogits, signals_BK: Tensor, visible_BK: Tensor
) -> tuple[Tensor, Tensor]:
    """L1 and L0 [..., B]: log-likelihood of the visible signals if the response is liked, if it is not."""
    zero = logits.liked_BK.new_zeros(())
    liked = torch.where(visible_BK, log_bernoulli(signals_BK, logits.liked_BK), zero).sum(-1)
    disliked = torch.where(visible_BK, log_bernoulli(signals_BK, logits.disliked_BK), zero).sum(-1)
    return liked, disliked


def marginal_log_likelihood(f_B: Tensor, L1_B: Tensor, L0_B: Tensor) -> Tensor:
    """log P(y) = logaddexp(f + L1, L0) − softplus(f), per row [..., B]."""
    return torch.logaddexp(f_B + L1_B, L0_B) - softplus(f_B)


def complete_log_likelihood(f_B: Tensor, L1_B: Tensor, L0_B: Tensor, gold_B: Tensor) -> Tensor:
    """log P(y, r*) where r* is known (gold; a fraction is read as a share of voters), per row [..., B]."""
    return gold_B * (log_sigmoid(f_B) + L1_B) + (1 - gold_B) * (L0_B - softplus(f_B))


def responsibility(f_B: Tensor, L1_B: Tensor, L0_B: Tensor) -> Tensor:
    """P(r*=1 | y) = σ(f + L1 − L0): prior log-odds plus log-likelihood ratio, per row [..., B]."""
    return torch.sigmoid(f_B + L1_B - L0_B)


def em_objective(f_B: Tensor, L1_B: Tensor, L0_B: Tensor) -> Tensor:
    """Expected complete-data loss with the E-step at the current parameters, per row [..., B].

        Q = bce(f, q) − q·L1 − (1 − q)·L0,   q = stop_gradient(P(r*=1 | y))

    By Fisher's identity its gradient is that of −log P(y); its value is not.
    """
    q_B = responsibility(f_B, L1_B, L0_B).detach()
    return bce(f_B, q_B) - q_B * L1_B - (1 - q_B) * L0_B


def gated_strata_scores(
    f_B: Tensor, activity_B: Tensor, L1_B: Tensor, L0_B: Tensor, silent_B: Tensor
) -> Tensor:
    """Unnormalised log-masses of the four strata when one activity gate switches all signals [..., B, 4].

    Args:
        f_B: reward logit.
        activity_B: logit that this user acts at all on this row; when not, every signal is 0.
        L1_B, L0_B: log-likelihoods of the signals given that the user is active.
        silent_B: bool, no visible signal fired.
    """
    f_B, activity_B, L1_B, L0_B = torch.broadcast_tensors(f_B, activity_B, L1_B, L0_B)
    never = torch.full_like(f_B, -1e9)
    passive_B = torch.where(silent_B, torch.zeros_like(f_B), never)
    active, inactive = log_sigmoid(activity_B), -softplus(activity_B)
    liked, disliked = log_sigmoid(f_B), -softplus(f_B)
    return torch.stack(
        [
            liked + active + L1_B,
            disliked + active + L0_B,
            liked + inactive + passive_B,
            disliked + inactive + passive_B,
        ],
        dim=-1,
    )


def strata(f_B: Tensor, g_B: Tensor, y_B: Tensor, visible_B: Tensor | None = None) -> Tensor:
    """Posterior of the four strata PA, NA, PP, NP of one positive signal without misclicks [..., B, 4].

    A click is PA for sure. Without a click, (NA, PP, NP) = softmax(g, f, 0):

        φ_NA = (1−r)e / (1−re),   φ_PP = r(1−e) / (1−re),   φ_NP = (1−r)(1−e) / (1−re)

    Eq. (6) of arXiv 2603.23184v1 prints the masses of NA and PP exchanged (and PP once with PA's); the
    meaning in its Table 1 and Eq. (7) is the one here.

    Args:
        f_B: reward logits.
        g_B: propensity logits.
        y_B: the signal, 0/1.
        visible_B: bool; where False nothing was observed and the prior (re, (1−r)e, r(1−e), (1−r)(1−e)) stands.

    Example:
        >>> import torch
        >>> strata(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]))
        tensor([[1.0000, 0.0000, 0.0000, 0.0000],
                [0.0000, 0.3333, 0.3333, 0.3333]])
    """
    f_B, g_B, y_B = torch.broadcast_tensors(f_B, g_B, y_B)
    silent = torch.softmax(torch.stack([g_B, f_B, torch.zeros_like(f_B)], dim=-1), dim=-1)
    silent = torch.cat([torch.zeros_like(silent[..., :1]), silent], dim=-1)
    clicked = torch.zeros_like(silent)
    clicked[..., 0] = 1.0
    posterior = torch.where((y_B > 0)[..., None], clicked, silent)
    if visible_B is None:
        return posterior
    prior = torch.softmax(torch.stack([f_B + g_B, g_B, f_B, torch.zeros_like(f_B)], dim=-1), dim=-1)
    return torch.where(visible_B[..., None], posterior, prior)


def implicit_nll(f_B: Tensor, g_B: Tensor, y_B: Tensor) -> Tensor:
    """−log P(y) of y ~ Bernoulli(σ(f)·σ(g)), per row [..., B]; symmetric in f and g.

    y=1: softplus(−f) + softplus(−g);   y=0: softplus(f) + softplus(g) − logsumexp(f, g, 0).
    """
    clicked = softplus(-f_B) + softplus(-g_B)
    silent = softplus(f_B) + softplus(g_B) - torch.logaddexp(torch.logaddexp(f_B, g_B), torch.zeros_like(f_B))
    return y_B * clicked + (1 - y_B) * silent


def implicit_em_objective(f_B: Tensor, g_B: Tensor, y_B: Tensor) -> Tensor:
    """The published alternating objective E_pref + E_prop of ImplicitRM, Eq. (7), per row [..., B].

    E_pref = bce(f, P(r*=1|y)),  E_prop = bce(g, P(a=1|y)), both targets from the strata, without gradient.
    """
    phi = strata(f_B.detach(), g_B.detach(), y_B)
    return bce(f_B, phi[..., 0] + phi[..., 2]) + bce(g_B, phi[..., 0] + phi[..., 1])
