"""The networks: M members of every head, held and run as batched matrices.

Members see the same rows, so the first and largest product is one GEMM for all of them:

    x_BD @ W_D(MH)  →  [B, M, H]  →  leaky ReLU  →  batched matrices [M, H, H2]  →  logits [M, B, out]

Where the CPU multiplies bfloat16 in hardware that first product runs in bfloat16; everything after it, and every
loss, is float32. Shapes: B rows, D features, M members, H hidden units, K outputs.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from tacit.methods.method import Head


@dataclass(frozen=True)
class Layout:
    """The shape of one head's network, the same for all members."""

    head: Head
    inputs: int
    hidden: tuple[int, ...]

    @property
    def outputs(self) -> int:
        """Logits per row."""
        return len(self.head.bias)


def initial_weights(layout: Layout, seeds: Sequence[int], bias_MK: Tensor | None = None) -> dict[str, Tensor]:
    """Random weights of M members, each from its own seed: a member does not depend on its neighbours.

    The first layer is uniform in ±1 because a view's blocks have variance 1 each over their whole width; later
    layers in ±1/√fan_in as in torch.nn.Linear. The last layer is a tenth of that: a head starts close to its bias.
    Two heads never start equal: the seed is mixed with the head's name.

    Args:
        layout: of the head.
        seeds: one per member.
        bias_MK: float [M, K], where each member starts; by default all where the layout says.
    """
    if bias_MK is None:
        bias_MK = torch.tensor([layout.head.bias] * len(seeds))
    sizes = [layout.inputs, *layout.hidden, layout.outputs]
    if layout.head.view == "none":
        return {"bias": bias_MK.clone()}
    members: list[list[Tensor]] = []
    for seed in seeds:
        digest = hashlib.sha256(f"{layout.head.name}:{seed}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        layers = []
        for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            bound = 1.0 if i == 0 else fan_in**-0.5  # views have unit variance over their whole width
            bound *= 0.1 if i == len(layout.hidden) else 1.0
            layers.append((torch.rand(fan_in, fan_out, generator=generator) * 2 - 1) * bound)
        members.append(layers)
    M = len(seeds)
    weights = {}
    for i, fan_out in enumerate(sizes[1:]):
        stacked = torch.stack([layers[i] for layers in members])
        if i == 0:  # [D, M·H]: one GEMM for all members
            stacked = stacked.permute(1, 0, 2).reshape(sizes[0], M * fan_out).contiguous()
        weights[f"weight{i}"] = stacked
        weights[f"bias{i}"] = torch.zeros(M, 1, fan_out)
    last = f"bias{len(sizes) - 2}"
    weights[last] = bias_MK[:, None, :].clone()
    return weights


def forward(layout: Layout, weights: Mapping[str, Tensor], x_BD: Tensor | None) -> Tensor:
    """Logits of all members, [M, B] for scalar heads, else [M, B, K].

    A head with view `none` gives [M, 1] or [M, 1, K], to be broadcast over rows.
    """
    if layout.head.view == "none" or x_BD is None:
        constant = weights["bias"][:, None, :]
        return constant[..., 0] if layout.head.scalar else constant
    depth = len(layout.hidden) + 1
    M, _, H = weights["bias0"].shape
    first = x_BD @ weights["weight0"].to(x_BD.dtype)
    # H is named: it cannot be told from no rows, which a fold of a log of one prompt has
    h_MBH = first.to(weights["bias0"].dtype).view(-1, M, H).transpose(0, 1) + weights["bias0"]
    for i in range(1, depth):
        h_MBH = torch.baddbmm(weights[f"bias{i}"], leaky_relu(h_MBH), weights[f"weight{i}"])
    return h_MBH[..., 0] if layout.head.scalar else h_MBH


def join_rows(layouts: Mapping[str, Layout], parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The logits of several chunks of rows by head, side by side; a head with view `none` has no rows to join."""
    return {
        name: parts[0][name]
        if layout.head.view == "none"
        else torch.cat([part[name] for part in parts], dim=1)
        for name, layout in layouts.items()
    }


def select_members(layout: Layout, weights: Mapping[str, Tensor], members: Tensor) -> dict[str, Tensor]:
    """The weights of some members (int64 index), detached copies."""
    chosen = {}
    for name, value in weights.items():
        if name == "weight0":
            M = weights["bias0"].shape[0]
            by_member = value.detach().view(layout.inputs, M, -1)
            chosen[name] = by_member[:, members].reshape(layout.inputs, -1).contiguous()
        else:
            chosen[name] = value.detach()[members].clone()
    return chosen


def assign_members(
    layout: Layout, target: Mapping[str, Tensor], source: Mapping[str, Tensor], members: Tensor
) -> None:
    """Copy the weights of some members into `target`, in place, from `source`, which has just those."""
    n = members.numel()
    for name, value in target.items():
        own = source[name].detach()
        if name == "weight0":
            M = target["bias0"].shape[0]
            value.view(layout.inputs, M, -1)[:, members] = own.view(layout.inputs, n, -1)
        else:
            value[members] = own
