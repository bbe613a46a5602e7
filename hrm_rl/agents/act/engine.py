"""The one loop that runs a model over a queue of puzzles. It answers many with few slots: as soon as a puzzle
is done, the next one takes its slot.

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

import numpy as np
import torch

from envs import PuzzleBatch
from envs.puzzle import Tokens
from hrm_rl.agents.act.noise import RolloutNoise
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping, StoppingRule, Thoughts
from hrm_rl.agents.act.thinking import ThinkingSlots
from hrm_rl.agents.queue import PuzzleQueue


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
    slots = ThinkingSlots.filled(solver, numbers, batch, max(len(numbers), least), noise)
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
