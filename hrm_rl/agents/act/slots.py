"""The slots of a worker: how many there are, in which slices they think, and what a segment makes of them.

Legend: B slots, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrm_rl.config import TrainConfig
from hrm_rl.models import Carry
from hrm_rl.utils.devices import ToCpu


def slots_of_rank(global_batch_size: int, rank: int, world_size: int) -> int:
    """Slots of one worker: an even share, the first workers taking one more where it does not divide."""
    return global_batch_size // world_size + (rank < global_batch_size % world_size)


def slots_at(update: int, config: TrainConfig, world_size: int) -> int:
    """Slots over all workers in update number `update` (from 1): from initial_batch_size evenly up to
    global_batch_size over batch_warmup_updates, at least one for each worker."""
    full, warmup = config.global_batch_size, config.batch_warmup_updates
    if update > warmup:
        return full
    first = min(full, max(config.initial_batch_size, world_size))
    return first + (full - first) * (update - 1) // warmup


def slices(slots: int, count: int) -> list[slice]:
    """`count` consecutive slices of the slots, as even as can be; fewer if there are fewer slots."""
    sizes = [slots_of_rank(slots, i, count) for i in range(min(count, slots))]
    return [slice(sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(sizes))]


@dataclass(frozen=True)
class Act:
    """What the environment and the next segment want to know of a segment. It holds no graph."""

    carry: Carry
    q: Tensor
    """(B, 2) on the CPU."""
    answer: NDArray[np.uint8]
    """(B, L)"""
    solved: NDArray[np.bool_]
    """(B,) whether the answer is right by the task's rule."""

    @staticmethod
    def join(parts: list[Act]) -> Act:
        """The slots of all parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        return Act(
            Carry.join([part.carry for part in parts]),
            torch.cat([part.q for part in parts]),
            np.concatenate([part.answer for part in parts]),
            np.concatenate([part.solved for part in parts]),
        )


@dataclass(frozen=True)
class Thought:
    """One segment with its graph: what the losses look at."""

    puzzle: NDArray[np.uint8]
    """(B, L)"""
    tokens: Tensor
    """(B, L)"""
    labels: Tensor
    """(B, L)"""
    identifier: Tensor
    """(B,)"""
    logits: Tensor
    """(B, L, V)"""
    q: Tensor
    """(B, 2) Q-values after this segment."""
    q_taught: Tensor
    """(B, 2) the halt values after this segment, and the continue values that its target is for."""
    carry: Carry
    answer: ToCpu
    """The likeliest tokens (B, L) and q (B, 2), on their way to the environment."""
