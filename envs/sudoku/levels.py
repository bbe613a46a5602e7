"""Difficulty of a Sudoku by its number of clues.

The ranges for 9x9 are those of the field; those for 4x4 and 6x6 split what is reachable in the same spirit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import NO_LEVEL
from envs.sudoku.board import BLANK, board_of

LEVELS = ("very-easy", "easy", "medium", "hard", "extreme")

CLUE_RANGES: dict[int, tuple[tuple[int, int], ...]] = {
    4: ((9, 10), (8, 8), (7, 7), (6, 6), (4, 5)),
    6: ((21, 24), (18, 20), (15, 17), (12, 14), (8, 11)),
    9: ((46, 50), (40, 45), (32, 39), (28, 31), (17, 27)),
}
"""By board size: the fewest and the most clues (both included) of each level, in the order of LEVELS."""


def clue_counts(inputs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N,) the number of clues of each puzzle (N, L)."""
    return np.count_nonzero(inputs > BLANK, axis=1).astype(np.int64)


def level_of(inputs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N,) the level of each puzzle (N, L) as an index into LEVELS, or NO_LEVEL."""
    by_clues = np.full(inputs.shape[1] + 1, NO_LEVEL, np.int64)
    for level, (fewest, most) in enumerate(CLUE_RANGES[board_of(inputs).size]):
        by_clues[fewest : most + 1] = level
    return by_clues[clue_counts(inputs)]
