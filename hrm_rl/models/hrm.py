"""The Hierarchical Reasoning Model (arXiv 2506.21734): two recurrent modules at two speeds.

Legend: B slots, L tokens, P puzzle-embedding positions, S = P + L, D hidden size, V vocabulary.
The reference is sapientinc/HRM; tests/test_parity.py compares with its numbers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hrm_rl.config import ModelConfig
from hrm_rl.models.carry import Carry
from hrm_rl.models.layers import Block, Linear, Rotation, init_truncated_normal_, rotation
from hrm_rl.models.puzzle_embedding import PuzzleEmbedding


class Level(nn.Module):
    """One recurrent module: the injected input is added to the state, then the blocks run."""

    def __init__(self, layers: int, config: ModelConfig):
        super().__init__()
        self.layers = nn.ModuleList(
            Block(config.hidden_size, config.num_heads, config.expansion, config.swiglu_multiple)
            for _ in range(layers)
        )

    def forward(self, state: Tensor, injection: Tensor, by: Rotation | None) -> Tensor:
        state = state + injection
        for layer in self.layers:
            state = layer(state, by)
        return state


class HRM(nn.Module):
    """`forward` is one segment: (carry, tokens, identifier) -> (carry, logits, q)."""

    h_init: Tensor
    l_init: Tensor

    def __init__(self, config: ModelConfig, vocab_size: int, seq_len: int, identifiers: int = 1):
        super().__init__()
        width = config.hidden_size
        self.config = config
        self.compute_dtype = getattr(torch, config.dtype)
        self.prefix = math.ceil(config.puzzle_emb_ndim / width)  # P
        self.positions = self.prefix + seq_len  # S

        self.embed_tokens = nn.Embedding(
            vocab_size, width, _weight=init_truncated_normal_(torch.empty(vocab_size, width), width**-0.5)
        )
        if self.prefix:
            self.puzzle_emb = PuzzleEmbedding(identifiers, config.puzzle_emb_ndim)
        if config.pos_encodings == "learned":
            self.embed_pos = nn.Parameter(
                init_truncated_normal_(torch.empty(self.positions, width), width**-0.5)
            )
        else:
            cos, sin = rotation(self.positions, width // config.num_heads, config.rope_theta)
            self.register_buffer("rope_cos", cos, persistent=False)
            self.register_buffer("rope_sin", sin, persistent=False)
        self.h_level = Level(config.h_layers, config)
        self.l_level = Level(config.l_layers, config)
        self.lm_head = Linear(width, vocab_size)
        self.q_head = nn.Linear(width, 2)
        # Both Q-values begin near 0 in probability, so that at first every episode runs to the budget.
        nn.init.zeros_(self.q_head.weight)
        nn.init.constant_(self.q_head.bias, -5.0)
        self.register_buffer("h_init", init_truncated_normal_(torch.empty(width), 1.0))
        self.register_buffer("l_init", init_truncated_normal_(torch.empty(width), 1.0))

    def initial_carry(self, slots: int) -> Carry:
        """The state of `slots` episodes that have not begun."""
        shape = (slots, self.positions, self.config.hidden_size)
        return Carry(
            self.h_init.to(self.compute_dtype).expand(shape), self.l_init.to(self.compute_dtype).expand(shape)
        )

    def embed(self, tokens: Tensor, identifier: Tensor) -> Tensor:
        """Tokens (B, L) and puzzle identifiers (B,) as the input (B, S, D) of the low-level module."""
        x = self.embed_tokens(tokens)
        width = self.config.hidden_size
        if self.prefix:
            rows = self.puzzle_emb(identifier)
            rows = nn.functional.pad(rows, (0, self.prefix * width - rows.shape[-1]))
            x = torch.cat((rows.view(-1, self.prefix, width), x), dim=1)
        if self.config.pos_encodings == "learned":
            x = 0.707106781 * (x + self.embed_pos)  # keeps the variance of a single embedding
        return (math.sqrt(width) * x).to(self.compute_dtype)

    def forward(self, carry: Carry, tokens: Tensor, identifier: Tensor) -> tuple[Carry, Tensor, Tensor]:
        """One segment.

        carry: z_h, z_l (B, S, D).  tokens: (B, L) integers.  identifier: (B,) integers.
        Returns the detached carry, logits (B, L, V) and q (B, 2) in float32: index 0 halt, 1 continue.
        Only the last update of each module carries gradient ("one-step gradient", section 2 of the paper).
        """
        x = self.embed(tokens, identifier)
        by = (self.rope_cos, self.rope_sin) if self.config.pos_encodings == "rope" else None
        z_h, z_l = carry.z_h, carry.z_l
        with torch.no_grad():
            for h_cycle in range(1, self.config.h_cycles + 1):
                last = h_cycle == self.config.h_cycles
                for _ in range(self.config.l_cycles - last):
                    z_l = self.l_level(z_l, z_h + x, by)
                if not last:
                    z_h = self.h_level(z_h, z_l, by)
        z_l = self.l_level(z_l, z_h + x, by)
        z_h = self.h_level(z_h, z_l, by)
        logits = self.lm_head(z_h[:, self.prefix :])
        q = self.q_head(z_h[:, 0].float())
        return Carry(z_h.detach(), z_l.detach()), logits, q
