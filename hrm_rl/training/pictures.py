"""Pictures of a run's evaluations, for TensorBoard: a few boards every time, and the cheap figures of the
report, which take a second or so to draw, too long for every evaluation of a short run."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch, View
from envs.task import PuzzleTask
from hrm_rl.agents.act.engine import answers_by_segment
from hrm_rl.agents.act.solver import Solver
from hrm_rl.config import Config

BOARDS = 4
"""Held-out puzzles whose boards are shown."""
PUZZLES = 128
"""Held-out puzzles that the figures are computed from, at most."""
SHARE, LAST_SHARE = 0.03, 0.1
"""Of the time since the last drawing that drawing may take, and where a run ends."""
FIRST_GUESS = 1.5
"""Seconds that drawing is taken to need before it was ever done."""


def board_grid(task: PuzzleTask, puzzles: PuzzleBatch, answers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The question and then the answers (K, N, L) after each segment, as one image (height, width, 3): a row
    for each puzzle."""
    rows = []
    for n in range(len(puzzles)):
        question, solution = puzzles.inputs[n], puzzles.solution[n]
        pictures = [task.render_rgb(View(question))]
        pictures += [task.render_rgb(View(question, answer[n], solution)) for answer in answers]
        rows.append(_joined([_framed(p) for p in pictures], axis=1))
    return _joined(rows, axis=0)


def _joined(images: Sequence[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    """Images below (axis 0) or beside (axis 1) one another, with white where one is smaller."""
    most = max(image.shape[1 - axis] for image in images)
    padded = []
    for image in images:
        missing = (0, most - image.shape[1 - axis])
        edges = ((0, 0), missing, (0, 0)) if axis == 0 else (missing, (0, 0), (0, 0))
        padded.append(np.pad(image, edges, constant_values=255))
    return np.concatenate(padded, axis=axis)


def _framed(picture: NDArray[np.uint8], margin: int = 6) -> NDArray[np.uint8]:
    return np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)


class Pictures:
    """Draws a run's evaluations."""

    def __init__(self) -> None:
        self.drawn_at = time.perf_counter()
        self.seconds = FIRST_GUESS

    def draw(
        self, solver: Solver, held_out: PuzzleBatch, config: Config, last: bool
    ) -> dict[str, NDArray[np.uint8]]:
        """Images (height, width, 3) by tag. last: the run ends here. Leaves the model in training mode."""
        images = {"eval/boards": self.boards(solver, held_out, config)}
        if not solver.task.next_token and self.due(last):
            images |= self.figures(solver, held_out, config)
        return images

    def boards(self, solver: Solver, held_out: PuzzleBatch, config: Config) -> NDArray[np.uint8]:
        """`board_grid` of some puzzles."""
        some = held_out.take(np.linspace(0, len(held_out) - 1, BOARDS).astype(int))
        answers = answers_by_segment(solver, some, config.halting.halt_max_steps)
        return board_grid(solver.task, some, answers)

    def due(self, last: bool) -> bool:
        """Whether enough time has passed since the figures were last drawn."""
        return self.seconds < (LAST_SHARE if last else SHARE) * (time.perf_counter() - self.drawn_at)

    def figures(self, solver: Solver, held_out: PuzzleBatch, config: Config) -> dict[str, NDArray[np.uint8]]:
        """Figures of how the model thinks, by tag."""
        from hrm_rl.analysis import halting_figures, state_figures
        from hrm_rl.analysis.study import conduct
        from hrm_rl.utils import plots

        began = time.perf_counter()
        some = held_out.take(np.unique(np.linspace(0, len(held_out) - 1, PUZZLES).astype(np.int64)))
        study = conduct("run", solver, config, some, config.halting.halt_max_steps, closely=False)
        draw = (
            halting_figures.accuracy,
            halting_figures.halting,
            halting_figures.calibration,
            halting_figures.regret,
            state_figures.convergence,
        )
        exhibits = [make([study]) for make in draw]
        images = {f"eval/figures/{e.name}": plots.pixels(e.figure) for e in exhibits if e.figure is not None}
        self.drawn_at = time.perf_counter()
        self.seconds = self.drawn_at - began
        return images
