"""Difficulty of a maze: its size and the length of its shortest path.

Lengths count the cells of the path with both ends. By default a task has one size n and four levels:

| level     | cells of the path           | n = 5  | n = 10 | n = 20 | n = 30 |
|-----------|-----------------------------|--------|--------|--------|--------|
| very-easy | 3 to below n/2              | 3      | 3-4    | 3-9    | 3-14   |
| easy      | n/2 to below n              | 4      | 5-9    | 10-19  | 15-29  |
| medium    | n to below 3.8n - 4         | 5-14   | 10-33  | 20-71  | 30-109 |
| hard      | 3.8n - 4 (rounded down) up  | 15-    | 34-    | 72-    | 110-   |

3.8n - 4 gives the 110 cells of Maze-Hard for n = 30 and is as rare for all sizes: 1 to 4 in 100,000 random
mazes reach it, measured for n = 5, 10, 20, 30, 40 and 64. Very-easy has at least the length 3, and easy
begins behind it, which matters for n below 7.

A curriculum names levels of its own, as a string such as "s6=6:3-,s10=10:10-36,hard=30:110-".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.puzzle import NO_LEVEL

SMALLEST, LARGEST = 5, 64
"""The smallest and the largest maze, in rows and columns."""

FORM = "NAME=SIZE:FEWEST-MOST, several with commas between, such as s6=6:3-,s10=10:10-36,hard=30:110-"

_LEVEL = re.compile(r"([A-Za-z][\w.-]*)=(\d{1,3})(?:x(\d{1,3}))?:(\d{1,5})-(\d{1,5})?")


class Level(NamedTuple):
    """Mazes of one size with paths of some lengths."""

    name: str
    size: int
    """Rows and columns."""
    fewest: int
    most: int
    """Cells of the shortest path, both ends counted, both bounds included."""


def longest_path(size: int) -> int:
    """No shortest path in a maze with 30 % of walls has more cells: there are no more free cells."""
    return size * size - (3 * size * size + 9) // 10


def default_levels(size: int) -> tuple[Level, ...]:
    """The levels of the table above for mazes of size x size cells."""
    easy = max(4, -(-size // 2))
    hard = 19 * size // 5 - 4
    bounds = (3, easy, size, hard, longest_path(size) + 1)
    names = ("very-easy", "easy", "medium", "hard")
    return tuple(Level(name, size, bounds[i], bounds[i + 1] - 1) for i, name in enumerate(names))


def parse_levels(text: str, canvas: int) -> tuple[Level, ...]:
    """The levels that a string names, for a canvas of canvas x canvas cells. Raises UserError."""
    levels: list[Level] = []
    for part in text.split(","):
        match = _LEVEL.fullmatch(part.strip())
        if match is None:
            raise UserError(f"{part.strip()!r} in levels is no level of a maze; the form is {FORM}")
        name, size, columns, fewest, most = match.groups()
        longest = longest_path(int(size))
        level = Level(name, int(size), int(fewest), longest if most is None else min(int(most), longest))
        if columns is not None and int(columns) != level.size:
            wrong = f"is {size}x{columns}; mazes are square"
        elif not SMALLEST <= level.size <= canvas:
            wrong = f"has size {size}; it must be {SMALLEST} to {canvas}, the size of the task"
        elif level.fewest < 2 or (most is not None and int(most) < level.fewest):
            wrong = f"has paths of {fewest}-{most or ''} cells; that must be a range from 2 on"
        elif level.fewest > longest:
            wrong = f"has paths of {fewest} cells or more; a maze of {size}x{size} has {longest} at most"
        elif name in [other.name for other in levels]:
            wrong = "is there twice"
        else:
            levels.append(level)
            continue
        raise UserError(f"level {name} {wrong}; the form of levels is {FORM}")
    return tuple(levels)


def level_of(
    levels: Sequence[Level], extents: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(N,) the first level that fits each maze, as an index into `levels`, or NO_LEVEL; extents: (N, 2) rows
    and columns of the mazes; lengths: (N,) cells of their shortest paths."""
    result = np.full(len(lengths), NO_LEVEL, np.int64)
    for index, level in reversed(list(enumerate(levels))):
        fits = (extents == level.size).all(axis=1) & (lengths >= level.fewest) & (lengths <= level.most)
        result[fits] = index
    return result
