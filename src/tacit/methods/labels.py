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
from tacit.methods.primitives import bce, log_sigmoid

_SMALLEST = 1e-38
"""The least normal number of float32: where a rate is 0, what its logarithm would be is not asked for."""


def inverse_propensity(obs: Observations, clip: float) -> Tensor:
    """o / max(p, clip) [..., B]."""
    return observed(obs) / obs.column("p").clamp(min=clip)


def observed(obs: Observations) -> Tensor:
    """o, whether a label was given, as 0.0 and 1.0 [..., B]."""
    return obs.explicit()[1].to(obs.signals_BK.dtype)


def self_normalised(weight_B: Tensor, obs: Observations) -> Tensor:
    """w / mean(w) [..., B], the mean over the rows of the batch that count; 0 where all weights are 0.

    The mean of w/mean(w)·l is Σwl/Σw, which does not change when w is multiplied by a constant.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> self_normalised(torch.tensor([2.0, 6.0]), observations(torch.tensor([1.0, 0.0]))).tolist()
        [0.5, 1.5]
    """
    mean = obs.mean(weight_B)
    return weight_B / torch.where(mean > 0, mean, torch.ones_like(mean))


def snips_bce(f_B: Tensor, obs: Observations, clip: float) -> Tensor:
    """(w/mean(w))·bce(f, r) [..., B], w = o/max(p, clip): bounded below, whatever the propensities are.

    Swaminathan & Joachims, NeurIPS 2015; here the yardstick of held-out rows.
    """
    return self_normalised(inverse_propensity(obs, clip), obs) * bce(f_B, obs.explicit()[0])


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
    (low, keep_low), (high, keep_high) = _logs(rho01, f_B), _logs(rho10, f_B)
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


def _logs(rate: Tensor | float, like: Tensor) -> tuple[Tensor, Tensor]:
    """log ρ and log(1 − ρ). log 0 is −inf, which logaddexp leaves out exactly, gradient included."""
    rate = torch.as_tensor(rate, dtype=like.dtype, device=like.device)
    log = torch.where(rate > 0, rate.clamp(min=_SMALLEST).log(), -torch.inf)
    return log, torch.log1p(-rate)
