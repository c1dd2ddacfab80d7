"""What methods for explicit labels share: observation weights, the noise-corrected target, the forward likelihood.

    w = o / max(p, clip)                                  inverse propensity weight
    t = (r − ρ10) / Δ,   Δ = 1 − ρ01 − ρ10                target with E[t | r*] = r*
    log P(r=1) = logaddexp(log(1−ρ01) + log σ(f), log ρ10 + log σ(−f))

ρ01 = P(r=0 | r*=1) is the false-negative rate and ρ10 = P(r=1 | r*=0) the false-positive rate, as in the text of
CausalRM (arXiv 2603.18736); its published code uses the two names the other way round.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from tacit.methods.method import refuse_degenerate
from tacit.methods.observations import Observations
from tacit.methods.primitives import log_sigmoid

_TINY = 1e-12


def inverse_propensity(obs: Observations, clip: float) -> Tensor:
    """o / max(p, clip) [..., B]."""
    return obs.explicit()[1].to(obs.signals_BK.dtype) / obs.column("p").clamp(min=clip)


def corrected_label(obs: Observations, rho01: Tensor | float, rho10: Tensor | float) -> Tensor:
    """t = (r − ρ10) / (1 − ρ01 − ρ10) [..., B], outside [0, 1] on purpose: E[t | r*] = r*.

    Natarajan, Dhillon, Ravikumar, Tewari, "Learning with noisy labels", NeurIPS 2013; for the logistic loss the
    corrected loss is bce(f, t).
    """
    return (obs.explicit()[0] - rho10) / (1 - rho01 - rho10)


def forward_nll(f_B: Tensor, r_B: Tensor, rho01: Tensor | float, rho10: Tensor | float) -> Tensor:
    """−log P(r | x) of the noisy label under r* ~ Bernoulli(σ(f)) [..., B]; bounded below, proper.

    Patrini et al., CVPR 2017, arXiv 1609.03683.

    Example:
        >>> import torch
        >>> f = torch.tensor([0.3], dtype=torch.float64)
        >>> both = [forward_nll(f, torch.tensor([r], dtype=torch.float64), 0.1, 0.2) for r in (0.0, 1.0)]
        >>> round(sum((-nll).exp().item() for nll in both), 12)
        1.0
    """
    low, high = _log(rho01, f_B), _log(rho10, f_B)
    keep_low, keep_high = torch.log1p(-low.exp()), torch.log1p(-high.exp())
    liked, disliked = log_sigmoid(f_B), -softplus(f_B)
    log_one = torch.logaddexp(keep_low + liked, high + disliked)
    log_zero = torch.logaddexp(low + liked, keep_high + disliked)
    return -(r_B * log_one + (1 - r_B) * log_zero)


def refuse_unlabelled(key: str, obs: Observations) -> None:
    """Raise unless labels of both kinds were given (guards G3 and G7).

    Raises:
        DegenerateDataError: no label, or one value only.
    """
    refuse_degenerate(key, *obs.explicit())


def _log(rate: Tensor | float, like: Tensor) -> Tensor:
    return torch.as_tensor(rate, dtype=like.dtype).clamp(min=_TINY).log()
