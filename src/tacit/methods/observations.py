"""What a log shows of its rows, as tensors. The only thing besides logits that a loss may read."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tacit.errors import DataError, shown


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
        group_B: int64 [B], the prompt of each row, for methods that compare rows of one prompt; or None.
        columns: nuisances by name, [B], [M, B], or one number per member [M, 1] (or [1]): what earlier stages
            estimated, or what the caller knows. Constants: no gradient flows into them.
        weight_B: float [B] or [M, B], how much each row counts in averages over the batch, from 0; None counts all rows
            alike. Refused below 0 where they lie on the CPU: reading them elsewhere waits for the device at each step.
        epoch: of training; −1 when rows are judged.
        names: of the K signals, for messages; empty where nobody named them.

    Example:
        >>> import torch
        >>> obs = observations(torch.tensor([[1.0, 0.0], [0.0, float("nan")]]), polarity=(1, -1))
        >>> obs.n_rows, obs.n_signals, obs.visible_BK.tolist(), obs.signal_rates()
        (2, 2, [[True, True], [True, False]], [0.5, 0.0])
        >>> obs.with_columns(p=torch.tensor([0.5, 0.25])).rows(torch.tensor([1])).column("p")
        tensor([0.2500])
    """

    signals_BK: Tensor
    visible_BK: Tensor
    polarity: tuple[int, ...]
    gold_B: Tensor | None = None
    gold_known_B: Tensor | None = None
    misclick: tuple[float | None, ...] = ()
    group_B: Tensor | None = None
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    weight_B: Tensor | None = None
    epoch: int = -1
    names: tuple[str, ...] = ()

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
        if self.weight_B is not None and self.weight_B.device.type == "cpu":
            _refuse_weights(self.weight_B)

    def __repr__(self) -> str:
        *members, rows, signals = self.signals_BK.shape
        many = f", members={members[0]}" if members else ""
        gold = "" if self.gold_known_B is None else f", gold={int(self.gold_known_B.sum())}"
        columns = f", columns: {', '.join(self.columns)}" if self.columns else ""
        return f"Observations(rows={rows}, signals={signals}{many}{gold}{columns})"

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
        return torch.tensor(self.polarity, dtype=self.signals_BK.dtype, device=self.signals_BK.device)

    def called(self, k: int) -> str:
        """Signal k in the words of a message: by its name, or by its number from 0."""
        return repr(self.names[k]) if self.names else f"signal {k}"

    def rows(self, index: Tensor) -> Observations:
        """The observations of some rows (int64 index [b])."""
        return self._derived(
            signals_BK=self.signals_BK.index_select(-2, index),
            visible_BK=self.visible_BK.index_select(-2, index),
            gold_B=_of_rows(self.gold_B, index),
            gold_known_B=_of_rows(self.gold_known_B, index),
            group_B=_of_rows(self.group_B, index),
            weight_B=_of_rows(self.weight_B, index),
            columns={
                name: value if value.shape[-1] == 1 else value.index_select(-1, index)
                for name, value in self.columns.items()
            },
        )

    def members(self, index: Tensor) -> Observations:
        """The observations of some members; what all members share stays shared."""
        own = self.signals_BK.ndim == 3
        return self._derived(
            signals_BK=self.signals_BK[index] if own else self.signals_BK,
            visible_BK=self.visible_BK[index] if own else self.visible_BK,
            gold_B=_of_members(self.gold_B, index),
            gold_known_B=_of_members(self.gold_known_B, index),
            weight_B=_of_members(self.weight_B, index),
            columns={
                name: value[index] if value.ndim == 2 else value for name, value in self.columns.items()
            },
        )

    def flat(self) -> Observations:
        """The observations of a single member without their leading dimension."""
        own = self.signals_BK.ndim == 3
        return self._derived(
            signals_BK=self.signals_BK[0] if own else self.signals_BK,
            visible_BK=self.visible_BK[0] if own else self.visible_BK,
            gold_B=_first(self.gold_B),
            gold_known_B=_first(self.gold_known_B),
            weight_B=_first(self.weight_B),
            columns={name: value[0] if value.ndim == 2 else value for name, value in self.columns.items()},
        )

    def with_columns(self, **columns: Tensor) -> Observations:
        """The same rows with further nuisances; a name that is there already is replaced."""
        return self._derived(columns={**self.columns, **columns})

    def column(self, name: str) -> Tensor:
        """A nuisance by name.

        Raises:
            DataError: nobody estimated or supplied it.
        """
        if name not in self.columns:
            raise DataError(
                f"nuisance {name!r} is missing (found {', '.join(sorted(self.columns)) or 'none'}); a stage of the fit "
                "estimates it or the caller knows it: nuisances={...} of a fit, with_columns(...) of observations"
            )
        return self.columns[name]

    def mean(self, value_B: Tensor, where_B: Tensor | None = None) -> Tensor:
        """Average over the rows that count, [..., 1]: of all rows, or of those `where_B` (bool or weights); 0 if none.

        Example:
            >>> import torch
            >>> obs = observations(torch.tensor([1.0, 0.0, 0.0]))
            >>> obs.mean(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([False, True, True])).item()
            1.5
        """
        weight_B = torch.ones_like(value_B) if where_B is None else where_B.to(value_B.dtype)
        if self.weight_B is not None:
            weight_B = weight_B * self.weight_B
        # Labels may be shared where weights are a member's own, and the other way round.
        value_B, weight_B = torch.broadcast_tensors(value_B, weight_B)
        total = weight_B.sum(-1, keepdim=True)
        mean: Tensor = (value_B * weight_B).sum(-1, keepdim=True) / total.masked_fill(total <= 0, 1.0)
        return mean

    def explicit(self) -> tuple[Tensor, Tensor]:
        """The log read as labels that were asked for: label r [..., B] in 0/1, and o, whether it was given, bool.

        One signal: o where it is visible, r its value (turned round for a negative signal). Thumbs, that is at least
        one signal of each polarity: o where signals of one polarity alone fired, r = 1 where it was the positive one.
        With signals of one polarity only, silence cannot be told from a label: o is False everywhere.
        """
        if self.n_signals == 1:
            value, seen = self.signals_BK[..., 0], self.visible_BK[..., 0]
            return (value if self.polarity[0] > 0 else torch.where(seen, 1 - value, value)), seen
        fired = (self.signals_BK > 0) & self.visible_BK
        positive_K = self.polarity_K > 0
        up, down = fired[..., positive_K].any(-1), fired[..., ~positive_K].any(-1)
        both = bool(positive_K.any()) and bool((~positive_K).any())
        return up.to(self.signals_BK.dtype), (up ^ down) & both

    def to(self, device: torch.device) -> Observations:
        """The same rows on another device."""

        def moved(value: Tensor | None) -> Tensor | None:
            return None if value is None else value.to(device)

        return self._derived(
            signals_BK=self.signals_BK.to(device),
            visible_BK=self.visible_BK.to(device),
            gold_B=moved(self.gold_B),
            gold_known_B=moved(self.gold_known_B),
            group_B=moved(self.group_B),
            weight_B=moved(self.weight_B),
            columns={name: value.to(device) for name, value in self.columns.items()},
        )

    def without_gold(self) -> Observations:
        """The same rows with the trusted labels removed."""
        return self._derived(gold_B=None, gold_known_B=None)

    def _derived(self, **changes: Any) -> Observations:
        """The same rows, or some of them: what was checked once holds, and is not read again at every step."""
        made = copy.copy(self)
        made.__dict__.update(changes)
        return made

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
        signals, shown = self.signals_BK, self.visible_BK
        if 0 < len(positive) < self.n_signals:  # choosing all of them would copy them, at every step of a fit
            signals, shown = signals[..., positive], shown[..., positive]
        fired = ((signals > 0) & shown).any(-1)
        label = fired if positive else ~fired
        return label.to(self.signals_BK.dtype), shown.any(-1)


def concatenate(parts: Sequence[Observations]) -> Observations:
    """The rows of several observations of the same signals, without leading dimensions, one after another."""
    gold = [p.gold_B for p in parts if p.gold_B is not None]
    known = [p.gold_known_B for p in parts if p.gold_known_B is not None]
    groups = [p.group_B for p in parts if p.group_B is not None]
    weights = [p.weight_B for p in parts if p.weight_B is not None]
    return replace(
        parts[0],
        group_B=torch.cat(groups) if groups else None,
        weight_B=torch.cat(weights) if weights else None,
        columns={
            name: torch.cat([p.columns[name].expand(p.n_rows) for p in parts]) for name in parts[0].columns
        },
        signals_BK=torch.cat([p.signals_BK for p in parts]),
        visible_BK=torch.cat([p.visible_BK for p in parts]),
        gold_B=torch.cat(gold) if gold else None,
        gold_known_B=torch.cat(known) if known else None,
    )


def _polarities(polarity: Iterable[int]) -> tuple[int, ...]:
    if not isinstance(polarity, Iterable):
        raise DataError(f"polarity is {shown(polarity)}, expected +1 or -1 for each signal, such as (1, -1)")
    return tuple(polarity)


def _refuse_weights(weight_B: Tensor) -> None:
    bad_B = ~(torch.isfinite(weight_B) & (weight_B >= 0))
    if bad_B.any():
        at = tuple(torch.nonzero(bad_B)[0].tolist())
        raise DataError(
            f"weight_B, row {at[-1]}: found {float(weight_B[at]):g}, expected a number from 0; a row that must not "
            "count weighs 0"
        )


def _of_rows(value: Tensor | None, index: Tensor) -> Tensor | None:
    return None if value is None else value.index_select(-1, index)


def _of_members(value: Tensor | None, index: Tensor) -> Tensor | None:
    return value[index] if value is not None and value.ndim == 2 else value


def _first(value: Tensor | None) -> Tensor | None:
    return value[0] if value is not None and value.ndim == 2 else value


def observations(
    signals: Tensor,
    *,
    polarity: Sequence[int] = (),
    visible: Tensor | None = None,
    gold: Tensor | None = None,
    gold_known: Tensor | None = None,
    misclick: Sequence[float | None] = (),
    groups: Tensor | None = None,
    columns: Mapping[str, Tensor] | None = None,
) -> Observations:
    """Build `Observations` from arrays, one signal or many.

    Args:
        signals: [B] or [B, K] of 0/1; NaN means that the signal could not have been recorded.
        polarity: K values of ±1; all +1 when empty.
        visible: bool, shape of `signals`; by default, where `signals` is not NaN.
        gold: [B] in [0, 1]; NaN means unknown.
        gold_known: bool [B]; by default, where `gold` is not NaN.
        misclick: K known misclick rates or None.
        groups: int64 [B], the prompt of each row.
        columns: known nuisances by name, [B] or [1].

    Raises:
        DataError: a visible signal that is neither 0 nor 1, a gold label outside [0, 1].

    Example:
        >>> import torch
        >>> obs = observations(torch.tensor([1.0, 0.0, float("nan")]))
        >>> obs
        Observations(rows=3, signals=1)
        >>> obs.visible_BK[:, 0].tolist(), obs.signal_rates()
        ([True, True, False], [0.5])
    """
    if not signals.is_floating_point():
        signals = signals.to(torch.float32)  # integer signals would truncate gold, which takes their dtype
    if signals.ndim == 0:
        raise DataError("signals have shape (), expected [B] or [B, K]: one number per row and signal")
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
        _polarities(polarity) or (1,) * values.shape[-1],
        gold,
        gold_known if gold is not None else None,
        tuple(misclick),
        groups,
        dict(columns or {}),
    )
