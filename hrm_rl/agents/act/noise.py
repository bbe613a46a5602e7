"""Noise on the state: random initial states and noise on the path, in training and in rollouts (Equilibrium
Reasoners, arXiv 2605.21488).

All of it is normal and follows from a seed and from what it is for, so that there is no state to save.
Legend: B slots, S positions, D hidden size, M puzzles in the queue.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrm_rl.config import Config
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.utils.seeds import generator_of


class TrainingNoise:
    """The noise of one worker: what is drawn follows from seed, rank, update and the draws before it in this
    update. With `init_std` and `state_noise` 0 nothing is drawn."""

    def __init__(self, config: Config, rank: int):
        self.init_std, self.state_std = config.model.init_std, config.model.state_noise
        self._key = ("training noise", config.seed, rank)
        self.begin(0)

    def begin(self, update: int) -> None:
        """What follows is drawn for this update; for update 0, to start the slots."""
        self._update, self._draws = update, 0

    def initial(self, model: RecurrentModel, slots: int) -> Carry:
        """The state of `slots` episodes that have not begun."""
        return self._add(model.initial_carry(slots), self.init_std)

    def on_the_way(self, carry: Carry) -> Carry:
        """The carry as the next segment is to meet it."""
        return self._add(carry, self.state_std)

    def _add(self, carry: Carry, std: float) -> Carry:
        if not std:
            return carry
        self._draws += 1
        generator = generator_of(carry.z_h.device, *self._key, self._update, self._draws)
        noise = [_normal(z.shape, generator) for z in (carry.z_h, carry.z_l)]
        return _sum(carry, std, *noise)


@dataclass(frozen=True)
class RolloutNoise:
    """The noise of a rollout: what a puzzle meets follows from the key and its own number, whoever else is in
    the batch."""

    init_std: float
    """Of the noise on the initial state."""
    state_std: float
    """Of the noise on the state before each segment."""
    key: tuple[int, ...]
    """What the noise follows from, besides the puzzle's number: a seed, and which rollout it is."""
    numbers: NDArray[np.int64]
    """(M,) the puzzle's number, for each place of the queue."""

    def initial(self, carry: Carry, index: NDArray[np.int64]) -> Carry:
        """index: (B,) places in the queue of the slots that begin; the others have -1 and get no noise."""
        return self._add(carry, self.init_std, [(int(n), "initial") for n in index])

    def on_the_way(self, carry: Carry, index: NDArray[np.int64], segment: NDArray[np.int64]) -> Carry:
        """index: (B,) as in `initial`.  segment: (B,) segments spent before this one."""
        return self._add(
            carry, self.state_std, [(int(n), int(k)) for n, k in zip(index, segment, strict=True)]
        )

    def _add(self, carry: Carry, std: float, rows: Iterable[tuple[int, int | str]]) -> Carry:
        if not std:
            return carry
        high, low = [], []
        for (n, what), z_h, z_l in zip(rows, carry.z_h, carry.z_l, strict=True):
            if n < 0:
                high.append(torch.zeros(z_h.shape, device=z_h.device))
                low.append(torch.zeros(z_l.shape, device=z_l.device))
                continue
            generator = generator_of(z_h.device, "rollout noise", *self.key, int(self.numbers[n]), what)
            high.append(_normal(z_h.shape, generator))
            low.append(_normal(z_l.shape, generator))
        return _sum(carry, std, torch.stack(high), torch.stack(low))


def _normal(shape: torch.Size, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)


def _sum(carry: Carry, std: float, high: Tensor, low: Tensor) -> Carry:
    """The carry with `std` times (B, S, D) noise added, in its own type."""
    return Carry((carry.z_h + std * high).to(carry.z_h.dtype), (carry.z_l + std * low).to(carry.z_l.dtype))
