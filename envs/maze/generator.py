"""Makes random mazes as those of Maze-Hard were made, and tells which kinds are too
rare to be made on the fly.

The number of walls is uniform in 30 to 50 % of the n*n cells, the walls are uniform among the cells, S and G
uniform among the free cells; a maze is kept if the length of its shortest path is in the wanted range
("unbiased"). The lengths of what is kept then lean to the lower end of the range, as they do in Maze-Hard.
Hard mazes of 30x30 come at 12 a second on one core.

"two-sweeps" takes for S the cell farthest from a random free one and for G the cell farthest from S. It
makes 400 to 550 hard mazes of 30x30 a second, but biased ones: of 1,000 each, the mean path has 116.4
cells against 114.9 unbiased and 115.1 in Maze-Hard (a Kolmogorov-Smirnov distance from Maze-Hard of
0.114 against 0.026, where 0.087 is exceeded by chance once in 1,000 times), and S is 3.1 cells from the
border on average instead of 3.7 and 3.8.

Legend: N mazes, n = level.size.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from envs.maze.levels import Level
from envs.maze.sampling import draw_all
from envs.puzzle import Tokens

RULES = ("unbiased", "two-sweeps")

MOST_TRIES = 20_000_000
"""Random mazes drawn for one maze before a level is refused (half a minute for 30x30)."""

CHUNK = 20_000
"""Random mazes drawn in one call of compiled code, which Ctrl-C has to wait for (0.03 s for 30x30)."""

_SAMPLE, _RARE = 20_000, 20


@cache
def is_rare(level: Level, rule: str) -> bool:
    """Whether mazes of a level are to be made once and kept: fewer than 20 of a fixed sample of 20,000 random
    mazes are of that level. (One in 1,000 for 30x30 means some 600 mazes a second on one core.)"""
    seeds = np.random.default_rng(0).integers(0, 2**64, size=_RARE, dtype=np.uint64)
    tries = np.zeros(_RARE, np.int64)
    mazes = np.empty((_RARE, level.size**2), np.uint8)
    return advance(level, rule, seeds, tries, mazes, _SAMPLE) < _RARE


def advance(
    level: Level, rule: str, seeds: NDArray[np.uint64], tries: NDArray[np.int64], mazes: Tokens, budget: int
) -> int:
    """Go on making N mazes, each from its own random state, in at most `budget` tries; returns how many
    are ready, which are the first ones.

    seeds: (N,) random states.  tries: (N,) what each maze has taken so far, at first 0.  mazes: (N, n*n).
    All three are changed. A maze is a function of its first state alone, whatever the budgets. Raises
    ValueError where one maze takes more than MOST_TRIES.
    """
    made = draw_all(
        level.size, level.fewest, level.most, rule == RULES[1], seeds, tries, MOST_TRIES, budget, mazes
    )
    if made < len(tries) and tries[made] >= MOST_TRIES:
        raise ValueError(
            f"mazes of level {level.name} are too rare: {MOST_TRIES:,} random mazes of "
            f"{level.size}x{level.size} "
            f"had no shortest path of {level.fewest} to {level.most} cells; take shorter paths"
        )
    return int(made)


def generate_mazes(level: Level, rule: str, count: int, rng: np.random.Generator) -> Tokens:
    """`count` new mazes of a level as tokens (count, n*n): a pure function of its arguments. Raises
    ValueError for a level that is too rare."""
    seeds = rng.integers(0, 2**64, size=count, dtype=np.uint64)
    tries = np.zeros(count, np.int64)
    mazes = np.empty((count, level.size**2), np.uint8)
    made = 0
    while made < count:
        made += advance(level, rule, seeds[made:], tries[made:], mazes[made:], CHUNK)
    return mazes
