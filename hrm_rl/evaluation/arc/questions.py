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
from envs.puzzle import Tokens
from hrm_rl.evaluation.arc.roster import Form, Roster

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

    def painted(self, size: int, forms: Sequence[Form], blank: bool) -> PuzzleBatch:
        """The question in F forms on canvases of that size, each with its own identifier, or with the blank
        one."""
        inputs = np.stack([paint(form.apply(self.input), size) for _, form in forms])
        numbers = [0 if blank else identifier for identifier, _ in forms]
        none = np.full(len(forms), NO_LEVEL, np.int64)
        return PuzzleBatch(inputs, np.full_like(inputs, PAD), none, np.array(numbers, np.int64))


def questions_of(roster: Roster, puzzles: PuzzleBatch) -> tuple[list[ArcQuestion], NDArray[np.int64]]:
    """What puzzles ask, each question once however many of its forms there are, and the number of each
    puzzle's question (N,), or NOBODY."""
    known: dict[tuple[int, int, bytes], int] = {}
    questions: list[ArcQuestion] = []
    numbers = np.full(len(puzzles), NOBODY, np.int64)
    for row, identifier in enumerate(puzzles.identifier.tolist()):
        named, grid = roster.find(identifier), roster.task.grid(puzzles.inputs[row])
        if named is None or grid is None:
            continue
        place, form = named
        plain = form.undo(grid)
        key = (place, plain.shape[1], plain.tobytes())
        if key not in known:
            answer = roster.task.grid(puzzles.solution[row])
            known[key] = len(questions)
            questions.append(ArcQuestion(place, plain, None if answer is None else form.undo(answer)))
        numbers[row] = known[key]
    return questions, numbers


def as_answer(size: int, question: Tokens, form: Augmentation, grid: Grid) -> Tokens:
    """(L,) a grid, in the form in which questions are published, as an answer to a puzzle (L,) that is in
    another: in that form, where the puzzle's own grid begins."""
    shown = form.apply(grid)
    top, left = divmod(int(np.argmax(question >= FIRST_COLOUR)), size)
    if top + shown.shape[0] > size or left + shown.shape[1] > size:
        top = left = 0
    return paint(shown, size, top, left)
