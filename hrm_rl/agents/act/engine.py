"""Answering many puzzles with few slots: as soon as a puzzle is done, the next one of the queue takes its slot.

What is done is for a rule to say (`Stopping`), after every segment and for every puzzle apart. The engine (`think`)
takes puzzles from an iterator and hands thoughts to an iterator, so that its memory grows with the slots alone.

The same answers as alone: no slot sees another, so a puzzle's answers and Q-values depend on its own tokens only, but
for one thing. A matrix product may be rounded differently for another number of rows. On the CPU, with the oneMKL
that torch comes with, rows of products of at least 16 rows came out the same, bit for bit, whatever their number and
place (tests/agents/test_inference.py; sudoku9-curriculum, the TRM with an MLP, two small networks, one and two threads, were
tried), and only the q-head, which has one row a slot, ever has fewer. So the engine never runs fewer than 16 slots on
a CPU and fills up with idle ones. Elsewhere it keeps the full number to the end, so that all puzzles meet products of
one shape. A Q-value computed by other means, say in a batch of one, may differ in its last bits (by 1e-5), and a halt
that was a tie within that, too.

Legend: B slots, b of them in use, L tokens, N puzzles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.puzzle import Tokens
from envs.task import PuzzleTask
from hrm_rl.agents.act.answers import LossOn, fill_in, likeliest
from hrm_rl.agents.act.halting import wants_to_halt
from hrm_rl.models import RecurrentModel
from hrm_rl.utils.devices import ToCpu, to_device

Halting = Literal["adaptive", "fixed", "agree"]

LEAST_ROWS = 16
"""Fewest slots that are run on a CPU."""


@dataclass(frozen=True)
class Thoughts:
    """What came of one segment, a row for each slot in use."""

    index: NDArray[np.int64]
    """(b,) which puzzle: its place in the queue."""
    segment: NDArray[np.int64]
    """(b,) segments spent on it so far, this one included."""
    inputs: Tokens
    """(b, L) the puzzle."""
    answer: Tokens
    """(b, L) the answer as it stands."""
    q: NDArray[np.float32]
    """(b, 2) Q-values of halt and continue."""
    agreed: NDArray[np.int64]
    """(b,) segments in a row, up to this one, that gave this answer."""
    done: NDArray[np.bool_]
    """(b,) whether this answer is handed in."""

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Thoughts:
        return Thoughts(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def concatenate(parts: list[Thoughts]) -> Thoughts:
        return Thoughts(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Thoughts)))


class StoppingRule(Protocol):
    """Says when a puzzle has been thought about enough."""

    @property
    def budget(self) -> int:
        """The most segments a puzzle."""

    def stops(self, thoughts: Thoughts) -> NDArray[np.bool_]:
        """(b,) where to stop before the budget is spent; a function of each row alone. `done` is not yet known."""


@dataclass(frozen=True)
class Stopping:
    """The rules that come with this project. All are functions of numbers that a fixed run also gives, so one long
    fixed run tells what every rule would have cost and answered (hrm_rl/evaluation/tradeoff.py)."""

    budget: int
    """The most segments a puzzle, which may be more than in training."""
    halting: Halting = "adaptive"
    """`adaptive` stops where the model wants to halt, `agree` where `patience` answers in a row are the same, `fixed`
    only where the budget is spent."""
    q_target: str = "bootstrap"
    """How the Q-values were trained, which says when the model wants to halt (see `halting.wants_to_halt`)."""
    threshold: float = 0.0
    """With `adaptive`: how far q_halt has to be above q_continue; with q_target halt_only, above 0."""
    min_segments: int = 1
    """Segments before which nothing stops."""
    patience: int = 2
    """With `agree`: how many answers in a row have to be the same."""

    def stops(self, thoughts: Thoughts) -> NDArray[np.bool_]:
        """(b,) as in `StoppingRule`."""
        if self.halting == "fixed":
            return np.zeros(len(thoughts.segment), np.bool_)
        if self.halting == "agree":
            wants: NDArray[np.bool_] = thoughts.agreed >= self.patience
        else:
            wants = wants_to_halt(torch.from_numpy(thoughts.q), self.q_target, self.threshold).numpy()
        return wants & (thoughts.segment >= self.min_segments)


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

    At the end of the queue, slots that are done are left out (see the module's docstring for how many are kept).
    batch_size: slots.  loss_on: what the model was trained on (see `answer_of`).
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

    Those done early wait for those before them: at most (B - 1) * budget, since so many can be done while one takes
    the whole budget.
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
