"""sapientinc/HRM's names for the puzzle embedding and its optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from hrm_rl.agents.optim import SignSGD
from hrm_rl.models.layers.puzzle_embedding import PuzzleEmbedding
from hrm_rl.utils.errors import UserError


class CastedSparseEmbedding:
    """What `model.puzzle_emb` is to upstream's training script: the table and its buffers."""

    def __init__(self, embedding: PuzzleEmbedding):
        self.embedding = embedding

    @property
    def weights(self) -> Tensor:
        """(identifiers, ndim)"""
        return self.embedding.weight

    def buffers(self) -> Iterator[Tensor]:
        """The table, marked with the embedding it belongs to: the optimiser below takes it from
        there. Upstream hands over two more buffers, the batch's rows and identifiers, which
        PuzzleEmbedding remembers itself."""
        weight = self.embedding.weight
        weight.puzzle_embedding = self.embedding  # type: ignore[attr-defined]
        yield weight


class CastedSparseEmbeddingSignSGD_Distributed(torch.optim.Optimizer):
    """SignSGD under upstream's name and call: `(model.puzzle_emb.buffers(), world_size=1, lr=0.01, ...)`.

    p = p*(1 - lr*wd) - lr*sign(g) for the rows that the last forward pass with gradient looked
    up; gradients of equal rows are summed over all slots of all ranks first. All ranks must
    have equally many slots, as upstream.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | CastedSparseEmbedding,
        world_size: int,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        device: Any = None,
    ):
        """device: taken for the sake of upstream's callers; the table knows where it is."""
        if lr < 0 or weight_decay < 0:
            raise UserError(f"lr={lr} and weight_decay={weight_decay} must be at least 0")
        tensors = list(params.buffers() if isinstance(params, CastedSparseEmbedding) else params)
        found = [t.puzzle_embedding for t in tensors if hasattr(t, "puzzle_embedding")]
        if len(found) != 1:
            raise UserError(
                "CastedSparseEmbeddingSignSGD_Distributed takes model.puzzle_emb.buffers() of an HRMACTv1"
            )
        self.embedding: PuzzleEmbedding = found[0]
        super().__init__(tensors, {"lr": lr, "weight_decay": weight_decay, "world_size": world_size})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("CastedSparseEmbeddingSignSGD_Distributed takes no closure")
        (group,) = self.param_groups
        ranks = dist.get_world_size() if dist.is_initialized() else 1
        if group["world_size"] != ranks:
            raise UserError(
                f"the optimiser was made for world_size={group['world_size']}, there are {ranks} ranks"
            )
        if self.embedding.looked_up is None:
            raise UserError(
                "step() before a forward pass: call model(carry, batch) with gradients enabled first"
            )
        identifier, rows = self.embedding.looked_up
        if rows.grad is None:
            raise UserError("step() before backward(): the rows of the last forward pass have no gradient")
        slots = len(identifier)
        sign_sgd = SignSGD(self.embedding, group["lr"], group["weight_decay"], slots)
        sign_sgd.collect()
        sign_sgd.step(*sign_sgd.gradient())
