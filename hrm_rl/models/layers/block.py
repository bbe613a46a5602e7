"""Building blocks of the networks, as in sapientinc/HRM.

Legend: B slots, S positions, D hidden size, H head width = D / num_heads.
Weights are float32; a layer computes in the type of its input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_rl.config import ModelConfig
from hrm_rl.models.layers.fused import Heads, add_norm, at_least_float32, gated, linear, to_heads, turn

Rotation = tuple[Tensor, Tensor]
"""cos and sin of the rotary angles, each (S, H); see `rotation` for the sign of sin."""

LONGEST_SPELLED_OUT = {"no gradient": 128, "float32": 192, "lower precision": 448}
"""Positions up to which attention on a CPU is spelled out, in passes without gradient and in those with it; measured
(docs/performance.md)."""

_STD_OF_NORMAL_CUT_AT_TWO_SIGMA = 0.87962566103423978


def init_truncated_normal_(tensor: Tensor, std: float) -> Tensor:
    """Fill with a normal distribution cut at two sigma whose standard deviation *after* the cut is `std`.

    torch.nn.init.trunc_normal_ takes the deviation before the cut and so ends at 0.88 of it.
    """
    sigma = std / _STD_OF_NORMAL_CUT_AT_TWO_SIGMA
    return nn.init.trunc_normal_(tensor, std=sigma, a=-2 * sigma, b=2 * sigma)


class Linear(nn.Module):
    """A linear map without bias; truncated-normal weights with std 1/sqrt(fan_in)."""

    held: Tensor | None = None
    """The weight in a type of lower precision, as long as `hold_weights` lasts."""
    room: Tensor | None = None
    """Memory for `held` at an address that stays, for recorded kernels (hrm_rl/models/graphs.py)."""

    def __init__(self, fan_in: int, fan_out: int):
        super().__init__()
        self.weight = nn.Parameter(init_truncated_normal_(torch.empty(fan_out, fan_in), fan_in**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.dtype == x.dtype:
            return linear(x, self.weight)
        held = self.held
        return linear(x, self.weight, held if held is not None else self.weight.detach().to(x.dtype))


@contextmanager
def hold_weights(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Inside, no weight of a Linear in `model` changes, so that each is cast to `dtype` once and not in every pass.
    Gradients reach the weights themselves, in their own type. A context within another casts nothing."""
    layers = [m for m in model.modules() if isinstance(m, Linear) and m.held is None]
    for layer in layers:
        weight = layer.weight.detach()
        layer.held = weight.to(dtype) if layer.room is None else layer.room.copy_(weight)
    try:
        yield
    finally:
        for layer in layers:
            layer.held = None


def rotation(places: Tensor, frequencies: Sequence[Tensor]) -> Rotation:
    """cos and sin for rotary position embedding (arXiv 2104.09864), halves rotated: each (S, H), the first half of
    sin with a minus, as `rotate` needs it.

    places: (S, K) where each position is.  frequencies: for each of the K coordinates, the angles (n,) by which one
    step along it turns n of the H/2 pairs of numbers. A product of query and key then depends on the K differences of
    their coordinates.
    """
    coordinates = places.float().unbind(1)
    angles = [torch.outer(c, turns) for c, turns in zip(coordinates, frequencies, strict=True)]
    angle = torch.cat(angles, dim=-1)
    return angle.cos().repeat(1, 2), torch.cat((-angle.sin(), angle.sin()), dim=-1)


def rope_frequencies(pairs: int, theta: float) -> Tensor:
    """theta^(-0/n), theta^(-1/n), ...: those of a sequence, as published."""
    return theta ** -(torch.arange(pairs, dtype=torch.float32) / pairs)


def board_frequencies(pairs: int, places: int) -> Tensor:
    """Wavelengths in equal ratios from two places to twice the `places` of a coordinate: no difference on the board
    looks like another, and "the same row" differs from "the next row" as much as can be."""
    return math.pi * places ** -torch.linspace(1, 0, pairs)


def shares(pairs: int, kinds: int) -> list[int]:
    """Pairs of numbers for each of `kinds` coordinates, as even as can be."""
    return [pairs // kinds + (k < pairs % kinds) for k in range(kinds)]


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Apply a rotation (S, H) to queries or keys (..., S, H), in float32. Attention does it in `fused.to_heads`."""
    cos, sin = by
    first, second = at_least_float32(x).chunk(2, dim=-1)
    return (x * cos + torch.cat((second, first), dim=-1) * sin).to(x.dtype)


class Attention(nn.Module):
    """Multi-head self-attention, with one matrix for queries, keys and values.

    num_kv_heads: heads of keys and values, each shared by num_heads / num_kv_heads neighbouring heads of queries
    (grouped-query attention, arXiv 2305.13245); as many as num_heads if not given.
    causal: a position sees itself and those before it.
    """

    def __init__(
        self, hidden_size: int, num_heads: int, num_kv_heads: int | None = None, causal: bool = False
    ):
        super().__init__()
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads or num_heads
        self.causal = causal
        all_heads = num_heads + 2 * self.num_kv_heads
        self.qkv_proj = Linear(hidden_size, all_heads * (hidden_size // num_heads))
        self.o_proj = Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor, by: Rotation | None) -> Tensor:
        slots, positions, width = x.shape
        # Queries and keys each take half of the factor 1/sqrt(H) on their product.
        scale = (width // self.num_heads) ** -0.25
        cos = (
            torch.full((), scale, dtype=x.dtype, device=x.device)
            if by is None
            else (by[0] * scale).to(x.dtype)
        )
        sin = None if by is None else (by[1] * scale).to(x.dtype)
        heads = (self.num_heads, self.num_kv_heads, self.num_kv_heads)
        attend = attend_spelled_out if spells_out(x) else attend_fused
        out = attend(self.qkv_proj(x), cos, sin, heads, self.causal)
        return self.o_proj(out.reshape(slots, positions, width))


def spells_out(x: Tensor) -> bool:
    """Whether attention on x (B, S, D) takes two matrix products with a softmax between them: on a CPU, for a short
    row, they and their backward pass are up to six times as fast as torch's fused kernel. All else takes that kernel,
    which keeps no (S, S)."""
    if not torch.is_grad_enabled():
        kind = "no gradient"
    else:
        kind = "lower precision" if x.dtype.itemsize < 4 else "float32"
    return x.device.type == "cpu" and x.shape[1] <= LONGEST_SPELLED_OUT[kind]


def attend_fused(qkv: Tensor, cos: Tensor, sin: Tensor | None, heads: Heads, causal: bool) -> Tensor:
    """softmax(query key') value by torch's fused kernel, on heads where they lie. As `to_heads`; returns
    (B, S, N, H)."""
    turned = heads[0] + heads[1]
    each = qkv.unflatten(-1, (sum(heads), -1)).transpose(1, 2)  # (B, n, S, H)
    query_key, value = each.split((turned, heads[2]), dim=1)
    query, key = turn(query_key, cos, sin).split(heads[:2], dim=1)
    out = F.scaled_dot_product_attention(
        query, *_shared(key, value, heads, dim=1), is_causal=causal, scale=1.0
    )
    return out.transpose(1, 2)


def _shared(key: Tensor, value: Tensor, heads: Heads, dim: int) -> tuple[Tensor, Tensor]:
    """Keys and values as often as there are heads of queries."""
    by = heads[0] // heads[1]
    if by == 1:
        return key, value
    return key.repeat_interleave(by, dim), value.repeat_interleave(by, dim)


def attend_spelled_out(qkv: Tensor, cos: Tensor, sin: Tensor | None, heads: Heads, causal: bool) -> Tensor:
    """softmax(query key') value as two matrix products with a softmax between them. As `to_heads`; returns
    (B, S, N, H)."""
    query, key, value = to_heads(qkv, cos, sin, heads)  # each (heads, B, S, H)
    key, value = _shared(key, value, heads, dim=0)
    count, slots, positions, width = query.shape
    query, key, value = (t.reshape(count * slots, positions, width) for t in (query, key, value))
    scores = torch.bmm(query, key.transpose(1, 2))
    if causal:
        later = torch.ones(positions, positions, dtype=torch.bool, device=query.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    out = torch.bmm(scores.softmax(-1), value).view(count, slots, positions, width)
    return out.permute(1, 2, 0, 3)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), with one matrix for gate and up (arXiv 2002.05202)."""

    def __init__(self, hidden_size: int, expansion: float, multiple: int):
        super().__init__()
        inner = math.ceil(round(expansion * hidden_size * 2 / 3) / multiple) * multiple
        self.gate_up_proj = Linear(hidden_size, 2 * inner)
        self.down_proj = Linear(inner, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(gated(self.gate_up_proj(x)))


def dropout(x: Tensor, share: float) -> Tensor:
    """Leave out a share of the numbers at random."""
    return F.dropout(x, share) if share else x


class Block(nn.Module):
    """A mixer of positions, then SwiGLU over each, both normalised after their residual sum.

    The mixer is attention, or SwiGLU over the positions of each of the D numbers ("mlp_t" in
    TinyRecursiveModels); the sum after that one is normalised over the positions too, as there.
    """

    def __init__(self, config: ModelConfig, positions: int):
        super().__init__()
        width = config.hidden_size
        self.dropout = config.dropout
        if config.mixer == "attention":
            self.self_attn = Attention(width, config.num_heads, config.num_kv_heads, config.causal)
        else:
            self.mlp_t = SwiGLU(positions, config.expansion, config.swiglu_multiple)
        self.mlp = SwiGLU(width, config.expansion, config.swiglu_multiple)
        self.mixes_by_attention = config.mixer == "attention"

    def forward(self, x: Tensor, by: Rotation | None, drop: bool = False) -> Tensor:
        """(B, S, D) -> (B, S, D). drop: leave out a share `dropout` of what is added to x, at random."""
        share = self.dropout if drop else 0.0
        if self.mixes_by_attention:
            x = add_norm(x, dropout(self.self_attn(x, by), share))
        else:
            x = x.transpose(1, 2)
            x = add_norm(x, dropout(self.mlp_t(x), share)).transpose(1, 2)
        return add_norm(x, dropout(self.mlp(x), share))
