"""The test grids that some puzzles ask about, whichever forms they stand in, and the forms that are asked.

Legend: N puzzles, L tokens, F forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs import NO_LEVEL, PAD, PuzzleBatch
from envs.arc.augmentation import Augmentation
from envs.arc.canvas import FIRST_COLOUR, Grid, paint
from envs.arc.task import ArcTask
from envs.puzzle import Tokens

NOBODY = -1
"""Instead of a question's number: a puzzle without an identity, of which no other form can be asked."""


@dataclass(frozen=True)
class ArcQuestion:
    """A test grid of an ARC puzzle, in the form in which it is published."""

    puzzle: int
    """The place of its puzzle in `ArcTask.puzzles`."""
    input: Grid
    output: Grid | None
    """None where it is not known."""

    def painted(self, task: ArcTask, forms: Sequence[Augmentation], blank: bool) -> PuzzleBatch:
        """The question in the first F forms of its puzzle, each with its own identifier, or with the blank
        one."""
        inputs = np.stack([paint(form.apply(self.input), task.size) for form in forms])
        numbers = [0 if blank else task.identifier_of(self.puzzle, form) for form in range(len(forms))]
        none = np.full(len(forms), NO_LEVEL, np.int64)
        return PuzzleBatch(inputs, np.full_like(inputs, PAD), none, np.array(numbers, np.int64))


def questions_of(task: ArcTask, puzzles: PuzzleBatch) -> tuple[list[ArcQuestion], NDArray[np.int64]]:
    """What puzzles ask, each question once however many of its forms there are, and the number of each
    puzzle's question (N,), or NOBODY."""
    places = {puzzle.name: place for place, puzzle in enumerate(task.puzzles)}
    known: dict[tuple[int, int, bytes], int] = {}
    questions: list[ArcQuestion] = []
    numbers = np.full(len(puzzles), NOBODY, np.int64)
    for row, identifier in enumerate(puzzles.identifier.tolist()):
        grid = task.grid(puzzles.inputs[row])
        if not identifier or grid is None:
            continue
        puzzle, form = task.puzzle_of(identifier)
        place, plain = places[puzzle.name], form.undo(grid)
        key = (place, plain.shape[1], plain.tobytes())
        if key not in known:
            answer = task.grid(puzzles.solution[row])
            known[key] = len(questions)
            questions.append(ArcQuestion(place, plain, None if answer is None else form.undo(answer)))
        numbers[row] = known[key]
    return questions, numbers


def as_answer(task: ArcTask, question: Tokens, identifier: int, grid: Grid) -> Tokens:
    """(L,) a grid, in the form in which questions are published, as an answer to the puzzle (L,) with this
    identifier: in that puzzle's form, where its own grid begins."""
    shown = task.puzzle_of(identifier)[1].apply(grid)
    top, left = divmod(int(np.argmax(question >= FIRST_COLOUR)), task.size)
    if top + shown.shape[0] > task.size or left + shown.shape[1] > task.size:
        top = left = 0
    return paint(shown, task.size, top, left)
