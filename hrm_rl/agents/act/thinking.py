"""Slots in which a model thinks about puzzles, a row each.

hrm_rl/agents/act/engine.py fills them from a queue, hrm_rl/serving/engine.py from requests.
Legend: B slots, b of them in use, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.puzzle import Tokens
from hrm_rl.agents.act.answers import likeliest, mean_entropy, probabilities
from hrm_rl.agents.act.noise import RolloutNoise
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Thoughts
from hrm_rl.models import Carry
from hrm_rl.utils.devices import ToCpu, to_device


@dataclass
class ThinkingSlots:
    """What is in B slots, a row each."""

    solver: Solver
    index: NDArray[np.int64]
    """(B,) which puzzle: its place in the queue, -1 for an idle slot."""
    segment: NDArray[np.int64]
    """(B,) segments spent on it."""
    agreed: NDArray[np.int64]
    """(B,) segments in a row that gave this answer."""
    inputs: Tokens
    """(B, L) the puzzle."""
    answer: Tokens
    """(B, L) after the last segment."""
    tokens: torch.Tensor
    """(B, L) the puzzle, on the device."""
    identifier: torch.Tensor
    """(B,) of the puzzle, on the device."""
    blank: torch.Tensor
    """(B, L) cells that the puzzle leaves open, on the device."""
    carry: Carry
    noise: RolloutNoise | None
    logits: torch.Tensor | None = None
    """(B, L, V) of the last segment, on the device."""

    @staticmethod
    def filled(
        solver: Solver,
        numbers: NDArray[np.int64],
        batch: PuzzleBatch,
        rows: int,
        noise: RolloutNoise | None,
    ) -> ThinkingSlots:
        """The first puzzles of the queue in `rows` slots; idle ones repeat the last puzzle."""
        index = np.concatenate([numbers, np.full(rows - len(numbers), -1)])
        some = batch.take(np.minimum(np.arange(rows), len(numbers) - 1))
        carry = solver.model.initial_carry(rows)
        return ThinkingSlots(
            solver=solver,
            index=index,
            segment=np.zeros(rows, np.int64),
            agreed=np.zeros(rows, np.int64),
            inputs=some.inputs,
            answer=np.zeros_like(some.inputs),
            tokens=to_device(torch.from_numpy(some.inputs), solver.device).long(),
            identifier=to_device(torch.from_numpy(some.identifier), solver.device),
            blank=to_device(torch.from_numpy(solver.task.unknown(some.inputs)), solver.device),
            carry=carry if noise is None else noise.initial(carry, index),
            noise=noise,
        )

    @property
    def used(self) -> NDArray[np.int64]:
        """(b,) the slots in use."""
        return np.flatnonzero(self.index >= 0)

    def think(self) -> Thoughts:
        """One segment in every slot. Returns its outcome in those in use."""
        before = met = self.carry
        if self.noise is not None:
            met = self.noise.on_the_way(before, self.index, self.segment)
        self.carry, logits, q = self.solver.think(met, self.tokens, self.identifier)
        self.logits = logits
        entropy = mean_entropy(logits, self.blank, self.solver.loss)
        tokens, q, change, entropy = ToCpu(
            likeliest(logits), q, self.carry.change_since(before), entropy
        ).wait()
        answer = self.solver.answer(tokens.numpy(), self.inputs)
        self.segment += 1
        same = (self.segment > 1) & (answer == self.answer).all(axis=1)
        self.agreed = np.where(same, self.agreed + 1, 1)
        self.answer = answer
        done = np.zeros(len(self.index), np.bool_)
        every = Thoughts(
            index=self.index,
            segment=self.segment,
            inputs=self.inputs,
            answer=answer,
            q=q.numpy(),
            agreed=self.agreed,
            change=change.numpy(),
            entropy=entropy.numpy(),
            done=done,
        )
        return every.take(self.used)

    def put(self, rows: NDArray[np.int64], numbers: NDArray[np.int64], batch: PuzzleBatch) -> None:
        """Begin with new puzzles in some slots."""
        self.index[rows], self.segment[rows] = numbers, 0
        self.inputs[rows] = batch.inputs
        at = to_device(torch.from_numpy(rows), self.solver.device)
        self.tokens[at] = to_device(torch.from_numpy(batch.inputs), self.solver.device).long()
        self.identifier[at] = to_device(torch.from_numpy(batch.identifier), self.solver.device)
        self.blank[at] = to_device(
            torch.from_numpy(self.solver.task.unknown(batch.inputs)), self.solver.device
        )
        begun = torch.zeros(len(self.index), dtype=torch.bool, device=self.solver.device)
        begun[at] = True
        initial = self.solver.model.initial_carry(len(begun))
        if self.noise is not None:
            beginning = np.full(len(begun), -1)
            beginning[rows] = numbers
            initial = self.noise.initial(initial, beginning)
        self.carry = self.carry.replace_rows(begun, initial)

    def join(self, other: ThinkingSlots) -> None:
        """Take over the slots of `other` behind one's own."""
        for name in ("index", "segment", "agreed", "inputs", "answer"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(other, name)]))
        for name in ("tokens", "identifier", "blank"):
            setattr(self, name, torch.cat([getattr(self, name), getattr(other, name)]))
        self.carry = Carry.join([self.carry, other.carry])

    def chances(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(b, L, V) probabilities of the answer's tokens after the last segment, in some slots."""
        assert self.logits is not None, "nothing was thought yet"
        some = self.logits[to_device(torch.from_numpy(rows), self.solver.device)]
        (found,) = ToCpu(probabilities(some, self.solver.loss)).wait()
        chances: NDArray[np.float32] = found.numpy()
        return chances

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Drop all other slots."""
        self.index, self.segment, self.agreed = self.index[rows], self.segment[rows], self.agreed[rows]
        self.inputs, self.answer = self.inputs[rows], self.answer[rows]
        at = to_device(torch.from_numpy(rows), self.solver.device)
        self.tokens, self.identifier, self.blank = self.tokens[at], self.identifier[at], self.blank[at]
        self.carry = self.carry.select(at)
