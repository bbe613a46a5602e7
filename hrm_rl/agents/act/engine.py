"""The one loop that runs a model over puzzles. It answers many puzzles with few slots: as soon as a puzzle is
done, the next one of the queue takes its slot.

A rule (`Stopping`) says when a puzzle is done, after every segment and for each puzzle separately. The engine
(`think`) takes puzzles from an iterator and hands thoughts to an iterator, so that its memory grows with the
slots alone. States are for `hrm_rl.models.tracing` to watch from outside.

The same answers as alone: no slot sees another, so a puzzle's answers and Q-values depend on its own tokens
only, but for one thing. A matrix product may be rounded differently for another number of rows. On the CPU,
with the oneMKL that torch comes with, rows of products of at least 16 rows came out the same, bit for bit,
whatever their number and place (tests/agents/test_inference.py; sudoku9-curriculum, the TRM with an MLP, two
small networks, one and two threads, were tried). A product with a row for every cell has so many even for one
puzzle, and the q-head fills up its own (`q_values` of hrm_rl/models/recurrent.py). On a GPU the engine keeps
the full number of slots to the end, so that all puzzles meet products of one shape.

Legend: B slots, b of them in use, L tokens, N puzzles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.puzzle import Tokens
from hrm_rl.agents.act.answers import likeliest, mean_entropy
from hrm_rl.agents.act.noise import RolloutNoise
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping, StoppingRule, Thoughts
from hrm_rl.agents.queue import PuzzleQueue
from hrm_rl.models import Carry
from hrm_rl.utils.devices import ToCpu, to_device


@dataclass
class _Slots:
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

    @staticmethod
    def filled(
        solver: Solver,
        numbers: NDArray[np.int64],
        batch: PuzzleBatch,
        rows: int,
        noise: RolloutNoise | None,
    ) -> _Slots:
        """The first puzzles of the queue in `rows` slots; idle ones repeat the last puzzle."""
        index = np.concatenate([numbers, np.full(rows - len(numbers), -1)])
        some = batch.take(np.minimum(np.arange(rows), len(numbers) - 1))
        carry = solver.model.initial_carry(rows)
        return _Slots(
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
        self.carry, logits, q = self.solver.model(met, self.tokens, self.identifier)
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

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Drop all other slots."""
        self.index, self.segment, self.agreed = self.index[rows], self.segment[rows], self.agreed[rows]
        self.inputs, self.answer = self.inputs[rows], self.answer[rows]
        at = to_device(torch.from_numpy(rows), self.solver.device)
        self.tokens, self.identifier, self.blank = self.tokens[at], self.identifier[at], self.blank[at]
        self.carry = self.carry.select(at)


@torch.no_grad()
def think(
    solver: Solver,
    puzzles: Iterable[PuzzleBatch],
    stopping: StoppingRule,
    batch_size: int = 256,
    noise: RolloutNoise | None = None,
) -> Iterator[Thoughts]:
    """Think about the puzzles of `puzzles`, which may be without end; yields after every segment.

    batch_size: slots. At the end of the queue, slots that are done are left out (see the module's docstring
    for how many are kept).  noise: on the states, if there is to be any.
    The solutions in `puzzles` are not looked at. The model is in evaluation mode as long as this runs. With a
    fixed budget all slots are in the same segment, those in use first.
    """
    model = solver.model
    least = 1 if solver.device.type == "cpu" else batch_size
    queue = PuzzleQueue(puzzles)
    numbers, batch = queue.take(batch_size)
    if batch is None:
        return
    slots = _Slots.filled(solver, numbers, batch, max(len(numbers), least), noise)
    was_training = model.training
    model.eval()
    try:
        while True:
            thoughts = slots.think()
            thoughts.done[:] = stopping.stops(thoughts, solver) | (thoughts.segment >= stopping.budget)
            yield thoughts

            free = slots.used[thoughts.done]
            if not len(free):
                continue
            slots.index[free] = -1
            numbers, batch = queue.take(len(free))
            if batch is not None:
                slots.put(free[: len(numbers)], numbers, batch)
            if len(numbers) == len(free):
                continue
            used = slots.used  # the queue is empty
            if not len(used):
                return
            kept = max(len(used), least)
            if kept < len(slots.index):
                slots.keep(np.concatenate([used, np.flatnonzero(slots.index < 0)])[:kept])
    finally:
        model.train(was_training)


def answers(
    solver: Solver,
    puzzles: Iterable[PuzzleBatch],
    stopping: StoppingRule,
    batch_size: int = 256,
    noise: RolloutNoise | None = None,
) -> Iterator[Thoughts]:
    """What is handed in for each puzzle, in the order of the queue, some at a time.

    Those done early wait for those before them: at most (B - 1) * budget, since so many can be done while one
    takes the whole budget.
    """
    waiting: dict[int, Thoughts] = {}
    following = 0
    for thoughts in think(solver, puzzles, stopping, batch_size, noise):
        for row in np.flatnonzero(thoughts.done):
            waiting[int(thoughts.index[row])] = thoughts.take(np.array([row]))
        ready = []
        while following in waiting:
            ready.append(waiting.pop(following))
            following += 1
        if ready:
            yield Thoughts.concatenate(ready)


def answers_by_segment(solver: Solver, puzzles: PuzzleBatch, budget: int) -> Tokens:
    """The answers (K, N, L) after each segment of a fixed budget, all puzzles at once."""
    every = think(solver, [puzzles], Stopping(budget, "fixed"), batch_size=len(puzzles))
    return np.stack([thoughts.answer for thoughts in every])
