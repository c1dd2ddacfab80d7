"""Checks of the loss as a function of tensors: shapes, finite numbers, members and rows that do not meet.

Shapes: B rows of a batch, K signals, M members, C candidates of a temperature.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from tacit.errors import DataError
from tacit.methods import Head, Method, Observations, observations
from tacit.testing.trials import Trial, random_logits, refuse, trial, trials, with_nuisances

ROWS, MEMBERS, CANDIDATES = 24, 3, 2
EXTREMES = (-50.0, 0.0, 50.0)
_CLOSE = 1e-9


def batches(method: Method) -> Iterator[Observations]:
    """The first rows of every trial log, float64, with the columns that the method's stages make."""
    for made in trials(method):
        obs = made.observations(torch.float64, gold=method.reads_gold).rows(torch.arange(ROWS))
        yield with_nuisances(method, obs)


def check_shapes(method: Method) -> None:
    """Loss and criterion take logits [B], [M, B] and [C, M, B] and give one number per row, the same in each.

    The criterion must also take one head [C, M, B] beside others [M, B]: so temperatures are searched.

    Raises:
        ConformanceError: another shape, or another number.
    """
    for obs in batches(method):
        _check_shapes(method, obs)


def _check_shapes(method: Method, obs: Observations) -> None:
    check = "check_shapes"
    heads = method.heads(obs)
    logits = random_logits(heads, (CANDIDATES, MEMBERS), ROWS, 1)
    seen = with_nuisances(method, obs, MEMBERS)
    for name, value in (("loss", method.loss), ("criterion", method.criterion)):
        everything = value(logits, seen)
        _same_shape(check, method, name, everything, (CANDIDATES, MEMBERS, ROWS))
        for c, m in itertools.product(range(CANDIDATES), range(MEMBERS)):
            one = {head: part[c] for head, part in logits.items()}
            members = value(one, seen)
            _same_shape(check, method, name, members, (MEMBERS, ROWS))
            alone = value({head: part[m] for head, part in one.items()}, _member(seen, m))
            _same_shape(check, method, name, alone, (ROWS,))
            for found in (everything[c, m], members[m]):
                if not torch.allclose(found, alone, rtol=_CLOSE, atol=_CLOSE):
                    raise refuse(
                        check,
                        method,
                        f"{name} of a member alone differs by {_gap(found, alone):.2g} from its row in a "
                        "stack of members; broadcast over leading dimensions, and take means over the last one only",
                    )
    base = {head: part[0] for head, part in logits.items()}
    for head in heads:
        scaled = method.calibrated is None or head.name in method.calibrated
        if head.view != "none" and scaled:
            found = method.criterion({**base, head.name: logits[head.name]}, seen)
            try:
                _same_shape(check, method, "criterion", found, (CANDIDATES, MEMBERS, ROWS))
            except AssertionError as error:
                raise refuse(
                    check,
                    method,
                    f"with head {head.name!r} alone [C, M, B], {error}; a head that the criterion does not "
                    "read cannot get a temperature: leave it out of `calibrated`",
                ) from None
    if tuple(method.reward(logits).shape) != (CANDIDATES, MEMBERS, ROWS) and any(
        head.view != "none" for head in heads if head.name in method.reward_heads
    ):
        raise refuse(
            check, method, f"reward() has shape {tuple(method.reward(logits).shape)}, expected [C, M, B]"
        )
    if any(head.view != "none" for head in heads) and method.calibrated != ():
        try:  # recalibration after the fit judges the rows of all members together: no refreshed columns
            method.criterion({head: part[0, 0] for head, part in logits.items()}, obs)
        except DataError as error:
            raise refuse(check, method, f"the criterion needs a column of refresh(): {error}") from None


def check_finite_gradients(method: Method) -> None:
    """At logits of ±50 in float32, loss, criterion and gradients are finite whatever was observed.

    Every pattern of signals (0, 1, missing) meets extremes of every head; then each pattern alone (no positive, nothing
    observed, all positive; of several signals these alone), a single row, and a batch in which no row counts.

    Raises:
        ConformanceError: a number that is not finite.
    """
    check = "check_finite_gradients"
    for label, obs, extremes in _extreme_batches(method):
        logits = {name: value.requires_grad_() for name, value in extremes.items()}
        for name, value in (("loss", method.loss), ("criterion", method.criterion)):
            found = value(logits, obs)
            if not bool(torch.isfinite(found).all()):
                raise refuse(check, method, f"{name} is {_worst(found)} ({label}); stay in log space")
            if not found.requires_grad:
                continue
            slopes = torch.autograd.grad(found.sum(), list(logits.values()), allow_unused=True)
            for head, slope in zip(logits, slopes, strict=True):
                if slope is not None and not bool(torch.isfinite(slope).all()):
                    raise refuse(
                        check,
                        method,
                        f"gradient of the {name} by {head!r} is {_worst(slope)} ({label}); stay in log "
                        "space, and remember that torch.where passes NaN gradients of the branch not taken",
                    )
        biases = [bias for head in method.heads(obs) for bias in head.bias]
        if not all(abs(bias) < float("inf") for bias in biases):  # NaN too
            raise refuse(
                check, method, f"heads() starts at {biases} ({label}); clip the rate before its logit"
            )


def check_member_independence(method: Method) -> None:
    """A member's loss depends on its own logits and its own rows alone.

    Batches are shared: they hold rows that some members hold out. Such a row has `weight_B` 0 for the member, and
    neither its label nor its logit may move the member's loss on other rows, through a mean, a rank or a pair.

    Raises:
        ConformanceError: it does.
    """
    for obs in batches(method):
        _check_member_independence(method, obs)


def _check_member_independence(method: Method, obs: Observations) -> None:
    check = "check_member_independence"
    generator = torch.Generator().manual_seed(2)
    weight_MB = (torch.rand(MEMBERS, ROWS, generator=generator) < 0.7).to(torch.float64)
    obs = replace(with_nuisances(method, obs, MEMBERS), weight_B=weight_MB)
    logits = random_logits(method.heads(obs), (MEMBERS,), ROWS, 6)
    before_MB = method.loss(logits, obs)

    others = {name: value.clone() for name, value in logits.items()}
    for value in others.values():
        value[1:] = value[1:] * -2 + 1
    moved = _gap(method.loss(others, obs)[0], before_MB[0])
    if moved > _CLOSE:
        raise refuse(
            check,
            method,
            f"the loss of one member moves by {moved:.2g} when the logits of others change; reduce over "
            "the last dimension only",
        )
    mine_B = weight_MB[0] > 0
    foreign = {name: value.clone() for name, value in logits.items()}
    for head in method.heads(obs):
        if head.view != "none":
            foreign[head.name][0, ~mine_B] = foreign[head.name][0, ~mine_B] * -3 + 2
    turned = [torch.where(mine_B[:, None], obs.signals_BK, v) for v in _turned_round(method, obs)]
    for what, trial_logits, seen in (
        ("logits", foreign, obs),
        *(("labels", logits, replace(obs, signals_BK=value * obs.visible_BK)) for value in turned),
    ):
        moved = _gap(method.loss(trial_logits, seen)[0, mine_B], before_MB[0, mine_B])
        if moved > _CLOSE:
            raise refuse(
                check,
                method,
                f"the loss of a member moves by {moved:.2g} with the {what} of rows that it holds out "
                "(weight_B = 0); take batch statistics with obs.mean(...) or weight_B",
            )


def _turned_round(method: Method, obs: Observations) -> list[Tensor]:
    """Signals that say the opposite. Of thumbs read as a label, which rows have one may be known to all members."""
    if "label" not in method.needs or obs.n_signals == 1:
        return [1 - obs.signals_BK, torch.ones_like(obs.signals_BK)]
    positive_K = obs.polarity_K > 0
    up_B, down_B = (
        obs.signals_BK[:, which_K].amax(-1, keepdim=True) for which_K in (positive_K, ~positive_K)
    )
    return [torch.where(positive_K, down_B, up_B)]


def check_direction(method: Method) -> None:
    """Where a label says "liked" the loss asks for more reward than where it says "not": the sign is right.

    At the logits from which a fit starts, the mean slope of the loss by the reward of positive rows is below that of
    the others. Positive is what `gold` says for methods that read it, else the label, else any positive signal. And a
    negative signal that fires on rows where nothing else did must not ask for more reward on them.

    Raises:
        ConformanceError: it is not.
    """
    for made in trials(method):
        _check_direction(method, made)


def _check_direction(method: Method, made: Trial) -> None:
    obs = with_nuisances(method, made.observations(torch.float64, gold=method.reads_gold), 1)
    label_B, known_B = obs.explicit() if "label" in method.needs else obs.any_positive()
    if method.reads_gold and obs.gold_B is not None and obs.gold_known_B is not None:
        label_B, known_B = obs.gold_B, obs.gold_known_B
    logits = {
        head.name: torch.tensor(head.bias, dtype=torch.float64).expand(1, obs.n_rows, -1).clone()
        for head in method.heads(obs)
    }
    logits = {
        head.name: (logits[head.name][..., 0] if head.scalar else logits[head.name]).requires_grad_()
        for head in method.heads(obs)
    }
    blamed_B, blamed = _blamed(obs)
    for name, slope_B in _reward_slopes(method, logits, obs).items():
        liked, other = (float(slope_B[known_B & (label_B == value)].mean()) for value in (1, 0))
        if not liked < other:
            raise refuse(
                "check_direction",
                method,
                f"slope of the loss by {name!r} is {liked:.3g} on positive rows and {other:.3g} on "
                "others; expected less on positive ones: is a sign turned round?",
            )
        before, after = (
            float(slopes[blamed_B].mean())
            for slopes in (slope_B, _reward_slopes(method, logits, blamed)[name])
        )
        if after < before - _CLOSE:
            raise refuse(
                "check_direction",
                method,
                f"slope of the loss by {name!r} falls from {before:.3g} to {after:.3g} on rows where a negative "
                "signal fires; expected no less: is obs.polarity left unread?",
            )


def _blamed(obs: Observations) -> tuple[Tensor, Observations]:
    """Every other row on which nothing fired, bool [B], and the same rows with their negative signals fired."""
    silent_B = ~(obs.signals_BK > 0).any(-1)
    chosen_B = silent_B & (silent_B.cumsum(0) % 2 == 0)
    fired_BK = chosen_B[:, None] & (obs.polarity_K < 0) & obs.visible_BK
    return chosen_B, replace(obs, signals_BK=torch.where(fired_BK, 1.0, obs.signals_BK))


def _reward_slopes(method: Method, logits: dict[str, Tensor], obs: Observations) -> dict[str, Tensor]:
    """Slope of the loss of each row by the logits of each reward head, the first of its outputs, [B]."""
    heads = [logits[name] for name in method.reward_heads]
    slopes = torch.autograd.grad(method.loss(logits, obs).sum(), heads, allow_unused=True)
    found = {}
    for name, slope_B in zip(method.reward_heads, slopes, strict=True):
        if slope_B is None:
            raise refuse(
                "check_direction",
                method,
                f"the loss does not depend on head {name!r}, which the reward reads",
            )
        found[name] = slope_B[0] if slope_B.ndim == 2 else slope_B[0, :, 0]
    return found


def check_declared_gold(method: Method) -> None:
    """`uses_gold` says whether trusted labels are read: turned round, they move something, or nothing at all.

    Looked at are loss, criterion, rows that count, heads, and the columns that stages and `refresh` make.

    Raises:
        ConformanceError: labels are declared and not read, or read and not declared.
    """
    made = trial(method)
    told, turned = (
        replace(made, gold_N=gold_N).observations(torch.float64, gold=True)
        for gold_N in (made.gold_N, 1 - made.gold_N)
    )
    read = any(
        not torch.equal(one, other)
        for one, other in zip(_made_of(method, told), _made_of(method, turned), strict=True)
    )
    if read != method.uses_gold:
        found = "move the loss" if read else "change nothing"
        raise refuse(
            "check_declared_gold",
            method,
            f"uses_gold is {method.uses_gold}, but trusted labels that are turned round {found}; expected uses_gold "
            f"= {read}",
        )


def _made_of(method: Method, obs: Observations) -> Iterator[Tensor]:
    """All that a method and its stages make of these rows."""
    seen, heads = with_nuisances(method, obs, MEMBERS), method.heads(obs)
    logits = random_logits(heads, (MEMBERS,), obs.n_rows, 7)
    yield from (method.loss(logits, seen), method.criterion(logits, seen), method.counts(seen))
    yield from (torch.tensor(head.bias) for head in heads)
    yield from seen.columns.values()
    for stage in method.stages(obs):
        yield from _made_of(stage.method, with_nuisances(method, obs))


def _extreme_batches(method: Method) -> Iterator[tuple[str, Observations, dict[str, Tensor]]]:
    for made in trials(method):
        yield from _extremes_of(method, made)


def _extremes_of(method: Method, made: Trial) -> Iterator[tuple[str, Observations, dict[str, Tensor]]]:
    K = len(made.polarity)
    healthy = with_nuisances(method, made.observations(gold=method.reads_gold), 1)
    heads = method.heads(healthy)
    outputs = sum(len(head.bias) for head in heads)
    combinations = list(itertools.islice(itertools.product(EXTREMES, repeat=outputs), 243))
    patterns = torch.tensor(list(itertools.product((0.0, 1.0, float("nan")), repeat=K)))
    alone = (
        patterns if K == 1 else torch.tensor([[0.0], [1.0], [float("nan")]]).expand(-1, K)
    )  # all would take long
    for label, chosen in [("all patterns of signals", patterns)] + [
        (f"every row has signals {pattern.tolist()}", pattern[None]) for pattern in alone
    ]:
        rows = [(signals, values) for values in combinations for signals in chosen]
        for label_, kept in ((label, rows), (f"{label}, a single row", rows[-1:])):
            signals_BK = torch.stack([signals for signals, _ in kept])
            B = len(kept)
            obs = observations(
                signals_BK,
                polarity=made.polarity,
                groups=torch.arange(B) // 3,
                gold=(torch.arange(B) % 2).float() if method.reads_gold else None,
                columns=healthy.rows(torch.arange(B) % healthy.n_rows).columns,
            )
            logits = _stacked(heads, torch.tensor([values for _, values in kept]))
            yield label_, obs, logits
            yield f"{label_}, none of which counts", replace(obs, weight_B=torch.zeros(1, B)), logits


def _stacked(heads: tuple[Head, ...], values_BO: Tensor) -> dict[str, Tensor]:
    """Columns of extremes dealt out to the heads, [1, B] or [1, B, K]."""
    logits, start = {}, 0
    for head in heads:
        stop = start + len(head.bias)
        own = values_BO[:, start:stop]
        logits[head.name] = (own[:, 0] if head.scalar else own)[None].clone()
        start = stop
    return logits


def _member(obs: Observations, m: int) -> Observations:
    return obs.members(torch.tensor([m])).flat()


def _same_shape(check: str, method: Method, name: str, found: Tensor, expected: tuple[int, ...]) -> None:
    if tuple(found.shape) != expected:
        raise refuse(
            check, method, f"{name} has shape {tuple(found.shape)}, expected {expected}: one number per row"
        )


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max()) if one.numel() else 0.0


def _worst(value: Tensor) -> float:
    return float(value.detach()[~torch.isfinite(value)][0])
