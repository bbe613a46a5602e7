"""Twelve rules of ARC-AGI-1, and generators of grids for each, after the idea of re-arc.

Each is named as the public task it is the rule of, which it agrees with on every public pair. The grids that
are made resemble that task's, in more sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from envs.arc.canvas import Grid

Rng = np.random.Generator

BLACK, BLUE, RED, GREY, AZURE = 0, 1, 2, 5, 8
"""Colours that rules are about, by their public numbers."""
PAIRED = np.array([0, 5, 6, 4, 3, 1, 2, 7, 9, 8], np.uint8)
"""What each colour becomes under 0d3d703e."""


@dataclass(frozen=True)
class Rule:
    """One rule and its generator."""

    name: str
    """Of the task in ARC-AGI-1."""
    title: str
    """In words."""
    answer: Callable[[Grid], Grid]
    """The output that belongs to an input."""
    make: Callable[[Rng, int, int], Grid]
    """A new input of that many rows and columns."""
    smallest: int
    largest: int
    """Rows and columns that inputs may have."""
    square: bool = False
    """Whether inputs have as many rows as columns."""

    def draw(self, rng: Rng, smallest: int, largest: int) -> Grid:
        """A new input whose longer side has `smallest` to `largest` cells, as far as the rule has such."""
        side = int(rng.integers(max(smallest, self.smallest), min(largest, self.largest) + 1))
        other = side if self.square else int(rng.integers(max(self.smallest, side - 2), side + 1))
        rows, columns = (side, other) if rng.random() < 0.5 else (other, side)
        return self.make(rng, rows, columns)


def _colours(rng: Rng, count: int, among: int = 10) -> Grid:
    """Different colours, none black."""
    return (1 + rng.permutation(among - 1)[:count]).astype(np.uint8)


def _dense(rng: Rng, rows: int, columns: int) -> Grid:
    """Every cell in one of two to five colours."""
    return rng.choice(_colours(rng, int(rng.integers(2, 6))), (rows, columns))


def _sparse(rng: Rng, rows: int, columns: int, chance: float = 0.35) -> Grid:
    """Some cells in one of one to five colours on black, at least one."""
    grid = rng.choice(_colours(rng, int(rng.integers(1, 6))), (rows, columns))
    kept = rng.random((rows, columns)) < chance
    kept[rng.integers(rows), rng.integers(columns)] = True
    return np.where(kept, grid, np.uint8(BLACK))


def _with_both(rng: Rng, rows: int, columns: int) -> Grid:
    """A dense grid in which grey and azure occur more often than others."""
    palette = np.concatenate([[GREY, AZURE], _colours(rng, int(rng.integers(1, 4)))]).astype(np.uint8)
    return rng.choice(palette, (rows, columns))


def _one_colour(rng: Rng, rows: int, columns: int) -> Grid:
    """Cells of one colour on black, at least one, not all."""
    count = int(rng.integers(1, min(rows * columns, 6)))
    grid = np.zeros(rows * columns, np.uint8)
    grid[rng.permutation(len(grid))[:count]] = _colours(rng, 1)[0]
    return grid.reshape(rows, columns)


def _dots(rng: Rng, rows: int, columns: int) -> Grid:
    """Grey dots on black, their surroundings apart from each other."""
    grid = np.zeros((rows, columns), np.uint8)
    for place in rng.permutation(rows * columns)[: max(1, rows * columns // 9)]:
        row, column = divmod(int(place), columns)
        near = grid[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        if not near.any():
            grid[row, column] = GREY
    return grid


def _loops(rng: Rng, rows: int, columns: int) -> Grid:
    """One to three red frames on black, some with a gap or with red cells inside."""
    grid = np.zeros((rows, columns), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        height, width = rng.integers(3, min(rows, 7) + 1), rng.integers(3, min(columns, 7) + 1)
        top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
        around = grid[max(0, top - 1) : top + height + 1, max(0, left - 1) : left + width + 1]
        if around.any():
            continue
        frame = grid[top : top + height, left : left + width]
        frame[:] = RED
        frame[1:-1, 1:-1] = np.where(rng.random((height - 2, width - 2)) < 0.15, RED, BLACK)
        if rng.random() < 0.25:
            frame[0, rng.integers(1, width - 1)] = BLACK
    return grid


def _fallen(grid: Grid) -> Grid:
    out = np.zeros_like(grid)
    for column in range(grid.shape[1]):
        cells = grid[grid[:, column] != BLACK, column]
        out[len(grid) - len(cells) :, column] = cells
    return out


def _dripped(grid: Grid) -> Grid:
    out = grid.copy()
    for row in range(1, len(out)):
        out[row] = np.where(out[row] == BLACK, out[row - 1], out[row])
    return out


def _outlined(grid: Grid) -> Grid:
    dots = np.pad(grid == GREY, 1)
    rows, columns = grid.shape
    near = np.zeros(grid.shape, np.bool_)
    for row in range(3):
        for column in range(3):
            near |= dots[row : row + rows, column : column + columns]
    return np.where(near & (grid != GREY), np.uint8(BLUE), grid)


def _filled(grid: Grid) -> Grid:
    """Black cells that no walk over black cells leads out of become blue."""
    outside = np.pad(np.zeros(grid.shape, np.bool_), 1, constant_values=True)
    free = np.pad(grid == BLACK, 1, constant_values=True)
    while True:
        grown = outside.copy()
        grown[1:] |= outside[:-1]
        grown[:-1] |= outside[1:]
        grown[:, 1:] |= outside[:, :-1]
        grown[:, :-1] |= outside[:, 1:]
        grown &= free
        if (grown == outside).all():
            break
        outside = grown
    return np.where((grid == BLACK) & ~outside[1:-1, 1:-1], np.uint8(BLUE), grid)


def _swapped(grid: Grid) -> Grid:
    return np.select([grid == GREY, grid == AZURE], [np.uint8(AZURE), np.uint8(GREY)], grid)


def _counted(grid: Grid) -> Grid:
    return np.array([grid[grid != BLACK]], np.uint8)


def _doubled(grid: Grid) -> Grid:
    return grid.repeat(2, axis=0).repeat(2, axis=1)


def _lowered(grid: Grid) -> Grid:
    return np.concatenate([np.zeros_like(grid[:1]), grid[:-1]])


RULES = (
    Rule("67a3c6ac", "mirror left to right", lambda grid: grid[:, ::-1], _dense, 3, 5),
    Rule("74dd1130", "exchange rows and columns", lambda grid: grid.T, _dense, 3, 4),
    Rule("3c9b0459", "turn upside down", lambda grid: grid[::-1, ::-1], _dense, 3, 4),
    Rule("d511f180", "swap grey and azure", _swapped, _with_both, 3, 6),
    Rule("0d3d703e", "recolour, each colour to its partner", lambda grid: PAIRED[grid], _dense, 3, 6),
    Rule("1e0a9b12", "let all cells fall", _fallen, _sparse, 4, 6),
    Rule("d037b0a7", "let colours drip down", _dripped, _sparse, 3, 6),
    Rule("25ff71a9", "move down by one", _lowered, _sparse, 3, 6),
    Rule("d631b094", "a row as long as there are cells", _counted, _one_colour, 3, 4),
    Rule("c59eb873", "make every cell two by two", _doubled, _sparse, 2, 5),
    Rule("4258a5f9", "outline each dot", _outlined, _dots, 5, 10),
    Rule("a5313dff", "fill what is enclosed", _filled, _loops, 5, 10),
)  # fmt: skip
BY_NAME = {rule.name: rule for rule in RULES}
