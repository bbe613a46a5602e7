"""A file of 17-clue puzzles: the only way to fewer clues than the generator reaches.

The file is split once, by puzzle, into a part for training and a held-out part, before any symmetry is
applied. The split goes by a hash that all symmetries of a puzzle share, so no puzzle of one part can be
turned into a puzzle of the other, whatever the file holds and in whichever order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError, UserError
from envs.puzzle import Tokens
from envs.sudoku.board import BLANK
from envs.sudoku.files import read_puzzles
from envs.sudoku.levels import clue_counts
from envs.sudoku.symmetries import random_symmetries, symmetry_hash

CATALOGUE_CLUES = 17
MOST_ADDED = 2
"""Solution cells added at most, which makes puzzles of 17 to 19 clues."""

_HELD_OUT_ONE_IN = 10


class Catalogue:
    """The puzzles of one file, in two parts that share no puzzle even under symmetries."""

    def __init__(self, path: Path) -> None:
        """Reads and checks the file. Raises DataError for a bad file or a puzzle without exactly 17 clues."""
        self.path = Path(path)
        inputs, solutions = read_puzzles(self.path, size=9)
        clues = clue_counts(inputs)
        if (clues != CATALOGUE_CLUES).any():
            first = int(np.argmax(clues != CATALOGUE_CLUES))
            raise DataError(
                f"{path}: a catalogue holds puzzles with {CATALOGUE_CLUES} clues; "
                f"puzzle {first + 1} has {clues[first]} "
                f"({np.count_nonzero(clues != CATALOGUE_CLUES)} such puzzles)"
            )
        held_out = symmetry_hash(inputs) % np.uint64(_HELD_OUT_ONE_IN) == 0
        self._parts = {
            part: (inputs[held_out == part], solutions[held_out == part]) for part in (False, True)
        }

    def size(self, held_out: bool) -> int:
        """Number of puzzles in the held-out part or in the other."""
        return len(self._parts[held_out][0])

    def draw(
        self, clues: NDArray[np.int64], rng: np.random.Generator, held_out: bool
    ) -> tuple[Tokens, Tokens]:
        """For each of N numbers of clues (17..19) a random puzzle of the part under a random symmetry, with
        solution cells added up to that number: inputs (N, 81) and solutions (N, 81)."""
        inputs, solutions = self._parts[held_out]
        if len(inputs) == 0:
            part = "held-out puzzle (about one in ten is)" if held_out else "puzzle that is not held out"
            raise UserError(f"{self.path}: the catalogue has no {part}; give a longer file")
        chosen = rng.integers(len(inputs), size=len(clues))
        symmetries = random_symmetries(9, len(clues), rng)
        puzzles, answers = symmetries.apply(inputs[chosen]), symmetries.apply(solutions[chosen])
        # Blank cells in random order: their first `clues - 17` get their digit.
        order = np.where(puzzles == BLANK, rng.random(puzzles.shape), np.inf).argsort(axis=1)[:, :MOST_ADDED]
        added = np.arange(MOST_ADDED) < (clues - CATALOGUE_CLUES)[:, None]
        rows = np.repeat(np.arange(len(puzzles)), added.sum(axis=1))
        puzzles[rows, order[added]] = answers[rows, order[added]]
        return puzzles, answers
