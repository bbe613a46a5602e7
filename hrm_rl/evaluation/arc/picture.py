"""One task as a PNG: its demonstrations, then each test grid with both attempts and the right answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from envs.arc.canvas import Grid
from envs.arc.puzzles import ArcPuzzle
from envs.drawing.colours import COLOURS
from hrm_rl.evaluation.arc.asking import ATTEMPTS, ArcVotes
from hrm_rl.evaluation.arc.page import told
from hrm_rl.evaluation.arc.report import ArcReport
from hrm_rl.utils import plots
from hrm_rl.utils.files import write_atomically

PANEL = 1.9
"""Inches of a panel's sides."""
PALETTE = np.array(COLOURS, np.uint8)
VERDICTS = {True: plots.GREEN, False: plots.RED, None: "0.2"}
"""Colours of the words under an attempt that is right, wrong, or not judged."""


def write_pictures(
    folder: Path, report: ArcReport, progress: Callable[[int], None] = lambda done: None
) -> None:
    """NAME.png of each task, into a folder that is made if need be. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for done, (puzzle, votes) in enumerate(report.by_task(), 1):
        write_atomically(folder / f"{Path(puzzle.name).name}.png", plots.png(task_figure(puzzle, votes)))
        progress(done)


def task_figure(puzzle: ArcPuzzle, votes: Sequence[ArcVotes]) -> Figure:
    """The picture of a task and the votes on its test grids."""
    columns, rows = max(len(puzzle.train), 2 + ATTEMPTS), 2 + len(votes)
    figure, axes = plots.canvas(PANEL * columns, (PANEL + 0.25) * rows, rows, columns, squeeze=False)
    figure.suptitle(puzzle.name, x=0.01, ha="left", fontsize="medium")
    for axis in axes.flat:
        axis.set_axis_off()
    for number, pair in enumerate(puzzle.train):
        _draw(axes[0, number], pair.input, f"demonstration {number + 1}")
        _draw(axes[1, number], pair.output, "becomes")
    for number, one in enumerate(votes):
        line = axes[2 + number]
        _draw(line[0], one.question.input, f"test {number + 1}")
        for attempt in range(ATTEMPTS):
            candidate = one.attempts[attempt] if attempt < len(one.attempts) else None
            words, verdict = told(attempt + 1, candidate, one)
            grid = None if candidate is None else candidate.grid
            _draw(line[1 + attempt], grid, words, VERDICTS[verdict])
        answer = one.question.output
        words = "right answer" if answer is not None else "answer not known"
        _draw(line[1 + ATTEMPTS], answer, words)
    return figure


def _draw(axis: Axes, grid: Grid | None, words: str, colour: str = "0.2") -> None:
    axis.set_title(words, fontsize="x-small", color=colour)
    if grid is None:
        return
    rows, columns = grid.shape
    axis.set_axis_on()
    axis.imshow(PALETTE[grid], interpolation="nearest")
    axis.set_xticks(np.arange(1, columns) - 0.5)
    axis.set_yticks(np.arange(1, rows) - 0.5)
    axis.tick_params(length=0, labelleft=False, labelbottom=False)
    axis.grid(color="0.4", linewidth=0.5)
