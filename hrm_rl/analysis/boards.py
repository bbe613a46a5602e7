"""One puzzle being solved, as a picture and an animation: the board after each segment, with the Q-values.

Views are pasted pixel by pixel, as the task draws them; only words and curves go through matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from envs import PAD, PuzzleBatch, View
from envs.puzzle import Tokens
from envs.task import PuzzleTask
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Thoughts
from hrm_rl.utils import plots
from hrm_rl.utils.files import write_atomically

BOARD_PIXELS = 280
"""Width that small boards are enlarged to, by a whole factor."""
COLUMNS = 4
"""Views side by side in a picture."""
SECONDS, LAST_SECONDS = 0.9, 3.0
"""How long an animation shows a segment, and the last one."""
COLOURS = 64
"""Of an animation."""
MARKS = {"halts": "0.2", "hands in": "0.2", "starts over": plots.RED}
"""Colours of what charts mark with a line."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One segment of one puzzle."""

    number: int
    answer: Tokens
    """(L,)"""
    before: Tokens | None
    """(L,) the answer of the segment before."""
    q_halt: float
    q_continue: float | None
    """None where the model was not taught it (`halt_only`)."""
    halts: bool
    """The model wants to stop here, for the first time."""
    spent: bool
    """The last segment of the budget."""
    thinks_on: bool
    """It had stopped before, and continues because it is told to."""
    solved: bool | None
    """None where only a label could tell, and there is none."""
    wrong: int | None
    """Cells that differ from the solution; None where the solution is not known."""
    assumed: NDArray[np.bool_] | None = None
    """(L,) the cells that a search agent has assumed."""
    chain: int = 0
    """Which of a search's chains side by side."""

    @property
    def place(self) -> str:
        return f"segment {self.number}"

    @property
    def mark(self) -> str | None:
        """What a chart marks here."""
        return "halts" if self.halts else None

    @property
    def decision(self) -> str:
        if self.halts:
            return "halts"
        if self.thinks_on:
            return "thinks on after halting"
        return "budget spent" if self.spent else "continues"

    @property
    def change(self) -> str:
        """Cells whose answer has changed."""
        if self.before is None:
            return "first answer"
        return cells(int((self.answer != self.before).sum())) + " changed"

    @property
    def verdict(self) -> str:
        if self.solved:
            return "right"
        if self.solved is None:
            return "answered"
        return "wrong" if self.wrong is None else f"wrong: {cells(self.wrong)}"

    @property
    def values(self) -> str:
        """The Q-values, as logits."""
        halt = f"q_halt {self.q_halt:+.2f}"
        return halt if self.q_continue is None else f"{halt}, q_continue {self.q_continue:+.2f}"


def cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count or 'no'} cells"


def steps_of(seen: list[Thoughts], solver: Solver, puzzle: PuzzleBatch) -> list[Step]:
    """The segments of one puzzle, a batch of its own."""
    steps: list[Step] = []
    labelled, told = puzzle.solution[0] != PAD, solver.task.decidable(puzzle.solution)[0]
    for thoughts in seen:
        answer, (q_halt, q_continue) = thoughts.answer[0], thoughts.q[0].tolist()
        stopped = any(step.halts for step in steps)
        steps.append(
            Step(
                number=int(thoughts.segment[0]),
                answer=answer,
                before=steps[-1].answer if steps else None,
                q_halt=q_halt,
                q_continue=q_continue if solver.q_target.learns_continue else None,
                halts=bool(solver.wants_to_halt(thoughts.q)[0]) and not stopped,
                spent=thoughts is seen[-1],
                thinks_on=stopped,
                solved=bool(solver.task.right(puzzle.inputs, answer[None], puzzle.solution)[0])
                if told
                else None,
                wrong=int(((answer != puzzle.solution[0]) & labelled).sum()) if labelled.any() else None,
            )
        )
    return steps


def view_of(puzzle: PuzzleBatch, step: Step | None) -> View:
    """The question, or a step with its changes."""
    if step is None:
        return View(puzzle.inputs[0])
    solution = puzzle.solution[0] if step.wrong is not None else None
    return View(puzzle.inputs[0], step.answer, solution, step.before, step.assumed)


def all_pixels(task: PuzzleTask, puzzle: PuzzleBatch, steps: Sequence[Step]) -> list[NDArray[np.uint8]]:
    """The question and the board after each segment, enlarged alike and made one size: a grid of colours may
    be answered with a larger one."""
    boards = [task.render_rgb(view_of(puzzle, step)) for step in (None, *steps)]
    factor = max(1, round(BOARD_PIXELS / max(board.shape[1] for board in boards)))
    rows, columns = (factor * max(board.shape[axis] for board in boards) for axis in (0, 1))
    large = [board.repeat(factor, axis=0).repeat(factor, axis=1) for board in boards]
    return [_fitted(board, max(columns, BOARD_PIXELS // 2), rows) for board in large]


def draw_q_values(axis: Axes, steps: Sequence[Step], budget: int) -> None:
    """The Q-values by segment, as probabilities, and where the model halts or starts over."""
    learned = all(step.q_continue is not None for step in steps)
    for chain in sorted({step.chain for step in steps} | {0}):
        own = [step for step in steps if step.chain == chain]
        numbers = [step.number for step in own]
        halt, go_on = (None, None) if chain else ("halt", "continue")  # the legend names them once
        axis.plot(numbers, [_sigmoid(s.q_halt) for s in own], **plots.line_of(0), label=halt)
        if learned:
            values = [_sigmoid(s.q_continue or 0.0) for s in own]
            axis.plot(numbers, values, **plots.line_of(1), label=go_on)
    if not learned:
        axis.axhline(0.5, color=plots.GREY, linewidth=0.8, linestyle=":", label="halts above")
    named: set[str] = set()
    for step in steps:
        if step.mark is not None:
            colour, label = MARKS[step.mark], None if step.mark in named else step.mark
            axis.axvline(step.number, color=colour, linewidth=1, linestyle="--", label=label)
            named.add(step.mark)
    axis.set_xlim(0.5, budget + 0.5)
    axis.set_ylim(-0.03, 1.03)
    plots.whole_numbers(axis, budget)
    plots.tidy(axis, "segment", "Q (probability)")
    figure = axis.get_figure()
    assert isinstance(figure, Figure)
    figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize="small")


def write_png(path: Path, task: PuzzleTask, puzzle: PuzzleBatch, steps: Sequence[Step]) -> None:
    """The question and the board after each segment, in rows, and the Q-values below."""
    panels = []
    for step, board in zip((None, *steps), all_pixels(task, puzzle, steps), strict=True):
        panels.append(np.concatenate([_words(_caption(step), board.shape[1], 52), board]))
    columns = min(COLUMNS, len(panels))
    panels += [np.full_like(panels[0], 255)] * (-len(panels) % columns)
    rows = [
        np.concatenate([_framed(p) for p in panels[i : i + columns]], axis=1)
        for i in range(0, len(panels), columns)
    ]
    width = rows[0].shape[1]
    figure, axis = plots.canvas(width / plots.DPI, 2.3)
    draw_q_values(axis, steps, steps[-1].number)
    chart = _fitted(plots.pixels(figure), width)
    _save(path, Image.fromarray(np.concatenate([*rows, chart])), format="PNG", optimize=True)


def write_gif(path: Path, task: PuzzleTask, puzzle: PuzzleBatch, steps: Sequence[Step]) -> None:
    """One frame for the question and one for each segment."""
    frames = []
    for count, pixels in enumerate(all_pixels(task, puzzle, steps)):
        step, board = steps[count - 1] if count else None, _framed(pixels)
        height = max(len(board), 300)
        figure, axis = plots.canvas(3.9, height / plots.DPI)
        figure.suptitle("\n".join(_caption(step)), fontsize=9.5, x=0.03, ha="left", linespacing=1.4)
        draw_q_values(axis, steps[:count], steps[-1].number)
        chart = plots.pixels(figure)
        rows = max(len(board), len(chart))
        frames.append(np.concatenate([_fitted(board, rows=rows), _fitted(chart, rows=rows)], axis=1))
    palette = Image.fromarray(np.concatenate(frames)).quantize(COLOURS, dither=Image.Dither.NONE)
    images = [Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    milliseconds = [int(1000 * SECONDS)] * (len(frames) - 1) + [int(1000 * LAST_SECONDS)]
    _save(
        path, images[0], format="GIF", save_all=True, append_images=images[1:], duration=milliseconds, loop=0
    )


def _caption(step: Step | None) -> list[str]:
    if step is None:
        return ["question", "", ""]
    told = {True: "right", None: "answered"}.get(step.solved)
    verdict = told or ("wrong" if step.wrong is None else f"{cells(step.wrong)} wrong")
    return [f"{step.place}: {step.decision}", step.values, f"{step.change}, {verdict}"]


def _words(lines: list[str], width: int, height: int) -> NDArray[np.uint8]:
    """Lines of text, the first of them bold, as an image."""
    figure = Figure(figsize=(width / plots.DPI, height / plots.DPI))
    for i, line in enumerate(lines):
        figure.text(
            0.01, 0.97 - i / len(lines), line, va="top", fontsize=8, weight="bold" if i == 0 else "normal"
        )
    return _fitted(plots.pixels(figure), width, height)


def _framed(board: NDArray[np.uint8], margin: int = 8) -> NDArray[np.uint8]:
    return np.pad(board, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)


def _fitted(
    image: NDArray[np.uint8], columns: int | None = None, rows: int | None = None
) -> NDArray[np.uint8]:
    """The image with white added at the bottom and on the right, or cut there, to the size asked for."""
    rows, columns = rows or image.shape[0], columns or image.shape[1]
    out = np.full((rows, columns, 3), 255, np.uint8)
    part = image[:rows, :columns]
    out[: part.shape[0], : part.shape[1]] = part
    return out


def _save(path: Path, image: Image.Image, **how: Any) -> None:
    content = io.BytesIO()
    image.save(content, **how)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
