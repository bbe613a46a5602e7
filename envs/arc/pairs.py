"""Which pairs of a data set may be trained on, which are held out, and how both are drawn.

The leak guard is here. The held-out side has the test grids of evaluation puzzles. The training side has all
demonstrations, those of evaluation puzzles too, and the test grids of training puzzles, but no pair that is a
held-out one in some symmetric form. ARC-AGI-1 has some of these, mostly demonstrations whose colours are
exchanged in the puzzle's own test grid; ARC-AGI-2 has none.

Legend: N canvases, L = size * size cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.arc.augmentation import Augmentation
from envs.arc.canvas import FIRST_COLOUR, paint
from envs.arc.kernels import boxes_all, canonical_all
from envs.arc.puzzles import EVALUATION, ArcPair, ArcPuzzle
from envs.arc.rules import RULES
from envs.errors import DataError
from envs.puzzle import PAD, Tokens, fingerprint


@dataclass(frozen=True)
class Example:
    """One pair and whose it is."""

    puzzle: int
    """The number of its puzzle."""
    pair: ArcPair
    test: bool
    """Whether it is a test grid of the puzzle, or a demonstration."""


def boxes(inputs: Tokens, size: int) -> NDArray[np.int64]:
    """(N, 4) top, left, rows and columns of the coloured cells of each canvas (N, L)."""
    found = np.empty((len(inputs), 4), np.int64)
    boxes_all(np.ascontiguousarray(inputs), size, found)
    return found


def moved(inputs: Tokens, size: int) -> Tokens:
    """(N, L) the grid of each canvas (N, L) at the top left, without end marks."""
    out = np.zeros_like(inputs)
    canvases, moved = inputs.reshape(-1, size, size), out.reshape(-1, size, size)
    for n, (top, left, rows, columns) in enumerate(boxes(inputs, size).tolist()):
        moved[n, :rows, :columns] = canvases[n, top : top + rows, left : left + columns]
    return out


def forms_of(inputs: Tokens, outputs: Tokens, size: int) -> NDArray[np.uint64]:
    """(N,) keys, equal for pairs (N, L) of grids that are symmetric forms of each other: both mirrored or
    turned alike, or both with the same other colours in place of all but black. Where they lie does not
    matter."""
    smallest = np.zeros((len(inputs), 2 * inputs.shape[1]), np.uint8)
    ins, outs = np.ascontiguousarray(inputs), np.ascontiguousarray(outputs)
    canonical_all(ins, outs, size, boxes(ins, size), boxes(outs, size), smallest)
    return fingerprint(smallest)


def sides(puzzles: Sequence[ArcPuzzle], size: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The examples to train on and those held out, of puzzles whose grids fit a canvas of `size`."""
    train: list[Example] = []
    held_out: list[Example] = []
    for index, puzzle in enumerate(puzzles):
        train += [Example(index, pair, False) for pair in puzzle.train if fits(pair, size)]
        for pair in puzzle.test:
            if fits(pair, size) and pair.output is not None:
                side = held_out if puzzle.subset == EVALUATION else train
                side.append(Example(index, pair, True))
    leaks = np.isin(keys(train, size), keys(held_out, size)).tolist()
    kept = (example for example, leak in zip(train, leaks, strict=True) if not leak)
    return tuple(kept), tuple(held_out)


def keys(examples: Sequence[Example], size: int) -> NDArray[np.uint64]:
    """(N,) `forms_of` examples."""
    canvases = [painted(example.pair, size) for example in examples]
    sides = np.reshape(canvases, (-1, 2, size * size)).astype(np.uint8)
    return forms_of(sides[:, 0], sides[:, 1], size)


def fits(pair: ArcPair, size: int) -> bool:
    """Whether both grids fit a canvas of `size`."""
    return max(pair.input.shape + (() if pair.output is None else pair.output.shape)) <= size


def remarks(puzzles: Sequence[ArcPuzzle], train: Sequence[Example], size: int) -> tuple[str, ...]:
    """What a run should say of its training side."""
    asked = [puzzle for puzzle in puzzles if puzzle.subset == EVALUATION]
    grids = sum(pair.output is not None for puzzle in asked for pair in puzzle.test)
    possible = [pair for puzzle in puzzles for pair in puzzle.train]
    possible += [pair for puzzle in puzzles if puzzle.subset != EVALUATION for pair in puzzle.test]
    left_out = sum(fits(pair, size) and pair.output is not None for pair in possible) - len(train)
    if not asked:
        return ()
    return (
        f"the demonstrations of the {len(asked):,} evaluation puzzles are trained on, as published systems "
        f"do; their {grids:,} test grids are not, nor are {left_out:,} pairs that equal one in some form",
    )


def refuse_no_grid(tokens: Tokens, size: int) -> None:
    """Raise DataError unless there is one grid, a rectangle of coloured cells, on a canvas (L,)."""
    coloured = tokens >= FIRST_COLOUR
    if not coloured.any():
        raise DataError("the canvas holds no grid: no cell has a colour")
    top, left, rows, columns = boxes(tokens[None], size)[0].tolist()
    inside = np.zeros((size, size), np.bool_)
    inside[top : top + rows, left : left + columns] = True
    for cell in np.flatnonzero(inside.reshape(-1) & ~coloured)[:1].tolist():
        raise DataError(
            f"row {cell // size + 1}, column {cell % size + 1} has no colour, but lies within the grid of "
            f"{rows} x {columns} cells: a grid is a rectangle without holes",
            cell,
        )


def in_form(pair: ArcPair, form: Augmentation) -> ArcPair:
    """Both grids of a pair in a form."""
    return ArcPair(form.apply(pair.input), None if pair.output is None else form.apply(pair.output))


def painted(pair: ArcPair, size: int, rng: np.random.Generator | None = None) -> tuple[Tokens, Tokens]:
    """The canvases (L,) of a pair; the second is PAD throughout where the output is not public. rng: puts
    both at the same place, at random; without it they lie at the top left."""
    top, left = 0, 0
    if rng is not None:
        shapes = pair.input.shape if pair.output is None else np.maximum(pair.input.shape, pair.output.shape)
        top, left = rng.integers(size - np.asarray(shapes) + 1).tolist()
    none = np.full(size * size, PAD, np.uint8)
    return (
        paint(pair.input, size, top, left),
        none if pair.output is None else paint(pair.output, size, top, left),
    )


class Drawer:
    """Draws the training pairs of a data set: a puzzle, then one of its pairs, as the field's loader does."""

    def __init__(self, train: Sequence[Example], levels: NDArray[np.int64]) -> None:
        """levels: of each example of `train`."""
        self._of: dict[int, dict[int, list[ArcPair]]] = {}
        for example, level in zip(train, levels.tolist(), strict=True):
            self._of.setdefault(level, {}).setdefault(example.puzzle, []).append(example.pair)

    def draw(self, level: int, rng: np.random.Generator) -> tuple[int, ArcPair] | None:
        """A puzzle's number and one of its pairs, or None where no pair is of that level."""
        by_puzzle = self._of.get(level)
        if by_puzzle is None:
            return None
        puzzle = list(by_puzzle)[rng.integers(len(by_puzzle))]
        pairs = by_puzzle[puzzle]
        return puzzle, pairs[rng.integers(len(pairs))]


class RuleDrawer:
    """Draws new pairs of RULES, whose numbers are those of the puzzles."""

    def __init__(self, bounds: Sequence[tuple[int, int]]) -> None:
        """bounds: the least and the largest number of rows or columns of each level."""
        self._bounds = bounds

    def draw(self, level: int, rng: np.random.Generator) -> tuple[int, ArcPair] | None:
        """The number of a rule and a new pair of it, or None where no rule has inputs of that level."""
        least, most = self._bounds[level]
        able = [n for n, rule in enumerate(RULES) if rule.smallest <= most and rule.largest >= least]
        if not able:
            return None
        number = able[rng.integers(len(able))]
        grid = RULES[number].draw(rng, least, most)
        return number, ArcPair(grid, np.ascontiguousarray(RULES[number].answer(grid)))
