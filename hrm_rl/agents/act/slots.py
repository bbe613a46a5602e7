"""The slots of a worker: how many there are, what they hold, and what a segment makes of them.

Legend: B slots, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs.copies import writable
from hrm_rl.models import Carry
from hrm_rl.utils.devices import ToCpu


def slots_of_rank(global_batch_size: int, rank: int, world_size: int) -> int:
    """Slots of one worker: an even share, the first workers taking one more where it does not divide."""
    return global_batch_size // world_size + (rank < global_batch_size % world_size)


def slices(slots: int, count: int) -> list[slice]:
    """`count` consecutive slices of the slots, as even as can be; fewer if there are fewer slots."""
    sizes = [slots_of_rank(slots, i, count) for i in range(min(count, slots))]
    return [slice(sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(sizes))]


@dataclass(frozen=True)
class Slots:
    """What the slots hold between two segments."""

    puzzle: NDArray[np.uint8]
    """(B, L)"""
    solution: NDArray[np.uint8]
    """(B, L)"""
    identifier: NDArray[np.int64]
    """(B,) of the puzzle."""
    segment: NDArray[np.int64]
    """(B,) segments spent on the puzzle."""
    carry: Carry
    min_segments: Tensor
    """(B,) exploration's floor in the last segment."""
    explored: Tensor
    """(B,) whether exploration has kept this episode from halting."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(writable(state))

    @staticmethod
    def blank(carry: Carry, tokens: int) -> Slots:
        """Slots that wait for puzzles of so many tokens, with the carry that they start from."""
        count = len(carry.z_h)
        board, zeros = np.zeros((count, tokens), np.uint8), np.zeros(count, np.int64)
        floor, explored = torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.bool)
        return Slots(board, board, zeros, zeros, carry, floor, explored)

    def take_up(self, obs: dict[str, NDArray[Any]], infos: dict[str, Any]) -> Slots:
        """With the puzzles that the environment's slots hold now."""
        puzzle, segment = obs["puzzle"], obs["segment"]
        solution, identifier = infos["solution"], infos["identifier"]
        return replace(self, puzzle=puzzle, solution=solution, identifier=identifier, segment=segment)

    def replace_rows(self, rows: Tensor, initial: Carry) -> Slots:
        """With the initial carry in the slots where `rows` (B,) is true."""
        return replace(self, carry=self.carry.replace_rows(rows, initial))


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
    solution: NDArray[np.uint8]
    """(B, L)"""
    segment: NDArray[np.int64]
    """(B,) segments spent on the puzzle, this one included."""
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
