"""How well a model answers puzzles it has not seen, and how long it thinks about them.

Legend: N puzzles, L tokens, K segments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import PAD, PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl.answers import LossOn, answer_of
from hrm_rl.halting import wants_to_halt
from hrm_rl.models import RecurrentModel

Halting = Literal["adaptive", "fixed"]


@dataclass
class Evaluation:
    """One entry per puzzle, in the order given."""

    level: NDArray[np.int64]
    """(N,) index into the task's levels, or NO_LEVEL."""
    segments: NDArray[np.int64]
    """(N,) segments after which the model halts, or the budget."""
    exact: NDArray[np.bool_]
    """(N,) the answer equals the solution wherever that has a label."""
    solved: NDArray[np.bool_]
    """(N,) the answer is right by the task's rule."""
    cells: NDArray[np.int64]
    """(N,) labelled cells."""
    cells_right: NDArray[np.int64]
    """(N,) labelled cells answered right."""
    exact_after: NDArray[np.bool_]
    """(N, K) whether the answer held after each segment is exact. With adaptive halting the answer is kept
    from the segment that halted; with fixed halting the model thinks on."""
    answer: NDArray[np.uint8]
    """(N, L)"""
    measures: NDArray[np.float64]
    """(N, M) the task's measures of the answer, NaN where one does not apply."""

    @staticmethod
    def empty(puzzles: int, tokens: int, budget: int, measures: int = 0) -> Evaluation:
        return Evaluation(
            level=np.zeros(puzzles, np.int64),
            segments=np.zeros(puzzles, np.int64),
            exact=np.zeros(puzzles, np.bool_),
            solved=np.zeros(puzzles, np.bool_),
            cells=np.zeros(puzzles, np.int64),
            cells_right=np.zeros(puzzles, np.int64),
            exact_after=np.zeros((puzzles, budget), np.bool_),
            answer=np.zeros((puzzles, tokens), np.uint8),
            measures=np.full((puzzles, measures), np.nan),
        )

    def put(self, start: int, part: Evaluation) -> None:
        """Copy `part` to the puzzles from `start` on."""
        for field in fields(self):
            values = getattr(part, field.name)
            getattr(self, field.name)[start : start + len(values)] = values

    def sums(self, levels: int) -> NDArray[np.float64]:
        """(levels + 1, 6 + 2M + K) sums over the puzzles of each level, the last row for puzzles of no level:
        puzzles, exact, solved, cells, cells_right, segments, each measure where it applies, where each applies,
        exact_after. Sums of several workers add up."""
        columns = [
            np.ones(len(self.level)),
            self.exact,
            self.solved,
            self.cells,
            self.cells_right,
            self.segments,
        ]
        applies = ~np.isnan(self.measures)
        measured = np.where(applies, self.measures, 0.0)
        table = np.concatenate([np.stack(columns, axis=1), measured, applies, self.exact_after], axis=1)
        sums = np.zeros((levels + 1, table.shape[1]))
        np.add.at(sums, self.level, table)  # NO_LEVEL = -1 is the last row
        return sums


@dataclass(frozen=True)
class Summary:
    """Means over the puzzles of one level, or of all."""

    puzzles: int
    exact_accuracy: float
    solved: float
    cell_accuracy: float
    segments_mean: float
    accuracy_after_segment: list[float]
    """[k - 1]: exact accuracy of the answers held after k segments."""
    measures: dict[str, float]
    """The mean of each of the task's measures over the answers to which it applies, if there are any."""

    @staticmethod
    def of(sums: NDArray[np.float64], measures: tuple[str, ...]) -> Summary:
        """Of one row of `Evaluation.sums`, or of several rows added up, with at least one puzzle.
        measures: names of the task's measures."""
        puzzles, exact, solved, cells, cells_right, segments = map(float, sums[:6])
        measured, counts, after = np.split(sums[6:], [len(measures), 2 * len(measures)])
        return Summary(
            int(puzzles),
            exact / puzzles,
            solved / puzzles,
            cells_right / max(1.0, cells),
            segments / puzzles,
            [float(x) / puzzles for x in after],
            {
                name: float(total) / float(applies)
                for name, total, applies in zip(measures, measured, counts, strict=True)
                if applies
            },
        )


def summaries(sums: NDArray[np.float64], task: PuzzleTask) -> dict[str, Summary]:
    """`Evaluation.sums` as a summary of each level that occurs, in the task's order; `other` for puzzles that
    lie in none."""
    names = [*task.levels, "other"]
    return {name: Summary.of(row, task.measures) for name, row in zip(names, sums, strict=True) if row[0]}


@torch.no_grad()
def evaluate(
    model: RecurrentModel,
    task: PuzzleTask,
    puzzles: PuzzleBatch,
    budget: int,
    halting: Halting = "adaptive",
    think_on: bool = False,
    batch_size: int = 256,
    loss_on: LossOn = "all",
    q_target: str = "bootstrap",
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Answer all puzzles without exploration.

    budget: most segments a puzzle, which may be more than in training.
    halting: `adaptive` stops each puzzle where the model wants to halt; `fixed` spends the whole budget on each.
    think_on: with adaptive halting, go on after it for `exact_after` alone, which then is that of `fixed`.
    loss_on: what the model was trained on (see `answer_of`).
    q_target: how its Q-values were trained, which says when it wants to halt (see `halting.wants_to_halt`).
    progress: called with the number of puzzles done, after each batch.
    """
    device = next(model.parameters()).device
    result = Evaluation.empty(len(puzzles), puzzles.inputs.shape[1], budget, len(task.measures))
    model.eval()
    for start in range(0, len(puzzles), batch_size):
        batch = puzzles.take(slice(start, start + batch_size))
        result.put(
            start, _evaluate_batch(model, task, batch, budget, halting, think_on, loss_on, q_target, device)
        )
        progress(start + len(batch))
    model.train()
    return result


def _evaluate_batch(
    model: RecurrentModel,
    task: PuzzleTask,
    batch: PuzzleBatch,
    budget: int,
    halting: Halting,
    think_on: bool,
    loss_on: LossOn,
    q_target: str,
    device: torch.device,
) -> Evaluation:
    result = Evaluation.empty(len(batch), batch.inputs.shape[1], budget, len(task.measures))
    tokens = torch.from_numpy(batch.inputs).to(device).long()
    identifier = torch.from_numpy(batch.identifier).to(device)
    labelled = batch.solution != PAD
    carry = model.initial_carry(len(batch))
    held = np.zeros_like(batch.inputs)  # the answer each puzzle holds at present
    thinking = np.arange(len(batch))
    for segment in range(1, budget + 1):
        rows = torch.from_numpy(thinking).to(device)
        carry, logits, q = model(carry, tokens[rows], identifier[rows])
        held[thinking] = answer_of(logits, batch.inputs[thinking], task, loss_on)
        result.exact_after[:, segment - 1] = ((held == batch.solution) | ~labelled).all(-1)
        halts = _halts(q, segment, budget, halting, q_target)
        first = thinking[halts & (result.segments[thinking] == 0)]
        result.segments[first] = segment
        result.answer[first] = held[first]
        if halting == "adaptive" and not think_on and halts.any():
            thinking = thinking[~halts]
            carry = carry.select(torch.from_numpy(~halts).to(device))
            if not len(thinking):
                result.exact_after[:, segment:] = result.exact_after[:, segment - 1 : segment]
                break
    right = (result.answer == batch.solution) & labelled
    result.level = batch.level
    result.cells, result.cells_right = labelled.sum(-1), right.sum(-1)
    result.exact = (right == labelled).all(-1)
    result.solved = task.solved(batch.inputs, result.answer)
    result.measures = task.measure(batch.inputs, result.answer)
    return result


def _halts(q: Tensor, segment: int, budget: int, halting: Halting, q_target: str) -> NDArray[np.bool_]:
    """Which of the puzzles being thought about stop here."""
    if segment == budget:
        return np.ones(len(q), np.bool_)
    if halting == "fixed":
        return np.zeros(len(q), np.bool_)
    return wants_to_halt(q, q_target).cpu().numpy()


@torch.no_grad()
def answers_by_segment(
    model: RecurrentModel, task: PuzzleTask, puzzles: PuzzleBatch, budget: int, loss_on: LossOn = "all"
) -> NDArray[np.uint8]:
    """The answers (K, N, L) after each segment of a fixed budget, for pictures."""
    device = next(model.parameters()).device
    tokens = torch.from_numpy(puzzles.inputs).to(device).long()
    identifier = torch.from_numpy(puzzles.identifier).to(device)
    carry = model.initial_carry(len(puzzles))
    answers = []
    for _ in range(budget):
        carry, logits, _ = model(carry, tokens, identifier)
        answers.append(answer_of(logits, puzzles.inputs, task, loss_on))
    return np.stack(answers)
