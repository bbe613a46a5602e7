"""The steps of a block with their backward passes written out, where that saves passes over memory.

Autograd alone computes the same numbers. It would keep more between the passes and walk through memory more
often: a normalised sum is six kernels backward, the two halves of a chunk each become a tensor of zeros that
is added up. tests/models/test_fused.py holds every gradient here against finite differences,
docs/performance.md says what each saves.

Legend: B slots, S positions, D hidden size, H head width, n heads. Everything works in the type of its input.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

Heads = tuple[int, int, int]
"""How many heads of queries, of keys and of values."""

EPS = 1e-5
"""Added to the mean square under the root of RMSNorm."""


def exporting() -> bool:
    """Whether torch.export is reading the network. (Before torch 2.7 nothing tells it from torch.compile.)"""
    return bool(getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)())


def at_least_float32(x: Tensor) -> Tensor:
    """bfloat16 as float32; all else as it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def linear(x: Tensor, weight: Tensor, cast: Tensor | None = None) -> Tensor:
    """x weight', (..., fan_in) -> (..., fan_out). cast: the weight in the type of x, where it has another.

    The gradient reaches `weight` in its own type, so that several uses add up there and not in the type of x.
    """
    if not torch.is_grad_enabled():
        return F.linear(x, weight if cast is None else cast)
    out: Tensor = _Linear.apply(x, weight, cast)
    return out


class _Linear(Function):
    """y = x W'.  dx = dy W;  dW = dy' x, computed as (x' dy)' where x is the narrower: the product that
    transposes the narrower matrix is the faster one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, cast: Tensor | None) -> Tensor:
        used = weight if cast is None else cast
        ctx.save_for_backward(x, used)
        ctx.weight_dtype = weight.dtype
        return F.linear(x, used)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, used = ctx.saved_tensors
        rows, grads = x.flatten(0, -2), grad.flatten(0, -2)
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = (grads @ used).view(x.shape)
        if ctx.needs_input_grad[1]:
            narrow = rows.shape[1] < grads.shape[1]
            dw = ((rows.t() @ grads).t() if narrow else grads.t() @ rows).to(ctx.weight_dtype)
        return dx, dw, None


def add_norm(x: Tensor, y: Tensor) -> Tensor:
    """The sum over its root mean square, (x + y) / sqrt(mean((x + y)^2) + EPS) over the last dimension:
    RMSNorm (arXiv 1910.07467) without weight, computed in float32."""
    if not torch.is_grad_enabled():
        return _normalised_sum(x, y)[0]
    out: Tensor = _AddNorm.apply(x, y)
    return out


def _normalised_sum(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The normalised sum, and (..., 1) by what the sum was multiplied."""
    total = x + y
    wide = at_least_float32(total)
    norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    scale = norm.mul_(norm).mul_(1 / wide.shape[-1]).add_(EPS).rsqrt_()
    return wide.mul_(scale).to(total.dtype), scale


class _AddNorm(Function):
    """z = r (x + y) with r = (mean((x + y)^2) + eps)^-1/2.  dx = dy = r (dz - z mean(dz z))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        out, scale = _normalised_sum(x, y)
        ctx.save_for_backward(out, scale)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        out, scale = ctx.saved_tensors
        wide, wide_grad = at_least_float32(out), at_least_float32(grad)
        along = (wide_grad * wide).mean(-1, keepdim=True)
        dx = torch.addcmul(wide_grad, wide, along, value=-1).mul_(scale).to(grad.dtype)
        return dx, dx


def gated(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of the two halves of the last dimension: (..., 2 I) -> (..., I)."""
    if not torch.is_grad_enabled():
        return _gate(gate_up)
    out: Tensor = _Gated.apply(gate_up)
    return out


def _gate(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate).mul_(up)


class _Gated(Function):
    """y = silu(g) u.  du = dy silu(g);  dg = dy u silu'(g) with silu'(g) = s + g s (1 -
    s), s = sigmoid(g)."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        return _gate(gate_up)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        d_gate = torch.ops.aten.silu_backward(grad * up, gate)
        return torch.cat((d_gate, F.silu(gate).mul_(grad)), dim=-1)


def turn(x: Tensor, cos: Tensor, sin: Tensor | None) -> Tensor:
    """x cos + swapped(x) sin as in `turn_into`, for x (..., S, H); autograd goes back through it."""
    if sin is None:
        return x * cos
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((second, first), dim=-1) * sin


def to_heads(qkv: Tensor, cos: Tensor, sin: Tensor | None, heads: Heads) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of one projection, each in memory of its own, queries and keys turned.

    qkv: (B, S, n H), the heads of queries, then of keys, then of values, as many as `heads` says. cos, sin:
    (S, H) of a rotation as in layers.rotation, times any factor; without sin, all are multiplied by cos.
    Returns three (heads, B, S, H): heads come first, so that each kind is one block of memory.
    """
    shared = (cos, sin, heads)
    if not torch.is_grad_enabled():
        return _split_heads(qkv, *shared)
    out: tuple[Tensor, Tensor, Tensor] = _ToHeads.apply(qkv, *shared)
    return out


def turn_into(out: Tensor, x: Tensor, cos: Tensor, sin: Tensor | None) -> Tensor:
    """out = x cos + swapped(x) sin, where `swapped` changes places of the two halves of the
    last dimension. `sin` has the sign of each half in it. (Whole rows at a time: half rows are
    too short for the vector units.)"""
    torch.mul(x, cos, out=out)
    if sin is None:
        return out
    half = x.shape[-1] // 2
    return out.addcmul_(torch.cat((x[..., half:], x[..., :half]), dim=-1), sin)


def _split_heads(qkv: Tensor, cos: Tensor, sin: Tensor | None, heads: Heads) -> tuple[Tensor, Tensor, Tensor]:
    slots, positions, width = qkv.shape
    turned = heads[0] + heads[1]
    each = qkv.view(slots, positions, sum(heads), width // sum(heads)).permute(2, 0, 1, 3)
    if exporting():  # writing into memory would become a scatter in another runtime
        query_key = turn(each[:turned], cos, sin)
        return query_key[: heads[0]], query_key[heads[0] :], each[turned:]
    out = torch.empty(each.shape, dtype=qkv.dtype, device=qkv.device)
    turn_into(out[:turned], each[:turned], cos, sin)
    out[turned:].copy_(each[turned:])
    return out[: heads[0]], out[heads[0] : turned], out[turned:]


class _ToHeads(Function):
    """y = x cos + swapped(x) sin is a rotation times a factor; dx = dy cos -
    swapped(dy) sin, its transpose."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor | None, heads: Heads) -> Any:
        ctx.save_for_backward(cos, sin)
        return _split_heads(qkv, cos, sin, heads)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        cos, sin = ctx.saved_tensors
        back = None if sin is None else -sin
        query, key, value = grads
        turned, heads = len(query) + len(key), len(query) + len(key) + len(value)
        out = torch.empty((heads, *value.shape[1:]), dtype=value.dtype, device=value.device)
        turn_into(out[: len(query)], query, cos, back)
        turn_into(out[len(query) : turned], key, cos, back)
        out[turned:].copy_(value)
        return out.permute(1, 2, 0, 3).flatten(2), None, None, None
