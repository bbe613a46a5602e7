"""Which pairs of a data set may be trained on, which are held out, and how both are drawn.

The leak guard is here. The held-out side has the test grids of evaluation puzzles. The training side has all
demonstrations, those of evaluation puzzles too, and the test grids of training puzzles; but no pair of another
puzzle that is a held-out one in some symmetric form, and nothing is drawn from it whose input is that of a
held-out test grid as it stands.

Legend: N canvases, L = size * size cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.arc.canvas import Grid, paint
from envs.arc.kernels import boxes_all, canonical_all
from envs.arc.puzzles import EVALUATION, ArcPair, ArcPuzzle
from envs.arc.rules import RULES
from envs.puzzle import Tokens, fingerprint


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


def keys(grids: Sequence[Grid], size: int) -> NDArray[np.uint64]:
    """(N,) what the symmetric forms of a grid share, and no others: mirrored, turned, or with other colours in
    place of all but black."""
    if not grids:
        return np.zeros(0, np.uint64)
    canvases = np.stack([paint(grid, size) for grid in grids])
    smallest = np.zeros_like(canvases)
    canonical_all(canvases, size, boxes(canvases, size), smallest)
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
    secrets = {
        (key, example.puzzle) for key, example in zip(_pair_keys(held_out, size), held_out, strict=True)
    }
    known = {key for key, _ in secrets}
    return tuple(
        example
        for key, example in zip(_pair_keys(train, size), train, strict=True)
        if key not in known or (not example.test and (key, example.puzzle) in secrets)
    ), tuple(held_out)


def _pair_keys(examples: Sequence[Example], size: int) -> list[tuple[int, int]]:
    """What examples share whose inputs are forms of each other, and whose outputs are."""
    inputs = keys([example.pair.input for example in examples], size)
    outputs = keys([example.pair.output for example in examples if example.pair.output is not None], size)
    return list(zip(inputs.tolist(), outputs.tolist(), strict=True))


def fits(pair: ArcPair, size: int) -> bool:
    """Whether both grids fit a canvas of `size`."""
    return max(pair.input.shape + (() if pair.output is None else pair.output.shape)) <= size


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
