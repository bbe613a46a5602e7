"""Attention over positions, fused or spelled out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_rl.models.layers.fused import Heads, to_heads, turn
from hrm_rl.models.layers.linear import Linear
from hrm_rl.models.layers.positions import Rotation

LONGEST_SPELLED_OUT = {"no gradient": 128, "float32": 192, "lower precision": 448}
"""Positions up to which attention on a CPU is spelled out, in passes without gradient and in those with
it; measured (docs/performance.md)."""


class Attention(nn.Module):
    """Multi-head self-attention, with one matrix for queries, keys and values.

    num_kv_heads: heads of keys and values, each shared by num_heads / num_kv_heads neighbouring heads of
    queries (grouped-query attention, arXiv 2305.13245); as many as num_heads if not given.
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
    """Whether attention on x (B, S, D) takes two matrix products with a softmax between them: on a CPU, for a
    short row, they and their backward pass are up to six times as fast as torch's fused kernel. All else
    takes that kernel, which keeps no (S, S)."""
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
