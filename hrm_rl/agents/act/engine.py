"""Answering many puzzles with few slots: as soon as a puzzle is done, the next one of
the queue takes its slot.

What is done is for a rule to say (`Stopping`), after every segment and for every puzzle apart.
The engine (`think`) takes puzzles from an iterator and hands thoughts to an iterator, so that
its memory grows with the slots alone.

The same answers as alone: no slot sees another, so a puzzle's answers and Q-values depend on its own tokens
only, but for one thing. A matrix product may be rounded differently for another number of rows. On the CPU,
with the oneMKL that torch comes with, rows of products of at least 16 rows came out the same, bit for bit,
whatever their number and place (tests/agents/test_inference.py; sudoku9-curriculum, the TRM with an MLP, two
small networks, one and two threads, were tried), and only the q-head, which has one row a slot, ever has
fewer. So the engine never runs fewer than 16 slots on a CPU and fills up with idle ones. Elsewhere it keeps
the full number to the end, so that all puzzles meet products of one shape. A Q-value computed by other means,
say in a batch of one, may differ in its last bits (by 1e-5), and a halt that was a tie within that, too.

Legend: B slots, b of them in use, L tokens, N puzzles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl.agents.act.answers import LossOn, fill_in, likeliest
from hrm_rl.agents.act.stopping import StoppingRule, Thoughts
from hrm_rl.models import RecurrentModel
from hrm_rl.utils.devices import ToCpu, to_device

LEAST_ROWS = 16
"""Fewest slots that are run on a CPU."""


class _Queue:
    """Puzzles of an iterator of batches, handed out in any number."""

    def __init__(self, batches: Iterable[PuzzleBatch]):
        self._batches = (batch for batch in batches if len(batch))
        self._rest: PuzzleBatch | None = None
        self._taken = 0

    def take(self, count: int) -> tuple[NDArray[np.int64], PuzzleBatch | None]:
        """The next `count` puzzles and their places in the queue; fewer at its end, None behind it."""
        parts: list[PuzzleBatch] = []
        missing = count
        while missing:
            self._rest = self._rest or next(self._batches, None)
            if self._rest is None:
                break
            part = self._rest.take(slice(missing))
            self._rest = self._rest.take(slice(missing, None))
            parts.append(part)
            missing -= len(part)
        first, self._taken = self._taken, self._taken + count - missing
        return np.arange(first, self._taken), PuzzleBatch.concatenate(parts) if parts else None


@torch.no_grad()
def think(
    model: RecurrentModel,
    task: PuzzleTask,
    puzzles: Iterable[PuzzleBatch],
    stopping: StoppingRule,
    batch_size: int = 256,
    loss_on: LossOn = "all",
) -> Iterator[Thoughts]:
    """Think about the puzzles of `puzzles`, which may be without end; yields after every segment.

    At the end of the queue, slots that are done are left out (see the module's docstring for how many are
    kept). batch_size: slots.  loss_on: what the model was trained on (see `answer_of`).
    The solutions in `puzzles` are not looked at. The model is in evaluation mode as long as this runs.
    """
    device = next(model.parameters()).device
    least = LEAST_ROWS if device.type == "cpu" else batch_size
    queue = _Queue(puzzles)
    index, batch = queue.take(batch_size)
    if batch is None:
        return
    rows = max(len(index), least)
    fill = np.minimum(np.arange(rows), len(index) - 1)  # idle slots repeat the last puzzle
    inputs = batch.inputs[fill]
    tokens = to_device(torch.from_numpy(inputs), device).long()
    identifier = to_device(torch.from_numpy(batch.identifier[fill]), device)
    index = np.concatenate([index, np.full(rows - len(index), -1)])  # -1: an idle slot
    segment, agreed = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    before = np.zeros_like(inputs)
    carry = model.initial_carry(rows)
    was_training = model.training
    model.eval()
    try:
        while True:
            carry, logits, q = model(carry, tokens, identifier)
            likely, q = ToCpu(likeliest(logits), q).wait()
            answer = fill_in(likely.numpy(), inputs, task, loss_on)
            segment += 1
            agreed = np.where((segment > 1) & (answer == before).all(axis=1), agreed + 1, 1)
            before = answer
            used = np.flatnonzero(index >= 0)
            none = np.zeros(len(index), np.bool_)
            thoughts = Thoughts(index, segment, inputs, answer, q.numpy(), agreed, none).take(used)
            thoughts.done[:] = stopping.stops(thoughts) | (thoughts.segment >= stopping.budget)
            yield thoughts

            free = used[thoughts.done]
            if not len(free):
                continue
            index[free] = -1
            numbers, batch = queue.take(len(free))
            if batch is not None:
                new = free[: len(numbers)]
                index[new], segment[new] = numbers, 0
                inputs[new] = batch.inputs
                at = to_device(torch.from_numpy(new), device)
                tokens[at] = to_device(torch.from_numpy(batch.inputs), device).long()
                identifier[at] = to_device(torch.from_numpy(batch.identifier), device)
                carry = carry.replace_rows(_mask(at, len(index)), model.initial_carry(len(index)))
            if len(numbers) == len(free):
                continue
            used = np.flatnonzero(index >= 0)  # the queue is empty
            if not len(used):
                return
            kept = max(len(used), least)
            if kept < len(index):
                keep = np.concatenate([used, np.flatnonzero(index < 0)])[:kept]
                index, segment, agreed = index[keep], segment[keep], agreed[keep]
                inputs, before = inputs[keep], before[keep]
                at = to_device(torch.from_numpy(keep), device)
                tokens, identifier, carry = tokens[at], identifier[at], carry.select(at)
    finally:
        model.train(was_training)


def _mask(at: torch.Tensor, rows: int) -> torch.Tensor:
    mask = torch.zeros(rows, dtype=torch.bool, device=at.device)
    mask[at] = True
    return mask


def answers(
    model: RecurrentModel,
    task: PuzzleTask,
    puzzles: Iterable[PuzzleBatch],
    stopping: StoppingRule,
    batch_size: int = 256,
    loss_on: LossOn = "all",
) -> Iterator[Thoughts]:
    """What is handed in for each puzzle, in the order of the queue, some at a time.

    Those done early wait for those before them: at most (B - 1) * budget, since so many can be
    done while one takes the whole budget.
    """
    waiting: dict[int, Thoughts] = {}
    following = 0
    for thoughts in think(model, task, puzzles, stopping, batch_size, loss_on):
        for row in np.flatnonzero(thoughts.done):
            waiting[int(thoughts.index[row])] = thoughts.take(np.array([row]))
        ready = []
        while following in waiting:
            ready.append(waiting.pop(following))
            following += 1
        if ready:
            yield Thoughts.concatenate(ready)
