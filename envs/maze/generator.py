"""Makes random mazes as those of Maze-Hard were made, and tells which are too rare to be made on the fly.

The number of walls is uniform in 30 to 50 % of the n*n cells, the walls are uniform among the cells, S and G
uniform among the free cells; a maze is kept if the length of its shortest path is in the wanted range. Mazes
made so cannot be told from those of Maze-Hard by path length or share of walls (a test compares them).

Legend: N mazes, n = level.size.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.maze.levels import Level
from envs.maze.sampling import draw_all
from envs.puzzle import Tokens

MOST_TRIES = 20_000_000
"""Random mazes drawn for one maze before a level is refused (half a minute for 30x30)."""

CHUNK = 20_000
"""Random mazes drawn in one call of compiled code, which Ctrl-C has to wait for (0.03 s for 30x30)."""

_SAMPLE, _RARE = 20_000, 20


@cache
def is_rare(level: Level) -> bool:
    """Whether mazes of a level are to be made once and kept: fewer than 20 of a fixed sample of 20,000 random
    mazes are of that level. (One in 1,000 for 30x30 means some 600 mazes a second on one core.)"""
    seeds = np.random.default_rng(0).integers(0, 2**64, size=_RARE, dtype=np.uint64)
    tries = np.zeros(_RARE, np.int64)
    mazes = np.empty((_RARE, level.size**2), np.uint8)
    return advance(level, seeds, tries, mazes, _SAMPLE) < _RARE


def advance(
    level: Level, seeds: NDArray[np.uint64], tries: NDArray[np.int64], mazes: Tokens, budget: int
) -> int:
    """Continue making N mazes, each from its own random state, in at most `budget` tries; returns how many
    are ready, which are the first ones.

    seeds: (N,) random states.  tries: (N,) what each maze has taken so far, at first 0.  mazes: (N, n*n).
    All three are changed. A maze is a function of its first state alone, whatever the budgets. Raises
    UserError where one maze takes more than MOST_TRIES.
    """
    made = draw_all(level.size, level.fewest, level.most, seeds, tries, MOST_TRIES, budget, mazes)
    if made < len(tries) and tries[made] >= MOST_TRIES:
        size = f"{level.size}x{level.size}"
        raise UserError(
            f"mazes of level {level.name} are too rare: {MOST_TRIES:,} random mazes of {size} had no "
            f"shortest path of {level.fewest} to {level.most} cells; take shorter paths"
        )
    return int(made)


def generate_mazes(level: Level, count: int, rng: np.random.Generator) -> Tokens:
    """`count` new mazes of a level as tokens (count, n*n): a pure function of its arguments. Raises
    UserError for a level that is too rare."""
    seeds = rng.integers(0, 2**64, size=count, dtype=np.uint64)
    tries = np.zeros(count, np.int64)
    mazes = np.empty((count, level.size**2), np.uint8)
    made = 0
    while made < count:
        made += advance(level, seeds[made:], tries[made:], mazes[made:], CHUNK)
    return mazes
