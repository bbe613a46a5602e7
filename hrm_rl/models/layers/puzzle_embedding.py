"""A table with one learned vector for each puzzle identity.

A batch touches few rows, so the table is a buffer, not a parameter: it takes part neither in the average of
gradients nor in the dense optimisers. Its rows' gradients are collected here and applied by
hrm_rl.agents.optim.SignSGD.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PuzzleEmbedding(nn.Module):
    """Rows `identifier -> (ndim,)`, zero at first."""

    weight: Tensor
    """(identifiers, ndim)"""

    def __init__(self, identifiers: int, ndim: int):
        super().__init__()
        self.register_buffer("weight", torch.zeros(identifiers, ndim))
        self.looked_up: tuple[Tensor, Tensor] | None = None
        """Identifiers (B,) and rows (B, ndim) of the last forward pass with gradient."""

    def forward(self, identifier: Tensor) -> Tensor:
        """(B,) -> (B, ndim). With gradients enabled the rows become a leaf whose `.grad` SignSGD reads."""
        rows = self.weight[identifier]
        if torch.is_grad_enabled():
            rows.requires_grad_(True)
            self.looked_up = (identifier, rows)
        return rows
