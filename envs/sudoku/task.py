"""Sudoku as a task: 4x4, 6x6 or 9x9, with levels by clue count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError, UserError
from envs.puzzle import PuzzleBatch, Tokens, View
from envs.sudoku import files, levels, proof, rendering, solver
from envs.sudoku.board import BLANK, BOX_SHAPES, board_of_size
from envs.sudoku.canonical import canonical
from envs.sudoku.catalogue import CATALOGUE_CLUES, Catalogue
from envs.sudoku.generator import FEWEST_CLUES, generate_puzzles
from envs.sudoku.symmetries import SudokuSymmetries, random_symmetries, symmetry_hash
from envs.task import PuzzleTask

GUESS_RANGES = (0, 1, 4, 10, 26)
"""The fewest guesses of each range in reports."""
RARE_GUESSES, AT_ONCE = 10, 64
"""From so many guesses on few puzzles are made at a time: 64 that need 26 take some ten seconds."""
MOST_IN_VAIN = 100_000
"""Boards made in a row for one that needs `min_guesses` (20 s if they are extreme) before a request is
refused."""


class SudokuTask(PuzzleTask):
    """Fill the blanks so that every row, column and box holds each digit once.

    ## Description

    Boards have n x n cells, n = 4, 6 or 9, in boxes of 2x2, 2x3 or 3x3 cells. Puzzles that are generated or
    read from a file have exactly one solution.

    ## Action Space

    n*n tokens, row by row: digit d is token d + 1. Clues have to be repeated.

    ## Observation Space

    n*n tokens, row by row: 1 is a blank, digit d is token d + 1. 0, padding, does not occur.

    ## Rewards

    An answer is right if it keeps the clues and every row, column and box has each digit once.

    ## Starting State

    A puzzle of a level, by number of clues:

    | level     | 4x4  | 6x6   | 9x9   |
    |-----------|------|-------|-------|
    | very-easy | 9-10 | 21-24 | 46-50 |
    | easy      | 8    | 18-20 | 40-45 |
    | medium    | 7    | 15-17 | 32-39 |
    | hard      | 6    | 12-14 | 28-31 |
    | extreme   | 4-5  | 8-11  | 17-27 |

    The generator makes 9x9 puzzles with 20 clues or more; a catalogue adds those with 17 to 19.

    ## Episode End

    That of `envs.ActEnv`: when the agent halts, or at the end of the budget.

    ## Arguments

    - `size` (`9`): digits on the board: 4, 6 or 9.
    - `min_guesses` (`0`): generate only puzzles at which this project's solver has to guess at least so
      often. The number of clues alone says little about difficulty: half of the extreme 9x9 puzzles need no
      guess, one in 6 four, one in 40 ten, one in 700 26 and one in 6,000 fifty.
    - `catalogue` (`None`): a file of 9x9 puzzles with 17 clues, one a line. With it, `extreme` has 17 to 27
      clues, each number equally often aimed at.

    ## Version History

    - v0: initial version.
    """

    name = "sudoku"
    levels: tuple[str, ...] = levels.LEVELS
    rules = (
        "clue changed",
        "cell without digit",
        "digit twice in a row",
        "digit twice in a column",
        "digit twice in a box",
    )
    traits = ("clues", "guesses")
    one_solution = True

    def __init__(self, size: int = 9, min_guesses: int = 0, catalogue: str | Path | None = None) -> None:
        board_of_size(size)
        if not isinstance(min_guesses, int) or min_guesses < 0:
            raise UserError(f"min_guesses is {min_guesses!r}; it must be a whole number, 0 or more")
        if catalogue is not None and size != 9:
            raise UserError(f"a catalogue holds 9x9 puzzles; it cannot be used with size {size}")
        self.size = size
        self.characters = "_.123456789"[: size + 2]
        self.grid_shape = (size, size)
        self.box_shape = BOX_SHAPES[size]
        self.assumable = tuple(range(BLANK + 1, size + 2))
        self.min_guesses = min_guesses
        self.at_once = AT_ONCE if min_guesses >= RARE_GUESSES else None
        self.catalogue = None if catalogue is None else Catalogue(Path(catalogue))

    def coordinates(self) -> NDArray[np.int64]:
        """(L, 3) row, column and box of each cell."""
        first_of_kind = self.size * np.arange(3)
        return board_of_size(self.size).units_of.astype(np.int64) - first_of_kind

    def solved(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N,) whether each answer (N, L) keeps the clues and every row, column and box has each digit
        once."""
        return solver.is_solved(inputs, answer)

    def broken(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, 5) which of `rules` answers (N, L) break."""
        return solver.broken_rules(inputs, answer)

    def violations(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, L) the cells of answers (N, L) that change a clue, hold no digit, or one that a unit of theirs
        has twice."""
        return solver.violations(inputs, answer)

    def unknown(self, inputs: Tokens) -> NDArray[np.bool_]:
        """(N, L) the blank cells."""
        return inputs == BLANK

    def contradicts(self, boards: Tokens) -> NDArray[np.bool_]:
        """(N,) whether each board (N, L) has a digit twice in a unit or a blank that no digit fits."""
        return solver.contradicts(boards)

    def clues(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) number of clues."""
        return levels.clue_counts(inputs)

    def guesses(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) how often this project's solver has to guess (see `count_guesses`)."""
        return solver.count_guesses(inputs)

    def trait(self, name: str, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) the number of clues, or how often this project's solver has to guess."""
        return {"clues": self.clues, "guesses": self.guesses}[name](inputs)

    def ranges_of(self, trait: str) -> tuple[int, ...] | None:
        """Of the guesses, whose many values are mostly small."""
        return GUESS_RANGES if trait == "guesses" else None

    def level_of(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) index into `levels` by number of clues, or NO_LEVEL."""
        return levels.level_of(inputs)

    def generate(
        self, level: str, count: int, rng: np.random.Generator, held_out: bool = False
    ) -> PuzzleBatch:
        """`count` new puzzles of `level`, each with exactly one solution: a pure function of its arguments.

        held_out: take puzzles of a catalogue from its held-out part; generated puzzles know no parts.
        Raises UserError for an unknown level and where puzzles that need `min_guesses` are too rare.
        """
        index = self.level_index(level)
        if self.min_guesses == 0:
            inputs, solutions = self._make(index, count, rng, held_out)
        else:
            inputs, solutions = self._make_hard(index, count, rng, held_out)
        return PuzzleBatch(inputs, solutions, np.full(count, index, np.int64), np.zeros(count, np.int64))

    def augment(self, batch: PuzzleBatch, rng: np.random.Generator) -> PuzzleBatch:
        """Every puzzle under a random symmetry (see envs/sudoku/symmetries.py)."""
        symmetries = random_symmetries(self.size, len(batch), rng)
        return PuzzleBatch(
            symmetries.apply(batch.inputs), symmetries.apply(batch.solution), batch.level, batch.identifier
        )

    def symmetries(self, inputs: Tokens, rng: np.random.Generator) -> SudokuSymmetries:
        """A random symmetry for each puzzle (N, L)."""
        return random_symmetries(self.size, len(inputs), rng)

    def invariant(self, inputs: Tokens) -> NDArray[np.uint64]:
        """(N,) a hash that all symmetries of a puzzle share (see `symmetry_hash`)."""
        return symmetry_hash(inputs)

    def canonical(self, inputs: Tokens) -> Tokens:
        """(N, L) the same tokens for two puzzles exactly if a symmetry maps one to the other (see
        envs/sudoku/canonical.py)."""
        return canonical(inputs)

    def faults(self, inputs: Tokens, solution: Tokens) -> dict[int, str]:
        """Row -> reason, for puzzles (N, L) without exactly one solution, or with one that is not
        `solution`."""
        return files.faults(inputs, solution)

    def encode(self, text: str) -> Tokens:
        """(L,) the puzzle that `text` is (see envs/sudoku/text.py). Raises DataError."""
        return files.encode(text, self.size)

    def check(self, tokens: Tokens) -> None:
        """Raises DataError unless `tokens` are blanks and digits, as many as there are cells."""
        super().check(tokens)
        for cell in np.flatnonzero(tokens < BLANK)[:1]:
            where = proof.place(int(cell), self.size)
            raise DataError(f"{where} is token {tokens[cell]}, padding, which no Sudoku has", int(cell))

    def prove(self, inputs: Tokens) -> Tokens:
        """(L,) the solution of a puzzle (L,). Raises DataError where there is not exactly one (see
        envs/sudoku/proof.py)."""
        return proof.prove(inputs, self.size)

    def split(self, text: str) -> list[str]:
        """The puzzles of a text (see envs/sudoku/text.py). Raises DataError."""
        return files.split_puzzles(text, self.size)

    def read(self, path: Path) -> PuzzleBatch:
        """All puzzles of a file (see envs/sudoku/files.py). Raises DataError naming line and reason."""
        return self._batch_of(*files.read_puzzles(path, self.size))

    def render_text(self, view: View) -> str:
        """One puzzle as text with ANSI colours."""
        return rendering.render_text(view)

    def render_rgb(self, view: View) -> NDArray[np.uint8]:
        """One puzzle as an image (height, width, 3)."""
        return rendering.render_rgb(view)

    def _make(
        self, level: int, count: int, rng: np.random.Generator, held_out: bool
    ) -> tuple[Tokens, Tokens]:
        """`count` puzzles with the level's number of clues: inputs (count, L) and solutions (count, L)."""
        fewest, most = levels.CLUE_RANGES[self.size][level]
        floor = FEWEST_CLUES[self.size]
        if self.catalogue is None or fewest >= floor:
            return generate_puzzles(self.size, (fewest, most), count, rng)
        clues = rng.integers(CATALOGUE_CLUES, most + 1, size=count)
        listed = clues < floor
        inputs = np.empty((count, self.size**2), np.uint8)
        solutions = np.empty_like(inputs)
        if listed.any():
            inputs[listed], solutions[listed] = self.catalogue.draw(clues[listed], rng, held_out)
        if not listed.all():
            rest = count - int(np.count_nonzero(listed))
            inputs[~listed], solutions[~listed] = generate_puzzles(self.size, (floor, most), rest, rng)
        return inputs, solutions

    def _make_hard(
        self, level: int, count: int, rng: np.random.Generator, held_out: bool
    ) -> tuple[Tokens, Tokens]:
        """As `_make`, but only puzzles that need `min_guesses`; gives up where those are too rare."""
        kept: list[tuple[Tokens, Tokens]] = []
        made = tried = in_vain = 0
        while made < count:
            if in_vain >= MOST_IN_VAIN:
                harder = " or take a harder level" if level + 1 < len(self.levels) else ""
                raise UserError(
                    f"too few {self.levels[level]} puzzles need {self.min_guesses} guesses: none of the last "
                    f"{in_vain:,}, {made:,} of {tried:,} in all; lower min_guesses{harder}"
                )
            inputs, solutions = self._make(level, max(256, 2 * (count - made)), rng, held_out)
            hard = self.guesses(inputs) >= self.min_guesses
            kept.append((inputs[hard], solutions[hard]))
            made += int(hard.sum())
            tried += len(inputs)
            in_vain = 0 if hard.any() else in_vain + len(inputs)
        return (
            np.concatenate([inputs for inputs, _ in kept])[:count],
            np.concatenate([solutions for _, solutions in kept])[:count],
        )
