"""What a log shows of its rows, as tensors. The only thing besides logits that a loss may read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tacit.errors import DataError


@dataclass(frozen=True)
class Observations:
    """Signals, their visibility and trusted labels of B rows.

    Shapes: B rows, K signals, optionally a leading M when every ensemble member has its own labels.

    Attributes:
        signals_BK: float [B, K] or [M, B, K], 0/1; 0 where not visible.
        visible_BK: bool, same shape; False where the signal could not have been recorded.
        polarity: K integers; +1 fires mostly on liked rows, −1 mostly on disliked ones.
        gold_B: float [B] or [M, B] in [0, 1], or None; 0 where `gold_known_B` is False.
        gold_known_B: bool, same shape as `gold_B`.
        misclick: K known misclick rates, or None where unknown.
    """

    signals_BK: Tensor
    visible_BK: Tensor
    polarity: tuple[int, ...]
    gold_B: Tensor | None = None
    gold_known_B: Tensor | None = None
    misclick: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        K = self.signals_BK.shape[-1]
        if self.visible_BK.shape != self.signals_BK.shape:
            raise DataError(
                f"signals have shape {tuple(self.signals_BK.shape)} but visible has "
                f"{tuple(self.visible_BK.shape)}; they must be equal"
            )
        if len(self.polarity) != K or any(p not in (1, -1) for p in self.polarity):
            raise DataError(f"polarity must hold {K} values of +1 or -1, found {self.polarity}")
        if self.misclick and len(self.misclick) != K:
            raise DataError(f"misclick must hold {K} rates or None, found {len(self.misclick)}")
        if (self.gold_B is None) != (self.gold_known_B is None):
            raise DataError("gold and gold_known go together; found only one of them")

    @property
    def n_signals(self) -> int:
        """K."""
        return self.signals_BK.shape[-1]

    @property
    def n_rows(self) -> int:
        """B."""
        return self.signals_BK.shape[-2]

    @property
    def polarity_K(self) -> Tensor:
        """Polarity as a float tensor [K]."""
        return torch.tensor(self.polarity, dtype=self.signals_BK.dtype)

    def rows(self, index: Tensor) -> Observations:
        """The observations of some rows (int64 index [b])."""
        pick_gold = self.gold_B is not None and self.gold_known_B is not None
        return replace(
            self,
            signals_BK=self.signals_BK.index_select(-2, index),
            visible_BK=self.visible_BK.index_select(-2, index),
            gold_B=self.gold_B.index_select(-1, index) if pick_gold and self.gold_B is not None else None,
            gold_known_B=self.gold_known_B.index_select(-1, index)
            if pick_gold and self.gold_known_B is not None
            else None,
        )

    def members(self, index: Tensor) -> Observations:
        """The observations of some members; labels shared by all members stay shared."""
        if self.signals_BK.ndim == 2:
            return self
        own_gold = self.gold_B is not None and self.gold_B.ndim == 2
        return replace(
            self,
            signals_BK=self.signals_BK[index],
            visible_BK=self.visible_BK[index],
            gold_B=self.gold_B[index] if own_gold and self.gold_B is not None else self.gold_B,
            gold_known_B=self.gold_known_B[index]
            if own_gold and self.gold_known_B is not None
            else self.gold_known_B,
        )

    def flat(self) -> Observations:
        """The observations of a single member without their leading dimension."""
        if self.signals_BK.ndim == 2:
            return self
        own_gold = self.gold_B is not None and self.gold_B.ndim == 2
        return replace(
            self,
            signals_BK=self.signals_BK[0],
            visible_BK=self.visible_BK[0],
            gold_B=self.gold_B[0] if own_gold and self.gold_B is not None else self.gold_B,
            gold_known_B=self.gold_known_B[0]
            if own_gold and self.gold_known_B is not None
            else self.gold_known_B,
        )

    def without_gold(self) -> Observations:
        """The same rows with the trusted labels removed."""
        return replace(self, gold_B=None, gold_known_B=None)

    def signal_rates(self) -> list[float]:
        """P(y_k = 1) over the visible rows (and members) of each signal; 0 where never visible."""
        fired = (
            (self.signals_BK * self.visible_BK).flatten(0, -2).sum(0)
        )  # reshape(-1, K) fails without signals
        shown = self.visible_BK.flatten(0, -2).sum(0)
        return [float(f / s) if s else 0.0 for f, s in zip(fired, shown, strict=True)]

    def any_positive(self) -> tuple[Tensor, Tensor]:
        """The label that a log is usually read as: any positive signal fired; else no negative did.

        Returns:
            label [..., B] in 0/1 and known [..., B]: False where no signal that decides it was visible.
        """
        positive = [k for k, p in enumerate(self.polarity) if p > 0]
        chosen = positive or list(range(self.n_signals))
        shown = self.visible_BK[..., chosen]
        fired = ((self.signals_BK[..., chosen] > 0) & shown).any(-1)
        label = fired if positive else ~fired
        return label.to(self.signals_BK.dtype), shown.any(-1)


def concatenate(parts: Sequence[Observations]) -> Observations:
    """The rows of several observations of the same signals, without leading dimensions, one after another."""
    gold = [p.gold_B for p in parts if p.gold_B is not None]
    known = [p.gold_known_B for p in parts if p.gold_known_B is not None]
    return replace(
        parts[0],
        signals_BK=torch.cat([p.signals_BK for p in parts]),
        visible_BK=torch.cat([p.visible_BK for p in parts]),
        gold_B=torch.cat(gold) if gold else None,
        gold_known_B=torch.cat(known) if known else None,
    )


def observations(
    signals: Tensor,
    *,
    polarity: Sequence[int] = (),
    visible: Tensor | None = None,
    gold: Tensor | None = None,
    gold_known: Tensor | None = None,
    misclick: Sequence[float | None] = (),
) -> Observations:
    """Build `Observations` from arrays, one signal or many.

    Args:
        signals: [B] or [B, K] of 0/1; NaN means that the signal could not have been recorded.
        polarity: K values of ±1; all +1 when empty.
        visible: bool, shape of `signals`; by default, where `signals` is not NaN.
        gold: [B] in [0, 1]; NaN means unknown.
        gold_known: bool [B]; by default, where `gold` is not NaN.
        misclick: K known misclick rates or None.

    Raises:
        DataError: a visible signal that is neither 0 nor 1, a gold label outside [0, 1].

    Example:
        >>> import torch
        >>> obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
        >>> obs.visible_BK[:, 0].tolist(), obs.signal_rates()
        ([True, True, False], [0.5])
    """
    if not signals.is_floating_point():
        signals = signals.to(torch.float32)  # integer signals would truncate gold, which takes their dtype
    if signals.ndim == 1:
        signals = signals[:, None]
        visible = visible[:, None] if visible is not None else None
    shown = ~torch.isnan(signals) if visible is None else visible & ~torch.isnan(signals)
    values = torch.where(shown, signals, torch.zeros_like(signals))
    wrong = shown & (values != 0) & (values != 1)
    if wrong.any():
        *_, row, k = torch.nonzero(wrong)[0].tolist()
        raise DataError(f"signal {k}, row {row}: found {values[..., row, k].max()}, expected 0, 1 or NaN")
    if gold is not None:
        if gold.shape[-1:] != values.shape[-2:-1]:
            raise DataError(
                f"gold has shape {tuple(gold.shape)} for {values.shape[-2]} rows; expected one per row"
            )
        known = ~torch.isnan(gold) if gold_known is None else gold_known & ~torch.isnan(gold)
        gold = torch.where(known, gold, torch.zeros_like(gold)).to(values.dtype)
        if ((gold < 0) | (gold > 1)).any():
            row = int(torch.nonzero((gold < 0) | (gold > 1))[0][-1])
            raise DataError(f"gold, row {row}: found {float(gold[row])}, expected a number in [0, 1]")
        gold_known = known
    return Observations(
        values,
        shown,
        tuple(polarity) or (1,) * values.shape[-1],
        gold,
        gold_known if gold is not None else None,
        tuple(misclick),
    )
