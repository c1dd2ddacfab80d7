"""A loss that follows its tensors: fine-tuning calls it on a GPU, where a tensor made on the CPU stops the run.

No GPU is needed to find out. `Elsewhere` is a tensor that says that it lies on another device, and while `_Border` is
active no function takes it together with a tensor that lies here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from tacit.methods import Method, Observations
from tacit.testing.arithmetic import MEMBERS, ROWS, batches
from tacit.testing.trials import random_logits, refuse, with_nuisances

THERE = torch.device("meta")
"""What `Elsewhere` says of itself: a device that every build of torch has a name for."""
_BROUGHT_HERE = ("cpu", "numpy")


class Elsewhere(Tensor):
    """A tensor of another device: its numbers are here, so that they can be compared."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute as a plain tensor: `_Border` says what becomes of the result, and by itself it is here."""
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


class _Border(TorchFunctionMode):
    """Functions of `Elsewhere` give `Elsewhere`; to mix it with tensors of this device is an error, as on a GPU."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [value for value in given if isinstance(value, Elsewhere)]
        if func == Tensor.device.__get__:
            return THERE if there else torch.device("cpu")
        name = getattr(func, "__name__", "")
        # As on a GPU, a single number may come from the CPU, and so may an index.
        here = [value for value in given if not isinstance(value, Elsewhere) and value.ndim > 0]
        if there and here and not (name == "__getitem__" and isinstance(args[0], Elsewhere)):
            raise RuntimeError(f"{name} mixes a tensor of another device with one made on the CPU")
        asked = _device_asked(name, args, kwargs)
        if asked == THERE:
            args = tuple(torch.device("cpu") if isinstance(a, torch.device) else a for a in args)
            kwargs |= {"device": "cpu"} if "device" in kwargs else {}
        stays = there and asked is None and name not in _BROUGHT_HERE
        kind = Elsewhere if asked == THERE or stays else Tensor
        result = func(*args, **kwargs)
        return tree_map(lambda value: value.as_subclass(kind) if isinstance(value, Tensor) else value, result)


def _device_asked(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.device | None:
    """The device that a call names, if it names one."""
    by_place = [a for a in args if isinstance(a, torch.device)]
    if name == "to":
        by_place += [torch.device(a) for a in args if isinstance(a, str)]
    device = kwargs.get("device", by_place[0] if by_place else None)
    return None if device is None else torch.device(device)


def check_devices(method: Method) -> None:
    """Loss and criterion of tensors on another device are computed there, and are what they are here.

    Raises:
        ConformanceError: a tensor is made without `device=`, or other numbers come out.
    """
    for obs in batches(method):
        _check_devices(method, obs)


def _check_devices(method: Method, obs: Observations) -> None:
    check = "check_devices"
    K = obs.n_signals
    for seen in (obs, replace(obs, misclick=(0.05, *(None,) * (K - 1)))):
        heads = method.heads(seen)
        logits = random_logits(heads, (MEMBERS,), ROWS, 7)
        here = with_nuisances(method, seen, MEMBERS)
        for name, value in (("loss", method.loss), ("criterion", method.criterion)):
            expected = value(logits, here)
            with _Border():
                far = {head: part.to(THERE) for head, part in logits.items()}
                try:
                    found = value(far, here.to(THERE))
                except RuntimeError as error:
                    said = f"{name}: {error}; make tensors with device=…, or with new_tensor and zeros_like"
                    raise refuse(check, method, said) from None
            if not torch.equal(found.as_subclass(Tensor), expected):
                raise refuse(check, method, f"{name} gives other numbers on another device")
