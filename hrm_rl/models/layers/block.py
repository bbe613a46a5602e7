"""Building blocks of the networks, as in sapientinc/HRM.

Legend: B slots, S positions, D hidden size, H head width = D / num_heads.
Weights are float32; a layer computes in the type of its input.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from hrm_rl.config import ModelConfig
from hrm_rl.models.layers.attention import Attention
from hrm_rl.models.layers.fused import add_norm, gated
from hrm_rl.models.layers.linear import Linear
from hrm_rl.models.layers.positions import Rotation


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
