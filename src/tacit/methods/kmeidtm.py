"""`kmeidtm`: noise rates that depend on the response, kept alike among neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tacit.methods.labels import forward_nll
from tacit.methods.method import Head, Level, Logits, Setting
from tacit.methods.noisy_labels import NoisyLabels, eligible
from tacit.methods.observations import Observations
from tacit.methods.parameters import refuse_negative
from tacit.methods.primitives import bce, logit

_EVERY = 10
"""Epochs between two choices of confident rows."""
_CONFIDENT = 0.8
_NEIGHBOURS = 7


@dataclass(frozen=True)
class KMEIDTM(NoisyLabels):
    """Learns for every response how often its label is wrong, from the rule that near responses err alike.

    | Inputs | Labels |
    |---|---|
    | f, (b01, b10): text | an explicit label 0/1, missing where none was given |

    ρ01(x) = ½σ(b01), ρ10(x) = ½σ(b10). Ten epochs of bce(f, r), then −log P(r | x) of the forward law with row-wise
    rates, plus lam·(mean S_ij·|T_i−T_j|² − mean B_ij·|T_i−T_j|²), T the 2×2 transition matrix: S pairs are mutual
    nearest neighbours of one label, B pairs nearest neighbours of unlike labels, each weighed by exp(−dist²/sigma²).
    |T_i−T_j|² is at most 1 with rates up to ½, so that the second term is bounded. T learns from the 80 % most
    confident rows, chosen anew every 10 epochs.

    A rate per response is not identified from one label per row (arXiv 2202.02016): the regulariser picks one of many
    solutions. Judged and calibrated by the noisy label, as all methods of this family: its level is the label's.
    With constant b and lam = 0 the loss is that of `forward_correction`.

    Deviations: neighbours (7, by cosine) are sought among the labelled rows of the batch, in the 32 leading principal
    coordinates of the features, which training supplies as columns; means run over neighbour pairs, so that lam does
    not depend on the batch size; sigma² is the batch's mean squared distance of neighbours. The published code drops
    the neighbour mask and feeds probabilities to a softmax cross-entropy; neither is followed.

    Reference: Cheng et al., "Instance-dependent label-noise learning with manifold-regularized transition matrix
    estimation", CVPR 2022, arXiv 2206.02791.

    Args:
        lam: weight of the regulariser; 0 needs no features.

    Example:
        >>> import torch
        >>> from tacit.methods import observations
        >>> obs = observations(torch.tensor([0.0, 0.0])).with_columns(confident=torch.ones(2))
        >>> b = torch.tensor([[0.0, 0.0], [-60.0, -60.0]])  # rates of ¼ on the first row, 0 on the second
        >>> heads = {"reward": torch.tensor([3.0, 3.0]).log(), "transition": b}  # σ(f) = ¾
        >>> KMEIDTM(lam=0.0).loss(heads, obs)  # −log(¾·¼ + ¼·¾), and −log ¼
        tensor([0.9808, 1.3863])
    """

    lam: float = 0.3

    key: ClassVar[str] = "kmeidtm"
    setting: ClassVar[Setting] = "explicit"
    needs: ClassVar[tuple[str, ...]] = ("label",)
    level: ClassVar[Level] = "prob"
    refreshes: ClassVar[bool] = True
    warm_up: ClassVar[int] = 10
    calibrated: ClassVar[tuple[str, ...] | None] = ("reward",)  # the criterion does not read the transitions
    sketch: ClassVar[int] = 32
    assumes: ClassVar[str] = (
        "near responses have near noise rates, below one half; labels given at random given text"
    )
    not_identified: ClassVar[str] = (
        "noise rates per response from one label each: the level is nominal; selection"
    )
    citation: ClassVar[str] = "Cheng et al., CVPR 2022, arXiv 2206.02791"

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_negative(self.key, lam=self.lam)

    def heads(self, obs: Observations) -> tuple[Head, ...]:
        """The reward, and both transition logits from rates of .1."""
        start = logit(0.2)
        return (*super().heads(obs), Head("transition", "reward", (start, start), scalar=False))

    def refresh(self, logits: Logits, obs: Observations) -> dict[str, Tensor]:
        """`confident` [M, N]: the 80 % of a member's rows with the largest |f|, renewed every 10 epochs."""
        if (obs.epoch + 1) % _EVERY and "confident" in obs.columns:
            return {"confident": obs.columns["confident"]}
        sure_MN = logits["reward"].abs()
        known_MN = torch.where(eligible(obs), sure_MN, torch.nan)
        least = known_MN.nanquantile(1 - _CONFIDENT, dim=-1, keepdim=True)
        return {"confident": (sure_MN >= least).to(sure_MN.dtype)}

    def loss(self, logits: Logits, obs: Observations) -> Tensor:
        """bce(f, r) in the warm-up; then forward NLL with row-wise rates + lam·regulariser [..., B]."""
        f_B, r_B = logits["reward"], obs.explicit()[0]
        if 0 <= obs.epoch < self.warm_up:
            return bce(f_B, r_B)
        rates_B2 = torch.sigmoid(logits["transition"]) / 2
        sure_B = obs.column("confident") > 0
        rates_B2 = torch.where(sure_B[..., None], rates_B2, rates_B2.detach())
        fit_B = forward_nll(f_B, r_B, rates_B2[..., 0], rates_B2[..., 1])
        return fit_B + self.lam * manifold(rates_B2, sure_B, obs) if self.lam else fit_B


def manifold(rates_B2: Tensor, sure_B: Tensor, obs: Observations) -> Tensor:
    """Row terms [..., B] that average to mean S·|T_i−T_j|² − mean B·|T_i−T_j|² over the batch, each over its pairs.

    Args:
        rates_B2: ρ01 and ρ10 of every row, [..., B, 2].
        sure_B: rows that take part, bool [B] or [..., B].
        obs: with columns `sketch0`..; `weight_B` weighs both rows of a pair.
    """
    r_B, o_B = obs.explicit()
    seen_B = o_B if o_B.ndim == 1 else o_B.any(0)
    near_Bk, weight_Bk, mutual_Bk = neighbours(_sketch(obs), seen_B)
    if near_Bk.shape[1] == 0:
        return torch.zeros_like(rates_B2[..., 0])
    mine_B = (eligible(obs) & sure_B).to(rates_B2.dtype)
    alike_Bk = (r_B[..., None] == r_B[..., near_Bk]).to(rates_B2.dtype)
    counts_Bk = mine_B[..., None] * mine_B[..., near_Bk] * (weight_Bk > 0)
    # |T_i−T_j|² in Frobenius' norm: each rate stands in both entries of its row.
    apart_Bk = 2 * (rates_B2[..., None, :] - rates_B2[..., near_Bk, :]).square().sum(-1)
    total_B = torch.zeros_like(rates_B2[..., 0])
    for sign, pairs_Bk in ((1, counts_Bk * alike_Bk * mutual_Bk), (-1, counts_Bk * (1 - alike_Bk))):
        number = obs.mean(pairs_Bk.sum(-1).expand_as(total_B), o_B)
        term_B = (pairs_Bk * weight_Bk * apart_Bk).sum(-1)
        total_B = total_B + sign * term_B / torch.where(number > 0, number, torch.ones_like(number))
    return total_B


def neighbours(x_BD: Tensor, seen_B: Tensor, k: int = _NEIGHBOURS) -> tuple[Tensor, Tensor, Tensor]:
    """The k nearest seen rows of every seen row by cosine.

    Returns:
        Their indices [B, k]; weights exp(−dist²/sigma²) [B, k], 0 where either row is not seen; and whether the
        neighbourhood is mutual, bool [B, k]. k shrinks with the number of seen rows; it may be 0.
    """
    k = max(0, min(k, int(seen_B.sum()) - 1))
    unit_BD = x_BD / x_BD.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    squared_BB = (2 - 2 * unit_BD @ unit_BD.T).clamp(min=0)
    out_BB = ~(seen_B[:, None] & seen_B[None]) | torch.eye(len(x_BD), dtype=torch.bool, device=x_BD.device)
    squared_Bk, near_Bk = squared_BB.masked_fill(out_BB, torch.inf).topk(k, largest=False)
    real_Bk = torch.isfinite(squared_Bk)
    squared_Bk = torch.where(real_Bk, squared_Bk, torch.zeros_like(squared_Bk))
    scale = (squared_Bk.sum() / real_Bk.sum().clamp(min=1)).clamp(min=1e-12)
    weight_Bk = torch.exp(-squared_Bk / scale) * real_Bk
    listed_BB = torch.zeros_like(out_BB).scatter_(1, near_Bk, real_Bk)
    return near_Bk, weight_Bk, listed_BB.T.gather(1, near_Bk) & real_Bk


def _sketch(obs: Observations) -> Tensor:
    """[B, d] of the columns `sketch0`.., which all members share."""
    columns = [obs.column("sketch0")]
    while f"sketch{len(columns)}" in obs.columns:
        columns.append(obs.column(f"sketch{len(columns)}"))
    return torch.stack(columns, dim=-1)
